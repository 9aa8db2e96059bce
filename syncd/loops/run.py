"""The loop that runs workflows: admits them, feeds their machines, saves, and only then acts.

In: Workflows of the store (watched), observations of the executor (`report`), operations of people (`operate`). Out: journal
entries, tasks started and stopped, events. One coroutine owns all machines; whatever arrives while a save is under way is
taken in with the next one, so that many runs share one commit. Constructed by `app`; called by `server` and `loops.collect`.

Save, then act: an Advance is journalled before its actions are performed. After a crash the journal is replayed and
`Machine.outstanding()` is performed again; the executor adopts what runs. When a save fails the same entries are kept and
tried again, and nothing acts meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from syncd.argo import labels, status
from syncd.argo.manifest import Body, Key, key_of
from syncd.base import backoff
from syncd.base.clock import Clock, parse_rfc3339, rfc3339
from syncd.base.errors import Conflict, Expired, Invalid, NotFound, SyncdError, Unreachable
from syncd.cluster.api import Entry, Store
from syncd.engine import admit, operations
from syncd.engine.actions import Action, StartTask, StopTask
from syncd.engine.machine import Machine
from syncd.engine.observations import (
    Admitted,
    Observation,
    Operation,
    TaskFinished,
    TaskProgress,
    TaskStarted,
    Tick,
    decode,
    encode,
)
from syncd.execute.api import Executor, Logs
from syncd.observe.events import Event, RunFinished, RunStarted

log = logging.getLogger(__name__)

_SOON = 0.05  # seconds that a mere TaskStarted waits for company
_LONGEST_SLEEP = 60.0  # seconds: a clock that jumped is noticed after so long


@dataclass(slots=True, eq=False)
class _Run:
    """One unfinished run in memory. seq: of its last entry; done: tasks whose end the next save makes durable."""

    key: Key
    uid: str
    machine: Machine
    origin: str
    revision: str
    seq: int = 0
    inbox: list[Observation] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    spec: Body | None = None  # to be saved with the first entry, None afterwards
    wake_at: datetime | None = None


@dataclass(slots=True)
class _Unsaved:
    """A step that is decided and not yet durable."""

    run: _Run
    entry: Entry
    actions: list[Action]
    done: list[str]
    finished: bool
    operations: list[asyncio.Future[None]]


class RunLoop:
    """Runs every unfinished Workflow of the store with syncd's own engine."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        publish: Callable[[Event], None],
        logs: Logs,
        *,
        max_tasks: int,
        defaults: Mapping[str, Any] | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._publish = publish
        self._logs = logs
        self._max_tasks = max_tasks
        self._defaults = defaults
        self._executor: Executor | None = None
        self._runs: dict[str, _Run] = {}
        self._by_key: dict[Key, _Run] = {}
        self._dirty: dict[str, _Run] = {}
        self._timers: list[tuple[datetime, str]] = []
        self._unsaved: list[_Unsaved] = []
        self._queue: deque[StartTask] = deque()
        self._active: set[str] = set()
        self._new: deque[Body] = deque()
        self._waiters: dict[str, list[asyncio.Future[None]]] = {}
        self._wake = asyncio.Event()
        self._hold = ""
        self._soon: asyncio.TimerHandle | None = None
        self.ready = False

    def attach(self, executor: Executor) -> None:
        """The executor is made after the loop, since it reports to it."""
        self._executor = executor

    # -- what others call ----------------------------------------------------------------------------------------

    def report(self, observation: TaskStarted | TaskFinished | TaskProgress) -> None:
        """An observation of the executor; never blocks."""
        run = self._runs.get(observation.task_id.rsplit(".", 2)[0])
        if isinstance(observation, TaskFinished):
            self._active.discard(observation.task_id)
        if run is None:
            # a run that was deleted meanwhile
            if isinstance(observation, TaskFinished):
                self._forget_soon(observation.task_id)
            self._wake.set()
            return
        run.inbox.append(observation)
        self._dirty[run.uid] = run
        if isinstance(observation, TaskFinished):
            self._wake.set()
        elif self._soon is None:
            self._soon = asyncio.get_running_loop().call_later(_SOON, self._company)

    def _company(self) -> None:
        self._soon = None
        self._wake.set()

    def _forget_soon(self, task_id: str) -> None:
        if self._executor is not None:
            task = asyncio.get_running_loop().create_task(self._executor.forget(task_id))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def operate(self, key: Key, verb: str, arguments: Mapping[str, Any], *, by: str) -> Body:
        """Suspend, resume, stop, terminate, set or retry a run; answers the Workflow once it is durable.

        Raises NotFound, Conflict, Invalid.
        """
        operation = Operation(verb, by, dict(arguments))
        run = self._by_key.get(key)
        if run is None:
            body = await self._store.get(key)
            run = await self._load(body, body["metadata"]["uid"])
        operations.check(run.machine, operation)
        if run.uid not in self._runs:
            self._register(run)
        run.inbox.append(operation)
        self._dirty[run.uid] = run
        saved: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(run.uid, []).append(saved)
        self._wake.set()
        await saved
        return await self._store.get(key)

    async def forget(self, key: Key) -> None:
        """The Workflow was deleted: end its tasks, drop its machine and logs."""
        run = self._by_key.pop(key, None)
        if run is None:
            return
        self._drop(run)
        for task_id in list(run.machine.tasks):
            self._unqueue(task_id)
            if self._executor is not None:
                await self._executor.stop(task_id, 5.0, "the workflow was deleted")
        self._logs.stop_following(run.uid)

    def hold(self, reason: str) -> None:
        """Start no task while there is a reason not to (a full disk); "" lets them go on."""
        self._hold = reason
        self._wake.set()

    @property
    def held(self) -> str:
        """Why nothing is started now; "" = it is."""
        return self._hold

    @property
    def running(self) -> list[tuple[Key, str]]:
        """Workflow and task id of everything that runs now."""
        return [
            (run.key, task_id)
            for run in self._runs.values()
            for task_id in run.machine.tasks
            if task_id in self._active
        ]

    @property
    def unfinished(self) -> int:
        return len(self._runs)

    # -- the loop ------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """For ever: recover, then watch and step."""
        watcher: asyncio.Task[None] | None = None
        try:
            version = await self.recover()
            watcher = asyncio.create_task(self._watch(version))
            while True:
                if watcher.done():
                    await watcher
                await self.step()
                await self._sleep()
        finally:
            if watcher is not None:
                watcher.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await watcher

    async def _sleep(self) -> None:
        if self._new or self._unsaved:
            return
        timeout = _LONGEST_SLEEP
        if self._timers:
            timeout = min(timeout, max(0.0, (self._timers[0][0] - self._clock.now()).total_seconds()))
        with contextlib.suppress(TimeoutError):
            # not wait_for: before Python 3.12 it forgets a cancellation that comes together with the wake
            async with asyncio.timeout(timeout):
                await self._wake.wait()
        self._wake.clear()

    async def recover(self) -> str:
        """Take up every unfinished run; answers the store's version to watch from."""
        page = await self._store.list(labels.WORKFLOW, limit=1)
        unreadable = False
        for key in await self._store.unfinished():
            try:
                body = await self._store.get(key)
            except NotFound:
                continue
            uid = body["metadata"]["uid"]
            if uid in self._runs:
                continue
            if await self._store.spec(uid) is None:
                self._new.append(body)
                continue
            try:
                run = await self._load(body, uid)
            except SyncdError as error:
                log.error("run %s cannot be taken up again and is left as it is: %s", key, error)
                unreadable = True
                continue
            self._register(run)
            self._publish(RunStarted(key, uid, run.origin, self._clock.now(), run.revision))
            run.inbox.append(Tick())
            self._dirty[uid] = run
            await self._perform(run.machine.outstanding())
        if self._executor is not None and not unreadable:
            await self._executor.tidy([task_id for run in self._runs.values() for task_id in run.machine.tasks])
        self.ready = True
        return page.version

    async def _load(self, body: Body, uid: str) -> _Run:
        """A run's machine, from its journal."""
        spec = await self._store.spec(uid)
        if spec is None:
            raise Conflict(f"workflow {body['metadata']['name']} is not admitted yet; try again in a moment")
        machine = Machine(body, spec)
        run = _Run(key_of(body), uid, machine, origin_of(body), revision_of(body))
        async for entry in self._store.load(uid):
            machine.advance(entry.now, [decode(o) for o in entry.observations])
            run.seq = entry.seq
        if run.seq == 0:
            raise Conflict(f"the journal of workflow {body['metadata']['name']} is gone; resubmit it instead")
        return run

    def _register(self, run: _Run) -> None:
        self._runs[run.uid] = run
        self._by_key[run.key] = run

    def _drop(self, run: _Run) -> None:
        self._runs.pop(run.uid, None)
        self._by_key.pop(run.key, None)
        self._dirty.pop(run.uid, None)
        for waiter in self._waiters.pop(run.uid, []):
            if not waiter.done():
                waiter.set_result(None)

    async def _watch(self, version: str) -> None:
        while True:
            try:
                async for change in self._store.watch([labels.WORKFLOW], version):
                    version = change.version
                    if change.kind == "ADDED":
                        self._new.append(change.body)
                        self._wake.set()
                    elif change.kind == "DELETED":
                        await self.forget(change.key)
            except Expired:
                version = await self._relist()

    async def _relist(self) -> str:
        """The watch fell behind: take up what is not known yet."""
        page = await self._store.list(labels.WORKFLOW, limit=1)
        for key in await self._store.unfinished():
            if key not in self._by_key:
                with contextlib.suppress(NotFound):
                    self._new.append(await self._store.get(key))
        self._wake.set()
        return page.version

    async def step(self) -> None:
        """One round: admit what is new, take in what was observed, save, act."""
        await self._retry_unsaved()
        while self._new and len(self._unsaved) < 500:
            await self._admit(self._new.popleft())
        now = self._clock.now()
        while self._timers and self._timers[0][0] <= now:
            _, uid = heapq.heappop(self._timers)
            run = self._runs.get(uid)
            if run is not None and run.wake_at is not None and run.wake_at <= now:
                run.wake_at = None
                run.inbox.append(Tick())
                self._dirty[uid] = run
        dirty, self._dirty = list(self._dirty.values()), {}
        for run in dirty:
            self._advance(run, now)
        await self._save()
        await self._pump()

    def _advance(self, run: _Run, now: datetime) -> None:
        observations, run.inbox = run.inbox, []
        if not observations:
            return
        advance = run.machine.advance(now, observations)
        self._arm(run, advance.wake_at)
        ended = [o.task_id for o in observations if isinstance(o, TaskFinished)]
        waiters = self._waiters.pop(run.uid, [])
        if not advance and not any(isinstance(o, Operation) for o in observations):
            # nothing changed: nothing to keep; an end that was seen before may be forgotten now
            for task_id in ended:
                self._forget_soon(task_id)
            return
        run.seq += 1
        entry = Entry(
            run_uid=run.uid,
            seq=run.seq,
            now=run.machine.now,
            observations=[encode(o) for o in observations],
            nodes=advance.nodes,
            status=advance.status,
            labels=advance.labels,
            spec=run.spec,
        )
        run.spec = None
        self._unsaved.append(_Unsaved(run, entry, advance.actions, ended, run.machine.finished, waiters))

    def _arm(self, run: _Run, wake_at: datetime | None) -> None:
        if wake_at is not None and (run.wake_at is None or wake_at < run.wake_at):
            run.wake_at = wake_at
            heapq.heappush(self._timers, (wake_at, run.uid))

    async def _admit(self, workflow: Body) -> None:
        uid = workflow["metadata"]["uid"]
        key = key_of(workflow)
        if uid in self._runs or (workflow.get("status") or {}).get("finishedAt"):
            return
        now = self._clock.now()
        self._publish(RunStarted(key, uid, origin_of(workflow), now, revision_of(workflow)))
        try:
            admitted = await self._admitted(workflow)
        except Invalid as error:
            await self._reject(workflow, key, str(error), now)
            return
        run = _Run(key, uid, Machine(workflow, admitted), origin_of(workflow), revision_of(workflow), spec=admitted)
        run.inbox.append(Admitted())
        self._register(run)
        self._dirty[uid] = run

    async def _admitted(self, workflow: Body) -> Body:
        """`admit` wants its templates at hand: fetch each as it asks."""
        known: dict[Key, Body | None] = {}

        def lookup(key: Key) -> Body:
            if key not in known:
                raise _Wanted(key)
            body = known[key]
            if body is None:
                raise NotFound(f"{key} not found")
            return body

        while True:
            try:
                return admit.admit(workflow, lookup, self._defaults)
            except _Wanted as wanted:
                try:
                    known[wanted.key] = await self._store.get(wanted.key)
                except NotFound:
                    known[wanted.key] = None

    async def _reject(self, workflow: Body, key: Key, message: str, now: datetime) -> None:
        uid = workflow["metadata"]["uid"]
        ended = {
            "phase": status.FAILED,
            "message": f"invalid spec: {message}",
            "startedAt": rfc3339(now),
            "finishedAt": rfc3339(now),
            "progress": "0/0",
            "conditions": [{"type": "Completed", "status": "True"}],
        }
        marks = {labels.PHASE: status.FAILED, labels.COMPLETED: "true"}
        with contextlib.suppress(NotFound):
            await self._store.save([Entry(uid, 1, now, [], status=ended, labels=marks)])
        self._publish(RunFinished(key, uid, origin_of(workflow), now, status.FAILED, 0.0, f"invalid spec: {message}"))

    # -- saving and acting ---------------------------------------------------------------------------------------

    async def _retry_unsaved(self) -> None:
        attempt = 0
        while self._unsaved and not await self._save():
            await asyncio.sleep(backoff.delay(attempt, 0.2, 10.0, 0.5))
            attempt += 1

    async def _save(self) -> bool:
        if not self._unsaved:
            return True
        try:
            await self._store.save([unsaved.entry for unsaved in self._unsaved])
        except NotFound:
            # a Workflow was deleted meanwhile: one by one, so that the others are saved
            batch, self._unsaved = self._unsaved, []
            for index, unsaved in enumerate(batch):
                try:
                    await self._store.save([unsaved.entry])
                except NotFound:
                    self._drop(unsaved.run)
                except Unreachable:
                    self._unsaved = batch[index:]
                    return False
                else:
                    await self._after_save([unsaved])
            return True
        except Unreachable as error:
            log.warning("runs cannot be saved, nothing is started meanwhile: %s", error)
            return False
        batch, self._unsaved = self._unsaved, []
        await self._after_save(batch)
        return True

    async def _after_save(self, batch: Sequence[_Unsaved]) -> None:
        for unsaved in batch:
            await self._perform(unsaved.actions)
            for waiter in unsaved.operations:
                if not waiter.done():
                    waiter.set_result(None)
            if unsaved.finished:
                self._finished(unsaved.run)
        if self._executor is not None:
            for unsaved in batch:
                for task_id in unsaved.done:
                    await self._executor.forget(task_id)

    def _finished(self, run: _Run) -> None:
        if run.uid not in self._runs:
            return
        ended = run.machine.workflow_status
        self._drop(run)
        self._logs.stop_following(run.uid)
        seconds = (parse_rfc3339(ended["finishedAt"]) - parse_rfc3339(ended["startedAt"])) / timedelta(seconds=1)
        self._publish(
            RunFinished(
                run.key, run.uid, run.origin, self._clock.now(), ended["phase"], seconds, ended.get("message") or ""
            )
        )

    async def _perform(self, actions: Sequence[Action]) -> None:
        for action in actions:
            if isinstance(action, StartTask):
                self._queue.append(action)
            elif isinstance(action, StopTask):
                if self._unqueue(action.task_id):
                    self.report(TaskFinished(action.task_id, self._clock.now(), status.FAILED, action.reason))
                elif self._executor is not None:
                    await self._executor.stop(action.task_id, action.grace_seconds, action.reason)

    def _unqueue(self, task_id: str) -> bool:
        for task in self._queue:
            if task.task_id == task_id:
                self._queue.remove(task)
                return True
        return False

    async def _pump(self) -> None:
        """Start what waits, as far as the machine's share goes."""
        executor = self._executor
        if executor is None:
            return
        while self._queue and len(self._active) < self._max_tasks and not self._hold:
            task = self._queue.popleft()
            self._active.add(task.task_id)
            if task.active_seconds is not None:
                # counted from the start of the work, not from when it was decided
                limit = self._clock.now() + timedelta(seconds=task.active_seconds)
                task = replace(task, deadline=min(task.deadline or limit, limit))
            await executor.start(task)


class _Wanted(Exception):
    """`admit` needs an object that is not at hand."""

    def __init__(self, key: Key) -> None:
        super().__init__(str(key))
        self.key = key


def origin_of(workflow: Body) -> str:
    """Where a run comes from, as a bounded label: `cron/NAME`, `template/NAME`, `job/NAME` or `workflow`."""
    marks = workflow["metadata"].get("labels") or {}
    for label, word in (
        (labels.LABEL_CRON_WORKFLOW, "cron"),
        (labels.CRON_JOB_NAME, "cron"),
        (labels.LABEL_WORKFLOW_TEMPLATE, "template"),
        (labels.LABEL_CLUSTER_WORKFLOW_TEMPLATE, "template"),
        (labels.JOB_NAME, "job"),
    ):
        if marks.get(label):
            return f"{word}/{marks[label]}"
    return "workflow"


def revision_of(workflow: Body) -> str:
    """The revision that a run was made from; "" where no source stands behind it."""
    return str((workflow["metadata"].get("annotations") or {}).get(labels.REVISION, ""))
