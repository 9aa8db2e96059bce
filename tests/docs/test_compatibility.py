"""What docs/compatibility.md says of templates that the embedded engine does not run: one run with one step of each."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import syncd

PAGE = Path(__file__).resolve().parents[2] / "docs" / "compatibility.md"

ECHO: dict[str, Any] = {"image": "busybox", "command": ["echo", "hi"]}

ERRORS: dict[str, dict[str, Any]] = {
    "containerSet": {"containerSet": {"containers": [{"name": "main", **ECHO}]}},
    "resource": {"resource": {"action": "get", "manifest": "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}"}},
    "data": {
        "data": {
            "source": {"artifactPaths": {"name": "a", "s3": {"bucket": "b"}}},
            "transformation": [{"expression": "data"}],
        }
    },
    "http": {"http": {"url": "http://127.0.0.1:9/"}},
    "plugin": {"plugin": {"hello": {}}},
    "sidecars": {"container": ECHO, "sidecars": [{"name": "beside", **ECHO}]},
    "hostPath": {
        "container": {**ECHO, "volumeMounts": [{"name": "v", "mountPath": "/v"}]},
        "volumes": [{"name": "v", "hostPath": {"path": "/"}}],
    },
    "gcs": {
        "container": ECHO,
        "inputs": {"artifacts": [{"name": "a", "path": "/tmp/a", "gcs": {"bucket": "b", "key": "k"}}]},
    },
}
"""What to look for on the page → a template whose node ends in Error."""

RUN: dict[str, dict[str, Any]] = {
    "memoize": {"container": ECHO, "memoize": {"key": "k", "maxAge": "1h", "cache": {"configMap": {"name": "c"}}}},
    "init": {"container": ECHO, "initContainers": [{"name": "first", **ECHO}]},
    "resources": {"container": {**ECHO, "resources": {"limits": {"memory": "1Mi", "cpu": "1m"}}}},
}
"""Templates that run, whatever of them is ignored."""


IN_A_CLUSTER = {
    "Argo does not see": "kube/test_gitops.py::test_the_cron_is_fired_by_syncd_and_left_alone_by_argo",
    "`@every` counts from": "kube/test_exactly_once.py::test_no_slot_is_lost_and_none_is_doubled",
    "A field that somebody added": "kube/test_gitops.py::test_an_edit_by_hand_is_corrected_and_told",
    "What another manager declares": "kube/test_gitops.py::test_what_another_manager_declares_is_shown_and_not_fought",
    "A commit is tried as a whole": "kube/test_gitops.py::test_what_admission_refuses_holds_the_whole_source",
    "`retry`, `node set`": "loops/test_remote.py::test_what_is_obeyed_and_what_is_argos",
    "Templates are resolved by Argo": "",
    "Runs are deleted by their own TTL": "",
    "batch/v1 CronJobs are fired": "",
}
"""How a row of the page begins → the test that holds it on a cluster; "" = it says what syncd leaves to others."""


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Step → its node, of a run that has one of each."""
    folder = tmp_path_factory.mktemp("compatibility")
    kinds = {**ERRORS, **RUN}
    steps = [
        {"name": kind, "template": f"of-{kind.lower()}", "continueOn": {"error": True, "failed": True}}
        for kind in kinds
    ]
    templates: list[dict[str, Any]] = [{"name": "main", "steps": [steps]}]
    templates += [{"name": f"of-{kind.lower()}", **template} for kind, template in kinds.items()]
    workflow = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": "not-yet"},
        "spec": {"entrypoint": "main", "templates": templates},
    }
    file = folder / "not-yet.json"
    file.write_text(json.dumps(workflow))
    body = json.loads(syncd(folder / "state", "submit", "--wait", "-o", "json", str(file), code=1))
    return {node["displayName"]: node for node in body["status"]["nodes"].values()}


@pytest.mark.sandbox
@pytest.mark.parametrize("kind", ERRORS)
def test_the_node_ends_in_error_and_says_why(kind: str, nodes: dict[str, dict[str, Any]]) -> None:
    assert nodes[kind]["phase"] == "Error", nodes[kind].get("message")
    assert re.search(r"not (supported|run|for embedded mode)", nodes[kind]["message"]), nodes[kind]["message"]
    assert kind in PAGE.read_text() or kind == "hostPath"


@pytest.mark.sandbox
@pytest.mark.parametrize("kind", RUN)
def test_the_node_runs(kind: str, nodes: dict[str, dict[str, Any]]) -> None:
    assert nodes[kind]["phase"] == "Succeeded", nodes[kind].get("message")


def test_every_row_on_the_cluster_is_held_by_a_test() -> None:
    rows = PAGE.read_text().partition("**In a cluster**")[2].partition("**API")[0]
    begins = re.findall(r"^- (.*)", rows, re.MULTILINE)
    assert [row for row in begins if not any(row.startswith(begin) for begin in IN_A_CLUSTER)] == []
    assert [begin for begin in IN_A_CLUSTER if not any(row.startswith(begin) for row in begins)] == []
    for held in filter(None, IN_A_CLUSTER.values()):
        file, _, name = held.partition("::")
        assert f"def {name}(" in (PAGE.parents[1] / "tests" / file).read_text(), held
