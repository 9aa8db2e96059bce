"""The rendered manifests before a real API server: what it takes, what it refuses, and a release from install to uninstall."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.chart.rendering import CHART, GOOD, HERE, helm, objects, text
from tests.support.kubeapi import ApiServer, Failed

pytestmark = pytest.mark.kube

RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
ELSEWHERE = ("ci", "nightly", "team-a")
"""Namespaces that values/*.yaml name."""


@pytest.fixture
def namespace(api: ApiServer) -> str:
    """One where only pods of the standard `restricted` are let in; and those that the values name."""
    name = api.namespace("chart")
    api.call(
        "PATCH", f"/api/v1/namespaces/{name}", {"metadata": {"labels": RESTRICTED}}, "application/merge-patch+json"
    )
    for other in ELSEWHERE:
        try:
            api.call("POST", "/api/v1/namespaces", {"metadata": {"name": other}})
        except Failed as error:
            assert error.status == 409
    return name


@pytest.fixture
def sources(api: ApiServer) -> None:
    """Our CRD, served."""
    api.kubectl("apply", "--server-side", "-f", str(CHART / "crds"))
    api.kubectl("wait", "--for=condition=Established", "crd/sources.syncd.io", "--timeout=30s")
    limit = time.monotonic() + 30
    while api.kubectl("get", "sources.syncd.io", "-A", code=None).returncode:
        assert time.monotonic() < limit
        time.sleep(0.1)


def known(one: dict[str, Any]) -> bool:
    """Whether the server has the kind: the operator of Prometheus is not there."""
    return not one["apiVersion"].startswith("monitoring.coreos.com/")


@pytest.mark.parametrize("values", GOOD)
def test_the_server_takes_every_manifest(values: str, api: ApiServer, namespace: str) -> None:
    """Strictly: unknown and duplicate fields are refused; and without a warning, of pod security for example."""
    manifests = [one for one in objects(values, namespace=namespace) if known(one)]
    done = api.kubectl(
        "apply",
        "--server-side",
        "--dry-run=server",
        "--validate=strict",
        "-f",
        "-",
        stdin=yaml.safe_dump_all(manifests),
    )
    assert done.stdout.count("(server dry run)") == len(manifests) >= 10
    assert done.stderr == ""


def test_pods_are_let_in_where_the_restricted_standard_is_enforced(api: ApiServer, namespace: str) -> None:
    manifests = objects("minimal", namespace=namespace)
    (account,) = [one for one in manifests if one["kind"] == "ServiceAccount"]
    (deployment,) = [one for one in manifests if one["kind"] == "Deployment"]
    api.call("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", account)
    template = deployment["spec"]["template"]
    pod = {"metadata": {"name": "syncd", "labels": template["metadata"]["labels"]}, "spec": template["spec"]}
    path = f"/api/v1/namespaces/{namespace}/pods?dryRun=All&fieldValidation=Strict"
    made = api.call("POST", path, pod)
    assert {"config", "tokens", "state", "tmp"} < {volume["name"] for volume in made["spec"]["volumes"]}
    # the standard is enforced: a pod that asks for more is not let in
    pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    with pytest.raises(Failed, match="violates PodSecurity"):
        api.call("POST", path, pod)


@pytest.fixture
def release(api: ApiServer, namespace: str, sources: None) -> Iterator[tuple[str, str]]:
    """An installed release, and what helm said. Nobody runs its pods here."""
    said = helm(*install(api, namespace, "install"))
    yield namespace, said
    helm("uninstall", "syncd", "--namespace", namespace, "--kubeconfig", str(api.kubeconfig))


def install(api: ApiServer, namespace: str, verb: str, *options: str) -> list[str]:
    values = str(HERE / "values" / "minimal.yaml")
    where = ["--namespace", namespace, "--kubeconfig", str(api.kubeconfig)]
    return [verb, "syncd", str(CHART), *where, "--values", values, *options]


def test_a_release_is_installed_and_keeps_its_token_when_it_is_upgraded(
    api: ApiServer, release: tuple[str, str]
) -> None:
    namespace, _ = release
    path = f"/api/v1/namespaces/{namespace}/secrets/syncd-tokens"
    token = api.call("GET", path)["data"]["tokens"]
    helm(*install(api, namespace, "upgrade", "--set", "replicas=3"))
    assert api.call("GET", path)["data"]["tokens"] == token
    assert api.call("GET", f"/apis/apps/v1/namespaces/{namespace}/deployments/syncd")["spec"]["replicas"] == 3


def test_the_notes_teach_what_to_do_next(api: ApiServer, release: tuple[str, str]) -> None:
    """The commands that need no pod are run as they stand."""
    namespace, said = release
    lines = [line.strip() for line in said.partition("NOTES:\n")[2].splitlines()]
    commands = [line for line in lines if line.startswith(("kubectl ", "syncd --"))]
    assert len(commands) == 7, commands
    assert any("port-forward service/syncd 2746:2746" in line for line in commands)
    assert any(
        line.startswith("syncd --context") and line.endswith(f"--namespace {namespace} status") for line in commands
    )
    api.call(
        "POST",
        f"/apis/syncd.io/v1alpha1/namespaces/{namespace}/sources",
        {"apiVersion": "syncd.io/v1alpha1", "kind": "Source", "metadata": {"name": "jobs"}},
    )
    for line in commands:
        if " sources.syncd.io" in line:
            assert "jobs" in api.kubectl(*line.split()[1:]).stdout
    (secret,) = [line for line in commands if " get secret " in line]
    words = secret.partition(" | ")[0].replace("'", "").split()
    assert len(api.kubectl(*words[1:]).stdout) == 60  # 43 characters in base64


def status(api: ApiServer, namespace: str, name: str, body: dict[str, Any]) -> Any:
    path = f"/apis/syncd.io/v1alpha1/namespaces/{namespace}/sources/{name}/status?fieldManager=syncd&force=true"
    whole = {"apiVersion": "syncd.io/v1alpha1", "kind": "Source", "metadata": {"name": name}, "status": body}
    return api.call("PATCH", path, whole, "application/apply-patch+yaml")


def condition(**more: Any) -> dict[str, Any]:
    return {
        "type": "Ready",
        "status": "True",
        "reason": "Applied",
        "message": "main@sha1:0123 is in force",
        "lastTransitionTime": "2026-01-02T03:04:05Z",
        **more,
    }


def test_kubectl_shows_a_source(api: ApiServer, namespace: str, sources: None) -> None:
    spec = {"url": "https://git.example.org/jobs.git", "ref": "main", "folder": "ci", "interval": "30s"}
    whole = {"apiVersion": "syncd.io/v1alpha1", "kind": "Source", "metadata": {"name": "jobs"}, "spec": spec}
    path = f"/apis/syncd.io/v1alpha1/namespaces/{namespace}/sources/jobs"
    api.call("PATCH", f"{path}?fieldManager=syncd&fieldValidation=Strict", whole, "application/apply-patch+yaml")
    full = {
        "observedRevision": "main@sha1:0124",
        "appliedRevision": "main@sha1:0123",
        "lastContactTime": "2026-01-02T03:04:05Z",
        "lastAppliedTime": "2026-01-02T03:04:05Z",
        "conditions": [condition(observedGeneration=1), condition(type="Stale", status="False")],
        "objects": {"CronWorkflow": 3, "WorkflowTemplate": 12},
        "problems": {"error": 1, "warning": 0},
        "conflicts": 0,
        "held": {"reason": "problems", "message": "a.yaml:3", "revision": "main@sha1:0124"},
    }
    assert status(api, namespace, "jobs", full)["status"] == full
    head, row = api.kubectl("-n", namespace, "get", "sources.syncd.io", "-o", "wide").stdout.splitlines()
    assert head.split() == ["NAME", "READY", "REASON", "REVISION", "OBJECTS", "AGE", "MESSAGE"]
    assert row.split()[:5] == ["jobs", "True", "Applied", "main@sha1:0123", '{"CronWorkflow":3,"WorkflowTemplate":12}']
    api.kubectl("-n", namespace, "wait", "--for=condition=Ready", "source/jobs", "--timeout=5s")
    # conditions are a map by type: who applies one of them changes no other
    status(api, namespace, "jobs", {"conditions": [condition(reason="Held", status="False")]})
    found = api.call("GET", path)["status"]["conditions"]
    assert [(one["type"], one["reason"]) for one in found] == [("Ready", "Held")]


@pytest.mark.parametrize(
    "wrong",
    [
        {"conditions": [condition(status="yes")]},
        {"conditions": [condition(reason="has spaces")]},
        {"conditions": [{"type": "Ready", "status": "True"}]},
        {"conditions": [condition(), condition()]},
        {"objects": {"CronWorkflow": -1}},
        {"lastAppliedTime": "yesterday"},
    ],
    ids=json.dumps,
)
def test_a_status_that_is_none_is_refused(wrong: dict[str, Any], api: ApiServer, namespace: str, sources: None) -> None:
    whole = {"apiVersion": "syncd.io/v1alpha1", "kind": "Source", "metadata": {"name": "a"}}
    api.call("POST", f"/apis/syncd.io/v1alpha1/namespaces/{namespace}/sources", whole)
    with pytest.raises(Failed) as refused:
        status(api, namespace, "a", wrong)
    assert refused.value.status in (400, 422, 500)


def test_the_crd_is_structural(api: ApiServer, sources: None) -> None:
    found = api.call("GET", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/sources.syncd.io")
    conditions = {one["type"]: one["status"] for one in found["status"]["conditions"]}
    assert "NonStructuralSchema" not in conditions
    assert conditions["NamesAccepted"] == "True"


def test_helm_finds_the_crd() -> None:
    assert "name: sources.syncd.io" in text("minimal", "--include-crds")
