"""Log streams: Argo's options, one step by any of its names, and followers that end with the run."""

from __future__ import annotations

import pytest

from tests.server.house import House, line, patch, put, workflow
from tests.server.test_stream import listening

NODES = {
    "hello-1": {"id": "hello-1", "name": "hello.a", "displayName": "a", "templateName": "say"},
    "hello-2": {"id": "hello-2", "name": "hello.b", "displayName": "b", "templateName": "say"},
}


@pytest.fixture
async def run(house: House) -> str:
    made = await put(house.store, workflow("hello"))
    await patch(house.store, made, {"status": {"finishedAt": "2026-01-01T00:01:00Z", "nodes": NODES}})
    uid = str(made["metadata"]["uid"])
    house.logs.add(
        uid,
        line("a1", "hello-say-1", "hello-1", second=1),
        line("b1", "hello-say-2", "hello-2", second=2),
        line("a2 error", "hello-say-1", "hello-1", second=3),
        line("side", "hello-say-1", "hello-1", "sidecar", second=4),
        line("b2", "hello-say-2", "hello-2", second=5),
    )
    return uid


LOG = "/api/v1/workflows/default/hello/log"
CASES = [
    (LOG, ["a1", "b1", "a2 error", "b2"]),
    (LOG + "?logOptions.follow=true", ["a1", "b1", "a2 error", "b2"]),
    (LOG + "?logOptions.container=sidecar", ["side"]),
    (LOG + "?grep=err", ["a2 error"]),
    (LOG + "?grep=^[ab]1$", ["a1", "b1"]),
    (LOG + "?logOptions.tailLines=1", ["b2"]),
    (LOG + "?logOptions.tailLines=0", []),
    (LOG + "?podName=a", ["a1", "a2 error"]),
    (LOG + "?podName=hello.b", ["b1", "b2"]),
    (LOG + "?podName=say", ["a1", "b1", "a2 error", "b2"]),
    (LOG + "?podName=nobody", []),
    (LOG + "?podName=a&logOptions.tailLines=1", ["a2 error"]),
    (LOG + "?podName=a&logOptions.tailLines=1&grep=a1", []),
    (LOG + "?logOptions.sinceTime=2026-01-01T00:00:03Z", ["a2 error", "b2"]),
    (LOG + "?logOptions.timestamps=true&podName=a&grep=1", ["2026-01-01T00:00:01.000000Z a1"]),
    ("/api/v1/workflows/default/hello/hello-say-2/log", ["b1", "b2"]),
    ("/api/v1/workflows/default/hello/hello-1/log", ["a1", "a2 error"]),
    ("/api/v1/workflows/default/@latest/log?podName=b", ["b1", "b2"]),
]


@pytest.mark.parametrize(("path", "lines"), CASES, ids=[c[0].removeprefix("/api/v1/workflows/default/") for c in CASES])
async def test_what_is_asked_for(house: House, run: str, path: str, lines: list[str]) -> None:
    async with listening(house, path) as listener:
        told = []
        while entry := await listener.next():
            told.append(entry["result"]["content"])
        assert told == lines


async def test_an_entry_names_its_pod(house: House, run: str) -> None:
    async with listening(house, LOG) as listener:
        assert await listener.next() == {"result": {"content": "a1", "podName": "hello-say-1"}}


async def test_lines_since_some_seconds_ago(house: House, run: str) -> None:
    house.clock.advance(6)
    async with listening(house, LOG + "?logOptions.sinceSeconds=2") as listener:
        assert (await listener.next())["result"]["content"] == "b2"


REFUSED = [
    ("grep=(", 400),
    ("grep=(a)%5C1", 400),
    ("logOptions.tailLines=x", 400),
    ("logOptions.sinceTime=now", 400),
    ("logOptions.follow=perhaps", 400),
    ("logOptions.container=../x", 400),
    ("selector=a=b", 501),
]


@pytest.mark.parametrize(("query", "status"), REFUSED)
async def test_what_cannot_be_asked(house: House, run: str, query: str, status: int) -> None:
    assert (await house.call("GET", f"{LOG}?{query}"))[0] == status


async def test_no_run_is_404_and_a_run_without_lines_an_empty_stream(house: House) -> None:
    assert (await house.call("GET", LOG))[0] == 404
    await put(house.store, workflow("hello"))
    async with listening(house, LOG) as listener:
        assert await listener.next() is None


async def test_a_follower_reads_on_until_the_run_has_ended(house: House) -> None:
    made = await put(house.store, workflow("hello"))
    uid = made["metadata"]["uid"]
    async with listening(house, LOG + "?logOptions.follow=true") as listener:
        house.logs.add(uid, line("one"))
        assert (await listener.next())["result"]["content"] == "one"
        house.logs.add(uid, line("two"))
        assert (await listener.next())["result"]["content"] == "two"
        house.logs.lines[uid].append(line("last words"))
        await patch(house.store, made, {"status": {"finishedAt": "2026-01-01T00:01:00Z"}})
        assert (await listener.next())["result"]["content"] == "last words"
        assert await listener.next() is None


async def test_a_follower_of_one_step_meets_it_when_it_begins(house: House) -> None:
    """The step has no node yet when the client asks for it."""
    made = await put(house.store, workflow("hello"))
    uid = made["metadata"]["uid"]
    async with listening(house, LOG + "?logOptions.follow=true&podName=b") as listener:
        await patch(house.store, made, {"status": {"nodes": NODES}})
        house.logs.add(uid, line("a", node="hello-1"), line("b", node="hello-2"))
        assert (await listener.next())["result"]["content"] == "b"


async def test_a_follower_ends_when_the_run_is_deleted(house: House) -> None:
    await put(house.store, workflow("hello"))
    async with listening(house, LOG + "?logOptions.follow=true") as listener:
        await house.call("DELETE", "/api/v1/workflows/default/hello")
        assert await listener.next() is None
