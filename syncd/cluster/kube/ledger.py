"""The ledger of schedules in the cluster: sharded, bounded ConfigMaps that survive every replica.

In: rows. Out: rows. Implements `cluster.api.Ledger`; used by `store`. What a document looks like stands in `shards`.

All rows of one `record` are a write per shard, each on condition that the shard is as it was read. Where it is not, another
replica wrote: the shard is read again, and if that replica has decided one of our slots, we lead no more (Conflict): nothing
of what was to follow may be done. So a slot whose child has come and gone is not fired again by a leader that slept. A write
whose answer was lost may have been done: then the shard has our own pending row, perhaps of a moment earlier, which is replaced.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from syncd.argo.manifest import Body, Key
from syncd.base.errors import Conflict, SyncdError, Unreachable
from syncd.cluster.kube import shards
from syncd.cluster.kube.maps import Maps
from syncd.cluster.kube.shards import Shard
from syncd.cron.ledger import Outcome, Row

log = logging.getLogger(__name__)

_TRIES: Final = 5


class KubeLedger:
    """acting: this replica leads, and nobody else writes: what was read stays true until a write says otherwise."""

    def __init__(self, maps: Maps, installation: str) -> None:
        self._maps = maps
        self._installation = installation
        self._known: dict[int, tuple[Shard, str]] = {}  # shard and version
        self._locks = [asyncio.Lock() for _ in range(shards.SHARDS)]
        self.acting = False

    def forget(self) -> None:
        """What was read may not be true any more."""
        self._known.clear()

    async def record(self, rows: Sequence[Row]) -> None:
        parts: dict[int, list[Row]] = {}
        for row in rows:
            parts.setdefault(shards.shard_of(row.cron), []).append(shards.kept(row))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._recorded(number, part)) for number, part in parts.items()]
        if errors := [error for task in tasks if (error := task.result()) is not None]:
            raise next((error for error in errors if isinstance(error, Conflict)), errors[0])

    async def _recorded(self, number: int, rows: Sequence[Row]) -> SyncdError | None:
        """Record, and answer rather than raise what may happen: the other shards are not to be cancelled half way."""
        try:
            async with self._locks[number]:
                for attempt in range(_TRIES):
                    shard, version = await self._shard(number)
                    if self.acting:
                        _check_undecided(shard, rows, certain=bool(attempt))
                    if await self._save(number, shard, version, shard.put(rows)):
                        return None
                return Unreachable(f"the ledger {self._name(number)} is being changed by others all the time")
        except SyncdError as error:
            self._known.pop(number, None)
            return error

    async def rows(self, cron: Key, *, since: datetime | None = None, limit: int = 100) -> list[Row]:
        shard, _ = await self._shard(shards.shard_of(cron))
        mine = [row for rows in shard.rows.values() for row in rows if row.cron == cron]
        mine = [row for row in mine if since is None or row.slot >= since]
        mine.sort(key=lambda row: (row.slot, row.cron_uid), reverse=True)
        return mine[: max(limit, 0)]

    async def recent(self, since: datetime, *, namespace: str | None = None, limit: int = 10_000) -> list[Row]:
        if not (self.acting and len(self._known) == shards.SHARDS):
            await self._load()
        rows = (row for shard, _ in self._known.values() for rows in shard.rows.values() for row in rows)
        found = [row for row in rows if row.until >= since and namespace in (None, row.cron.namespace)]
        found.sort(key=lambda row: (row.slot, row.cron_uid), reverse=True)
        return found[: max(limit, 0)]

    async def latest(self) -> Mapping[str, Row]:
        await self._load()
        return {uid: rows[-1] for shard, _ in self._known.values() for uid, rows in shard.rows.items() if rows}

    async def pending(self) -> list[Row]:
        await self._load()
        everything = (row for shard, _ in self._known.values() for rows in shard.rows.values() for row in rows)
        found = [row for row in everything if row.outcome is Outcome.PENDING]
        return sorted(found, key=lambda row: (row.slot, row.cron_uid))

    async def prune(self, before: datetime, keep_per_cron: int) -> int:
        await self._load()
        dropped = 0
        for number in sorted(self._known):
            async with self._locks[number]:
                for _ in range(_TRIES):
                    shard, version = await self._shard(number)
                    count, entries = shard.prune(before, keep_per_cron)
                    if await self._save(number, shard, version, entries):
                        dropped += count
                        break
        return dropped

    async def _save(self, number: int, shard: Shard, version: str, entries: Mapping[str, str | None]) -> bool:
        """False = it was changed meanwhile: read again."""
        if not entries:
            return True
        try:
            version = await self._maps.save(self._name(number), {"data": dict(entries)}, version)
        except Conflict:
            self._known.pop(number, None)
            return False
        except BaseException:
            self._known.pop(number, None)  # whether it was written is not known
            raise
        self._known[number] = (shard, version)
        return True

    async def _shard(self, number: int) -> tuple[Shard, str]:
        if self.acting and number in self._known:
            return self._known[number]
        return self._noted(number, self._read(await self._maps.get(self._name(number))))

    async def _load(self) -> None:
        found = await self._maps.list()
        for number in range(shards.SHARDS):
            self._noted(number, self._read(found.get(self._name(number))))

    def _noted(self, number: int, found: tuple[Shard, str]) -> tuple[Shard, str]:
        """What was read, unless a write of our own has gone past it meanwhile."""
        known = self._known.get(number)
        if self.acting and known is not None and int(known[1] or 0) > int(found[1] or 0):
            return known
        self._known[number] = found
        return found

    def _read(self, body: Body | None) -> tuple[Shard, str]:
        if body is None:
            return Shard(), ""
        shard, faults = shards.shard_from(body.get("data") or {})
        if faults:
            log.warning("ledger %s: the rows of %s cannot be read", body["metadata"]["name"], ", ".join(faults[:5]))
        return shard, str(body["metadata"]["resourceVersion"])

    def _name(self, number: int) -> str:
        return f"{self._installation}-ledger-{number:02x}"


def _check_undecided(shard: Shard, rows: Sequence[Row], *, certain: bool) -> None:
    """Raises Conflict where a slot that we decide has a fate already. certain: what is pending there is not of us."""
    for row in rows:
        if row.outcome is not Outcome.PENDING:
            continue
        theirs = shard.at(row.cron_uid, row.slot)
        if theirs is not None and theirs != row and (certain or theirs.outcome is not Outcome.PENDING):
            raise Conflict(f"another replica has decided the slot {row.slot:%Y-%m-%d %H:%M:%S} of {row.cron}")
