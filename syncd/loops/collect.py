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
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from syncd.argo import labels, status, template
from syncd.argo.manifest import Body, Key, key_of
from syncd.base.clock import Clock, parse_rfc3339
from syncd.base.errors import Expired, NotFound, SyncdError
from syncd.cluster.api import FinishedRun, Store, Verb, Write
from syncd.execute.api import Logs
from syncd.observe.events import Event, StartsHeld

log = logging.getLogger(__name__)

_BATCH = 200
_TTL_FIELDS = {status.SUCCEEDED: "secondsAfterSuccess", status.FAILED: "secondsAfterFailure"}


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
        defaults: Mapping[str, Any] | None = None,
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
        self._default_ttl = ((defaults or {}).get("spec") or {}).get("ttlStrategy")
        self._expiries: list[tuple[datetime, str, Key]] = []
        self._noted: dict[str, datetime] = {}  # uid → its newest entry in `_expiries`
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
        self._expiries.clear()
        self._noted.clear()
        after, version = "", ""
        while True:
            page = await self._store.list(labels.WORKFLOW, limit=500, after=after)
            version = version or page.version
            for body in page.items:
                await self._note(body)
            if not page.after:
                return version
            after = page.after

    async def _watch(self, version: str) -> None:
        while True:
            try:
                async for change in self._store.watch([labels.WORKFLOW], version):
                    if change.kind == "DELETED":
                        self._noted.pop(str(change.body["metadata"].get("uid")), None)
                    else:
                        await self._note(change.body)
                    version = change.version
            except Expired:
                version = await self._load()

    async def _note(self, workflow: Body) -> None:
        """Remember when the TTL of a Workflow ends."""
        moment = await self._expires_at(workflow)
        uid = str(workflow["metadata"]["uid"])
        if moment is not None and self._noted.get(uid) != moment:
            self._noted[uid] = moment
            heapq.heappush(self._expiries, (moment, uid, key_of(workflow)))

    async def _expires_at(self, workflow: Body) -> datetime | None:
        """As `expires_at`, with the strategy of its WorkflowTemplate or of the defaults where it has none of its own."""
        spec = workflow.get("spec") or {}
        strategy = spec.get("ttlStrategy") or self._default_ttl
        if not (workflow.get("status") or {}).get("finishedAt"):
            return None
        if not spec.get("ttlStrategy") and spec.get("workflowTemplateRef"):
            admitted = await self._store.spec(str(workflow["metadata"]["uid"]))
            strategy = ((admitted or {}).get("spec") or {}).get("ttlStrategy")
        return expires_at({**workflow, "spec": {"ttlStrategy": strategy}})

    async def step(self) -> None:
        """One pass: the disk, TTLs; every tenth minute retention too."""
        now = self._clock.now()
        self._look_at_disk()
        due: list[tuple[Key, str]] = []
        while self._expiries and self._expiries[0][0] <= now:
            moment, uid, key = heapq.heappop(self._expiries)
            if self._noted.get(uid) != moment:
                continue
            del self._noted[uid]
            if await self._is_over(key, uid, now):
                due.append((key, uid))
        await self._delete(due)
        if self._slow_at is None or now >= self._slow_at:
            self._slow_at = now + timedelta(minutes=10)
            await self._retain(now)

    async def _is_over(self, key: Key, uid: str, now: datetime) -> bool:
        """Whether the TTL has ended as the Workflow is now: it may have been retried since, or given another TTL."""
        try:
            live = await self._store.get(key)
        except NotFound:
            return False
        moment = await self._expires_at(live) if live["metadata"]["uid"] == uid else None
        if moment is not None and moment > now:
            await self._note(live)
        return moment is not None and moment <= now

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
                try:
                    await self.remove_remains(key, uid)
                except (SyncdError, OSError) as error:
                    # the run is gone; what it leaves is found by its age
                    log.warning("what run %s has left cannot be removed: %s", key, error)
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
    if not ended.get("finishedAt") or not isinstance(strategy, Mapping):
        return None
    # Argo's Status.Failed is the phase Failed alone: what ended in Error goes after completion
    by_phase = _TTL_FIELDS.get(str(ended.get("phase")), "")
    seconds = template.seconds(strategy.get(by_phase))
    if seconds is None:
        seconds = template.seconds(strategy.get("secondsAfterCompletion"))
    if seconds is None:
        return None
    return parse_rfc3339(ended["finishedAt"]) + timedelta(seconds=seconds)
