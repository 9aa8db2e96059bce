"""Lanes of a span of time: whose runs, which slots, in what order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from syncd.argo.manifest import Key
from syncd.base.clock import rfc3339
from syncd.cron.ledger import Outcome, Reason, Row
from syncd.observe import timeline

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def run(name: str, start: float, end: float | None = None, phase: str = "Succeeded", **marks: str) -> dict[str, Any]:
    status: dict[str, Any] = {"phase": phase, "startedAt": rfc3339(NOON + start * HOUR)}
    if end is not None:
        status["finishedAt"] = rfc3339(NOON + end * HOUR)
    labels = {f"workflows.argoproj.io/{key.replace('_', '-')}": value for key, value in marks.items()}
    return {"metadata": {"name": name, "namespace": "ci", "labels": labels}, "status": status}


def row(hour: float, outcome: Outcome, until: float | None = None, name: str = "nightly") -> Row:
    slot = NOON + hour * HOUR
    last = slot if until is None else NOON + until * HOUR
    return Row(Key("CronWorkflow", "ci", name), "u", slot, outcome, Reason.DOWN, slot, last)


def test_runs_and_slots_of_one_cron_are_one_lane() -> None:
    runs = [run("nightly-2", 2, 3, cron_workflow="nightly"), run("nightly-1", 1, 1.5, cron_workflow="nightly")]
    (lane,) = timeline.lanes(runs, [row(3, Outcome.MISSED), row(1, Outcome.FIRED)], NOON, NOON + 5 * HOUR)
    assert (lane.namespace, lane.origin) == ("ci", "cron/nightly")
    assert [span.name for span in lane.spans] == ["nightly-1", "nightly-2"]
    assert [slot.outcome for slot in lane.slots] == [Outcome.FIRED, Outcome.MISSED]


def test_workflows_of_their_own_come_last() -> None:
    runs = [run("a", 1, 2), run("b", 1, 2, workflow_template="base"), run("c", 1, 2, cron_workflow="nightly")]
    found = timeline.lanes(runs, [], NOON, NOON + 5 * HOUR)
    assert [lane.origin for lane in found] == ["cron/nightly", "template/base", "workflow"]


def test_what_does_not_touch_the_span_is_left_out() -> None:
    runs = [run("before", -3, -1), run("after", 6, 7), run("across", -1, 9), run("goes-on", -9, None, "Running")]
    rows = [row(-2, Outcome.MISSED), row(-2, Outcome.SKIPPED, until=1), row(6, Outcome.MISSED)]
    found = timeline.lanes(runs, rows, NOON, NOON + 5 * HOUR)
    assert [span.name for lane in found for span in lane.spans] == ["goes-on", "across"]
    assert [slot.outcome for lane in found for slot in lane.slots] == [Outcome.SKIPPED]


def test_a_body_that_tells_no_time_is_no_span() -> None:
    assert timeline.span_of({"metadata": {"name": "a"}, "status": {"startedAt": "soon"}}) is None
    made = timeline.span_of({"metadata": {"name": "a", "creationTimestamp": rfc3339(NOON)}})
    assert made is not None
    assert (made.start, made.phase, made.end) == (NOON, "", None)


def test_json_tells_seconds_and_outcomes() -> None:
    (lane,) = timeline.lanes(
        [run("n-1", 1, 1.5, cron_workflow="n")], [row(1, Outcome.FIRED, name="n")], NOON, NOON + 5 * HOUR
    )
    told = lane.to_json()
    assert told["runs"][0]["seconds"] == 1800
    assert told["slots"][0] == {
        "slot": "2026-01-01T13:00:00Z",
        "until": "2026-01-01T13:00:00Z",
        "count": 1,
        "outcome": "fired",
        "reason": "down",
        "run": "",
        "message": "",
    }
