"""The loop that fires crons: it watches them and their children, asks `cron.due`, and does what that says.

In: a store's CronWorkflows, CronJobs and Workflows. Out: Workflows created, ledger rows, cron status, events.
Constructed by `app`, run by `loops.runner`; `server` calls `trigger`, `suspend`, `resume`, `explain`.

The order that survives a crash anywhere: the row of a slot is durable as PENDING before its child is created, the
child's name is derived from the slot (so creating it again meets itself), and the row is closed after. All crons that
are due at once share one record and few writes. `step` does one pass without sleeping; `run` is the only place that
waits. Nothing here decides: `due` says what happens to a slot, `children` what becomes of the status.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from syncd.argo import labels, manifest
from syncd.argo.crons import CronWorkflow
from syncd.argo.manifest import Body, Key
from syncd.argo.selectors import Requirement, Selector
from syncd.base import backoff
from syncd.base.clock import Clock, Random
from syncd.base.errors import Conflict, NotFound, SyncdError, Unreachable
from syncd.cluster.api import Changed, Page
from syncd.cron import children, due, expectation, explain
from syncd.cron.due import Decision
from syncd.cron.ledger import Outcome, Reason, Row
from syncd.loops import byhand
from syncd.loops.crontab import Armed, Crontab, successor_of
from syncd.loops.expecting import Expecting
from syncd.loops.launch import BATCH, RETRY_SECONDS, Launch, Store
from syncd.loops.standing import Standing, Terminate, stopped
from syncd.observe.events import CronArmed, CronRemoved, Event, SlotDecided

_KINDS: Final = (labels.CRON_WORKFLOW, labels.CRON_JOB)
_LONGEST_SLEEP_SECONDS: Final = 60.0  # so that a jump of the clock is noticed
_BEFORE_MANUAL: Final = 50  # rows to look through for the newest one that is a slot


class FireLoop:
    """See the module. policy: grace, catch-up cap; kinds: those to fire; accepts: False = another scheduler fires it;
    held: why new starts are held back now, "" = they are not; revision_of: the revision in force of a source, by name;
    terminate: ends a run that is replaced, None = by spec.shutdown; finish_within: after its slot, where a cron says nothing;
    instance: id of the workflow-controller that runs the children; batch: children that are created before their rows are closed."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        random: Random,
        publish: Callable[[Event], None],
        *,
        policy: due.Policy = due.Policy(),  # noqa: B008 - frozen
        kinds: Sequence[str] = _KINDS,
        accepts: Callable[[CronWorkflow], bool] = lambda _: True,
        held: Callable[[], str] = lambda: "",
        revision_of: Callable[[str], str] = lambda _: "",
        terminate: Terminate | None = None,
        finish_within: timedelta = expectation.DEFAULT,
        instance: str = "",
        batch: int = BATCH,
    ) -> None:
        self._store = store
        self._clock = clock
        self._random = random
        self._publish = publish
        self._policy = policy
        self._kinds = tuple(kinds)
        self._held = held
        self._tab = Crontab(self._kinds, accepts)
        self._launch = Launch(store, random, publish, self._tab, policy, held, revision_of, clock.now, instance, batch)
        self._standing = Standing(store, self._tab, terminate)
        self._expecting = Expecting(publish, clock.now, finish_within)
        self._changes: deque[Changed] = deque()
        self._retry_at: datetime | None = None
        self._failures = 0
        self._news = asyncio.Event()
        self._lock = asyncio.Lock()

    # ---- the loop

    async def run(self) -> None:
        """Fire until cancelled. Ends with Expired or Unreachable when the watch does: `runner` calls it again."""
        await self._follow(await self.load())

    async def load(self) -> str:
        """List what there is, and take up what a crash has left; the version to watch from. Repeat it at any time."""
        found: list[Changed] = []
        versions: list[str] = []
        with_label = Selector((Requirement(labels.LABEL_CRON_WORKFLOW, "exists"),))
        for kind in (*self._kinds, labels.WORKFLOW):
            async for page in self._pages(kind, with_label if kind == labels.WORKFLOW else None):
                versions.append(page.version)
                found += [_seen(body, page.version) for body in page.items]
        latest = await self._latest_slots()
        pending = await self._store.pending()
        async with self._lock:
            self._tab.latest = latest
            self._changes.clear()
            self._tab.forget_all_but({change.key for change in found})
            for change in found:
                self._tab.take(change)
            await self._close_removed()
            await self._launch.resume(pending, self._clock.now())
            for key, armed in self._tab.armed.items():
                running = {child.uid for child in armed.children.values() if not child.ended}
                if running != {reference.get("uid") for reference in armed.cron.status.active}:
                    self._tab.dirty[key] = None
        return versions[0]

    async def step(self) -> None:
        """One pass: take what the watch brought, fire what is due now, write back what changed."""
        async with self._lock:
            await self._step(self._clock.now())

    def wake_at(self) -> datetime | None:
        """When `step` has something to do, if nothing else happens; None = never."""
        if self._retry_at is not None:  # the store did not answer: all else waits for it
            return self._retry_at
        if self._tab.touched:
            return self._clock.now()
        moments = (self._launch.wake_at(), self._tab.wake_at())
        return min((moment for moment in moments if moment is not None), default=None)

    async def _follow(self, version: str) -> None:
        watcher = asyncio.create_task(self._watch(version))
        try:
            while True:
                self._news.clear()
                await self.step()
                if watcher.done():
                    watcher.result()  # raises why it ended
                    return
                await self._sleep()
        finally:
            watcher.cancel()
            with suppress(asyncio.CancelledError, SyncdError):
                await watcher

    async def _watch(self, version: str) -> None:
        try:
            async for change in self._store.watch((*self._kinds, labels.WORKFLOW), version):
                self._changes.append(change)
                self._news.set()
        finally:
            self._news.set()

    async def _sleep(self) -> None:
        wake_at = self.wake_at()
        seconds = _LONGEST_SLEEP_SECONDS
        if wake_at is not None:
            seconds = min(seconds, max(0.0, (wake_at - self._clock.now()).total_seconds()))
        with suppress(TimeoutError):
            # not wait_for: before Python 3.12 it forgets a cancellation that comes together with the news
            async with asyncio.timeout(seconds):
                await self._news.wait()

    async def _pages(self, kind: str, selector: Selector | None) -> AsyncIterator[Page]:
        after = ""
        while True:
            page = await self._store.list(kind, selector=selector, limit=500, after=after)
            yield page
            after = page.after
            if not after:
                return

    async def _latest_slots(self) -> dict[str, Row]:
        """For every cron, its newest row that is of a slot: a manual one says nothing about the slots before it."""
        latest = dict(await self._store.latest())
        for uid, row in latest.items():
            if row.reason is Reason.MANUAL:
                rows = await self._store.rows(row.cron, limit=_BEFORE_MANUAL)
                older = [r for r in rows if r.cron_uid == uid and r.reason is not Reason.MANUAL]
                latest[uid] = older[0] if older else row
        return latest

    # ---- what people ask

    def next_fires(self) -> list[tuple[Key, datetime | None]]:
        """Every cron and when it fires next; None = never."""
        return sorted(((key, armed.next_fire) for key, armed in self._tab.armed.items()), key=lambda pair: pair[0])

    def next_fire(self, key: Key) -> datetime | None:
        """When a cron fires next; None = never, or there is no such cron."""
        armed = self._tab.armed.get(key)
        return None if armed is None else armed.next_fire

    async def trigger(self, key: Key, *, by: str) -> Body:
        """Run a cron now, whatever its schedule, suspension and concurrency say; its row says who asked.

        Answers the child. Raises NotFound, Invalid (a Job that cannot run as a workflow), Conflict (starts are held),
        Unreachable.
        """
        async with self._lock:
            now = self._clock.now()
            await self._step(now)  # slots before this one get their rows first
            armed = self._known(key)
            if reason := self._held():
                raise Conflict(f"{key} is not started: {reason}")
            revision = self._launch.revision(armed.cron)
            name = f"{key.name}-{self._random.suffix()}"
            row = Row(
                cron=key,
                cron_uid=armed.cron.uid,
                slot=now,
                outcome=Outcome.PENDING,
                reason=Reason.MANUAL,
                decided_at=now,
                until=now,
                run=name,
                message=f"by {by}" if by else "",
                revision=revision,
            )
            await self._store.record([row])
            self._launch.add(armed, due.Fire(name, now, row), now)
            refused = await self._launch.create(now)
            await self._standing.write_back(now, self._launch.unclosed)
            if name in refused:
                raise refused[name]
        try:
            return await self._store.get(Key(labels.WORKFLOW, key.namespace, name))
        except NotFound:
            raise Unreachable(f"{name} is not created yet; it is tried again for a while, see its ledger") from None

    async def suspend(self, key: Key, *, by: str) -> Body:
        """Suspend a cron by hand: survives a sync, until `resume`. Repeating it changes nothing."""
        return await byhand.suspend(self._store, key, True, by=by, now=self._clock.now())

    async def resume(self, key: Key, *, by: str) -> Body:
        """End a suspension, a person's or git's (the latter is a change by hand as well). Repeating changes nothing."""
        return await byhand.suspend(self._store, key, False, by=by, now=self._clock.now())

    async def explain(self, key: Key, slot: datetime | None = None, limit: int = 20) -> dict[str, Any]:
        """Why it did or did not run: `cron.explain` as JSON. limit: how many rows to tell. Raises NotFound."""
        armed = self._known(key)
        wanted = max(limit, 20) if slot is None else max(limit, 10_000)
        rows = [row for row in await self._store.rows(key, limit=wanted) if row.cron_uid == armed.cron.uid]
        told = explain.explain(armed.cron, rows, self._clock.now(), slot).to_json()
        told["rows"] = told["rows"][: max(limit, 0)]
        return told

    def _known(self, key: Key) -> Armed:
        armed = self._tab.armed.get(key)
        if armed is None:
            raise NotFound(f"{key} not found")
        return armed

    # ---- one pass

    async def _step(self, now: datetime) -> None:
        self._retry_at = None
        try:
            while self._changes:
                self._tab.take(self._changes.popleft())
            await self._close_removed()
            await self._launch.close([])
            await self._decide(now)
            await self._standing.end_replaced()
            await self._launch.create(now)
            self._tell_expectations()
            await self._standing.write_back(now, self._launch.unclosed)
            self._failures = 0
        except Unreachable as error:
            # whatever was not done is still noted: rows pending, crons touched, status dirty
            self._failures += 1
            seconds = max(self._delay(self._failures), min(error.retry_after_seconds or 0.0, RETRY_SECONDS[1]))
            self._retry_at = now + timedelta(seconds=seconds)

    async def _decide(self, now: datetime) -> None:
        """Ask about every cron that is due; one durable record for all of them, before anything is done."""
        asked = self._tab.take_due(now)
        decisions = [due.due(armed.cron, now, armed.history, self._policy) for armed in asked]
        rows = [row for decision in decisions for row in decision.rows]
        if rows:
            try:
                await self._store.record(rows)
            except BaseException:
                self._tab.touched.update({armed.cron.key: None for armed in asked})
                raise
        for armed, decision in zip(asked, decisions, strict=True):
            self._apply(armed, decision, now)

    def _apply(self, armed: Armed, decision: Decision, now: datetime) -> None:
        """Remember a decision whose rows are durable: what follows from it is done in this pass, or tried again."""
        key = armed.cron.key
        self._tab.unsure[key] = None
        if decision.rows:
            armed.latest = decision.rows[-1]
        for row in decision.rows:
            if (until := expectation.excused(row)) is not None:
                armed.expected.excuse(until)
        for row in decision.told:
            if row.outcome is not Outcome.PENDING:
                self._publish(SlotDecided(row))
        for fire in decision.fires:
            self._launch.add(armed, fire, now)
        self._standing.end(key.namespace, decision.terminate)
        self._restate(armed, decision)
        wake_at = decision.wake_at
        if armed.successor is not None:
            schedules = armed.cron.schedule_text
            armed.cron, armed.successor = successor_of(armed), None
            if armed.cron.schedule_text != schedules:
                armed.since = now
                armed.expected.excuse(now)
            following = due.due(armed.cron, now, armed.history, self._policy)  # no slot is left: only when to wake
            self._restate(armed, following)
            wake_at = following.wake_at
        self._tab.arm(armed, wake_at)
        halted = armed.cron.suspend or armed.cron.stopped
        next_fire = None if halted else wake_at
        if not armed.announced or next_fire != armed.next_fire:
            armed.announced, armed.next_fire = True, next_fire
            self._publish(CronArmed(key, next_fire, armed.cron.timezone))

    def _tell_expectations(self) -> None:
        keys, self._tab.unsure = self._tab.unsure, {}
        for armed in (self._tab.armed[key] for key in keys if key in self._tab.armed):
            self._expecting.tell(armed.cron, armed.expected, armed.children, armed.latest)

    def _restate(self, armed: Armed, decision: Decision) -> None:
        """Put into the cron's status and annotations what a decision says of it."""
        cron = armed.cron
        status = children.with_condition(cron.status, "SpecError", decision.problem)
        changed = replace(cron, status=status)
        if decision.stop:
            changed = stopped(changed)
        if decision.schedules_changed:
            notes = {**cron.annotations, labels.LAST_USED_SCHEDULE: cron.schedule_text}
            changed = replace(changed, annotations=notes)
        if changed != cron:
            armed.cron = changed
            self._tab.dirty[cron.key] = None

    async def _close_removed(self) -> None:
        removed, self._tab.removed = self._tab.removed, []
        for armed in removed:
            self._publish(CronRemoved(armed.cron.key))
            await self._launch.drop(armed, self._clock.now())

    def _delay(self, failures: int) -> float:
        return backoff.delay(failures, *RETRY_SECONDS, self._random.jitter())


def _seen(body: Body, version: str) -> Changed:
    """An object of a list as a change; of a Workflow without its spec: all of them are in memory until the list is complete."""
    kept = body if body.get("kind") != labels.WORKFLOW else {k: v for k, v in body.items() if k != "spec"}
    return Changed("MODIFIED", manifest.key_of(body), kept, version)
