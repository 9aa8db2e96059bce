"""The fate of slots, a row per case: policy, moment, what happens."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest

from syncd.argo import labels
from syncd.cron import due
from syncd.cron.due import History
from syncd.cron.ledger import Outcome, Reason, Row
from tests.cron.crons_for_tests import NOON, at, cron, row

AN_HOUR_AGO = row(at("11:00"))


@dataclass(frozen=True)
class Case:
    """now: when asked; expected: (slot or first slot, outcome, reason) of each row, in order."""

    name: str
    now: datetime
    expected: list[tuple[datetime, Outcome, Reason]]
    spec: dict[str, Any] = field(default_factory=dict)
    schedules: tuple[str, ...] = ("0 * * * *",)
    latest: Row | None = AN_HOUR_AGO
    active: tuple[str, ...] = ()
    terminate: tuple[str, ...] = ()


def annotated(**notes: str) -> dict[str, Any]:
    return {"annotations": {f"syncd.io/{key.replace('_', '-')}": value for key, value in notes.items()}}


FIRES = (NOON, Outcome.PENDING, Reason.ON_TIME)
CASES = [
    Case("nothing before the slot", at("11:59:59"), []),
    Case("fires on the second", NOON, [FIRES]),
    Case("fires a moment later", at("12:00:03"), [FIRES]),
    Case("the first slot after creation fires", at("11:00"), [(at("11:00"), Outcome.PENDING, Reason.ON_TIME)], latest=None),
    Case("a slot of the second of creation does not fire", at("10:00:01"), [], latest=None),
    Case("a slot already decided does not fire again", at("11:00:01"), []),
    Case("within the grace it fires late", at("12:00:40"), [(NOON, Outcome.PENDING, Reason.GRACE)]),
    Case("the last second of the grace", at("12:01:00"), [(NOON, Outcome.PENDING, Reason.GRACE)]),
    Case("after the grace it is missed", at("12:01:01"), [(NOON, Outcome.MISSED, Reason.DOWN)]),
    Case(
        "within the deadline it fires late",
        at("12:30"),
        [(NOON, Outcome.PENDING, Reason.STARTING_DEADLINE)],
        {"startingDeadlineSeconds": 3600},
    ),
    Case("past the deadline it is too late", at("12:10"), [(NOON, Outcome.MISSED, Reason.TOO_LATE)], {"startingDeadlineSeconds": 300}),
    Case("a deadline shorter than the grace wins", at("12:00:30"), [(NOON, Outcome.MISSED, Reason.TOO_LATE)], {"startingDeadlineSeconds": 20}),
    Case("a deadline of 0 is none", at("12:00:30"), [(NOON, Outcome.PENDING, Reason.GRACE)], {"startingDeadlineSeconds": 0}),
    Case(
        "only the latest missed slot is made up for",
        at("14:30"),
        [(NOON, Outcome.MISSED, Reason.DOWN), (at("14:00"), Outcome.PENDING, Reason.STARTING_DEADLINE)],
        {"startingDeadlineSeconds": 86400},
    ),
    Case(
        "after an outage the slot of now fires on time",
        at("14:00"),
        [(NOON, Outcome.MISSED, Reason.DOWN), (at("14:00"), Outcome.PENDING, Reason.ON_TIME)],
    ),
    Case("catch-up latest runs the latest, however late", at("14:50"), [(NOON, Outcome.MISSED, Reason.DOWN), (at("14:00"), Outcome.PENDING, Reason.CATCH_UP)], annotated(catch_up="latest")),
    Case(
        "catch-up all runs them all in order",
        at("14:50"),
        [(at(f"{hour}:00"), Outcome.PENDING, Reason.CATCH_UP) for hour in (12, 13, 14)],
        annotated(catch_up="all"),
    ),
    Case(
        "catch-up all with Forbid queues",
        at("14:50"),
        [(NOON, Outcome.PENDING, Reason.CATCH_UP)],
        {**annotated(catch_up="all"), "concurrencyPolicy": "Forbid"},
    ),
    Case("a queue waits while a run is active", at("14:50"), [], {**annotated(catch_up="all"), "concurrencyPolicy": "Forbid"}, active=("x",)),
    Case(
        "catch-up all with Replace runs the latest only",
        at("14:50"),
        [(NOON, Outcome.MISSED, Reason.DOWN), (at("14:00"), Outcome.PENDING, Reason.CATCH_UP)],
        {**annotated(catch_up="all"), "concurrencyPolicy": "Replace"},
    ),
    Case("catch-up none ignores the deadline", at("12:30"), [(NOON, Outcome.MISSED, Reason.DOWN)], {**annotated(catch_up="none"), "startingDeadlineSeconds": 3600}),
    Case("suspended", NOON, [(NOON, Outcome.SKIPPED, Reason.SUSPENDED)], {"suspend": True}),
    Case("stopped", NOON, [(NOON, Outcome.SKIPPED, Reason.STOPPED)], {"status": {"phase": "Stopped"}}),
    Case("completed by label", NOON, [(NOON, Outcome.SKIPPED, Reason.STOPPED)], {"labels": {labels.CRON_COMPLETED: "true"}}),
    Case("Allow with a run active", NOON, [FIRES], active=("nightly-1",)),
    Case("Forbid with none active", NOON, [FIRES], {"concurrencyPolicy": "Forbid"}),
    Case("Forbid with a run active", NOON, [(NOON, Outcome.SKIPPED, Reason.CONCURRENCY)], {"concurrencyPolicy": "Forbid"}, active=("nightly-1",)),
    Case("Replace ends all that run", NOON, [FIRES], {"concurrencyPolicy": "Replace"}, active=("a", "b"), terminate=("a", "b")),
    Case("an unknown concurrencyPolicy fires nothing", NOON, [(NOON, Outcome.FAILED, Reason.SUBMISSION)], {"concurrencyPolicy": "Sometimes"}),
    Case("when is true", NOON, [FIRES], {"when": "{{= cronworkflow.failed == 0 }}"}),
    Case("when is false", NOON, [(NOON, Outcome.SKIPPED, Reason.WHEN)], {"when": "{{= cronworkflow.failed > 0 }}"}),
    Case("when is nonsense", NOON, [(NOON, Outcome.FAILED, Reason.WHEN)], {"when": "{{= nobody.knows }}"}),
    Case("when is asked before concurrency", NOON, [(NOON, Outcome.SKIPPED, Reason.WHEN)], {"when": "1 > 2", "concurrencyPolicy": "Forbid"}, active=("a",)),
    Case("the stop strategy comes true", NOON, [(NOON, Outcome.SKIPPED, Reason.STOPPED)], {"stopStrategy": {"expression": "cronworkflow.failed >= 2"}, "status": {"failed": 2}}),
    Case("the stop strategy is not true yet", NOON, [FIRES], {"stopStrategy": {"expression": "cronworkflow.failed >= 2"}, "status": {"failed": 1}}),
    Case("the stop strategy is nonsense", NOON, [(NOON, Outcome.FAILED, Reason.STOPPED)], {"stopStrategy": {"expression": "cronworkflow.failed +"}}),
    Case("the same moment on two lines is one slot", NOON, [FIRES], schedules=("0 * * * *", "0 12 * * *")),
    Case(
        "schedules that changed while nobody looked fire nothing outstanding",
        at("12:00:30"),
        [(NOON, Outcome.SKIPPED, Reason.REPLACED_SCHEDULE)],
        {"annotations": {labels.LAST_USED_SCHEDULE: "30 * * * *"}},
    ),
    Case("every n from creation", at("11:03"), [(at("11:03"), Outcome.PENDING, Reason.ON_TIME)], schedules=("@every 21m",)),
    Case("a loop that is a little late fires all that are on time", at("11:00:03"), [(at(f"11:00:0{n}"), Outcome.PENDING, Reason.ON_TIME) for n in (1, 2, 3)], schedules=("@every 1s",)),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_fate_of_slots(case: Case) -> None:
    decision = due.due(cron(*case.schedules, **case.spec), case.now, History(case.latest, case.active))
    assert [(r.slot, r.outcome, r.reason) for r in decision.rows] == case.expected
    assert decision.terminate == case.terminate
    pending = [(r.slot, r.run) for r in decision.rows if r.outcome is Outcome.PENDING]
    assert [(fire.slot, fire.name) for fire in decision.fires] == pending
    assert decision.wake_at is not None
    assert decision.wake_at > case.now


def test_the_child_is_named_by_cron_and_unix_second() -> None:
    (fire,) = due.due(cron(), NOON, History(AN_HOUR_AGO)).fires
    assert fire.name == f"nightly-{int(NOON.timestamp())}"


def test_a_long_outage_is_one_row_that_counts() -> None:
    decision = due.due(cron(), at("12:30", day=20), History(AN_HOUR_AGO))
    (missed,) = decision.rows
    assert (missed.slot, missed.until, missed.count) == (NOON, at("12:00", day=20), 241)


def test_a_suspended_cron_has_one_row_that_grows() -> None:
    first = due.due(cron(suspend=True), NOON, History(AN_HOUR_AGO))
    second = due.due(cron(suspend=True), at("13:00"), History(first.rows[-1]))
    assert [(r.slot, r.until, r.count) for r in second.rows] == [(NOON, at("13:00"), 2)]
    assert [(r.slot, r.until, r.count) for r in second.told] == [(at("13:00"), at("13:00"), 1)]


def test_schedules_seen_to_change_continue_from_the_change() -> None:
    changed = cron("15 * * * *", annotations={labels.LAST_USED_SCHEDULE: "0 * * * *"}, startingDeadlineSeconds=86400)
    quiet = due.due(changed, at("12:31"), History(AN_HOUR_AGO, since=at("12:30")))
    assert (quiet.rows, quiet.wake_at, quiet.schedules_changed) == ((), at("13:15"), True)


def test_what_another_scheduler_has_fired_since_is_not_decided_again() -> None:
    """A cron that was syncd's until 11:00 and Argo's at noon: its child of noon may be gone by now, and its name free."""
    returned = cron("0 * * * *", startingDeadlineSeconds=3600, status={"lastScheduledTime": "2026-03-10T12:00:00Z"})
    decision = due.due(returned, at("12:30"), History(AN_HOUR_AGO))
    assert (decision.rows, decision.wake_at) == ((), at("13:00"))


def test_a_schedule_that_cannot_be_read_is_a_problem_and_not_an_exception() -> None:
    decision = due.due(cron("* * * * *", "10 * * 12737123 *"), NOON, History())
    assert decision.problem == (
        "cron schedule 10 * * 12737123 * is malformed: end of range (12737123) above maximum (12): 12737123"
    )
    assert (decision.rows, decision.wake_at) == ((), None)


def test_catch_up_all_is_capped() -> None:
    everything = cron("* * * * *", annotations={labels.CATCH_UP: "all"})
    policy = due.Policy(catch_up_cap=3)
    decision = due.due(everything, at("12:10"), History(row(at("12:00"))), policy)
    assert [(r.slot, r.outcome, r.count) for r in decision.rows] == [
        (at("12:01"), Outcome.MISSED, 7),
        *((at(f"12:{minute:02}"), Outcome.PENDING, 1) for minute in (8, 9, 10)),
    ]


def test_a_cron_job_makes_up_for_the_latest_as_kubernetes_does() -> None:
    decision = due.due(cron(kind="CronJob"), at("14:50"), History(AN_HOUR_AGO))
    assert [(r.slot, r.outcome) for r in decision.rows] == [(NOON, Outcome.MISSED), (at("14:00"), Outcome.PENDING)]


def test_the_stop_strategy_stops_the_cron() -> None:
    done = cron(stopStrategy={"expression": "cronworkflow.succeeded >= 1"}, status={"succeeded": 1})
    assert due.due(done, NOON, History(AN_HOUR_AGO)).stop
