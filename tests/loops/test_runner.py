"""A loop never dies: what ends it decides when it comes back."""

from __future__ import annotations

import asyncio
import logging

import pytest

from syncd.base import errors
from syncd.loops import runner
from syncd.loops.runner import Runner
from tests.support.clocks import CountingRandom, ManualClock


class Stage:
    """A runner whose sleep moves the clock instead of waiting, and what it said."""

    def __init__(self):
        self.clock = ManualClock()
        self.events = []
        self.slept = []
        self.runner = Runner(self.clock, CountingRandom(), self.events.append, sleep=self.sleep)

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.clock.advance(seconds)
        await asyncio.sleep(0)

    async def play(self, *script, rest=None):
        """Run a loop that ends by each item of the script in turn, then returns."""
        left = list(script)

        async def run():
            await asyncio.sleep(0)
            if left:
                act = left.pop(0)
                if isinstance(act, tuple):
                    seconds, act = act
                    self.clock.advance(seconds)
                raise act

        self.runner.start("it", run, rest)
        await self.runner._tasks["it"]


@pytest.fixture
def stage():
    return Stage()


@pytest.mark.parametrize(
    ("error", "attempt", "seconds", "defect"),
    [
        (errors.Unreachable("x"), 1, 1.0, False),
        (errors.Unreachable("x"), 4, 8.0, False),
        (errors.Unreachable("x"), 99, 60.0, False),
        (errors.Unreachable("x", retry_after_seconds=20), 1, 20.0, False),
        (errors.Unreachable("x", retry_after_seconds=1e9), 1, 300.0, False),
        (errors.Conflict("x"), 1, 0.0, False),
        (errors.Expired("x"), 3, 4.0, False),
        (errors.ConfigError("x"), 1, 5.0, False),
        (errors.Refused("x"), 7, 60.0, False),
        (errors.Invalid("x"), 2, 10.0, False),
        (errors.Unsupported("x"), 1, 5.0, False),
        (errors.Defect("x"), 1, 1.0, True),
        (ZeroDivisionError("x"), 2, 2.0, True),
        (OSError("x"), 1, 1.0, True),
    ],
    ids=lambda value: f"{type(value).__name__}" if isinstance(value, Exception) else str(value),
)
def test_errors_are_sorted_into_behaviour(error, attempt, seconds, defect):
    said = runner.verdict(error, attempt, 0.0)
    assert (said.seconds, said.defect) == (seconds, defect)


async def test_backoff_grows_and_jitters(stage):
    await stage.play(*[errors.Unreachable("no route")] * 4)
    assert stage.slept == [0.75, 1.5, 3.0, 6.0]
    assert [event.message for event in stage.events] == ["no route"] * 4


async def test_a_loop_that_recovered_starts_anew(stage):
    await stage.play(errors.Unreachable("x"), errors.Unreachable("x"), (100, errors.Unreachable("x")))
    assert stage.slept == [0.75, 1.5, 0.75]


async def test_a_bug_is_logged_with_its_traceback_and_the_loop_comes_back(stage, caplog):
    await stage.play(ZeroDivisionError("oops"), ZeroDivisionError("oops"))
    assert [event.kind for event in stage.events] == ["Defect", "Defect"]
    assert "Traceback" in caplog.text
    assert "please report it" in caplog.text


async def test_a_failure_of_the_world_has_no_traceback(stage, caplog):
    with caplog.at_level(logging.DEBUG):
        await stage.play(errors.Unreachable("no route"), errors.ConfigError("no such ref"))
    assert "Traceback" not in caplog.text


async def test_a_first_conflict_is_not_worth_a_word(stage):
    await stage.play(errors.Conflict("moved"))
    assert (stage.events, stage.slept) == ([], [0.0])


async def test_a_loop_may_bring_its_own_rest(stage):
    rested = []

    async def rest(seconds):
        rested.append(seconds)

    await stage.play(errors.Unreachable("x"), rest=rest)
    assert (rested, stage.slept) == ([0.75], [])


async def test_a_rest_that_fails_does_not_end_the_loop(stage, caplog):
    async def rest(seconds):
        raise RuntimeError("restless")

    await stage.play(errors.Unreachable("x"), errors.Unreachable("x"), rest=rest)
    assert len(stage.slept) == 2
    assert "restless" in caplog.text


async def test_complaints_name_what_is_not_well(stage):
    failing, waiting = asyncio.Event(), asyncio.Event()

    async def run():
        raise errors.ConfigError("no such ref\nsecond line")

    async def rest(seconds):
        failing.set()
        await waiting.wait()

    stage.runner.start("sync a", run, rest)
    await failing.wait()
    assert stage.runner.complaints() == ["loop sync a: no such ref (1 times in a row)"]
    await stage.runner.close()
    assert stage.runner.complaints() == []


async def test_a_loop_that_takes_long_to_fail_has_not_recovered(stage):
    well_at = None
    left = [errors.Unreachable("no answer within 60 s")] * 3
    waits = asyncio.Event()

    async def run():
        nonlocal well_at
        stage.clock.advance(60)
        if left:
            raise left.pop()
        well_at = stage.clock.monotonic()
        complaints.append(stage.runner.complaints())
        waits.set()
        await asyncio.Event().wait()

    complaints = []
    stage.runner.start("it", run, well_at=lambda: well_at)
    await waits.wait()
    assert stage.slept == [0.75, 1.5, 3.0]
    assert complaints == [[]], "it is well again, although it has not ended"
    await stage.runner.close()


async def test_cancelling_ends_a_loop_and_lets_it_clean_up(stage):
    begun, cleaned = asyncio.Event(), []

    async def run():
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append(True)

    stage.runner.start("it", run)
    await begun.wait()
    with pytest.raises(ValueError, match="running already"):
        stage.runner.start("it", run)
    await stage.runner.stop("it")
    await stage.runner.stop("it")
    assert cleaned == [True]
    begun.clear()
    stage.runner.start("it", run)
    await begun.wait()
    await stage.runner.close()
    assert stage.events == []
