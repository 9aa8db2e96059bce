"""A lease in memory for tests of who leads: implements `cluster.api.Lease` with versions as the API server has them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

from syncd.base.errors import Conflict, SyncdError
from syncd.cluster.api import Hold


class MemoryLease:
    """One Lease object, shared by the replicas of a test. Each takes a `seat`, which may be cut off."""

    def __init__(self) -> None:
        self.hold: Hold | None = None
        self.writes: list[Hold] = []
        self._version = 0
        self.changed = asyncio.Event()

    def seat(self) -> Seat:
        return Seat(self)

    def put(self, hold: Hold) -> Hold:
        if hold.version != (self.hold.version if self.hold else ""):
            raise Conflict("the lease is another")
        self._version += 1
        self.hold = replace(hold, version=str(self._version))
        self.writes.append(self.hold)
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()
        return self.hold


class Seat:
    """One replica's way to the lease. cut: raised instead of an answer; lose: the next write is done, and its answer lost."""

    def __init__(self, lease: MemoryLease) -> None:
        self._lease = lease
        self.cut: SyncdError | None = None
        self.lose: SyncdError | None = None

    async def read(self) -> Hold | None:
        if self.cut is not None:
            raise self.cut
        return self._lease.hold

    async def write(self, hold: Hold) -> Hold:
        if self.cut is not None:
            raise self.cut
        made = self._lease.put(hold)
        if self.lose is not None:
            lost, self.lose = self.lose, None
            raise lost
        return made

    async def changes(self) -> AsyncIterator[Hold]:
        while True:
            changed = self._lease.changed
            if self.cut is not None:
                raise self.cut
            if self._lease.hold is not None:
                yield self._lease.hold
            await changed.wait()
