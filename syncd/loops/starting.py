"""The queue between what machines ask for and what the machine can bear: tasks wait, start in turn, are stopped.

In: StartTask and StopTask that are durable (`add`, `stop`), ends (`ended`), reasons to start nothing (`hold`). Out: calls of
the executor; for a task that is stopped before it was started its end, by `report`. Work per task is constant, however many
wait. Called by `loops.run` only.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from syncd.argo import status
from syncd.base.clock import Clock
from syncd.base.errors import SyncdError
from syncd.engine.actions import Action, StartTask, StopTask
from syncd.engine.observations import TaskFinished
from syncd.execute.api import Executor

log = logging.getLogger(__name__)

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class Starts:
    """What waits to be started, and what runs. report: takes the end of a task that never began."""

    def __init__(self, clock: Clock, report: Callable[[TaskFinished], None], max_tasks: int) -> None:
        self._clock = clock
        self._report = report
        self._max_tasks = max_tasks
        self._queue: OrderedDict[str, StartTask] = OrderedDict()
        self._active: set[str] = set()
        self._perhaps: set[str] = set()  # tasks of an earlier daemon in the queue: they may be running
        self._ending: dict[str, StopTask] = {}  # … of which these are to be stopped as soon as they are found running
        self.executor: Executor | None = None  # None: nothing is started here
        self.hold = ""  # why nothing is started now

    def __contains__(self, task_id: str) -> bool:
        """Whether the task has been started and its end is not known yet."""
        return task_id in self._active

    def __len__(self) -> int:
        """How many wait."""
        return len(self._queue)

    async def perform(self, actions: Iterable[Action]) -> None:
        """Queue and stop, in order."""
        for action in actions:
            if isinstance(action, StartTask):
                if action.task_id not in self._active:
                    self._queue[action.task_id] = action
            else:
                await self.stop(action)

    async def stop(self, action: StopTask) -> None:
        """End a task; one that waits has ended with that."""
        waiting = self._queue.pop(action.task_id, None)
        if waiting is not None and action.task_id in self._perhaps:
            await self._end(waiting, action)
        elif waiting is not None:
            self._report(TaskFinished(action.task_id, self._clock.now(), status.FAILED, action.reason))
        elif self.executor is not None:
            await self.executor.stop(action.task_id, action.grace_seconds, action.reason)

    async def take_up(self, actions: Sequence[Action]) -> None:
        """After a crash: what `Machine.outstanding` yields."""
        self._perhaps.update(
            action.task_id for action in actions if isinstance(action, StartTask) and action.task_id not in self._active
        )
        await self.perform(actions)

    async def _end(self, task: StartTask, action: StopTask) -> None:
        """End a task of an earlier daemon, which may be running or may never have begun.

        It is started with its time over: the executor adopts it where it runs, and says that it has ended where it does not.
        As soon as it is found running it is stopped.
        """
        self._ending[task.task_id] = action
        await self._start(replace(task, deadline=_LONG_AGO, active_seconds=None))

    def started(self, task_id: str) -> StopTask | None:
        """The task runs. Answers how it is to be stopped now, None = it is not."""
        return self._ending.pop(task_id, None)

    def ended(self, task_id: str) -> None:
        """The task has ended: its place is free."""
        self._active.discard(task_id)
        self._ending.pop(task_id, None)

    async def abandon(self, task_ids: Iterable[str], reason: str) -> None:
        """Nobody waits for these tasks any more: take them out of the queue, end them with little grace."""
        for task_id in task_ids:
            if task_id not in self._queue or task_id in self._perhaps:
                await self.stop(StopTask(task_id, reason, 5.0))
            else:
                del self._queue[task_id]

    async def pump(self) -> None:
        """Start what waits, as far as the machine's share goes."""
        while self._queue and len(self._active) < self._max_tasks and not self.hold and self.executor is not None:
            _, task = self._queue.popitem(last=False)
            if task.active_seconds is not None:
                # counted from the start of the work, not from when it was decided
                limit = self._clock.now() + timedelta(seconds=task.active_seconds)
                task = replace(task, deadline=min(task.deadline or limit, limit))
            await self._start(task)

    async def _start(self, task: StartTask) -> None:
        if self.executor is None:
            return
        self._active.add(task.task_id)
        self._perhaps.discard(task.task_id)
        try:
            await self.executor.start(task)
        except Exception as error:
            # an executor reports its failures; one that raises must not take the other runs with it
            log.exception("task %s could not be started; please report this", task.task_id)
            words = str(error) if isinstance(error, SyncdError) else f"{type(error).__name__}: {error}"
            self._report(
                TaskFinished(task.task_id, self._clock.now(), status.ERROR, f"step could not be started: {words}")
            )
