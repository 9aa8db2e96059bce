"""Opening a store: what is made, what is refused, and what the refusal says."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from syncd.base.errors import ConfigError, Conflict, NotFound, Refused, SyncdError, Unsupported
from syncd.cluster.api import Verb, Write
from syncd.cluster.embedded import schema
from syncd.cluster.embedded.store import EmbeddedStore
from tests.cluster.conftest import sql
from tests.support.objects import create, do, take, workflow

Reopen = Callable[..., EmbeddedStore]


def modes_of(folder: Path) -> dict[str, str]:
    return {path.name: oct(path.stat().st_mode & 0o777) for path in (folder, *folder.iterdir())}


async def test_nobody_else_may_read_the_state(reopen: Reopen, state: Path) -> None:
    before = os.umask(0)
    try:
        store = reopen()
        await create(store, workflow("a"))
        async with store.exclusive():
            modes = modes_of(state)
    finally:
        os.umask(before)
    assert modes.pop("state") == "0o700"
    assert {"syncd.db", "syncd.db-wal", "lock"} <= modes.keys()
    assert set(modes.values()) == {"0o600"}


async def test_everything_is_there_after_a_restart(reopen: Reopen) -> None:
    store = reopen()
    made = await create(store, workflow("a"), {"spec": {"x": 1}, "status": {"nodes": {"n": {"id": "n"}}}})
    await create(store, workflow("b"))
    gone = await do(store, Verb.DELETE, workflow("b"))
    version = (await store.list("Workflow")).version
    await store.close()
    store = reopen()
    assert (await store.get(workflow("a")))["metadata"] == made["metadata"]
    assert (await store.get(workflow("a")))["status"] == {"nodes": {"n": {"id": "n"}}}
    assert (await store.list("Workflow")).version == version
    fresh = await create(store, workflow("c"))
    assert int(fresh["metadata"]["resourceVersion"]) == int(version) + 1 > int(gone["metadata"]["resourceVersion"])


async def test_apply_remembers_over_a_restart_what_it_set(reopen: Reopen) -> None:
    store = reopen()
    await do(store, Verb.APPLY, workflow("a"), {"metadata": {"labels": {"mine": "1"}}})
    await store.close()
    store = reopen()
    assert "labels" not in (await do(store, Verb.APPLY, workflow("a"), {}))["metadata"]


def test_no_folder(reopen: Reopen, state: Path) -> None:
    state.write_text("a file")
    with pytest.raises(ConfigError, match="not a folder"):
        reopen()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_of_somebody_else(reopen: Reopen, state: Path) -> None:
    state.mkdir(mode=0o500)
    with pytest.raises(Refused, match="cannot be written"):
        reopen()


def test_not_a_database(reopen: Reopen, state: Path) -> None:
    state.mkdir()
    (state / "syncd.db").write_text("hello world, " * 1000)
    with pytest.raises(ConfigError, match="is not a database"):
        reopen()


def test_the_database_of_another_program(reopen: Reopen, state: Path) -> None:
    state.mkdir()
    with sql(state) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    with pytest.raises(ConfigError, match="not one of syncd"):
        reopen()
    with sql(state) as connection:
        assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("theirs",)]


async def test_a_newer_schema_is_refused_and_left_alone(reopen: Reopen, state: Path) -> None:
    await reopen().close()
    with sql(state) as connection:
        connection.execute(f"PRAGMA user_version = {schema.LATEST + 1}")
    for readonly in (False, True):
        with pytest.raises(Unsupported, match="newer syncd"):
            reopen(readonly=readonly)


async def test_an_older_schema_is_brought_up_to_date(
    reopen: Reopen, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = reopen()
    made = await create(store, workflow("a"))
    await store.close()
    monkeypatch.setattr(
        schema, "MIGRATIONS", (*schema.MIGRATIONS, "CREATE TABLE more (x);\nINSERT INTO more VALUES (1);")
    )
    monkeypatch.setattr(schema, "LATEST", schema.LATEST + 1)
    with pytest.raises(Unsupported, match="start the daemon once"):
        reopen(readonly=True)
    store = reopen()
    assert await store.get(workflow("a")) == made
    with sql(state) as connection:
        assert connection.execute("SELECT x FROM more").fetchall() == [(1,)]


async def test_a_migration_that_fails_changes_nothing(
    reopen: Reopen, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = reopen()
    made = await create(store, workflow("a"))
    await store.close()
    with monkeypatch.context() as patch:
        patch.setattr(
            schema, "MIGRATIONS", (*schema.MIGRATIONS, "CREATE TABLE more (x);\nINSERT INTO less VALUES (1);")
        )
        patch.setattr(schema, "LATEST", schema.LATEST + 1)
        with pytest.raises(SyncdError):
            reopen()
    assert await reopen().get(workflow("a")) == made


def test_readonly_makes_nothing(reopen: Reopen, state: Path) -> None:
    with pytest.raises(NotFound, match="no store in"):
        reopen(readonly=True)
    assert not state.exists()


async def test_readonly_reads_with_and_without_a_daemon(reopen: Reopen) -> None:
    daemon = reopen()
    made = await create(daemon, workflow("a"))
    reader = reopen(readonly=True)
    assert await reader.get(workflow("a")) == made
    await create(daemon, workflow("b"))
    assert len((await reader.list("Workflow")).items) == 2
    await daemon.close()
    await reader.close()
    reader = reopen(readonly=True)
    assert await reader.get(workflow("a")) == made
    for write in (reader.write([Write(Verb.DELETE, workflow("a"))]), reader.record([]), reader.trim([])):
        with pytest.raises(Refused, match="reading only"):
            await write


HOLDER = """
import asyncio, sys
from syncd.cluster.embedded.store import open_store
from tests.support.clocks import CountingRandom, ManualClock

async def main():
    store = open_store(sys.argv[1], clock=ManualClock(), random=CountingRandom())
    async with store.exclusive():
        print("held", flush=True)
        sys.stdin.read()

asyncio.run(main())
"""


async def test_the_lock_names_its_holder_and_ends_with_it(reopen: Reopen, state: Path) -> None:
    store = reopen()
    root = Path(__file__).parents[2]
    with subprocess.Popen(  # noqa: ASYNC220 - the test has nothing else to do
        [sys.executable, "-c", HOLDER, str(state)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(Conflict, match=f"process {holder.pid} on "):
            async with store.exclusive():
                pass
        holder.kill()
    async with store.exclusive():
        pass


async def test_a_step_that_outlives_the_daemon_does_not_hold_the_lock(reopen: Reopen) -> None:
    store = reopen()
    async with store.exclusive():
        child = subprocess.Popen(["sleep", "60"], close_fds=False)  # noqa: ASYNC220
    try:
        async with store.exclusive():
            pass
    finally:
        child.kill()
        child.wait()


async def test_writes_of_another_process_are_noticed(reopen: Reopen) -> None:
    """Not meant to happen, but no version may be given twice and no watch may have a gap."""
    one, two = reopen(), reopen()
    await create(one, workflow("a"))
    watch = one.watch(["Workflow"], "")
    second = await create(two, workflow("b"))
    third = await create(one, workflow("c"))
    assert int(third["metadata"]["resourceVersion"]) == int(second["metadata"]["resourceVersion"]) + 1
    with pytest.raises(SyncdError, match="list again"):
        await take(watch, 1)


async def test_a_backup_is_a_store(reopen: Reopen, state: Path, tmp_path: Path) -> None:
    store = reopen()
    made = await create(store, workflow("a"), {"status": {"nodes": {"n": {"id": "n"}}}})
    target = tmp_path / "restored" / "syncd.db"
    with pytest.raises(NotFound, match="is not a folder"):
        await store.backup(str(target))
    target.parent.mkdir()
    await store.backup(str(target))
    await create(store, workflow("later"))
    assert [path.name for path in target.parent.iterdir()] == ["syncd.db"]
    assert oct(target.stat().st_mode & 0o777) == "0o600"
    with closing(sqlite3.connect(target)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    await store.close()
    for name in modes_of(state).keys() - {"state"}:
        (state / name).unlink()
    target.rename(state / "syncd.db")
    store = reopen()
    assert (await store.get(workflow("a")))["metadata"] == made["metadata"]
    assert len((await store.list("Workflow")).items) == 1


async def test_a_backup_while_writes_go_on_is_of_one_moment(reopen: Reopen, tmp_path: Path) -> None:
    """Each write makes two objects at once: a copy that has one has the other."""
    store = reopen()

    async def pair(n: int) -> None:
        await store.write([Write(Verb.CREATE, workflow(f"{side}{n}"), {}) for side in "ab"], atomic=True)

    writing = [asyncio.create_task(pair(n)) for n in range(200)]
    await asyncio.gather(*(store.backup(str(tmp_path / f"copy{n}")) for n in range(5)), *writing)
    for n in range(5):
        with closing(sqlite3.connect(tmp_path / f"copy{n}")) as connection:
            names = {name for (name,) in connection.execute("SELECT name FROM objects")}
        assert {name[1:] for name in names if name[0] == "a"} == {name[1:] for name in names if name[0] == "b"}
