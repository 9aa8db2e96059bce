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
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from syncd.argo import labels, status
from syncd.argo.manifest import Body, Key, key_of
from syncd.argo.origin import origin_of, revision_of
from syncd.base import backoff
from syncd.base.clock import Clock, parse_rfc3339, rfc3339
from syncd.base.errors import Conflict, Defect, Expired, Invalid, NotFound, SyncdError, Unreachable
from syncd.cluster.api import Entry, Store
from syncd.engine import operations
from syncd.engine.actions import Action
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
from syncd.loops import admission
from syncd.loops.starting import Starts
from syncd.observe.events import Event, RunFinished, RunStarted

log = logging.getLogger(__name__)

_SOON = 0.05  # seconds that a mere TaskStarted waits for company
_ADMITTED_AT_ONCE = 500
_LONGEST_SLEEP = 60.0  # seconds: a clock that jumped is noticed after so long


@dataclass(slots=True, eq=False)
class _Run:
    """One unfinished run in memory. seq: of its last entry; spec: to be saved with the first entry, None afterwards;
    announced: RunStarted was told of this epoch, and RunFinished was not."""

    key: Key
    uid: str
    machine: Machine
    origin: str
    revision: str
    seq: int = 0
    inbox: list[Observation] = field(default_factory=list)
    spec: Body | None = None
    wake_at: datetime | None = None
    announced: bool = False


@dataclass(slots=True)
class _Unsaved:
    """A step that is decided and not yet durable. done: tasks whose end it makes durable."""

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
        self._defaults = defaults
        self._runs: dict[str, _Run] = {}
        self._by_key: dict[Key, _Run] = {}
        self._dirty: dict[str, _Run] = {}
        self._timers: list[tuple[datetime, str]] = []
        self._unsaved: list[_Unsaved] = []
        self._starts = Starts(clock, self.report, max_tasks)
        self._new: deque[Body] = deque()
        self._admitting = asyncio.Lock()
        self._waiters: dict[str, list[asyncio.Future[None]]] = {}
        self._wake = asyncio.Event()
        self._soon: asyncio.TimerHandle | None = None
        self._behind: set[asyncio.Task[None]] = set()
        self.ready = False

    def attach(self, executor: Executor) -> None:
        """The executor is made after the loop, since it reports to it."""
        self._starts.executor = executor

    # -- what others call ----------------------------------------------------------------------------------------

    def report(self, observation: TaskStarted | TaskFinished | TaskProgress) -> None:
        """An observation of the executor; never blocks."""
        task_id = observation.task_id
        run = self._runs.get(task_id.rsplit(".", 2)[0])
        if isinstance(observation, TaskFinished):
            self._starts.ended(task_id)
        elif isinstance(observation, TaskStarted) and (stop := self._starts.started(task_id)) is not None:
            self._later(self._starts.stop(stop))
        if run is None:
            # a run that was deleted meanwhile
            if isinstance(observation, TaskFinished):
                self._forget_soon(task_id)
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
        if self._starts.executor is not None:
            self._later(self._starts.executor.forget(task_id))

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._behind.add(task)
        task.add_done_callback(self._behind_done)

    def _behind_done(self, task: asyncio.Task[None]) -> None:
        self._behind.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("the executor failed: %s", error)

    async def operate(self, key: Key, verb: str, arguments: Mapping[str, Any], *, by: str) -> Body:
        """Suspend, resume, stop, terminate, set or retry a run; answers the Workflow once it is durable.

        Raises NotFound, Conflict, Invalid, and Unreachable while a restart takes up its runs.
        """
        operation = Operation(verb, by, dict(arguments))
        run = self._by_key.get(key) or await self._taken_up(key)
        if run is None:
            run = await self._begun_again(await self._store.get(key), operation)
        else:
            operations.check(run.machine, operation)
            if run.uid in self._runs:
                # another one has asked at the same time and was first to read the journal
                run = self._runs[run.uid]
                operations.check(run.machine, operation)
            self._register(run)
            run.inbox.append(operation)
        self._dirty[run.uid] = run
        saved: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(run.uid, []).append(saved)
        self._wake.set()
        await saved
        return await self._store.get(key)

    async def _taken_up(self, key: Key) -> _Run | None:
        """A run that is not in memory: not admitted yet, or ended long ago. None: it was refused before it began."""
        body = await self._store.get(key)
        if not self.ready:
            # its tasks would not be adopted
            raise Unreachable("unfinished runs are being taken up; try again in a moment")
        uid = body["metadata"]["uid"]
        if await self._store.spec(uid) is not None:
            return await self._load(body, uid)
        await self._admit(body)
        return self._by_key.get(key)

    async def _begun_again(self, body: Body, operation: Operation) -> _Run:
        """A Workflow that was refused, for what it lacked may be there by now. Raises Invalid where it is not."""
        key = key_of(body)
        if operation.verb != "retry":
            raise Conflict(f"workflow {key.name} was refused before it began; only retry and resubmit are possible")
        async with self._admitting:
            run = await admission.admitted(self._store, body, self._defaults)
            given = operations.values_of(operation.arguments.get("parameters") or ())
            run = {**run, "spec": operations.overridden(run["spec"], given)}
            if key in self._by_key:
                return self._by_key[key]
            return self._begin(body, run, seq=1)

    def _begin(self, workflow: Body, admitted: Body, seq: int = 0) -> _Run:
        machine = Machine(workflow, admitted)
        run = _Run(
            key_of(workflow), machine.uid, machine, origin_of(workflow), revision_of(workflow), seq, spec=admitted
        )
        run.inbox.append(Admitted())
        self._register(run)
        self._dirty[run.uid] = run
        return run

    async def forget(self, key: Key, uid: str = "") -> None:
        """The Workflow was deleted: end its tasks, drop its machine and logs. uid: only where it is that one, "" = any."""
        run = self._by_key.get(key)
        if run is not None and uid in ("", run.uid):
            await self._abandon(run, "the workflow was deleted")

    async def _abandon(self, run: _Run, reason: str) -> None:
        self._drop(run)
        self._logs.stop_following(run.uid)
        if run.announced:
            run.announced = False
            begun = run.machine.started_at or self._clock.now()
            seconds = max(0.0, (self._clock.now() - begun).total_seconds())
            ended = RunFinished(run.key, run.uid, run.origin, self._clock.now(), status.FAILED, seconds, reason)
            self._publish(ended)
        await self._starts.abandon(list(run.machine.tasks), reason)

    def hold(self, reason: str) -> None:
        """Start no task while there is a reason not to (a full disk); "" lets them go on."""
        self._starts.hold = reason
        self._wake.set()

    @property
    def held(self) -> str:
        """Why nothing is started now; "" = it is."""
        return self._starts.hold

    @property
    def running(self) -> list[tuple[Key, str]]:
        """Workflow and task id of everything that runs now."""
        return [
            (run.key, task_id)
            for run in self._runs.values()
            for task_id in run.machine.tasks
            if task_id in self._starts
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
            watcher.add_done_callback(lambda _: self._wake.set())
            failures = 0
            while True:
                if watcher.done():
                    await watcher
                await self.step()
                if self._unsaved:
                    failures += 1
                    await asyncio.sleep(backoff.delay(failures, 0.2, 10.0, 0.5))
                    continue
                failures = 0
                await self._sleep()
        finally:
            if watcher is not None:
                watcher.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await watcher

    async def _sleep(self) -> None:
        if self._new:
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
        self._new.clear()
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
            except Unreachable:
                raise
            except SyncdError as error:
                log.error("run %s cannot be taken up again and is left as it is: %s", key, error)
                unreadable = True
                continue
            self._register(run)
            self._announce(run)
            run.inbox.append(Tick())
            self._dirty[uid] = run
            await self._starts.take_up(run.machine.outstanding())
        executor = self._starts.executor
        if executor is not None and not unreadable:
            await executor.tidy([task_id for run in self._runs.values() for task_id in run.machine.tasks])
        self.ready = True
        return page.version

    async def _load(self, body: Body, uid: str) -> _Run:
        """A run's machine, from its journal. Raises Conflict where there is none, Defect where it cannot be replayed."""
        spec = await self._store.spec(uid)
        name = body["metadata"]["name"]
        if spec is None:
            raise Conflict(f"workflow {name} is not admitted yet; try again in a moment")
        machine = Machine(body, spec)
        run = _Run(key_of(body), uid, machine, origin_of(body), revision_of(body))
        async for entry in self._store.load(uid):
            try:
                machine.advance(entry.now, [decode(o) for o in entry.observations])
            except SyncdError:
                raise
            except Exception as error:
                log.exception("the journal of run %s cannot be replayed", run.key)
                raise Defect(f"the journal of workflow {name} cannot be replayed; resubmit it instead") from error
            run.seq = entry.seq
        if run.seq == 0:
            raise Conflict(f"the journal of workflow {name} is gone; resubmit it instead")
        return run

    def _register(self, run: _Run) -> None:
        self._runs[run.uid] = run
        self._by_key[run.key] = run

    def _drop(self, run: _Run) -> None:
        """Let go of the run. Whoever waits for an operation reads the Workflow as it is."""
        if self._runs.get(run.uid) is run:
            del self._runs[run.uid]
        if self._by_key.get(run.key) is run:
            del self._by_key[run.key]
        self._dirty.pop(run.uid, None)
        for waiter in self._waiters.pop(run.uid, []):
            if not waiter.done():
                waiter.set_result(None)
        for observation in run.inbox:
            if isinstance(observation, TaskFinished):
                self._forget_soon(observation.task_id)
        run.inbox = []

    def _announce(self, run: _Run) -> None:
        if not run.announced:
            run.announced = True
            self._publish(RunStarted(run.key, run.uid, run.origin, self._clock.now(), run.revision))

    async def _watch(self, version: str) -> None:
        while True:
            try:
                async for change in self._store.watch([labels.WORKFLOW], version):
                    version = change.version
                    if change.kind == "ADDED":
                        self._new.append(change.body)
                        self._wake.set()
                    elif change.kind == "DELETED":
                        await self.forget(change.key, str(change.body["metadata"].get("uid") or ""))
            except Expired:
                version = await self._relist()

    async def _relist(self) -> str:
        """The watch fell behind: take up what is not known yet, let go of what is no longer there."""
        page = await self._store.list(labels.WORKFLOW, limit=1)
        known = dict(self._by_key)
        for key in await self._store.unfinished():
            with contextlib.suppress(NotFound):
                body = await self._store.get(key)
                run = known.pop(key, None)
                if run is None or run.uid != body["metadata"]["uid"]:
                    self._new.append(body)
                if run is not None:
                    await self._forget_unless(run, body)
        for key, run in known.items():
            try:
                await self._forget_unless(run, await self._store.get(key))
            except NotFound:
                await self.forget(key, run.uid)
        self._wake.set()
        return page.version

    async def _forget_unless(self, run: _Run, live: Body) -> None:
        if live["metadata"]["uid"] != run.uid:
            await self.forget(run.key, run.uid)

    async def step(self) -> None:
        """One round: admit what is new, take in what was observed, save, act. While saving fails nothing else happens."""
        if not await self._save():
            return
        for _ in range(min(len(self._new), _ADMITTED_AT_ONCE)):
            await self._admit(self._new[0])
            self._new.popleft()
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
        if await self._save():
            await self._starts.pump()

    def _advance(self, run: _Run, now: datetime) -> None:
        observations, run.inbox = run.inbox, []
        if not observations:
            return
        try:
            advance = run.machine.advance(now, observations)
        except Exception as error:
            # one run that hits a defect must not stop all others
            log.exception("run %s: a defect of syncd; please report it", run.key)
            run.machine.give_up(f"a defect of syncd, please report it: {type(error).__name__}: {error}"[:1000])
            advance = run.machine.advance(now, [])
        self._arm(run, advance.wake_at)
        ended = [o.task_id for o in observations if isinstance(o, TaskFinished)]
        if not advance and not any(isinstance(o, Operation) for o in observations):
            # nothing changed: nothing to keep; an end that was seen before may be forgotten now
            for task_id in ended:
                self._forget_soon(task_id)
            return
        waiters = self._waiters.pop(run.uid, [])
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
        if wake_at is None or (run.wake_at is not None and run.wake_at <= wake_at):
            return
        run.wake_at = wake_at
        heapq.heappush(self._timers, (wake_at, run.uid))
        if len(self._timers) > 4 * len(self._runs) + 1000:
            # what finished runs and earlier alarms have left
            self._timers = [(r.wake_at, r.uid) for r in self._runs.values() if r.wake_at is not None]
            heapq.heapify(self._timers)

    async def _admit(self, workflow: Body) -> None:
        """Make a run of a new Workflow; one that is known or has ended changes nothing."""
        async with self._admitting:
            uid = workflow["metadata"]["uid"]
            key = key_of(workflow)
            if uid in self._runs or (workflow.get("status") or {}).get("finishedAt"):
                return
            try:
                admitted = await admission.admitted(self._store, workflow, self._defaults)
                if await self._store.spec(uid) is None:  # else it was admitted long ago, and has ended since
                    self._begin(workflow, admitted)
            except Unreachable:
                raise
            except Invalid as error:
                await self._refuse(workflow, str(error))
            except Exception as error:
                # one that hits a defect must not keep all others from beginning
                log.exception("run %s: a defect of syncd; please report it", key)
                await self._refuse(
                    workflow, f"a defect of syncd, please report it: {type(error).__name__}: {error}"[:1000]
                )

    async def _refuse(self, workflow: Body, message: str) -> None:
        now, key, uid = self._clock.now(), key_of(workflow), workflow["metadata"]["uid"]
        told = f"invalid spec: {message}"
        try:
            await self._store.save([admission.refusal(workflow, told, now)])
        except (NotFound, Conflict):
            return  # deleted meanwhile, or refused before
        origin = origin_of(workflow)
        self._publish(RunStarted(key, uid, origin, now, revision_of(workflow)))
        self._publish(RunFinished(key, uid, origin, now, status.FAILED, 0.0, told))

    # -- saving and acting ---------------------------------------------------------------------------------------

    async def _save(self) -> bool:
        """Make durable what is decided, in order; then act on it. False: it must be tried again, nothing was acted on."""
        if not self._unsaved:
            return True
        batch = list(self._unsaved)
        try:
            await self._store.save([unsaved.entry for unsaved in batch])
        except Unreachable as error:
            log.warning("runs cannot be saved, nothing is started meanwhile: %s", error)
            return False
        except (NotFound, Conflict, Defect):
            # one of them cannot be saved: each by itself, so that the others are
            return await self._save_each(batch)
        del self._unsaved[: len(batch)]
        await self._after_save(batch)
        return True

    async def _save_each(self, batch: Sequence[_Unsaved]) -> bool:
        for unsaved in batch:
            if self._runs.get(unsaved.run.uid) is not unsaved.run:
                self._unsaved.remove(unsaved)  # deleted or given up meanwhile
                continue
            try:
                await self._store.save([unsaved.entry])
            except Unreachable as error:
                log.warning("runs cannot be saved, nothing is started meanwhile: %s", error)
                return False
            except NotFound:
                self._unsaved.remove(unsaved)
                await self._abandon(unsaved.run, "the workflow was deleted")
                continue
            except (Conflict, Defect) as error:
                if not await self._is_saved(unsaved.entry):
                    self._unsaved.remove(unsaved)
                    await self._give_up(unsaved, error)
                    continue
            self._unsaved.remove(unsaved)
            await self._after_save([unsaved])
        return True

    async def _is_saved(self, entry: Entry) -> bool:
        """Whether the entry was made durable by a try that seemed to fail."""
        with contextlib.suppress(SyncdError):
            async for held in self._store.load(entry.run_uid):
                if held.seq == entry.seq:
                    return held.now == entry.now and list(held.observations) == list(entry.observations)
        return False

    async def _give_up(self, unsaved: _Unsaved, error: SyncdError) -> None:
        """A step that can never be saved: the run ends with that."""
        run = unsaved.run
        if self._runs.get(run.uid) is not run:
            return
        log.error("run %s cannot be saved and is ended: %s", run.key, error)
        now = self._clock.now()
        message = f"a defect of syncd, please report it: {error}"[:1000]
        ended = {**run.machine.workflow_status, "phase": status.ERROR, "message": message, "finishedAt": rfc3339(now)}
        ended.setdefault("startedAt", rfc3339(now))
        marks = {labels.PHASE: status.ERROR, labels.COMPLETED: "true"}
        with contextlib.suppress(SyncdError):
            await self._store.save([Entry(run.uid, unsaved.entry.seq, now, [], status=ended, labels=marks)])
        for waiter in unsaved.operations:
            if not waiter.done():
                waiter.set_exception(error)
        await self._abandon(run, message)

    async def _after_save(self, batch: Sequence[_Unsaved]) -> None:
        for unsaved in batch:
            run = unsaved.run
            if self._runs.get(run.uid) is run:
                # else it was deleted while it was saved, and its tasks were ended then
                self._announce(run)
                await self._starts.perform(unsaved.actions)
            for waiter in unsaved.operations:
                if not waiter.done():
                    waiter.set_result(None)
            if unsaved.finished:
                self._finished(run)
        # what comes next runs while what has ended is cleared away
        await self._starts.pump()
        executor = self._starts.executor
        if executor is not None:
            for unsaved in batch:
                for task_id in unsaved.done:
                    await executor.forget(task_id)

    def _finished(self, run: _Run) -> None:
        if self._runs.get(run.uid) is not run:
            return
        ended = run.machine.workflow_status
        if run.announced and run.machine.finished:
            run.announced = False
            self._logs.stop_following(run.uid)
            seconds = (parse_rfc3339(ended["finishedAt"]) - parse_rfc3339(ended["startedAt"])) / timedelta(seconds=1)
            message = ended.get("message") or ""
            now = self._clock.now()
            self._publish(RunFinished(run.key, run.uid, run.origin, now, ended["phase"], seconds, message))
        waiting = any(isinstance(observation, Operation) for observation in run.inbox)
        if run.machine.finished and not waiting and not any(unsaved.run is run for unsaved in self._unsaved):
            self._drop(run)


__all__ = ["RunLoop", "origin_of", "revision_of"]
