"""The ledger in the cluster: two that believe they lead, answers that are lost, and how large it gets."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from syncd.argo.manifest import Key
from syncd.base.errors import Conflict, Refused, Unreachable
from syncd.cluster.kube import shards
from syncd.cron.ledger import Outcome, Reason, Row
from tests.cluster.kube.conftest import Opened
from tests.support import kubeapi, kubefaults

pytestmark = pytest.mark.kube

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
CRON = Key("CronWorkflow", "ci", "nightly")


def row(hour: int = 0, outcome: Outcome = Outcome.PENDING, number: int = 0, late: int = 0) -> Row:
    slot = NOON + timedelta(hours=hour)
    cron = CRON if not number else Key("CronWorkflow", "ci", f"cron-{number}")
    return Row(
        cron, f"{number:036}", slot, outcome, Reason.ON_TIME, slot + timedelta(seconds=late), slot, run=f"r-{hour}"
    )


def maps(api: kubeapi.ApiServer, namespace: str) -> dict[str, dict[str, str]]:
    found = api.call("GET", f"/api/v1/namespaces/{namespace}/configmaps?labelSelector=syncd.io/record=ledger")
    return {item["metadata"]["name"]: item["data"] for item in found["items"]}


@pytest.mark.parametrize("decided", [Outcome.PENDING, Outcome.FIRED, Outcome.SKIPPED])
async def test_a_leader_that_slept_decides_nothing(
    decided: Outcome, opened: Opened, api: kubeapi.ApiServer, namespace: str
) -> None:
    """Both believe they lead. What one has decided, the other one may not: Conflict, and nothing is written."""
    slept, leads = await opened(), await opened()
    slept.begin()
    leads.begin()
    await slept.record([row(0, Outcome.FIRED)])
    await leads.record([row(1, decided, late=3)])
    before = maps(api, namespace)
    with pytest.raises(Conflict, match="another replica has decided"):
        await slept.record([row(1), row(2)])
    assert maps(api, namespace) == before
    if decided is not Outcome.PENDING:
        with pytest.raises(Conflict):  # nor when it tries again
            await slept.record([row(1)])


async def test_the_answer_is_a_conflict_where_any_shard_has_one(opened: Opened) -> None:
    slept, leads = await opened(), await opened()
    slept.begin()
    leads.begin()
    both = [row(0, number=number) for number in range(1, 40)]
    await slept.record([replace(one, slot=one.slot - timedelta(hours=1)) for one in both])
    await leads.record([replace(both[0], outcome=Outcome.FIRED)])
    with pytest.raises(Conflict):
        await slept.record(both)


async def test_rows_of_others_do_not_stand_in_the_way(opened: Opened) -> None:
    """Another writer (a person's `trigger` on another replica, say) changed the shard, but none of our slots."""
    one, two = await opened(), await opened()
    one.begin()
    two.begin()
    await one.record([row(0)])
    await two.record([row(1)])
    await one.record([row(0, Outcome.FIRED), row(2)])
    assert [found.slot.hour for found in await two.pending()] == [13, 14]
    assert (await two.rows(CRON))[2] == row(0, Outcome.FIRED)


async def test_a_leader_reads_once(opened: Opened, asked: Counter[str]) -> None:
    store = await opened()
    store.begin()
    await store.latest()
    asked.clear()
    for hour in range(5):
        await store.record([row(hour)])
        await store.record([row(hour, Outcome.FIRED)])
        await store.rows(CRON)
    assert asked == {"create": 1, "patch": 9}
    store.end()
    await store.rows(CRON)
    assert asked["get"] == 1


async def test_one_write_a_shard_for_all_that_is_due(opened: Opened, asked: Counter[str]) -> None:
    store = await opened()
    store.begin()
    await store.latest()
    asked.clear()
    rows = [row(0, number=number) for number in range(1, 1001)]
    await store.record(rows)
    assert asked == {"create": shards.SHARDS}
    await store.record([replace(one, outcome=Outcome.FIRED) for one in rows])
    assert asked == {"create": shards.SHARDS, "patch": shards.SHARDS}
    assert await store.pending() == []


@pytest.mark.parametrize("after", [False, True], ids=["the request is lost", "the answer is lost"])
async def test_what_is_lost_is_recovered_by_the_next_record(
    after: bool, opened: Opened, api: kubeapi.ApiServer
) -> None:
    with kubefaults.proxy(api) as proxy:
        store = await opened(proxy.kubeconfig)
        store.begin()
        await store.record([row(0)])
        lost = kubefaults.Reset(after=after)
        with proxy.during(lost, verb="patch", resource="configmaps"), pytest.raises(Unreachable):
            await store.record([row(0, Outcome.FIRED), row(1)])
        await store.record([row(0, Outcome.FIRED), row(1, late=7)])  # decided anew, a moment later
        other = await opened()
        assert await other.rows(CRON) == await store.rows(CRON) == [row(1, late=7), row(0, Outcome.FIRED)]
        await store.record([row(1, Outcome.FIRED)])
        assert await other.pending() == []
        await store.close()


@pytest.mark.parametrize("after", [False, True], ids=["the request is lost", "the answer is lost"])
async def test_a_first_record_that_is_lost(after: bool, opened: Opened, api: kubeapi.ApiServer) -> None:
    with kubefaults.proxy(api) as proxy:
        store = await opened(proxy.kubeconfig)
        store.begin()
        lost = kubefaults.Reset(after=after)
        with proxy.during(lost, verb="create", resource="configmaps"), pytest.raises(Unreachable):
            await store.record([row(0)])
        await store.record([row(0, late=1)])
        assert await store.pending() == [row(0, late=1)]
        await store.close()


async def test_a_shard_that_fails_stops_no_other(opened: Opened, api: kubeapi.ApiServer, namespace: str) -> None:
    rows = [row(0, number=number) for number in range(1, 60)]
    bad = shards.shard_of(rows[0].cron)
    with kubefaults.proxy(api) as proxy:
        store = await opened(proxy.kubeconfig)
        store.begin()
        fault = kubefaults.Answer(403)
        with proxy.during(fault, verb="create", resource="configmaps", times=1) as rule, pytest.raises(Refused):
            await store.record(rows)
        assert rule.applied == 1
        others = {shards.shard_of(one.cron) for one in rows}
        assert len(maps(api, namespace)) == len(others) - 1
        await store.record(rows)
        assert len(maps(api, namespace)) == len(others)
        assert bad in others
        await store.close()


async def test_who_may_not_write_writes_nothing(opened: Opened, api: kubeapi.ApiServer, namespace: str) -> None:
    def guard() -> None:
        raise Unreachable("this replica does not lead")

    store = await opened(guard=guard)
    store.begin()
    with pytest.raises(Unreachable, match="does not lead"):
        await store.record([row(0)])
    assert maps(api, namespace) == {}
    assert await store.pending() == []


async def test_many_writers_lose_no_row(opened: Opened) -> None:
    """Not acting, so each reads before it writes: what two write at once is merged."""
    stores = [await opened() for _ in range(3)]

    async def write(number: int) -> None:
        for hour in range(4):
            for _ in range(10):
                try:
                    await stores[number].record([row(10 * number + hour, Outcome.FIRED)])
                    break
                except Unreachable:  # changed by others all the time
                    await asyncio.sleep(0.01)

    await asyncio.gather(*(write(number) for number in range(3)))
    assert len(await stores[0].rows(CRON)) == 12


async def test_a_damaged_entry_costs_its_cron_only(opened: Opened, api: kubeapi.ApiServer, namespace: str) -> None:
    store = await opened()
    await store.record([row(0, Outcome.FIRED)])
    (name,) = maps(api, namespace)
    path = f"/api/v1/namespaces/{namespace}/configmaps/{name}"
    api.call("PATCH", path, {"data": {"broken": "x"}}, "application/merge-patch+json")
    await store.record([row(1, Outcome.FIRED)])
    assert len(await store.rows(CRON)) == 2
    assert maps(api, namespace)[name]["broken"] == "x"


async def test_a_ledger_that_was_deleted_is_made_anew(opened: Opened, api: kubeapi.ApiServer, namespace: str) -> None:
    store = await opened()
    store.begin()
    await store.record([row(0, Outcome.FIRED)])
    (name,) = maps(api, namespace)
    api.call("DELETE", f"/api/v1/namespaces/{namespace}/configmaps/{name}")
    await store.record([row(1)])
    assert await store.pending() == [row(1)]


async def test_two_thousand_crons_stay_within_every_bound(
    opened: Opened, api: kubeapi.ApiServer, namespace: str, record_property: Callable[[str, object], None]
) -> None:
    """2,000 crons with 20 rows and long messages each: what the API server then has, metadata and all."""
    store = await opened()
    store.begin()
    for batch in range(2):  # 24 rows offered
        rows = [
            replace(row(hour, Outcome.FIRED, number), message="ü" * 100, schedule="*/5 * * * *")
            for number in range(1, 2001)
            for hour in range(12 * batch, 12 * batch + 12)
        ]
        await store.record(rows)
    found = api.call("GET", f"/api/v1/namespaces/{namespace}/configmaps?labelSelector=syncd.io/record=ledger")["items"]
    data = [sum(len(text.encode()) for text in item["data"].values()) for item in found]
    whole = [len(str(item).encode()) for item in found]
    kept = [len(text.splitlines()) - 1 for item in found for text in item["data"].values()]
    record_property(
        "said",
        f"ledger of 2,000 crons: {len(found)} ConfigMaps of {min(data)} to {max(data)} bytes of data "
        f"({max(whole)} with metadata), {min(kept)} to {max(kept)} rows a cron",
    )
    assert len(found) == shards.SHARDS
    assert max(data) <= shards.BYTES
    assert max(whole) < 1 << 20
    assert len(kept) == 2000
    newest = await store.latest()
    assert {one.slot for one in newest.values()} == {NOON + timedelta(hours=23)}
