"""The sync loop of one source: what git says comes into force, or is held with everything in force left as it is.

    poll ──moved──▶ take in (fetch, decode, lint) ──▶ errors? ──▶ plan ──▶ refused? guard? ──▶ apply ──▶ say so
      ▲                                                 │ held                 │ held                      │
      └───────────────── interval, a hint, a request ◀──┴──────────────────────┴───────────────────────────┘

In: a `Source`, the store, a clock, randomness. Out: objects in the store, events, a `Condition` for whoever asks. Made by
`app`, run by `loops.runner`; the server calls `status`, `problems`, `ignored`, `plan_preview`, `request_sync`, `approve`.

Costs: a poll that finds nothing new touches neither store nor disk. A commit costs what it changed: keys touched since
the last apply are *pending*, and only these are planned. Everything is compared at the start, at every `drift_interval`
and when a person asks for a sync.

What is in force changes only in `apply`. A source that cannot be reached, a commit with an error, a plan that the guard
holds, a store that does not answer: the last good revision stays, the pending keys stay pending, and the condition says why.
After a restart everything is pending: what is in place is found to be so, and nothing is written.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import timedelta
from typing import Any

from syncd.argo.manifest import Body, Key
from syncd.base.clock import Clock, Random, rfc3339
from syncd.base.errors import AlreadyExists, Conflict, NotFound, SyncdError, Unreachable
from syncd.base.problems import Problem
from syncd.cluster.api import Store
from syncd.loops import apply, comparison, holding, intake, terms
from syncd.loops.condition import Condition, SyncReport, first_line, stated, synced
from syncd.loops.inventory import Records
from syncd.loops.terms import Options
from syncd.observe.events import Event, SourceChecked, SourceRemoved
from syncd.plan import desired as wanting
from syncd.plan import faults, guard
from syncd.plan.desired import Stamp
from syncd.plan.plan import Change, Plan, Verb
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
        self._store = store
        self._clock = clock
        self._random = random
        self._publish = publish
        self._options = options
        self._intake = intake.Intake(source, store, workspace, options.decode)
        self._records = Records(store, source.name)
        self._loaded = False
        self._again = True  # something is left to do although the source has not moved
        self._compared_at: float | None = None  # monotonic, of the last full comparison
        self._refusals: list[Problem] = []
        self._hands: dict[Key, str] = {}
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
        return sorted([*self._intake.problems, *self._refusals])

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
            keys = self._everything() - self._intake.broken()
            revision = self._intake.fetched.revision
            preview = await self._plan(keys, str(revision), revision.commit)
            held = self._condition.held
        return {"source": self.name, "revision": self._intake.revision, "held": held, **preview.to_json()}

    async def request_sync(self, wait: bool = True) -> dict[str, Any]:
        """Poll and compare everything now. wait: until a step that begins after this call has ended. Answers the status."""
        ticket: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tickets.append(ticket)
        self._wake.set()
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
        self._wake.set()
        return self.status()

    def nudge(self) -> None:
        """Something may have changed that this source waits for (a template of another source): look soon."""
        self._wake.set()

    # For the runner

    async def run(self) -> None:
        """Poll for ever. Errors of the source and the store pass through, to be sorted by the runner, which calls again."""
        hints = asyncio.create_task(self._listen(), name=f"hints of {self.name}")
        try:
            while True:
                await self.step()
                await self.rest(self._options.interval.total_seconds() * (0.9 + 0.2 * self._random.jitter()))
        finally:
            hints.cancel()
            await asyncio.gather(hints, return_exceptions=True)

    def well_at(self) -> float | None:
        """When a step last ended without an error, in monotonic seconds."""
        return self._well_at

    async def rest(self, seconds: float) -> None:
        """Wait so long, or until somebody asks for a sync or the source hints at a change."""
        self._condition = replace(self._condition, next_poll=self._clock.now() + timedelta(seconds=seconds))
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
                self._wake.set()
        except SyncdError as error:
            log.warning("source %s: no hints of changes any more, polling goes on: %s", self.name, error)

    # One step

    async def step(self, *, full: bool = False) -> SyncReport:
        """One poll, and whatever follows from it. full: compare everything, changed or not.

        Raises what source and store raise, with everything in force as it was and the condition saying so.
        """
        self._wake.clear()
        async with self._lock:
            tickets, self._tickets = self._tickets, []
            started = self._clock.monotonic()
            try:
                report = await self._step(full or bool(tickets) or self._is_drift_due(), bool(tickets), started)
            except Exception as error:
                self._fail(error, started)
                raise
            finally:
                for ticket in tickets:
                    if not ticket.done():
                        ticket.set_result(None)
            self._well_at = self._clock.monotonic()
            return report

    async def _step(self, full: bool, asked: bool, started: float) -> SyncReport:
        await self._load()
        if self._options.suspended:
            return self._conclude(
                SyncReport("suspended", "suspended", "suspended in the configuration"), started, asked
            )
        revision = await self._poll(started)
        moved = self._intake.fetched is None or self._intake.fetched.revision != revision
        if not moved and (full or self._concluded[1] == "problems"):
            self._again = await self._intake.look_around(refresh=full) or self._again
        if not moved and not full and not self._again:
            result, reason, message = self._concluded
            told = self._condition
            if (told.result, told.reason, told.message) != self._concluded:  # it had failed, and goes on as before
                self._state(result, reason, message)
            return SyncReport(result, reason, message, str(revision), self._records.revision)
        self._again = True
        if moved:
            await self._take(revision)
        report = await self._bring_into_force(revision, full)
        self._again = report.result == "failed"
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
            self._intake.pending |= self._everything()

    def _everything(self) -> set[Key]:
        """Every key that the source wants or owns."""
        return {*self._intake.manifests, *self._records.owned, *self._records.remembered}

    async def _bring_into_force(self, revision: Revision, full: bool) -> SyncReport:
        """Plan what is pending and apply it; held, only repair what is in force. full: compare the rest as well."""
        taken = self._intake
        held = holding.by_problems(taken) if self._options.atomic else None
        excluded = taken.broken()
        plan = Plan()
        if held is None:
            keys = (self._everything() if full else set(taken.pending)) - excluded
            plan = await self._plan(keys, str(revision), revision.commit)
            held = self._held(plan, str(revision))
        if held is not None:
            in_force = str((self._records.head or {}).get("revision") or "")
            rest = self._everything() - taken.pending if full else set()
            plan = await self._plan(rest, in_force, in_force.rpartition(":")[2], no_deletes="the source is held")
        if full:
            self._compared_at = self._clock.monotonic()
        self._note_by_hand(plan, full)
        outcome = await self._apply(plan, str(revision) if held is None else self._records.revision)
        report = self._report(outcome, str(revision))
        if outcome.failed:
            return self._not_written(report, outcome)
        if held is not None:
            return replace(report, result="held", reason=held.reason, message=held.message)
        taken.pending &= excluded
        await self._records.in_force(revision=str(revision), commit=revision.commit, at=self._now())
        reason = "problems" if excluded else "refused" if self._refusals else ""
        message = f"{len(excluded)} objects stay as they are: they have errors, or refer to such" if excluded else ""
        return replace(report, reason=reason, message=message, applied_revision=self._records.revision)

    def _held(self, plan: Plan, revision: str) -> guard.Held | None:
        """Why this plan is not applied. Notes what it refuses, held or not."""
        refused = [(change, change.code, change.reason) for change in plan.of(Verb.REFUSE)]
        self._refusals = holding.refusals(self.name, self._intake.manifests, refused)
        held = holding.by_refusals(self._intake, plan) if self._options.atomic else None
        return held or holding.by_guard(
            self._intake,
            plan,
            owned=len(self._records.owned),
            revision=revision,
            approved=self._records.approved,
            max_fraction=self._options.max_delete_fraction,
        )

    # Planning

    async def _plan(self, keys: Collection[Key], revision: str, commit: str, *, no_deletes: str = "") -> Plan:
        return await comparison.compare(
            self._store,
            self._records,
            self._intake.manifests,
            keys,
            terms.policy(self._options, self.name, revision, commit, no_deletes, self._intake.unreadable()),
            namespace=self._options.decode.namespace,
            run_all=self._options.run_all,
        )

    # Applying

    async def _apply(self, plan: Plan, revision: str) -> apply.Outcome:
        """Do it; without anything to do the store is not asked."""
        todo = Plan(tuple(c for c in plan.changes if c.verb is not Verb.REFUSE and self._needs_doing(c)))
        if not todo.changes:
            return apply.Outcome()
        namespace, manifests = self._options.decode.namespace, self._intake.manifests
        commit = wanting.short(revision.rpartition(":")[2])
        bodies: dict[Key, Body] = {}
        for change in todo.of(Verb.OFFER, Verb.RUN):  # with its marks: what is submitted from it knows its commit
            item = wanting.desired(manifests[change.key], namespace)
            bodies[item.key] = wanting.stamped(item, Stamp(self.name, revision, commit, item.path, item.digest))
        outcome = await apply.apply(self._store, self._records, todo, bodies, revision=revision, at=self._now())
        for _, error in outcome.failed:
            if isinstance(error, Unreachable):
                raise error
        if outcome.failed and all(isinstance(e, Conflict | AlreadyExists | NotFound) for _, e in outcome.failed):
            raise Conflict(f"source {self.name}: changed meanwhile, to be planned again: {outcome.failed[0][1]}")
        return outcome

    def _needs_doing(self, change: Change) -> bool:
        return change.verb is not Verb.KEEP or change.key not in self._records.owned

    def _note_by_hand(self, plan: Plan, full: bool) -> None:
        """Remember for the condition what people hold by hand. full: the plan is of everything."""
        seen = {change.key for change in plan.changes}
        known = {} if full else {key: text for key, text in self._hands.items() if key not in seen}
        held = {change.key: f"{change.key}: {change.reason}" for change in plan.of(Verb.KEEP) if change.diff}
        self._hands = known | held

    def _report(self, outcome: apply.Outcome, revision: str) -> SyncReport:
        counts = {verb: outcome.count(verb) for verb in Verb}
        created, updated, deleted = counts[Verb.CREATE], counts[Verb.UPDATE], counts[Verb.DELETE]
        told = created + updated + deleted + counts[Verb.OFFER] + counts[Verb.RUN] + counts[Verb.WITHDRAW]
        return SyncReport(
            "applied" if told else "unchanged",
            revision=revision,
            applied_revision=self._records.revision,
            created=created,
            updated=updated,
            deleted=deleted,
            unchanged=max(0, len(self._records.owned) - created - updated),
            offered=counts[Verb.OFFER] + counts[Verb.RUN],
            started=counts[Verb.RUN],
        )

    def _not_written(self, report: SyncReport, outcome: apply.Outcome) -> SyncReport:
        failed = [(change, faults.NOT_WRITTEN, first_line(error)) for change, error in outcome.failed]
        self._refusals += holding.refusals(self.name, self._intake.manifests, failed)
        message = f"{holding.many(len(failed), 'object')} not written: {failed[0][2]}"
        return replace(report, result="failed", reason="not-written", message=message)

    # Saying so

    def _conclude(self, report: SyncReport, started: float, telling: bool) -> SyncReport:
        """The end of a step that was more than a look: the condition, and an event where there is something to tell."""
        report = replace(report, seconds=self._clock.monotonic() - started)
        state = "applied" if report.result == "unchanged" else report.result
        telling = telling or report.result == "applied" or self._concluded[:2] != (state, report.reason)
        self._concluded = (state, report.reason, report.message)
        self._state(*self._concluded)
        if telling:
            counted = (
                "result",
                "revision",
                "created",
                "updated",
                "deleted",
                "unchanged",
                "offered",
                "started",
                "seconds",
            )
            last = {name: getattr(report, name) for name in counted}
            self._condition = replace(self._condition, synced_at=self._clock.now(), last=last)
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
            refused=len(self._refusals),
            by_hand=sorted(self._hands.values()),
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
