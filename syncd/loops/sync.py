"""The sync loop of one source: what git says comes into force, or is held with everything in force left as it is.

    poll ──moved──▶ take in (fetch, decode, lint) ──▶ errors? ──▶ plan ──▶ refused? guard? rejected? ──▶ apply ──▶ say so
      ▲                                                 │ held                 │ held: only repair               │
      └───────────────── interval, a hint, a request ◀──┴──────────────────────┴─────────────────────────────────┘
    watch ──differs──▶ repair ──▶ say so

In: a `Source`, the store, a clock, randomness. Out: objects in the store, events, a `Condition` for whoever asks. Made by
`app`, run by `loops.runner`; the server calls `status`, `problems`, `ignored`, `plan_preview`, `request_sync`, `approve`; whoever
watches the store calls `noticed`. What follows from a revision, and from an event of the watch, is `loops.upkeep`.

Costs: a poll that finds nothing new touches neither store nor disk. A commit costs what it changed: keys touched since
the last apply are *pending*, and only these are planned. An event of the watch costs a comparison in memory, and one that
tells of a difference a read and a write. Everything is compared at the start, at every `drift_interval` and when a person
asks for a sync.

What is in force changes only in `apply`. A source that cannot be reached, a commit with an error, a plan that the guard holds
or the store would reject, a store that does not answer: the last good revision stays, the pending keys stay pending, and the
condition says why. After a restart everything is pending: what is in place is found to be so, and nothing is written.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from syncd.base.clock import Clock, Random, rfc3339
from syncd.base.errors import Conflict, SyncdError, Unreachable
from syncd.base.problems import Problem
from syncd.cluster.api import Changed, Store
from syncd.loops import intake
from syncd.loops.condition import Condition, SyncReport, stated, synced
from syncd.loops.holding import first_line
from syncd.loops.terms import Options
from syncd.loops.upkeep import Upkeep
from syncd.observe.events import Event, SourceChecked, SourceRemoved
from syncd.plan import guard
from syncd.source.api import Revision, Source

__all__ = ["Options", "SyncLoop"]

log = logging.getLogger(__name__)


class SyncLoop:
    """One source. Use from one event loop; every method may be called while `run` runs."""

    def __init__(
        self,
        source: Source,
        store: Store,
        clock: Clock,
        random: Random,
        publish: Callable[[Event], None],
        options: Options,
        workspace: intake.Workspace,
    ) -> None:
        self.name = source.name
        self._source = source
        self._clock = clock
        self._random = random
        self._publish = publish
        self._options = options
        self._intake = intake.Intake(source, store, workspace, options.decode)
        self._upkeep = Upkeep(source.name, store, clock, publish, options, self._intake)
        self._records = self._upkeep.records
        self._loaded = False
        self._again = True  # something is left to do although the source has not moved
        self._compared_at: float | None = None  # monotonic, of the last full comparison
        self._look = True  # somebody wants a poll now
        self._poll_at = 0.0  # monotonic: when the next one is due
        self._concluded = ("starting", "", "")  # state, reason and message of the last step that was more than a look
        self._condition = Condition(source.name, source.describe())
        self._well_at: float | None = None
        self._lock = asyncio.Lock()
        self._wake = asyncio.Event()
        self._tickets: list[asyncio.Future[None]] = []

    # For the server and the CLI

    def status(self) -> dict[str, Any]:
        """How the source is; `condition.Condition.to_json`."""
        return self._condition.to_json()

    def problems(self) -> list[Problem]:
        """All problems of the revision that the source stands at, in order of their places."""
        return sorted([*self._intake.problems, *self._upkeep.findings.refused.values()])

    def ignored(self) -> list[tuple[str, str]]:
        """(path or path:line, why) of everything in the source that is not syncd's."""
        return list(self._intake.ignored)

    async def plan_preview(self) -> dict[str, Any]:
        """What a sync would do now, held or not, with every difference: `plan.Plan.to_json` and the revision.

        Raises Unreachable while the source has not been read yet.
        """
        async with self._lock:
            if self._intake.fetched is None:
                raise Unreachable(f"source {self.name} has not been read yet; try again in a moment")
            await self._load()
            keys = self._upkeep.everything() - self._intake.broken()
            revision = self._intake.fetched.revision
            preview = await self._upkeep.plan(keys, str(revision), revision.commit)
            held = self._condition.held
        return {"source": self.name, "revision": self._intake.revision, "held": held, **preview.to_json()}

    async def request_sync(self, wait: bool = True) -> dict[str, Any]:
        """Poll and compare everything now. wait: until a step that begins after this call has ended. Answers the status."""
        ticket: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tickets.append(ticket)
        self.nudge()
        if wait:
            await ticket
        return self.status()

    async def approve(self, revision: str, by: str) -> dict[str, Any]:
        """Let the held plan of this revision happen. revision: as shown, its commit, or 7 digits of that.

        Raises Conflict when the source is not held by the guard, or is held at another revision.
        """
        async with self._lock:
            held = self._condition.held
            if held is None:
                raise Conflict(f"source {self.name} is not held; there is nothing to approve")
            if held["reason"] != "guard":
                raise Conflict(
                    f"source {self.name} is held by {held['reason']}, which cannot be approved; see its problems"
                )
            if not guard.approves(revision, held["revision"]):
                raise Conflict(
                    f"source {self.name} is held at {held['revision']}, not at {revision}; read its plan again"
                )
            await self._records.approve(revision=held["revision"], by=by, at=self._now())
            self._again = True
        log.info("source %s: %s approved by %s", self.name, held["revision"], by)
        self.nudge()
        return self.status()

    def nudge(self) -> None:
        """Something may have changed that this source waits for (a template of another source): look soon."""
        self._look = True
        self._wake.set()

    def noticed(self, changed: Changed) -> None:
        """For whoever watches the store, at every event of the kinds that sources bring: an object was made, changed or deleted.

        Where it is this source's and differs from what is wanted, it is put right soon, without a poll. Costs no I/O; our own
        writes, changes of status, and objects of others come to nothing.
        """
        if self._upkeep.saw(changed):
            self._state(*self._concluded)
        if changed.key in self._upkeep.noticed:
            self._wake.set()

    # For the runner

    async def run(self) -> None:
        """Poll for ever, and put right what is noticed in between, also while the source does not answer.

        Errors of the source and the store pass through, to be sorted by the runner, which calls again.
        """
        hints = asyncio.create_task(self._listen(), name=f"hints of {self.name}")
        noticed = self._upkeep.noticed
        try:
            while True:
                if noticed.due(self._clock.monotonic()):
                    await self.step(poll=False)
                if self._look or self._clock.monotonic() >= self._poll_at:
                    await self.step()
                    seconds = self._options.interval.total_seconds() * (0.9 + 0.2 * self._random.jitter())
                    self._poll_at = self._clock.monotonic() + seconds
                now = self._clock.monotonic()
                due, left = noticed.due_in(now), max(0.0, self._poll_at - now)
                if not self._look:
                    self._wake.clear()
                    await self._rest(left if due is None else min(left, due))
        finally:
            hints.cancel()
            await asyncio.gather(hints, return_exceptions=True)

    def well_at(self) -> float | None:
        """When a step last ended without an error, in monotonic seconds."""
        return self._well_at

    async def rest(self, seconds: float) -> None:
        """Wait so long after a failure, or until somebody asks for a sync, the source hints, or an object is noticed to differ."""
        self._poll_at = self._clock.monotonic() + seconds
        await self._rest(seconds)

    async def _rest(self, seconds: float) -> None:
        next_poll = self._clock.now() + timedelta(seconds=self._poll_at - self._clock.monotonic())
        self._condition = replace(self._condition, next_poll=next_poll)
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def close(self, removed: bool = False) -> None:
        """Let go of the source. removed: it is no longer configured: its series go; its objects stay."""
        for ticket in self._tickets:
            if not ticket.done():
                ticket.set_result(None)
        await self._source.close()
        if removed:
            self._publish(SourceRemoved(self.name))

    async def _listen(self) -> None:
        try:
            async for _ in self._source.hints():
                self.nudge()
        except SyncdError as error:
            log.warning("source %s: no hints of changes any more, polling goes on: %s", self.name, error)

    # One step

    async def step(self, *, full: bool = False, poll: bool = True) -> SyncReport:
        """One poll, and whatever follows from it. full: compare everything, changed or not; poll: False = only put right what was
        noticed, without asking the source.

        Raises what source and store raise, with everything in force as it was and the condition saying so.
        """
        self._wake.clear()
        async with self._lock:
            tickets, self._tickets = self._tickets, []
            poll = poll or bool(tickets) or self._intake.fetched is None
            if poll:
                self._look = False
            started = self._clock.monotonic()
            try:
                report = await self._step(full or bool(tickets) or self._is_drift_due(), bool(tickets), started, poll)
            except Exception as error:
                self._upkeep.noticed.corrected(self._upkeep.noticed.due(started), self._clock.monotonic())
                self._fail(error, started)
                raise
            finally:
                for ticket in tickets:
                    if not ticket.done():
                        ticket.set_result(None)
            self._well_at = self._clock.monotonic()
            return report

    async def _step(self, full: bool, asked: bool, started: float, poll: bool) -> SyncReport:
        await self._load()
        if self._options.suspended:
            return self._conclude(
                SyncReport("suspended", "suspended", "suspended in the configuration"), started, asked
            )
        fetched, upkeep = self._intake.fetched, self._upkeep
        revision = await self._poll(started) if poll or fetched is None else fetched.revision
        moved = fetched is None or fetched.revision != revision
        if poll and not moved and (full or self._concluded[1] == "problems"):
            self._again = await self._intake.look_around(refresh=full) or self._again
            upkeep.saw_late()
        again = (poll and (self._again or upkeep.is_retry_due(started))) or upkeep.way_is_clear
        if moved or full or again:
            self._again = True
            if moved:
                await self._take(revision)
            report = await upkeep.bring(revision, full)
            if full:
                self._compared_at = self._clock.monotonic()
            self._again = report.result == "failed"
        elif upkeep.noticed.due(started) or (poll and upkeep.findings.waiting):
            report = await upkeep.repair(full=False)
            if self._concluded[0] == "held":
                report = replace(report, result="held", reason=self._concluded[1], message=self._concluded[2])
        else:
            result, reason, message = self._concluded
            told = self._condition
            if (told.result, told.reason, told.message) != self._concluded:  # it had failed, and goes on as before
                self._state(result, reason, message)
            return SyncReport(result, reason, message, str(revision), self._records.revision)
        return self._conclude(replace(report, moved=moved), started, moved or asked)

    async def _load(self) -> None:
        if not self._loaded:
            await self._records.load()
            self._loaded = True

    async def _poll(self, started: float) -> Revision:
        try:
            revision = await self._source.poll()
        except SyncdError as error:
            self._publish(self._checked(started, error=first_line(error)))
            raise
        moved = self._intake.fetched is None or self._intake.fetched.revision != revision
        self._publish(self._checked(started, revision=str(revision), moved=moved))
        self._condition = replace(self._condition, contact_at=self._clock.now(), ref=revision.ref, seen=str(revision))
        return revision

    def _checked(self, started: float, **more: Any) -> SourceChecked:
        return SourceChecked(self.name, self._clock.now(), self._clock.monotonic() - started, **more)

    def _is_drift_due(self) -> bool:
        if self._compared_at is None:
            return True
        return self._clock.monotonic() - self._compared_at >= self._options.drift_interval.total_seconds()

    async def _take(self, revision: Revision) -> None:
        first = self._intake.fetched is None
        await self._intake.take(revision)
        if first:  # nothing is known of what an earlier process did
            self._intake.pending |= self._upkeep.everything()
        self._upkeep.moved()

    # Saying so

    def _conclude(self, report: SyncReport, started: float, telling: bool) -> SyncReport:
        """The end of a step that was more than a look: the condition, and an event where there is something to tell."""
        report = replace(report, seconds=self._clock.monotonic() - started)
        state = "applied" if report.result == "unchanged" else report.result
        telling = telling or report.result == "applied" or self._concluded[:2] != (state, report.reason)
        telling = telling or bool(report.drifted) or self._condition.conflicts != self._upkeep.findings.conflicts
        self._concluded = (state, report.reason, report.message)
        self._state(*self._concluded)
        if telling:
            self._condition = replace(self._condition, synced_at=self._clock.now(), last=report.counts())
            self._publish(synced(self._condition, report, self._clock.now()))
        return report

    def _state(self, result: str, reason: str, message: str) -> None:
        """Replace the condition by what is so now."""
        self._condition = stated(
            self._condition,
            (result, reason, message),
            self._clock.now(),
            taken=self._intake,
            records=self._records,
            problems=self.problems(),
            findings=self._upkeep.findings,
        )

    def _fail(self, error: Exception, started: float) -> None:
        """A step ended with an error, which goes on to the runner."""
        kind = type(error).__name__ if isinstance(error, SyncdError) else "Defect"
        told = self._condition
        self._state("failed", kind, first_line(error))
        if self._again and told.contact_at is not None:
            seconds = self._clock.monotonic() - started
            report = SyncReport(
                "failed", kind, "", self._intake.revision, applied_revision=self._records.revision, seconds=seconds
            )
            self._publish(synced(self._condition, report, self._clock.now()))

    def _now(self) -> str:
        return rfc3339(self._clock.now())
