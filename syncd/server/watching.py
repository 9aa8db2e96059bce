"""Changes of objects as watch events: `{"type": ADDED | MODIFIED | DELETED, "object": …}`.

Comes in: the store and a query. Goes out: events for `stream.relay`. Called by `routes.workflows` and `routes.crons`.
Between two batches lies a gap, in which the changes of one object melt into its newest state: a run of 10,000 steps is
told in some ten events a second, whatever happens inside. The last state is always told.
A watch of one Workflow (the query names it) carries status.nodes, read when the event is sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Final

from syncd.argo.manifest import Body, Key
from syncd.base.errors import Expired, NotFound
from syncd.cluster.api import Changed, Objects
from syncd.server import listing, stream

_FIRST_LOOK_SECONDS: Final = 0.05
_IDLE_SHARE: Final = 4
"""A watch is at rest at least so many times as long as it works (or waits for its client)."""


class _Newest:
    """The newest change of each object since the last `take`, in the order in which they began to change."""

    def __init__(self) -> None:
        self._changes: dict[tuple[Key, str], Changed] = {}
        self.filled = asyncio.Event()
        self.ended = False
        self.error: Exception | None = None

    async def pump(self, changes: AsyncIterator[Changed]) -> None:
        """Read changes as they come, for ever: the store may forget those that nobody reads."""
        try:
            async for change in changes:
                identity = (change.key, str((change.body.get("metadata") or {}).get("uid") or ""))
                before = self._changes.get(identity)
                if before is not None and before.kind == "ADDED" and change.kind == "MODIFIED":
                    change = Changed("ADDED", change.key, change.body, change.version)
                self._changes[identity] = change
                self.filled.set()
        except Exception as error:  # noqa: BLE001 - carried over to the stream, which answers it
            self.error = error
        finally:
            self.ended = True
            self.filled.set()
            await stream.close(changes)

    def take(self) -> list[Changed]:
        changes, self._changes = list(self._changes.values()), {}
        if not self.ended:
            self.filled.clear()
        return changes


class Watch:
    """The events of one watch, as an async iterator that must be closed: a task of its own reads the store."""

    def __init__(
        self,
        objects: Objects,
        query: listing.Query,
        there: AsyncIterator[Body] | None,
        changes: AsyncIterator[Changed],
        gap_seconds: float,
    ) -> None:
        self._objects = objects
        self._query = query
        self._detailed = bool(query.one) and query.shown.wants("status", "nodes")
        self._told: set[str] = set()
        self._newest = _Newest()
        self._gap_seconds = gap_seconds
        self.pump = asyncio.create_task(self._newest.pump(changes))
        self._events = self._run(there)

    def __aiter__(self) -> Watch:
        return self

    async def __anext__(self) -> dict[str, Any]:
        return await anext(self._events)

    async def aclose(self) -> None:
        """Stop reading the store."""
        await self._events.aclose()
        self.pump.cancel()
        await asyncio.gather(self.pump, return_exceptions=True)

    @property
    def error(self) -> Exception | None:
        """What ended the store's watch; None while it runs."""
        return self._newest.error

    async def _run(self, there: AsyncIterator[Body] | None) -> AsyncGenerator[dict[str, Any], None]:
        loop = asyncio.get_running_loop()
        if there is not None:
            async for body in there:
                self._told.add(_uid(body))
                whole = await self._whole(body)
                if whole is not None:
                    yield self._event("ADDED", whole)
        while True:
            await self._newest.filled.wait()
            began = loop.time()
            for change in self._newest.take():
                kind = _as_seen(change, self._query, self._told)
                if not kind:
                    continue
                body_now = change.body if kind == "DELETED" else await self._whole(change.body)
                if body_now is not None:
                    yield self._event(kind, body_now)
            if self._newest.error is not None:
                raise self._newest.error
            if self._newest.ended:
                return
            # Some runs are so large that reading one takes longer than the gap: leave the loops their share of time.
            await asyncio.sleep(max(self._gap_seconds, _IDLE_SHARE * (loop.time() - began)))

    def _event(self, kind: str, body: Body) -> dict[str, Any]:
        return {"type": kind, "object": self._query.shown.clean(body)}

    async def _whole(self, body: Body) -> Body | None:
        """The object as this watch shows it; None when it is gone: its DELETED is on the way."""
        if not self._detailed:
            return body
        metadata = body["metadata"]
        try:
            return await self._objects.get(
                Key(str(body.get("kind")), metadata.get("namespace") or "", metadata["name"])
            )
        except NotFound:
            return None


async def begin(objects: Objects, kind: str, query: listing.Query, since: str, gap_seconds: float) -> Watch:
    """The events of a watch.

    since: a resourceVersion; "" and "0" = first an ADDED for everything there is, as Kubernetes does.
    Raises Expired, before anything is sent where it can, when the store has forgotten `since`.
    """
    there: AsyncIterator[Body] | None = None
    if since in ("", "0"):
        since = await listing.version(objects, kind)
        there = listing.everything(objects, kind, query)
    watch = Watch(objects, query, there, objects.watch({kind}, since), gap_seconds)
    if there is None:
        # A store says at once that it has forgotten a version: worth a moment, since now the answer can still be a 410.
        await asyncio.wait({watch.pump}, timeout=_FIRST_LOOK_SECONDS)
        if isinstance(watch.error, Expired):
            raise watch.error
    return watch


def _as_seen(change: Changed, query: listing.Query, told: set[str]) -> str:
    """What the change is to somebody who sees only what the query matches; "" = nothing. Keeps `told`."""
    uid = _uid(change.body)
    if query.namespace and change.key.namespace != query.namespace:
        return ""
    if change.kind == "DELETED" or not query.matches(change.body):
        known = uid in told or (change.kind == "DELETED" and query.matches(change.body))
        told.discard(uid)
        return "DELETED" if known else ""
    kind = "MODIFIED" if uid in told else change.kind
    told.add(uid)
    return kind


def _uid(body: Body) -> str:
    return str((body.get("metadata") or {}).get("uid") or "")
