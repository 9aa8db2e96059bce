"""Who leads: never two at once, soon another, and nobody whose clock is wrong."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.base.errors import Unreachable
from syncd.cluster.api import Hold
from syncd.loops.lead import LeadLoop, Move, NotLeading, Seen, Terms, move
from syncd.observe.events import Event, LeadershipChanged, LoopFailed
from tests.support.clocks import CountingRandom, ManualClock
from tests.support.leases import MemoryLease, Seat

AWAY = Unreachable("the API server cannot be reached")


@dataclass
class Replica:
    """One that takes part. Time is its own: `clock`."""

    name: str
    seat: Seat
    clock: ManualClock
    acting: bool = False
    begun: int = 0
    unfit: str = ""
    heard: list[Event] = field(default_factory=list)
    loop: LeadLoop = field(init=False)

    def __post_init__(self) -> None:
        async def begin() -> None:
            assert not self.acting
            self.acting, self.begun = True, self.begun + 1

        async def end() -> None:
            self.acting = False

        self.loop = LeadLoop(
            self.seat,
            self.clock,
            CountingRandom(),
            self.heard.append,
            Terms(self.name),
            begin=begin,
            end=end,
            fit=lambda: self.unfit,
        )

    @property
    def may_write(self) -> bool:
        try:
            self.loop.guard()
        except NotLeading:
            return False
        return True


class House:
    """Replicas of one lease, whose clocks go together unless a test says otherwise."""

    def __init__(self, count: int = 2) -> None:
        self.lease = MemoryLease()
        self.replicas = [Replica(f"r{n}", self.lease.seat(), ManualClock()) for n in range(count)]

    async def pass_(self, seconds: float, *, without: Replica | None = None) -> None:
        """Time goes on in steps of a second; each replica looks each two seconds. without: one that does nothing."""
        for second in range(int(seconds)):
            for replica in self.replicas:
                replica.clock.advance(1)
            for replica in self.replicas:
                if replica is not without and second % 2 == 0:
                    await replica.loop.step()
            writers = [replica.name for replica in self.replicas if replica.may_write]
            assert len(writers) <= 1, f"{writers} may write at once"


async def test_the_first_takes_it_and_keeps_it() -> None:
    house = House(3)
    await house.pass_(120)
    assert [replica.acting for replica in house.replicas] == [True, False, False]
    assert house.replicas[0].begun == 1
    assert house.lease.hold is not None
    assert (house.lease.hold.holder, house.lease.hold.transitions) == ("r0", 0)
    assert [replica.loop.holder for replica in house.replicas] == ["r0"] * 3


async def test_a_dead_leader_is_followed_within_its_lease_and_five_seconds() -> None:
    house = House()
    first, second = house.replicas
    await house.pass_(10)
    await house.pass_(15 + 5, without=first)
    assert second.acting
    assert second.loop.last_alive is not None
    assert house.lease.hold is not None
    assert house.lease.hold.transitions == 1


async def test_a_leader_that_cannot_renew_stops_before_the_lease_passes_on() -> None:
    house = House()
    first, second = house.replicas
    await house.pass_(10)
    first.seat.cut = AWAY
    await house.pass_(13)
    assert not first.acting
    assert not second.acting
    await house.pass_(8)
    assert second.acting
    first.seat.cut = None
    await house.pass_(30)
    assert (first.acting, second.acting) == (False, True)


async def test_a_leader_that_slept_may_write_nothing_when_it_wakes() -> None:
    """SIGSTOP: its loop did nothing while time went on; the first thing that it does when it wakes may be a write."""
    house = House()
    first, second = house.replicas
    await house.pass_(10)
    await house.pass_(40, without=first)
    assert second.acting
    assert first.acting, "nobody has told it yet"
    assert not first.may_write
    await first.loop.step()
    assert not first.acting


async def test_a_machine_that_was_suspended_may_write_nothing_though_its_monotonic_clock_stood_still() -> None:
    house = House(1)
    (only,) = house.replicas
    await house.pass_(4)
    only.clock.set(only.clock.now() + timedelta(hours=1))
    assert not only.may_write
    await only.loop.step()
    assert only.may_write, "the lease has the version that we gave it: nobody had it meanwhile"


async def test_a_wall_clock_that_goes_back_does_not_lengthen_a_term() -> None:
    house = House(1)
    (only,) = house.replicas
    await house.pass_(4)
    monotonic = only.clock.monotonic()
    only.clock.set(only.clock.now() - timedelta(hours=1))
    assert only.may_write
    only.clock._monotonic = monotonic + 11
    assert not only.may_write


async def test_times_in_the_lease_are_not_believed() -> None:
    """The holder's clock may be an hour ahead or behind: what counts is how long we see nothing move."""
    house = House()
    first, second = house.replicas
    first.clock.set(first.clock.now() + timedelta(hours=1))
    await house.pass_(60)
    assert (first.acting, second.acting) == (True, False)
    house = House()
    first, second = house.replicas
    first.clock.set(first.clock.now() - timedelta(hours=1))
    await house.pass_(60)
    assert (first.acting, second.acting) == (True, False)


async def test_who_ends_hands_over_and_the_next_has_it_without_waiting() -> None:
    house = House()
    first, second = house.replicas
    await house.pass_(10)
    await first.loop.resign()
    assert not first.acting
    assert house.lease.hold is not None
    assert house.lease.hold.holder == ""
    await second.loop.step()
    assert second.acting
    await first.loop.step()
    assert not first.acting, "it has resigned for good"


async def test_a_hand_over_is_heard_of_and_not_polled_for() -> None:
    house = House()
    first, second = house.replicas
    await first.loop.step()
    await second.loop.step()
    running = asyncio.create_task(second.loop.run())
    await asyncio.sleep(0.05)
    await first.loop.resign()
    async with asyncio.timeout(1):
        while not second.acting:  # noqa: ASYNC110 - it begins in a task of its own
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_lease_whose_answer_was_lost_is_ours_all_the_same() -> None:
    house = House(1)
    (only,) = house.replicas
    only.seat.lose = AWAY
    await only.loop.step()
    assert not only.acting
    await only.loop.step()
    assert only.acting


async def test_a_renewal_whose_answer_was_lost_is_no_defeat() -> None:
    house = House()
    first, second = house.replicas
    await house.pass_(4)
    first.seat.lose = AWAY
    await house.pass_(60)
    assert (first.acting, first.begun, second.begun) == (True, 1, 0)


async def test_who_is_unfit_neither_takes_it_nor_keeps_it() -> None:
    house = House()
    first, second = house.replicas
    first.unfit = "the clock is an hour off"
    await house.pass_(4)
    assert (first.acting, second.acting) == (False, True)
    assert not first.loop.vacant
    second.unfit, first.unfit = "the clock is an hour off", ""
    await house.pass_(6)
    assert (first.acting, second.acting) == (True, False)


async def test_whether_it_is_fit_is_asked_after_the_answer_that_tells_the_time() -> None:
    """Before the first answer no clock can be known to be wrong: not even one step is led on a guess."""
    house = House(1)
    (only,) = house.replicas
    read = only.seat.read

    async def answered() -> Hold | None:
        only.unfit = "the clock is an hour off"
        return await read()

    only.seat.read = answered  # type: ignore[method-assign]
    await only.loop.step()
    assert (only.begun, house.lease.writes, only.loop.unfit) == (0, [], "the clock is an hour off")
    assert only.loop.vacant


async def test_a_server_that_is_away_is_told_as_a_failure_that_repeats() -> None:
    house = House(1)
    (only,) = house.replicas
    only.seat.cut = AWAY
    for _ in range(3):
        await only.loop.step()
    only.seat.cut = None
    await only.loop.step()
    only.seat.cut = AWAY
    await only.loop.step()
    told = [event.repeated for event in only.heard if isinstance(event, LoopFailed)]
    assert told == [False, True, True, False]


async def test_a_term_that_does_not_end_is_told() -> None:
    """Whoever asks whether the process lives shall hear of it: it never leads again."""
    house = House(1)
    (only,) = house.replicas
    await only.loop.step()
    stuck = asyncio.Event()
    only.loop._end = stuck.wait  # type: ignore[assignment]
    only.unfit = "the clock is an hour off"
    ending = asyncio.create_task(only.loop.step())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    only.clock.advance(31)
    assert only.loop.ending_seconds >= 31
    stuck.set()
    await ending
    assert only.loop.ending_seconds == 0


async def test_changes_are_published() -> None:
    house = House(1)
    (only,) = house.replicas
    await only.loop.step()
    await only.loop.resign()
    told = [event for event in only.heard if isinstance(event, LeadershipChanged)]
    assert [event.leading for event in told] == [True, False]


@pytest.mark.parametrize(
    ("holder", "age", "expected"),
    [
        pytest.param("", 0.0, Move.TAKE, id="free"),
        pytest.param("me", 0.0, Move.RENEW, id="ours"),
        pytest.param("me", 99.0, Move.RENEW, id="ours, though old"),
        pytest.param("other", 14.9, Move.WAIT, id="another's"),
        pytest.param("other", 15.0, Move.TAKE, id="another's that ran out"),
    ],
)
def test_moves(holder: str, age: float, expected: Move) -> None:
    clock = ManualClock()
    hold = Hold(holder, timedelta(seconds=15), clock.now(), clock.now())
    assert move(Terms("me"), Seen(hold, 100.0), 100.0 + age) is expected


def test_nobody_ever_held_it() -> None:
    assert move(Terms("me"), None, 0.0) is Move.TAKE


@given(st.integers(0, 4000), st.floats(0, 1000))
def test_a_longer_lease_of_another_is_respected(seconds: int, age: float) -> None:
    """Law: never taken before both the holder's and our own duration are over."""
    clock = ManualClock()
    hold = Hold("other", timedelta(seconds=seconds), clock.now(), clock.now())
    taken = move(Terms("me"), Seen(hold, 0.0), age) is Move.TAKE
    assert taken is (age >= max(seconds, 15))


@given(
    st.lists(
        st.tuples(st.sampled_from(["r0", "r1", "r2"]), st.sampled_from(["step", "cut", "mend", "sleep", "resign"])),
        max_size=60,
    )
)
def test_never_two_at_once(script: list[tuple[str, str]]) -> None:
    """Law: whatever is cut off, sleeps or resigns, and in whatever order they look, at most one may write."""

    async def play() -> None:
        house = House(3)
        by_name = {replica.name: replica for replica in house.replicas}
        for name, deed in script:
            replica = by_name[name]
            for each in house.replicas:
                each.clock.advance(1.7)
            match deed:
                case "step":
                    await replica.loop.step()
                case "cut":
                    replica.seat.cut = AWAY
                case "mend":
                    replica.seat.cut = None
                case "resign":
                    await replica.loop.resign()
                case _:
                    for each in house.replicas:
                        each.clock.advance(9)
            assert sum(each.may_write for each in house.replicas) <= 1

    asyncio.run(play())
