"""The one thread that writes: whatever has queued up becomes one transaction, hence one fsync (group commit).

In: jobs, functions of a `Transaction`. Out: what each returned or raised, after the commit, on the caller's event loop;
the changes go to the feed before. Called by `store`.

Each job has a savepoint of its own: one that fails takes back nothing but its own writes. Where the disk fails, the
whole transaction is void; then the jobs are tried again one by one, so that a small write still succeeds
where a large one does not fit. Hence a job may run twice, and must keep no state but what it writes.
On a full disk the store's reserve is spent first.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeVar

from syncd.base.errors import Refused, SyncdError, Unreachable
from syncd.cluster.embedded import database
from syncd.cluster.embedded.reserve import Reserve
from syncd.cluster.embedded.rows import Stored
from syncd.cluster.feed import Change, Feed

log = logging.getLogger(__name__)

BATCH: Final = 256
"""Jobs in one transaction at most: bounds how long the first of them waits for the last."""

_SHARED_ENTRIES: Final = 256
_SHARED_BYTES: Final = 8 << 20

Result = TypeVar("Result")


class Shared:
    """The bodies of Workflows that run now, so that their events share one copy. By objects.id; the oldest use goes first."""

    def __init__(self) -> None:
        self._bodies: OrderedDict[int, bytes] = OrderedDict()
        self._size_bytes = 0

    def get(self, row: int) -> bytes | None:
        found = self._bodies.get(row)
        if found is not None:
            self._bodies.move_to_end(row)
        return found

    def put(self, row: int, body: bytes) -> None:
        self.drop(row)
        self._bodies[row] = body
        self._size_bytes += len(body)
        while self._size_bytes > _SHARED_BYTES or len(self._bodies) > _SHARED_ENTRIES:
            self._size_bytes -= len(self._bodies.popitem(last=False)[1])

    def drop(self, row: int) -> None:
        self._size_bytes -= len(self._bodies.pop(row, b""))

    def clear(self) -> None:
        self._bodies.clear()
        self._size_bytes = 0


class Transaction:
    """What a job works with. version: of the store; changes: for the feed once this is durable."""

    def __init__(self, connection: sqlite3.Connection, version: int, shared: Shared) -> None:
        self.connection = connection
        self.execute = connection.execute
        self.version = version
        self.shared = shared
        self.changes: list[Change[Stored]] = []
        self._depth = 0

    def attempt(self, job: Callable[[Transaction], Result]) -> Result:
        """Run `job`; what it wrote is taken back where it raises."""
        self._depth += 1
        name = f"s{self._depth}"
        mark = len(self.changes), self.version
        self.execute(f"SAVEPOINT {name}")
        try:
            result = job(self)
        except sqlite3.Error:
            raise  # the transaction as a whole is void
        except BaseException:
            self.execute(f"ROLLBACK TO {name}")
            self.execute(f"RELEASE {name}")
            del self.changes[mark[0] :]
            self.version = mark[1]
            self.shared.clear()
            raise
        else:
            self.execute(f"RELEASE {name}")
            return result
        finally:
            self._depth -= 1


Job = Callable[[Transaction], Any]
_Waiting = tuple["asyncio.Future[Any]", asyncio.AbstractEventLoop, Job]
_Outcome = tuple["asyncio.Future[Any]", asyncio.AbstractEventLoop, Any, BaseException | None]


class Writer:
    """Owns the writing connection. The thread starts with the first job."""

    def __init__(self, path: Path, feed: Feed[Stored], version: int, *, readonly: bool) -> None:
        self._path = path
        self._feed = feed
        self._readonly = readonly
        self._queue: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._door = threading.Lock()  # nothing is queued behind the end
        self._closed = False
        self._connection: sqlite3.Connection | None = None
        self._reserve = Reserve(path.parent)
        self._shared = Shared()
        self._committed = version  # as far as this process knows
        self.newest = version  # raised before a commit: a reader may see it before the thread goes on

    async def run(self, job: Callable[[Transaction], Result]) -> Result:
        """What `job` returns, once that is durable; or raises what it raised, with nothing of it kept."""
        if self._readonly:
            raise Refused("the store is open for reading only; start the daemon to change something")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        with self._door:
            if self._closed:
                raise Unreachable("the store is closed")
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="syncd-writer", daemon=True)
                self._thread.start()
            self._queue.put((future, loop, job))
        return await future

    def close(self) -> None:
        """Finish what is queued, let go of the file. Blocks; may be repeated."""
        with self._door:
            self._closed = True
            self._queue.put(None)
            thread = self._thread
        if thread is not None:
            thread.join()

    def _work(self) -> None:
        going = True
        while going:
            batch: list[_Waiting] = []
            item = self._queue.get()
            while item is not None:
                batch.append(item)
                if len(batch) == BATCH:
                    break
                try:
                    item = self._queue.get_nowait()
                except Empty:
                    break
            going = item is not None
            if batch:
                _deliver(self._commit(batch))
        if self._connection is not None:
            self._connection.close()

    def _commit(self, batch: list[_Waiting]) -> list[_Outcome]:
        try:
            outcomes = self._transact(batch)
        except sqlite3.Error as error:
            self._roll_back()
            if self._reserve.spend(error):
                log.warning("the disk is full: the room kept in reserve is used to save what has happened")
                return self._commit(batch)
            if len(batch) > 1:
                return [outcome for waiting in batch for outcome in self._commit([waiting])]
            failure: BaseException = database.meaning(error, self._path)
        except Exception as error:  # noqa: BLE001 - the thread lives on; the caller gets the error
            self._roll_back()
            failure = error
        else:
            self._reserve.keep()
            return outcomes
        return [(future, loop, None, failure) for future, loop, _ in batch]

    def _transact(self, batch: list[_Waiting]) -> list[_Outcome]:
        if self._connection is None:
            self._connection = database.connect(self._path, readonly=False)
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        version: int = connection.execute("SELECT value FROM meta WHERE key = 'version'").fetchone()[0]
        if version != self._committed:
            log.warning("another process wrote to %s; watchers list again", self._path)
            self._shared.clear()
            self._feed.restart(version)
            self._committed = version
        transaction = Transaction(connection, version, self._shared)
        outcomes: list[_Outcome] = []
        for future, loop, job in batch:
            try:
                outcomes.append((future, loop, transaction.attempt(job), None))
            except SyncdError as error:
                outcomes.append((future, loop, None, error))
            except sqlite3.Error:
                raise
            except Exception as error:  # noqa: BLE001 - a bug in one job must not fail the others
                outcomes.append((future, loop, None, error))
        if transaction.version != version:
            connection.execute("UPDATE meta SET value = ? WHERE key = 'version'", (transaction.version,))
        self.newest = max(self.newest, transaction.version)
        connection.execute("COMMIT")
        self._committed = transaction.version
        self._feed.publish(transaction.changes, transaction.version)
        return outcomes

    def _roll_back(self) -> None:
        self._shared.clear()
        if self._connection is not None and self._connection.in_transaction:
            try:
                self._connection.execute("ROLLBACK")
            except sqlite3.Error as error:
                log.warning("rollback of %s: %s", self._path, error)
                self._connection.close()
                self._connection = None


def _deliver(outcomes: list[_Outcome]) -> None:
    """One wake-up per event loop and commit, not per job."""
    of_loop: dict[asyncio.AbstractEventLoop, list[_Outcome]] = {}
    for outcome in outcomes:
        of_loop.setdefault(outcome[1], []).append(outcome)
    for loop, settled in of_loop.items():
        try:
            loop.call_soon_threadsafe(_settle, settled)
        except RuntimeError:
            log.debug("nobody waits for %d writes any more: their event loop is closed", len(settled))


def _settle(outcomes: list[_Outcome]) -> None:
    for future, _, result, error in outcomes:
        if future.done():  # the caller was cancelled; the write is durable all the same
            continue
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
