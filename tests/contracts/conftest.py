"""Every implementation of `cluster.api.Store`; each test of this folder runs on each of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from syncd.cluster.api import Store
from syncd.cluster.embedded.store import open_store
from syncd.cluster.memory import MemoryStore
from tests.support.clocks import CountingRandom, ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["memory", "embedded"])
async def store(request: pytest.FixtureRequest, clock: ManualClock, tmp_path: Path) -> AsyncIterator[Store]:
    made: Store
    if request.param == "memory":
        made = MemoryStore(clock, CountingRandom())
    else:
        made = open_store(tmp_path / "state", clock=clock, random=CountingRandom())
    yield made
    await made.close()
