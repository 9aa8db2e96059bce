"""A cron's children as its scheduler sees them: who runs, how they ended, which are beyond the history limits.

In: Workflow bodies. Out: small values, and the `status` of the cron as Argo's tools read it. Called by `loops.fire`.
Source: Argo v4.1.2 workflow/cron/operator.go reconcileActiveWfs, enforceHistoryLimit, updateWfPhaseCounter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from syncd.argo import crons, labels
from syncd.argo.crons import CronWorkflow, Status
from syncd.argo.manifest import Body
from syncd.base.clock import rfc3339

SUCCEEDED: Final = "Succeeded"
_ENDED: Final = frozenset({SUCCEEDED, "Failed", "Error"})


@dataclass(frozen=True, slots=True)
class Child:
    """A Workflow that a cron owns. phase: "" = not begun; finished_at: RFC 3339, "" = it has not."""

    name: str
    uid: str
    version: str
    phase: str
    finished_at: str

    @property
    def ended(self) -> bool:
        return self.phase in _ENDED


def child_of(body: Mapping[str, Any]) -> Child:
    """What is kept of a Workflow's body."""
    metadata, status = body.get("metadata") or {}, body.get("status") or {}
    return Child(
        str(metadata.get("name", "")),
        str(metadata.get("uid", "")),
        str(metadata.get("resourceVersion", "")),
        str(status.get("phase") or ""),
        str(status.get("finishedAt") or ""),
    )


def owner_uid(body: Mapping[str, Any]) -> str:
    """The uid of the cron that a Workflow belongs to; "" where it belongs to none."""
    for reference in (body.get("metadata") or {}).get("ownerReferences") or ():
        if isinstance(reference, dict) and reference.get("kind") in (labels.CRON_WORKFLOW, labels.CRON_JOB):
            return str(reference.get("uid", ""))
    return ""


def counted(status: Status, child: Child) -> Status:
    """The status after a child has ended."""
    if child.phase == SUCCEEDED:
        return replace(status, succeeded=status.succeeded + 1)
    return replace(status, failed=status.failed + 1)


def surplus(children: Iterable[Child], cron: CronWorkflow) -> list[Child]:
    """The ended children beyond the history limits, oldest end first: the newest ones stay."""
    ended = sorted((c for c in children if c.ended), key=lambda c: (c.finished_at, c.name), reverse=True)
    good = [c for c in ended if c.phase == SUCCEEDED]
    bad = [c for c in ended if c.phase != SUCCEEDED]
    return (good[cron.successful_limit :] + bad[cron.failed_limit :])[::-1]


def references(children: Iterable[Child], namespace: str) -> tuple[Body, ...]:
    """`status.active`: a reference to each unfinished child, in the order given."""
    return tuple(
        {
            "apiVersion": labels.ARGO_API,
            "kind": labels.WORKFLOW,
            "name": child.name,
            "namespace": namespace,
            "uid": child.uid,
            "resourceVersion": child.version,
        }
        for child in children
        if not child.ended
    )


def with_condition(status: Status, kind: str, message: str) -> Status:
    """The status with the condition `kind` (SpecError, SubmissionError) set; message "" = without it."""
    others = tuple(c for c in status.conditions if c.get("type") != kind)
    if message:
        others += ({"type": kind, "status": "True", "message": message},)
    return status if others == status.conditions else replace(status, conditions=others)


def patch(cron: CronWorkflow) -> Body:
    """The merge patch that makes the live object show what the scheduler knows."""
    status = cron.status
    last = rfc3339(status.last_scheduled_time) if status.last_scheduled_time is not None else None
    is_job = cron.key.kind == labels.CRON_JOB
    shown: Body = {
        "active": list(status.active),
        "lastScheduleTime" if is_job else "lastScheduledTime": last,
        "conditions": list(status.conditions),
        "succeeded": status.succeeded,
        "failed": status.failed,
        "phase": status.phase or crons.ACTIVE,
    }
    metadata: Body = {"annotations": {labels.LAST_USED_SCHEDULE: cron.last_used_schedule}}
    if cron.labels.get(labels.CRON_COMPLETED) == "true":
        metadata["labels"] = {labels.CRON_COMPLETED: "true"}
    return {"metadata": metadata, "status": shown}
