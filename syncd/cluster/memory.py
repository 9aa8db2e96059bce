"""A store in memory: for tests, for `submit` without persistence, and as the model that the embedded one is held against.

In: `cluster.api.Store`'s calls. Out: what the embedded store would answer, without a disk. Constructed by `app` and tests.
Everything happens at once on the event loop's thread, so each call is atomic as it is.
"""

from __future__ import annotations

import bisect
import builtins
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import orjson

from syncd.argo import labels, status
from syncd.argo.manifest import Body, Key
from syncd.argo.selectors import Selector
from syncd.base.clock import Clock, Random
from syncd.base.errors import AlreadyExists, Conflict, Defect, NotFound, SyncdError, Unreachable
from syncd.cluster import archive, feed, paging, verbs
from syncd.cluster.api import Changed, Entry, FinishedRun, Page, Verb, Write, Written
from syncd.cron.ledger import Outcome, Row


@dataclass(slots=True)
class _Object:
    """One live object. body: without status.nodes; owned: what the last APPLY set; seq: of its journal's last entry,
    None = trimmed, the next entry may have any."""

    body: Body
    owned: verbs.Owned = field(default_factory=verbs.Owned)
    nodes: dict[str, Body] = field(default_factory=dict)
    journal: list[Entry] = field(default_factory=list)
    seq: int | None = 0
    spec: Body | None = None


class MemoryStore:
    """Implements `cluster.api.Store`. history: how many changes a watch may lag behind before it is Expired."""

    def __init__(self, clock: Clock, random: Random, *, history: int = 8192) -> None:
        self._clock = clock
        self._random = random
        self._version = 1
        self._objects: dict[Key, _Object] = {}
        self._keys: dict[str, builtins.list[Key]] = {}  # kind → its keys, sorted
        self._feed: feed.Feed[Body] = feed.Feed(1, lambda body: body, capacity=history)
        self._rows: dict[tuple[str, datetime], Row] = {}
        self._inventory: dict[str, bytes] = {}
        self._held = False
        self._closed = False

    # Objects

    async def get(self, key: Key) -> Body:
        self._check_open()
        if (live := self._objects.get(key)) is None:
            raise NotFound(f"{key} not found")
        return _assembled(live)

    async def list(
        self,
        kind: str,
        namespace: str | None = None,
        *,
        selector: Selector | None = None,
        limit: int | None = None,
        after: str = "",
    ) -> Page:
        self._check_open()
        keys = self._keys.get(kind, [])
        start = bisect.bisect_right(keys, Key(kind, *paging.decode(after))) if after else 0
        items: builtins.list[Body] = []
        for key in keys[start:]:
            if namespace is not None and key.namespace != namespace:
                continue
            body = self._objects[key].body
            if selector is not None and not selector.matches(body["metadata"].get("labels") or {}):
                continue
            if limit is not None and len(items) >= max(limit, 1):
                return Page(items, paging.encode(items[-1]), str(self._version))
            items.append(body)
        return Page(items, "", str(self._version))

    async def write(self, writes: Sequence[Write], *, atomic: bool = False) -> Sequence[Written]:
        self._check_open()
        changes: builtins.list[feed.Change[Body]] = []
        before = dict(self._objects) if atomic else {}
        version = self._version
        written: builtins.list[Written] = []
        for write in writes:
            try:
                written.append(self._write_one(write, changes))
            except SyncdError as error:
                written.append(Written(write.key, error=error))
                if atomic:
                    self._roll_back(before, version)
                    return [
                        Written(w.key, error=error if w is write and i == len(written) - 1 else Conflict("not tried"))
                        for i, w in enumerate(writes)
                    ]
        self._feed.publish(changes, self._version)
        return written

    async def rehearse(self, writes: Sequence[Write]) -> Sequence[Written]:
        self._check_open()
        return [Written(write.key) for write in writes]

    def watch(self, kinds: Collection[str], since: str) -> AsyncIterator[Changed]:
        return self._feed.watch(kinds, since, self._version)

    # Ledger

    async def record(self, rows: Sequence[Row]) -> None:
        self._check_open()
        for row in rows:
            known = self._rows.get((row.cron_uid, row.slot))
            if known is None or known.outcome is Outcome.PENDING or row.outcome is not Outcome.PENDING:
                self._rows[row.cron_uid, row.slot] = row

    async def rows(self, cron: Key, *, since: datetime | None = None, limit: int = 100) -> builtins.list[Row]:
        self._check_open()
        mine = [row for row in self._rows.values() if row.cron == cron and (since is None or row.slot >= since)]
        mine.sort(key=lambda row: (row.slot, row.cron_uid), reverse=True)
        return mine[: max(limit, 0)]

    async def recent(self, since: datetime, *, namespace: str | None = None, limit: int = 10_000) -> builtins.list[Row]:
        self._check_open()
        found = [r for r in self._rows.values() if r.until >= since and namespace in (None, r.cron.namespace)]
        found.sort(key=lambda row: (row.slot, row.cron_uid), reverse=True)
        return found[: max(limit, 0)]

    async def latest(self) -> Mapping[str, Row]:
        self._check_open()
        newest: dict[str, Row] = {}
        for (uid, slot), row in self._rows.items():
            if uid not in newest or newest[uid].slot < slot:
                newest[uid] = row
        return newest

    async def pending(self) -> builtins.list[Row]:
        self._check_open()
        rows = [row for row in self._rows.values() if row.outcome is Outcome.PENDING]
        return sorted(rows, key=lambda row: (row.slot, row.cron_uid))

    async def prune(self, before: datetime, keep_per_cron: int) -> int:
        self._check_open()
        of_cron: dict[str, builtins.list[Row]] = {}
        for row in self._rows.values():
            of_cron.setdefault(row.cron_uid, []).append(row)
        dropped = 0
        for rows in of_cron.values():
            rows.sort(key=lambda row: row.slot, reverse=True)
            for row in rows[max(keep_per_cron, 0) :]:
                if row.outcome is not Outcome.PENDING and row.until < before:
                    del self._rows[row.cron_uid, row.slot]
                    dropped += 1
        return dropped

    # Journal

    async def save(self, entries: Sequence[Entry]) -> None:
        self._check_open()
        runs = self._runs()
        seqs: dict[str, int | None] = {}
        for entry in entries:  # all are checked before the first is saved
            if (key := runs.get(entry.run_uid)) is None:
                raise NotFound(f"run {entry.run_uid} not found: its Workflow was deleted")
            archive.check_seq(key, seqs.get(entry.run_uid, self._objects[key].seq), entry.seq)
            seqs[entry.run_uid] = entry.seq
        changes: builtins.list[feed.Change[Body]] = []
        for entry in [_copied(entry) for entry in entries]:
            key = runs[entry.run_uid]
            live = self._objects[key]
            after = live.body
            if entry.labels:
                after = verbs.merged_labels(after, entry.labels)
            if entry.status is not None:
                status = {name: value for name, value in entry.status.items() if name != "nodes"}
                after = {**after, "status": status}
            live.nodes |= entry.nodes
            live.seq = entry.seq
            live.journal.append(Entry(entry.run_uid, entry.seq, entry.now, entry.observations))
            if entry.spec is not None:
                live.spec = entry.spec
            self._replace(key, live, after, changes, touched=bool(entry.nodes))
        self._feed.publish(changes, self._version)

    async def load(self, run_uid: str) -> AsyncIterator[Entry]:
        self._check_open()
        key = self._runs().get(run_uid)
        for entry in list(self._objects[key].journal) if key is not None else []:
            yield entry

    async def spec(self, run_uid: str) -> Body | None:
        self._check_open()
        key = self._runs().get(run_uid)
        return None if key is None else self._objects[key].spec

    async def nodes(self, run_uid: str) -> dict[str, Body]:
        self._check_open()
        key = self._runs().get(run_uid)
        return {} if key is None else dict(self._objects[key].nodes)

    async def unfinished(self) -> builtins.list[Key]:
        self._check_open()
        found = [
            (live.body["metadata"]["creationTimestamp"], key)
            for key, live in self._objects.items()
            if key.kind == labels.WORKFLOW and archive.finished_at(live.body.get("status")) is None
        ]
        return [key for _, key in sorted(found)]

    async def trim(self, run_uids: Sequence[str]) -> None:
        self._check_open()
        runs = self._runs()
        for uid in run_uids:
            if (key := runs.get(uid)) is not None and archive.finished_at(self._objects[key].body.get("status")):
                self._objects[key].journal = []
                self._objects[key].seq = None

    # Archive

    async def finished_runs(
        self,
        *,
        before: datetime | None = None,
        beyond: int = 0,
        namespace: str | None = None,
        selector: Selector | None = None,
        limit: int = 500,
    ) -> builtins.list[FinishedRun]:
        self._check_open()
        found = []
        for key, live in self._objects.items():
            if key.kind != labels.WORKFLOW or (namespace is not None and key.namespace != namespace):
                continue
            metadata = live.body["metadata"]
            if selector is not None and not selector.matches(metadata.get("labels") or {}):
                continue
            status = live.body.get("status")
            if moment := archive.finished_at(status):
                size = len(orjson.dumps([live.nodes, live.spec, live.body]))
                found.append(FinishedRun(key, metadata["uid"], moment, archive.phase(status), size))
        found.sort(key=lambda run: (run.finished_at, run.key), reverse=True)
        old = [run for run in found[max(beyond, 0) :] if before is None or run.finished_at < before]
        return old[::-1][: max(limit, 0)]

    # Inventory

    async def inventory(self, source: str) -> Body | None:
        self._check_open()
        record = self._inventory.get(source)
        return None if record is None else orjson.loads(record)

    async def save_inventory(self, source: str, record: Body) -> None:
        self._check_open()
        self._inventory[source] = orjson.dumps(record)

    async def inventories(self) -> builtins.list[str]:
        self._check_open()
        return sorted(self._inventory)

    async def forget_inventory(self, source: str) -> None:
        self._check_open()
        self._inventory.pop(source, None)

    # Store

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        if self._held:
            raise Conflict("another part of this process holds the store")
        self._held = True
        try:
            yield
        finally:
            self._held = False

    async def backup(self, target: str) -> None:
        """All objects and nodes as one JSON file: enough for a look, not a store to open."""
        self._check_open()
        content = orjson.dumps([_assembled(live) for live in self._objects.values()])
        try:
            with Path(target).open("xb") as file:  # noqa: ASYNC230 - a few kilobytes, in tests
                file.write(content)
        except FileExistsError:
            raise AlreadyExists(f"{target} is there already; name a new file") from None
        except OSError as error:
            raise Unreachable(f"cannot write {target}: {error.strerror}") from error

    async def close(self) -> None:
        self._closed = True
        self._feed.close()

    # Inside

    def _check_open(self) -> None:
        if self._closed:
            raise Unreachable("the store is closed")

    def _runs(self) -> dict[str, Key]:
        keys = self._keys.get(labels.WORKFLOW, [])
        return {self._objects[key].body["metadata"]["uid"]: key for key in keys}

    def _write_one(self, write: Write, changes: builtins.list[feed.Change[Body]]) -> Written:
        key = write.key
        live = self._objects.get(key)
        if live is not None and write.verb not in (Verb.CREATE, Verb.DECLARE):
            verbs.check_expected(key, live.body["metadata"], write.expect, write.uid)
        elif write.verb is Verb.APPLY and (write.expect, write.uid) != (None, None):
            raise Conflict(f"{key} was deleted; read again")
        match write.verb:
            case Verb.DELETE:
                if live is None:
                    raise NotFound(f"{key} not found")
                del self._objects[key]
                self._keys[key.kind].remove(key)
                self._version += 1
                changes.append(feed.Change(self._version, feed.DELETED, key, live.body))
                return Written(key, live.body)
            case Verb.PATCH:
                if live is None:
                    raise NotFound(f"{key} not found")
                after, nodes = verbs.patched(key, live.body, _given(key, write.body))
                touched = live.nodes != (merged := _patched_nodes(live.nodes, nodes))
                self._objects[key] = live = replace(live, nodes=merged)
                return Written(key, self._replace(key, live, after, changes, touched=touched))
            case Verb.APPLY if live is not None:
                desired = _given(key, write.body)
                after = verbs.applied(key, live.body, desired, live.owned)
                self._objects[key] = live = replace(live, owned=verbs.owned_by(desired))
                return Written(key, self._replace(key, live, after, changes))
            case _:
                return self._create(write, changes)

    def _create(self, write: Write, changes: builtins.list[feed.Change[Body]]) -> Written:
        body = _given(write.key, write.body)
        key = verbs.generated(write.key, body, self._random.suffix)
        if key in self._objects:
            raise AlreadyExists(f"{key} already exists")
        owned = verbs.Owned()
        if write.verb in (Verb.APPLY, Verb.DECLARE):
            body.pop("status", None)
            owned = verbs.owned_by(body)
        fresh, nodes = verbs.created(
            key, body, uid=self._random.uid(), version=self._version + 1, now=self._clock.now()
        )
        self._version += 1
        self._objects[key] = _Object(fresh, owned, _patched_nodes({}, nodes))
        bisect.insort(self._keys.setdefault(key.kind, []), key)
        changes.append(feed.Change(self._version, feed.ADDED, key, fresh))
        return Written(key, fresh)

    def _replace(
        self, key: Key, live: _Object, after: Body, changes: builtins.list[feed.Change[Body]], *, touched: bool = False
    ) -> Body:
        revised = verbs.revised(live.body, after, self._version + 1, touched=touched)
        if revised is None:
            return live.body
        self._version += 1
        live.body = revised
        changes.append(feed.Change(self._version, feed.MODIFIED, key, revised))
        return revised

    def _roll_back(self, before: dict[Key, _Object], version: int) -> None:
        self._objects = before
        self._version = version
        self._keys = {}
        for key in sorted(before):
            self._keys.setdefault(key.kind, []).append(key)


def _assembled(live: _Object) -> Body:
    """The body with status.nodes, as `get` answers it."""
    if not live.nodes:
        return live.body
    return {**live.body, "status": {**(live.body.get("status") or {}), "nodes": status.assemble(live.nodes)}}


def _patched_nodes(nodes: dict[str, Body], change: verbs.Nodes) -> dict[str, Body]:
    merged = {} if change.drop else dict(nodes)
    for node_id, patch in (change.patch or {}).items():
        if patch is None:
            merged.pop(node_id, None)
        else:
            merged[node_id] = verbs.merge_patch(merged.get(node_id), patch)
    return merged


def _given(key: Key, body: Body | None) -> Body:
    """A copy of what was handed in. Raises Invalid."""
    copy: Body = orjson.loads(verbs.encoded(key, body))
    return copy


def _copied(entry: Entry) -> Entry:
    """A copy by way of JSON, so that nobody holds a reference into the store. Raises Defect where it is not JSON."""
    parts = [list(entry.observations), dict(entry.nodes), entry.status, dict(entry.labels), entry.spec]
    try:
        observations, nodes, status, added, spec = orjson.loads(orjson.dumps(parts))
    except (TypeError, ValueError, RecursionError) as error:
        raise Defect(f"run {entry.run_uid}: a journal entry is not JSON: {error}") from error
    return Entry(entry.run_uid, entry.seq, entry.now, observations, nodes, status, added, spec)
