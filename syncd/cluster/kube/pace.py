"""How many requests are under way at once, and how many begin in a second: our own limit, before the server has to set one.

Whoever is urgent (the lease, a slot that is due) goes before a sync of 5,000 objects. Used by `door`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

_BURST_SECONDS: Final = 0.25
"""What was not used for so long may be used at once."""


class Pace:
    """in_flight: requests at once; per_second: that may begin, 0 = any number; monotonic: seconds."""

    def __init__(self, in_flight: int, per_second: float, monotonic: Callable[[], float]) -> None:
        self._free = max(1, in_flight)
        self._per_second = per_second
        self._monotonic = monotonic
        self._next = monotonic()  # when the next request may begin
        self._urgent: deque[asyncio.Future[None]] = deque()
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def turn(self, *, urgent: bool = False) -> AsyncIterator[None]:
        """Wait for a place, hold it, give it to the next."""
        await self._enter(urgent)
        try:
            await self._rate()
            yield
        finally:
            self._leave()

    async def _enter(self, urgent: bool) -> None:
        if self._free:
            self._free -= 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        (self._urgent if urgent else self._waiting).append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._leave()  # it was given to us in the very moment
            raise

    def _leave(self) -> None:
        for queue in (self._urgent, self._waiting):
            while queue:
                place = queue.popleft()
                if not place.done():
                    place.set_result(None)
                    return
        self._free += 1

    async def _rate(self) -> None:
        if self._per_second <= 0:
            return
        now = self._monotonic()
        begin = max(self._next, now - _BURST_SECONDS)
        self._next = begin + 1.0 / self._per_second
        if begin > now:
            await asyncio.sleep(begin - now)
