"""Watches: every change once and in order, from a version on; Expired rather than a gap."""

from __future__ import annotations

import asyncio

import pytest

from syncd.base.errors import Expired, Unreachable
from syncd.cluster.api import Entry, Store, Verb, Write
from tests.support.clocks import ManualClock
from tests.support.objects import create, delete, do, seen, take, template, workflow


async def test_a_list_and_a_watch_from_its_version_miss_nothing(store: Store) -> None:
    await create(store, template("before"))
    page = await store.list("WorkflowTemplate")
    changes = store.watch(["WorkflowTemplate"], page.version)
    await create(store, template("a"))
    await do(store, Verb.PATCH, template("a"), {"spec": {"x": 1}})
    await delete(store, template("a"))
    found = await take(changes, 3)
    assert seen(found) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
    assert found[2].body["metadata"]["name"] == "a"
    assert found[2].body["spec"] == {"x": 1}
    versions = [int(change.version) for change in found]
    assert versions == sorted(set(versions))
    assert int(page.version) < versions[0]


async def test_a_watch_resumes_after_any_change_it_saw(store: Store) -> None:
    start = (await store.list("Workflow")).version
    for name in "abc":
        await create(store, template(name))
    first, *_ = await take(store.watch(["WorkflowTemplate"], start), 1)
    assert seen(await take(store.watch(["WorkflowTemplate"], first.version), 2)) == [("ADDED", "b"), ("ADDED", "c")]


async def test_a_watch_sees_its_kinds_only(store: Store) -> None:
    changes = store.watch({"Workflow", "CronWorkflow"}, (await store.list("Workflow")).version)
    await create(store, template("a"))
    await create(store, workflow("b"))
    assert seen(await take(changes, 1)) == [("ADDED", "b")]


async def test_a_watch_waits_for_what_comes(store: Store) -> None:
    changes = store.watch(["Workflow"], (await store.list("Workflow")).version)
    waiting = asyncio.create_task(take(changes, 1))
    await asyncio.sleep(0)
    await create(store, workflow("late"))
    assert seen(await waiting) == [("ADDED", "late")]


@pytest.mark.ours("in a cluster `now` is when the first change is asked for")
async def test_a_watch_without_a_version_begins_now(store: Store) -> None:
    changes = store.watch(["Workflow"], "")
    await create(store, workflow("a"))
    assert seen(await take(changes, 1)) == [("ADDED", "a")]


async def test_two_watchers_see_the_same(store: Store) -> None:
    version = (await store.list("Workflow")).version
    both = [asyncio.create_task(take(store.watch(["Workflow"], version), 5)) for _ in range(2)]
    for n in range(5):
        await create(store, workflow(f"w{n}"))
    one, two = await asyncio.gather(*both)
    assert one == two
    assert seen(one) == [("ADDED", f"w{n}") for n in range(5)]


async def test_an_event_holds_the_body_of_its_moment(store: Store) -> None:
    changes = store.watch(["Workflow"], (await store.list("Workflow")).version)
    await create(store, workflow("a"), {"spec": {"x": 0}})
    for x in (1, 2, 3):
        await do(store, Verb.PATCH, workflow("a"), {"spec": {"x": x}})
    found = await take(changes, 4)
    assert [change.body["spec"]["x"] for change in found] == [0, 1, 2, 3]
    assert [change.body["metadata"]["resourceVersion"] for change in found] == [change.version for change in found]


async def test_what_failed_or_changed_nothing_is_not_seen(store: Store) -> None:
    changes = store.watch(["Workflow"], (await store.list("Workflow")).version)
    await create(store, workflow("a"), {"spec": {}})
    await store.write([Write(Verb.CREATE, workflow("a"), {"spec": {}}), Write(Verb.DELETE, workflow("none"))])
    await do(store, Verb.PATCH, workflow("a"), {"spec": {}})
    await create(store, workflow("c"))
    assert seen(await take(changes, 2)) == [("ADDED", "a"), ("ADDED", "c")]


@pytest.mark.ours("a cluster has no transactions")
async def test_what_was_rolled_back_is_not_seen(store: Store) -> None:
    changes = store.watch(["Workflow"], (await store.list("Workflow")).version)
    writes = [Write(Verb.CREATE, workflow("b"), {"spec": {}}), Write(Verb.DELETE, workflow("none"))]
    await store.write(writes, atomic=True)
    await create(store, workflow("c"))
    assert seen(await take(changes, 1)) == [("ADDED", "c")]


async def test_workflows_come_without_nodes(store: Store) -> None:
    changes = store.watch(["Workflow"], (await store.list("Workflow")).version)
    nodes = {"n": {"id": "n"}}
    await create(store, workflow("a"), {"spec": {"x": 1}, "status": {"nodes": nodes, "phase": "Pending"}})
    patch = {"metadata": {"labels": {"l": "v"}}, "status": {"nodes": {"m": {"id": "m"}}, "phase": "Running"}}
    await do(store, Verb.PATCH, workflow("a"), patch)
    added, modified = await take(changes, 2)
    assert added.body["status"] == {"phase": "Pending"}
    assert modified.body["status"] == {"phase": "Running"}
    assert modified.body["metadata"]["labels"] == {"l": "v"}
    assert modified.body["spec"] == {"x": 1}


@pytest.mark.ours("in a cluster Argo's controller has the runs")
async def test_a_saved_entry_is_seen(store: Store, clock: ManualClock) -> None:
    changes = store.watch(["Workflow"], "")
    made = await create(store, workflow("a"), {"spec": {"x": 1}, "status": {"nodes": {"n": {}}, "phase": "Pending"}})
    entry = Entry(made["metadata"]["uid"], 1, clock.now(), [], {"n": {"id": "n"}}, {"phase": "Running"}, {"l": "v"})
    await store.save([entry])
    _, modified = await take(changes, 2)
    assert modified.body["status"] == {"phase": "Running"}
    assert modified.body["metadata"]["labels"] == {"l": "v"}


_AHEAD = pytest.param("999999", marks=pytest.mark.ours("a cluster finds out when nothing comes for a while"))


@pytest.mark.parametrize("since", ["0", "-1", _AHEAD, "x", "1e3", "9" * 60])
async def test_versions_that_are_not_known_are_expired(store: Store, since: str) -> None:
    await create(store, workflow("a"))
    with pytest.raises(Expired, match="list again"):
        await take(store.watch(["Workflow"], since), 1)


async def test_a_watch_ends_with_the_store(store: Store) -> None:
    waiting = asyncio.create_task(take(store.watch(["Workflow"], ""), 1))
    await asyncio.sleep(0)
    await store.close()
    with pytest.raises(Unreachable):
        await waiting
