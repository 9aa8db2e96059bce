"""The same routes over the store that the daemon really has: what only a file, threads and a restart can show."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from syncd.cluster.api import Entry
from syncd.cluster.embedded.store import open_store
from syncd.server import application, wire
from tests.server.house import FakeRuns, House, line, new_house, put, workflow
from tests.server.test_stream import WATCH, listening
from tests.support.clocks import CountingRandom


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = new_house()
    store = open_store(tmp_path / "state", clock=made.clock, random=CountingRandom())
    made.store = store
    made.runs = FakeRuns(made.store)
    made.services = replace(made.services, store=store, runs=made.runs)
    runner = await application.start(
        application.build(made.services, made.doors, wire.Pace(gap_seconds=0)), "127.0.0.1", 0
    )
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as client:
        made.client = client
        yield made
    await runner.cleanup()
    await store.close()


async def test_a_run_from_its_submission_to_its_end(house: House) -> None:
    """As `argo submit --watch --log` sees it."""
    _, made = await house.call("POST", "/api/v1/workflows/default", {"workflow": workflow("hello")})
    uid = made["metadata"]["uid"]
    query = "?listOptions.fieldSelector=metadata.name=hello&listOptions.resourceVersion=0"
    log = "/api/v1/workflows/default/hello/log?logOptions.follow=true"
    async with listening(house, WATCH + query) as watch, listening(house, log) as follow:
        assert await watch.told(1) == [("ADDED", "hello")]
        node = {"id": "hello", "phase": "Running"}
        await house.store.save([Entry(uid, 1, house.clock.now(), [], {"hello": node}, {"phase": "Running"})])
        house.logs.add(uid, line("hello world"))
        assert (await watch.next())["result"]["object"]["status"] == {"phase": "Running", "nodes": {"hello": node}}
        assert (await follow.next())["result"]["content"] == "hello world"
        status = {"phase": "Succeeded", "finishedAt": "2026-01-01T00:00:09Z"}
        await house.store.save(
            [Entry(uid, 2, house.clock.now(), [], {"hello": {**node, "phase": "Succeeded"}}, status)]
        )
        event = (await watch.next())["result"]["object"]
        assert (event["status"]["phase"], event["status"]["nodes"]["hello"]["phase"]) == ("Succeeded", "Succeeded")
        assert await follow.next() is None


async def test_pages_and_the_newest(house: House) -> None:
    for number in range(7):
        await put(house.store, workflow(f"w{number}", "ci" if number % 2 else "prod"))
        house.clock.advance(1)
    seen, after = [], ""
    while True:
        _, body = await house.call("GET", f"/api/v1/workflows/?listOptions.limit=3&listOptions.continue={after}")
        seen += [item["metadata"]["name"] for item in body["items"]]
        after = body["metadata"].get("continue", "")
        if not after:
            break
    assert seen == ["w1", "w3", "w5", "w0", "w2", "w4", "w6"]
    assert (await house.call("GET", "/api/v1/workflows/ci/@latest"))[1]["metadata"]["name"] == "w5"


async def test_a_version_from_before_a_restart_is_410(house: House, tmp_path: Path) -> None:
    first = await put(house.store, workflow("first"))
    await put(house.store, workflow("second"))
    await house.store.close()
    again = open_store(tmp_path / "state", clock=house.clock, random=CountingRandom())
    runner = await application.start(
        application.build(replace(house.services, store=again), house.doors), "127.0.0.1", 0
    )
    house.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    version = first["metadata"]["resourceVersion"]
    status, said = await house.call("GET", f"{WATCH}?listOptions.resourceVersion={version}")
    assert (status, said["code"], said["reason"]) == (410, 11, "Expired")
    await runner.cleanup()
    await again.close()


async def test_a_backup_of_the_running_store(house: House, tmp_path: Path) -> None:
    await put(house.store, workflow("first"))
    target = tmp_path / "copy.db"
    assert (await house.call("POST", "/api/syncd/v1/backup", {"target": str(target)}))[0] == 200
    assert target.stat().st_size > 0
    assert (await house.call("POST", "/api/syncd/v1/backup", {"target": str(target)}))[0] == 409
