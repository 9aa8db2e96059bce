"""syncd's own routes: sources, crons, the daemon; and the listeners."""

from __future__ import annotations

import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from syncd.argo import labels
from syncd.argo.manifest import Key
from syncd.base.errors import ConfigError
from syncd.base.problems import Place, Problem, Severity
from syncd.cron.ledger import Outcome, Reason, Row
from syncd.server import application, auth
from tests.server.house import WRITER, House, new_house, put, template

OWN = "/api/syncd/v1"


async def test_sources(house: House) -> None:
    error = Problem(Place("a.yaml", 1, 1), "V101", "wrong")
    warning = Problem(Place("a.yaml", 2, 1), "V102", "odd", Severity.WARNING)
    house.sources.known = {"examples": [error, warning], "jobs": []}
    status = {"name": "examples", "result": "applied"}
    assert await house.call("GET", f"{OWN}/sources") == (200, {"items": [status, {**status, "name": "jobs"}]})
    assert await house.call("GET", f"{OWN}/sources/examples") == (200, status)
    assert await house.call("GET", f"{OWN}/sources/examples/problems") == (
        200,
        {"errors": 1, "warnings": 1, "items": [error.to_json(), warning.to_json()]},
    )
    assert await house.call("GET", f"{OWN}/sources/examples/plan") == (200, {"items": []})
    ignored = {"items": [{"path": "Chart.yaml", "reason": "a Helm chart"}]}
    assert await house.call("GET", f"{OWN}/sources/examples/ignored") == (200, ignored)
    assert await house.call("POST", f"{OWN}/sources/examples/sync") == (200, status)
    assert await house.call("POST", f"{OWN}/sources/examples/sync?wait=true") == (200, status)
    assert (await house.call("POST", f"{OWN}/sources/examples/approve", {}))[0] == 400
    assert await house.call("POST", f"{OWN}/sources/examples/approve", {"revision": "main@sha1:abc"}) == (200, status)
    assert house.sources.asked == [
        ("sync", "examples", False),
        ("sync", "examples", True),
        ("approve", "examples", "main@sha1:abc", "local"),
    ]


@pytest.mark.parametrize("path", ["", "/problems", "/plan", "/ignored"])
async def test_an_unknown_source_is_404(house: House, path: str) -> None:
    house.sources.known = {"examples": []}
    status, said = await house.call("GET", f"{OWN}/sources/other{path}")
    assert (status, said["message"]) == (404, "no source 'other'; known: examples")


async def test_status(house: House) -> None:
    house.sources.known = {"examples": []}
    house.not_ready.append("source examples: not yet fetched")
    _, said = await house.call("GET", f"{OWN}/status")
    assert said == {
        "version": "0.1.0",
        "now": "2026-01-01T00:00:00Z",
        "mode": "embedded",
        "notReady": ["source examples: not yet fetched"],
        "notLive": [],
        "sources": [{"name": "examples", "result": "applied"}],
    }


async def test_reload(house: House) -> None:
    assert await house.call("POST", f"{OWN}/reload") == (200, {"changed": ["sources"]})


async def test_backup(house: House, tmp_path: Path) -> None:
    target = str(tmp_path / "copy.db")
    assert await house.call("POST", f"{OWN}/backup", {"target": target}) == (200, {"target": target})
    assert (await house.call("POST", f"{OWN}/backup", {"target": target}))[0] == 409
    for bad in ("", "copy.db", "../copy.db", "/a\0b"):
        assert (await house.call("POST", f"{OWN}/backup", {"target": bad}))[0] == 400


NIGHTLY = Key(labels.CRON_WORKFLOW, "default", "nightly")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def row(slot: datetime, outcome: Outcome = Outcome.FIRED, cron: Key = NIGHTLY) -> Row:
    return Row(cron, "uid", slot, outcome, Reason.ON_TIME, slot, slot, schedule="0 * * * *", run=f"nightly-{slot.hour}")


async def test_the_list_of_crons(house: House) -> None:
    await put(house.store, template(labels.CRON_WORKFLOW, "nightly", labels={labels.OWNER_SOURCE: "examples"}))
    job = template(labels.CRON_JOB, "backup", "ops")
    job["spec"] = {"schedule": "30 2 * * *", "timeZone": "Europe/Paris", "suspend": True}
    await put(house.store, job)
    house.crons.next[NIGHTLY] = NOON
    _, said = await house.call("GET", f"{OWN}/crons")
    shown = [
        {k: item[k] for k in ("kind", "name", "schedules", "timezone", "suspended", "nextFire", "source")}
        for item in said["items"]
    ]
    assert shown == [
        {
            "kind": "CronWorkflow",
            "name": "nightly",
            "schedules": ["0 * * * *"],
            "timezone": "",
            "suspended": False,
            "nextFire": "2026-01-01T12:00:00Z",
            "source": "examples",
        },
        {
            "kind": "CronJob",
            "name": "backup",
            "schedules": ["30 2 * * *"],
            "timezone": "Europe/Paris",
            "suspended": True,
            "nextFire": None,
            "source": "",
        },
    ]
    _, said = await house.call("GET", f"{OWN}/crons?namespace=ops")
    assert [item["name"] for item in said["items"]] == ["backup"]
    assert (await house.call("GET", f"{OWN}/crons?namespace=../x"))[0] == 400


async def test_the_ledger_newest_first(house: House) -> None:
    await put(house.store, template(labels.CRON_WORKFLOW, "nightly"))
    await house.store.record([row(NOON + timedelta(hours=hour)) for hour in range(5)])
    path = f"{OWN}/crons/default/nightly/ledger"
    _, said = await house.call("GET", f"{path}?limit=2")
    assert [item["slot"] for item in said["items"]] == ["2026-01-01T16:00:00Z", "2026-01-01T15:00:00Z"]
    assert said["items"][0] == {
        "kind": "CronWorkflow",
        "namespace": "default",
        "cron": "nightly",
        "cronUid": "uid",
        "slot": "2026-01-01T16:00:00Z",
        "until": "2026-01-01T16:00:00Z",
        "count": 1,
        "outcome": "fired",
        "reason": "on-time",
        "decidedAt": "2026-01-01T16:00:00Z",
        "schedule": "0 * * * *",
        "run": "nightly-16",
        "message": "",
        "revision": "",
    }
    _, said = await house.call("GET", f"{path}?since=2026-01-01T14:30:00Z")
    assert len(said["items"]) == 2
    assert (await house.call("GET", f"{path}?since=yesterday"))[0] == 400


async def test_the_ledger_outlives_its_cron_and_an_unknown_cron_is_404(house: House) -> None:
    await house.store.record([row(NOON)])
    assert len((await house.call("GET", f"{OWN}/crons/default/nightly/ledger"))[1]["items"]) == 1
    assert (await house.call("GET", f"{OWN}/crons/default/other/ledger"))[0] == 404
    await put(house.store, template(labels.CRON_WORKFLOW, "fresh"))
    assert await house.call("GET", f"{OWN}/crons/default/fresh/ledger") == (200, {"items": []})


async def test_a_cron_is_found_whatever_its_kind(house: House) -> None:
    job = Key(labels.CRON_JOB, "default", "nightly")
    await put(house.store, template(labels.CRON_JOB, "nightly"))
    path = f"{OWN}/crons/default/nightly"
    assert (await house.call("POST", f"{path}/trigger"))[1]["metadata"]["name"] == "nightly-1"
    await put(house.store, template(labels.CRON_WORKFLOW, "nightly"))
    assert (await house.call("POST", f"{path}/trigger"))[0] == 200
    assert (await house.call("POST", f"{path}/suspend?kind=CronJob"))[0] == 200
    assert (await house.call("POST", f"{path}/resume?kind=CronWorkflow"))[0] == 200
    assert house.crons.asked == [
        ("trigger", job, "local"),
        ("trigger", NIGHTLY, "local"),
        ("suspend", job, "local"),
        ("resume", NIGHTLY, "local"),
    ]
    assert (await house.call("POST", f"{path}/trigger?kind=Pod"))[0] == 400
    assert (await house.call("POST", f"{OWN}/crons/default/other/trigger"))[0] == 404


async def test_explain(house: House) -> None:
    await put(house.store, template(labels.CRON_WORKFLOW, "nightly"))
    path = f"{OWN}/crons/default/nightly/explain"
    assert await house.call("GET", f"{path}?slot=2026-01-01T12:00:00Z&limit=3") == (
        200,
        {"cron": str(NIGHTLY), "slot": "2026-01-01T12:00:00Z", "limit": 3},
    )
    assert (await house.call("GET", f"{path}?slot=noon"))[0] == 400


async def test_a_unix_socket_serves_the_same_behind_the_same_doors(house: House, tmp_path: Path) -> None:
    made = new_house()
    path = tmp_path / "syncd.sock"
    runner = await application.start(application.build(made.services, made.doors), None, 0, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as client:
        made.client, made.url = client, "http://localhost"
        assert (await made.call("GET", "/api/v1/info"))[0] == 200
        assert (await made.call("GET", "/api/v1/info", token=""))[0] == 401
        assert (await made.call("GET", "/api/v1/info", token="wrong" * 9))[0] == 401
        assert (await made.call("GET", "/api/v1/info", headers={"Host": "evil.example"}))[0] == 403
    await runner.cleanup()


async def test_a_socket_left_behind_is_replaced(tmp_path: Path) -> None:
    made, path = new_house(), tmp_path / "syncd.sock"
    for _ in range(2):
        runner = await application.start(application.build(made.services, made.doors), None, 0, path)
        path.touch()
        await runner.cleanup()


async def test_a_taken_address_is_named(house: House, tmp_path: Path) -> None:
    made = new_house()
    with pytest.raises(ConfigError, match=rf"cannot listen on 127.0.0.1:{house.port}"):
        await application.start(application.build(made.services, made.doors), "127.0.0.1", house.port)
    (tmp_path / "file").write_text("precious")
    with pytest.raises(ConfigError, match=r"cannot listen on .*file"):
        await application.start(application.build(made.services, made.doors), None, 0, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "precious"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
async def test_listening_beyond_this_machine_wants_configured_tokens(host: str) -> None:
    made = new_house()
    with pytest.raises(ConfigError, match=r"set listen\.tokensFile"):
        await application.start(application.build(made.services, made.doors), host, 0)


async def test_listening_everywhere_serves_the_address_that_was_reached() -> None:
    """With configured tokens; the Host may be the address itself, without further configuration."""
    made = new_house()
    doors = auth.Doors([auth.Credential("ci", WRITER)], made.clock, configured=True)
    runner = await application.start(application.build(replace(made.services), doors), "0.0.0.0", 0)
    async with aiohttp.ClientSession() as client:
        made.client, made.url = client, f"http://127.0.0.1:{runner.addresses[0][1]}"
        assert (await made.call("GET", "/api/v1/userinfo"))[1]["subject"] == "ci"
    await runner.cleanup()
