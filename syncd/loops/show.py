"""Shows people in the cluster how things stand: Source objects, and Events on the objects that something happened to.

In: events of the bus, the sync loops, a `Board`. Out: what `shown` makes of them, written when it changes. Answers what people ask by
annotations on a Source: a sync, an approval. Only the leader runs it; constructed by `app`.

A poll that finds nothing new writes nothing: the time of the last contact alone is written once in five minutes.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from syncd.argo.manifest import Body, Key
from syncd.base.clock import Clock, rfc3339
from syncd.base.errors import SyncdError
from syncd.base.problems import Problem
from syncd.cluster.api import Board, Notice
from syncd.cron.ledger import Outcome
from syncd.loops import shown
from syncd.observe.events import DriftCorrected, Event, SlotDecided, SourceChecked, SourceRemoved, SourceSynced

log = logging.getLogger(__name__)

CONTACT: Final = timedelta(minutes=5)
_NOTICES: Final = 500  # that wait; more at once is a flood that nobody reads
_GATHER_SECONDS: Final = 0.3
_AGAIN_SECONDS: Final = 10.0


class Synced(Protocol):
    """What is asked of a sync loop."""

    name: str

    def status(self) -> dict[str, Any]: ...

    def problems(self) -> list[Problem]: ...

    async def request_sync(self, wait: bool = True) -> dict[str, Any]: ...

    async def approve(self, revision: str, by: str) -> dict[str, Any]: ...


class ShowLoop:
    """Subscribe `hear` to the bus. loops: the sync loops by name; about: interval and folder of a source, for its spec."""

    def __init__(
        self,
        board: Board,
        clock: Clock,
        loops: Mapping[str, Synced],
        about: Callable[[str], tuple[str, str]],
        source_key: Callable[[str], Key],
    ) -> None:
        self._board = board
        self._clock = clock
        self._loops = loops
        self._about = about
        self._source_key = source_key
        self._dirty: dict[str, None] = {}
        self._gone: set[str] = set()
        self._notices: deque[Notice] = deque(maxlen=_NOTICES)
        self._shown: dict[str, Body] = {}
        self._shown_at: dict[str, datetime] = {}
        self._handled: dict[str, str] = {}  # request for a sync that was answered, by source
        self._news = asyncio.Event()

    def hear(self, event: Event) -> None:
        """A subscriber of the bus."""
        match event:
            case SourceSynced():
                self._dirty[event.source] = None
                if event.result == "held":
                    self._notice(self._source_key(event.source), "Warning", "Held", f"{event.revision}: {event.reason}")
                elif event.created or event.updated or event.deleted:
                    counts = f"{event.created} created, {event.updated} updated, {event.deleted} deleted"
                    said = f"{event.applied_revision or event.revision}: {counts}"
                    self._notice(self._source_key(event.source), "Normal", "Applied", said)
            case SourceChecked():
                if event.error or self._is_contact_due(event.source):
                    self._dirty[event.source] = None
            case SourceRemoved():
                self._gone.add(event.source)
            case DriftCorrected():
                who = f" by {event.by}" if event.by else ""
                since = f" at {rfc3339(event.since)}" if event.since is not None else ""
                fields = f" ({', '.join(event.fields[:5])})" if event.fields else ""
                said = f"changed{who}{since}, and made again as source {event.source} says{fields}"
                self._notice(event.object, "Warning", "DriftCorrected", said)
            case SlotDecided() if event.row.outcome in (Outcome.MISSED, Outcome.FAILED):
                row = event.row
                word = "SlotMissed" if row.outcome is Outcome.MISSED else "SlotFailed"
                first, last = rfc3339(row.slot), rfc3339(row.until)
                which = f"{row.count} slots from {first} until {last}" if row.count > 1 else f"slot {first}"
                said = f"{which}: {row.reason}{f': {row.message}' if row.message else ''}"
                self._notice(row.cron, "Warning", word, said, row.cron_uid)
            case _:
                return
        self._news.set()

    def _notice(self, about: Key, kind: str, reason: str, message: str, uid: str = "") -> None:
        self._notices.append(Notice(about, kind, reason, message, uid))

    def _is_contact_due(self, source: str) -> bool:
        at = self._shown_at.get(source)
        return at is None or self._clock.now() - at >= CONTACT

    async def run(self) -> None:
        """Show until cancelled."""
        listener = asyncio.create_task(self._listen(), name="questions")
        try:
            with suppress(SyncdError):
                for name, body in (await self._board.shown()).items():
                    if name in self._loops:
                        self._adopt(name, body)
                    else:
                        self._gone.add(name)  # taken out of the configuration while nobody of us ran
            self._dirty.update(dict.fromkeys(self._loops))
            while True:
                await self.step()
                with suppress(TimeoutError):
                    async with asyncio.timeout(_AGAIN_SECONDS if self._dirty or self._gone else None):
                        await self._news.wait()
                await asyncio.sleep(_GATHER_SECONDS)
        finally:
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)

    async def step(self) -> None:
        """Write what has changed. What cannot be shown now is tried again."""
        self._news.clear()
        for source in list(self._dirty):
            del self._dirty[source]
            try:
                await self._show(source)
            except SyncdError as error:
                log.debug("source %s cannot be shown: %s", source, error)
                self._dirty[source] = None
        for source in list(self._gone):
            with suppress(SyncdError):
                await self._board.remove(source)
                self._gone.discard(source)
                self._shown.pop(source, None)
        notices = [self._notices.popleft() for _ in range(len(self._notices))]
        if notices:
            await self._board.tell(notices)

    async def _show(self, source: str) -> None:
        loop = self._loops.get(source)
        if loop is None:
            return
        now = self._clock.now()
        before = self._shown.get(source)
        condition = loop.status()
        if condition.get("result") == "starting" and before:
            return  # of the leader before us: it holds until we know better
        handled = self._handled.get(source, "")
        status = shown.status_of(condition, loop.problems(), before, rfc3339(now), handled)
        if before is not None and shown.same(before, status) and not self._is_contact_due(source):
            return
        await self._board.show(source, shown.spec_of(condition, *self._about(source)), status)
        self._shown[source], self._shown_at[source] = status, now

    def _adopt(self, name: str, body: Body) -> None:
        """Go on from what the leader before us has shown: the times of its conditions, and which questions it has answered."""
        if name not in self._shown:
            self._shown[name] = body.get("status") or {}
            self._handled.setdefault(name, shown.handled_of(body))

    # What people ask

    async def _listen(self) -> None:
        while True:
            try:
                async for name, body in self._board.asked():
                    await self._answer(name, body)
            except SyncdError as error:
                log.debug("questions are not heard: %s", error)
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _answer(self, name: str, body: Body) -> None:
        loop = self._loops.get(name)
        if loop is None:
            return
        metadata = body.get("metadata") or {}
        asked = metadata.get("annotations") or {}
        self._adopt(name, body)
        approved = str(asked.get(shown.APPROVED) or "")
        if approved:
            with suppress(SyncdError):  # held at another revision, or not at all: nothing to approve
                await loop.approve(approved, f"annotation {shown.APPROVED}")
        wanted = str(asked.get(shown.SYNC_REQUESTED) or "")
        if wanted and wanted != self._handled.get(name):
            try:
                await loop.request_sync(wait=True)
            finally:
                self._handled[name] = wanted
                self._dirty[name] = None
                self._news.set()
