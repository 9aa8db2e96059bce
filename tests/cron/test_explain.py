"""What people read: the words for every fate, the next slots, and the changes of the clocks."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.argo import labels
from syncd.cron import explain, phrases
from syncd.cron.ledger import Outcome, Reason
from tests.cron.crons_for_tests import NOON, at, cron, row


@pytest.mark.parametrize(("outcome", "reason"), list(itertools.product(Outcome, Reason)))
def test_every_fate_has_words(outcome: Outcome, reason: Reason) -> None:
    words = phrases.fate(row(NOON, outcome, reason, message="because"))
    assert words
    assert "{" not in words
    assert not words.endswith(".")
    assert "{" not in phrases.remedy(row(NOON, outcome, reason))


SLOTS = [
    ("on time", row(NOON), NOON, f"the slot of Tue 2026-03-10 12:00 UTC fired on time as nightly-{int(NOON.timestamp())}"),
    (
        "missed",
        row(NOON, Outcome.MISSED, Reason.DOWN, run="", until=at("15:00"), count=4),
        at("13:00"),
        ("each of the 4 slots from Tue 2026-03-10 12:00 UTC to Tue 2026-03-10 15:00 UTC was missed: syncd was not running "
        "at the time, and nothing asks to make up for it"),
    ),
    (
        "skipped for concurrency",
        row(NOON, Outcome.SKIPPED, Reason.CONCURRENCY, message="concurrencyPolicy is Forbid and nightly-1 is active"),
        NOON,
        "the slot of Tue 2026-03-10 12:00 UTC did not fire: concurrencyPolicy is Forbid and nightly-1 is active",
    ),
    ("still to come", None, at("18:00"), "the slot of Tue 2026-03-10 18:00 UTC is still to come"),
    (
        "no such slot",
        None,
        at("12:30"),
        ("the schedule has no slot at Tue 2026-03-10 12:30 UTC; the one before is Tue 2026-03-10 12:00 UTC, "
        "the one after is Tue 2026-03-10 13:00 UTC"),
    ),
    (
        "before creation",
        None,
        at("09:00"),
        "the slot of Tue 2026-03-10 09:00 UTC is older than the cron, which was created on Tue 2026-03-10 10:00 UTC",
    ),
    ("no row", None, at("14:00"), "the ledger has no row for the slot of Tue 2026-03-10 14:00 UTC: is the daemon running?"),
]  # fmt: skip


@pytest.mark.parametrize(("known", "slot", "expected"), [c[1:] for c in SLOTS], ids=[c[0] for c in SLOTS])
def test_why_a_slot_did_or_did_not_run(known: object, slot: datetime, expected: str) -> None:
    told = explain.explain(cron(), [known] if known else [], at("16:30"), slot)  # type: ignore[list-item]
    assert told.sentences[0] == expected
    assert told.row == known


def test_in_general_it_says_rule_state_past_and_next() -> None:
    asked = cron(
        "30 2 * * *", timezone="Europe/Paris", concurrencyPolicy="Forbid", status={"active": [{"name": "nightly-1"}]}
    )
    rows = [
        row(at("01:30"), Outcome.SKIPPED, Reason.WHEN, message="when is false: 1 > 2"),
        row(at("01:30", day=9)),
    ]
    told = explain.explain(asked, rows, NOON)
    assert told.sentences == (
        "CronWorkflow/ci/nightly runs at `30 2 * * *` by the clocks of Europe/Paris",
        "active now: nightly-1; the next slot is skipped if that is still so (concurrencyPolicy: Forbid)",
        "the slot of Tue 2026-03-10 02:30 CET (01:30 UTC) did not fire: when is false: 1 > 2",
        (
            "it last ran 1 d 10 h ago: the slot of Mon 2026-03-09 02:30 CET (01:30 UTC) fired on time as "
            f"nightly-{int(at('01:30', day=9).timestamp())}"
        ),
        "it fires next on Wed 2026-03-11 02:30 CET (01:30 UTC), in 13 h 30 m",
        (
            "on Sun 2026-03-29 the clocks go from 02:00 to 03:00: `30 2 * * *` is skipped by them and does not fire "
            "(annotation syncd.io/dst)"
        ),
        (
            "on Sun 2026-10-25 the clocks go from 03:00 to 02:00: `30 2 * * *` is shown twice and fires twice "
            "(annotation syncd.io/dst)"
        ),
    )


def test_a_suspension_by_hand_is_told_with_name_and_time() -> None:
    note = json.dumps({"field": "spec.suspend", "who": "ada", "since": "2026-03-10T11:00:00Z"})
    told = explain.explain(cron(suspend=True, annotations={labels.BY_HAND: note}), [], NOON)
    assert "it is suspended by ada since 2026-03-10T11:00:00Z, so it does not fire" in told.sentences
    assert told.next == ()
    assert "it is suspended in git, so it does not fire" in explain.explain(cron(suspend=True), [], NOON).sentences


def test_a_schedule_that_never_matches_is_said() -> None:
    told = explain.explain(cron("0 0 30 2 *"), [], NOON)
    assert "it has no next time: within five years no moment matches the schedule" in told.sentences


def test_a_schedule_that_cannot_be_read_is_said() -> None:
    told = explain.explain(cron("0 0 * * 8"), [], NOON)
    assert told.sentences == (
        (
            "CronWorkflow/ci/nightly cannot be scheduled: cron schedule 0 0 * * 8 is malformed: "
            "end of range (8) above maximum (6): 8"
        ),
    )


def test_a_ledger_from_the_future_is_said() -> None:
    told = explain.explain(cron(), [row(at("12:00", day=20))], NOON)
    assert any("the clock of this machine was wrong" in sentence for sentence in told.sentences)


def test_the_second_of_two_equal_times_has_a_note() -> None:
    found = explain.upcoming(cron("30 2 * * *", timezone="Europe/Paris"), datetime(2026, 10, 24, 12, tzinfo=UTC), 2)
    assert [(n.text, n.note) for n in found] == [
        ("Sun 2026-10-25 02:30 CEST (00:30 UTC)", ""),
        ("Sun 2026-10-25 02:30 CET (01:30 UTC)", "the clocks show this time twice; this is the second"),
    ]


def test_json_holds_what_the_sentences_say() -> None:
    told = explain.explain(cron(), [row(NOON)], at("12:10"), NOON).to_json()
    assert json.loads(json.dumps(told)) == told
    assert (told["row"]["outcome"], told["next"][0]["at"]) == ("fired", "2026-03-10T13:00:00Z")


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=4000)))
def test_a_span_is_never_more_than_two_units(length: timedelta) -> None:
    """Law: a span is told in at most two units, and never as more than it is."""
    parts = phrases.span(length).split()
    assert len(parts) in (2, 4)
    size = {"d": 86400, "h": 3600, "m": 60, "s": 1}
    told = sum(int(n) * size[u] for n, u in zip(parts[::2], parts[1::2], strict=True))
    assert told <= length.total_seconds()
