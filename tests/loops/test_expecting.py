"""What the fire loop tells of its crons: by when they should succeed again, which runs take long, which succeeded late."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.argo import labels
from syncd.argo.manifest import Key
from syncd.cluster.api import Verb
from syncd.cluster.memory import MemoryStore
from syncd.cron.children import Child
from syncd.loops.expecting import Expected
from syncd.observe.events import CronStanding, LateSuccess
from tests.loops.test_fire import KEY, START, World
from tests.support.clocks import CountingRandom, ManualClock

HOURLY = "0 * * * *"


@pytest.fixture
def world():
    clock = ManualClock(START)  # 10:00:30
    return World(MemoryStore(clock, CountingRandom()), clock)


def at(hour: int, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2026, 3, 10, hour, minute, second, tzinfo=UTC)


def name(slot: datetime) -> str:
    return f"tick-{int(slot.timestamp())}"


def standing(world: World) -> tuple[datetime | None, datetime | None]:
    """What was told last; (None, None) where nothing was."""
    told = [event for event in world.events if isinstance(event, CronStanding)]
    return (told[-1].success_due, told[-1].run_due) if told else (None, None)


def late(world: World) -> list[tuple[str, datetime]]:
    return [(event.run.name, event.slot) for event in world.events if isinstance(event, LateSuccess)]


async def run_until(world: World, moment: datetime) -> None:
    await world.tick((moment - world.clock.now()).total_seconds())


async def ends(world: World, slot: datetime, moment: datetime, phase: str = "Succeeded") -> None:
    await run_until(world, moment)
    await world.finish(name(slot), phase)
    await world.look()


async def test_a_day_in_the_life_of_a_cron(world):
    await world.apply(schedule=HOURLY)
    assert standing(world) == (at(12), None)  # 11:00 and an hour
    await run_until(world, at(11))
    assert standing(world) == (at(12), at(12))
    await ends(world, at(11), at(11, 10))
    assert standing(world) == (at(13), None)
    await run_until(world, at(12))
    await ends(world, at(12), at(12, 5), "Failed")
    assert standing(world) == (at(13), None)  # a failure moves nothing
    await run_until(world, at(13))
    await ends(world, at(13), at(13, 30))
    assert standing(world) == (at(15), None)
    assert late(world) == []


async def test_it_is_told_only_when_it_changes(world):
    await world.apply(schedule=HOURLY)
    before = len(world.events)
    for _ in range(5):
        await world.look()
        await world.tick(60)
    assert len(world.events) == before


async def test_the_oldest_run_is_the_one_that_counts(world):
    await world.apply(schedule=HOURLY)
    await run_until(world, at(11))
    await run_until(world, at(12))
    assert standing(world)[1] == at(12)
    await ends(world, at(11), at(12, 30), "Error")
    assert standing(world)[1] == at(13)
    await world.write(Verb.DELETE, Key(labels.WORKFLOW, "ci", name(at(12))))
    await world.look()
    assert standing(world)[1] is None


async def test_a_success_after_its_time_is_told_once(world):
    notes = {"annotations": {labels.FINISH_WITHIN: "10m"}}
    await world.apply(schedule=HOURLY, metadata=notes)
    assert standing(world) == (at(11, 10), None)
    await run_until(world, at(11))
    await ends(world, at(11), at(11, 10, 1))
    assert late(world) == [(name(at(11)), at(11))]
    await world.restart()
    await world.look()
    assert late(world) == [(name(at(11)), at(11))]
    assert standing(world) == (at(12, 10), None)


async def test_a_late_success_that_nobody_saw_is_told_after_the_restart(world):
    """It is still in status.active, so its end was not counted."""
    await world.apply(schedule=HOURLY)
    await run_until(world, at(11))
    world.clock.set(at(12, 30))
    await world.finish(name(at(11)))
    await world.restart()
    assert (name(at(11)), at(11)) in late(world)


async def test_a_restart_knows_the_last_success(world):
    await world.apply(schedule=HOURLY)
    await run_until(world, at(11))
    await ends(world, at(11), at(11, 10))
    await run_until(world, at(12))
    told = standing(world)
    world.events.clear()
    await world.restart()
    assert standing(world) == told == (at(13), at(13))


async def test_a_change_of_the_annotation_is_told(world):
    await world.apply(schedule=HOURLY)
    await world.apply(schedule=HOURLY, metadata={"annotations": {labels.FINISH_WITHIN: "5m"}})
    assert standing(world) == (at(11, 5), None)


async def test_nothing_is_expected_while_it_is_suspended_nor_of_that_time(world):
    await world.apply(schedule=HOURLY)
    await run_until(world, at(11))
    await ends(world, at(11), at(11, 10))
    await world.loop.suspend(KEY, by="ada")
    await world.look()
    assert standing(world) == (None, None)
    await run_until(world, at(15, 30))
    await world.loop.resume(KEY, by="ada")
    await world.look()
    assert standing(world) == (at(17), None)  # not 13:00, hours ago
    world.events.clear()
    await world.restart()
    assert standing(world) == (at(17), None)


async def test_a_new_schedule_expects_nothing_of_the_time_before_it(world):
    await world.apply(schedule="0 0 1 1 *")
    await run_until(world, at(14, 30))
    await world.apply(schedule=HOURLY)
    assert standing(world) == (at(16), None)


async def test_a_run_by_hand_has_its_time_from_when_it_was_asked_for(world):
    await world.apply(schedule="0 0 1 1 *")
    await run_until(world, at(11, 30))
    await world.loop.trigger(KEY, by="ada")
    await world.look()
    assert standing(world)[1] == at(12, 30)


CHILDREN = 6


@given(st.lists(st.tuples(st.sampled_from(["begun", "ended", "gone"]), st.integers(0, CHILDREN - 1))))
def test_the_oldest_is_the_oldest_whatever_the_order(steps):
    """Law: the heap says what a plain minimum says."""
    expected, model = Expected(), {}
    for what, number in steps:
        slot = START + timedelta(minutes=number)
        if what == "begun":
            expected.begun(str(number), slot)
            model[str(number)] = slot
        elif what == "ended":
            expected.ended(Child(str(number), "", "", "Failed", ""), slot, first_seen=True)
            model.pop(str(number), None)
        else:
            expected.gone(str(number))
            model.pop(str(number), None)
        assert expected.oldest() == min(model.values(), default=None)
