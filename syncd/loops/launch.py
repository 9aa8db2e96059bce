"""Children on their way: from a pending row to a Workflow, and the row closed.

In: fires that `cron.due` decided, whose rows are durable, and rows that a crash left pending. Out: Workflows created or
adopted, closed rows, events. What a store that does not answer leaves undone is tried again until it is too late.
Constructed and called by `loops.fire` only, under its lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from syncd.argo import labels, manifest
from syncd.argo.crons import CronWorkflow
from syncd.argo.manifest import Body, Key
from syncd.base import backoff
from syncd.base.clock import Random
from syncd.base.errors import AlreadyExists, NotFound, SyncdError, Unreachable
from syncd.cluster import api
from syncd.cluster.api import Verb, Write, Written
from syncd.cron import children, due, firing
from syncd.cron.due import Fire
from syncd.cron.ledger import Outcome, Reason, Row
from syncd.loops.crontab import Armed, Crontab
from syncd.observe.events import Event, SlotDecided

BATCH: Final = 250  # writes at once: others get the store and the event loop in between
RETRY_SECONDS: Final = (0.5, 15.0)  # base and cap of the backoff
_HELD: Final = timedelta(seconds=1)  # how often to look whether starts are still held


class Store(api.Objects, api.Ledger, Protocol):
    """What firing needs of a cluster."""


@dataclass(slots=True, eq=False)
class _Attempt:
    """A child that is to be created, not before a moment."""

    armed: Armed
    fire: Fire
    not_before: datetime
    failures: int = 0


class Launch:
    """The children on their way. held, revision_of, instance, batch: as `fire.FireLoop` has them."""

    def __init__(
        self,
        store: Store,
        random: Random,
        publish: Callable[[Event], None],
        tab: Crontab,
        policy: due.Policy,
        held: Callable[[], str],
        revision_of: Callable[[str], str],
        now: Callable[[], datetime],
        instance: str = "",
        batch: int = BATCH,
    ) -> None:
        self._store = store
        self._now = now
        self._instance = instance
        self._batch = batch
        self._random = random
        self._publish = publish
        self._tab = tab
        self._policy = policy
        self._held = held
        self._revision_of = revision_of
        self._attempts: dict[tuple[str, datetime], _Attempt] = {}  # by cron uid and slot
        self._refused: dict[str, SyncdError] = {}  # in the newest pass
        self._unclosed: list[Row] = []  # the fate of their child is known, but the ledger did not answer

    @property
    def unclosed(self) -> frozenset[str]:
        """Children whose row is still pending in the ledger, though they exist: their name is still the lock."""
        return frozenset(row.run for row in self._unclosed)

    def wake_at(self) -> datetime | None:
        """When the next attempt is due; None = there is none."""
        return min((attempt.not_before for attempt in self._attempts.values()), default=None)

    def add(self, armed: Armed, fire: Fire, now: datetime) -> None:
        """Create this child at the next `create`. Its row is durable."""
        armed.starting.add(fire.name)
        self._attempts[armed.cron.uid, fire.slot] = _Attempt(armed, fire, now)

    async def resume(self, pending: Iterable[Row], now: datetime) -> None:
        """Take up rows that were pending when the last daemon ended."""
        orphans: list[Row] = []
        for row in pending:
            armed = self._tab.by_uid(row.cron_uid)
            if armed is None:
                message = f"{row.cron} was deleted, or given to another scheduler, before the run was created"
                orphans.append(due.close(row, now, Outcome.FAILED, Reason.SUBMISSION, message))
            elif (row.cron_uid, row.slot) not in self._attempts and row.run not in self.unclosed:
                self.add(armed, Fire(row.run, row.slot, row), now)
        await self.close(orphans)

    async def drop(self, armed: Armed, now: datetime) -> None:
        """A cron is gone: no child of its is created any more."""
        rows: list[Row] = []
        for attempt in [a for a in self._attempts.values() if a.armed is armed]:
            self._done(attempt)
            message = f"{armed.cron.key} was deleted, or given to another scheduler, before the run was created"
            rows.append(due.close(attempt.fire.row, now, Outcome.FAILED, Reason.SUBMISSION, message))
        if rows:
            await self.close(rows)

    async def create(self, now: datetime) -> Mapping[str, SyncdError]:
        """Create the children whose time has come, in batches; close their rows. Answers those that were refused."""
        held = self._held()
        self._refused = {}
        ready = [attempt for attempt in self._attempts.values() if attempt.not_before <= now]
        ready.sort(
            key=lambda attempt: (attempt.fire.slot, attempt.armed.cron.key)
        )  # after an outage the oldest come first
        for start in range(0, len(ready), self._batch):
            await self._create_batch(ready[start : start + self._batch], held, now)
        return self._refused

    async def _create_batch(self, ready: Sequence[_Attempt], held: str, now: datetime) -> None:
        closed: list[Row] = []
        writes: list[tuple[_Attempt, Write]] = []
        for attempt in ready:
            armed, row = attempt.armed, attempt.fire.row
            too_late = now > due.last_try(armed.cron, row, self._policy)
            if held and not too_late:
                attempt.not_before = now + _HELD
            elif too_late:
                closed.append(await self._gave_up(attempt, held, now))
            else:
                try:
                    body = self._body(attempt)
                except SyncdError as error:
                    closed.append(self._failed(attempt, error, now))
                    continue
                writes.append((attempt, Write(Verb.CREATE, manifest.key_of(body), body)))
        try:
            answers = await self._store.write([write for _, write in writes]) if writes else []
            for (attempt, _), written in zip(writes, answers, strict=True):
                row_closed = await self._created(attempt, written, now)
                if row_closed is not None:
                    closed.append(row_closed)
        except Unreachable as error:
            for attempt, _ in writes:
                self._postpone(attempt, now, error)
        await self.close(closed)

    def _body(self, attempt: _Attempt) -> Body:
        cron, row = attempt.armed.cron, attempt.fire.row
        if row.reason is Reason.MANUAL:
            return firing.manual(cron, row.run, row.slot, self.revision(cron), self._instance)
        return firing.child(cron, row.slot, self.revision(cron), self._instance)

    async def _created(self, attempt: _Attempt, written: Written, now: datetime) -> Row | None:
        """The closed row of an attempt, None = it is to be tried again. AlreadyExists is ours, or somebody else's."""
        armed, row, error, body = attempt.armed, attempt.fire.row, written.error, written.body
        if isinstance(error, Unreachable):
            self._postpone(attempt, now, error)
            return None
        if isinstance(error, AlreadyExists):
            try:
                body, error = await self._store.get(written.key), None
            except NotFound:
                self._postpone(attempt, now)
                return None
            if not firing.owned_by(body, armed.cron):
                self._done(attempt)
                message = f"{written.key} is there already and belongs to something else"
                return due.close(row, now, Outcome.FAILED, Reason.NAME_TAKEN, message)
        if error is not None or body is None:
            return self._failed(attempt, error or Unreachable("the store did not answer with the object"), now)
        return self._adopted(attempt, body, now)

    def _adopted(self, attempt: _Attempt, body: Body, now: datetime) -> Row:
        """The child is there: remember it, and close the row as fired."""
        armed, row = attempt.armed, attempt.fire.row
        self._done(attempt)
        self._tab.child_seen(armed, children.child_of(body))
        status = children.with_condition(armed.cron.status, "SubmissionError", "")
        if row.reason is not Reason.MANUAL:
            last = status.last_scheduled_time
            status = replace(status, last_scheduled_time=row.slot if last is None else max(last, row.slot))
        armed.cron = replace(armed.cron, status=status)
        self._tab.dirty[armed.cron.key] = None
        return due.close(row, now)

    def _failed(self, attempt: _Attempt, error: SyncdError, now: datetime) -> Row:
        """The child was refused: say so in the ledger and on the cron."""
        armed, message = attempt.armed, str(error)
        self._done(attempt)
        self._refused[attempt.fire.name] = error
        status = children.with_condition(armed.cron.status, "SubmissionError", f"Failed to submit Workflow: {message}")
        armed.cron = replace(armed.cron, status=replace(status, failed=status.failed + 1))
        self._tab.dirty[armed.cron.key] = None
        return due.close(attempt.fire.row, now, Outcome.FAILED, Reason.SUBMISSION, message)

    async def _gave_up(self, attempt: _Attempt, held: str, now: datetime) -> Row:
        """It is too late to create the child, unless it was created before a crash and only the row was not closed."""
        armed, row = attempt.armed, attempt.fire.row
        try:
            body = await self._store.get(Key(labels.WORKFLOW, armed.cron.key.namespace, row.run))
            if firing.owned_by(body, armed.cron):
                return self._adopted(attempt, body, now)
        except NotFound:
            pass
        self._done(attempt)
        if held:
            return due.close(row, now, Outcome.MISSED, Reason.DISK_FULL, held)
        message = "it was decided to fire, but the run could not be created in time"
        return due.close(row, now, Outcome.MISSED, Reason.TOO_LATE, message)

    def _postpone(self, attempt: _Attempt, now: datetime, error: Unreachable | None = None) -> None:
        """Again after a backoff, or when the other side has asked for; then at the latest in the last moment that is left."""
        attempt.failures += 1
        growing = timedelta(seconds=backoff.delay(attempt.failures, *RETRY_SECONDS, self._random.jitter()))
        attempt.not_before = now + growing
        if error is not None and error.retry_after_seconds:
            asked = self._now() + timedelta(seconds=error.retry_after_seconds)
            last = due.last_try(attempt.armed.cron, attempt.fire.row, self._policy)
            attempt.not_before = max(attempt.not_before, min(asked, last))

    def _done(self, attempt: _Attempt) -> None:
        self._attempts.pop((attempt.armed.cron.uid, attempt.fire.slot), None)
        attempt.armed.starting.discard(attempt.fire.name)

    async def close(self, rows: Sequence[Row]) -> None:
        """Make closed rows durable, those of earlier tries first, and tell the world. Kept where the ledger is away."""
        self._unclosed += rows
        if not self._unclosed:
            return
        await self._store.record(self._unclosed)
        closed, self._unclosed = self._unclosed, []
        now = self._now()
        for row in closed:
            armed = self._tab.by_uid(row.cron_uid)
            if armed is not None and armed.latest is not None and armed.latest.slot == row.slot:
                armed.latest = row
            fired = row.outcome in (Outcome.FIRED, Outcome.CAUGHT_UP)
            # the children were created just now: `decided_at` is when the pass began
            self._publish(SlotDecided(row, (now - row.slot).total_seconds() if fired else None))

    def revision(self, cron: CronWorkflow) -> str:
        """The revision in force of the source that the cron is from (decision 14)."""
        source = cron.labels.get(labels.OWNER_SOURCE, "")
        return (self._revision_of(source) if source else "") or cron.annotations.get(labels.REVISION, "")
