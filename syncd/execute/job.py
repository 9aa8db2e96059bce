"""A task under way: what `perform`, `supervise` and `sampling` know of it, in one value that they share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from syncd.engine.actions import StartTask
from syncd.engine.observations import TaskFinished
from syncd.execute import staging
from syncd.execute.folder import Slot
from syncd.execute.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Options:
    """Knobs. kill_after_seconds: from a deadline's TERM to KILL; sample_seconds: between looks at progress and logs;
    poll_seconds: between looks at a task that cannot be waited for; last_words_seconds: how long an exit code may come
    after its process; parameter_bytes: of one output parameter."""

    kill_after_seconds: float = 10.0
    sample_seconds: float = 1.0
    poll_seconds: float = 0.05
    last_words_seconds: float = 1.0
    parameter_bytes: int = 1024 * 1024


@dataclass(slots=True)
class Job:
    """A task that was started here and has not been forgotten.

    slot, log, pid: of the container that runs, or ran last (pid None = not a child of ours, or gone);
    stopped: why somebody ended it, "" = nobody did; finished: what was reported; worker: its task on the long way;
    cancel: ends the waiting for pid; killer: sends KILL after the grace.
    """

    task: StartTask
    folder: Path
    runtime: Runtime
    slot: Slot
    log: Path
    pid: int | None = None
    started_at: datetime | None = None
    stopped: str = ""
    finished: TaskFinished | None = None
    worker: asyncio.Task[None] | None = None
    cancel: Callable[[], None] | None = None
    killer: asyncio.TimerHandle | None = None
    fresh: bool = False  # known not to have run: its worker may be given up
    grace_seconds: float = 0.0
    progress: str = ""
    progress_path: Path | None = None
    log_size: int = 0

    @property
    def stdout(self) -> Path:
        """Where stdout goes: the log, as a rule together with stderr."""
        return self.log

    @property
    def stderr(self) -> Path:
        """A file of its own only where stdout is an output."""
        return (
            self.log.with_suffix(".err") if self.task.capture_result and self.slot.label == staging.MAIN else self.log
        )

    def let_go(self) -> None:
        """Wait no longer, and send no KILL."""
        if self.cancel is not None:
            self.cancel()
            self.cancel = None
        if self.killer is not None:
            self.killer.cancel()
