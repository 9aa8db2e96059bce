"""Who owns a field on a real API server, and that ignored fields and the marks of the scheduler survive its apply."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from syncd.argo import labels
from syncd.plan import compare, drift, owners
from tests.kube.test_gitops import ARGO, FILES, House, crd, cron, template
from tests.support import kubeapi
from tests.support.replicas import config_of, replicas, until
from tests.support.repository import Repository

__all__ = ["crd"]  # the fixture

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
    live = cron_job(api, namespace)
    assert compare.paths(CRON_JOB, live) == ()
    api.kubectl("-n", namespace, "set", "image", "cronjob/nightly", "b=evil")
    live = cron_job(api, namespace)
    paths = compare.paths(CRON_JOB, live)
    assert paths == ((*CONTAINERS, 1, "image"),)
    told = drift.of(live, CRON_JOB, paths)
    assert told.by == "kubectl-set"
    assert told.since is not None
    assert [owner.manager for owner in owners.of(live, (*CONTAINERS, 0, "image"), CRON_JOB)] == ["syncd"]
    assert [owner.manager for owner in owners.of(live, (*CONTAINERS, 1, "ports", 0), CRON_JOB)] == ["syncd"]
    assert drift.conflict(live, CRON_JOB, paths) == ""


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

    def house(scheduler: str, folder: str) -> Any:
        config = config_of(api.kubeconfig, namespace, sources=[source], schedule={"scheduler": scheduler})
        (tmp_path / folder).mkdir()
        return replicas(tmp_path / folder, "a", config)

    def nightly() -> dict[str, Any]:
        return api.call("GET", f"{ARGO}/namespaces/{namespace}/cronworkflows/nightly")

    def instance() -> tuple[str | None, str | None]:
        metadata = nightly()["metadata"]
        return metadata["labels"].get(labels.INSTANCE_ID), metadata["annotations"].get(labels.CHILD_INSTANCE_ID)

    with house("syncd", "one") as (replica,):
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
    with house("argo", "two"):
        until(lambda: instance() == ("blue", None), 60, lambda: f"Argo's again: {nightly()['metadata']}")
    with house("syncd", "three"):
        until(lambda: instance() == ("syncd", "blue"), 60, lambda: f"ours again: {nightly()['metadata']}")
    metadata = nightly()["metadata"]
    assert metadata["uid"] == before["uid"]
    assert nightly()["spec"]["suspend"] is True
    base = api.call("GET", f"{ARGO}/namespaces/{namespace}/workflowtemplates/base")
    assert base["metadata"]["resourceVersion"] == before["base"]
