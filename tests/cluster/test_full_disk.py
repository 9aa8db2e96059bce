"""A full disk: what does not fit is refused with a reason, what was there stays, and the store goes on afterwards."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from syncd.base.errors import Unreachable
from syncd.cluster.api import Entry, Verb, Write
from syncd.cluster.embedded.store import EmbeddedStore
from syncd.cluster.embedded.writer import Transaction
from tests.cluster.test_opening import Reopen
from tests.support.clocks import ManualClock
from tests.support.objects import create, do, seen, take, workflow

LARGE = {"spec": {"x": "y" * 400_000}}


async def limit(store: EmbeddedStore, more_pages: int) -> None:
    """The file may grow by so many pages from now on."""

    def job(transaction: Transaction) -> None:
        pages = transaction.execute("PRAGMA page_count").fetchone()[0]
        transaction.execute(f"PRAGMA max_page_count = {pages + more_pages}").fetchone()

    await store._writer.run(job)


async def test_nothing_is_lost_and_writing_goes_on_when_there_is_room_again(store: EmbeddedStore) -> None:
    made = await create(store, workflow("kept"), {"spec": {"x": 1}})
    version = (await store.list("Workflow")).version
    await limit(store, 10)
    for _ in range(2):
        with pytest.raises(Unreachable, match=r"disk full: .*syncd.db cannot grow; free some space"):
            await store.write([Write(Verb.CREATE, workflow("large"), LARGE), Write(Verb.DELETE, workflow("kept"))])
    with pytest.raises(Unreachable, match="disk full"):
        await store.save([Entry(made["metadata"]["uid"], 1, ManualClock().now(), [], {"n": LARGE})])
    assert await store.get(workflow("kept")) == made
    assert (await store.list("Workflow")).version == version
    await limit(store, 1000)
    watch = store.watch(["Workflow"], version)
    await create(store, workflow("large"), LARGE)
    await store.save([Entry(made["metadata"]["uid"], 1, ManualClock().now(), [], {"n": {}})])
    assert seen(await take(watch, 2)) == [("ADDED", "large"), ("MODIFIED", "kept")]


async def test_a_large_write_that_does_not_fit_does_not_keep_small_ones_out(store: EmbeddedStore) -> None:
    await create(store, workflow("first"))
    await limit(store, 20)
    writes = [store.write([Write(Verb.CREATE, workflow(f"small{n}"), {"spec": {}})]) for n in range(5)]
    large = store.write([Write(Verb.CREATE, workflow("large"), LARGE)])
    *fitting, failed = await asyncio.gather(*writes, large, return_exceptions=True)
    assert isinstance(failed, Unreachable)
    assert [written[0].error for written in fitting] == [None] * 5  # type: ignore[index]
    assert len((await store.list("Workflow")).items) == 6


async def test_room_can_be_made_by_deleting(store: EmbeddedStore) -> None:
    await create(store, workflow("old"), LARGE)
    await limit(store, 0)
    with pytest.raises(Unreachable):
        await create(store, workflow("new"), LARGE)
    await do(store, Verb.DELETE, workflow("old"))
    await create(store, workflow("new"), LARGE)


WRITER = """
import asyncio, resource, sys
from syncd.base.errors import Unreachable
from syncd.cluster.embedded.store import open_store
from tests.support.clocks import CountingRandom, ManualClock
from tests.support.objects import create, workflow

async def main():
    store = open_store(sys.argv[1], clock=ManualClock(), random=CountingRandom())
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, resource.RLIM_INFINITY))
    for n in range(1000):
        try:
            await create(store, workflow(f"w{n}"), {"spec": {"x": "y" * 5000}})
            print(n, flush=True)
        except Unreachable as error:
            print(error, file=sys.stderr)
            break
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await create(store, workflow("afterwards"))
    await store.close()

asyncio.run(main())
"""


async def test_a_file_that_the_system_lets_not_grow(reopen: Reopen, state: Path) -> None:
    """The system's own refusal, in a real process: the write-ahead log is cut short in the middle of a frame."""
    ran = subprocess.run(  # noqa: ASYNC221 - the test has nothing else to do
        [sys.executable, "-c", WRITER, str(state)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "syncd.db" in ran.stderr
    assert "disk" in ran.stderr
    acknowledged = {f"w{n}" for n in ran.stdout.split()}
    assert len(acknowledged) > 10
    names = {item["metadata"]["name"] for item in (await reopen().list("Workflow")).items}
    assert names == acknowledged | {"afterwards"}
