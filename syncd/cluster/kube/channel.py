"""One watch of the API server, shared by everybody in this process who wants these objects: a reader, and a short history.

In: the lines of a watch of one kind (in one namespace, or all). Out: `Changed` values, in order, to any number of followers.
Bookmarks keep the place fresh; a stream that ends, stalls or breaks is begun again where it was; when the server has forgotten
the place (410), followers get Expired and list again. Used by `watches`.
Versions are compared as numbers, which Kubernetes promises within a kind since 1.35, and has always been so (KEP-5504).
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from syncd.argo import manifest
from syncd.argo.manifest import Body
from syncd.base import backoff
from syncd.base.clock import Random
from syncd.base.errors import Defect, Expired, SyncdError, Unreachable
from syncd.cluster.api import Changed
from syncd.cluster.kube import answers, kinds
from syncd.cluster.kube.door import Door
from syncd.cluster.kube.objects import as_kind, lighter

log = logging.getLogger(__name__)

EVENTS: Final = 4096
BYTES: Final = 8 << 20
"""What is remembered for a follower that comes a little late, or is a little slow."""

RETRY_SECONDS: Final = (0.5, 15.0)
_SHORT_SECONDS: Final = 0.5  # a stream that brings nothing and ends sooner is a failure: no loop without a pause
_LASTS_SECONDS: Final = 240  # then the server ends the stream, and we begin it again: no connection lives for ever

Restarted = Callable[[str, str], None]
"""Hears of a stream that was begun again: kind, and why: ended | broken | expired | stalled."""


@dataclass(frozen=True, slots=True)
class Pulse:
    """How a watch is kept alive. silence_seconds: without a byte for so long it counts as stalled (the server sends a bookmark
    about once a minute)."""

    silence_seconds: float = 80.0
    lasts_seconds: int = _LASTS_SECONDS


@dataclass(slots=True)
class _Event:
    version: int
    changed: Changed
    size_bytes: int


@dataclass(slots=True)
class Channel:
    """Made by `watches` with the version to begin at; `read` is its task."""

    kind: str
    namespace: str
    version: int  # up to which everything is known
    followers: int = 0
    error: SyncdError | None = None  # why it has ended, None = it goes on
    _floor: int = field(init=False)  # changes up to here are forgotten
    _first: int = 0  # number of the oldest event in _events
    _events: deque[_Event] = field(default_factory=deque)
    _size_bytes: int = 0
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._floor = self.version

    # For followers

    async def follow(self, since: int) -> AsyncIterator[Changed]:
        """Changes after `since`, for ever. Raises Expired, and what has ended the channel."""
        if since < self._floor:
            raise Expired(f"changes of {self.kind} after version {since} are no longer known; list again")
        place = self._first + sum(event.version <= since for event in self._events)
        while True:
            while place < self._first + len(self._events):
                if place < self._first:
                    raise Expired(f"a watcher of {self.kind} fell too far behind; list again")
                event = self._events[place - self._first]
                place += 1
                if event.version > since:  # a list may be ahead of the channel
                    yield event.changed
            if self.error is not None:
                raise self.error
            if place < self._first:
                raise Expired(f"a watcher of {self.kind} fell too far behind; list again")
            news = self._news
            await news.wait()

    # The reader

    async def read(self, door: Door, random: Random, pulse: Pulse, restarted: Restarted) -> None:
        """Read until cancelled, or until the channel ends with an error that followers get."""
        failures = 0
        now = asyncio.get_running_loop().time
        while True:
            before, began = self.version, now()
            try:
                await self._stream(door, random, pulse)
                useless = self.version == before and now() - began < _SHORT_SECONDS
                reason, failures = "ended", failures + 1 if useless else 0
            except Expired as error:
                restarted(self.kind, "expired")
                return self.end(error)
            except Unreachable as error:
                failures = 1 if self.version > before else failures + 1
                reason = "stalled" if "no answer in time" in str(error) or "timeout" in str(error).lower() else "broken"
                log.debug("watch of %s: %s", self.kind, error)
            except SyncdError as error:
                return self.end(error)
            except Exception as error:
                log.exception("watch of %s", self.kind)
                return self.end(Defect(f"the watch of {self.kind} ended with {error!r}"))
            restarted(self.kind, reason)
            if reason == "stalled" and await self._is_ahead(door):
                return self.end(Expired(f"version {self.version} of {self.kind} is not known (yet); list again"))
            if failures:
                await asyncio.sleep(backoff.delay(failures, *RETRY_SECONDS, random.jitter()))

    async def _stream(self, door: Door, random: Random, pulse: Pulse) -> None:
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": str(self.version),
            "timeoutSeconds": str(int(pulse.lasts_seconds * (1 + 0.25 * random.jitter()))),
        }
        path = kinds.collection(self.kind, self.namespace)
        what = f"watch {self.kind}"
        async with door.stream(path, query, what=what, kind=self.kind, silence_seconds=pulse.silence_seconds) as lines:
            async for line in lines:
                self._take(line, what)

    async def _is_ahead(self, door: Door) -> bool:
        """Whether the server has not come to our version: then it is another server's, or one that was restored from a backup,
        and says nothing until it gets there."""
        path, what = kinds.collection(self.kind, self.namespace), f"list {self.kind}"
        try:
            reply = await door.call("GET", path, {"limit": "1"}, what=what, kind=self.kind, named=False, verb="list")
        except SyncdError:
            return False
        return 0 < _version(reply.value) < self.version

    def _take(self, line: bytes, what: str) -> None:
        try:
            event = orjson.loads(line)
            kind, body = event["type"], event["object"]
        except (ValueError, KeyError, TypeError):
            raise Unreachable(f"{what}: what came is no event") from None
        if kind == "ERROR":
            status = int(body.get("code") or 500)
            raise answers.error_of(status, body, {}, what=what, kind=self.kind)
        version = _version(body)
        if kind != "BOOKMARK" and version > self.version:
            self._publish(kind, version, _slim(as_kind(body, self.kind), self.kind), len(line))
        self.version = max(self.version, version)

    def _publish(self, kind: str, version: int, body: Body, size_bytes: int) -> None:
        changed = Changed(kind, manifest.key_of(body), body, str(version))
        self._events.append(_Event(version, changed, size_bytes))
        self._size_bytes += size_bytes
        while len(self._events) > 1 and (len(self._events) > EVENTS or self._size_bytes > BYTES):
            gone = self._events.popleft()
            self._first += 1
            self._size_bytes -= gone.size_bytes
            self._floor = gone.version
        self._wake()

    def end(self, error: SyncdError) -> None:
        self.error = error
        self._wake()

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()


def _slim(body: Body, kind: str) -> Body:
    metadata = body.get("metadata")
    if isinstance(metadata, dict):
        metadata.pop("managedFields", None)  # half of a small object; whoever asks for owners reads the object
    return lighter(body, kind)


def _version(body: Any) -> int:
    text = str(((body or {}).get("metadata") or {}).get("resourceVersion") or "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0
