"""The contract between the run loop and whatever runs a task. Implemented by `execute.perform` over a runtime."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from syncd.argo.manifest import Key
from syncd.engine.actions import StartTask
from syncd.engine.observations import TaskFinished, TaskProgress, TaskStarted

Report = Callable[[TaskStarted | TaskFinished | TaskProgress], None]
"""Called on the event loop's thread; never blocks, never raises."""


class Executor(Protocol):
    """Runs tasks. Constructed with a `Report`. All methods may be repeated."""

    async def start(self, task: StartTask) -> None:
        """Run the task, or adopt it where it already runs, or report its end where it has ended.

        Idempotent by task.task_id, also across restarts of the daemon and of the machine: a command that may have run
        is never run again; one that was lost (power cut) is reported as Error. Returns soon (staging goes on behind);
        every failure is reported as TaskFinished(phase="Error"), never raised.
        """

    async def stop(self, task_id: str, grace_seconds: float, reason: str) -> None:
        """TERM, then KILL after the grace. Unknown or ended tasks: nothing happens. The end is reported as usual."""

    async def forget(self, task_id: str) -> None:
        """The end of the task is durable: drop its working folders (logs stay). Unknown: nothing happens."""

    async def tidy(self, outstanding: Collection[str]) -> None:
        """After a restart: drop the working folders of all tasks but these; what still runs in them is ended."""

    async def close(self) -> None:
        """Let go of everything that runs, without ending it."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a step's log. text: without the newline, secrets masked, at most 64 KiB."""

    pod_name: str
    node_id: str
    container: str
    at: datetime | None
    text: str


class Logs(Protocol):
    """Reads what steps wrote, live or long ended. Log files outlive the tasks and end by retention."""

    def read(
        self,
        run_uid: str,
        *,
        run: Key | None = None,
        pods: frozenset[str] | None = None,
        container: str = "main",
        follow: bool = False,
        tail: int | None = None,
        since: datetime | None = None,
    ) -> AsyncIterator[LogLine]:
        """Lines in order of time across pods. run: its key, which a reader of a cluster's pods needs, None = not known;
        pods: None = all. follow: until cancelled by the caller, who knows when the run has ended (`stop_following`).
        Unknown run: no line. Raises NotFound where it is known that no log is left."""

    def stop_following(self, run_uid: str) -> None:
        """The run has ended: followers read to the end and stop."""

    async def remove(self, run_uid: str) -> None:
        """Delete the logs of a run."""
