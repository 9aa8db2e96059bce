"""The history behind a watch is bounded; who falls behind is told to list again."""

from __future__ import annotations

import asyncio
import threading

import pytest

from syncd.argo.manifest import Key
from syncd.base.errors import Expired
from syncd.cluster.feed import ADDED, Change, Feed
from tests.support.objects import seen, take


def change(version: int, kind: str = "Workflow", size: int = 1) -> Change[str]:
    return Change(version, ADDED, Key(kind, "ci", f"v{version}"), f"payload {version}", size)


def feed(**bounds: int) -> Feed[str]:
    return Feed(10, lambda payload: {"is": payload}, **bounds)


@pytest.mark.parametrize(("since", "known"), [(10, False), (11, False), (12, True), (15, True)])
async def test_only_the_newest_changes_are_kept(since: int, known: bool) -> None:
    ring = feed(capacity=3)
    ring.publish([change(version) for version in range(11, 16)], 15)
    watch = ring.watch(["Workflow"], str(since), 15)
    if known:
        if since == 15:
            ring.publish([change(16)], 16)
        assert seen(await take(watch, 1)) == [("ADDED", f"v{since + 1}")]
    else:
        with pytest.raises(Expired):
            await take(watch, 1)


async def test_bytes_bound_the_history_as_well() -> None:
    ring = feed(capacity_bytes=10)
    ring.publish([change(11, size=6), change(12, size=6)], 12)
    assert seen(await take(ring.watch(["Workflow"], "11", 12), 1)) == [("ADDED", "v12")]
    with pytest.raises(Expired):
        await take(ring.watch(["Workflow"], "10", 12), 1)
    ring.publish([change(13, size=99)], 13)  # larger than the whole: nobody who had not seen it can go on
    with pytest.raises(Expired):
        await take(ring.watch(["Workflow"], "12", 13), 1)


async def test_a_watcher_that_is_too_slow_is_expired_and_not_given_a_gap() -> None:
    ring = feed(capacity=2)
    watch = ring.watch(["Workflow"], "10", 10)
    ring.publish([change(11)], 11)
    assert seen(await take(watch, 1)) == [("ADDED", "v11")]
    ring.publish([change(version) for version in (12, 13, 14)], 14)
    with pytest.raises(Expired):
        await take(watch, 1)


async def test_other_kinds_do_not_make_a_watcher_slow() -> None:
    """A waiting watcher moves on over changes that are not for it."""
    ring = feed(capacity=2)
    waiting = asyncio.create_task(take(ring.watch(["Workflow"], "10", 10), 1))
    for version in range(11, 40):
        ring.publish([change(version, "ConfigMap")], version)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    ring.publish([change(40)], 40)
    assert seen(await waiting) == [("ADDED", "v40")]


async def test_changes_are_published_from_any_thread() -> None:
    ring = feed()
    waiting = asyncio.create_task(take(ring.watch(["Workflow"], "10", 10), 50))
    await asyncio.sleep(0)
    thread = threading.Thread(target=lambda: [ring.publish([change(v)], v) for v in range(11, 61)])
    thread.start()
    found = await waiting
    await asyncio.to_thread(thread.join)
    assert [one.version for one in found] == [str(version) for version in range(11, 61)]


async def test_another_process_that_wrote_expires_every_watch() -> None:
    ring = feed()
    watch = ring.watch(["Workflow"], "10", 10)
    ring.restart(20)
    with pytest.raises(Expired):
        await take(watch, 1)
    ring.publish([change(21)], 21)
    assert seen(await take(ring.watch(["Workflow"], "20", 21), 1)) == [("ADDED", "v21")]


async def test_a_watcher_that_leaves_leaves_nothing_behind() -> None:
    ring = feed()
    ring.publish([change(11)], 11)
    watch = ring.watch(["Workflow"], "10", 11)
    await take(watch, 1)
    assert len(ring._watchers) == 1
    await watch.aclose()  # type: ignore[attr-defined]
    assert len(ring._watchers) == 0


def test_a_watcher_of_a_closed_loop_is_forgotten() -> None:
    ring = feed()
    loop = asyncio.new_event_loop()
    watch = ring.watch(["Workflow"], "10", 10)
    waiting = loop.create_task(take(watch, 1))
    loop.run_until_complete(asyncio.sleep(0))
    ring.publish([change(11)], 11)
    loop.run_until_complete(waiting)
    loop.close()
    ring.publish([change(12)], 12)
    assert len(ring._watchers) == 0
