"""`Objects.watch` in a cluster: several kinds and namespaces in one stream, over shared channels.

In: kinds and a version. Out: `Changed` values: in order for each kind, as they come between kinds. A channel lives as long as
somebody follows it. Used by `store`.
All of Argo's kinds live in one etcd, so the version of a list of one of them is a place in the watch of the others.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence

from syncd.base.clock import Random
from syncd.base.errors import Expired, SyncdError, Unreachable
from syncd.cluster.api import Changed
from syncd.cluster.kube import kinds
from syncd.cluster.kube.channel import Channel, Pulse, Restarted
from syncd.cluster.kube.door import Door

_AHEAD = 1000  # changes that wait for one follower


class Watches:
    """The channels of one process. namespaces: () = all; newest: answers the version of now."""

    def __init__(
        self,
        door: Door,
        random: Random,
        newest: Callable[[str], Awaitable[str]],
        *,
        namespaces: Sequence[str] = (),
        pulse: Pulse | None = None,
        restarted: Restarted = lambda kind, reason: None,
    ) -> None:
        self._door = door
        self._random = random
        self._newest = newest
        self._namespaces = tuple(namespaces)
        self._pulse = pulse or Pulse()
        self._restarted = restarted
        self._ending: set[asyncio.Task[None]] = set()  # readers that nobody follows any more
        self._channels: dict[tuple[str, str], tuple[Channel, asyncio.Task[None]]] = {}
        self._closed = False

    async def watch(self, wanted: Collection[str], since: str) -> AsyncIterator[Changed]:
        """As `Objects.watch`."""
        if not since:
            since = await self._newest(min(wanted))
        if not (since.isascii() and since.isdigit() and 0 < len(since) < 20 and int(since) > 0):
            raise Expired(f"version {since[:40]!r} is not one of this store; list again")
        queue: asyncio.Queue[Changed | SyncdError] = asyncio.Queue(_AHEAD)
        async with contextlib.AsyncExitStack() as stack:
            for kind in sorted(wanted):
                spaces = self._namespaces if kinds.resource_of(kind).namespaced else ()
                for namespace in spaces or ("",):
                    task = asyncio.create_task(self._pump(kind, namespace, int(since), queue), name=f"follow {kind}")
                    stack.push_async_callback(_ended, task)
            while True:
                found = await queue.get()
                if isinstance(found, SyncdError):
                    raise found
                yield found

    async def close(self) -> None:
        """End all streams; who follows gets Unreachable."""
        self._closed = True
        for channel, task in list(self._channels.values()):
            channel.end(Unreachable("the store is closed"))
            await _ended(task)
        self._channels.clear()
        for task in tuple(self._ending):
            await _ended(task)

    async def _pump(self, kind: str, namespace: str, since: int, queue: asyncio.Queue[Changed | SyncdError]) -> None:
        try:
            if self._closed:
                raise Unreachable("the store is closed")
            with self._following(kind, namespace, since) as channel:
                async for changed in channel.follow(since):
                    await queue.put(changed)
        except SyncdError as error:
            await queue.put(error)

    @contextlib.contextmanager
    def _following(self, kind: str, namespace: str, since: int) -> Iterator[Channel]:
        place = (kind, namespace)
        found = self._channels.get(place)
        if found is None or found[0].error is not None:
            channel = Channel(kind, namespace, since)
            reading = channel.read(self._door, self._random, self._pulse, self._restarted)
            found = self._channels[place] = (channel, asyncio.create_task(reading, name=f"watch {kind}"))
        channel, task = found
        channel.followers += 1
        try:
            yield channel
        finally:
            channel.followers -= 1
            if not channel.followers:
                task.cancel()
                self._ending.add(task)
                task.add_done_callback(self._ending.discard)
                if self._channels.get(place) == found:
                    del self._channels[place]


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
