"""Who owns a field on a real API server, and that ignored fields and the marks of the scheduler survive its apply."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from syncd.argo import labels, manifest
from syncd.plan import compare, desired, drift, owners
from syncd.plan import plan as planning
from tests.kube.test_gitops import ARGO, FILES, House, crd, cron, house, template
from tests.support import kubeapi
from tests.support.replicas import config_of, replicas, until
from tests.support.repository import Repository

__all__ = ["crd", "house"]  # fixtures

CRON_JOB = {
    "apiVersion": "batch/v1",
    "kind": "CronJob",
    "metadata": {"name": "nightly"},
    "spec": {
        "schedule": "0 3 * * *",
        "jobTemplate": {
            "spec": {
                "template": {
                    "spec": {
                        "restartPolicy": "Never",
                        "containers": [
                            {"name": "a", "image": "busybox:1"},
                            {"name": "b", "image": "busybox:1", "ports": [{"containerPort": 80, "protocol": "TCP"}]},
                        ],
                    }
                }
            }
        },
    },
}
CONTAINERS = ("spec", "jobTemplate", "spec", "template", "spec", "containers")


def applied(api: kubeapi.ApiServer, namespace: str, body: dict[str, Any], manager: str = "syncd") -> None:
    arguments = ("-n", namespace, "apply", "--server-side", f"--field-manager={manager}", "-f", "-")
    api.kubectl(*arguments, stdin=json.dumps(body))


def cron_job(api: kubeapi.ApiServer, namespace: str) -> dict[str, Any]:
    return api.call("GET", f"/apis/batch/v1/namespaces/{namespace}/cronjobs/nightly")


def test_a_field_of_one_container_among_several_names_who_set_it(api: kubeapi.ApiServer, namespace: str) -> None:
    """The API server names items of a list by their keys; the difference names them by their place."""
    applied(api, namespace, CRON_JOB)
    api.kubectl("-n", namespace, "set", "image", "cronjob/nightly", "b=evil")
    live = cron_job(api, namespace)
    paths = compare.paths(CRON_JOB, live)
    assert paths == ((*CONTAINERS, 1, "image"),)  # nothing that the server has filled in
    told = drift.of(live, CRON_JOB, paths)
    assert told.by == "kubectl-set"
    assert told.since is not None
    assert [owner.manager for owner in owners.of(live, (*CONTAINERS, 0, "image"), CRON_JOB)] == ["syncd"]
    assert [owner.manager for owner in owners.of(live, (*CONTAINERS, 1, "ports", 0), CRON_JOB)] == ["syncd"]
    assert drift.conflict(live, CRON_JOB, paths) == ""


SPEC = CRON_JOB["spec"]["jobTemplate"]["spec"]["template"]["spec"]
ELABORATE = {
    "volumes": [{"name": "c", "configMap": {"name": "x"}}, {"name": "h", "hostPath": {"path": "/x"}}],
    "containers": [
        {
            "name": "a",
            "image": "busybox",
            "ports": [{"containerPort": 80}],
            "tty": False,
            "env": [
                {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "B", "value": ""},
            ],
            "resources": {"limits": {"cpu": "0.5", "memory": "1024Mi"}},
            "livenessProbe": {"httpGet": {"port": 80}},
        }
    ],
}


def test_what_the_server_makes_of_an_object_is_no_drift(api: kubeapi.ApiServer, namespace: str) -> None:
    """Defaults, quantities in another form, empty values that are dropped, a Secret in plain text."""
    elaborate: dict[str, Any] = json.loads(json.dumps(CRON_JOB))
    elaborate["spec"]["jobTemplate"]["spec"]["template"]["spec"] = {**SPEC, **ELABORATE}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": "b"}}
    kinds = frozenset({"CronJob", "Secret"})
    policy = planning.Policy("jobs", "main@sha1:" + "a" * 40, "a" * 40, kinds=kinds)
    for body, path in ((elaborate, "/apis/batch/v1/{}/cronjobs/nightly"), (secret, "/api/v1/{}/secrets/s")):
        key = manifest.key_of(body, namespace)
        wanted = {key: desired.desired(manifest.Manifest(key, body, manifest.Origin("a.yaml")), namespace)}
        (made,) = planning.plan(wanted, {}, frozenset(), policy).changes
        assert made.body is not None
        applied(api, namespace, made.body)
        live = api.call("GET", path.format(f"namespaces/{namespace}"))
        (fate,) = planning.plan(wanted, {key: live}, {key}, policy).changes
        assert (fate.verb, fate.reason) == (planning.Verb.KEEP, "unchanged"), [str(one) for one in fate.diff]


def test_a_field_that_another_tool_declares_is_told_from_one_that_it_changed(
    api: kubeapi.ApiServer, namespace: str
) -> None:
    applied(api, namespace, CRON_JOB)
    theirs = {**CRON_JOB, "spec": {**CRON_JOB["spec"], "schedule": "0 4 * * *"}}
    arguments = ("apply", "--server-side", "--field-manager=argocd", "--force-conflicts", "-f", "-")
    api.kubectl("-n", namespace, *arguments, stdin=json.dumps(theirs))
    live = cron_job(api, namespace)
    paths = compare.paths(CRON_JOB, live)
    assert drift.conflict(live, CRON_JOB, paths).startswith("spec.schedule is declared by argocd since ")
    assert {owner.manager for owner in owners.of(live, (*CONTAINERS, 0, "image"), CRON_JOB)} == {"syncd", "argocd"}


def test_the_claims_of_a_tool_that_is_gone_can_be_taken_away(house: House) -> None:
    """As docs/sources.md says. Then git's word counts again, at once."""
    theirs = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "WorkflowTemplate",
        "metadata": {"name": "base", "namespace": house.namespace},
        "spec": {"entrypoint": "other", "templates": [{"name": "other", "container": {"image": "theirs:1"}}]},
    }
    arguments = ("apply", "--server-side", "--field-manager=argocd", "--force-conflicts", "-f", "-")
    house.api.kubectl(*arguments, stdin=json.dumps(theirs))
    until(lambda: house.status().get("conflicts") == 1, 30, lambda: house.tell("a conflict is shown"))
    stripped = '{"metadata": {"managedFields": [{}]}}'
    house.kubectl("patch", "workflowtemplate", "base", "--type=merge", "-p", stripped)
    base = lambda: house.object("workflowtemplates", "base")["spec"]["entrypoint"]  # noqa: E731
    until(lambda: base() == "main", 30, lambda: house.tell("git's word counts"))
    until(lambda: not house.status().get("conflicts"), 30, lambda: house.tell("no conflict is left"))


@pytest.mark.usefixtures("crd")
def test_ignored_fields_and_the_scheduler_of_a_cron(api: kubeapi.ApiServer, namespace: str, tmp_path: Path) -> None:
    """Others' values survive a commit that changes the object; syncd → argo → syncd rewrites the marks and nothing else."""
    repository = Repository(tmp_path / "jobs")
    blue = f"  labels: {{{labels.INSTANCE_ID}: blue}}"
    revision = repository.commit({**FILES, "nightly.yaml": cron("nightly", labels=blue)}, "begin")
    source = {"name": "jobs", "path": str(repository.path), "namespace": namespace, "interval": "1s"}
    source["ignore"] = {
        "WorkflowTemplate": ["spec.parallelism", "metadata.labels.team"],
        "CronWorkflow": ["spec.suspend"],
    }

    def replica_of(scheduler: str, folder: str) -> Any:
        config = config_of(api.kubeconfig, namespace, sources=[source], schedule={"scheduler": scheduler})
        (tmp_path / folder).mkdir()
        return replicas(tmp_path / folder, "a", config)

    def nightly() -> dict[str, Any]:
        return api.call("GET", f"{ARGO}/namespaces/{namespace}/cronworkflows/nightly")

    def instance() -> tuple[str | None, str | None]:
        metadata = nightly()["metadata"]
        return metadata["labels"].get(labels.INSTANCE_ID), metadata["annotations"].get(labels.CHILD_INSTANCE_ID)

    with replica_of("syncd", "one") as (replica,):
        made = House(api, namespace, repository, replica)
        made.in_force(revision)
        assert instance() == ("syncd", "blue")
        patch = {"metadata": {"labels": {"team": "theirs"}}, "spec": {"parallelism": 7}}
        made.kubectl("patch", "workflowtemplate", "base", "--type=merge", "-p", json.dumps(patch))
        made.kubectl("patch", "cronworkflow", "nightly", "--type=merge", "-p", '{"spec": {"suspend": true}}')
        files = {
            "base.yaml": template("base", image="busybox:2"),
            "nightly.yaml": cron("nightly", "0 5 * * *", labels=blue),
        }
        made.in_force(repository.commit(files, "change"))
        base = made.object("workflowtemplates", "base")
        assert base["spec"]["templates"][0]["container"]["image"] == "busybox:2"
        assert (base["spec"]["parallelism"], base["metadata"]["labels"]["team"]) == (7, "theirs")
        assert (nightly()["spec"]["schedules"], nightly()["spec"]["suspend"]) == (["0 5 * * *"], True)
        before = {"base": base["metadata"]["resourceVersion"], "uid": nightly()["metadata"]["uid"]}
    with replica_of("argo", "two"):
        until(lambda: instance() == ("blue", None), 60, lambda: f"Argo's again: {nightly()['metadata']}")
    with replica_of("syncd", "three"):
        until(lambda: instance() == ("syncd", "blue"), 60, lambda: f"ours again: {nightly()['metadata']}")
    metadata = nightly()["metadata"]
    assert metadata["uid"] == before["uid"]
    assert nightly()["spec"]["suspend"] is True
    base = api.call("GET", f"{ARGO}/namespaces/{namespace}/workflowtemplates/base")
    assert base["metadata"]["resourceVersion"] == before["base"]
