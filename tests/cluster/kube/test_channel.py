"""One stream, many followers: what each of them gets, without a server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from syncd.base.errors import Defect, Expired, Refused, SyncdError, Unreachable
from syncd.cluster.kube import channel
from syncd.cluster.kube.channel import Channel, Pulse
from syncd.cluster.kube.door import Reply
from tests.support.clocks import CountingRandom
from tests.support.objects import seen, take


def line(version: int, kind: str = "ADDED", **more: Any) -> bytes:
    metadata = {"name": f"w{version}", "namespace": "ci", "resourceVersion": str(version), "managedFields": [{}]}
    body = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": metadata, **more}
    return orjson.dumps({"type": kind, "object": body})


def error(code: int) -> bytes:
    return orjson.dumps({"type": "ERROR", "object": {"kind": "Status", "code": code, "message": "words"}})


class Script:
    """A door that plays streams, one after the other; the last one hangs. A part that is an error breaks the stream."""

    def __init__(self, *streams: list[bytes | Exception], newest: int = 10**9) -> None:
        self.streams = list(streams)
        self.queries: list[dict[str, str]] = []
        self.newest = newest

    @asynccontextmanager
    async def stream(self, path: str, query: dict[str, str], **_: Any) -> AsyncIterator[AsyncIterator[bytes]]:
        self.queries.append(query)
        parts = self.streams.pop(0) if self.streams else None

        async def lines() -> AsyncIterator[bytes]:
            if parts is None:
                await asyncio.Event().wait()
            for part in parts or ():
                if isinstance(part, Exception):
                    raise part
                yield part

        yield lines()

    async def call(self, *_: Any, **__: Any) -> Reply:
        return Reply(200, {"metadata": {"resourceVersion": str(self.newest)}})


class Even(CountingRandom):
    def jitter(self) -> float:
        return 0.0


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "RETRY_SECONDS", (0.001, 0.002))


async def followed(script: Script, since: int, count: int, restarts: list[str] | None = None) -> list[tuple[str, str]]:
    one = Channel("Workflow", "ci", since)
    noted = restarts if restarts is not None else []
    reader = asyncio.create_task(one.read(script, Even(), Pulse(), lambda _, reason: noted.append(reason)))  # type: ignore[arg-type]
    try:
        return seen(await take(one.follow(since), count))
    finally:
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)


async def test_a_stream_is_begun_again_where_it_was() -> None:
    broken = Unreachable("connection reset")
    script = Script([line(5), line(6), broken], [line(7), line(9, "BOOKMARK")], [line(10, "MODIFIED")])
    restarts: list[str] = []
    found = await followed(script, 4, 4, restarts)
    assert found == [("ADDED", "w5"), ("ADDED", "w6"), ("ADDED", "w7"), ("MODIFIED", "w10")]
    assert [query["resourceVersion"] for query in script.queries[:3]] == ["4", "6", "9"]
    assert restarts[:2] == ["broken", "ended"]
    assert script.queries[0] | {"resourceVersion": ""} == {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "resourceVersion": "",
        "timeoutSeconds": "240",
    }


async def test_what_comes_again_is_told_once() -> None:
    script = Script([line(5), line(6)], [line(5), line(6), line(7)])
    assert await followed(script, 4, 3) == [("ADDED", "w5"), ("ADDED", "w6"), ("ADDED", "w7")]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (error(410), Expired),
        (error(403), Refused),
        (Refused("no"), Refused),
        (RuntimeError("a bug"), Defect),
    ],
)
async def test_what_ends_a_watch_is_told_to_its_followers(part: bytes | Exception, expected: type[SyncdError]) -> None:
    one = Channel("Workflow", "ci", 4)
    await one.read(Script([line(5), part]), Even(), Pulse(), lambda *_: None)  # type: ignore[arg-type]
    follower = one.follow(4)
    assert seen(await take(follower, 1)) == [("ADDED", "w5")]
    with pytest.raises(expected):
        await anext(follower)


async def test_a_trouble_of_the_server_ends_nothing() -> None:
    script = Script([error(500)], [b"<html>"], [error(503)], [line(5)])
    assert await followed(script, 4, 1) == [("ADDED", "w5")]


async def test_a_stream_that_always_ends_at_once_is_not_begun_without_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    monkeypatch.setattr(channel.asyncio, "sleep", noted)
    assert await followed(Script([], [], [], [line(5)]), 4, 1) == [("ADDED", "w5")]
    assert len(pauses) == 3


async def test_a_version_that_the_server_has_not_reached_is_expired() -> None:
    """A server that was restored from a backup says nothing until it is past our version: nobody waits for that."""
    one = Channel("Workflow", "ci", 400)
    stalled = Unreachable("watch Workflow: the API server x cannot be reached: no answer in time")
    await one.read(Script([stalled], newest=399), Even(), Pulse(), lambda *_: None)  # type: ignore[arg-type]
    assert isinstance(one.error, Expired)
    script = Script([stalled], [line(401)], newest=400)
    assert await followed(script, 400, 1) == [("ADDED", "w401")]


async def test_a_follower_gets_nothing_from_before_its_list() -> None:
    """The list that it made may be ahead of the stream that it shares."""
    one = Channel("Workflow", "ci", 4)
    follower = one.follow(7)
    waiting = asyncio.create_task(take(follower, 1))
    await asyncio.sleep(0)
    for version in (5, 6, 7, 8):
        one._take(line(version), "watch")
    assert seen(await waiting) == [("ADDED", "w8")]
    assert seen(await take(one.follow(6), 2)) == [("ADDED", "w7"), ("ADDED", "w8")]


async def test_a_slow_follower_is_expired(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "EVENTS", 3)
    one = Channel("Workflow", "ci", 4)
    follower = one.follow(4)
    one._take(line(5), "watch")
    await anext(follower)
    for version in range(6, 20):
        one._take(line(version), "watch")
    with pytest.raises(Expired, match="list again"):
        await anext(follower)
    with pytest.raises(Expired, match="list again"):
        await anext(one.follow(4))
    assert seen(await take(one.follow(17), 2)) == [("ADDED", "w18"), ("ADDED", "w19")]


async def test_what_is_remembered_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "BYTES", 5000)
    one = Channel("Workflow", "ci", 4)
    for version in range(5, 100):
        one._take(line(version, spec={"x": "x" * 1000}), "watch")
    assert len(one._events) < 6
    one._take(line(100, spec={"x": "x" * 10_000}), "watch")
    assert len(one._events) == 1


async def test_nodes_and_managed_fields_are_not_kept() -> None:
    one = Channel("Workflow", "ci", 4)
    one._take(line(5, status={"phase": "Running", "nodes": {"n": {}}}), "watch")
    (change,) = await take(one.follow(4), 1)
    assert change.body["status"] == {"phase": "Running"}
    assert "managedFields" not in change.body["metadata"]
