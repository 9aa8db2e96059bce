"""Lists walk an index in the order of their answer: nothing is sorted, nothing is scanned for a page."""

from __future__ import annotations

import sqlite3

import pytest

from syncd.argo import selectors
from syncd.cluster.api import Verb, Write
from syncd.cluster.embedded import ledger, selection
from syncd.cluster.embedded.store import EmbeddedStore
from tests.support.objects import workflow


async def plan(store: EmbeddedStore, namespace: str | None, text: str, after: tuple[str, str] | None) -> str:
    def read(connection: sqlite3.Connection) -> str:
        selector = selectors.parse(text)
        statement, parameters = selection._statement(connection, "Workflow", namespace, selector, after)
        return "\n".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters))

    return await store._read(read)


@pytest.mark.parametrize("after", [None, ("ci", "m"), ("a", "m"), ("z", "m")])
@pytest.mark.parametrize("namespace", [None, "ci"])
@pytest.mark.parametrize("text", ["", "a=b", "a!=b", "a", "a=b,c!=d"])
async def test_a_page_is_neither_sorted_nor_scanned(
    store: EmbeddedStore, namespace: str | None, text: str, after: tuple[str, str] | None
) -> None:
    found = await plan(store, namespace, text, after)
    assert "SCAN" not in found.replace("SCALAR", "")
    assert "TEMP B-TREE" not in found


async def test_the_rarest_label_leads(store: EmbeddedStore) -> None:
    labels = [{"done": "true", "cron": f"c{n % 10}"} for n in range(100)]
    await store.write(
        [Write(Verb.CREATE, workflow(f"w{n}"), {"metadata": {"labels": has}}) for n, has in enumerate(labels)]
    )
    selector = selectors.parse("done=true,cron=c7,!x")

    def rarest(connection: sqlite3.Connection) -> tuple[int, str, list[str]] | None:
        return selection._rarest(connection, "Workflow", selector)

    assert await store._read(rarest) == (10, "cron", ["c7"])
    page = await store.list("Workflow", selector=selector)
    assert [item["metadata"]["name"] for item in page.items] == [f"w{n}" for n in sorted(range(7, 100, 10), key=str)]


async def explained(store: EmbeddedStore, statement: str, parameters: list[object]) -> str:
    def read(connection: sqlite3.Connection) -> str:
        return "\n".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters))

    return await store._read(read)


@pytest.mark.parametrize("text", ["", "a", "a!=b"])
async def test_ended_runs_come_from_their_index(store: EmbeddedStore, text: str) -> None:
    for newest_first in (False, True):
        statement, parameters = selection._ended(None, None, selectors.parse(text), newest_first, [], [])
        found = await explained(store, statement, parameters)
        assert "objects_finished" in found
        assert "TEMP B-TREE" not in found


@pytest.mark.parametrize(
    ("statement", "parameters", "index"),
    [
        (selection.UNFINISHED, [], "objects_unfinished"),
        (ledger.PENDING, [], "ledger_pending"),
        (ledger.OF_CRON, ["CronWorkflow", "ci", "c", "", 10], "ledger_by_cron"),
    ],
)
async def test_the_questions_of_the_loops_have_an_index(
    store: EmbeddedStore, statement: str, parameters: list[object], index: str
) -> None:
    found = await explained(store, statement, parameters)
    assert index in found
    assert "TEMP B-TREE" not in found
