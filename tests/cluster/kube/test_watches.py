"""Watches on a real API server: what happens to servers and connections loses nothing and doubles nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from syncd.argo import manifest
from syncd.argo.manifest import Key
from syncd.base.errors import Expired, Refused, Unsupported
from syncd.cluster.api import Changed, Store
from syncd.cluster.kube.channel import Pulse
from tests.cluster.kube.conftest import Opened
from tests.support import kubeapi, kubefaults, kubestore
from tests.support.objects import create, delete, seen, take, template, workflow

pytestmark = pytest.mark.kube


async def version_of(store: Store, *kinds: str) -> str:
    """A place from which these can be watched, also right after a start of the server: until a kind is asked for the first
    time, there is no history of it, and versions from before are Expired."""
    for kind in kinds:
        await store.list(kind, limit=1)
    return (await store.list(kinds[0] if kinds else "Workflow", limit=1)).version


class Mirror:
    """What a loop knows of some kinds: lists, watches, and lists again where it must. Each change must be news."""

    def __init__(self, store: Store, *kinds: str) -> None:
        self.store = store
        self.kinds = kinds
        self.versions: dict[Key, int] = {}
        self.changes = 0
        self.lists = 0

    async def run(self) -> None:
        while True:
            self.lists += 1
            since = await version_of(self.store, *self.kinds)
            found = [item for kind in self.kinds for item in (await self.store.list(kind)).items]
            self.versions = {manifest.key_of(item): int(item["metadata"]["resourceVersion"]) for item in found}
            listed = dict(self.versions)
            try:
                async for change in self.store.watch(self.kinds, since):
                    version = int(change.version)
                    if version > listed.get(change.key, 0):
                        assert version > self.versions.get(change.key, 0)
                        self.changes += 1
                    if change.kind == "DELETED":
                        self.versions.pop(change.key, None)
                    else:
                        self.versions[change.key] = version
            except Expired:
                continue

    async def knows(self, expected: set[Key]) -> None:
        async with asyncio.timeout(20):
            while set(self.versions) != expected:  # noqa: ASYNC110
                await asyncio.sleep(0.05)


def of(changes: list[Changed], namespace: str) -> list[tuple[str, str]]:
    return seen([change for change in changes if change.key.namespace == namespace])


async def test_the_server_ends_the_stream(opened: Opened, namespace: str) -> None:
    """Every second; followers do not notice."""
    restarts: Counter[str] = Counter()

    def restarted(kind: str, reason: str) -> None:
        restarts[reason] += 1

    store = await opened(namespaces=[namespace], pulse=Pulse(lasts_seconds=1), restarted=restarted)
    changes = store.watch(["Workflow"], await version_of(store))
    following = asyncio.create_task(take(changes, 30))
    for number in range(30):
        await create(store, workflow(f"w{number}", namespace))
        await asyncio.sleep(0.1)
    assert seen(await following) == [("ADDED", f"w{number}") for number in range(30)]
    assert restarts["ended"] >= 2
    assert set(restarts) == {"ended"}


async def test_a_restart_of_the_server_loses_and_doubles_nothing(
    opened: Opened, api: kubeapi.ApiServer, namespace: str
) -> None:
    """A kind that nothing happened to for a while is Expired by a restart: its followers list again."""
    store = await opened(namespaces=[namespace], pulse=Pulse(silence_seconds=5))
    mirror = Mirror(store, "Workflow", "WorkflowTemplate")
    following = asyncio.create_task(mirror.run())
    known = {workflow("before", namespace), template("before", namespace)}
    for key in sorted(known):
        await create(store, key)
    await mirror.knows(known)
    for name in ("after", "later"):
        await asyncio.to_thread(api.restart)
        more = {workflow(name, namespace), template(name, namespace)}
        for key in sorted(more):
            await create(store, key)
        known |= more
        await mirror.knows(known)
    await asyncio.to_thread(api.restart)
    for key in sorted(known):
        await delete(store, key)
    await mirror.knows(set())
    assert not following.done()
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def test_a_version_that_was_compacted_away_is_expired(
    opened: Opened, api: kubeapi.ApiServer, namespace: str
) -> None:
    store = await opened(namespaces=[namespace])
    old = await version_of(store)
    page_of = await _paged(store, namespace)
    await create(store, workflow("a", namespace))
    api.compact()
    await asyncio.to_thread(api.restart)
    with pytest.raises(Expired):
        await take(store.watch(["Workflow"], old), 1)
    with pytest.raises(Expired):
        await store.list("WorkflowTemplate", limit=1, after=page_of)
    changes = store.watch(["Workflow"], await version_of(store))
    waiting = asyncio.create_task(take(changes, 1))
    await create(store, workflow("b", namespace))
    assert seen(await waiting) == [("ADDED", "b")]


async def _paged(store: Store, namespace: str) -> str:
    for name in "ab":
        await create(store, template(name, namespace))
    return (await store.list("WorkflowTemplate", limit=1)).after


async def test_followers_share_one_stream(opened: Opened, api: kubeapi.ApiServer, namespace: str) -> None:
    with kubefaults.proxy(api) as proxy:
        store = await opened(proxy.kubeconfig, namespaces=[namespace])
        since = await version_of(store)
        followers = [asyncio.create_task(take(store.watch(["Workflow"], since), 3)) for _ in range(5)]
        for number in range(3):
            await create(store, workflow(f"w{number}", namespace))
        first, *others = await asyncio.gather(*followers)
        assert all(other == first for other in others)
        assert seen(first) == [("ADDED", "w0"), ("ADDED", "w1"), ("ADDED", "w2")]
        assert proxy.counts()["watch", "workflows"] == 1
        await store.close()
        for _ in range(50):
            if not proxy.watching("workflows"):
                break
            await asyncio.sleep(0.1)
        assert proxy.watching("workflows") == 0


async def test_a_stream_ends_with_its_last_follower(opened: Opened, api: kubeapi.ApiServer, namespace: str) -> None:
    with kubefaults.proxy(api) as proxy:
        store = await opened(proxy.kubeconfig, namespaces=[namespace])
        changes = store.watch(["Workflow"], await version_of(store))
        await create(store, workflow("a", namespace))
        await take(changes, 1)
        assert proxy.watching("workflows") == 1
        await changes.aclose()  # type: ignore[attr-defined]
        for _ in range(50):
            if not proxy.watching("workflows"):
                break
            await asyncio.sleep(0.1)
        assert proxy.watching("workflows") == 0
        await store.close()


async def test_a_stream_that_silently_stalls_is_begun_again(
    opened: Opened, api: kubeapi.ApiServer, namespace: str
) -> None:
    restarts: list[str] = []
    with kubefaults.proxy(api) as proxy:
        pulse = Pulse(silence_seconds=1)
        told = lambda kind, reason: restarts.append(reason)  # noqa: E731
        store = await opened(proxy.kubeconfig, namespaces=[namespace], pulse=pulse, restarted=told)
        proxy.on(kubefaults.Silence(), verb="watch", times=1)
        changes = store.watch(["Workflow"], await version_of(store))
        following = asyncio.create_task(take(changes, 2))
        await create(store, workflow("a", namespace))
        await create(store, workflow("b", namespace))
        assert seen(await following) == [("ADDED", "a"), ("ADDED", "b")]
        assert restarts[0] == "stalled"
        await store.close()


async def test_connections_that_are_cut_lose_nothing(opened: Opened, api: kubeapi.ApiServer, namespace: str) -> None:
    with kubefaults.proxy(api) as proxy:
        store = await opened(proxy.kubeconfig, namespaces=[namespace])
        changes = store.watch(["Workflow"], await version_of(store))
        following = asyncio.create_task(take(changes, 9))
        for number in range(9):
            await create(store, workflow(f"w{number}", namespace))
            if number % 3 == 2:
                proxy.cut(verb="watch")
        assert seen(await following) == [("ADDED", f"w{number}") for number in range(9)]
        await store.close()


async def test_410_inside_the_stream_is_expired(opened: Opened, api: kubeapi.ApiServer, namespace: str) -> None:
    with kubefaults.proxy(api) as proxy:
        store = await opened(proxy.kubeconfig, namespaces=[namespace])
        proxy.on(kubefaults.GoneInBand(), verb="watch", times=1)
        with pytest.raises(Expired):
            await take(store.watch(["Workflow"], await version_of(store)), 1)
        await store.close()


async def test_a_version_of_the_future_is_expired(opened: Opened, namespace: str) -> None:
    store = await opened(namespaces=[namespace], pulse=Pulse(silence_seconds=1))
    with pytest.raises(Expired, match="list again"):
        await take(store.watch(["Workflow"], "99999999"), 1)


async def test_several_namespaces(opened: Opened, api: kubeapi.ApiServer, namespace: str) -> None:
    """Only those that are named are listed and watched; pages go over all of them."""
    second, third = api.namespace(), api.namespace()
    everywhere = await opened()
    store = await opened(namespaces=[second, namespace])
    changes = store.watch(["WorkflowTemplate"], await version_of(store, "WorkflowTemplate"))
    following = asyncio.create_task(take(changes, 4))
    for place in (namespace, third, second):
        for name in "ab":
            await create(everywhere, template(name, place))
    found = await following
    assert of(found, namespace) == of(found, second) == [("ADDED", "a"), ("ADDED", "b")]
    expected = [(place, name) for place in sorted([namespace, second]) for name in "ab"]
    for limit in (None, 1, 2, 3, 4):
        names, after = [], ""
        while True:
            page = await store.list("WorkflowTemplate", limit=limit, after=after)
            names += [(item["metadata"]["namespace"], item["metadata"]["name"]) for item in page.items]
            after = page.after
            if not after:
                break
        assert names == expected
    assert len((await store.list("WorkflowTemplate", third)).items) == 2


async def test_what_is_not_installed_or_not_allowed(
    opened: Opened, api: kubeapi.ApiServer, namespace: str, tmp_path: Path
) -> None:
    rule = {"apiGroups": ["argoproj.io"], "resources": ["workflows"], "verbs": ["list", "get"]}
    account = api.account(namespace, "reader", [rule])
    store = await opened(api.write_kubeconfig(tmp_path / "few", token=account.token), namespaces=[namespace])
    since = await version_of(store)
    with pytest.raises(Refused, match="cannot watch"):
        await take(store.watch(["Workflow"], since), 1)
    with pytest.raises(Refused, match="cannot list"):
        await store.list("WorkflowTemplate")
    assert set(await store.missing(["Workflow", "WorkflowTemplate"])) == {"WorkflowTemplate"}


async def test_a_cluster_without_argo() -> None:
    """Each way to find out says what to install; with the CRDs the same store works."""
    kubestore.server()  # skips where there are no programs
    with kubeapi.running(crds=None) as bare:
        store = await kubestore.opened(bare.kubeconfig, "default")
        words = "install Argo Workflows' CRDs"
        for kind in ("Workflow", "ClusterWorkflowTemplate"):
            with pytest.raises(Unsupported, match=words):
                await take(store.watch([kind], "1"), 1)
            with pytest.raises(Unsupported, match=words):
                await store.list(kind)
        with pytest.raises(Unsupported, match=words):
            await create(store, workflow("a", "default"))
        with pytest.raises(Unsupported, match=words):
            await store.get(workflow("a", "default"))
        with pytest.raises(Unsupported, match="charts/syncd/crds"):
            await take(store.watch(["Source"], "1"), 1)
        assert set(await store.missing(["Workflow", "ConfigMap"])) == {"Workflow"}
        await asyncio.to_thread(bare.install_crds)
        await create(store, workflow("a", "default"))
        await store.close()


async def test_a_watch_may_be_of_any_kind_that_is_known(opened: Opened, api: kubeapi.ApiServer, namespace: str) -> None:
    store = await opened(namespaces=[namespace])
    changes = store.watch(["ConfigMap", "Job"], await version_of(store, "ConfigMap", "Job"))
    following = asyncio.create_task(take(changes, 2))
    await create(store, Key("ConfigMap", namespace, "a"), {"data": {"x": "1"}})
    pod = {"restartPolicy": "Never", "containers": [{"name": "a", "image": "b"}]}
    await create(store, Key("Job", namespace, "b"), {"spec": {"template": {"spec": pod}}})
    assert sorted(seen(await following)) == [("ADDED", "a"), ("ADDED", "b")]
