"""Runs: journal, nodes and status are saved together, or not at all."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from syncd.argo import selectors
from syncd.base.errors import Conflict, Defect, NotFound
from syncd.cluster.api import Entry, Store, Verb
from tests.support.clocks import ManualClock
from tests.support.objects import create, do, workflow

pytestmark = pytest.mark.ours("in a cluster Argo's controller has the runs")

RUN = workflow("run")
DONE = {"phase": "Succeeded", "finishedAt": "2026-01-01T00:00:00Z"}


async def start(store: Store, name: str = "run") -> str:
    uid: str = (await create(store, workflow(name), {"spec": {"entrypoint": "main"}}))["metadata"]["uid"]
    return uid


def entry(uid: str, seq: int, clock: ManualClock | None = None, **parts: Any) -> Entry:
    return Entry(uid, seq, (clock or ManualClock()).now(), parts.pop("observations", [{"is": "Tick"}]), **parts)


async def entries(store: Store, uid: str) -> list[Entry]:
    return [one async for one in store.load(uid)]


async def test_an_entry_changes_nodes_status_and_labels_of_its_workflow(store: Store, clock: ManualClock) -> None:
    uid = await start(store)
    await store.save(
        [entry(uid, 1, nodes={"a": {"id": "a"}}, status={"phase": "Running"}, labels={"phase": "Running"})]
    )
    await store.save([entry(uid, 2, nodes={"b": {"id": "b"}, "a": {"id": "a", "phase": "Failed"}})])
    live = await store.get(RUN)
    nodes = {"a": {"id": "a", "phase": "Failed"}, "b": {"id": "b"}}
    assert live["status"] == {"phase": "Running", "nodes": nodes}
    assert live["metadata"]["labels"] == {"phase": "Running"}
    assert live["metadata"]["generation"] == 1
    assert live["spec"] == {"entrypoint": "main"}
    assert await store.nodes(uid) == nodes
    page = await store.list("Workflow", selector=selectors.parse("phase=Running"))
    assert [item["metadata"]["resourceVersion"] for item in page.items] == [live["metadata"]["resourceVersion"]]


async def test_the_status_is_replaced_and_the_labels_are_merged(store: Store) -> None:
    uid = await start(store)
    await store.save([entry(uid, 1, status={"phase": "Running", "message": "m"}, labels={"a": "1", "b": "1"})])
    await store.save([entry(uid, 2, status={"phase": "Failed", "nodes": {"x": {}}}, labels={"b": "2"})])
    live = await store.get(RUN)
    assert live["status"] == {"phase": "Failed"}
    assert live["metadata"]["labels"] == {"a": "1", "b": "2"}


async def test_the_journal_is_read_back_in_order(store: Store, clock: ManualClock) -> None:
    uid = await start(store)
    saved = []
    for seq in range(1, 1203):
        clock.advance(0.25)
        saved.append(entry(uid, seq, clock, observations=[{"is": "Tick", "n": seq}], nodes={"a": {"n": seq}}))
    await store.save(saved[:1])
    await store.save(saved[1:])
    expected = [Entry(uid, one.seq, one.now, one.observations) for one in saved]
    assert await entries(store, uid) == expected


async def test_only_the_first_spec_counts_and_it_may_be_large(store: Store) -> None:
    uid = await start(store)
    assert await store.spec(uid) is None
    await store.save([entry(uid, 1, spec={"templates": ["x" * 100_000]})])
    await store.save([entry(uid, 2)])
    assert await store.spec(uid) == {"templates": ["x" * 100_000]}
    assert (await store.get(RUN))["spec"] == {"entrypoint": "main"}


async def test_unknown_runs_are_empty(store: Store) -> None:
    assert await entries(store, "nobody") == []
    assert await store.spec("nobody") is None
    assert await store.nodes("nobody") == {}
    assert await store.unfinished() == []
    await store.trim(["nobody"])
    await store.save([])
    with pytest.raises(NotFound, match="nobody"):
        await store.save([entry("nobody", 1)])


async def test_an_entry_may_be_saved_once(store: Store) -> None:
    uid = await start(store)
    await store.save([entry(uid, 1), entry(uid, 2)])
    for seq in (1, 2):
        with pytest.raises(Conflict, match="is taken"):
            await store.save([entry(uid, seq, status={"phase": "Lost"})])
    with pytest.raises(Conflict, match="gap"):
        await store.save([entry(uid, 4)])
    assert [one.seq for one in await entries(store, uid)] == [1, 2]
    assert "status" not in await store.get(RUN)


@pytest.mark.parametrize("bad", ["conflict", "deleted", "not json"])
async def test_entries_of_one_call_are_saved_together_or_not_at_all(store: Store, bad: str) -> None:
    one, two = await start(store, "one"), await start(store, "two")
    version = (await store.list("Workflow")).version
    wrong: dict[str, tuple[Entry, type[Exception]]] = {
        "conflict": (entry(two, 7), Conflict),
        "deleted": (entry("gone", 1), NotFound),
        "not json": (entry(two, 1, nodes={"n": {"x": "\ud800"}}), Defect),
    }
    last, error = wrong[bad]
    with pytest.raises(error):
        await store.save([entry(one, 1, status={"phase": "Running"}, nodes={"a": {}}, labels={"a": "b"}), last])
    assert await entries(store, one) == []
    assert await store.nodes(one) == {}
    assert (await store.list("Workflow")).version == version
    assert (await store.list("Workflow", selector=selectors.parse("a=b"))).items == []


async def test_a_deleted_workflow_takes_its_rows_along(store: Store) -> None:
    uid = await start(store)
    await store.save([entry(uid, 1, nodes={"a": {}}, spec={"x": 1})])
    await do(store, Verb.DELETE, RUN)
    assert (await entries(store, uid), await store.nodes(uid), await store.spec(uid)) == ([], {}, None)
    with pytest.raises(NotFound):
        await store.save([entry(uid, 2)])
    assert await start(store) != uid
    assert await store.unfinished() == [RUN]


async def test_unfinished_runs_oldest_first(store: Store, clock: ManualClock) -> None:
    uids = {}
    for name in ("c", "b", "a"):
        uids[name] = await start(store, name)
        clock.advance(1)
    await create(store, workflow("done"), {"status": DONE})
    await store.save([entry(uids["b"], 1, status={"phase": "Running", "finishedAt": None})])
    assert await store.unfinished() == [workflow("c"), workflow("b"), workflow("a")]
    await store.save([entry(uids["b"], 2, status=DONE)])
    assert await store.unfinished() == [workflow("c"), workflow("a")]
    await store.save([entry(uids["b"], 3, status={"phase": "Running"})])  # a retry
    assert await store.unfinished() == [workflow("c"), workflow("b"), workflow("a")]


async def test_trim_drops_journals_of_finished_runs_and_nothing_else(store: Store) -> None:
    done, running = await start(store, "done"), await start(store, "running")
    await store.save([entry(done, 1, nodes={"a": {}}, spec={"x": 1}), entry(done, 2, status=DONE), entry(running, 1)])
    await store.trim([done, running])
    assert await entries(store, done) == []
    assert len(await entries(store, running)) == 1
    assert await store.nodes(done) == {"a": {}}
    assert await store.spec(done) == {"x": 1}
    await store.trim([done])
    await store.save([entry(done, 3, status={"phase": "Running"})])  # a retry goes on, from here without a gap
    with pytest.raises(Conflict):
        await store.save([entry(done, 5)])


async def test_finished_runs_for_retention(store: Store, clock: ManualClock) -> None:
    async def ended(name: str, hour: int, phase: str = "Succeeded", **labels: str) -> None:
        status = {"phase": phase, "finishedAt": f"2026-01-01T{hour:02}:00:00Z"}
        await create(store, workflow(name), {"metadata": {"labels": labels}, "spec": {}, "status": status})

    await ended("late", 9, cron="nightly")
    await ended("early", 1, "Failed", cron="nightly")
    await ended("middle", 5, cron="nightly")
    await ended("other", 3)
    await start(store, "running")
    nine = clock.now() + timedelta(hours=9)

    async def names(**which: Any) -> list[str]:
        return [run.key.name for run in await store.finished_runs(**which)]

    nightly = selectors.parse("cron=nightly")
    assert await names() == ["early", "other", "middle", "late"]
    assert await names(limit=2) == ["early", "other"]
    assert await names(limit=0) == []
    assert await names(before=nine) == ["early", "other", "middle"]
    assert await names(beyond=1) == ["early", "other", "middle"]
    assert await names(beyond=3, before=nine) == ["early"]
    assert await names(beyond=4) == []
    assert await names(beyond=9) == []
    assert await names(selector=nightly, beyond=2) == ["early"]
    assert await names(selector=selectors.parse("!cron"), beyond=1) == []
    assert await names(namespace="elsewhere") == []
    (first, *_) = await store.finished_runs()
    assert first.uid == (await store.get(first.key))["metadata"]["uid"]
    assert (first.finished_at, first.phase) == (clock.now() + timedelta(hours=1), "Failed")
    assert first.size_bytes > 0


async def test_a_run_weighs_what_its_rows_weigh(store: Store) -> None:
    uid = await start(store)
    await store.save([entry(uid, 1, nodes={"a": {"outputs": "x" * 10_000}}, status=DONE)])
    (run,) = await store.finished_runs()
    assert 10_000 < run.size_bytes < 12_000
