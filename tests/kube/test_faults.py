"""Each fault of the proxy is what it says: seen from a client, and from what the server has stored."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import pytest

from tests.support import kubefaults
from tests.support.kubeapi import ApiServer
from tests.support.kubefaults import Answer, Delay, GoneInBand, Proxy, Reset, Silence, Stall

RESET = (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError)


@pytest.fixture
def proxy(api: ApiServer) -> Iterator[Proxy]:
    with kubefaults.proxy(api) as made:
        yield made


class Client:
    """ConfigMaps of one namespace, over the proxy."""

    def __init__(self, proxy: Proxy, namespace: str) -> None:
        trust: ssl.SSLContext = proxy.api.trust()
        self.api = proxy.api
        self.path = f"/api/v1/namespaces/{namespace}/configmaps"
        self.url = proxy.url + self.path
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=trust), headers={"Authorization": f"Bearer {proxy.api.token}"}
        )

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()
        await asyncio.sleep(0.05)  # aiohttp aborts its TLS connections a turn of the loop later

    async def create(self, name: str) -> tuple[int, Any, Any]:
        """(status, body, headers)"""
        async with self.session.post(self.url, json={"metadata": {"name": name}}) as answer:
            return answer.status, await answer.json(), answer.headers

    async def list(self) -> int:
        async with self.session.get(self.url) as answer:
            await answer.read()
            return answer.status

    def stored(self) -> list[str]:
        """What the server has, asked directly."""
        return [item["metadata"]["name"] for item in self.api.call("GET", self.path)["items"]]


@pytest.fixture
async def client(proxy: Proxy, namespace: str) -> Any:
    async with Client(proxy, namespace) as made:
        yield made


async def test_without_rules_everything_passes_and_is_counted(proxy: Proxy, client: Client, namespace: str) -> None:
    assert (await client.create("a"))[0] == 201
    assert await client.list() == 200
    async with client.session.post(f"{client.url}?dryRun=All", json={"metadata": {"name": "dry"}}) as answer:
        assert answer.status == 201
    kubectl = ("--kubeconfig", str(proxy.kubeconfig), "-n", namespace)
    await asyncio.to_thread(proxy.api.kubectl, *kubectl, "apply", "--server-side", "-f", "-", stdin=CONFIG_MAP)
    done = await asyncio.to_thread(proxy.api.kubectl, *kubectl, "get", "configmaps", "-o", "name")
    assert done.stdout.split() == ["configmap/a", "configmap/applied"]
    counts = proxy.counts()
    assert {key: counts[key] for key in EXPECTED_COUNTS} == EXPECTED_COUNTS
    assert {each.namespace for each in proxy.requests if each.resource == "configmaps"} == {namespace}


CONFIG_MAP = '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}}'
EXPECTED_COUNTS = {
    ("create", "configmaps"): 1,
    ("dry-create", "configmaps"): 1,
    ("list", "configmaps"): 2,
    ("apply", "configmaps"): 1,
}


@pytest.mark.parametrize("status", [401, 403, 409, 410, 429, 500, 503])
async def test_a_status_is_answered_and_nothing_is_done(proxy: Proxy, client: Client, status: int) -> None:
    proxy.on(Answer(status), verb="create", resource="configmaps")
    seen, body, _ = await client.create("a")
    assert (seen, body["code"], body["reason"]) == (status, status, kubefaults.REASONS[status])
    assert "a" not in client.stored()


async def test_429_says_when_to_come_back(proxy: Proxy, client: Client) -> None:
    proxy.on(Answer(429, retry_after=7), verb="create")
    status, body, headers = await client.create("a")
    assert (status, headers["Retry-After"], body["details"]["retryAfterSeconds"]) == (429, "7", 7)


async def test_a_rule_takes_the_nth_and_so_many(proxy: Proxy, client: Client) -> None:
    rule = proxy.on(Answer(503), verb="list", resource="configmaps", nth=2, times=2)
    assert [await client.list() for _ in range(5)] == [200, 503, 503, 200, 200]
    assert (rule.matched, rule.applied) == (5, 2)


async def test_a_rule_leaves_others_alone(proxy: Proxy, client: Client) -> None:
    with proxy.during(Answer(403), namespace="another"), proxy.during(Answer(500), path=r"/secrets$"):
        assert await client.list() == 200
    with proxy.during(Answer(403)):
        assert await client.list() == 403
    assert await client.list() == 200
    with pytest.raises(TypeError, match="colour"):
        proxy.on(Answer(500), colour="red")


async def test_a_reset_before_leaves_nothing_done(proxy: Proxy, client: Client) -> None:
    proxy.on(Reset(), verb="create", times=1)
    with pytest.raises(RESET):
        await client.create("a")
    assert "a" not in client.stored()
    assert (await client.create("a"))[0] == 201


async def test_a_reset_after_is_a_lost_answer(proxy: Proxy, client: Client) -> None:
    proxy.on(Reset(after=True), verb="create", times=1)
    with pytest.raises(RESET):
        await client.create("a")
    assert "a" in client.stored()
    status, body, _ = await client.create("a")
    assert (status, body["reason"]) == (409, "AlreadyExists")


@pytest.mark.parametrize("after", [False, True])
async def test_a_stall_never_answers(proxy: Proxy, client: Client, after: bool) -> None:
    with proxy.during(Stall(after), verb="create"):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.create("a"), 1)
        assert await client.list() == 200
    assert ("a" in client.stored()) is after


async def test_a_delay_is_one(proxy: Proxy, client: Client) -> None:
    proxy.on(Delay(0.5), verb="create")
    proxy.on(Answer(503), verb="create", times=1)
    started = time.monotonic()
    assert (await client.create("a"))[0] == 503
    assert 0.5 <= time.monotonic() - started < 2
    assert (await client.create("a"))[0] == 201


class Watch:
    """The events of a watch over the proxy, as they come."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def __aenter__(self) -> Watch:
        self.answer = await self.client.session.get(f"{self.client.url}?watch=true")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.answer.close()

    async def next(self, seconds: float = 5) -> Any:
        """An event; None = the end. Raises TimeoutError."""
        line = await asyncio.wait_for(self.answer.content.readline(), seconds)
        return json.loads(line) if line else None

    async def names(self, count: int) -> list[str]:
        return [(await self.next())["object"]["metadata"]["name"] for _ in range(count)]


async def test_a_watch_passes(proxy: Proxy, client: Client) -> None:
    async with Watch(client) as watch:
        await client.create("a")
        await client.create("b")
        assert await watch.names(2) == ["a", "b"]
        assert proxy.watching("configmaps") == 1
    await asyncio.to_thread(until, lambda: proxy.watching("configmaps") == 0)


def until(holds: Callable[[], bool]) -> None:
    limit = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < limit
        time.sleep(0.02)


async def test_a_watch_is_gone_as_the_server_says_it(proxy: Proxy, client: Client) -> None:
    """In band, the event is the server's own but for the numbers in its message."""
    proxy.on(GoneInBand(), verb="watch", times=1)
    async with Watch(client) as watch:
        assert watch.answer.status == 200
        faked = await watch.next()
        assert await watch.next() is None
    await asyncio.to_thread(client.api.restart)  # it forgets what it had in its cache
    async with client.session.get(f"{client.url}?watch=1&resourceVersion=1") as answer:
        real = json.loads(await asyncio.wait_for(answer.content.readline(), 5))
    for event in (faked, real):
        event["object"]["message"] = event["object"]["message"].partition(":")[0]
    assert faked == real
    proxy.on(Answer(410), verb="watch")
    async with Watch(client) as watch:
        assert watch.answer.status == 410


async def test_a_watch_falls_silent(proxy: Proxy, client: Client) -> None:
    proxy.on(Silence(after_events=1), verb="watch")
    async with Watch(client) as watch:
        await client.create("a")
        await client.create("b")
        assert await watch.names(1) == ["a"]
        with pytest.raises(TimeoutError):
            await watch.next(0.7)


async def test_an_open_watch_is_cut_off_with_everything_else(proxy: Proxy, client: Client) -> None:
    async with Watch(client) as watch:
        await client.create("a")
        assert await watch.names(1) == ["a"]
        with proxy.during(Stall()):
            client.api.call("POST", client.path, {"metadata": {"name": "unseen"}})
            with pytest.raises(TimeoutError):
                await watch.next(0.7)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.list(), 0.3)
        await client.create("b")
        assert await watch.names(1) == ["b"]


async def test_open_watches_are_reset(proxy: Proxy, client: Client) -> None:
    async with Watch(client) as watch:
        await client.create("a")
        assert await watch.names(1) == ["a"]
        assert await asyncio.to_thread(proxy.cut, verb="watch") == 1
        with pytest.raises(RESET):
            await watch.next()


async def test_a_server_that_is_down_is_down_through_the_proxy(proxy: Proxy, client: Client) -> None:
    async with Watch(client) as watch:
        await client.create("a")
        assert await watch.names(1) == ["a"]
        await asyncio.to_thread(client.api.down)
        try:
            with pytest.raises(RESET):
                await watch.next()
            with pytest.raises(RESET):
                await client.list()
        finally:
            await asyncio.to_thread(client.api.up)
    assert await client.list() == 200


async def test_a_token_is_passed_on(proxy: Proxy, client: Client) -> None:
    async with client.session.get(client.url, headers={"Authorization": "Bearer wrong"}) as answer:
        assert answer.status == 401
    assert proxy.requests[-1].status == 401
