"""By when a cron should have succeeded again, and by when a run of it should have ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.argo import labels
from syncd.base.clock import rfc3339
from syncd.cron import expectation, timetable
from syncd.cron.children import Child
from syncd.cron.firing import child_name
from syncd.cron.ledger import Outcome, Reason
from tests.cron.crons_for_tests import CREATED, NOON, at, cron, moments, row, texts

HOUR = timedelta(hours=1)


def child(slot: datetime, phase: str = "Succeeded", finished_at: datetime | None = None, name: str = "") -> Child:
    ended = rfc3339(finished_at) if finished_at else ""
    return Child(name or child_name("nightly", slot), f"uid-{slot}", "1", phase, ended)


@pytest.mark.parametrize(
    ("text", "within"),
    [
        ("", HOUR),
        ("90m", timedelta(minutes=90)),
        ("1h30m", timedelta(minutes=90)),
        ("45", HOUR),
        ("soon", HOUR),
        ("0s", HOUR),
        ("-5m", HOUR),
    ],
)
def test_the_annotation_else_the_default(text, within):
    notes = {labels.FINISH_WITHIN: text} if text else {}
    assert expectation.finish_within(cron(annotations=notes), HOUR) == within


@pytest.mark.parametrize(
    ("schedule", "spec", "since", "due"),
    [
        ("0 * * * *", {}, "12:00:00", "14:00:00"),  # a success at 12:00: the next slot is 13:00
        ("0 * * * *", {}, "12:10:00", "14:00:00"),
        ("0 * * * *", {"suspend": True}, "12:00:00", None),
        ("0 * * * *", {"status": {"phase": "Stopped"}}, "12:00:00", None),
        ("0 0 30 2 *", {}, "12:00:00", None),  # never
        ("not a schedule", {}, "12:00:00", None),
        ("*/5 * * * *", {"annotations": {labels.FINISH_WITHIN: "10m"}}, "12:01:00", "12:15:00"),
        ("30 14 * * *", {"timezone": "Europe/Paris"}, "12:00:00", "14:30:00"),
    ],
)
def test_by_when_it_should_have_succeeded(schedule, spec, since, due):
    made = cron(schedule, **spec)
    found = expectation.success_due(made, at(since), expectation.finish_within(made, HOUR))
    assert found == (at(due) if due else None)


@pytest.mark.parametrize(
    ("outcome", "reason", "excuses"),
    [
        (Outcome.SKIPPED, Reason.SUSPENDED, True),
        (Outcome.SKIPPED, Reason.STOPPED, True),
        (Outcome.SKIPPED, Reason.WHEN, True),
        (Outcome.SKIPPED, Reason.REPLACED_SCHEDULE, True),
        (Outcome.SKIPPED, Reason.CONCURRENCY, False),  # the run before hangs: that is what the alert is for
        (Outcome.MISSED, Reason.DOWN, False),
        (Outcome.FAILED, Reason.WHEN, False),  # `when` cannot be evaluated
        (Outcome.FAILED, Reason.SUBMISSION, False),
        (Outcome.FIRED, Reason.ON_TIME, False),
    ],
)
def test_what_somebody_ruled_out_is_not_expected(outcome, reason, excuses):
    one = row(at("11:00:00"), outcome, reason, until=NOON)
    assert expectation.excused(one) == (NOON if excuses else None)


FIRED = row(NOON)
SUSPENDED = row(at("11:00:00"), Outcome.SKIPPED, Reason.SUSPENDED, until=NOON)
HAS_SUCCEEDED = {"succeeded": 7, "lastScheduledTime": rfc3339(NOON)}


@pytest.mark.parametrize(
    ("name", "children", "latest", "status", "since"),
    [
        ("it never ran", [], None, {}, CREATED),
        ("the newest success", [child(at("11:00:00"), finished_at=at("11:20:00"))], FIRED, {}, at("11:20:00")),
        (
            "the newest success, not the newest run",
            [child(at("11:00:00"), finished_at=at("11:20:00")), child(at("11:30:00"), "Failed", at("11:31:00"))],
            None,
            {},
            at("11:20:00"),
        ),
        ("it never succeeded", [child(NOON, "Failed", NOON)], FIRED, {"failed": 3}, CREATED),
        ("the history of its successes was cut", [], FIRED, HAS_SUCCEEDED, NOON),
        ("the same, and the ledger is new", [], None, HAS_SUCCEEDED, NOON),
        (
            "cut, but a failure is left: the success was before it",
            [child(at("11:00:00"), "Failed", at("11:01:00")), child(NOON, "Error", NOON)],
            FIRED,
            HAS_SUCCEEDED,
            at("10:59:59"),
        ),
        ("suspended until noon", [child(CREATED, finished_at=at("10:05:00"))], SUSPENDED, {}, NOON),
        ("the run of the newest slot goes on", [child(NOON, "Running")], FIRED, {}, at("11:59:59")),
        ("an older run goes on", [child(at("11:00:00"), "Running")], FIRED, {}, CREATED),
    ],
)
def test_from_when_on_after_a_restart(name, children, latest, status, since):
    assert expectation.since_at_start(cron(status=status), children, latest, at("13:00:00")) == since


def test_a_success_by_hand_counts_and_a_failure_by_hand_does_not_matter():
    by_hand = child(NOON, finished_at=NOON, name="nightly-x7k2p")
    assert expectation.since_at_start(cron(), [by_hand], None, NOON) == NOON
    failed = child(NOON, "Failed", NOON, name="nightly-x7k2p")
    assert expectation.since_at_start(cron(status=HAS_SUCCEEDED), [failed], FIRED, NOON) == NOON


@pytest.mark.parametrize(
    ("metadata", "slot"),
    [
        ({"annotations": {labels.SCHEDULED_TIME: rfc3339(NOON)}, "name": "nightly-1"}, NOON),
        ({"annotations": {labels.SCHEDULED_TIME: "noon"}, "name": child_name("nightly", NOON)}, NOON),
        ({"name": "nightly-x7k2p", "creationTimestamp": rfc3339(NOON)}, NOON),
        ({"name": "nightly-12345", "creationTimestamp": rfc3339(NOON)}, NOON),  # a suffix, not a time of 1970
        ({"name": "weekly-1795311000"}, None),
        ({"name": "nightly-١٧٩٥٣١١٠٠٠"}, None),
        ({}, None),
    ],
)
def test_the_slot_of_a_child(metadata, slot):
    assert expectation.slot_of({"metadata": metadata}, "nightly") == slot


def test_lateness_begins_after_the_time_is_over():
    assert not expectation.is_late(NOON, NOON + HOUR, HOUR)
    assert expectation.is_late(NOON, NOON + HOUR + timedelta(seconds=1), HOUR)


durations = st.integers(1, 400 * 86_400).map(lambda s: timedelta(seconds=s))


@given(texts, moments, durations)
def test_the_due_time_is_that_of_the_first_slot_after_the_success(schedule, since, within):
    """Law: `within` after a slot, and no slot lies between the success and that one."""
    made = cron(schedule)
    due = expectation.success_due(made, since, within)
    table = timetable.of(made)
    if due is None:
        assert table.next(since) is None
    else:
        assert due - within > since
        assert table.has(due - within)
        assert table.previous(since, due - within) is None


@given(texts, moments, durations, durations)
def test_a_later_success_is_never_due_earlier(schedule, since, later, within):
    """Law: monotone in the moment of the success."""
    made = cron(schedule)
    first, second = (expectation.success_due(made, moment, within) for moment in (since, since + later))
    assert first is None or second is None or first <= second


@given(st.integers(200_000_000, 4_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)))
def test_a_slot_is_found_again_in_the_name_of_its_child(slot):
    """Law: the reverse of `firing.child_name`."""
    assert expectation.slot_of_name("nightly", child_name("nightly", slot)) == slot
