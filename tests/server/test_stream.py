"""Streams: what goes over the wire byte by byte, what a watch tells, and how streams end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from syncd.argo import labels
from syncd.argo.manifest import Key
from syncd.cluster.api import Entry, Verb, Write
from syncd.cluster.memory import MemoryStore
from syncd.server import application, listing, stream, watching, wire
from tests.server.house import WRITER, House, new_house, patch, put, workflow
from tests.support.clocks import CountingRandom, ManualClock

EVENTS = {"Accept": "text/event-stream"}


class Listener:
    """Reads a stream line by line, as a client does."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer

    async def line(self) -> bytes:
        async with asyncio.timeout(20):
            return await self.answer.content.readline()

    async def next(self) -> Any:
        """The next JSON value; None at the end."""
        while line := await self.line():
            text = line.removeprefix(b"data: ").strip()
            if text and text != b":":
                return json.loads(text)
        return None

    async def told(self, count: int) -> list[tuple[str, str]]:
        """(type, name) of the next events."""
        events = [(await self.next())["result"] for _ in range(count)]
        return [(event["type"], event["object"]["metadata"]["name"]) for event in events]


@asynccontextmanager
async def listening(house: House, path: str, headers: dict[str, str] | None = None) -> AsyncIterator[Listener]:
    assert house.client is not None
    sent = {"Authorization": WRITER, **(EVENTS if headers is None else headers)}
    async with house.client.get(house.url + path, headers=sent) as answer:
        assert answer.status == 200, await answer.text()
        yield Listener(answer)


WATCH = "/api/v1/workflow-events/default"


async def test_a_watch_begins_with_what_there_is_and_goes_on(house: House) -> None:
    first = await put(house.store, workflow("first"))
    await put(house.store, workflow("elsewhere", "other"))
    async with listening(house, WATCH) as listener:
        assert await listener.told(1) == [("ADDED", "first")]
        await put(house.store, workflow("elsewhere-too", "other"))
        second = await put(house.store, workflow("second"))
        assert await listener.told(1) == [("ADDED", "second")]
        await patch(house.store, first, {"status": {"phase": "Running"}})
        assert await listener.told(1) == [("MODIFIED", "first")]
        await house.store.write([Write(Verb.DELETE, Key(labels.WORKFLOW, "default", "second"))])
        assert await listener.told(1) == [("DELETED", "second")]
        assert second["metadata"]["uid"]


async def test_a_watch_of_all_namespaces_has_an_empty_path_segment(house: House) -> None:
    await put(house.store, workflow("a", "x"))
    await put(house.store, workflow("b", "y"))
    async with listening(house, "/api/v1/workflow-events/") as listener:
        assert await listener.told(2) == [("ADDED", "a"), ("ADDED", "b")]


async def test_a_watch_goes_on_from_a_version(house: House) -> None:
    first = await put(house.store, workflow("first"))
    await put(house.store, workflow("second"))
    version = first["metadata"]["resourceVersion"]
    async with listening(house, f"{WATCH}?listOptions.resourceVersion={version}") as listener:
        assert await listener.told(1) == [("ADDED", "second")]


async def test_a_forgotten_version_is_410(house: House) -> None:
    small = new_house()
    store = MemoryStore(small.clock, CountingRandom(), history=2)
    for number in range(9):
        await put(store, workflow(f"w{number}"))
    app = application.build(replace(small.services, store=store), small.doors)
    runner = await application.start(app, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{runner.addresses[0][1]}{WATCH}?listOptions.resourceVersion=2"
    assert house.client is not None
    async with house.client.get(url, headers={"Authorization": WRITER, **EVENTS}) as answer:
        assert (answer.status, (await answer.json())["code"]) == (410, 11)
    await runner.cleanup()


async def test_a_watch_of_one_workflow_has_its_nodes(house: House) -> None:
    """As `argo submit --watch` asks."""
    made = await put(house.store, workflow("hello"))
    await put(house.store, workflow("other"))
    query = "?listOptions.fieldSelector=metadata.name=hello&listOptions.resourceVersion=0"
    async with listening(house, WATCH + query) as listener:
        assert await listener.told(1) == [("ADDED", "hello")]
        uid = made["metadata"]["uid"]
        entry = Entry(uid, 1, house.clock.now(), [], {"hello": {"id": "hello"}}, {"phase": "Running"})
        await house.store.save([entry])
        event = (await listener.next())["result"]
        assert event["type"] == "MODIFIED"
        assert event["object"]["status"] == {"phase": "Running", "nodes": {"hello": {"id": "hello"}}}


async def test_a_watch_of_many_has_no_nodes(house: House) -> None:
    made = await put(house.store, workflow("hello"))
    await patch(house.store, made, {"status": {"phase": "Running", "nodes": {"hello": {"id": "hello"}}}})
    async with listening(house, WATCH) as listener:
        assert (await listener.next())["result"]["object"]["status"] == {"phase": "Running"}


async def test_the_newest_can_be_watched_by_its_alias(house: House) -> None:
    await put(house.store, workflow("old"))
    house.clock.advance(5)
    await put(house.store, workflow("new"))
    async with listening(house, f"{WATCH}?listOptions.fieldSelector=metadata.name=@latest") as listener:
        assert await listener.told(1) == [("ADDED", "new")]


@pytest.mark.parametrize("fields", ["result.object.metadata.name,result.type", "metadata.name"])
async def test_events_hold_the_fields_asked_for(house: House, fields: str) -> None:
    await put(house.store, workflow("hello"))
    async with listening(house, f"{WATCH}?fields={fields}") as listener:
        assert (await listener.next())["result"] == {"type": "ADDED", "object": {"metadata": {"name": "hello"}}}


async def test_what_stops_matching_a_selector_is_deleted_for_its_watcher(house: House) -> None:
    """As Kubernetes: a watch of what is Running hears of the end."""
    made = await put(house.store, workflow("hello", labels={labels.PHASE: "Running"}))
    async with listening(house, f"{WATCH}?listOptions.labelSelector={labels.PHASE}=Running") as listener:
        assert await listener.told(1) == [("ADDED", "hello")]
        await patch(house.store, made, {"metadata": {"labels": {labels.PHASE: "Succeeded"}}})
        assert await listener.told(1) == [("DELETED", "hello")]
        await put(house.store, workflow("quiet", labels={labels.PHASE: "Pending"}))
        again = await put(house.store, workflow("again", labels={labels.PHASE: "Running"}))
        assert await listener.told(1) == [("ADDED", "again")]
        assert again


async def test_every_line_of_an_event_stream_can_be_read_by_argos_client(house: House) -> None:
    """It drops lines of up to six bytes and parses the rest as JSON from the seventh byte on, whatever stands before."""
    await put(house.store, workflow("hello"))
    async with listening(house, WATCH) as listener:
        assert listener.answer.headers["Content-Type"] == "text/event-stream"
        lines = [await listener.line() for _ in range(3)]
    long = [line for line in lines if len(line) > 6]
    assert [json.loads(line[6:])["result"]["type"] for line in long] == ["ADDED"]
    assert all(line.startswith(b"data: ") for line in long)


async def test_without_that_accept_header_a_json_value_stands_on_each_line(house: House) -> None:
    await put(house.store, workflow("hello"))
    async with listening(house, WATCH, {"Accept": "application/json"}) as listener:
        assert listener.answer.headers["Content-Type"].startswith("application/json")
        assert await listener.line() == b"\n"
        assert json.loads(await listener.line())["result"]["type"] == "ADDED"


async def test_streams_end_when_the_server_closes(house: House) -> None:
    made = new_house()
    runner = await application.start(application.build(made.services, made.doors), "127.0.0.1", 0)
    made.url, made.client = f"http://127.0.0.1:{runner.addresses[0][1]}", house.client
    async with listening(made, WATCH) as listener:
        assert await listener.line() == b":\n"
        cleanup = asyncio.create_task(runner.cleanup())
        assert await listener.next() is None
        await cleanup


async def test_a_quiet_stream_shows_that_it_lives(house: House) -> None:
    made = new_house()
    app = application.build(made.services, made.doors, wire.Pace(keepalive_seconds=0.01))
    runner = await application.start(app, "127.0.0.1", 0)
    made.url, made.client = f"http://127.0.0.1:{runner.addresses[0][1]}", house.client
    async with listening(made, WATCH) as listener:
        assert [await listener.line() for _ in range(4)] == [b":\n"] * 4
    await runner.cleanup()


async def test_a_client_that_does_not_read_is_dropped() -> None:
    """Its buffers fill, the server gives up on it and stops reading the store for it."""
    made = new_house()
    closed = asyncio.Event()
    sent = 0

    async def endless() -> AsyncIterator[str]:
        nonlocal sent
        try:
            while True:
                yield "x" * 65536
                sent += 1
        finally:
            closed.set()

    app = application.build(made.services, made.doors, wire.Pace(patience_seconds=0.05))

    async def handler(request: Any) -> Any:
        return await stream.relay(request, endless())

    app.router.add_get("/endless", handler)
    runner = await application.start(app, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", runner.addresses[0][1], limit=1024)
    writer.write(f"GET /endless HTTP/1.1\r\nHost: localhost\r\nAuthorization: {WRITER}\r\n\r\n".encode())
    async with asyncio.timeout(60):
        await closed.wait()
    assert sent < 5000
    writer.close()
    await runner.cleanup()
    assert reader


async def test_a_client_that_goes_leaves_nothing_behind(house: House) -> None:
    before = len(asyncio.all_tasks())
    async with listening(house, WATCH) as listener:
        assert await listener.line() == b":\n"
    async with asyncio.timeout(20):
        # Each change makes the server write, and a write tells it that nobody is there.
        number = 0
        while len(asyncio.all_tasks()) > before + 1:
            number += 1
            await put(house.store, workflow(f"w{number}"))
            await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) <= before + 1


async def test_an_error_inside_a_stream_is_said_to_readers_of_lines(house: House) -> None:
    async with listening(house, WATCH, {}) as listener:
        await listener.line()
        await house.store.close()
        said = await listener.next()
        assert (said["error"]["http_code"], said["error"]["grpc_code"]) == (503, 14)
        assert await listener.next() is None


async def test_changes_of_one_object_melt_into_its_newest_state() -> None:
    """Law: between two reads, an object is told at most once, in its last state, and its beginning stays a beginning."""
    store = MemoryStore(ManualClock(), CountingRandom())
    query = listing.Query(namespace="default")
    watch = await watching.begin(store, labels.WORKFLOW, query, "", 0)
    try:
        loop = asyncio.get_running_loop()
        first = loop.create_task(anext(watch))
        made = await put(store, workflow("busy"))
        assert (await first)["type"] == "ADDED"
        for step in range(1000):
            await patch(store, made, {"status": {"progress": f"{step}/1000"}})
        fresh = await put(store, workflow("fresh"))
        await patch(store, fresh, {"status": {"phase": "Running"}})
        await store.write([Write(Verb.DELETE, Key(labels.WORKFLOW, "default", "busy"))])
        told = [await anext(watch)]
        while told[-1]["object"]["metadata"]["name"] != "fresh":
            told.append(await anext(watch))
        if told[-1]["object"].get("status") is None:
            told.append(await anext(watch))
        assert len(told) < 20
        assert told[0]["type"] in ("MODIFIED", "DELETED")
        assert next(e["type"] for e in told if e["object"]["metadata"]["name"] == "fresh") == "ADDED"
        assert told[-1]["object"]["status"] == {"phase": "Running"}
    finally:
        await watch.aclose()


async def test_a_name_taken_again_is_two_objects(house: House) -> None:
    key = Key(labels.WORKFLOW, "default", "hello")
    await put(house.store, workflow("hello"))
    async with listening(house, WATCH) as listener:
        assert await listener.told(1) == [("ADDED", "hello")]
        await house.store.write([Write(Verb.DELETE, key), Write(Verb.CREATE, key, workflow("hello"))])
        assert await listener.told(2) == [("DELETED", "hello"), ("ADDED", "hello")]
