"""How many connections strangers may hold, and for how long: nobody who shares the machine can use up its descriptors.

In: the open connections, now and then; what the guard knows of them. Out: those that are closed. A stranger is a connection on
which no credential has been shown yet. Made by `application`, told by `auth.guard`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from aiohttp import web

STRANGERS: Final = 128
"""At most so many connections without a credential; beyond, the oldest are closed."""
HEAD_SECONDS: Final = 10.0
"""So long a new connection may take to say its first request."""
_PATROL_SECONDS: Final = 1.0

T = TypeVar("T")


class Connections:
    """What is known of the open connections. now: monotonic seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._since: dict[object, float] = {}
        self._spoke: set[object] = set()
        self._trusted: set[object] = set()

    def spoke(self, connection: object) -> None:
        """A whole request came."""
        self._spoke.add(connection)

    def trust(self, connection: object) -> None:
        """It came with a credential."""
        self._trusted.add(connection)

    def overdue(self, connections: Iterable[T]) -> list[T]:
        """Those of the open connections that are to be closed, the oldest first. Those that have ended are forgotten."""
        now, standing = self._now(), list(connections)
        self._spoke.intersection_update(standing)
        self._trusted.intersection_update(standing)
        since = self._since = {connection: self._since.get(connection, now) for connection in standing}
        strangers = sorted((c for c in standing if c not in self._trusted), key=since.__getitem__)
        silent = {c for c in strangers if c not in self._spoke and now - since[c] > HEAD_SECONDS}
        rest = [c for c in strangers if c not in silent]
        return [*silent, *rest[: max(0, len(rest) - STRANGERS)]]

    async def patrol(self, server: web.Server) -> None:
        """Close what is overdue, for ever."""
        while True:
            await asyncio.sleep(_PATROL_SECONDS)
            for connection in self.overdue(server.connections):
                if connection.transport is not None:
                    connection.transport.abort()


CONNECTIONS: Final = web.AppKey("connections", Connections)
