"""CronWorkflow: schedules, time zone, policy, the conditions under which it fires and stops.

Source: Argo v4.1.2 workflow/validate/validate.go CronWorkflow. Schedules are read by `cron.schedule`, which fires them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from syncd.argo import labels
from syncd.argo.manifest import Body, Manifest, Path
from syncd.base.errors import Invalid
from syncd.cron import schedule
from syncd.validate import raw
from syncd.validate.rules import expressions

if TYPE_CHECKING:
    from syncd.validate.report import Report

POLICIES: Final = ("Allow", "Forbid", "Replace")
MAX_SCHEDULES: Final = 1000

_ANNOTATIONS: Final = {
    labels.DST: ("skip", "once", "both"),
    labels.CATCH_UP: ("none", "latest", "all"),
}
_QUOTED_STAR: Final = re.compile(r"^\S+(\s+\S+){5}$")


def check(manifest: Manifest, report: Report) -> None:
    """Everything of a CronWorkflow but its workflowSpec."""
    spec = raw.mapping(manifest.body.get("spec"))
    path: Path = ("spec", "schedules")
    lines: list[tuple[Path, object]] = [
        ((*path, index), line) for index, line in enumerate(raw.items(spec.get("schedules")))
    ]
    if raw.text(spec.get("schedule")) and not report.profile.as_argo:
        lines.append((("spec", "schedule"), spec["schedule"]))
    if not lines:
        report.add("V400", ("spec",), "cron workflow must have at least one schedule")
    zone = raw.text(spec.get("timezone"))
    if zone and (fault := zone_fault(zone)):
        report.add("V402", ("spec", "timezone"), f'invalid timezone "{zone}": {fault}')
    for place, line in lines[:MAX_SCHEDULES]:
        if type(line) is str:
            check_schedule(line, place, "cron schedule", report)
    policy = raw.text(spec.get("concurrencyPolicy"))
    if policy and policy not in POLICIES:
        message = f"'{policy}' is not a valid concurrencyPolicy"
        report.add("V403", ("spec", "concurrencyPolicy"), message, f"choose one of: {', '.join(POLICIES)}")
    check_numbers(spec, report)
    expressions.check_when(spec.get("when"), ("spec", "when"), "cron workflow", report.add)
    stop = raw.mapping(spec.get("stopStrategy"))
    expressions.check_field(
        stop.get("expression"), ("spec", "stopStrategy", "expression"), "spec.stopStrategy.expression", report.add
    )
    check_annotations(manifest, report)


def check_schedule(text: str, path: Path, words: str, report: Report) -> None:
    """One line of a schedule; the zone is judged apart."""
    try:
        schedule.parse(text)
    except Invalid as complaint:
        remedy = ""
        if _QUOTED_STAR.match(text.strip()):
            remedy = "there are five fields, without seconds: minute hour day-of-month month day-of-week"
        report.add("V401", path, f"{words} {text} is malformed: {complaint}", remedy)


def zone_fault(name: str) -> str:
    """What is wrong with a time zone; "" = nothing."""
    try:
        schedule.parse("0 0 * * *", name)
    except Invalid as complaint:
        return str(complaint)
    return ""


def check_numbers(spec: Body, report: Report) -> None:
    """startingDeadlineSeconds and history limits."""
    deadline = spec.get("startingDeadlineSeconds")
    if type(deadline) is int and deadline < 0:
        report.add("V404", ("spec", "startingDeadlineSeconds"), "startingDeadlineSeconds must be positive")
    for field in ("successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        value = spec.get(field)
        if type(value) is int and value < 0:
            report.add("V405", ("spec", field), f"{field} must not be negative")


def check_annotations(manifest: Manifest, report: Report) -> None:
    """syncd's own annotations of a cron."""
    annotations = raw.mapping(raw.mapping(manifest.body.get("metadata")).get("annotations"))
    for key, choices in _ANNOTATIONS.items():
        value = annotations.get(key)
        if type(value) is str and value not in choices:
            report.add(
                "V406",
                ("metadata", "annotations", key),
                f"annotation {key} is {value!r}",
                f"choose one of: {', '.join(choices)}",
            )
