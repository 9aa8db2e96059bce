"""What sources own, as ConfigMaps: names, sizes, who reads when, and who may write."""

from __future__ import annotations

import secrets
from collections import Counter
from typing import Any

import pytest

from syncd.base.errors import Conflict, Unreachable, Unsupported
from tests.cluster.kube.conftest import Opened
from tests.support import kubeapi, kubefaults

pytestmark = pytest.mark.kube


def maps(api: kubeapi.ApiServer, namespace: str) -> dict[str, dict[str, Any]]:
    found = api.call("GET", f"/api/v1/namespaces/{namespace}/configmaps?labelSelector=syncd.io/record=inventory")
    return {item["metadata"]["name"]: item for item in found["items"]}


async def test_each_record_has_a_map_of_its_own(opened: Opened, api: kubeapi.ApiServer, namespace: str) -> None:
    names = [
        "app",
        "app/objects/1d",
        "app.objects.1d",
        "app-objects-1d",
        "App",
        "ü",
        "/",
        "..",
        "-a",
        "a" * 400,
        "a" * 399,
    ]
    store = await opened()
    for name in names:
        await store.save_inventory(name, {"of": name})
    assert len(maps(api, namespace)) == len(names)
    assert await store.inventories() == sorted(names)
    for name in names:
        assert await store.inventory(name) == {"of": name}
    assert {"syncd-inventory-app", "syncd-inventory-app.objects.1d"} <= set(maps(api, namespace))
    for name in names:
        await store.forget_inventory(name)
    assert maps(api, namespace) == {}


async def test_a_large_record_is_compressed(opened: Opened, api: kubeapi.ApiServer, namespace: str) -> None:
    """And plain again when it is small; there is never a plain and a compressed one at once."""
    store = await opened()
    large = {"objects": [{"name": f"workflow-{number}", "spec": "x" * 100} for number in range(20_000)]}
    for record in ({"small": 1}, large, {"small": 2}, large):
        await store.save_inventory("app", record)
        (found,) = maps(api, namespace).values()
        assert ("record" in found["data"]) is (record is not large)
        assert ("record.gz" in found.get("binaryData", {})) is (record is large)
        assert await store.inventory("app") == record
        assert await (await opened()).inventory("app") == record


async def test_a_record_that_is_too_large_says_what_to_do(opened: Opened) -> None:
    store = await opened()
    store.begin()
    await store.save_inventory("app", {"a": 1})
    with pytest.raises(Unsupported, match="split the source"):
        await store.save_inventory("app", {"noise": secrets.token_hex(1_500_000)})
    assert await store.inventory("app") == {"a": 1}


async def test_a_leader_reads_once(opened: Opened, asked: Counter[str]) -> None:
    store = await opened()
    store.begin()
    assert await store.inventories() == []
    asked.clear()
    assert await store.inventory("app") is None
    for number in range(3):
        await store.save_inventory("app", {"n": number})
        assert await store.inventory("app") == {"n": number}
    assert asked == {"create": 1, "patch": 2}
    store.end()
    assert await store.inventory("app") == {"n": 2}
    assert asked["get"] == 1


async def test_a_stale_leader_is_refused(opened: Opened) -> None:
    one, two = await opened(), await opened()
    one.begin()
    two.begin()
    await one.save_inventory("app", {"n": 1})
    assert await two.inventory("app") == {"n": 1}
    await two.save_inventory("app", {"n": 2})
    with pytest.raises(Conflict, match=r"another replica|has been modified"):
        await one.save_inventory("app", {"n": 3})
    assert await one.inventory("app") == {"n": 2}  # read again
    await one.save_inventory("app", {"n": 4})
    assert await (await opened()).inventory("app") == {"n": 4}


async def test_two_that_make_the_first_one(opened: Opened) -> None:
    one, two = await opened(), await opened()
    for store in (one, two):
        store.begin()
        await store.inventories()
    await one.save_inventory("app", {"n": 1})
    assert await two.inventory("app") is None
    with pytest.raises(Conflict):
        await two.save_inventory("app", {"n": 2})
    assert await two.inventory("app") == {"n": 1}


async def test_a_lost_answer_leaves_nothing_believed(opened: Opened, api: kubeapi.ApiServer) -> None:
    with kubefaults.proxy(api) as proxy:
        store = await opened(proxy.kubeconfig)
        store.begin()
        await store.inventories()
        with proxy.during(kubefaults.Reset(after=True), verb="create"), pytest.raises(Unreachable):
            await store.save_inventory("app", {"n": 1})
        assert await store.inventory("app") == {"n": 1}
        await store.save_inventory("app", {"n": 2})
        assert await store.inventory("app") == {"n": 2}
        await store.close()


async def test_what_was_handed_in_may_change_afterwards(opened: Opened) -> None:
    store = await opened()
    store.begin()
    record = {"owned": ["a"]}
    await store.save_inventory("app", record)
    record["owned"].append("b")
    assert await store.inventory("app") == {"owned": ["a"]}


async def test_a_damaged_record_says_what_to_do(opened: Opened, api: kubeapi.ApiServer, namespace: str) -> None:
    store = await opened()
    await store.save_inventory("app", {"a": 1})
    path = f"/api/v1/namespaces/{namespace}/configmaps/syncd-inventory-app"
    api.call("PATCH", path, {"data": {"record": "{"}}, "application/merge-patch+json")
    with pytest.raises(Unsupported, match="restore it, or delete it"):
        await store.inventory("app")


async def test_installations_do_not_see_each_other(opened: Opened) -> None:
    one, two = await opened(name="one"), await opened(name="two")
    await one.save_inventory("app", {"of": 1})
    await two.save_inventory("app", {"of": 2})
    assert (await one.inventory("app"), await two.inventory("app")) == ({"of": 1}, {"of": 2})
    await one.forget_inventory("app")
    assert (await one.inventories(), await two.inventories()) == ([], ["app"])
