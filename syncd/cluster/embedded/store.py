"""The store of embedded mode: every call of `cluster.api.Store`, on one SQLite file in the state directory.

In: a directory. Out: an `EmbeddedStore`, constructed by `app` and by the reading verbs of `cli`.
Writes go to the one thread of `writer` and return when they are durable. Reads run in a few threads with connections
of their own, each in one read transaction, beside the writes. Nothing is cached but what the watch needs.
"""

from __future__ import annotations

import asyncio
import builtins
import logging
import os
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

import orjson

from syncd.argo import labels, status
from syncd.argo.manifest import Body, Key
from syncd.argo.selectors import Selector
from syncd.base.clock import Clock, Random, parse_rfc3339
from syncd.base.errors import Defect, Invalid, NotFound, Unreachable
from syncd.cluster import feed, paging
from syncd.cluster.api import Changed, Entry, FinishedRun, Page, Write, Written
from syncd.cluster.embedded import copy, database, journal, ledger, lock, objects, quarantine, rows, selection
from syncd.cluster.embedded.rows import Unreadable
from syncd.cluster.embedded.writer import Transaction, Writer
from syncd.cron.ledger import Row

log = logging.getLogger(__name__)

READERS: Final = 2
_JOURNAL_CHUNK: Final = 500

Result = TypeVar("Result")


def open_store(
    directory: str | os.PathLike[str], *, clock: Clock, random: Random, readonly: bool = False
) -> EmbeddedStore:
    """The store in `directory`, made there where it is missing. Cheap; blocks for some milliseconds.

    Raises ConfigError (not a folder, not our file), Unsupported (of a newer syncd), Refused (permissions),
    Unreachable (the disk), Conflict (to be upgraded while a daemon runs); for readonly NotFound where there is none.
    """
    folder = Path(directory)
    path = database.prepare(folder, readonly=readonly)
    try:
        connection = database.connect(path, readonly=True)
        try:
            version = selection.version(connection)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise database.meaning(error, path) from error
    return EmbeddedStore(folder, path, version, clock, random, readonly=readonly)


class EmbeddedStore:
    """Implements `cluster.api.Store`. Made by `open_store`."""

    def __init__(
        self, directory: Path, path: Path, version: int, clock: Clock, random: Random, *, readonly: bool
    ) -> None:
        self.directory = directory
        self.path = path
        self._clock = clock
        self._random = random
        self._readonly = readonly
        self._feed = feed.Feed(version, _event_body)
        self._writer = Writer(path, self._feed, version, readonly=readonly)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="syncd-reader")
        self._of_thread = threading.local()
        self._connections: builtins.list[sqlite3.Connection] = []
        self._closed = False

    # Objects

    async def get(self, key: Key) -> Body:
        damaged: builtins.list[Unreadable] = []

        def read(connection: sqlite3.Connection) -> Body:
            stored = selection.one(connection, key)
            if stored is None:
                raise NotFound(f"{key} not found")
            try:
                body = rows.body_of(stored)
            except Unreadable as unreadable:
                damaged.append(unreadable)
                raise
            if key.kind == labels.WORKFLOW and (nodes := selection.nodes(connection, stored.id, damaged_nodes)):
                body["status"] = {**(body.get("status") or {}), "nodes": status.assemble(nodes)}
            return body

        damaged_nodes: builtins.list[Unreadable] = []
        try:
            return await self._read(read)
        except Unreadable as unreadable:
            raise NotFound(f"{key} cannot be read ({unreadable.reason}) and was set aside; apply it again") from None
        finally:
            await self._set_aside(damaged, damaged_nodes)

    async def list(
        self,
        kind: str,
        namespace: str | None = None,
        *,
        selector: Selector | None = None,
        limit: int | None = None,
        after: str = "",
    ) -> Page:
        place = paging.decode(after) if after else None
        damaged: builtins.list[Unreadable] = []
        page = await self._read(
            lambda connection: selection.page(connection, kind, namespace, selector, limit, place, damaged)
        )
        await self._set_aside(damaged, [])
        return page

    async def write(self, writes: Sequence[Write], *, atomic: bool = False) -> Sequence[Written]:
        if not writes:
            self._check_open()
            return []
        return await self._writer.run(
            lambda transaction: objects.write(
                transaction, writes, atomic=atomic, clock=self._clock, random=self._random
            )
        )

    async def rehearse(self, writes: Sequence[Write]) -> Sequence[Written]:
        self._check_open()
        return [Written(write.key) for write in writes]

    def watch(self, kinds: Collection[str], since: str) -> AsyncIterator[Changed]:
        return self._feed.watch(kinds, since, self._writer.newest)

    # Ledger

    async def record(self, rows: Sequence[Row]) -> None:
        await self._writer.run(lambda transaction: ledger.record(transaction, rows))

    async def rows(self, cron: Key, *, since: datetime | None = None, limit: int = 100) -> builtins.list[Row]:
        return await self._read(lambda connection: ledger.of_cron(connection, cron, since, limit))

    async def recent(self, since: datetime, *, namespace: str | None = None, limit: int = 10_000) -> builtins.list[Row]:
        return await self._read(lambda connection: ledger.recent(connection, since, namespace, limit))

    async def latest(self) -> Mapping[str, Row]:
        return await self._read(ledger.latest)

    async def pending(self) -> builtins.list[Row]:
        return await self._read(ledger.pending)

    async def prune(self, before: datetime, keep_per_cron: int) -> int:
        return await self._writer.run(lambda transaction: ledger.prune(transaction, before, keep_per_cron))

    # Journal

    async def save(self, entries: Sequence[Entry]) -> None:
        await self._writer.run(lambda transaction: journal.save(transaction, entries))

    async def load(self, run_uid: str) -> AsyncIterator[Entry]:
        last = 0
        while True:
            chunk = await self._read(
                lambda connection, last=last: builtins.list(
                    selection.journal(connection, run_uid, last, _JOURNAL_CHUNK)
                )  # type: ignore[misc]
            )
            for seq, now, text in chunk:
                last = seq
                yield _entry(run_uid, seq, now, text)
            if len(chunk) < _JOURNAL_CHUNK:
                return

    async def spec(self, run_uid: str) -> Body | None:
        def read(connection: sqlite3.Connection) -> bytes | None:
            found = connection.execute(
                "SELECT r.spec FROM runs r JOIN objects o ON o.id = r.run WHERE o.uid = ?", (run_uid,)
            ).fetchone()
            return None if found is None else found[0]

        text = await self._read(read)
        try:
            return None if text is None else orjson.loads(text)
        except ValueError as error:
            raise Defect(f"run {run_uid}: its saved spec cannot be read: {error}; resubmit it") from error

    async def nodes(self, run_uid: str) -> dict[str, Body]:
        damaged: builtins.list[Unreadable] = []

        def read(connection: sqlite3.Connection) -> dict[str, Body]:
            row = selection.row_of_run(connection, run_uid)
            return {} if row is None else selection.nodes(connection, row, damaged)

        found = await self._read(read)
        await self._set_aside([], damaged)
        return found

    async def unfinished(self) -> builtins.list[Key]:
        return await self._read(selection.unfinished)

    async def trim(self, run_uids: Sequence[str]) -> None:
        await self._writer.run(lambda transaction: journal.trim(transaction, run_uids))

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
        return await self._read(
            lambda connection: selection.finished_runs(connection, before, beyond, namespace, selector, limit)
        )

    # Inventory

    async def inventory(self, source: str) -> Body | None:
        text = await self._read(
            lambda connection: connection.execute("SELECT record FROM inventory WHERE source = ?", (source,)).fetchone()
        )
        try:
            return None if text is None else orjson.loads(text[0])
        except ValueError as error:
            # Nothing of the source is pruned for want of a record; the next sync writes a new one
            log.warning("the inventory of source %s cannot be read and counts as none: %s", source, error)
            return None

    async def save_inventory(self, source: str, record: Body) -> None:
        try:
            text = orjson.dumps(record)
        except (TypeError, ValueError, RecursionError) as error:
            raise Invalid(f"inventory of source {source}: not JSON: {error}") from error
        await self._writer.run(
            lambda transaction: transaction.execute(
                "INSERT INTO inventory (source, record) VALUES (?, ?)"
                " ON CONFLICT (source) DO UPDATE SET record = excluded.record",
                (source, text),
            ).close()
        )

    async def inventories(self) -> builtins.list[str]:
        return await self._read(
            lambda connection: [name for (name,) in connection.execute("SELECT source FROM inventory ORDER BY source")]
        )

    async def forget_inventory(self, source: str) -> None:
        await self._writer.run(
            lambda transaction: transaction.execute("DELETE FROM inventory WHERE source = ?", (source,)).close()
        )

    # Store

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        with lock.held(self.directory):
            yield

    async def backup(self, target: str) -> None:
        self._check_open()
        await asyncio.to_thread(copy.backup, self.path, Path(target))

    async def close(self) -> None:
        """Flush and let go. May be repeated."""
        self._closed = True
        self._feed.close()
        await asyncio.to_thread(self._let_go)

    # Inside

    def _check_open(self) -> None:
        if self._closed:
            raise Unreachable("the store is closed")

    async def _read(self, read: Callable[[sqlite3.Connection], Result]) -> Result:
        """What `read` returns, in one read transaction in a reader's thread."""
        self._check_open()
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._in_transaction, read)

    def _in_transaction(self, read: Callable[[sqlite3.Connection], Result]) -> Result:
        try:
            connection: sqlite3.Connection | None = getattr(self._of_thread, "connection", None)
            if connection is None:
                connection = self._of_thread.connection = database.connect(self.path, readonly=True)
                self._connections.append(connection)
            connection.execute("BEGIN")
            try:
                return read(connection)
            finally:
                if connection.in_transaction:
                    connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise database.meaning(error, self.path) from error

    async def _set_aside(self, damaged: Sequence[Unreadable], damaged_nodes: Sequence[Unreadable]) -> None:
        """Put rows that a read stumbled over into quarantine; a store open for reading only says so."""
        if not damaged and not damaged_nodes:
            return
        if self._readonly:
            for unreadable in (*damaged, *damaged_nodes):
                log.warning("%s cannot be read: %s", unreadable.key, unreadable.reason)
            return
        now = self._clock.now()

        def put(transaction: Transaction) -> None:
            for unreadable in damaged:
                quarantine.take_object(transaction, unreadable, now)
            for unreadable in damaged_nodes:
                quarantine.take_node(transaction, unreadable, now)

        await self._writer.run(put)

    def _let_go(self) -> None:
        self._writer.close()
        self._readers.shutdown(wait=True)
        while self._connections:
            self._connections.pop().close()


def _event_body(stored: rows.Stored) -> Body:
    """The body of an event; of a row that cannot be read only what names it."""
    try:
        return rows.body_of(stored)
    except Unreadable:
        return rows.body_of(rows.tombstone(stored))


def _entry(run_uid: str, seq: int, now: str, text: bytes) -> Entry:
    try:
        return Entry(run_uid, seq, parse_rfc3339(now), orjson.loads(text))
    except ValueError as error:
        raise Defect(
            f"run {run_uid}: journal entry {seq} cannot be read: {error}; delete the workflow and submit it again"
        ) from error
