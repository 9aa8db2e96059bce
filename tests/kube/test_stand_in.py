"""The stand-in for Argo's workflow-controller writes what the real one was recorded to write, and obeys what that obeys."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support import kubeargo, kuberecordings
from tests.support.conformance import conformance_dir
from tests.support.kubeapi import ApiServer, Failed
from tests.support.kubeargo import API, INSTANCE, Ending

ENDING = ("one-step", "failing", "retrying", "steps", "diamond", "waiting", "invalid", "ttl", "from-template")
NOT_ENDING = ("too-long", "stopped", "terminated")
"""Their pods outlive the recording, or end by an order only."""
ALL_CASES = (*ENDING, *NOT_ENDING)


def workflows(namespace: str) -> str:
    return f"{API}/namespaces/{namespace}/workflows"


def named(name: str, **metadata: Any) -> dict[str, Any]:
    spec = {"entrypoint": "go", "templates": [{"name": "go", "container": {"image": "a", "command": ["true"]}}]}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": name, **metadata},
        "spec": spec,
    }


def until(holds: Callable[[], object], seconds: float = 20) -> None:
    limit = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < limit, "it did not come to that"
        time.sleep(0.05)


def without_the_recorders_own(obj: Mapping[str, Any]) -> dict[str, Any]:
    """What cannot be equal: versions, uids, the trace, and what the recorder had set for its kwok."""
    cut = copy.deepcopy(dict(obj))
    for name in ("resourceVersion", "generation", "uid", "creationTimestamp", "managedFields", "namespace"):
        cut["metadata"].pop(name, None)
    cut["metadata"].get("annotations", {}).pop("workflows.argoproj.io/trace-id", None)
    cut["spec"].pop("podSpecPatch", None)
    cut.get("status", {}).get("storedWorkflowTemplateSpec", {}).pop("podSpecPatch", None)
    return cut


def without_times(value: Any) -> Any:
    """Whether there is a time, not which."""
    if isinstance(value, dict):
        return {
            name: (each is not None) if name in ("startedAt", "finishedAt") else without_times(each)
            for name, each in value.items()
            if name != "nodes"
        } | (
            {"nodes": {name: without_times(node) for name, node in value["nodes"].items()}} if "nodes" in value else {}
        )
    return [without_times(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("case", ALL_CASES)
def test_a_case_told_of_itself_is_the_recording(case: str) -> None:
    """Every write, times included; `stopped` and `terminated` end by the order."""
    first, *recorded = kuberecordings.cases()[case]
    began = datetime.fromisoformat(recorded[0]["status"]["startedAt"])
    end = recorded[-1]["status"]["finishedAt"]
    took = (datetime.fromisoformat(end) - began).total_seconds() if end else 0.0
    told = kuberecordings.writes(first, case, began, took)
    if case in ("stopped", "terminated"):
        ordered = recorded[len(told)]
        told += [ordered, kuberecordings.stopped(ordered, datetime.fromisoformat(end))]
    assert [without_the_recorders_own(each) for each in told] == [without_the_recorders_own(each) for each in recorded]


def test_a_case_told_of_another_has_its_names_and_times() -> None:
    at = datetime(2030, 1, 1, 12, tzinfo=UTC)
    *_, last = kuberecordings.writes(named("mine") | {"spec": {"entrypoint": "go"}}, "retrying", at, 30)
    assert (last["status"]["startedAt"], last["status"]["finishedAt"]) == (
        "2030-01-01T12:00:00Z",
        "2030-01-01T12:00:30Z",
    )
    nodes = last["status"]["nodes"]
    assert sorted(node["name"] for node in nodes.values()) == ["mine", "mine(0)", "mine(1)", "mine(2)"]
    assert all(key == node["id"] == kuberecordings.node_id("mine", node["name"]) for key, node in nodes.items())
    assert set(nodes["mine"]["children"]) == set(nodes) - {"mine"}
    assert (nodes["mine"]["templateName"], nodes["mine"]["templateScope"]) == ("go", "local/mine")
    assert "retrying" not in json.dumps(last)


class Recorder(threading.Thread):
    """`kubectl get -w --output-watch-events`, as the recordings were made."""

    def __init__(self, api: ApiServer, namespace: str) -> None:
        super().__init__(daemon=True)
        self.events: list[dict[str, Any]] = []
        version = api.call("GET", workflows(namespace))["metadata"]["resourceVersion"]
        path = f"{workflows(namespace)}?watch=1&resourceVersion={version}&timeoutSeconds=600"
        command = ["get", "--raw", path, "--kubeconfig", str(api.kubeconfig)]
        kubectl = str(Path(sys.executable).parent / "kubectl")
        self.process = subprocess.Popen([kubectl, *command], stdout=subprocess.PIPE, text=True)
        self.start()

    def run(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(json.loads(line))
        self.process.stdout.close()

    def of(self, name: str) -> list[tuple[str, dict[str, Any]]]:
        return [(e["type"], e["object"]) for e in list(self.events) if e["object"]["metadata"]["name"] == name]


@pytest.fixture
def recorder(api: ApiServer, namespace: str) -> Iterator[Recorder]:
    made = Recorder(api, namespace)
    yield made
    made.process.kill()
    made.process.wait()
    made.join()


def test_the_cases_on_a_server_go_as_recorded(api: ApiServer, namespace: str, recorder: Recorder) -> None:
    """The input of the recordings, applied; each write on the watch is the recorded one, but for when it was."""
    cases = (conformance_dir().parent / "kube" / "recorded" / "cases.yaml").read_text()
    with kubeargo.running(
        api, namespace=namespace, ends=lambda workflow: Ending(workflow["metadata"]["name"], seconds=2)
    ) as argo:
        api.kubectl("apply", "--server-side", "-f", "-", stdin=cases.replace("team-a", namespace))
        until(lambda: argo.finished.total() == len(ENDING))
        for name, order in (("stopped", "Stop"), ("terminated", "Terminate")):
            patch = json.dumps({"spec": {"shutdown": order}})
            api.kubectl("patch", "workflow", name, "-n", namespace, "--type=merge", "-p", patch)
        until(lambda: argo.finished == {"Succeeded": 5, "Failed": 6})
        until(lambda: recorder.of("ttl")[-1][0] == "DELETED")
    for name in ALL_CASES:
        recorded = [without_times(without_the_recorders_own(each)) for each in kuberecordings.cases()[name]]
        seen = [without_times(without_the_recorders_own(each)) for kind, each in recorder.of(name) if kind != "DELETED"]
        assert seen == recorded, name


def test_by_default_a_workflow_succeeds_and_annotations_say_otherwise(api: ApiServer, namespace: str) -> None:
    bad, slow = {"stand-in/case": "failing"}, {"stand-in/seconds": "600"}
    with kubeargo.running(api, namespace=namespace) as argo:
        for each in (named("good"), named("bad", annotations=bad), named("slow", annotations=slow)):
            api.call("POST", workflows(namespace), each)
        until(lambda: argo.finished == {"Succeeded": 1, "Failed": 1})
        phases = {
            item["metadata"]["name"]: item["metadata"]["labels"][kuberecordings.PHASE]
            for item in api.call("GET", workflows(namespace))["items"]
        }
        assert phases == {"good": "Succeeded", "bad": "Failed", "slow": "Running"}
        assert argo.taken() == 1


def test_only_workflows_of_its_instance_are_seen(api: ApiServer, namespace: str) -> None:
    other = api.namespace()
    with (
        kubeargo.running(api, namespace=namespace) as nameless,
        kubeargo.running(api, namespace=namespace, instance="blue") as blue,
    ):
        api.call("POST", workflows(namespace), named("plain"))
        api.call("POST", workflows(namespace), named("labelled", labels={INSTANCE: "blue"}))
        api.call("POST", workflows(namespace), named("syncds", labels={INSTANCE: "syncd"}))
        api.call("POST", workflows(other), named("elsewhere"))
        until(lambda: nameless.finished.total() == blue.finished.total() == 1)
        time.sleep(0.5)
        assert nameless.writes == blue.writes == 3
    assert "status" not in api.call("GET", f"{workflows(namespace)}/syncds")


def test_argo_would_fire_what_has_no_instance_and_is_not_suspended(api: ApiServer, namespace: str) -> None:
    crons = (conformance_dir().parent / "kube" / "recorded" / "crons.yaml").read_text()
    api.kubectl("apply", "--server-side", "-f", "-", stdin=crons.replace("team-b", namespace))
    fired = {"allow", "forbid", "replace", "failing", "when-never", "bad-schedule", "bad-spec"}
    assert kubeargo.would_fire(api, namespace) == {(namespace, name) for name in fired}
    assert kubeargo.would_fire(api, instance="syncd") >= {(namespace, "left-alone")}


def test_it_goes_on_after_a_restart_and_over_one_of_the_server(api: ApiServer, namespace: str) -> None:
    for number in range(5):
        api.call("POST", workflows(namespace), named(f"w{number}", annotations={"stand-in/seconds": "2"}))
    with kubeargo.running(api, namespace=namespace) as first:
        until(lambda: first.writes >= 5)
    assert first.finished.total() == 0
    begun = {item["metadata"]["name"]: item["status"]["startedAt"] for item in listed(api, namespace)}
    with kubeargo.running(api, namespace=namespace) as second:
        until(lambda: second.taken() == 5)
        api.restart()
        until(lambda: second.finished == {"Succeeded": 5})
    assert {item["metadata"]["name"]: item["status"]["startedAt"] for item in listed(api, namespace)} == begun


def listed(api: ApiServer, namespace: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = api.call("GET", workflows(namespace))["items"]
    return items


def test_what_others_write_meanwhile_is_kept(api: ApiServer, namespace: str) -> None:
    api.call("POST", workflows(namespace), named("shared", annotations={"stand-in/seconds": "1"}))
    with kubeargo.running(api, namespace=namespace) as argo:
        number = 0
        while not argo.finished:
            number += 1
            body = {"metadata": {"annotations": {"mine": str(number)}}}
            path = f"{workflows(namespace)}/shared"
            written = api.call("PATCH", path, body, "application/merge-patch+json")
            assert written["metadata"]["annotations"]["mine"] == str(number)
    ended = api.call("GET", path)
    assert ended["metadata"]["annotations"]["mine"] == str(number)
    assert ended["status"]["phase"] == "Succeeded"
    managers = {field["manager"] for field in ended["metadata"]["managedFields"]}
    assert "workflow-controller" in managers


def test_a_workflow_that_is_deleted_is_let_go(api: ApiServer, namespace: str) -> None:
    with kubeargo.running(api, namespace=namespace, ends=lambda _: Ending(kuberecordings.HANGS)) as argo:
        api.call("POST", workflows(namespace), named("gone"))
        until(lambda: argo.writes == 2)
        api.call("DELETE", f"{workflows(namespace)}/gone")
        until(lambda: argo.taken() == 0)
        with pytest.raises(Failed, match="404"):
            api.call("GET", f"{workflows(namespace)}/gone")


def test_it_runs_as_a_process(api: ApiServer, namespace: str) -> None:
    command = [sys.executable, "-m", "tests.support.kubeargo", "--namespace", namespace]
    root = Path(__file__).parents[2]
    process = subprocess.Popen([*command, "--kubeconfig", str(api.kubeconfig)], cwd=root)
    try:
        api.call("POST", workflows(namespace), named("w"))
        until(lambda: listed(api, namespace)[0].get("status", {}).get("phase") == "Succeeded")
    finally:
        process.kill()
        process.wait()


@pytest.mark.timeout(300)
def test_a_thousand_workflows_are_cheap(
    api: ApiServer, namespace: str, record_property: Callable[[str, object], None]
) -> None:
    """All there at once: the stand-in writes each three times."""
    items = [
        named(f"w{number:04}", namespace=namespace, annotations={"stand-in/seconds": "1"}) for number in range(1000)
    ]
    body = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    api.kubectl("create", "-f", "-", stdin=body)
    started = time.monotonic()
    with kubeargo.running(api, namespace=namespace) as argo:
        until(lambda: argo.finished.total() == 1000, 200)
    took = time.monotonic() - started
    record_property("said", f"stand-in: 1,000 Workflows, {argo.writes} writes in {took:.1f} s")
    assert argo.finished == {"Succeeded": 1000}
    assert argo.writes == 3000
