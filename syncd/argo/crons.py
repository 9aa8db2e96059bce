"""The CronWorkflow, and batch/v1's CronJob as the same noun: a body in, a value with typed fields out.

Lenient on purpose: `validate` has already said what is wrong with a manifest, and an object that reached the store by
another way must not stop the others. Fields not named here are left in the body. v3's `schedule` is read as one schedule.
Read by `cron.timetable`, `cron.due`, `cron.firing`, `cron.explain` and `loops.fire`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from syncd.argo import labels, manifest
from syncd.argo.manifest import Body, Key
from syncd.base.clock import parse_rfc3339

ALLOW: Final = "Allow"
FORBID: Final = "Forbid"
REPLACE: Final = "Replace"
STOPPED: Final = "Stopped"
ACTIVE: Final = "Active"

MAX_SCHEDULES: Final = 100  # a repository may say anything; nobody needs more lines than this

_MAX_DEADLINE_SECONDS: Final = 100 * 366 * 86_400


@dataclass(frozen=True, slots=True)
class Status:
    """What the scheduler has written into the object. last_scheduled_time: slot of the newest child, None = never.

    active: references to unfinished children; succeeded, failed: how many ended so, ever; phase: "" | Active | Stopped.
    """

    last_scheduled_time: datetime | None = None
    active: tuple[Body, ...] = ()
    succeeded: int = 0
    failed: int = 0
    phase: str = ""
    conditions: tuple[Body, ...] = ()


@dataclass(frozen=True, slots=True)
class CronWorkflow:
    """A thing that fires by the clock.

    created_at: None for a file that was never applied; timezone: "" = UTC; starting_deadline: None = unset (Argo reads
    0 as unset, too); when, stop_expression: "" = none; workflow_metadata: labels, annotations, finalizers of the child;
    job: the body of the Job to run, for kind CronJob only, where workflow_spec is empty.
    """

    key: Key
    uid: str = ""
    created_at: datetime | None = None
    schedules: tuple[str, ...] = ()
    timezone: str = ""
    suspend: bool = False
    concurrency: str = ALLOW
    starting_deadline: timedelta | None = None
    successful_limit: int = 3
    failed_limit: int = 1
    when: str = ""
    stop_expression: str = ""
    workflow_spec: Body = field(default_factory=dict)
    workflow_metadata: Body = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    status: Status = Status()
    job: Body | None = None

    @property
    def schedule_text(self) -> str:
        """All schedules as Argo writes them into the annotation last-used-schedule.

        Source: Argo v4.1.2 cron_workflow_types.go GetScheduleWithTimezoneString.
        """
        prefix = f"CRON_TZ={self.timezone} " if self.timezone else ""
        return ",".join(prefix + line for line in self.schedules)

    @property
    def last_used_schedule(self) -> str:
        """The schedules that fired last; "" = never fired, or never looked at."""
        return self.annotations.get(labels.LAST_USED_SCHEDULE, "")

    @property
    def stopped(self) -> bool:
        """Whether its stop strategy has ended it."""
        return self.status.phase == STOPPED or self.labels.get(labels.CRON_COMPLETED) == "true"


def parse(body: Mapping[str, Any]) -> CronWorkflow:
    """The value of a CronWorkflow's or CronJob's body. Never raises: a field of the wrong type counts as absent.

    >>> parse({"kind": "CronWorkflow", "metadata": {"name": "a"}, "spec": {"schedule": "@daily"}}).schedules
    ('@daily',)
    """
    metadata, spec, status = (_mapping(body.get(name)) for name in ("metadata", "spec", "status"))
    is_job = body.get("kind") == labels.CRON_JOB
    template = _mapping(spec.get("jobTemplate")) if is_job else {}
    return CronWorkflow(
        key=manifest.key_of(body),
        uid=_text(metadata.get("uid")),
        created_at=_moment(metadata.get("creationTimestamp")),
        schedules=_schedules(spec),
        timezone=_text(spec.get("timeZone" if is_job else "timezone")),
        suspend=spec.get("suspend") is True,
        concurrency=_text(spec.get("concurrencyPolicy")) or ALLOW,
        starting_deadline=_deadline(spec.get("startingDeadlineSeconds")),
        successful_limit=_limit(spec.get("successfulJobsHistoryLimit"), 3),
        failed_limit=_limit(spec.get("failedJobsHistoryLimit"), 1),
        when=_text(spec.get("when")),
        stop_expression=_text(_mapping(spec.get("stopStrategy")).get("expression")),
        workflow_spec={} if is_job else _mapping(spec.get("workflowSpec")),
        workflow_metadata={} if is_job else _mapping(spec.get("workflowMetadata")),
        labels=_texts(metadata.get("labels")),
        annotations=_texts(metadata.get("annotations")),
        status=parse_status(status),
        job=_job(metadata, template) if is_job else None,
    )


def parse_status(status: Mapping[str, Any]) -> Status:
    """The value of a `status`; a CronJob's lastScheduleTime is the same thing."""
    return Status(
        last_scheduled_time=_moment(status.get("lastScheduledTime")) or _moment(status.get("lastScheduleTime")),
        active=tuple(ref for ref in _list(status.get("active")) if isinstance(ref, dict)),
        succeeded=_count(status.get("succeeded")),
        failed=_count(status.get("failed")),
        phase=_text(status.get("phase")),
        conditions=tuple(c for c in _list(status.get("conditions")) if isinstance(c, dict)),
    )


def _schedules(spec: Mapping[str, Any]) -> tuple[str, ...]:
    lines = [line for line in _list(spec.get("schedules")) if isinstance(line, str)]
    if not lines and isinstance(spec.get("schedule"), str):  # v3, and CronJob
        lines = [spec["schedule"]]
    return tuple(lines[:MAX_SCHEDULES])


def _job(metadata: Mapping[str, Any], template: Mapping[str, Any]) -> Body:
    """The Job that a CronJob's jobTemplate stands for, in the CronJob's namespace."""
    own = _mapping(template.get("metadata"))
    return {
        "apiVersion": "batch/v1",
        "kind": labels.JOB,
        "metadata": {
            "name": _text(metadata.get("name")),
            "namespace": _text(metadata.get("namespace")) or "default",
            "labels": dict(_texts(own.get("labels"))),
            "annotations": dict(_texts(own.get("annotations"))),
        },
        "spec": _mapping(template.get("spec")),
    }


def _mapping(value: Any) -> Body:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> dict[str, str]:
    return {str(k): str(v) for k, v in _mapping(value).items() if v is not None}


def _moment(value: Any) -> datetime | None:
    try:
        return parse_rfc3339(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def _limit(value: Any, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else default


def _deadline(value: Any) -> timedelta | None:
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        return None
    return timedelta(seconds=min(value, _MAX_DEADLINE_SECONDS))
