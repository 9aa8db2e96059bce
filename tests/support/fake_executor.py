"""An executor without processes: tasks end when a test says so. Implements `execute.api.Executor`."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Any

from syncd.base.clock import Clock
from syncd.engine.actions import StartTask
from syncd.engine.observations import TaskFinished, TaskStarted
from syncd.execute.api import Report


class FakeExecutor:
    """Notes what it is asked. running: what survives a crash of the daemon, as processes do; hand it to the next one."""

    def __init__(self, report: Report, clock: Clock, running: dict[str, StartTask] | None = None) -> None:
        self._report = report
        self._clock = clock
        self.running: dict[str, StartTask] = {} if running is None else running
        self.started: list[StartTask] = []
        self.ran: list[str] = []  # node names whose command was really run
        self.stopped: list[tuple[str, float]] = []
        self.forgotten: list[str] = []
        self.tidied: set[str] | None = None  # None: not asked
        self.raises: Exception | None = None  # None: `start` works
        self.stubborn = False  # a task that is stopped does not end

    async def start(self, task: StartTask) -> None:
        if self.raises is not None:
            raise self.raises
        self.started.append(task)
        if task.task_id in self.running:
            self._report(TaskStarted(task.task_id, self._clock.now(), "fake"))
        elif task.deadline is not None and task.deadline <= self._clock.now():
            self._report(TaskFinished(task.task_id, self._clock.now(), "Failed", "Step exceeded its deadline"))
        else:
            self.ran.append(task.node_name)
            self.running[task.task_id] = task
            self._report(TaskStarted(task.task_id, self._clock.now(), "fake"))

    async def stop(self, task_id: str, grace_seconds: float, reason: str) -> None:
        self.stopped.append((task_id, grace_seconds))
        if task_id in self.running and not self.stubborn:
            self.end(task_id, "Failed", 143)

    async def forget(self, task_id: str) -> None:
        self.forgotten.append(task_id)

    async def tidy(self, outstanding: Collection[str]) -> None:
        self.tidied = set(outstanding)

    async def close(self) -> None:
        pass

    def end(self, task_id: str, phase: str = "Succeeded", code: int = 0, **outputs: Any) -> None:
        """The task ends."""
        task = self.running.pop(task_id)
        at = self._clock.now()
        message = "" if code == 0 else f"main: Error (exit code {code})"
        self._report(TaskFinished(task.task_id, at, phase, message, code, at - timedelta(seconds=1), outputs))

    def end_all(self, phase: str = "Succeeded", code: int = 0) -> None:
        """Everything that runs ends."""
        for task_id in list(self.running):
            self.end(task_id, phase, code)
