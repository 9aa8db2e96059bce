"""Every implementation of `cluster.api.Store`; each test of this folder runs on each of them.

`kube` is a real API server (tests/support/kubeapi.py). A test about what only a store of our own can promise (its clock, all or
none, its own versions) says so: `@pytest.mark.ours("why")`; it is left out there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from syncd.cluster.api import Store
from syncd.cluster.embedded.store import open_store
from syncd.cluster.memory import MemoryStore
from tests.support import kubestore
from tests.support.clocks import CountingRandom, ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["memory", "embedded", pytest.param("kube", marks=pytest.mark.kube)])
async def store(request: pytest.FixtureRequest, clock: ManualClock, tmp_path: Path) -> AsyncIterator[Store]:
    made: Store
    if request.param == "memory":
        made = MemoryStore(clock, CountingRandom())
    elif request.param == "embedded":
        made = open_store(tmp_path / "state", clock=clock, random=CountingRandom())
    else:
        if (ours := request.node.get_closest_marker("ours")) is not None:
            pytest.skip(f"a promise of syncd's own stores: {ours.args[0]}")
        made = await kubestore.empty(tmp_path)
    yield made
    await made.close()
