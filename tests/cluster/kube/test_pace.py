"""How many at once, who goes first, and how many in a second."""

from __future__ import annotations

import asyncio
import time

from syncd.cluster.kube.pace import Pace


async def test_no_more_than_so_many_at_once() -> None:
    pace = Pace(3, 0, time.monotonic)
    inside = most = 0

    async def one() -> None:
        nonlocal inside, most
        async with pace.turn():
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(one() for _ in range(20)))
    assert (most, inside) == (3, 0)


async def test_the_urgent_go_first_and_all_others_in_order() -> None:
    pace = Pace(1, 0, time.monotonic)
    order: list[str] = []

    async def one(name: str, urgent: bool) -> None:
        async with pace.turn(urgent=urgent):
            order.append(name)

    async with pace.turn():
        tasks = [asyncio.create_task(one(f"{n}", False)) for n in range(3)]
        tasks += [asyncio.create_task(one(f"u{n}", True)) for n in range(2)]
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert order == ["u0", "u1", "0", "1", "2"]


async def test_who_gives_up_takes_no_place_along() -> None:
    """Cancelled while waiting, and in the very moment of being let in."""
    pace = Pace(1, 0, time.monotonic)

    async def one() -> None:
        async with pace.turn():
            await asyncio.sleep(0)

    for _ in range(2):
        async with pace.turn():
            waiting = [asyncio.create_task(one()) for _ in range(3)]
            await asyncio.sleep(0)
            waiting[1].cancel()
        waiting[0].cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert not waiting[2].cancelled()
    async with asyncio.timeout(5), pace.turn():
        pass


async def test_a_failure_inside_gives_the_place_back() -> None:
    pace = Pace(1, 0, time.monotonic)
    for _ in range(3):
        try:
            async with pace.turn():
                raise ValueError
        except ValueError:
            pass
    async with asyncio.timeout(5), pace.turn():
        pass


async def test_no_more_than_so_many_in_a_second() -> None:
    """100 a second, a quarter of a second's worth at once: 50 take at least 0.25 s."""
    pace = Pace(100, 100.0, time.monotonic)
    began = time.monotonic()

    async def one() -> None:
        async with pace.turn():
            pass

    await asyncio.gather(*(one() for _ in range(50)))
    assert 0.2 < time.monotonic() - began < 3
