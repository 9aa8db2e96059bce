"""The loop that tidies up: TTL, retention of runs, logs, artifacts and the ledger, and the eye on the disk.

In: finished runs of the store, the configured limits, the free space. Out: deletes, and `hold` on the run loop while the
disk is full. Deleting is idempotent: what a crash leaves is found again by the next pass. Constructed by `app`.
Source of TTL: Argo v4.1.2 workflow/gccontroller/gc_controller.go.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from syncd.argo import labels, status, template
from syncd.argo.manifest import Body, Key, key_of
from syncd.base.clock import Clock, parse_rfc3339
from syncd.base.errors import NotFound
from syncd.cluster.api import FinishedRun, Store, Verb, Write
from syncd.execute.api import Logs
from syncd.observe.events import Event, StartsHeld

log = logging.getLogger(__name__)

_BATCH = 200


@dataclass(frozen=True, slots=True)
class Limits:
    """What is kept. A zero age or count means no limit of this kind. disk_reserve_bytes: less free space holds starts."""

    runs_age: timedelta
    runs_count: int
    ledger_age: timedelta
    ledger_count: int
    disk_reserve_bytes: int


class Runs(Protocol):
    """What this loop asks of the run loop."""

    async def forget(self, key: Key, uid: str = "") -> None:
        """The Workflow is deleted. uid: only the one that had it, "" = any."""

    def hold(self, reason: str) -> None:
        """Start nothing while there is a reason."""


class Remains(Protocol):
    """Files that a run leaves behind outside the store: its artifacts in the local repository, its volumes."""

    async def remove(self, namespace: str, name: str, uid: str) -> None:
        """Delete what is left of a run. Nothing there: nothing happens."""

    async def prune(self, now: datetime) -> None:
        """Delete logs and artifacts past their own age."""


class CollectLoop:
    """One pass every `interval`."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        publish: Callable[[Event], None],
        logs: Logs,
        runs: Runs,
        remains: Remains,
        limits: Limits,
        free_bytes: Callable[[], int],
        interval: timedelta = timedelta(seconds=10),
    ) -> None:
        self._store = store
        self._clock = clock
        self._publish = publish
        self._logs = logs
        self._runs = runs
        self._remains = remains
        self._limits = limits
        self._free_bytes = free_bytes
        self._interval = interval
        self._expiries: list[tuple[datetime, str, Key]] = []
        self._held = ""
        self._slow_at: datetime | None = None

    async def run(self) -> None:
        """For ever."""
        version = await self._load()
        watcher = asyncio.create_task(self._watch(version))
        try:
            while True:
                if watcher.done():
                    await watcher
                await self.step()
                await asyncio.sleep(self._interval.total_seconds())
        finally:
            watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watcher

    async def _load(self) -> str:
        """TTLs of what ended while nobody looked."""
        after, version = "", ""
        while True:
            page = await self._store.list(labels.WORKFLOW, limit=500, after=after)
            version = version or page.version
            for body in page.items:
                self._note(body)
            if not page.after:
                return version
            after = page.after

    async def _watch(self, version: str) -> None:
        async for change in self._store.watch([labels.WORKFLOW], version):
            if change.kind == "MODIFIED":
                self._note(change.body)

    def _note(self, workflow: Body) -> None:
        moment = expires_at(workflow)
        if moment is not None:
            heapq.heappush(self._expiries, (moment, str(workflow["metadata"]["uid"]), key_of(workflow)))

    async def step(self) -> None:
        """One pass: the disk, TTLs; every tenth minute retention too."""
        now = self._clock.now()
        self._look_at_disk()
        due: list[tuple[Key, str]] = []
        while self._expiries and self._expiries[0][0] <= now:
            _, uid, key = heapq.heappop(self._expiries)
            due.append((key, uid))
        await self._delete(due)
        if self._slow_at is None or now >= self._slow_at:
            self._slow_at = now + timedelta(minutes=10)
            await self._retain(now)

    def _look_at_disk(self) -> None:
        free = self._free_bytes()
        reason = ""
        if free < self._limits.disk_reserve_bytes:
            reason = (
                f"disk full: {free // 2**20} MiB are free, {self._limits.disk_reserve_bytes // 2**20} MiB are kept "
                "in reserve (diskReserve); no step is started until there is room"
            )
        if bool(reason) != bool(self._held):
            (log.error if reason else log.warning)("%s", reason or "there is room on the disk again; steps are started")
            self._publish(StartsHeld(reason))
        self._held = reason
        self._runs.hold(reason)

    async def _retain(self, now: datetime) -> None:
        limits = self._limits
        if limits.runs_age:
            await self._drain(lambda: self._store.finished_runs(before=now - limits.runs_age, limit=_BATCH))
        if limits.runs_count:
            await self._drain(lambda: self._store.finished_runs(beyond=limits.runs_count, limit=_BATCH))
        if limits.ledger_age:
            await self._store.prune(now - limits.ledger_age, limits.ledger_count)
        await self._remains.prune(now)

    async def _drain(self, find: Callable[[], Awaitable[Sequence[FinishedRun]]]) -> None:
        for _ in range(1000):
            runs = await find()
            if not runs:
                return
            if not await self._delete([(run.key, run.uid) for run in runs]):
                return

    async def _delete(self, runs: Sequence[tuple[Key, str]]) -> int:
        """Delete runs with all that belongs to them; answers how many are gone."""
        gone = 0
        for start in range(0, len(runs), _BATCH):
            batch = runs[start : start + _BATCH]
            answers = await self._store.write([Write(Verb.DELETE, key, uid=uid) for key, uid in batch])
            for (key, uid), answer in zip(batch, answers, strict=True):
                if answer.error is not None and not isinstance(answer.error, NotFound):
                    log.warning("run %s cannot be deleted: %s", key, answer.error)
                    continue
                gone += 1
                await self.remove_remains(key, uid)
        return gone

    async def remove_remains(self, key: Key, uid: str) -> None:
        """What a deleted run leaves outside the store."""
        await self._runs.forget(key, uid)
        await self._logs.remove(uid)
        await self._remains.remove(key.namespace, key.name, uid)


def expires_at(workflow: Body) -> datetime | None:
    """When a finished Workflow's TTL ends; None: it has not ended, or has none.

    >>> expires_at({"spec": {"ttlStrategy": {"secondsAfterCompletion": 5}},
    ...             "status": {"phase": "Succeeded", "finishedAt": "2026-01-01T00:00:00Z"}}).second
    5
    """
    ended = workflow.get("status") or {}
    strategy = (workflow.get("spec") or {}).get("ttlStrategy") or {}
    if not ended.get("finishedAt") or not strategy:
        return None
    by_phase = "secondsAfterSuccess" if ended.get("phase") == status.SUCCEEDED else "secondsAfterFailure"
    seconds = template.number(strategy.get(by_phase))
    if seconds is None:
        seconds = template.number(strategy.get("secondsAfterCompletion"))
    if seconds is None:
        return None
    return parse_rfc3339(ended["finishedAt"]) + timedelta(seconds=seconds)
