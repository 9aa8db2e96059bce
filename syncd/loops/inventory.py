"""The inventory of a source in the store: loads and saves the records that `plan.settle` describes.

In: the store and a source's name. Out: what the source owns, in memory as keys only; and the bodies of offered Workflows, read
from the store when somebody asks. Used by `loops.sync`; `offered` and `offers` by whoever submits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from syncd.argo.manifest import Body, Key
from syncd.base.errors import Unsupported
from syncd.cluster.api import Inventory
from syncd.plan import settle
from syncd.plan.offers import Remembered
from syncd.plan.plan import Change


class Records:
    """One source's records. Not loaded: everything is empty.

    head: as saved, None = never applied; owned: objects; remembered: Workflows and Jobs.
    """

    def __init__(self, store: Inventory, source: str) -> None:
        self._store = store
        self._source = source
        self.head: Body | None = None
        self.owned: set[Key] = set()
        self.remembered: dict[Key, Remembered] = {}

    async def load(self) -> None:
        """Read all records. Raises Unsupported when a newer syncd wrote them."""
        self.head = await self._read(self._source)
        names = [name for name in await self._store.inventories() if settle.source_of(name) == self._source]
        shards = [await self._read(name) for name in names if not settle.is_head(name)]
        self.owned = {key for shard in shards for key in settle.owned_in(shard or {})}
        self.remembered = {key: one for shard in shards for key, one in settle.remembered_in(shard or {}).items()}

    @property
    def revision(self) -> str:
        """What is in force, "" = nothing yet."""
        return str((self.head or {}).get("revision") or "")

    @property
    def applied_at(self) -> str:
        """Since when, RFC 3339, "" = never."""
        return str((self.head or {}).get("appliedAt") or "")

    @property
    def approved(self) -> str:
        """The revision that a person approved, "" = none."""
        return settle.approved_in(self.head)

    async def intend(self, changes: Iterable[Change], *, revision: str, at: str) -> None:
        """Durably note what is about to exist. No change, no write."""

        def after(shard: Body | None, part: list[Change]) -> Body | None:
            return settle.intended(shard, self._source, part, revision=revision, at=at)

        await self._rewrite((c for c in changes if settle.needs_intention(c, self.owned)), after)

    async def settle(self, changes: Iterable[Change], bodies: Mapping[Key, Body], *, revision: str) -> None:
        """Durably note what became of it. changes: those that succeeded; bodies: of offers. No change, no write."""

        def after(shard: Body | None, part: list[Change]) -> Body | None:
            return settle.settled(shard, self._source, part, bodies, revision=revision)

        await self._rewrite((c for c in changes if settle.needs_settling(c)), after)

    async def in_force(self, *, revision: str, commit: str, at: str) -> None:
        """Durably note that all of a revision is in force. Known already: no write."""
        await self._save_head(settle.head_after(self.head, self._source, revision=revision, commit=commit, at=at))

    async def approve(self, *, revision: str, by: str, at: str) -> None:
        """Durably note who approved which revision."""
        await self._save_head(settle.head_approved(self.head, self._source, revision=revision, by=by, at=at))

    async def _save_head(self, head: Body | None) -> None:
        if head is not None:
            await self._store.save_inventory(self._source, head)
            self.head = head

    async def _rewrite(self, changes: Iterable[Change], after: Any) -> None:
        parts: dict[str, list[Change]] = {}
        for change in changes:
            parts.setdefault(settle.shard_name(self._source, change.key), []).append(change)
        await asyncio.gather(*(self._rewrite_one(name, part, after) for name, part in sorted(parts.items())))

    async def _rewrite_one(self, name: str, changes: list[Change], after: Any) -> None:
        before = await self._read(name)
        shard: Body | None = after(before, changes)
        if shard is None:
            return
        await self._store.save_inventory(name, shard)
        self.owned -= settle.owned_in(before or {})
        self.owned |= settle.owned_in(shard)
        for key in settle.remembered_in(before or {}):
            self.remembered.pop(key, None)
        self.remembered |= settle.remembered_in(shard)

    async def _read(self, name: str) -> Body | None:
        record = await self._store.inventory(name)
        written_in = (record or {}).get("format", settle.FORMAT)
        if not isinstance(written_in, int) or written_in > settle.FORMAT:
            raise Unsupported(
                f"the inventory of source {self._source} was written by a newer syncd (format {written_in}); upgrade this one"
            )
        return record


async def sources(store: Inventory) -> list[str]:
    """All sources that have ever been applied, by name: configured or not."""
    return sorted({settle.source_of(name) for name in await store.inventories()})


async def forget(store: Inventory, source: str) -> None:
    """Drop all records of a source. Its objects stay, and are nobody's to prune."""
    for name in await store.inventories():
        if settle.source_of(name) == source:
            await store.forget_inventory(name)


async def offered(store: Inventory, key: Key) -> tuple[str, Body] | None:
    """Source and body of the Workflow or Job that some source offers under this key; None where none does.

    Of two sources that offer the same, the first by name answers.
    """
    for source in await sources(store):
        body = settle.offer_in(await store.inventory(settle.shard_name(source, key)) or {}, key)
        if body is not None:
            return source, body
    return None


async def offers(store: Inventory) -> list[tuple[str, Key]]:
    """(source, key) of everything offered, sorted."""
    found = [
        (settle.source_of(name), key)
        for name in await store.inventories()
        if not settle.is_head(name)
        for key, one in settle.remembered_in(await store.inventory(name) or {}).items()
        if one.digest
    ]
    return sorted(found)
