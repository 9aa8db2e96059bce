"""What a run asks of the world. The only output of the machine besides changed nodes; performed by `loops.run`.

Each carries the id that makes repeating it harmless. After a crash, `Machine.outstanding()` yields the actions
whose end the journal has not seen, and they are performed again: starting a task that runs adopts it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class StartTask:
    """Run one pod's worth of work: a container or script template with everything substituted.

    task_id: `<run uid>.<order of the node>.<epoch>`: letters, digits, `-`, `.`; at most 100 characters; safe as a file name;
    template: Argo's Template object, all tags replaced (`container` or `script`, `inputs`, `outputs`, `volumes`, …);
    inputs.parameters hold values, inputs.artifacts hold locations ({name, path, s3|raw|http|git|local…, mode, optional});
    deadline: when the task must have ended, enforced even while the daemon is dead; None = no limit;
    active_seconds: how long it may run from its start (the executor's deadline is the earlier of both); None = no limit;
    capture_result: whether anybody reads outputs.result (stdout, at most 256 KiB, the last);
    volumes: the workflow's spec.volumes; archive: the run's artifact repository reference and key context.
    """

    task_id: str
    run_uid: str
    run_name: str
    namespace: str
    node_id: str
    node_name: str
    pod_name: str
    template_name: str
    template: dict[str, Any]
    deadline: datetime | None = None
    active_seconds: float | None = None
    capture_result: bool = False
    archive_logs: bool = False
    volumes: list[dict[str, Any]] = field(default_factory=list)
    repository: dict[str, Any] = field(default_factory=dict)  # artifactRepositoryRef as the workflow has it
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StopTask:
    """End a task: TERM, then KILL after grace_seconds. Its end is reported as any other's."""

    task_id: str
    reason: str
    grace_seconds: float = 30.0


Action = StartTask | StopTask
