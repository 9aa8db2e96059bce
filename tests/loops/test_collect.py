"""What is tidied up, when, and what never is."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from syncd.argo.manifest import Body, Key
from syncd.cluster.api import Entry, Verb, Write
from syncd.cluster.memory import MemoryStore
from syncd.loops import collect
from syncd.loops.collect import CollectLoop, Limits
from syncd.observe.events import StartsHeld
from tests.loops.running import FaultyStore, until
from tests.support.clocks import ManualClock

ENDED = "2026-01-01T00:00:00Z"
NEVER = timedelta()


def at(seconds: float) -> datetime:
    return ManualClock().now() + timedelta(seconds=seconds)


# -- TTL strategies


@pytest.mark.parametrize(
    ("strategy", "phase", "seconds"),
    [
        ({"secondsAfterCompletion": 5}, "Succeeded", 5),
        ({"secondsAfterCompletion": 5}, "Failed", 5),
        ({"secondsAfterCompletion": 5}, "Error", 5),
        ({"secondsAfterSuccess": 3, "secondsAfterCompletion": 5}, "Succeeded", 3),
        ({"secondsAfterSuccess": 3, "secondsAfterCompletion": 5}, "Failed", 5),
        ({"secondsAfterFailure": 3, "secondsAfterCompletion": 5}, "Failed", 3),
        ({"secondsAfterFailure": 3, "secondsAfterCompletion": 5}, "Error", 5),
        ({"secondsAfterFailure": 3}, "Succeeded", None),
        ({"secondsAfterFailure": 3}, "Error", None),
        ({"secondsAfterSuccess": 0}, "Succeeded", 0),
        ({"secondsAfterCompletion": "7"}, "Succeeded", 7),
        ({"secondsAfterCompletion": "x"}, "Succeeded", None),
        ({"secondsAfterCompletion": 10**30}, "Succeeded", 10**9),
        ({}, "Succeeded", None),
        (None, "Succeeded", None),
        ("junk", "Succeeded", None),
    ],
    ids=str,
)
def test_a_ttl_ends(strategy: Any, phase: str, seconds: int | None) -> None:
    body = {"spec": {"ttlStrategy": strategy}, "status": {"phase": phase, "finishedAt": ENDED}}
    assert collect.expires_at(body) == (None if seconds is None else at(seconds))


def test_a_run_that_has_not_ended_has_no_end_of_its_ttl() -> None:
    assert collect.expires_at({"spec": {"ttlStrategy": {"secondsAfterCompletion": 0}}, "status": {}}) is None


# -- the loop


class Runs:
    def __init__(self) -> None:
        self.forgotten: list[str] = []
        self.held = ""

    async def forget(self, key: Key, uid: str = "") -> None:
        self.forgotten.append(key.name)

    def hold(self, reason: str) -> None:
        self.held = reason


class Remains:
    def __init__(self) -> None:
        self.removed: list[str] = []
        self.pruned = 0
        self.fault: Exception | None = None  # None: it works

    async def remove(self, namespace: str, name: str, uid: str) -> None:
        if self.fault is not None:
            raise self.fault
        self.removed.append(name)

    async def prune(self, now: datetime) -> None:
        self.pruned += 1


class Logs:
    async def remove(self, run_uid: str) -> None:
        pass


class House:
    def __init__(self, store: MemoryStore, clock: ManualClock, defaults: Body | None = None, **limits: Any) -> None:
        self.store, self.clock, self.events, self.free = store, clock, list[Any](), 10**9
        self.runs, self.remains = Runs(), Remains()
        kept = {"runs_age": NEVER, "runs_count": 0, "ledger_age": NEVER, "ledger_count": 0, "disk_reserve_bytes": 0}
        self.loop = CollectLoop(
            store, clock, self.events.append, Logs(), self.runs, self.remains,  # type: ignore[arg-type]
            Limits(**{**kept, **limits}), lambda: self.free, timedelta(milliseconds=1), defaults,
        )  # fmt: skip

    async def create(self, name: str, ended: bool = True, phase: str = "Succeeded", **spec: Any) -> Key:
        key = Key("Workflow", "ci", name)
        body = {"metadata": {"name": name, "namespace": "ci"}, "spec": spec}
        (written,) = await self.store.write([Write(Verb.CREATE, key, body)])
        assert written.body is not None, written.error
        if ended:
            await self.end(key, phase)
        return key

    async def end(self, key: Key, phase: str = "Succeeded", seq: int = 1, spec: Body | None = None) -> None:
        uid = (await self.store.get(key))["metadata"]["uid"]
        moment = f"{self.clock.now():%Y-%m-%dT%H:%M:%SZ}"
        status: Body = {"phase": phase, "startedAt": moment, "finishedAt": moment}
        await self.store.save([Entry(uid, seq, self.clock.now(), [], status=status, spec=spec)])

    async def names(self) -> list[str]:
        return [body["metadata"]["name"] for body in (await self.store.list("Workflow")).items]

    async def became(self, *names: str) -> None:
        async def so() -> bool:
            return await self.names() == sorted(names)

        await until(so)

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[House]:
        task = asyncio.create_task(self.loop.run())
        try:
            yield self
            assert not task.done(), task.exception()
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def house(**limits: Any) -> House:
    clock = ManualClock()
    return House(FaultyStore(clock), clock, **limits)


TTL = {"ttlStrategy": {"secondsAfterCompletion": 60}}


async def test_a_run_goes_when_its_ttl_has_ended_whether_it_ended_before_or_after_the_start() -> None:
    it = house()
    await it.create("before", **TTL)
    await it.create("kept")
    async with it.open():
        await it.create("after", **TTL)
        it.clock.advance(59)
        await it.loop.step()
        assert await it.names() == ["after", "before", "kept"]
        it.clock.advance(2)
        await it.became("kept")
        assert sorted(it.remains.removed) == ["after", "before"]
        assert sorted(it.runs.forgotten) == ["after", "before"]


async def test_a_run_that_was_retried_meanwhile_is_not_deleted() -> None:
    it = house()
    async with it.open():
        key = await it.create("wf", **TTL)
        uid = (await it.store.get(key))["metadata"]["uid"]
        await until(lambda: it.loop._noted)
        it.clock.advance(30)
        await it.store.save([Entry(uid, 2, it.clock.now(), [], status={"phase": "Running", "finishedAt": None})])
        it.clock.advance(60)
        await until(lambda: not it.loop._noted)
        assert await it.names() == ["wf"]
        await it.end(key, seq=3)
        it.clock.advance(30)
        await it.loop.step()
        assert await it.names() == ["wf"]
        it.clock.advance(31)
        await it.became()


async def test_the_ttl_may_stand_in_the_workflow_template_or_in_the_defaults() -> None:
    clock = ManualClock()
    it = House(FaultyStore(clock), clock, defaults={"spec": {"ttlStrategy": {"secondsAfterCompletion": 600}}})
    async with it.open():
        key = await it.create("referring", ended=False, workflowTemplateRef={"name": "base"})
        await it.end(key, spec={"spec": TTL})
        await it.create("plain")
        await it.create("own", ttlStrategy={"secondsAfterCompletion": 10**6})
        await until(lambda: len(it.loop._noted) == 3)
        clock.advance(61)
        await it.became("own", "plain")
        clock.advance(600)
        await it.became("own")


async def test_a_watch_that_fell_behind_lists_again() -> None:
    clock = ManualClock()
    it = House(FaultyStore(clock, history=4), clock)
    async with it.open():
        for index in range(20):
            await it.create(f"wf-{index:02}", **TTL)
        await until(lambda: len(it.loop._noted) == 20)
        clock.advance(61)
        await it.became()


async def test_what_cannot_be_removed_of_one_run_keeps_no_other() -> None:
    it = house()
    it.remains.fault = PermissionError("no")
    await it.create("a", **TTL)
    await it.create("b", **TTL)
    it.clock.advance(61)
    async with it.open():
        await it.became()


# -- retention


async def test_runs_past_their_age_go_and_those_that_run_stay() -> None:
    it = house(runs_age=timedelta(hours=1))
    await it.create("old")
    await it.create("old-and-running", ended=False)
    it.clock.advance(1800)
    await it.create("young")
    it.clock.advance(1900)
    await it.loop.step()
    assert await it.names() == ["old-and-running", "young"]


async def test_only_the_newest_are_kept() -> None:
    it = house(runs_count=3)
    await it.create("running", ended=False)
    for index in range(7):
        await it.create(f"wf-{index}")
        it.clock.advance(1)
    await it.loop.step()
    assert await it.names() == ["running", "wf-4", "wf-5", "wf-6"]


async def test_without_limits_nothing_goes() -> None:
    it = house()
    await it.create("wf")
    it.clock.advance(10**7)
    await it.loop.step()
    assert await it.names() == ["wf"]


# -- the disk


async def test_a_full_disk_holds_starts_until_there_is_room() -> None:
    it = house(disk_reserve_bytes=100 * 2**20)
    await it.loop.step()
    assert it.runs.held == ""
    it.free = 50 * 2**20
    await it.loop.step()
    await it.loop.step()
    assert "50 MiB are free, 100 MiB are kept" in it.runs.held
    it.free = 200 * 2**20
    await it.loop.step()
    assert it.runs.held == ""
    assert [bool(event.reason) for event in it.events if isinstance(event, StartsHeld)] == [True, False]
