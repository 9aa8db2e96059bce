"""Runs that somebody else runs: each end is told once, whatever is listed again, deleted, begun anew or missed."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from syncd.argo import labels
from syncd.argo.manifest import Body, Key
from syncd.base.clock import rfc3339
from syncd.base.errors import Expired
from syncd.cluster.api import Changed, Verb, Write
from syncd.cluster.memory import MemoryStore
from syncd.loops.watch import WatchLoop
from syncd.observe.events import RunFinished, RunGone, RunStarted
from syncd.observe.metrics import Metrics
from tests.loops.test_fire import Events
from tests.support.clocks import CountingRandom, ManualClock

START = datetime(2026, 3, 10, 10, 0, tzinfo=UTC)


class Cluster:
    """A store in which somebody else runs Workflows, and a loop that watches."""

    def __init__(self, history: int = 8192) -> None:
        self.clock = ManualClock(START)
        self.store = MemoryStore(self.clock, CountingRandom(), history=history)
        self.events = Events()
        self.marks = 0
        self.remembered: list[tuple[str, str, datetime]] = []
        self.loop = self.leader()

    def leader(self, since: datetime | None = None, **more: Any) -> WatchLoop:
        """A new leader, which knows nothing yet."""
        self.loop = WatchLoop(
            self.store,
            self.clock,
            self.events.append,
            since=lambda: since,
            remember=lambda *told: self.remembered.append(told),
            **more,
        )
        return self.loop

    async def begin(self, name: str, namespace: str = "ci", cron: str = "") -> None:
        key = Key(labels.WORKFLOW, namespace, name)
        tags = {labels.LABEL_CRON_WORKFLOW: cron} if cron else {}
        body = {
            "apiVersion": labels.ARGO_API,
            "kind": labels.WORKFLOW,
            "metadata": {"name": name, "namespace": namespace, "labels": tags},
            "spec": {"entrypoint": "main"},
        }
        await self._write(Verb.CREATE, key, body)
        await self.patch(name, namespace, phase="Running", startedAt=rfc3339(self.clock.now()), finishedAt=None)

    async def end(self, name: str, phase: str = "Succeeded", namespace: str = "ci") -> None:
        await self.patch(name, namespace, phase=phase, finishedAt=rfc3339(self.clock.now()))

    async def patch(self, name: str, namespace: str = "ci", **status: Any) -> None:
        await self._write(Verb.PATCH, Key(labels.WORKFLOW, namespace, name), {"status": status})

    async def delete(self, name: str, namespace: str = "ci") -> None:
        await self._write(Verb.DELETE, Key(labels.WORKFLOW, namespace, name))

    async def _write(self, verb: Verb, key: Key, body: Body | None = None) -> None:
        (written,) = await self.store.write([Write(verb, key, body)])
        assert written.error is None

    def told(self) -> list[tuple[str, str]]:
        """(what, name of the run) of each event; an end by its phase."""
        return [
            (event.phase if isinstance(event, RunFinished) else type(event).__name__, event.run.name)
            for event in self.events
            if isinstance(event, RunStarted | RunFinished | RunGone)
        ]


@pytest.fixture
def cluster():
    return Cluster()


async def test_a_run_from_start_to_end(cluster):
    await cluster.loop.load()
    task = asyncio.create_task(cluster.loop.run())
    await asyncio.sleep(0)
    await cluster.begin("a", cron="nightly")
    cluster.clock.advance(90)
    await cluster.patch("a", message="oh")
    await cluster.end("a", "Failed")
    await cluster.events.until(lambda event: isinstance(event, RunFinished))
    task.cancel()
    started, finished = cluster.events
    assert (started.origin, started.at) == ("cron/nightly", START)
    assert (finished.phase, finished.seconds, finished.message) == ("Failed", 90, "oh")
    assert finished.at == START + timedelta(seconds=90)
    assert started.uid == finished.uid


async def test_a_workflow_that_no_controller_took_up_has_not_begun(cluster):
    await cluster.begin("a")
    await cluster.patch("a", phase=None, startedAt=None)
    await cluster.loop.load()
    assert cluster.told() == []


async def test_what_is_listed_again_is_not_told_again(cluster):
    await cluster.begin("runs")
    await cluster.begin("ends")
    await cluster.loop.load()
    await cluster.end("ends")
    for _ in range(3):
        await cluster.loop.load()
    assert cluster.told() == [("RunStarted", "ends"), ("RunStarted", "runs"), ("Succeeded", "ends")]


async def test_a_run_between_two_lists_is_told_once(cluster):
    await cluster.loop.load()
    await cluster.begin("a")
    await cluster.end("a", "Error")
    await cluster.loop.load()
    await cluster.loop.load()
    assert cluster.told() == [("Error", "a")]


async def test_a_watch_that_expired_lists_again_and_tells_nothing_twice():
    """The feed holds four changes; twenty are made while the loop does not look."""
    cluster = Cluster(history=4)
    await cluster.begin("a")
    version = await cluster.loop.load()
    for number in range(5):
        await cluster.begin(f"b{number}")
        await cluster.end(f"b{number}")
    await cluster.end("a")
    with pytest.raises(Expired):
        async for change in cluster.store.watch((labels.WORKFLOW,), version):
            cluster.loop.take(change)
    task = asyncio.create_task(cluster.loop.run())
    await cluster.events.until(lambda event: isinstance(event, RunFinished) and event.run.name == "b4")
    await asyncio.sleep(0)
    task.cancel()
    assert Counter(cluster.told()) == Counter(
        [("RunStarted", "a"), ("Succeeded", "a"), *(("Succeeded", f"b{n}") for n in range(5))]
    )


async def test_a_deleted_run_is_forgotten(cluster):
    await cluster.begin("runs")
    await cluster.begin("ended")
    await cluster.loop.load()
    await cluster.end("ended")
    await cluster.loop.load()
    cluster.events.clear()
    version = await cluster.loop.load()
    await cluster.delete("runs")
    await cluster.delete("ended")
    changes = cluster.store.watch((labels.WORKFLOW,), version)
    for _ in range(2):
        cluster.loop.take(await anext(changes))
    assert cluster.told() == [("RunGone", "runs")]
    assert cluster.loop.unfinished == 0
    assert not cluster.loop._ended and not cluster.loop._active


async def test_what_was_deleted_between_two_lists_is_forgotten(cluster):
    await cluster.begin("runs")
    await cluster.loop.load()
    await cluster.delete("runs")
    await cluster.loop.load()
    assert cluster.told() == [("RunStarted", "runs"), ("RunGone", "runs")]


async def test_an_end_that_comes_with_the_deletion_counts(cluster):
    await cluster.begin("a")
    await cluster.loop.load()
    await cluster.end("a")
    body = await cluster.store.get(Key(labels.WORKFLOW, "ci", "a"))
    cluster.loop.take(Changed("DELETED", Key(labels.WORKFLOW, "ci", "a"), body, "9"))
    assert cluster.told() == [("RunStarted", "a"), ("Succeeded", "a")]


async def test_a_name_that_is_used_again_is_another_run(cluster):
    await cluster.loop.load()
    for _ in range(2):
        await cluster.begin("a")
        await cluster.end("a")
        await cluster.loop.load()
        await cluster.delete("a")
    assert cluster.told() == [("Succeeded", "a")] * 2


async def test_a_retried_run_ends_again(cluster):
    await cluster.begin("a")
    await cluster.end("a", "Failed")
    await cluster.loop.load()  # ended before anybody watched
    cluster.clock.advance(60)
    await cluster.patch("a", phase="Running", finishedAt=None)
    await cluster.loop.load()
    cluster.clock.advance(60)
    await cluster.end("a")
    await cluster.loop.load()
    assert cluster.told() == [("RunStarted", "a"), ("Succeeded", "a")]


async def test_an_old_view_of_a_run_that_has_ended_counts_nothing(cluster):
    """After a restart of the API server a cache may be behind for a moment."""
    await cluster.begin("a")
    before = await cluster.store.get(Key(labels.WORKFLOW, "ci", "a"))
    await cluster.loop.load()
    await cluster.end("a")
    after = await cluster.store.get(Key(labels.WORKFLOW, "ci", "a"))
    for body in (after, before, after, after):
        cluster.loop.take(Changed("MODIFIED", Key(labels.WORKFLOW, "ci", "a"), body, "9"))
    assert [told for told in cluster.told() if told[0] == "Succeeded"] == [("Succeeded", "a")]
    assert cluster.loop.unfinished == 0


async def test_a_replay_of_what_the_list_no_longer_had_counts_nothing(cluster):
    """With several namespaces the watch begins at the first list: it brings once more what a later list knew as gone."""
    await cluster.begin("a")
    await cluster.loop.load()
    await cluster.end("a")
    await cluster.loop.load()
    body = await cluster.store.get(Key(labels.WORKFLOW, "ci", "a"))
    await cluster.delete("a")
    await cluster.loop.load()
    for kind in ("MODIFIED", "DELETED"):
        cluster.loop.take(Changed(kind, Key(labels.WORKFLOW, "ci", "a"), body, "9"))
    assert cluster.told() == [("RunStarted", "a"), ("Succeeded", "a")]


async def test_a_new_leader_tells_what_ended_while_nobody_watched(cluster):
    for name in ("before", "while", "after"):
        await cluster.begin(name)
    await cluster.loop.load()
    await cluster.end("before")
    await cluster.loop.load()  # the old leader told that one
    alive = cluster.clock.now()
    cluster.clock.advance(20)
    await cluster.end("while", "Failed")
    cluster.events.clear()
    cluster.leader(since=alive)
    await cluster.loop.load()
    await cluster.end("after")
    await cluster.loop.load()
    assert cluster.told() == [("RunStarted", "after"), ("Failed", "while"), ("Succeeded", "after")]
    assert cluster.remembered == [("ci", "workflow", START)]  # the success of `before` is not counted, but known


async def test_a_leader_that_leads_again_knows_what_it_has_told(cluster):
    """It had told this end after its last sign of life."""
    await cluster.loop.load()
    await cluster.begin("a")
    await cluster.loop.load()
    await cluster.end("a")
    await cluster.loop.load()
    sign_of_life = cluster.clock.now() - timedelta(seconds=1)
    cluster.clock.advance(60)
    await cluster.begin("b")
    await cluster.end("b")
    before = cluster.loop
    await cluster.leader(sign_of_life, told=before.told).load()
    assert cluster.told() == [("RunStarted", "a"), ("Succeeded", "a"), ("Succeeded", "b")]
    assert cluster.remembered == [("ci", "workflow", START)]


async def test_without_a_since_nothing_old_is_told(cluster):
    await cluster.begin("a")
    await cluster.end("a")
    cluster.clock.advance(60)
    cluster.leader(since=None)
    await cluster.loop.load()
    assert cluster.told() == []
    assert cluster.remembered == [("ci", "workflow", START)]


async def test_a_first_list_that_breaks_off_is_still_the_first(cluster):
    for number in range(3):
        await cluster.begin(f"a{number}")
        await cluster.end(f"a{number}")
    pages = cluster.loop._pages

    async def broken():
        async for page in pages():
            yield page[0][:1], page[1]
            raise Expired("the continuation is too old")

    cluster.loop._pages = broken
    with pytest.raises(Expired):
        await cluster.loop.load()
    cluster.loop._pages = pages
    await cluster.loop.load()
    assert cluster.told() == []


async def test_only_the_namespaces_that_are_watched(cluster):
    cluster.leader(namespaces=("ci", "ops"))
    for namespace in ("ci", "ops", "other"):
        await cluster.begin("a", namespace)
    version = await cluster.loop.load()
    await cluster.begin("b", "other")
    await cluster.begin("b", "ops")
    changes = cluster.store.watch((labels.WORKFLOW,), version)
    for _ in range(4):
        cluster.loop.take(await anext(changes))
    assert [event.run.namespace for event in cluster.events] == ["ci", "ops", "ops"]


async def test_finished_runs_cost_little(cluster):
    body = {"kind": "Workflow", "status": {"phase": "Succeeded", "finishedAt": rfc3339(START)}}

    async def many():
        for start in range(0, 5_000, 250):
            numbers = range(start, start + 250)
            uids = [f"00000000-0000-4000-8000-{number:012d}" for number in numbers]
            yield [{**body, "metadata": {"name": uid, "namespace": "ci", "uid": uid}} for uid in uids], "1"

    cluster.loop._pages = many
    tracemalloc.start()
    await cluster.loop.load()
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    cluster.remembered.clear()
    assert kept < 5_000 * 400  # bytes: 8 MB for 20,000
    assert cluster.events == []


async def test_the_gauge_goes_down_with_a_run_that_is_gone(cluster):
    metrics = Metrics(cluster.clock, version="0", mode="kubernetes", process=False)
    loop = WatchLoop(cluster.store, cluster.clock, metrics)
    await loop.load()
    await cluster.begin("a")
    await cluster.begin("b")
    await loop.load()
    await cluster.delete("a")
    await cluster.end("b")
    await loop.load()
    said = {s.name: s.value for f in text_string_to_metric_families(metrics.render()[0].decode()) for s in f.samples}
    assert said["syncd_runs_active"] == 0
    assert said["syncd_runs_total"] == 1


NAMES = ["a", "b", "c"]
STEPS = st.lists(
    st.tuples(st.sampled_from(["begin", "end", "retry", "delete", "list", "look"]), st.sampled_from(NAMES)), max_size=30
)


@settings(max_examples=60)
@given(STEPS)
def test_every_end_is_told_once_in_any_order_of_lists_and_watches(steps):
    """Law: what is told of ends is what happened, as long as each is seen by a list or a watch before it is deleted."""
    asyncio.run(_history(steps))


async def _history(steps: list[tuple[str, str]]) -> None:
    cluster = Cluster()
    version = await cluster.loop.load()
    changes = cluster.store.watch((labels.WORKFLOW,), version)
    alive: dict[str, bool] = {}  # name → whether it has ended
    ends: Counter[str] = Counter()
    await cluster.begin("marker")
    for step, name in steps:
        cluster.clock.advance(1)
        if step == "begin" and name not in alive:
            await cluster.begin(name)
            alive[name] = False
        elif step == "end" and alive.get(name) is False:
            await cluster.end(name)
            alive[name] = True
            ends[name] += 1
        elif step == "retry" and alive.get(name) is True:
            await cluster.patch(name, phase="Running", finishedAt=None)
            alive[name] = False
        elif step == "delete" and name in alive:
            await cluster.delete(name)
            del alive[name]
        elif step == "list":
            await _drain(cluster, changes)
            changes = cluster.store.watch((labels.WORKFLOW,), await cluster.loop.load())
        elif step == "look":
            await _drain(cluster, changes)
    await _drain(cluster, changes)
    told = Counter(name for what, name in cluster.told() if what == "Succeeded")
    assert told == ends
    assert cluster.loop.unfinished == 1 + sum(not ended for ended in alive.values())


async def _drain(cluster: Cluster, changes: Any) -> None:
    """Take everything that the watch has by now: up to a change that is made here."""
    cluster.marks += 1
    await cluster.patch("marker", message=str(cluster.marks))
    last = (await cluster.store.get(Key(labels.WORKFLOW, "ci", "marker")))["metadata"]["resourceVersion"]
    async for change in changes:
        cluster.loop.take(change)
        if change.version == last:
            return
