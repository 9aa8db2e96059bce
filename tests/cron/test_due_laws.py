"""The laws of `due`, on any schedule, outage and clock. A little world keeps the ledger as the fire loop does."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.argo import labels
from syncd.argo.crons import CronWorkflow
from syncd.cron import due, timetable
from syncd.cron.due import Decision, History
from syncd.cron.ledger import Outcome, Row
from tests.cron.crons_for_tests import CREATED, cron

SCHEDULES = (
    "* * * * *",
    "*/5 * * * *",
    "0 * * * *",
    "30 2 * * *",
    "0 0 1 * *",
    "@every 7m",
    "@every 1s",
    "15,45 1-3 * * *",
)
ZONES = ("", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata")


@dataclass
class World:
    """Applies decisions as the loop does: rows first, by slot; children at once; runs end when told."""

    cron: CronWorkflow
    policy: due.Policy = field(default_factory=due.Policy)
    rows: dict[datetime, Row] = field(default_factory=dict)
    fired: list[tuple[datetime, datetime]] = field(default_factory=list)  # (slot, when)
    active: list[str] = field(default_factory=list)

    def ask(self, now: datetime) -> Decision:
        latest = self.rows[max(self.rows)] if self.rows else None
        decision = due.due(self.cron, now, History(latest, tuple(self.active)), self.policy)
        for row in decision.rows:
            known = self.rows.get(row.slot)
            assert known is None or known.outcome is not Outcome.PENDING
            self.rows[row.slot] = row
        self.active = [name for name in self.active if name not in decision.terminate]
        for fire in decision.fires:
            self.fired.append((fire.slot, now))
            self.rows[fire.slot] = due.close(fire.row, now)
            self.active.append(fire.name)
        if decision.schedules_changed:
            notes = {**self.cron.annotations, labels.LAST_USED_SCHEDULE: self.cron.schedule_text}
            self.cron = replace(self.cron, annotations=notes)
        return decision


@st.composite
def crons(draw: st.DrawFn, *, deadline: bool = True, queue: bool = True) -> CronWorkflow:
    spec: dict[str, Any] = {
        "timezone": draw(st.sampled_from(ZONES)),
        "suspend": draw(st.sampled_from([False, False, True])),
    }
    spec["concurrencyPolicy"] = draw(st.sampled_from(["Allow", "Forbid", "Replace"]))
    if deadline:
        spec["startingDeadlineSeconds"] = draw(st.sampled_from([None, 0, 10, 90, 3600, 864000]))
    mode = draw(st.sampled_from([None, "none", "latest", "all"] if queue else [None, "none", "latest"]))
    spec["annotations"] = {labels.CATCH_UP: mode} if mode else {}
    lines = draw(st.lists(st.sampled_from(SCHEDULES), min_size=1, max_size=2))
    return cron(*lines, **spec)


# gaps between two looks: mostly short, sometimes an outage of up to a month
gaps = st.one_of(st.integers(1, 120), st.integers(1, 7200), st.integers(1, 30 * 86400)).map(
    lambda s: timedelta(seconds=s)
)


def moments(steps: Sequence[timedelta]) -> list[datetime]:
    found, now = [], CREATED
    for step in steps:
        now += step
        found.append(now)
    return found


@settings(deadline=None, max_examples=120)
@given(crons(queue=False), st.lists(gaps, min_size=1, max_size=6))
def test_every_slot_is_covered_by_exactly_one_row(asked: CronWorkflow, steps: list[timedelta]) -> None:
    """Law: up to the newest look, each slot lies in one row and in one only; the rows count them all."""
    world = World(asked)
    for now in moments(steps):
        world.ask(now)
    rows = sorted(world.rows.values(), key=lambda row: row.slot)
    for earlier, later in itertools.pairwise(rows):
        assert earlier.until < later.slot
    table = timetable.of(asked)
    slot, seen = table.next(CREATED), 0
    while slot is not None and slot <= now and seen < 300:
        assert sum(row.slot <= slot <= row.until for row in rows) == 1
        slot, seen = table.next(slot), seen + 1
    if len(table.schedules) == 1:  # with several lines a long outage is counted by line
        assert sum(row.count for row in rows) == table.count(CREATED, now)


@settings(deadline=None, max_examples=120)
@given(crons(), st.lists(gaps, min_size=1, max_size=8), st.lists(st.integers(-7200, 7200), min_size=8, max_size=8))
def test_nothing_fires_twice_whatever_the_clock_does(
    asked: CronWorkflow, steps: list[timedelta], jumps: list[int]
) -> None:
    """Law: also when the wall clock jumps, each slot fires at most once, and only when it has come."""
    world = World(asked)
    for now, jump in zip(moments(steps), jumps, strict=False):
        world.ask(now + timedelta(seconds=jump))
        world.ask(now)
    slots = [slot for slot, _ in world.fired]
    assert len(slots) == len(set(slots))
    assert all(slot <= when for slot, when in world.fired)


@settings(deadline=None, max_examples=100)
@given(crons(), st.lists(gaps, min_size=1, max_size=6))
def test_nothing_fires_before_creation_or_after_its_deadline(asked: CronWorkflow, steps: list[timedelta]) -> None:
    """Law: a slot that fires is younger than the cron, and no older than its deadline, its grace or its catch-up allow."""
    world = World(asked)
    mode = asked.annotations.get(labels.CATCH_UP)
    for now in [CREATED - timedelta(days=3), *moments(steps)]:
        world.ask(now)
    for slot, when in world.fired:
        assert slot > CREATED
        if asked.starting_deadline is not None:
            assert when - slot < asked.starting_deadline
        elif mode not in ("latest", "all"):
            assert when - slot <= world.policy.grace


@settings(deadline=None, max_examples=100)
@given(crons(), gaps, gaps)
def test_asking_again_changes_nothing(asked: CronWorkflow, first: timedelta, second: timedelta) -> None:
    """Law: idempotent at one moment, and monotone: a later look never undoes what an earlier one decided."""
    world = World(asked)
    now = CREATED + first
    world.ask(now)
    before = dict(world.rows)
    queued = asked.annotations.get(labels.CATCH_UP) == "all" and asked.concurrency == "Forbid"
    again = world.ask(now)
    assert queued or (again.rows, again.fires) == ((), ())
    world.ask(now + second)
    grown = (Outcome.SKIPPED,)
    for slot, row in before.items():
        assert world.rows[slot].outcome == row.outcome
        assert world.rows[slot].count >= row.count if row.outcome in grown else world.rows[slot] == row


@settings(deadline=None, max_examples=100)
@given(crons(queue=False), st.integers(1, 48 * 3600))
def test_a_daemon_that_wakes_when_told_misses_nothing(asked: CronWorkflow, length: int) -> None:
    """Law: `wake_at` is enough: who asks only then fires every slot on time."""
    world = World(asked)
    end = CREATED + timedelta(seconds=length)
    wake_at = world.ask(CREATED).wake_at
    for _ in range(400):
        if wake_at is None or wake_at > end:
            break
        now = wake_at
        wake_at = world.ask(now).wake_at
        assert wake_at is None or wake_at > now
        world.active.clear()
    assert all(row.outcome is not Outcome.MISSED for row in world.rows.values())
    if not asked.suspend:
        assert all(slot == when for slot, when in world.fired)
        assert {slot for slot, _ in world.fired} == set(world.rows)


@settings(deadline=None, max_examples=60)
@given(crons(), st.integers(1, 50 * 366 * 86400))
def test_an_outage_costs_a_bounded_number_of_rows(asked: CronWorkflow, length: int) -> None:
    """Law: however long nobody looked, the answer has at most one row for what is missed and the cap for the rest."""
    policy = due.Policy(catch_up_cap=5)
    decision = World(asked, policy).ask(CREATED + timedelta(seconds=length))
    assert len(decision.rows) <= 1 + max(policy.catch_up_cap, 6)
    assert sum(row.outcome is Outcome.MISSED for row in decision.rows) <= 1
