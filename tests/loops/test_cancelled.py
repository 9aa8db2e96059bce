"""A loop that is cancelled ends, also in the very moment in which it is woken.

`asyncio.wait_for` of Python 3.11 forgets the cancellation when what it waits for has just come true (fixed in 3.12,
python/cpython#96764): a daemon would not stop on SIGTERM.
"""

from __future__ import annotations

import asyncio

import pytest

from syncd.cluster.memory import MemoryStore
from syncd.loops.fire import FireLoop
from syncd.loops.run import RunLoop
from tests.support.clocks import CountingRandom, ManualClock


class _NoLogs:
    def stop_following(self, run_uid: str) -> None:
        pass


def _run_loop() -> tuple[RunLoop, asyncio.Event]:
    clock = ManualClock()
    loop = RunLoop(MemoryStore(clock, CountingRandom()), clock, lambda _: None, _NoLogs(), max_tasks=1)
    return loop, loop._wake


def _fire_loop() -> tuple[FireLoop, asyncio.Event]:
    clock = ManualClock()
    loop = FireLoop(MemoryStore(clock, CountingRandom()), clock, CountingRandom(), lambda _: None)
    return loop, loop._news


@pytest.mark.parametrize("turns", range(6))
@pytest.mark.parametrize("make", [_run_loop, _fire_loop])
async def test_a_sleeping_loop_that_is_woken_and_cancelled_is_cancelled(make, turns):
    loop, woken = make()
    task = asyncio.create_task(loop._sleep())
    for _ in range(4):
        await asyncio.sleep(0)
    woken.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    if task.done():
        return  # it had woken before: nothing is left to cancel
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
