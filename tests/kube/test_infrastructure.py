"""What the other tests of this folder stand on is what it says it is: the server, its accounts, its restarts."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import kubeapi, kubetools
from tests.support.kubeapi import ApiServer, Failed

READ_CONFIGMAPS = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def config_maps(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


def refused(api: ApiServer, path: str, token: str) -> int | None:
    """The status that a request ends with; None = it was answered."""
    try:
        api.call("GET", path, token=token)
    except Failed as error:
        return error.status
    return None


def test_the_server_is_what_go_mod_pins(api: ApiServer) -> None:
    assert api.call("GET", "/version")["gitVersion"] == kubetools.kubernetes_version()


def test_the_tools_are_there_and_a_second_build_does_nothing() -> None:
    for name in (*kubetools.GO_PACKAGES, *kubetools.DEBIAN_PROGRAMS, "kubectl"):
        assert os.access(kubetools.find(name), os.X_OK)
    said: list[str] = []
    started = time.monotonic()
    assert kubetools.build(said.append) == []
    assert said == []
    assert time.monotonic() - started < 0.5


@pytest.mark.parametrize("name", ["helm", "promtool", "prometheus"])
def test_a_program_runs(name: str) -> None:
    flag = "version" if name == "helm" else "--version"
    done = subprocess.run([kubetools.find(name), flag], capture_output=True, text=True, check=True, timeout=30)
    assert "version" in done.stdout + done.stderr


def test_what_is_not_built_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kubetools, "folder", lambda: tmp_path)
    with pytest.raises(kubetools.Missing, match=r"etcd is not built: run `make kube-tools`$"):
        kubetools.find("etcd")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(kubetools.Missing, match="needs Go"):
        kubetools.find("etcd")
    with pytest.raises(kubetools.Missing, match="Debian's package"):
        kubetools.find("promtool")
    assert [line.partition(":")[0] for line in kubetools.build(lambda _: None)] == [
        *kubetools.GO_PACKAGES,
        *kubetools.DEBIAN_PROGRAMS,
    ]


def test_two_that_build_at_once_build_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """pytest-xdist: the second waits for the first, and a program appears whole."""
    compiled: list[str] = []

    def compile_slowly(name: str, target: Path) -> None:
        compiled.append(name)
        (target / name).write_text("half")
        time.sleep(0.5)
        (target / name).write_text("whole")

    monkeypatch.setattr(kubetools, "folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(kubetools, "GO_PACKAGES", {"etcd": "", "helm": ""})
    monkeypatch.setattr(kubetools, "DEBIAN_PROGRAMS", ())
    monkeypatch.setattr(kubetools, "_compile", compile_slowly)
    said: list[str] = []
    builders = [threading.Thread(target=kubetools.build, args=(said.append,)) for _ in range(2)]
    for each in builders:
        each.start()
    for each in builders:
        each.join()
    assert compiled == ["etcd", "helm"]
    assert "another process is building; waiting for it" in said
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == [".lock", "etcd", "helm"]
    assert {path.read_text() for path in (tmp_path / "cache").glob("[eh]*")} == {"whole"}


def test_argos_kinds_are_served(api: ApiServer, namespace: str) -> None:
    body = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "CronWorkflow",
        "metadata": {"name": "a"},
        "spec": {"schedules": ["* * * * *"], "unknown": 1},
    }
    api.call("POST", f"/apis/argoproj.io/v1alpha1/namespaces/{namespace}/cronworkflows", body)
    listed = json.loads(api.kubectl("get", "cronworkflows", "-n", namespace, "-o", "json").stdout)
    assert [item["spec"] for item in listed["items"]] == [body["spec"]]


def test_namespaces_are_fresh(api: ApiServer, namespace: str) -> None:
    other = api.namespace()
    api.call("POST", config_maps(namespace), config_map("mine"))
    assert other != namespace
    assert api.call("GET", config_maps(other))["items"] == []


def test_a_restart_on_the_same_port_keeps_what_was_stored(api: ApiServer, namespace: str) -> None:
    stored = api.call("POST", config_maps(namespace), config_map("kept", a="1"))
    ca = api.ca.read_bytes()
    for etcd in (False, True):
        api.down(etcd)
        with pytest.raises(OSError):
            api.call("GET", "/readyz")
        api.up()
        assert api.call("GET", f"{config_maps(namespace)}/kept") == stored
    assert api.ca.read_bytes() == ca


def test_a_paused_server_takes_connections_and_answers_later(api: ApiServer) -> None:
    pausing = threading.Thread(target=api.pause, args=(1.5,))
    pausing.start()
    time.sleep(0.3)
    started = time.monotonic()
    assert api.call("GET", "/readyz") == "ok"
    assert time.monotonic() - started > 0.8
    pausing.join()


def test_an_account_may_do_what_its_rules_say(api: ApiServer, namespace: str) -> None:
    other = api.namespace()
    here = api.account(namespace, "here", [READ_CONFIGMAPS])
    both = api.account(namespace, "both", [READ_CONFIGMAPS], namespaces=[namespace, other])
    everywhere = api.account(namespace, "everywhere", [READ_CONFIGMAPS], everywhere=True)
    all_of_them = "/api/v1/configmaps"
    may = {
        account.name: [
            refused(api, path, account.token) is None
            for path in (config_maps(namespace), config_maps(other), all_of_them)
        ]
        for account in (here, both, everywhere)
    }
    assert may == {"here": [True, False, False], "both": [True, True, False], "everywhere": [True, True, True]}
    assert refused(api, f"/api/v1/namespaces/{namespace}/secrets", here.token) == 403


def test_a_token_expires(api: ApiServer, namespace: str) -> None:
    account = api.account(namespace, "short", [READ_CONFIGMAPS])
    short, used = api.token_for(account, 2), api.token_for(account, 2)
    assert refused(api, config_maps(namespace), used) is None
    time.sleep(2.5)
    assert refused(api, config_maps(namespace), short) == 401
    limit = time.monotonic() + 12
    while refused(api, config_maps(namespace), used) is None:
        assert time.monotonic() < limit, "an expired token in use is still accepted"
        time.sleep(0.5)
    assert refused(api, config_maps(namespace), account.token) is None


def test_a_kubeconfig_reads_its_token_from_a_file(api: ApiServer, namespace: str, tmp_path: Path) -> None:
    token = tmp_path / "token"
    config = api.write_kubeconfig(tmp_path / "config", token_file=token, namespace=namespace)
    kubectl = ("--kubeconfig", str(config), "get", "configmaps", "-o", "name")
    token.write_text("wrong")
    assert "Unauthorized" in api.kubectl(*kubectl, code=None).stderr
    token.write_text(api.token)
    api.call("POST", config_maps(namespace), config_map("seen"))
    assert api.kubectl(*kubectl).stdout == "configmap/seen\n"


def test_history_is_forgotten(api: ApiServer, namespace: str) -> None:
    """After a compaction and a restart, `continue` from before is 410 Gone, and so is a watch from before."""
    for number in range(3):
        api.call("POST", config_maps(namespace), config_map(f"m{number}"))
    page = api.call("GET", f"{config_maps(namespace)}?limit=1")
    api.call("POST", config_maps(namespace), config_map("later"))
    api.compact()
    api.restart()
    with pytest.raises(Failed) as gone:
        api.call("GET", f"{config_maps(namespace)}?limit=1&continue={page['metadata']['continue']}")
    assert (gone.value.status, gone.value.body["reason"]) == (410, "Expired")
    event = next(watched(api, config_maps(namespace), page["metadata"]["resourceVersion"]))
    assert (event["type"], event["object"]["code"]) == ("ERROR", 410)


def watched(api: ApiServer, path: str, version: str) -> Iterator[Any]:
    """The events of a watch, until the caller goes away."""
    connection = http.client.HTTPSConnection("127.0.0.1", api.port, timeout=20, context=api.trust())
    with contextlib.closing(connection):
        headers = {"Authorization": f"Bearer {api.token}"}
        connection.request("GET", f"{path}?watch=1&resourceVersion={version}", headers=headers)
        for line in connection.getresponse():
            yield json.loads(line)


def test_the_server_counts_requests(api: ApiServer, namespace: str) -> None:
    before = api.requests_total()
    for number in range(3):
        api.call("POST", config_maps(namespace), config_map(f"m{number}"))
    api.call("POST", f"{config_maps(namespace)}?dryRun=All", config_map("dry"))
    api.call("GET", config_maps(namespace))
    after = api.requests_total() - before
    assert after["POST", "configmaps", "201"] == 3
    assert after["DRY-POST", "configmaps", "201"] == 1
    assert after["LIST", "configmaps", "200"] >= 1


def test_the_controllers_collect_what_an_owner_leaves_behind(api: ApiServer, namespace: str) -> None:
    owner = api.call("POST", config_maps(namespace), config_map("owner"))
    child = config_map("child")
    child["metadata"]["ownerReferences"] = [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"], "controller": True}
    ]
    api.call("POST", config_maps(namespace), child)
    with api.controllers():
        api.call("DELETE", f"{config_maps(namespace)}/owner?propagationPolicy=Background")
        limit = time.monotonic() + 60
        while refused(api, f"{config_maps(namespace)}/child", api.token) != 404:
            assert time.monotonic() < limit, api.log("kube-controller-manager")[-2000:]
            time.sleep(0.25)


def test_nothing_outlives_a_process_that_is_killed(tmp_path: Path) -> None:
    """kill -9 of the tests: no server, no folder stays."""
    kubetools.find("kube-apiserver")
    script = (
        "import sys, time; from pathlib import Path; from tests.support import kubeapi\n"
        "with kubeapi.running(Path(sys.argv[1]), crds=None) as api:\n"
        "    print(*api.processes.pids(), flush=True); time.sleep(600)\n"
    )
    own = tmp_path / "own"
    own.mkdir()
    root = Path(__file__).parents[2]
    process = subprocess.Popen([sys.executable, "-c", script, str(own)], stdout=subprocess.PIPE, text=True, cwd=root)
    assert process.stdout is not None
    pids = [int(word) for word in process.stdout.readline().split()]
    assert len(pids) == 2
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    limit = time.monotonic() + 10
    while own.exists() or any(Path(f"/proc/{pid}/fd/0").exists() for pid in pids):
        assert time.monotonic() < limit, f"{pids} still run, or {own} is still there"
        time.sleep(0.1)


def test_a_server_may_be_down_at_first(tmp_path: Path) -> None:
    with kubeapi.running(tmp_path, ready=False) as own:
        with pytest.raises(OSError):
            own.call("GET", "/readyz")
        own.up()
        with pytest.raises(Failed, match="404"):
            own.call("GET", "/apis/argoproj.io/v1alpha1/workflows")
        own.install_crds()
        assert own.call("GET", "/apis/argoproj.io/v1alpha1/workflows")["items"] == []
