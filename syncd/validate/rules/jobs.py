"""batch/v1 Job and CronJob, ConfigMap and Secret: what Kubernetes would refuse, and what a run of syncd's needs.

Source: Kubernetes v1.35 pkg/apis/batch/validation, pkg/apis/core/validation.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Final

from syncd.argo import labels
from syncd.argo.manifest import Body, Manifest, Path
from syncd.validate import raw
from syncd.validate.rules import cron

if TYPE_CHECKING:
    from syncd.validate.report import Report

_KEY: Final = re.compile(r"[-._a-zA-Z0-9]{1,253}")


def check(manifest: Manifest, report: Report) -> None:
    """By kind."""
    spec = raw.mapping(manifest.body.get("spec"))
    match manifest.key.kind:
        case labels.JOB:
            _job(spec, ("spec",), report)
        case labels.CRON_JOB:
            _cron_job(manifest, spec, report)
        case labels.CONFIG_MAP | labels.SECRET:
            _data(manifest, report)


def _cron_job(manifest: Manifest, spec: Body, report: Report) -> None:
    schedule = spec.get("schedule")
    if not raw.text(schedule):
        report.add("V400", ("spec",), "cron job must have a schedule")
    else:
        cron.check_schedule(raw.text(schedule), ("spec", "schedule"), "cron schedule", report)
    zone = raw.text(spec.get("timeZone"))
    if zone and (fault := cron.zone_fault(zone)):
        report.add("V402", ("spec", "timeZone"), f'invalid timezone "{zone}": {fault}')
    cron.check_numbers(spec, report)
    cron.check_annotations(manifest, report)
    job = raw.mapping(raw.mapping(spec.get("jobTemplate")).get("spec"))
    if job or spec.get("jobTemplate") is not None:
        _job(job, ("spec", "jobTemplate", "spec"), report)


def _job(spec: Body, path: Path, report: Report) -> None:
    pod = raw.mapping(raw.mapping(spec.get("template")).get("spec"))
    where = (*path, "template", "spec")
    if spec.get("template") is None:
        report.add("V421", path, "a job must have a template with its pod")
        return
    policy = pod.get("restartPolicy")
    if policy not in ("Never", "OnFailure"):
        shown = f"not {policy!r}" if isinstance(policy, str) else "and has none"
        report.add("V420", where, f"restartPolicy of a job must be Never or OnFailure, {shown}")
    containers = raw.mappings(pod.get("containers"))
    if not containers:
        report.add("V421", where, "the pod of a job must have at least one container")
    seen: set[str] = set()
    for kind in ("initContainers", "containers"):
        for index, container in raw.mappings(pod.get(kind)):
            at = (*where, kind, index)
            name = raw.text(container.get("name"))
            if not name:
                report.add("V213", at, f"{kind}[{index}].name is required")
            elif name in seen:
                report.add("V215", at, f"{kind}[{index}].name '{name}' is not unique")
            seen.add(name)
            if not raw.text(container.get("image")):
                report.add("V422", at, f"{kind}[{index}].image may not be empty")
    for field, least in (
        ("completions", 0),
        ("parallelism", 0),
        ("backoffLimit", 0),
        ("activeDeadlineSeconds", 1),
        ("ttlSecondsAfterFinished", 0),
    ):
        value = spec.get(field)
        if type(value) is int and value < least:
            report.add("V423", (*path, field), f"{field} must be at least {least}")
    if spec.get("completionMode") == "Indexed" and spec.get("completions") is None:
        report.add("V423", (*path, "completionMode"), "a job with completionMode Indexed must have completions")
    for kind, many in (("containers", len(containers) > 1), ("initContainers", bool(pod.get("initContainers")))):
        if many:
            words = "more than one container" if kind == "containers" else kind
            report.add("V900", (*where, kind), f"the embedded engine does not run {words} of a pod yet")


def _data(manifest: Manifest, report: Report) -> None:
    body = manifest.body
    fields = ("data", "binaryData") if manifest.key.kind == labels.CONFIG_MAP else ("data", "stringData")
    seen: set[str] = set()
    for field in fields:
        for key, value in raw.mapping(body.get(field)).items():
            if not _KEY.fullmatch(key) or key in (".", ".."):
                report.add("V424", (field, key), f"key {key!r} is malformed", "letters, digits, '-', '_' and '.'")
            if key in seen and field == "binaryData":
                report.add("V424", (field, key), f"key {key!r} is in data as well")
            seen.add(key)
            encoded = field == "binaryData" or (manifest.key.kind == labels.SECRET and field == "data")
            if encoded and type(value) is str and not _is_base64(value):
                remedy = "encode it, or put the plain text under " + (
                    "stringData" if manifest.key.kind == labels.SECRET else "data"
                )
                report.add("V425", (field, key), f"the value of {key!r} is not base64", remedy)


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return False
    return True
