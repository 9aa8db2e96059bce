"""Credentials: read again when they are refused, impersonated as RBAC says, and never in a message."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from syncd.base.errors import ConfigError, Refused, SyncdError, Unreachable
from syncd.cluster.api import Verb, Write
from syncd.cluster.kube.access import Access, home_namespace
from tests.cluster.kube.conftest import Opened
from tests.support import kubeapi, kubefaults
from tests.support.objects import create, errors, seen, take, template

pytestmark = pytest.mark.kube

RULE = {"apiGroups": ["argoproj.io"], "resources": ["workflowtemplates"], "verbs": ["*"]}


async def test_a_token_that_was_replaced_is_read_again(
    opened: Opened, api: kubeapi.ApiServer, namespace: str, tmp_path: Path
) -> None:
    """Sixteen requests at once find out that the old one is no good; one reading serves them all."""
    account = api.account(namespace, "syncd", [RULE])
    token = tmp_path / "token"
    token.write_text("not-this-one")
    answered: Counter[int] = Counter()
    with kubefaults.proxy(api) as proxy:
        store = await opened(proxy.write_kubeconfig(tmp_path / "config", token_file=token))
        token.write_text(account.token)
        keys = [template(f"t{number}", namespace) for number in range(16)]
        await asyncio.gather(*(create(store, key) for key in keys))
        answered.update(request.status or 0 for request in proxy.requests)
        assert answered[201] == 16
        assert answered[401] <= 16
        await store.close()


async def test_a_token_that_stays_bad_is_asked_with_twice(
    opened: Opened, api: kubeapi.ApiServer, namespace: str, tmp_path: Path, asked: Counter[str]
) -> None:
    token = tmp_path / "token"
    token.write_text("hunter2")
    store = await opened(api.write_kubeconfig(tmp_path / "config", token_file=token))
    for _ in range(3):
        with pytest.raises(Unreachable, match="does not take the credentials") as caught:
            await store.get(template("a", namespace))
        assert "hunter2" not in str(caught.value)
    assert asked["get"] == 4  # once again for the first one; the others came a moment later


async def test_a_watch_gets_in_with_the_new_token(
    opened: Opened, api: kubeapi.ApiServer, namespace: str, tmp_path: Path
) -> None:
    account = api.account(namespace, "syncd", [RULE])
    token = tmp_path / "token"
    token.write_text(account.token)
    store = await opened(api.write_kubeconfig(tmp_path / "config", token_file=token), namespaces=[namespace])
    since = (await store.list("WorkflowTemplate")).version
    token.write_text("bad")
    await store.door._reload(store.door._configuration)
    store.door._reloaded_at = float("-inf")
    waiting = asyncio.create_task(take(store.watch(["WorkflowTemplate"], since), 1))
    await asyncio.sleep(0.2)
    token.write_text(account.token)
    store.door._reloaded_at = float("-inf")
    other = await opened()
    await create(other, template("a", namespace))
    assert seen(await waiting) == [("ADDED", "a")]


async def test_impersonation(opened: Opened, api: kubeapi.ApiServer, namespace: str, tmp_path: Path) -> None:
    """A source may what its user may, no more; and only where syncd may act as that user."""
    elsewhere = api.namespace()
    team = api.account(namespace, "team", [RULE])
    impersonate = {
        "apiGroups": [""],
        "resources": ["serviceaccounts"],
        "verbs": ["impersonate"],
        "resourceNames": ["team"],
    }
    syncd = api.account(namespace, "syncd", [impersonate, RULE], namespaces=[namespace, elsewhere])
    store = await opened(api.write_kubeconfig(tmp_path / "config", token=syncd.token))
    as_team = store.view(user=team.user)
    await create(as_team, template("a", namespace))
    await create(store, template("b", elsewhere))
    refused = [
        Write(Verb.CREATE, template("a", elsewhere), {"spec": {}}),
        Write(Verb.DECLARE, template("a", elsewhere), {"spec": {}}),
        Write(Verb.APPLY, template("b", elsewhere), {"spec": {}}),
        Write(Verb.DELETE, template("b", elsewhere)),
    ]
    assert errors(list(await as_team.write(refused))) == [Refused] * 4
    assert errors(list(await as_team.rehearse(refused))) == [Refused] * 4
    with pytest.raises(Refused, match=team.user):
        await as_team.get(template("b", elsewhere))
    with pytest.raises(Refused, match="cannot impersonate"):
        await store.view(user=f"system:serviceaccount:{namespace}:other").get(template("a", namespace))


async def test_no_token_at_all(opened: Opened, api: kubeapi.ApiServer, namespace: str, tmp_path: Path) -> None:
    config = json.loads(api.write_kubeconfig(tmp_path / "config").read_text())
    config["users"][0]["user"] = {}
    (tmp_path / "config").write_text(json.dumps(config))
    store = await opened(tmp_path / "config")
    with pytest.raises(Refused, match="system:anonymous"):
        await store.get(template("a", namespace))


async def test_a_certificate_of_somebody_else(
    opened: Opened, api: kubeapi.ApiServer, namespace: str, tmp_path: Path
) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl here")
    made = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"]
    files = ["-subj", "/CN=other", "-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "crt")]
    subprocess.run([openssl, *made, *files], check=True, capture_output=True)  # noqa: ASYNC221 - some milliseconds
    store = await opened(api.write_kubeconfig(tmp_path / "config", ca=tmp_path / "crt"))
    with pytest.raises(Unreachable, match="certificate") as caught:
        await store.get(template("a", namespace))
    assert api.token not in str(caught.value)
    assert api.url in str(caught.value)


async def test_nobody_listens(opened: Opened, api: kubeapi.ApiServer, namespace: str, tmp_path: Path) -> None:
    store = await opened(api.write_kubeconfig(tmp_path / "config", url="https://127.0.0.1:1"))
    (written,) = await store.write([Write(Verb.CREATE, template("a", namespace), {"spec": {}})])
    assert isinstance(written.error, Unreachable)
    assert api.token not in str(written.error)


@pytest.mark.parametrize(
    "text",
    [
        "{token: hunter2",
        "users: [{name: test, user: {token: hunter2: x}}]",
        "[]",
        "hunter2",
        "",
        '{"current-context": "hunter2"}',
        '{"current-context": "a", "contexts": [], "users": [], "clusters": []}',
        (
            '{"current-context": "a", "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}], '
            '"clusters": [{"name": "a", "cluster": {"server": "https://x", "certificate-authority": "/nowhere"}}], '
            '"users": [{"name": "a", "user": {"token": "hunter2"}}]}'
        ),
        (
            '{"current-context": "a", "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}], '
            '"clusters": [{"name": "a", "cluster": {"server": "https://x"}}], '
            '"users": [{"name": "a", "user": {"tokenFile": "/nowhere"}}]}'
        ),
    ],
)
async def test_a_kubeconfig_that_cannot_be_read(opened: Opened, tmp_path: Path, text: str) -> None:
    (tmp_path / "config").write_text(text)
    with pytest.raises(SyncdError) as caught:
        await (await opened(tmp_path / "config")).get(template("a"))
    assert isinstance(caught.value, ConfigError | Unreachable)
    assert "token: hunter2" not in str(caught.value)
    if "current-context" not in text or "contexts" not in text:
        with pytest.raises(ConfigError) as caught:
            home_namespace(Access(str(tmp_path / "config")))
        assert "token: hunter2" not in str(caught.value)


async def test_no_kubeconfig(opened: Opened, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no kubeconfig at"):
        await opened(tmp_path / "none")


async def test_what_is_busy_is_asked_again(opened: Opened, api: kubeapi.ApiServer, namespace: str) -> None:
    with kubefaults.proxy(api) as proxy:
        store = await opened(proxy.kubeconfig)
        proxy.on(kubefaults.Answer(429, retry_after=1), verb="create", times=2)
        await create(store, template("a", namespace))
        assert proxy.counts()["create", "workflowtemplates"] == 3
        proxy.on(kubefaults.Answer(429, retry_after=30), verb="create", times=1)
        with pytest.raises(Unreachable) as caught:
            await create(store, template("b", namespace))
        assert caught.value.retry_after_seconds == 30
        await store.close()


async def test_the_clocks_are_compared(opened: Opened, namespace: str) -> None:
    store = await opened()
    assert store.door.skew_seconds is None
    await store.list("WorkflowTemplate", namespace)
    assert store.door.skew_seconds is not None
    assert abs(store.door.skew_seconds) < 2
