"""An API server that is away is told once, and once that it is back."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import pytest

from syncd.app.reach import Reach
from syncd.observe.events import LoopFailed
from syncd.observe.journal import Journal
from tests.support.clocks import ManualClock

WHY = "the API server https://x cannot be reached: refused"
AT = datetime(2026, 1, 5, tzinfo=UTC)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def reach(clock: ManualClock) -> Reach:
    return Reach(clock, Journal())


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """What people read: level and message."""
    found = [(record.levelname, record.getMessage()) for record in caplog.records]
    return [(level, message) for level, message in found if level != "DEBUG"]


def test_many_failures_are_one_line_and_so_is_the_end(
    reach: Reach, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for _ in range(10):
        reach.told(0, WHY)
        reach.hear(LoopFailed("look", "Unreachable", AT, f"list: {WHY}", 1.0))
        clock.advance(2)
    clock.advance(4)
    reach.told(200, "")
    reach.told(200, "")
    said = [("WARNING", WHY), ("INFO", "the API server answers again, after 24s")]
    assert lines(caplog) == said


def test_every_second_request_lost_is_no_flood(
    reach: Reach, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for _ in range(20):
        reach.told(0, WHY)
        reach.told(200, "")
        clock.advance(1)
    assert lines(caplog) == [("WARNING", WHY)]
    assert reach.away


def test_what_else_fails_meanwhile_is_told(reach: Reach, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    reach.told(0, WHY)
    reach.hear(LoopFailed("sync jobs", "ConfigError", AT, "no such folder", 5.0))
    assert [message for _, message in lines(caplog)][1:] == ["loop sync jobs: no such folder; again in 5 s"]


def test_a_failure_of_a_server_that_answers_is_told_once_while_it_repeats(
    reach: Reach, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    reach.hear(LoopFailed("look", "Unreachable", AT, "503", 1.0))
    reach.hear(LoopFailed("look", "Unreachable", AT, "503", 2.0, repeated=True))
    assert [message for _, message in lines(caplog)] == ["loop look: 503; again in 1 s"]
