"""A damaged row is set aside, said, and stops nothing else (dagu #2375)."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from syncd.base.errors import Defect, NotFound, Unreachable
from syncd.cluster.api import Entry, Verb
from syncd.cluster.embedded.store import EmbeddedStore
from tests.cluster.conftest import sql
from tests.cluster.test_opening import Reopen
from tests.support.clocks import ManualClock
from tests.support.objects import create, do, seen, take, workflow

DAMAGE = [
    pytest.param("UPDATE objects SET head = x'7b226c' WHERE name = 'bad'", id="metadata"),
    pytest.param("UPDATE objects SET status = x'00ff' WHERE name = 'bad'", id="status"),
    pytest.param("UPDATE bodies SET body = x'' WHERE id = (SELECT id FROM objects WHERE name = 'bad')", id="spec"),
    pytest.param("UPDATE bodies SET body = '[1]' WHERE id = (SELECT id FROM objects WHERE name = 'bad')", id="a list"),
    pytest.param("UPDATE bodies SET body = '{}' WHERE id = (SELECT id FROM objects WHERE name = 'bad')", id="empty"),
]


async def damaged(store: EmbeddedStore, state: Path, statement: str) -> None:
    for name in ("apart", "bad", "good"):
        await create(store, workflow(name), {"metadata": {"labels": {"a": "b"}}, "spec": {}, "status": {"phase": "x"}})
    with sql(state) as connection:
        assert connection.execute(statement).rowcount == 1


@pytest.mark.parametrize("statement", DAMAGE)
async def test_a_list_goes_on_without_the_damaged_row(
    store: EmbeddedStore, state: Path, statement: str, caplog: pytest.LogCaptureFixture
) -> None:
    await damaged(store, state, statement)
    watch = store.watch(["Workflow"], "")
    with caplog.at_level(logging.WARNING):
        page = await store.list("Workflow")
    assert [item["metadata"]["name"] for item in page.items] == ["apart", "good"]
    assert "Workflow/ci/bad" in caplog.text
    assert seen(await take(watch, 1)) == [("DELETED", "bad")]
    with sql(state) as connection:
        assert connection.execute("SELECT origin, name FROM quarantine").fetchall() == [("objects", "Workflow/ci/bad")]
        assert connection.execute("SELECT count(*) FROM labels WHERE name = 'bad'").fetchone() == (0,)


@pytest.mark.parametrize("statement", DAMAGE)
async def test_get_says_what_happened_and_the_name_is_free(store: EmbeddedStore, state: Path, statement: str) -> None:
    await damaged(store, state, statement)
    with pytest.raises(NotFound, match=r"cannot be read .* apply it again"):
        await store.get(workflow("bad"))
    with pytest.raises(NotFound, match="not found"):
        await store.get(workflow("bad"))
    await create(store, workflow("bad"))


@pytest.mark.parametrize("verb", [Verb.CREATE, Verb.APPLY])
@pytest.mark.parametrize("statement", DAMAGE)
async def test_a_write_puts_a_new_object_in_the_place(
    store: EmbeddedStore, state: Path, statement: str, verb: Verb
) -> None:
    await damaged(store, state, statement)
    made = await do(store, verb, workflow("bad"), {"spec": {"x": 1}})
    assert await store.get(workflow("bad")) == made


async def test_a_damaged_node_is_left_out(store: EmbeddedStore, state: Path) -> None:
    uid = (await create(store, workflow("a"), {"status": {"nodes": {"n": {"p": 1}, "m": {"p": 2}}}}))["metadata"]["uid"]
    with sql(state) as connection:
        connection.execute("UPDATE nodes SET body = x'ff' WHERE node_id = 'n'")
    assert (await store.get(workflow("a")))["status"]["nodes"] == {"m": {"p": 2}}
    assert await store.nodes(uid) == {"m": {"p": 2}}
    with sql(state) as connection:
        assert connection.execute("SELECT origin FROM quarantine").fetchall() == [("nodes",)]
    await do(store, Verb.PATCH, workflow("a"), {"status": {"nodes": {"n": {"p": 3}}}})
    assert (await store.nodes(uid))["n"] == {"p": 3}


async def test_a_damaged_journal_stops_its_own_run_only(store: EmbeddedStore, state: Path) -> None:
    uids = [(await create(store, workflow(name)))["metadata"]["uid"] for name in ("a", "b")]
    await store.save([Entry(uid, 1, ManualClock().now(), [], spec={"x": 1}) for uid in uids])
    with sql(state) as connection:
        connection.execute("UPDATE journal SET observations = x'ff' WHERE run = 1")
        connection.execute("UPDATE runs SET spec = x'ff' WHERE run = 1")
    with pytest.raises(Defect, match="journal entry 1 cannot be read"):
        [entry async for entry in store.load(uids[0])]
    with pytest.raises(Defect, match="resubmit"):
        await store.spec(uids[0])
    assert [entry.seq async for entry in store.load(uids[1])] == [1]
    assert await store.spec(uids[1]) == {"x": 1}


async def test_damaged_rows_of_ledger_and_inventory(store: EmbeddedStore, state: Path) -> None:
    await store.save_inventory("app", {"x": 1})
    with sql(state) as connection:
        connection.execute("UPDATE inventory SET record = x'ff'")
        connection.execute(
            "INSERT INTO ledger VALUES ('u', 'soon', 'CronWorkflow', 'ci', 'c', 'pending', 'why', '', '', 1, '', '', '', '')"
        )
    assert await store.inventory("app") is None
    assert await store.pending() == []
    assert dict(await store.latest()) == {}


async def test_a_reader_only_says_so(store: EmbeddedStore, reopen: Reopen, state: Path) -> None:
    await damaged(store, state, "UPDATE objects SET head = '' WHERE name = 'bad'")
    reader = reopen(readonly=True)
    assert len((await reader.list("Workflow")).items) == 2
    with sql(state) as connection:
        assert connection.execute("SELECT count(*) FROM quarantine").fetchone() == (0,)


async def test_a_damaged_file_is_said_to_be_one(store: EmbeddedStore, reopen: Reopen, state: Path) -> None:
    for n in range(300):
        await create(store, workflow(f"w{n}"), {"spec": {"x": "y" * 300}})
    await store.close()
    path = state / "syncd.db"
    content = bytearray(path.read_bytes())
    content[8 * 4096 :] = b"\xa5" * (len(content) - 8 * 4096)
    path.write_bytes(content)
    with pytest.raises(Unreachable, match=r"is damaged .* restore a backup"):
        await reopen().list("Workflow")
