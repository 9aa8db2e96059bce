"""Writes that wait together are saved together, and fail apart."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from syncd.base.errors import Conflict, Defect
from syncd.cluster.api import Entry, Verb, Write
from syncd.cluster.embedded.store import EmbeddedStore
from syncd.cluster.embedded.writer import Transaction
from tests.support.clocks import ManualClock
from tests.support.objects import create, seen, take, workflow


async def together(store: EmbeddedStore, calls: list[Callable[[], Awaitable[Any]]]) -> list[Any]:
    """The answers (or errors) of calls that the writer finds queued up at once."""
    started, go = threading.Event(), threading.Event()

    def hold(_: Transaction) -> None:
        started.set()
        assert go.wait(20)

    first = asyncio.create_task(store._writer.run(hold))
    await asyncio.to_thread(started.wait, 20)
    waiting = [asyncio.ensure_future(call()) for call in calls]
    await asyncio.sleep(0)
    go.set()
    await first
    return await asyncio.gather(*waiting, return_exceptions=True)


def save(store: EmbeddedStore, uid: str, seq: int) -> Callable[[], Awaitable[None]]:
    entry = Entry(uid, seq, ManualClock().now(), [], {f"n{seq}": {}}, {"seq": seq})
    return lambda: store.save([entry])


def raising(error: Exception) -> Callable[[Transaction], None]:
    def job(transaction: Transaction) -> None:
        transaction.execute("DELETE FROM objects")
        raise error

    return job


@pytest.mark.parametrize(
    ("error", "expected"),
    [(Conflict("no"), Conflict), (KeyError("a bug"), KeyError), (sqlite3.OperationalError("the disk"), Defect)],
)
async def test_one_failing_caller_takes_back_only_its_own(
    store: EmbeddedStore, error: Exception, expected: type[Exception]
) -> None:
    uid = (await create(store, workflow("a")))["metadata"]["uid"]
    watch = store.watch(["Workflow"], "")
    calls = [save(store, uid, 1), lambda: store._writer.run(raising(error)), save(store, uid, 2), save(store, uid, 2)]
    one, failed, two, conflict = await together(store, calls)
    assert (one, two) == (None, None)
    assert isinstance(failed, expected)
    assert isinstance(conflict, Conflict)
    assert (await store.get(workflow("a")))["status"] == {"seq": 2, "nodes": {"n1": {}, "n2": {}}}
    assert [change.body["status"]["seq"] for change in await take(watch, 2)] == [1, 2]


async def test_what_waits_together_is_one_commit(store: EmbeddedStore) -> None:
    uid = (await create(store, workflow("a")))["metadata"]["uid"]
    statements: list[str] = []

    def trace(transaction: Transaction) -> None:
        transaction.connection.set_trace_callback(statements.append)

    await store._writer.run(trace)
    statements.clear()
    await together(store, [save(store, uid, seq) for seq in range(1, 101)])
    commits = statements.count("COMMIT")
    assert commits == 2  # the one that was held up, and all the others
    assert len([entry async for entry in store.load(uid)]) == 100


async def test_the_cost_of_a_save_does_not_grow_with_the_run(store: EmbeddedStore) -> None:
    """The statements of a save are the same for a run with one node and with a thousand, and read no other node."""
    uid = (await create(store, workflow("a"), {"spec": {"x": "y" * 50_000}}))["metadata"]["uid"]
    statements: list[str] = []

    async def cost(seq: int) -> list[str]:
        statements.clear()
        await save(store, uid, seq)()
        return [" ".join(text.split()[:3]) for text in statements]

    await store._writer.run(lambda transaction: transaction.connection.set_trace_callback(statements.append))
    await cost(1)
    small = await cost(2)
    await store.save([Entry(uid, 3, ManualClock().now(), [], {f"m{n}": {} for n in range(1000)})])
    assert await cost(4) == small
    assert not any("bodies" in statement for statement in small)


async def test_a_cancelled_caller_does_not_disturb_the_others(store: EmbeddedStore) -> None:
    watch = store.watch(["Workflow"], "")
    calls = [asyncio.create_task(store.write([Write(Verb.CREATE, workflow(f"w{n}"), {})])) for n in range(3)]
    await asyncio.sleep(0)
    calls[1].cancel()
    done = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(done[1], asyncio.CancelledError)
    assert seen(await take(watch, 3)) == [("ADDED", f"w{n}") for n in range(3)]


async def test_close_waits_for_what_is_queued(store: EmbeddedStore) -> None:
    writing = [asyncio.create_task(create(store, workflow(f"w{n}"))) for n in range(50)]
    await asyncio.sleep(0)
    await store.close()
    assert len(await asyncio.gather(*writing)) == 50


def test_a_store_serves_one_event_loop_after_another(store: EmbeddedStore) -> None:
    asyncio.run(create(store, workflow("a")))  # type: ignore[arg-type]
    assert asyncio.run(store.get(workflow("a")))["kind"] == "Workflow"
