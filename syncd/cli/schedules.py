"""Crons for commands: their routes, their coming times. Comes in: what the API says of a cron. Goes out: moments, words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from syncd.base.errors import Invalid
from syncd.cli.client import OWN, segment

if TYPE_CHECKING:
    from syncd.cron.explain import Explanation, Next


def path(namespace: str, name: str, verb: str = "") -> str:
    """A route on one cron."""
    return f"{OWN}/crons/{segment(namespace)}/{segment(name)}" + (f"/{verb}" if verb else "")


def body(summary: Mapping[str, Any]) -> dict[str, Any]:
    """A CronWorkflow with the schedule of a row of `GET /crons`."""
    return {
        "kind": "CronWorkflow",
        "metadata": {"name": summary.get("name", ""), "namespace": summary.get("namespace", "")},
        "spec": {"schedules": list(summary.get("schedules") or ()), "timezone": summary.get("timezone") or ""},
    }


def coming(cron: Mapping[str, Any], after: datetime, count: int) -> tuple[Next, ...]:
    """The next times by the schedule alone. Raises Invalid where it cannot be read."""
    from syncd.argo import crons
    from syncd.cron import explain

    return explain.upcoming(crons.parse(cron), after, count)


def story(cron: Mapping[str, Any], at: datetime) -> Explanation:
    """What the schedule means, with the coming changes of the clocks in `notes`."""
    from syncd.argo import crons
    from syncd.cron import explain

    return explain.explain(crons.parse(cron), (), at)


def scheduler(cron: Mapping[str, Any]) -> str:
    """Who fires a CronWorkflow of a cluster, in words."""
    from syncd.argo import labels

    marks = (cron.get("metadata") or {}).get("labels") or {}
    if marks.get(labels.INSTANCE_ID) == labels.SYNCD_INSTANCE:
        return "syncd"
    return f"argo (it has not the label {labels.INSTANCE_ID}={labels.SYNCD_INSTANCE})"


def next_fire(summary: Mapping[str, Any], at: datetime) -> str:
    """When it fires next, RFC 3339; "" = never, or it cannot be said."""
    from syncd.base.clock import rfc3339

    if summary.get("nextFire"):
        return str(summary["nextFire"])
    if summary.get("suspended"):
        return ""
    try:
        found = coming(body(summary), at, 1)
    except Invalid:
        return ""
    return rfc3339(found[0].at) if found else ""
