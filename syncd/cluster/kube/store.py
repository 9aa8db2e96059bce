"""The store of a cluster: what of `cluster.api.Store` can be had from an API server, behind one door.

In: a `Door`, where our own records live, and who may write. Out: a `KubeStore`, constructed by `app`. `view` answers the same store
for another purpose: with another user (a source that impersonates), or urgent (schedules before syncs).
Runs are not ours here: Argo's controller keeps them, so there is no journal, and retention is its TTL.
"""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NoReturn

from syncd.argo import labels
from syncd.argo.manifest import Body, Key
from syncd.argo.selectors import Selector
from syncd.base.clock import Clock, Random
from syncd.base.errors import NotFound, Refused, Unsupported
from syncd.cluster.api import Changed, Entry, FinishedRun, Page, Write, Written
from syncd.cluster.kube.board import KubeBoard
from syncd.cluster.kube.channel import Pulse, Restarted
from syncd.cluster.kube.door import Door
from syncd.cluster.kube.inventory import KubeInventory
from syncd.cluster.kube.lease import KubeLease
from syncd.cluster.kube.ledger import KubeLedger
from syncd.cluster.kube.maps import INVENTORY, LEDGER, SORTS, Maps
from syncd.cluster.kube.objects import Guard, KubeObjects
from syncd.cluster.kube.watches import Watches
from syncd.cron.ledger import Row


@dataclass(frozen=True, slots=True)
class Home:
    """Where an installation keeps what is its own. name: of the lease, first part of the names of all records; identity: of
    this replica; renew_timeout: of a request for the lease."""

    namespace: str
    name: str = "syncd"
    identity: str = "syncd"
    renew_timeout: timedelta = timedelta(seconds=5)


class KubeStore:
    """Implements `cluster.api.Store`, and holds a `Lease` and a `Board`. namespaces: that "all" means, () = all;
    guard: raises Unreachable where this replica may not write now; told of watches: `restarted`."""

    def __init__(
        self,
        door: Door,
        home: Home,
        clock: Clock,
        random: Random,
        *,
        namespaces: Sequence[str] = (),
        guard: Guard = lambda: None,
        pulse: Pulse | None = None,
        restarted: Restarted = lambda kind, reason: None,
    ) -> None:
        self.door = door
        self.home = home
        self._namespaces = tuple(namespaces)
        self._guard = guard
        self._objects = KubeObjects(door, namespaces=namespaces, guard=guard)
        self._watches = Watches(door, random, self._newest, namespaces=namespaces, pulse=pulse, restarted=restarted)
        self._ledger = KubeLedger(Maps(door, home.namespace, home.name, LEDGER, guard), home.name)
        self._inventory = KubeInventory(Maps(door, home.namespace, home.name, INVENTORY, guard), home.name)
        self.lease = KubeLease(door, home.namespace, home.name, home.renew_timeout.total_seconds())
        self.board = KubeBoard(door, home.namespace, home.name, home.identity, clock, guard)

    def view(self, *, user: str = "", urgent: bool = False) -> KubeStore:
        """This store with objects read and written as `user`, or before others. Records stay ours."""
        other = object.__new__(KubeStore)
        other.__dict__.update(self.__dict__)
        other._objects = KubeObjects(
            self.door, namespaces=self._namespaces, user=user, urgent=urgent, guard=self._guard
        )
        return other

    @property
    def reserved(self) -> frozenset[Key]:
        """Beginnings of the keys of our own records: no source may write such an object."""
        home = self.home
        return frozenset(Key(labels.CONFIG_MAP, home.namespace, f"{home.name}-{sort}-") for sort in SORTS)

    def begin(self) -> None:
        """This replica leads from now on: read everything anew, then trust it."""
        self._ledger.forget()
        self._inventory.forget()
        self._ledger.acting = self._inventory.acting = True

    def end(self) -> None:
        """Another replica may lead from now on."""
        self._ledger.acting = self._inventory.acting = False
        self._ledger.forget()
        self._inventory.forget()

    async def _newest(self, kind: str) -> str:
        return (await self._objects.list(kind, limit=1)).version

    # Objects

    async def get(self, key: Key) -> Body:
        return await self._objects.get(key)

    async def list(
        self,
        kind: str,
        namespace: str | None = None,
        *,
        selector: Selector | None = None,
        limit: int | None = None,
        after: str = "",
    ) -> Page:
        return await self._objects.list(kind, namespace, selector=selector, limit=limit, after=after)

    async def write(self, writes: Sequence[Write], *, atomic: bool = False) -> Sequence[Written]:
        return await self._objects.write(writes, atomic=atomic)

    async def rehearse(self, writes: Sequence[Write]) -> Sequence[Written]:
        return await self._objects.rehearse(writes)

    def watch(self, kinds: Collection[str], since: str) -> AsyncIterator[Changed]:
        return self._watches.watch(kinds, since)

    # Ledger

    async def record(self, rows: Sequence[Row]) -> None:
        await self._ledger.record(rows)

    async def rows(self, cron: Key, *, since: datetime | None = None, limit: int = 100) -> builtins.list[Row]:
        return await self._ledger.rows(cron, since=since, limit=limit)

    async def recent(self, since: datetime, *, namespace: str | None = None, limit: int = 10_000) -> builtins.list[Row]:
        return await self._ledger.recent(since, namespace=namespace, limit=limit)

    async def latest(self) -> Mapping[str, Row]:
        return await self._ledger.latest()

    async def pending(self) -> builtins.list[Row]:
        return await self._ledger.pending()

    async def prune(self, before: datetime, keep_per_cron: int) -> int:
        return await self._ledger.prune(before, keep_per_cron)

    # Inventory

    async def inventory(self, source: str) -> Body | None:
        return await self._inventory.inventory(source)

    async def save_inventory(self, source: str, record: Body) -> None:
        await self._inventory.save_inventory(source, record)

    async def inventories(self) -> builtins.list[str]:
        return await self._inventory.inventories()

    async def forget_inventory(self, source: str) -> None:
        await self._inventory.forget_inventory(source)

    # Journal and Archive: Argo's controller has them

    async def save(self, entries: Sequence[Entry]) -> None:
        _not_here("the journal of runs")

    async def load(self, run_uid: str) -> AsyncIterator[Entry]:
        nothing: tuple[Entry, ...] = ()
        for entry in nothing:
            yield entry

    async def spec(self, run_uid: str) -> Body | None:
        return None

    async def nodes(self, run_uid: str) -> dict[str, Body]:
        return {}

    async def unfinished(self) -> builtins.list[Key]:
        return []

    async def trim(self, run_uids: Sequence[str]) -> None:
        return None

    async def finished_runs(
        self,
        *,
        before: datetime | None = None,
        beyond: int = 0,
        namespace: str | None = None,
        selector: Selector | None = None,
        limit: int = 500,
    ) -> builtins.list[FinishedRun]:
        return []

    # Store

    def exclusive(self) -> AbstractAsyncContextManager[None]:
        _not_here("a lock on the whole store (there is the lease)")

    async def backup(self, target: str) -> None:
        _not_here("a backup: the cluster's own (etcd, Velero) has it all; git has the rest, and")

    async def close(self) -> None:
        await self._watches.close()
        await self.door.close()

    async def missing(self, kinds: Collection[str]) -> dict[str, str]:
        """Those of the kinds that cannot be read here, and why: CRDs that are not installed, permissions that are not given."""
        faults: dict[str, str] = {}
        for kind in sorted(kinds):
            try:
                await self._objects.list(kind, limit=1)
            except (Unsupported, Refused, NotFound) as error:
                faults[kind] = str(error)
        return faults


def _not_here(what: str) -> NoReturn:
    raise Unsupported(f"{what} is not in a cluster, where Argo's controller runs workflows")
