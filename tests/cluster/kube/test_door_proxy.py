"""Requests go through the proxy that the environment names, which is looked up once and not before each of them."""

from __future__ import annotations

import pytest
from aiohttp import web

from syncd.app.real import SystemClock
from syncd.base.errors import Unreachable
from syncd.cluster.kube.access import Access
from syncd.cluster.kube.door import open_door

NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return monkeypatch


def kubeconfig(folder, url):
    text = f"""\
apiVersion: v1
kind: Config
current-context: test
contexts: [{{name: test, context: {{cluster: test, user: test}}}}]
clusters: [{{name: test, cluster: {{server: "{url}"}}}}]
users: [{{name: test, user: {{token: secret}}}}]
"""
    path = folder / "kubeconfig"
    path.write_text(text)
    path.chmod(0o600)
    return Access(str(path))


@pytest.fixture
async def proxy():
    """The URL of something that answers every request, and the targets that it was asked for."""
    asked = []

    async def answer(request):
        asked.append(request.raw_path)
        return web.json_response({"kind": "ConfigMap"})

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}", asked
    await runner.cleanup()


async def call(access):
    door = await open_door(access, SystemClock())
    try:
        return await door.call("GET", "/api/v1/namespaces/ci/configmaps/a", what="get a", timeout_seconds=5)
    finally:
        await door.close()


async def test_the_proxy_of_the_environment_is_used(proxy, environment, tmp_path):
    url, asked = proxy
    environment.setenv("HTTP_PROXY", url)
    await call(kubeconfig(tmp_path, "http://cluster.invalid:8080"))
    assert asked == ["http://cluster.invalid:8080/api/v1/namespaces/ci/configmaps/a"]


async def test_a_host_that_wants_no_proxy_is_asked_itself(proxy, environment, tmp_path):
    url, asked = proxy
    environment.setenv("HTTP_PROXY", url)
    environment.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(Unreachable):
        await call(kubeconfig(tmp_path, "http://127.0.0.1:1"))
    assert asked == []


async def test_a_password_in_netrc_does_not_stop_our_token(proxy, environment, tmp_path):
    url, asked = proxy
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ada password secret\n")
    netrc.chmod(0o600)
    environment.setenv("NETRC", str(netrc))
    await call(kubeconfig(tmp_path, url))
    assert asked == ["/api/v1/namespaces/ci/configmaps/a"]
