"""Commands against a real API server: what people see, how it ends, and what happens in the cluster. No daemon runs.

Source objects, the lease and workflows are put there by hand, as a leader and Argo's controller leave them.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from syncd.app import beside
from syncd.argo import labels
from syncd.base.problems import Place, Problem
from syncd.cli import main
from syncd.loops import shown
from tests.cli.conftest import Said
from tests.support import kubeapi, kubeargo, kuberecordings
from tests.support.kubeapi import Account, ApiServer, Failed

ARGO = "/apis/argoproj.io/v1alpha1/namespaces"
CRD = Path(__file__).resolve().parents[2] / "charts" / "syncd" / "crds"
SPEC = {"entrypoint": "main", "templates": [{"name": "main", "container": {"image": "busybox", "command": ["true"]}}]}
APPLIED, SEEN = "main@sha1:" + "a" * 40, "main@sha1:" + "b" * 40
OURS = {labels.INSTANCE_ID: labels.SYNCD_INSTANCE, labels.OWNER_SOURCE: "jobs"}

Command = Callable[..., Said]


class Cluster:
    """What a test has in it: an installation in `home`, work in `space`."""

    def __init__(self, api: ApiServer, folder: Path) -> None:
        self.api = api
        self.home, self.space = api.namespace("home"), api.namespace("work")
        self._folder = folder

    def kubeconfig(self, account: Account | None = None, namespace: str = "") -> Path:
        """Of the administrator, or of an account."""
        path = self._folder / f"kubeconfig-{account.name if account else 'admin'}"
        token = account.token if account else None
        return self.api.write_kubeconfig(path, token=token, namespace=namespace or self.space)

    def lease(self, *, renewed_ago: float = 1.0, holder: str = "syncd-0_abcde", name: str = "syncd") -> None:
        renewed = f"{datetime.now(UTC) - timedelta(seconds=renewed_ago):%Y-%m-%dT%H:%M:%S.%fZ}"
        spec = {"holderIdentity": holder, "leaseDurationSeconds": 15, "leaseTransitions": 3, "renewTime": renewed}
        path = f"/apis/coordination.k8s.io/v1/namespaces/{self.home}/leases"
        try:
            self.api.call("DELETE", f"{path}/{name}")
        except Failed as error:
            assert error.status == 404
        self.api.call("POST", path, {"metadata": {"name": name}, "spec": {**spec, "acquireTime": renewed}})

    def source(self, name: str = "jobs", findings: tuple[Problem, ...] = (), **more: Any) -> None:
        condition = {"result": "applied", "seen": APPLIED, "applied": APPLIED, "objects": {"CronWorkflow": 1}, **more}
        path = f"/apis/syncd.io/v1alpha1/namespaces/{self.home}/sources"
        spec = {"url": "https://git.example/jobs.git", "ref": "main", "folder": "ci"}
        body = {"apiVersion": "syncd.io/v1alpha1", "kind": "Source", "metadata": {"name": name}, "spec": spec}
        self.api.call("POST", path, body)
        now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        status = shown.status_of(condition, findings, None, now, "")
        self.api.call("PATCH", f"{path}/{name}/status", {"status": status}, "application/merge-patch+json")

    def annotations(self, source: str) -> dict[str, str]:
        found = self.api.call("GET", f"/apis/syncd.io/v1alpha1/namespaces/{self.home}/sources/{source}")
        return dict(found["metadata"].get("annotations") or {})

    def make(self, kind: str, name: str, spec: Any = None, **metadata: Any) -> Any:
        head = {"apiVersion": labels.ARGO_API, "kind": kind, "metadata": {"name": name, **metadata}}
        return self.api.call("POST", f"{ARGO}/{self.space}/{kind.lower()}s", {**head, "spec": spec or SPEC})

    def cron(self, name: str, marks: dict[str, str] | None = None) -> Any:
        spec = {"schedules": ["30 2 * * *"], "timezone": "Europe/Paris", "workflowSpec": SPEC}
        return self.make("CronWorkflow", name, spec, labels=marks or {})

    def ended(self, name: str, case: str = kuberecordings.SUCCEEDS, **metadata: Any) -> Any:
        made = self.make("Workflow", name, **metadata)
        body = kuberecordings.ended(made, case, datetime.now(UTC) - timedelta(minutes=5), 20)
        return self.api.call("PUT", f"{ARGO}/{self.space}/workflows/{name}", body)

    def get(self, plural: str, name: str) -> Any:
        return self.api.call("GET", f"{ARGO}/{self.space}/{plural}/{name}")


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command: its words in, what it answered out."""

    def run(*words: str) -> Said:
        capsys.readouterr()
        code = main.main(list(words))
        caught = capsys.readouterr()
        return Said(code, caught.out, caught.err)

    return run


@pytest.fixture
def cluster(api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """An installation that lives, known by $KUBECONFIG, $SYNCD_CONTEXT and $SYNCD_SYSTEM_NAMESPACE; the context's namespace has the work."""
    for path in CRD.glob("*.yaml"):
        api.kubectl("apply", "--server-side", "-f", str(path))
    api.kubectl("wait", "--for=condition=Established", "crd/sources.syncd.io", "--timeout=30s")
    made = Cluster(api, tmp_path)
    made.lease()
    for name in ("SYNCD_SERVER", "SYNCD_CONFIG", "SYNCD_MODE", "SYNCD_NAMESPACE", "ARGO_NAMESPACE", "SYNCD_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SYNCD_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("USER", "alice")
    monkeypatch.setenv("KUBECONFIG", str(made.kubeconfig()))
    monkeypatch.setenv("SYNCD_CONTEXT", "test")
    monkeypatch.setenv("SYNCD_SYSTEM_NAMESPACE", made.home)
    return made


# status, and where the installation is


def test_status_tells_who_leads_and_where_problems_are(cluster: Cluster, call: Command) -> None:
    problem = Problem(Place("ci/crons.yaml", 12, 5), "V601", "the schedule cannot be read", remedy="write five fields")
    held = {"reason": "invalid", "message": "1 error", "revision": SEEN}
    counts = {"error": 1, "warning": 0}
    cluster.source(
        "jobs", (problem,), result="held", reason="invalid", seen=SEEN, held=held, problems=counts, conflicts=2
    )
    said = call("status")
    assert said.code == 0, said.err
    assert f"cluster    {cluster.api.url} (context test)" in said.lines
    assert f"installed  in namespace {cluster.home}, lease syncd" in said.lines
    assert any(line.startswith("leader     syncd-0_abcde, renewed ") for line in said.lines)
    assert "  status     held (invalid)" in said.lines
    assert "  conflicts  2 objects have fields that another manager declares" in said.lines
    assert "  ci/crons.yaml:12:5: error V601: the schedule cannot be read; write five fields" in said.lines
    assert call("status", "-o", "name").out == "jobs\n"
    told = json.loads(call("status", "-o", "json").out)
    assert (told["leader"], told["lease"]["transitions"], told["dead"]) == ("syncd-0_abcde", 3, "")
    assert [source["applied"] for source in told["sources"]] == [APPLIED]
    assert call("status", "--check").code == 1


def test_a_daemon_that_is_dead_is_said_to_be(cluster: Cluster, call: Command) -> None:
    cluster.source()
    assert call("status", "--check").code == 0
    cluster.lease(renewed_ago=90)
    said = call("status", "--check")
    assert said.code == 1
    assert "! the daemon seems dead: syncd-0_abcde has not renewed the lease for 9" in said.out
    said = call("sync", "jobs")
    assert (said.code, said.out) == (3, "")
    assert "--no-wait leaves the request" in said.err
    cluster.lease(holder="")
    assert "nobody leads" in call("status").out


def test_the_installation_is_found_by_its_lease(
    cluster: Cluster, call: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SYNCD_SYSTEM_NAMESPACE")
    name = cluster.space  # a name that no other test's lease has
    assert (
        f"no Lease '{name}' was found in namespace {cluster.space}, nor in all Leases"
        in call("status", "--installation", name).out
    )
    cluster.lease(name=name)
    assert f"installed  in namespace {cluster.home}, lease {name}" in call("status", "--installation", name).out
    other = cluster.api.namespace("other")
    spec = {"holderIdentity": "x", "leaseDurationSeconds": 15}
    path = f"/apis/coordination.k8s.io/v1/namespaces/{other}/leases"
    cluster.api.call("POST", path, {"metadata": {"name": name}, "spec": spec})
    said = call("status", "--installation", name)
    assert said.code == 2
    assert f"the cluster has 2 installations called {name}, in " in said.err
    in_other = call("status", "--installation", name, "--kubeconfig", str(cluster.kubeconfig(namespace=other)))
    assert f"installed  in namespace {other}" in in_other.out  # that of the context goes first


# sync, approve


def test_people_ask_by_annotations(cluster: Cluster, call: Command) -> None:
    cluster.source("jobs", result="held", seen=SEEN, held={"reason": "guard", "message": "deletes 9", "revision": SEEN})
    assert call("sync", "jobs", "--no-wait").code == 0
    assert cluster.annotations("jobs")[shown.SYNC_REQUESTED].startswith("20")
    said = call("status")
    assert f"             syncd approve jobs {SEEN}" in said.lines
    said = call("approve", "jobs", "c" * 7)
    assert said.code == 1
    assert f"is held at {SEEN}, not at ccccccc" in said.err
    assert shown.APPROVED not in cluster.annotations("jobs")
    said = call("sync", "nope", "--no-wait")
    assert (said.code, "known: jobs" in said.err) == (1, True)


def test_a_sync_waits_for_its_own_answer(cluster: Cluster, call: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster.source()
    path = f"/apis/syncd.io/v1alpha1/namespaces/{cluster.home}/sources/jobs"
    said: list[Said] = []
    thread = threading.Thread(target=lambda: said.append(call("sync", "jobs")))
    thread.start()
    limit = time.monotonic() + 30
    while not (asked := cluster.annotations("jobs").get(shown.SYNC_REQUESTED)) and time.monotonic() < limit:
        time.sleep(0.1)
    assert not said
    change = {"status": {"lastHandledSync": asked, "appliedRevision": SEEN}}
    cluster.api.call("PATCH", f"{path}/status", change, "application/merge-patch+json")
    thread.join(30)
    assert said[0].code == 0, said[0].err
    assert f"  in force   {SEEN}" in said[0].lines
    monkeypatch.setattr(beside, "PATIENCE_SECONDS", 0.5)
    told = call("sync", "jobs")
    assert told.code == 3
    assert "the leader has not answered within" in told.err


# crons


def test_crons_of_both_schedulers(cluster: Cluster, call: Command) -> None:
    cluster.cron("nightly", OURS)
    cluster.cron("legacy")
    said = call("cron", "list")
    assert said.lines[0].split()[-1] == "SCHEDULER"
    assert [(line.split()[0], line.split()[-1]) for line in said.lines[1:]] == [
        ("legacy", "argo"),
        ("nightly", "syncd"),
    ]
    assert call("cron", "list", "-l", f"{labels.OWNER_SOURCE}=jobs", "-o", "name").out == "nightly\n"
    assert "Scheduler:                     argo" in call("cron", "get", "legacy").out
    said = call("cron", "explain", "legacy")
    assert said.code == 0
    assert "is fired by Argo's own controller, not by syncd" in said.lines[0]
    assert "the ledger has no row" not in said.out
    assert "Argo" not in call("cron", "explain", "nightly").out
    assert len(call("cron", "next", "nightly", "-n", "3").lines) >= 3


def test_a_cron_is_triggered_once_and_its_ledger_says_by_whom(cluster: Cluster, call: Command) -> None:
    cluster.cron("nightly", OURS)
    run = call("cron", "trigger", "nightly", "-o", "name").out.strip()
    made = cluster.get("workflows", run)
    assert made["metadata"]["labels"][labels.LABEL_CRON_WORKFLOW] == "nightly"
    assert made["metadata"]["ownerReferences"][0]["kind"] == "CronWorkflow"
    assert labels.INSTANCE_ID not in made["metadata"]["labels"]  # Argo's controller takes it up
    (row,) = json.loads(call("cron", "explain", "nightly", "-o", "json").out)["rows"]
    assert (row["outcome"], row["reason"], row["run"]) == ("fired", "manual", run)


def test_a_cron_of_argo_is_triggered_as_argo_does_without_a_ledger(cluster: Cluster, call: Command) -> None:
    cluster.cron("legacy")
    run = call("cron", "trigger", "legacy", "-o", "name").out.strip()
    assert cluster.get("workflows", run)["metadata"]["labels"][labels.LABEL_CRON_WORKFLOW] == "legacy"
    maps = cluster.api.call("GET", f"/api/v1/namespaces/{cluster.home}/configmaps")["items"]
    assert not [one for one in maps if "ledger" in one["metadata"]["name"]]


def test_a_schedule_is_held_by_hand_and_let_go(cluster: Cluster, call: Command) -> None:
    cluster.cron("nightly", OURS)
    assert call("cron", "suspend", "nightly").code == 0
    held = cluster.get("cronworkflows", "nightly")
    assert held["spec"]["suspend"] is True
    assert labels.BY_HAND in held["metadata"]["annotations"]
    assert call("cron", "list").lines[1].split()[-2:] == ["true", "syncd"]
    assert call("cron", "resume", "nightly").code == 0
    assert labels.BY_HAND not in (cluster.get("cronworkflows", "nightly")["metadata"].get("annotations") or {})


# workflows


def test_workflows_are_selected_by_labels_as_kubectl_does(cluster: Cluster, call: Command) -> None:
    cluster.ended("one", labels={labels.OWNER_SOURCE: "jobs", labels.LABEL_CRON_WORKFLOW: "nightly"})
    cluster.ended("two", kuberecordings.FAILS, labels={labels.OWNER_SOURCE: "jobs"})
    cluster.make("Workflow", "three")
    assert sorted(call("list", "-o", "name").lines) == ["one", "three", "two"]
    selections = (f"{labels.OWNER_SOURCE}=jobs", f"{labels.PHASE}=Failed", f"{labels.LABEL_CRON_WORKFLOW}=nightly")
    for selection in selections:
        by_kubectl = cluster.api.kubectl("get", "wf", "-n", cluster.space, "-l", selection, "-o", "name").stdout.split()
        names = [name.partition("/")[2] for name in by_kubectl]
        assert names, selection
        assert sorted(call("list", "-l", selection, "-o", "name").lines) == names, selection
    assert call("list", "--status", "Failed", "-o", "name").out == "two\n"
    lines = call("get", "two").lines
    assert any(line.startswith("Status:") and line.endswith("Failed") for line in lines)
    assert "Source:              jobs" in lines
    assert {"two", "one"} <= set(call("list", "-A", "-o", "name").lines)
    assert call("wait", "one").code == 0
    assert call("wait", "two").code == 1


def test_workflows_are_submitted_operated_and_deleted(cluster: Cluster, call: Command, tmp_path: Path) -> None:
    body = {"apiVersion": labels.ARGO_API, "kind": "Workflow", "metadata": {"name": "hi"}, "spec": SPEC}
    (tmp_path / "hi.yaml").write_text(json.dumps(body))
    assert call("submit", str(tmp_path / "hi.yaml"), "-o", "name").out == "hi\n"
    assert cluster.get("workflows", "hi")["metadata"]["namespace"] == cluster.space  # of the context
    for verb, field, value in (
        ("suspend", "suspend", True),
        ("stop", "shutdown", "Stop"),
        ("terminate", "shutdown", "Terminate"),
    ):
        assert call(verb, "hi").code == 0
        assert cluster.get("workflows", "hi")["spec"][field] == value
    cluster.make("WorkflowTemplate", "build")
    made = call("submit", "--from", "workflowtemplate/build", "-o", "name").out.strip()
    assert cluster.get("workflows", made)["spec"]["workflowTemplateRef"]["name"] == "build"
    assert call("template", "list", "-o", "name").out == "build\n"
    said = call("submit", str(tmp_path / "hi.yaml"))
    assert (said.code, "already exists" in said.err) == (1, True)
    assert call("delete", "hi").code == 0
    assert call("get", "hi").code == 1


@pytest.mark.parametrize(
    ("words", "instead"), [("retry x", "argo retry x"), ("node set x --phase Failed", "argo node set x")]
)
def test_what_only_argo_can_do_is_said(words: str, instead: str, cluster: Cluster, call: Command) -> None:
    cluster.ended("x", kuberecordings.FAILS)
    said = call(*words.split())
    assert said.code == 2
    assert f"use `{instead} -n {cluster.space}`" in said.err


def test_logs_say_that_pods_are_gone_or_their_nodes(cluster: Cluster, call: Command) -> None:
    done = cluster.ended("hello")
    said = call("logs", "hello")
    assert (said.code, said.out) == (1, "")
    assert "the pods of workflow hello are gone " in said.err
    owner = {"apiVersion": labels.ARGO_API, "kind": "Workflow", "name": "hello", "uid": done["metadata"]["uid"]}
    pods = f"/api/v1/namespaces/{cluster.space}/pods"
    cluster.api.call("POST", f"/api/v1/namespaces/{cluster.space}/serviceaccounts", {"metadata": {"name": "default"}})
    pod = {
        "metadata": {
            "name": "hello",
            "labels": {"workflows.argoproj.io/workflow": "hello"},
            "ownerReferences": [owner],
        },
        "spec": {"nodeName": "gone", "containers": [{"name": "main", "image": "x"}]},
    }
    cluster.api.call("POST", pods, pod)
    state = {"terminated": {"exitCode": 0, "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:01Z"}}
    main = {"name": "main", "ready": False, "restartCount": 0, "image": "x", "imageID": "", "state": state}
    status = {"phase": "Succeeded", "containerStatuses": [main]}
    cluster.api.call("PATCH", f"{pods}/hello/status", {"status": status}, "application/merge-patch+json")
    said = call("logs", "hello")
    assert (said.code, said.out) == (1, "")
    assert "are gone (or their nodes)" in said.err


# plan

CRONS = """\
apiVersion: argoproj.io/v1alpha1
kind: CronWorkflow
metadata: {name: nightly}
spec:
  schedules: ["30 3 * * *"]
  timezone: Europe/Paris
  workflowSpec: {entrypoint: main, templates: [{name: main, container: {image: busybox, command: ["true"]}}]}
---
apiVersion: argoproj.io/v1alpha1
kind: WorkflowTemplate
metadata: {name: build}
spec: {entrypoint: main, templates: [{name: main, container: {image: busybox, command: ["true"]}}]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "jobs"
    made.mkdir()
    (made / "crons.yaml").write_text(CRONS)
    return made


def test_a_plan_is_of_the_live_objects_on_the_daemons_terms(cluster: Cluster, call: Command, folder: Path) -> None:
    cluster.cron("nightly", OURS)
    said = call("plan", str(folder), "--source-name", "jobs", "-o", "json")
    assert said.code == 0, said.err
    told = json.loads(said.out)
    changes = {(one["verb"], one["kind"], one["name"]): one["diff"] for one in told["changes"]}
    assert ("create", "WorkflowTemplate", "build") in changes
    fields = [one["path"] for one in changes["update", "CronWorkflow", "nightly"]]
    assert "spec.schedules[0]" in fields
    assert not [path for path in fields if labels.INSTANCE_ID in path]  # it has syncd's label, and the daemon wants it
    assert cluster.get("cronworkflows", "nightly")["spec"]["schedules"] == ["30 2 * * *"]


def test_the_terms_are_those_of_the_installations_own_configuration(
    cluster: Cluster, call: Command, folder: Path
) -> None:
    text = (
        "mode: kubernetes\nschedule: {scheduler: argo}\nsources:\n- name: jobs\n  url: https://git.example/jobs.git\n"
        f"  namespace: {cluster.space}\n  kinds: [CronWorkflow]\n"
    )
    maps = f"/api/v1/namespaces/{cluster.home}/configmaps"
    cluster.api.call("POST", maps, {"metadata": {"name": "syncd"}, "data": {"syncd.yaml": text}})
    said = call("plan", str(folder), "--source-name", "jobs", "-o", "json")
    told = json.loads(said.out)
    assert told["notes"] == []
    (change,) = [one for one in told["changes"] if one["verb"] == "create"]
    assert (change["kind"], change["namespace"]) == ("CronWorkflow", cluster.space)
    assert "WorkflowTemplate" in said.err  # the source may not bring it
    assert "has no source 'other'" in call("plan", str(folder), "--source-name", "other").out


def test_a_plan_is_rehearsed_by_the_server_as_whoever_asks(cluster: Cluster, call: Command, folder: Path) -> None:
    words = ("plan", str(folder), "--source-name", "jobs")
    said = call(*words, "--dry-run=server")
    assert said.code == 0, said.err
    assert said.lines[-1].endswith("and the cluster would take all of it")
    rules = [{"apiGroups": ["argoproj.io"], "resources": ["*"], "verbs": ["get", "list"]}]
    reader = cluster.api.account(cluster.space, "reader", rules)
    kubeconfig = cluster.kubeconfig(reader)
    cluster.api.call(
        "POST",
        f"/apis/rbac.authorization.k8s.io/v1/namespaces/{cluster.home}/roles",
        {
            "metadata": {"name": "reads"},
            "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}],
        },
    )
    subject = {"kind": "ServiceAccount", "namespace": cluster.space, "name": "reader"}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reads"}
    bindings = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{cluster.home}/rolebindings"
    cluster.api.call("POST", bindings, {"metadata": {"name": "reads"}, "roleRef": reference, "subjects": [subject]})
    assert call(*words, "--kubeconfig", str(kubeconfig)).code == 0
    said = call(*words, "--kubeconfig", str(kubeconfig), "--dry-run=server")
    assert said.code == 1
    assert 'cannot patch resource "cronworkflows"' in said.out
    assert said.lines[-1].endswith("2 that the cluster would refuse")


def test_what_the_daemon_alone_has_is_said(cluster: Cluster, call: Command) -> None:
    cluster.source()
    said = call("plan", "jobs")
    assert said.code == 2
    assert "syncd plan 'https://git.example/jobs.git#main:ci' --source-name jobs" in said.err


# few rights, and what is missing


def test_a_person_with_few_rights(cluster: Cluster, call: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """May look at the work of one namespace, and at nothing of the installation."""
    cluster.cron("nightly", OURS)
    cluster.ended("one")
    rules = [{"apiGroups": ["argoproj.io"], "resources": ["workflows", "cronworkflows"], "verbs": ["get", "list"]}]
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig(cluster.api.account(cluster.space, "guest", rules))))
    assert call("list", "-o", "name").out == "one\n"
    said = call("cron", "list", "-o", "name")
    assert (said.code, said.out) == (0, "nightly\n")
    assert "CronJobs are left out" in said.err
    said = call("cron", "explain", "nightly")
    assert said.code == 0
    assert "its ledger cannot be read: " in said.lines[0]
    for words, verb in (
        ("list -A", 'cannot list resource "workflows" in API group "argoproj.io" at the cluster scope'),
        ("delete one", 'cannot delete resource "workflows"'),
        ("cron suspend nightly", 'cannot patch resource "cronworkflows"'),
        ("stop one -n nowhere", 'cannot get resource "workflows"'),
        ("logs one", 'cannot list resource "pods"'),
        ("sync jobs", 'cannot list resource "sources"'),
    ):
        said = call(*words.split())
        assert said.code == 4, (words, said)
        assert verb in said.err, words
    said = call("status")
    assert said.code == 0
    assert 'cannot get resource "leases"' in said.out
    assert 'cannot list resource "sources"' in said.out
    monkeypatch.delenv("SYNCD_SYSTEM_NAMESPACE")
    assert "you may not list its Leases" in call("status").out
    said = call("cron", "trigger", "nightly")
    assert said.code == 1
    assert "syncd submit --from cronworkflow/nightly" in said.err


def test_doctor_looks_at_a_cluster(cluster: Cluster, call: Command) -> None:
    cluster.cron("nightly", OURS)
    said = call("doctor", "-o", "json")
    found = {one["subject"]: one for one in json.loads(said.out)}
    verdicts = {subject: one["verdict"] for subject, one in found.items()}
    assert verdicts.pop("Argo's controller") == "bad"  # there is none here
    assert set(verdicts.values()) == {"good"}
    assert said.code == 1
    assert "syncd-0_abcde leads" in found["daemon"]["finding"]
    cluster.lease(renewed_ago=100)
    assert "✖ daemon: the daemon seems dead" in call("doctor").out


def test_doctor_tells_what_may_not_be_done(cluster: Cluster, call: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = [{"apiGroups": ["argoproj.io"], "resources": ["workflows"], "verbs": ["get", "list"]}]
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig(cluster.api.account(cluster.space, "guest", rules))))
    found = {one["subject"]: one for one in json.loads(call("doctor", "-o", "json").out)}
    assert found["permissions"]["verdict"] == "note"
    assert "you may not" in found["permissions"]["finding"]
    assert "delete workflows.argoproj.io in all namespaces" in found["permissions"]["finding"]
    assert found["Argo's controller"]["verdict"] == "note"
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig()))
    account = cluster.api.account(cluster.home, "syncd", rules)
    template = {
        "metadata": {"labels": {"a": "b"}},
        "spec": {"serviceAccountName": account.name, "containers": [{"name": "a", "image": "b"}]},
    }
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    body = {"metadata": {"name": "syncd", "labels": {"app.kubernetes.io/name": "syncd"}}, "spec": spec}
    cluster.api.call("POST", f"/apis/apps/v1/namespaces/{cluster.home}/deployments", body)
    found = {one["subject"]: one for one in json.loads(call("doctor", "-o", "json").out)}
    assert found["permissions"]["verdict"] == "bad"
    assert f"system:serviceaccount:{cluster.home}:syncd may not" in found["permissions"]["finding"]


def test_runs_are_followed_to_their_verdict(cluster: Cluster, call: Command, tmp_path: Path) -> None:
    head = {"apiVersion": labels.ARGO_API, "kind": "Workflow", "spec": SPEC}
    for name, marks in (("good", {}), ("bad", {"stand-in/case": kuberecordings.FAILS})):
        body = {**head, "metadata": {"name": name, "annotations": marks}}
        (tmp_path / f"{name}.yaml").write_text(json.dumps(body))
    with kubeargo.running(cluster.api, namespace=cluster.space):
        said = call("submit", "--watch", str(tmp_path / "good.yaml"))
        assert said.code == 0, said.err
        assert said.lines[0] == "● good Running"
        assert said.lines[-1].split()[:2] == ["✔", "good"]
        said = call("submit", "--wait", "--log", str(tmp_path / "bad.yaml"), "-o", "name")
        assert said.code == 1
        assert "no pod of Workflow" in said.err  # the stand-in makes none, and the verdict comes all the same


def test_a_cluster_without_crds_says_what_to_install(
    call: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with kubeapi.running(crds=None) as bare:
        monkeypatch.setenv("KUBECONFIG", str(bare.kubeconfig))
        at = ("--context", "test", "--system-namespace", "default")
        for words in (("list",), ("cron", "list"), ("get", "x"), ("template", "list")):
            said = call(*words, *at)
            assert (said.code, said.out) == (2, ""), words
            assert "the cluster does not serve argoproj.io/v1alpha1" in said.err
            assert "install Argo Workflows' CRDs" in said.err
        said = call("status", *at)
        assert "! the cluster does not serve syncd.io/v1alpha1 Source; install the CRDs of syncd's chart" in said.out
        said = call("sync", "jobs", "--no-wait", *at)
        assert (said.code, "charts/syncd/crds" in said.err) == (2, True)
        said = call("doctor", *at)
        assert said.code == 1
        assert (
            "✖ Argo's CRDs: not served: Workflow, WorkflowTemplate, CronWorkflow, ClusterWorkflowTemplate" in said.lines
        )
        assert "✖ syncd's CRD: not served: Source" in said.lines
