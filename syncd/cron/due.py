"""What to do about a cron now: which slots fire, which do not and why, and when to ask again.

In: a cron, the time, and what is known of its past. Out: a Decision: rows for the ledger (the pending ones are to be
written before anything is created), children to create, runs to end. Nothing is done here. Called by `loops.fire`.

The laws, each a property test: every slot is covered by exactly one row; nothing fires twice, also when the clock goes
back; nothing fires before the cron's creation, nor later than its deadline; a long outage is one row and costs no more
than a short one.

Which slot fires late follows Argo v4.1.2 workflow/cron/operator.go shouldOutstandingWorkflowsBeRun (only the latest, only
within startingDeadlineSeconds), with two deviations on purpose: a grace without any deadline, so that the restart of a
daemon loses no slot, and a row for whatever does not fire.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from syncd.argo import crons, labels
from syncd.argo.crons import CronWorkflow
from syncd.base.errors import Invalid
from syncd.cron import conditions, firing, timetable
from syncd.cron.ledger import Outcome, Reason, Row
from syncd.cron.timetable import Timetable

_SECOND: Final = timedelta(seconds=1)


class CatchUp(StrEnum):
    """The annotation syncd.io/catch-up. Without it: Argo's rule, the latest slot within startingDeadlineSeconds."""

    NONE = "none"  # nothing runs late but within the grace
    LATEST = "latest"  # the latest missed slot runs, however late (within startingDeadlineSeconds, if set)
    ALL = "all"  # every missed slot runs, oldest first, the newest `catch_up_cap` of them; Forbid makes them queue


@dataclass(frozen=True, slots=True)
class Policy:
    """The installation's settings. grace: how late a slot may fire without anybody having asked for it;
    on_time: what still counts as on time; catch_up_cap: the most that `all` runs after one outage."""

    grace: timedelta = timedelta(seconds=60)
    on_time: timedelta = timedelta(seconds=5)
    catch_up_cap: int = 100


@dataclass(frozen=True, slots=True)
class History:
    """What is known of a cron's past.

    latest: its row with the newest slot, None = it has none; active: names of its unfinished children, oldest first,
    those whose row is still pending among them; since: when the schedules now in force were seen to replace others,
    None = not seen (they are what they were, or they changed while nobody looked).
    """

    latest: Row | None = None
    active: tuple[str, ...] = ()
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Fire:
    """A child to create. row: the pending row that comes first; close it by `close`."""

    name: str
    slot: datetime
    row: Row


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do.

    rows: to record, in order of slots, the pending ones among them; told: the same, but a row that grew counts only
    what is new (for metrics); terminate: names of runs that are replaced; stop: the stop strategy came true: mark the
    cron Stopped; wake_at: when to ask again, None = not until something changes; problem: why the cron cannot be
    scheduled, "" = it can; schedules_changed: the annotation last-used-schedule is out of date.
    """

    rows: tuple[Row, ...] = ()
    told: tuple[Row, ...] = ()
    fires: tuple[Fire, ...] = ()
    terminate: tuple[str, ...] = ()
    stop: bool = False
    wake_at: datetime | None = None
    problem: str = ""
    schedules_changed: bool = False


def due(cron: CronWorkflow, now: datetime, history: History, policy: Policy = Policy()) -> Decision:
    """Decide the slots of `cron` up to `now` that no row covers yet.

    now: aware. Never raises: what cannot be read is a Decision with a problem.
    """
    try:
        table = timetable.of(cron)
        mode = _mode(cron)
    except Invalid as complaint:
        return Decision(problem=str(complaint))
    start = covered_until(cron, history, now)
    first = table.next(start)
    if first is None or first > now:
        return Decision(wake_at=first, schedules_changed=_changed(cron))
    last, wake_at = first, table.next(first)
    if wake_at is not None and wake_at <= now:  # not the usual case: more than one slot since
        last = table.latest(start, now) or first
        wake_at = table.next(last)
    case = _Case(cron, now, history, policy, table, mode, start, first, last)
    try:
        stops = not cron.stopped and conditions.stops(cron, _last_scheduled(cron, history), now)
    except Invalid as complaint:
        message = f"failed to check CronWorkflow '{cron.key.name}' stopping condition: {complaint}"
        row = case.span(start, last, Outcome.FAILED, Reason.STOPPED, message)
        return Decision(rows=(row,), told=(row,), wake_at=wake_at, problem=message, schedules_changed=_changed(cron))
    why_not = _halted(cron, history, stops)
    if why_not is not None:
        row = case.span(start, last, Outcome.SKIPPED, why_not)
        decision = Decision(rows=(case.grown(row),), told=(row,), stop=stops, wake_at=wake_at)
    else:
        decision = replace(case.decide(), wake_at=wake_at)
    return replace(decision, schedules_changed=_changed(cron))


def covered_until(cron: CronWorkflow, history: History, now: datetime) -> datetime:
    """Up to when every slot has its fate. Never before the cron's creation; may lie in the future, where the clock
    went back: then nothing fires until it has caught up, so nothing fires twice."""
    moments = [cron.created_at or now]
    if history.latest is not None:
        moments.append(history.latest.until)
    if cron.status.last_scheduled_time is not None:  # it fired under another scheduler, since then or before
        moments.append(cron.status.last_scheduled_time)
    if history.since is not None:
        moments.append(history.since)
    return max(moments)


def close(
    row: Row, now: datetime, outcome: Outcome | None = None, reason: Reason | None = None, message: str = ""
) -> Row:
    """The row of a slot whose fate is known. outcome: None = the child exists (fired, or caught up)."""
    if outcome is None:
        outcome = Outcome.FIRED if row.reason in (Reason.ON_TIME, Reason.MANUAL) else Outcome.CAUGHT_UP
    return replace(
        row,
        outcome=outcome,
        reason=reason or row.reason,
        message=message or row.message,
        decided_at=now,
        run="" if outcome in (Outcome.FAILED, Outcome.MISSED, Outcome.SKIPPED) else row.run,
    )


def last_try(cron: CronWorkflow, row: Row, policy: Policy) -> datetime:
    """Until when creating the child of a pending row may be tried, e.g. while the store does not answer, or after a
    crash: the deadline counts from the slot, the grace from the decision."""
    by_grace = row.decided_at + policy.grace
    if cron.starting_deadline is None:
        return by_grace
    by_deadline = row.slot + cron.starting_deadline
    return by_deadline if row.reason is not Reason.MANUAL else by_grace


def _mode(cron: CronWorkflow) -> CatchUp | None:
    text = cron.annotations.get(labels.CATCH_UP)
    if text:
        try:
            return CatchUp(text)
        except ValueError:
            raise Invalid(f"annotation {labels.CATCH_UP} is {text!r}; write none, latest or all") from None
    if cron.key.kind == labels.CRON_JOB and cron.starting_deadline is None:
        return CatchUp.LATEST  # what kube-controller-manager does
    return None


def _changed(cron: CronWorkflow) -> bool:
    return cron.last_used_schedule != cron.schedule_text


def _halted(cron: CronWorkflow, history: History, stops: bool) -> Reason | None:
    """Why no slot fires at all; None = they may."""
    if stops or cron.stopped:
        return Reason.STOPPED
    if cron.suspend:
        return Reason.SUSPENDED
    if cron.last_used_schedule and _changed(cron) and history.since is None:
        # Slots of schedules that were not yet in force: Argo runs nothing outstanding then, either (argo-workflows#7182).
        return Reason.REPLACED_SCHEDULE
    return None


def _last_scheduled(cron: CronWorkflow, history: History) -> datetime | None:
    """Slot of the newest child. The ledger may know of one that the status does not show yet."""
    latest = history.latest
    known = cron.status.last_scheduled_time
    fired = (Outcome.PENDING, Outcome.FIRED, Outcome.CAUGHT_UP)
    if latest is not None and latest.outcome in fired and latest.reason is not Reason.MANUAL:
        return max(known, latest.slot) if known is not None else latest.slot
    return known


@dataclass(frozen=True, slots=True)
class _Case:
    """One question and what follows from it. (start, last] are the slots to decide, `first` the first of them."""

    cron: CronWorkflow
    now: datetime
    history: History
    policy: Policy
    table: Timetable
    mode: CatchUp | None
    start: datetime
    first: datetime
    last: datetime

    def decide(self) -> Decision:
        """The fate of each slot of a cron that is neither suspended nor stopped."""
        slots = self._candidates()
        rows: list[Row] = []
        earlier = slots[0] if slots else self.last + _SECOND
        if (missed := self._missed(earlier)) is not None:
            rows.append(missed)
        fires: list[Fire] = []
        active = list(self.history.active)
        terminate: list[str] = []
        last_scheduled = _last_scheduled(self.cron, self.history)
        for slot in slots:
            queued = self.mode is CatchUp.ALL and self.cron.concurrency == crons.FORBID
            if queued and active:
                break  # the rest waits for the run to end: no row yet
            row = self._judge(slot, active, last_scheduled)
            rows.append(row)
            if row.outcome is not Outcome.PENDING:
                continue
            if self.cron.concurrency == crons.REPLACE:
                terminate += active
                active = []
            fires.append(Fire(row.run, slot, row))
            active.append(row.run)
            last_scheduled = slot
        return Decision(tuple(rows), tuple(rows), tuple(fires), tuple(terminate))

    def span(self, after: datetime, last: datetime, outcome: Outcome, reason: Reason, message: str = "") -> Row:
        """One row for all slots in (after, last]; there is at least one."""
        first = self.table.next(after)
        assert first is not None
        row = self._row(first, outcome, reason, message)
        return row if first == last else replace(row, until=last, count=self.table.count(after, last))

    def grown(self, row: Row) -> Row:
        """`row`, joined to the latest one where that has the same reason: a suspended cron has one row, not thousands."""
        latest = self.history.latest
        if latest is None or (latest.outcome, latest.reason) != (row.outcome, row.reason):
            return row
        return replace(row, slot=latest.slot, schedule=latest.schedule, count=latest.count + row.count)

    def _candidates(self) -> list[datetime]:
        """The slots that may fire if nothing else speaks against it, oldest first."""
        if self.mode is CatchUp.ALL and self.cron.concurrency != crons.REPLACE:
            return self._newest(self.policy.catch_up_cap)
        if self.first == self.last:
            return [self.last] if self._lateness(self.last) is not None else []
        # several within a few seconds are all on time: the loop was a little late, nobody was away
        recent = self.table.between(max(self.start, self.now - self.policy.on_time - _SECOND), self.last)
        on_time = [slot for slot in recent if self._lateness(slot) is Reason.ON_TIME]
        if on_time or self._lateness(self.last) is None:
            return on_time
        return [self.last]

    def _newest(self, most: int) -> list[datetime]:
        """The newest slots, at most so many, that are within the deadline, oldest first."""
        found: list[datetime] = []
        slot: datetime | None = self.last
        while slot is not None and len(found) < most and self._lateness(slot) is not None:
            found.append(slot)
            slot = self.table.previous(self.start, slot)
        return found[::-1]

    def _lateness(self, slot: datetime) -> Reason | None:
        """By what right a slot may still fire; None = by none."""
        age = self.now - slot
        deadline = self.cron.starting_deadline
        if deadline is not None and age >= deadline:
            return None
        if age <= self.policy.on_time:
            return Reason.ON_TIME
        if age <= self.policy.grace:
            return Reason.GRACE
        if self.mode is CatchUp.NONE:
            return None
        if self.mode is not None:
            return Reason.CATCH_UP
        return Reason.STARTING_DEADLINE if deadline is not None else None

    def _missed(self, before: datetime) -> Row | None:
        """The row of the slots in (start, before) that nobody will run; None = there are none."""
        if before <= self.first:
            return None
        last = self.table.previous(self.start, before)
        if last is None:
            return None
        deadline = self.cron.starting_deadline
        if deadline is not None and self.now - last >= deadline:
            message = f"later than startingDeadlineSeconds ({int(deadline.total_seconds())} s)"
            return self.span(self.start, last, Outcome.MISSED, Reason.TOO_LATE, message)
        if self.mode is CatchUp.ALL and self.cron.concurrency != crons.REPLACE:
            message = f"only the newest {self.policy.catch_up_cap} are caught up"
            return self.span(self.start, last, Outcome.MISSED, Reason.TOO_LATE, message)
        message = "only the latest is caught up" if before <= self.last else ""
        return self.span(self.start, last, Outcome.MISSED, Reason.DOWN, message)

    def _judge(self, slot: datetime, active: list[str], last_scheduled: datetime | None) -> Row:
        """The row of a slot that is not too late: pending, or why not. Argo's order: when, then concurrency."""
        try:
            if not conditions.may_fire(self.cron, last_scheduled, self.now):
                return self._row(slot, Outcome.SKIPPED, Reason.WHEN, f"when is false: {_short(self.cron.when)}")
        except Invalid as complaint:
            return self._row(slot, Outcome.FAILED, Reason.WHEN, f"when cannot be evaluated: {_short(str(complaint))}")
        if self.cron.concurrency == crons.FORBID and active:
            message = f"concurrencyPolicy is Forbid and {active[0]} is active"
            return self._row(slot, Outcome.SKIPPED, Reason.CONCURRENCY, message)
        if self.cron.concurrency not in (crons.ALLOW, crons.FORBID, crons.REPLACE):
            message = f"'{_short(self.cron.concurrency)}' is not a valid concurrencyPolicy"
            return self._row(slot, Outcome.FAILED, Reason.SUBMISSION, message)
        reason = self._lateness(slot)
        assert reason is not None
        row = self._row(slot, Outcome.PENDING, reason)
        return replace(row, run=firing.child_name(self.cron.key.name, slot))

    def _row(self, slot: datetime, outcome: Outcome, reason: Reason, message: str = "") -> Row:
        return Row(
            cron=self.cron.key,
            cron_uid=self.cron.uid,
            slot=slot,
            outcome=outcome,
            reason=reason,
            decided_at=self.now,
            until=slot,
            schedule=self.table.line_of(slot),
            message=message,
            revision=self.cron.annotations.get(labels.REVISION, ""),
        )


def _short(text: str) -> str:
    return text if len(text) <= 200 else text[:199] + "…"
