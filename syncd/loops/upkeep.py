"""What brings a revision of one source into force, and keeps it there: plan, ask the guard, rehearse, apply, note what was found.

In: what was taken in (`intake`), the store, events of its watch. Out: objects in the store, a `SyncReport`, `DriftCorrected` events,
`Findings`. Owned by one `loops.sync.SyncLoop`, which calls `bring` and `repair` one at a time; `saw` may be called in between.

    bring    what a commit asks for, and what was noticed; held: only `repair`
    repair   what is in force: an object that was noticed to differ, one that was being deleted, or all of it

What a commit has touched is *pending* until it is in force. An event of the watch never moves it: it waits for its commit.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from syncd.argo.manifest import Body, Key
from syncd.base import backoff
from syncd.base.clock import Clock, rfc3339
from syncd.base.errors import AlreadyExists, Conflict, NotFound, Unreachable
from syncd.cluster.api import Changed, Store
from syncd.loops import apply, comparison, holding, intake, rehearsal, terms
from syncd.loops.condition import SyncReport, reported
from syncd.loops.findings import Findings
from syncd.loops.holding import first_line
from syncd.loops.inventory import Records
from syncd.loops.noticed import Noticed
from syncd.loops.terms import Options
from syncd.observe.events import DriftCorrected, Event
from syncd.plan import desired as wanting
from syncd.plan import faults, order
from syncd.plan import plan as planning
from syncd.plan.desired import RUNNABLE, Stamp
from syncd.plan.guard import Held
from syncd.plan.plan import Change, Plan, Policy, Verb
from syncd.source.api import Revision


class Upkeep:
    """One source. records: its inventory; findings: what the last look at each object found; noticed: what a watch says differs;
    way_is_clear: an object that stood in the way of a commit (others', or declared by others) does so no more."""

    def __init__(
        self,
        name: str,
        store: Store,
        clock: Clock,
        publish: Callable[[Event], None],
        options: Options,
        taken: intake.Intake,
    ) -> None:
        self._name = name
        self._store = store
        self._clock = clock
        self._publish = publish
        self._options = options
        self._taken = taken
        self._late: dict[Key, Changed] = {}  # events that came while the workspace was being read
        self._writing: frozenset[Key] = frozenset()  # what is being written just now
        self._rejections = 0  # how often in a row the store would have rejected something
        self._retry_at: float | None = None  # monotonic: when that is tried again, None = nothing was rejected
        self.records = Records(store, name)
        self.findings = Findings(name)
        self.noticed = Noticed(options.drift_interval.total_seconds())
        self.way_is_clear = False

    def everything(self) -> set[Key]:
        """Every key that the source wants or owns."""
        return {*self._taken.manifests, *self.records.owned, *self.records.remembered}

    def is_retry_due(self, now: float) -> bool:
        """Whether what the store would have rejected is to be tried again. now: monotonic."""
        return self._retry_at is not None and now >= self._retry_at

    def moved(self) -> None:
        """The source stands at another revision: what was rejected of the last one means nothing for it, and the events that came
        while it was read are judged by it."""
        self._rejections = 0
        self.saw_late()

    # Bringing into force

    async def bring(self, revision: Revision, full: bool) -> SyncReport:
        """Plan what is pending and apply it; held, only repair what is in force. full: compare the rest as well.

        Raises Unreachable where the store does not answer; then everything pending is so still.
        """
        taken, seen = self._taken, self.noticed.events(None if full else self._clock.monotonic())
        self.way_is_clear = False
        held = holding.by_problems(taken) if self._options.atomic else None
        broken, rejected, plan = taken.broken(), frozenset[Key](), Plan()
        if held is None:
            keys = (self.everything() if full else {*taken.pending, *self._to_repair()}) - broken
            plan = await self.plan(keys, str(revision), revision.commit)
            held = self._judged(plan, keys, full, str(revision))
        if held is None:
            plan, held, rejected = await self._rehearsed(plan, revision)
        if held is not None:
            report = await self.repair(full, "the source is held")
            return replace(report, result="held", reason=held.reason, message=held.message)
        outcome, report = await self._apply(plan, str(revision))
        if outcome.failed:
            self._looked_at(seen)
            message = f"{holding.many(len(outcome.failed), 'object')} not written: {first_line(outcome.failed[0][1])}"
            return replace(report, result="failed", reason="not-written", message=message)
        taken.pending &= broken | rejected | self._withheld()
        await self.records.in_force(revision=str(revision), commit=revision.commit, at=self._now())
        self._looked_at(seen)
        return self._standing(replace(report, applied_revision=self.records.revision))

    async def repair(self, full: bool, no_deletes: str = "only a comparison of everything deletes") -> SyncReport:
        """Put right what is in force, and touch nothing of what a commit asks for. full: all of it, not just what was noticed;
        no_deletes: why nothing is deleted, since nobody asks the guard here.

        Raises as `bring`. What the store does not take is among the findings, and tried again ever more seldom.
        """
        seen = self.noticed.events(None if full else self._clock.monotonic())
        in_force = str((self.records.head or {}).get("revision") or "")
        rest = (self.everything() if full else self._to_repair()) - self._taken.pending
        plan = await self.plan(rest, in_force, in_force.rpartition(":")[2], no_deletes=no_deletes)
        self.findings.note(plan, rest, self._taken.manifests, full=False)
        _, report = await self._apply(plan, self.records.revision)
        self._looked_at(seen)
        return self._standing(report)

    def _withheld(self) -> set[Key]:
        """What seems to be gone from the source, and is not deleted as long as a file cannot be read that may hold it."""
        if not self._taken.unreadable():
            return set()
        return {key for key in self._taken.pending if key not in self._taken.manifests and key in self.records.owned}

    def _to_repair(self) -> set[Key]:
        """What was noticed to differ, and what was being deleted when it was last looked at."""
        return {*self.noticed.due(self._clock.monotonic()), *self.findings.waiting}

    def _standing(self, report: SyncReport) -> SyncReport:
        """Why not all is as the source wants it, though nothing holds it."""
        broken, refused = self._taken.broken(), list(self.findings.refused.values())
        if broken:
            message = f"{len(broken)} objects stay as they are: they have errors, or refer to such"
            return replace(report, reason="problems", message=message)
        if refused:
            reason = "rejected" if all(one.code == faults.NOT_WRITTEN for one in refused) else "refused"
            message = f"{holding.many(len(refused), 'object')} not written: {refused[0].message}"
            return replace(report, reason=reason, message=message)
        return report

    def _judged(self, plan: Plan, keys: Collection[Key], full: bool, revision: str) -> Held | None:
        """Why this plan is not applied. Notes what it found, held or not."""
        self.findings.note(plan, keys, self._taken.manifests, full=full)
        in_force = self.records.revision == revision
        held = holding.by_refusals(self._taken, plan, in_force=in_force) if self._options.atomic else None
        return held or holding.by_guard(
            self._taken,
            plan,
            owned=len(self.records.owned),
            revision=revision,
            approved=self.records.approved,
            max_fraction=self._options.max_delete_fraction,
        )

    async def _rehearsed(self, plan: Plan, revision: Revision) -> tuple[Plan, Held | None, frozenset[Key]]:
        """The plan without what the store would reject, why it is held then, and the keys that are left as they are."""
        again: set[Key] = set()

        async def plan_again(keys: Collection[Key]) -> Plan:
            again.update(keys)
            return await self.plan(keys, str(revision), revision.commit)

        todo, batch = self._todo(plan), self._options.batch
        plan, rejected = await rehearsal.rehearsed(self._store, todo, plan_again, batch=batch)
        held = self._judged(plan, again, False, str(revision)) if again else None
        if not rejected:
            self._rejections, self._retry_at = 0, None
            return plan, held, frozenset()
        self._rejections += 1
        first, longest = self._options.interval.total_seconds(), self._options.drift_interval.total_seconds()
        self._retry_at = self._clock.monotonic() + backoff.delay(self._rejections, first, longest)
        told = [(change, faults.NOT_WRITTEN, first_line(error)) for change, error in rejected]
        self.findings.refuse(told, self._taken.manifests)
        left = frozenset(change.key for change, _ in rejected)
        self.noticed.corrected(left, self._clock.monotonic())
        if self._options.atomic:
            in_force = self.records.revision == str(revision)
            held = held or holding.by_rejections(self._taken, rejected, in_force=in_force)
        else:
            bodies = {change.key: change.body for change in plan.of(*apply.WRITING) if change.body is not None}
            left = order.closure(left, bodies)
        return Plan(tuple(change for change in plan.changes if change.key not in left), plan.stages), held, left

    # Planning

    async def plan(self, keys: Collection[Key], revision: str, commit: str, *, no_deletes: str = "") -> Plan:
        """The plan of these keys at a revision. no_deletes: why nothing is deleted, "" = no such reason."""
        return await comparison.compare(
            self._store,
            self.records,
            self._taken.manifests,
            keys,
            self._policy(revision, commit, no_deletes),
            namespace=self._options.decode.namespace,
            run_all=self._options.run_all,
        )

    def _policy(self, revision: str, commit: str, no_deletes: str = "") -> Policy:
        return terms.policy(self._options, self._name, revision, commit, no_deletes, self._taken.unreadable())

    # Applying

    def _todo(self, plan: Plan) -> Plan:
        """What of a plan has to be done."""
        known = self.records.owned
        changes = (change for change in plan.changes if change.verb is not Verb.REFUSE and not change.waits)
        return Plan(tuple(c for c in changes if c.verb is not Verb.KEEP or c.key not in known), plan.stages)

    async def _apply(self, plan: Plan, revision: str) -> tuple[apply.Outcome, SyncReport]:
        """Do it; without anything to do the store is not asked. revision: what its objects come from.

        Raises Unreachable, and Conflict where all that failed has to be planned again. Other failures are noted.
        """
        todo, size = self._todo(plan), self._options.batch
        outcome, drifted = apply.Outcome(), 0
        if todo.changes:
            self._writing = frozenset(change.key for change in todo.of(*apply.WRITING))
            bodies = self._offered(todo, revision)
            try:
                outcome = await apply.apply(
                    self._store, self.records, todo, bodies, revision=revision, at=self._now(), size=size
                )
            finally:
                self._writing = frozenset()
            drifted = self._put_right(outcome, in_force=self.records.revision == revision)
        errors = [error for _, error in outcome.failed]
        for error in errors:
            if isinstance(error, Unreachable):
                raise error
        if errors and all(isinstance(error, Conflict | AlreadyExists | NotFound) for error in errors):
            raise Conflict(f"source {self._name}: changed meanwhile, to be planned again: {errors[0]}")
        failed = [(change, faults.NOT_WRITTEN, first_line(error)) for change, error in outcome.failed]
        self.findings.refuse(failed, self._taken.manifests)
        return outcome, reported(outcome, self.records, self._taken.revision, drifted)

    def _offered(self, plan: Plan, revision: str) -> dict[Key, Body]:
        """The Workflows and Jobs to be kept, with their marks: what is submitted from them knows its commit."""
        commit = wanting.short(revision.rpartition(":")[2])
        bodies: dict[Key, Body] = {}
        for change in plan.of(Verb.OFFER, Verb.RUN):
            item = wanting.desired(self._taken.manifests[change.key], self._options.decode.namespace)
            bodies[item.key] = wanting.stamped(item, Stamp(self._name, revision, commit, item.path, item.digest))
        return bodies

    def _put_right(self, outcome: apply.Outcome, *, in_force: bool) -> int:
        """Tell of each object that had drifted and is as it should be again; how many they are."""
        self.noticed.wrote(outcome.versions)
        self.findings.linger(outcome.lingering.values())
        drifted = [
            (change, change.drift)
            for change in outcome.done
            if change.drift is not None
            and change.verb in (Verb.CREATE, Verb.UPDATE)
            and not holding.is_of_commit(change, self._taken, in_force=in_force)
        ]
        now = self._clock.now()
        for change, drift in drifted:
            self._publish(DriftCorrected(self._name, change.key, drift.fields, drift.by, drift.since, now))
        tried = [*(change.key for change, _ in drifted), *(change.key for change, _ in outcome.failed)]
        self.noticed.corrected(tried, self._clock.monotonic())
        self.noticed.forget([c.key for c in outcome.done if c.verb is Verb.FORGET])
        return len(drifted)

    # Watching

    def saw(self, changed: Changed) -> bool:
        """An object was made, changed or deleted: where it differs from what the source wants, it is noticed. Answers whether the
        findings are others than before. No I/O; our own writes, and changes of status, come to nothing.
        """
        key = changed.key
        is_ours = key in self.records.owned or key in self.findings.refused
        if not is_ours or key.kind in RUNNABLE or self._options.suspended or self._taken.fetched is None:
            return False
        if self._taken.reading:
            self._late[key] = changed
            return False
        return self._saw(changed)

    def saw_late(self) -> None:
        """Judge what came while the workspace was being read."""
        late, self._late = self._late, {}
        for changed in late.values():
            self._saw(changed)

    def _saw(self, changed: Changed) -> bool:
        key, code = changed.key, self.findings.code_of(changed.key)
        stood_in_the_way = code not in ("", faults.NOT_WRITTEN)
        waits_for_its_commit = key in self._taken.pending and key not in self._writing and not stood_in_the_way
        if waits_for_its_commit or self.noticed.is_old(changed):
            return False
        verdict = self._verdict(changed)
        if verdict is None or (verdict.verb is Verb.REFUSE and verdict.code == code):
            return False
        if verdict.verb is Verb.KEEP and not stood_in_the_way:
            self.noticed.drop([key])
            before = self.findings.of(key)
            self.findings.note(Plan((verdict,)), {key}, self._taken.manifests, full=False)
            return self.findings.of(key) != before
        self.noticed.add(changed, self._clock.monotonic())
        self.way_is_clear = self.way_is_clear or (key in self._taken.pending and stood_in_the_way)
        return False

    def _verdict(self, changed: Changed) -> Change | None:
        """The plan of one object as an event shows it; None where it is none of ours."""
        key, manifest = changed.key, self._taken.manifests.get(changed.key)
        wanted = [] if manifest is None else [wanting.desired(manifest, self._options.decode.namespace)]
        live = {} if changed.kind == "DELETED" else {key: changed.body}
        policy = self._policy(self._taken.revision, self._taken.revision.rpartition(":")[2])
        changes = planning.plan({item.key: item for item in wanted}, live, {key} & self.records.owned, policy).changes
        return changes[0] if changes else None

    def _looked_at(self, seen: Collection[Changed]) -> None:
        """These events have led to a look at the store. What came since is judged again: much of it tells of our own writes, or of
        what was before them. So is what the store did not take."""
        self.noticed.looked_at(seen, but=self.findings.refused)
        for changed in self.noticed.events():
            self.noticed.drop([changed.key])
            self._saw(changed)

    def _now(self) -> str:
        return rfc3339(self._clock.now())
