"""Which cluster a command means, which namespace, and what it says of what a cluster has not. No cluster is asked."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

import pytest

from syncd.base.errors import ConfigError
from syncd.cli import clusters, main, reach
from syncd.config.model import Mode
from tests.cli.conftest import Call

IN_CLUSTER = """\
mode: kubernetes
kubernetes: {context: of-the-file, namespace: syncd, lease: {name: other}}
sources: [{name: jobs, url: "https://git.example/jobs.git"}]
"""


@pytest.fixture(autouse=True)
def contexts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kubeconfig of three contexts, as $KUBECONFIG."""
    for name in ("SYNCD_CONTEXT", "SYNCD_SYSTEM_NAMESPACE", "SYNCD_MODE", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    named = {"prod": "data", "dev": "", "of-the-file": "of-the-file"}
    cluster = {"cluster": "c", "user": "u"}
    found = [
        {"name": name, "context": {**cluster, **({"namespace": space} if space else {})}}
        for name, space in named.items()
    ]
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "prod",
        "contexts": found,
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(config))
    monkeypatch.setenv("KUBECONFIG", str(path))
    return path


def parsed(*words: str) -> Namespace:
    return main.build("list").parse_args(list(words))


@pytest.mark.parametrize(
    ("words", "env", "context"),
    [
        ("", {}, None),
        ("--context prod", {}, "prod"),
        ("", {"SYNCD_CONTEXT": "dev"}, "dev"),
        ("--context prod", {"SYNCD_CONTEXT": "dev"}, "prod"),
        ("--context prod", {"SYNCD_SERVER": "http://127.0.0.1:2"}, "prod"),
        ("", {"SYNCD_CONTEXT": "dev", "SYNCD_SERVER": "http://127.0.0.1:2"}, None),
        ("--server http://127.0.0.1:2 --context prod", {}, None),
        ("--state /tmp/x", {"SYNCD_CONTEXT": "dev"}, None),
        ("", {"SYNCD_CONFIG": "{file}"}, "of-the-file"),
        ("--config {file}", {}, "of-the-file"),
        ("--config {file} --context prod", {}, "prod"),
        ("--config {file} --kubeconfig {kubeconfig}", {}, ""),
        ("--kubeconfig {kubeconfig}", {}, ""),
        ("--config {embedded}", {}, None),
        ("--config {embedded} --context dev", {}, "dev"),
    ],
)
def test_which_cluster_is_meant(
    words: str,
    env: dict[str, str],
    context: str | None,
    tmp_path: Path,
    contexts: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "cluster.yaml").write_text(IN_CLUSTER)
    (tmp_path / "embedded.yaml").write_text("parallelism: 2\n")
    names = {"file": tmp_path / "cluster.yaml", "embedded": tmp_path / "embedded.yaml", "kubeconfig": contexts}
    for name, value in env.items():
        monkeypatch.setenv(name, value.format(**names))
    found = clusters.chosen(parsed(*words.format(**names).split()))
    assert (found.kubernetes.context if found is not None else None) == context
    assert found is None or found.mode is Mode.KUBERNETES


def test_the_configuration_says_where_the_installation_is_and_options_go_over_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "c.yaml").write_text(IN_CLUSTER)
    monkeypatch.setenv("SYNCD_CONFIG", str(tmp_path / "c.yaml"))

    def home(*words: str) -> tuple[str, str]:
        found = clusters.chosen(parsed(*words))
        assert found is not None
        assert [source.name for source in found.sources] == ["jobs"]
        return found.kubernetes.namespace, found.kubernetes.lease.name

    assert home() == ("syncd", "other")
    monkeypatch.setenv("SYNCD_SYSTEM_NAMESPACE", "mine")
    assert home() == ("mine", "other")
    assert home("--system-namespace", "this", "--installation", "blue") == ("this", "blue")


@pytest.mark.parametrize(
    ("words", "env", "namespace"),
    [
        ("--context prod", {}, "data"),
        ("--context dev", {}, "default"),
        ("--kubeconfig {kubeconfig}", {}, "data"),
        ("--context prod -n other", {}, "other"),
        ("--context prod", {"ARGO_NAMESPACE": "argo"}, "argo"),
        ("--context prod -A", {}, ""),
        ("", {}, "default"),
    ],
)
def test_the_namespace_is_that_of_the_context(
    words: str, env: dict[str, str], namespace: str, contexts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert reach.namespace(parsed(*words.format(kubeconfig=contexts).split())) == namespace


def test_a_context_that_is_not_there_is_said_with_those_that_are(call: Call) -> None:
    with pytest.raises(ConfigError):
        reach.namespace(parsed("--context", "nope"))
    said = call("list", "--context", "nope")
    assert (said.code, said.out) == (2, "")
    assert said.err == "syncd: error: the kubeconfig has no context 'nope'; known: prod, dev, of-the-file\n"


def test_no_kubeconfig_and_a_broken_one(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = call("list", "--kubeconfig", str(tmp_path / "nix"))
    assert said.code == 2
    assert f"no kubeconfig at {tmp_path / 'nix'}" in said.err
    (tmp_path / "broken").write_text("{")
    said = call("list", "--kubeconfig", str(tmp_path / "broken"))
    assert said.code == 2
    assert "kubeconfig cannot be read" in said.err


def test_a_server_that_does_not_answer(call: Call) -> None:
    for words in ("list", "status", "logs x", "cron trigger x", "plan . --source-name x"):
        said = call(*words.split(), "--context", "prod")
        assert (said.code, said.out) == (3, ""), words
        assert "the API server http://127.0.0.1:1 cannot be reached" in said.err, words
    said = call("doctor", "--context", "prod")
    assert said.code == 1
    assert said.lines[0].startswith("✖ API server: ")
    assert "kubectl get namespaces" in said.out


@pytest.mark.parametrize(
    ("words", "instead"),
    [
        ("backup x.db", "etcd snapshots, Velero"),
        ("reload", "kubectl edit configmap"),
        ("up .", "helm install syncd"),
        ("token", "rights are those of the kubeconfig"),
    ],
)
def test_what_a_cluster_has_not_says_what_to_do_instead(words: str, instead: str, call: Call) -> None:
    said = call(*words.split(), "--context", "prod")
    assert said.code == 2
    assert instead in said.err


def test_a_dry_run_by_the_server_wants_a_cluster(call: Call) -> None:
    said = call("plan", ".", "--dry-run=server")
    assert said.code == 2
    assert "--context NAME" in said.err


def test_every_command_takes_a_context() -> None:
    for name in main.COMMANDS:
        options = main.build(name)._option_string_actions
        assert {"--context", "--kubeconfig", "--system-namespace", "--installation", "--config"} <= options.keys(), name
