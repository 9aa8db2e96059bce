"""The bounded history of changes behind `Objects.watch`, for stores of our own.

In: `publish`, from any thread, in order of version. Out: an async iterator for each watcher, on its own event loop.
A watcher that falls behind the history gets Expired and lists again: memory is bounded, whoever reads.
The payload of a change is the store's own (a body, or the bytes to make one of): `decode` turns it into a body for
each watcher that wants the kind, so that unwatched changes cost nothing.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from syncd.argo.manifest import Body, Key
from syncd.base.errors import Expired, Unreachable
from syncd.cluster.api import Changed

ADDED: Final = "ADDED"
MODIFIED: Final = "MODIFIED"
DELETED: Final = "DELETED"

Payload = TypeVar("Payload")


@dataclass(frozen=True, slots=True)
class Change(Generic[Payload]):
    """One change as the store keeps it. size_bytes: about what keeping it costs."""

    version: int
    kind: str
    key: Key
    payload: Payload
    size_bytes: int = 0


class Feed(Generic[Payload]):
    """The newest changes of one store."""

    def __init__(
        self, version: int, decode: Callable[[Payload], Body], *, capacity: int = 8192, capacity_bytes: int = 24 << 20
    ) -> None:
        """version: of the store now; changes before it are not known."""
        self._decode = decode
        self._capacity = capacity
        self._capacity_bytes = capacity_bytes
        self._lock = threading.Lock()
        self._changes: deque[Change[Payload]] = deque()
        self._size_bytes = 0
        self._floor = version  # a watch from before this version is Expired
        self._version = version  # of the newest change
        self._closed = False
        self._watchers: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}

    @property
    def version(self) -> int:
        """Of the newest change published."""
        return self._version

    def publish(self, changes: Iterable[Change[Payload]], version: int) -> None:
        """Add changes in order; the store is at `version` after them. Wakes the watchers. Any thread."""
        with self._lock:
            for change in changes:
                self._changes.append(change)
                self._size_bytes += change.size_bytes
            self._version = max(self._version, version)
            while len(self._changes) > self._capacity or self._size_bytes > self._capacity_bytes:
                oldest = self._changes.popleft()
                self._size_bytes -= oldest.size_bytes
                self._floor = oldest.version
            self._wake()

    def restart(self, version: int) -> None:
        """Another process wrote: what happened up to `version` is not known. Watchers get Expired."""
        with self._lock:
            self._changes.clear()
            self._size_bytes = 0
            self._floor = self._version = version
            self._wake()

    def close(self) -> None:
        """Watchers end with Unreachable."""
        with self._lock:
            self._closed = True
            self._wake()

    def watch(self, kinds: Collection[str], since: str, newest: int) -> AsyncIterator[Changed]:
        """As `Objects.watch`. since: "" = from this call on.

        newest: the store's version, which may be ahead of what is published; a later `since` is of another store.
        """
        return self._follow(frozenset(kinds), since or str(self._version), newest)

    async def _follow(self, kinds: frozenset[str], since: str, newest: int) -> AsyncIterator[Changed]:
        position = int(since) if since.isascii() and since.isdigit() and len(since) < 20 else -1
        if not 0 <= position <= newest:
            raise Expired(f"version {since[:40]!r} is not one of this store; list again")
        woken = asyncio.Event()
        with self._lock:
            self._watchers[woken] = asyncio.get_running_loop()
        try:
            while True:
                woken.clear()
                fresh, position = self._after(position, kinds)
                for change in fresh:
                    yield Changed(change.kind, change.key, self._decode(change.payload), str(change.version))
                if not fresh:
                    await woken.wait()
        finally:
            with self._lock:
                self._watchers.pop(woken, None)

    def _after(self, position: int, kinds: frozenset[str]) -> tuple[list[Change[Payload]], int]:
        """The changes after `position` of these kinds, oldest first, and the position behind them."""
        with self._lock:
            if self._closed:
                raise Unreachable("the store is closed")
            if position < self._floor:
                raise Expired(f"changes after version {position} are no longer known; list again")
            fresh = []
            for change in reversed(self._changes):
                if change.version <= position:
                    break
                if change.key.kind in kinds:
                    fresh.append(change)
            fresh.reverse()
            return fresh, max(position, self._version)

    def _wake(self) -> None:
        for woken, loop in list(self._watchers.items()):
            try:
                loop.call_soon_threadsafe(woken.set)
            except RuntimeError:  # that loop is closed: nobody waits there any more
                del self._watchers[woken]
