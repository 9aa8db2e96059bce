"""From a commit to a cluster, as people see it with kubectl: applied, corrected, pruned, held, shown, handed over."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import kubeapi
from tests.support.replicas import Replica, config_of, leader, replicas, until
from tests.support.repository import Repository

CRD = Path(__file__).parents[2] / "charts" / "syncd" / "crds"
ARGO = "/apis/argoproj.io/v1alpha1"


def template(name: str, image: str = "busybox:1", more: str = "") -> str:
    return f"""
apiVersion: argoproj.io/v1alpha1
kind: WorkflowTemplate
metadata:
  name: {name}
spec:
  entrypoint: main
  templates:
    - name: main
      container:
        image: {image}
        command: [echo, hello]
{more}"""


def cron(name: str, schedule: str = "0 3 * * *", of: str = "base", labels: str = "") -> str:
    return f"""
apiVersion: argoproj.io/v1alpha1
kind: CronWorkflow
metadata:
  name: {name}
{labels}
spec:
  schedules: ["{schedule}"]
  timezone: Europe/Paris
  workflowSpec:
    workflowTemplateRef:
      name: {of}
"""


FILES: dict[str, str | None] = {
    "base.yaml": template("base"),
    "other.yaml": template("other"),
    "third.yaml": template("third"),
    "nightly.yaml": cron("nightly"),
}


class House:
    """One replica with one source, `jobs`."""

    def __init__(self, api: kubeapi.ApiServer, namespace: str, repository: Repository, replica: Replica) -> None:
        self.api, self.namespace, self.repository, self.replica = api, namespace, repository, replica

    def object(self, plural: str, name: str) -> dict[str, Any]:
        return self.api.call("GET", f"{ARGO}/namespaces/{self.namespace}/{plural}/{name}")

    def names(self, plural: str) -> list[str]:
        items = self.api.call("GET", f"{ARGO}/namespaces/{self.namespace}/{plural}")["items"]
        return sorted(item["metadata"]["name"] for item in items)

    def source(self) -> dict[str, Any]:
        """The Source object; {} = not shown yet."""
        try:
            return self.api.call("GET", f"/apis/syncd.io/v1alpha1/namespaces/{self.namespace}/sources/jobs")
        except kubeapi.Failed:
            return {}

    def status(self) -> dict[str, Any]:
        return self.source().get("status") or {}

    def condition(self, kind: str = "Ready") -> str:
        found = [c for c in self.status().get("conditions", []) if c["type"] == kind]
        return f"{found[0]['status']} {found[0]['reason']}" if found else ""

    def in_force(self, revision: str) -> None:
        until(lambda: self.status().get("appliedRevision") == revision, 60, lambda: self.tell(revision))

    def tell(self, wanted: str) -> str:
        return f"{wanted}: {json.dumps(self.status(), indent=1)}\n{self.replica.log[-3000:]}"

    def kubectl(self, *arguments: str, code: int | None = 0) -> str:
        return self.api.kubectl("-n", self.namespace, *arguments, code=code).stdout

    def events(self) -> list[tuple[str, str, str]]:
        items = self.api.call("GET", f"/api/v1/namespaces/{self.namespace}/events")["items"]
        return [(item["involvedObject"]["name"], item["reason"], item["message"]) for item in items]


@pytest.fixture(scope="module")
def crd(api: kubeapi.ApiServer) -> None:
    api.kubectl("apply", "--server-side", "-f", str(CRD))
    until(lambda: api.kubectl("get", "sources.syncd.io", code=None).returncode == 0, 30, "sources are served")


@pytest.fixture
def house(api: kubeapi.ApiServer, namespace: str, tmp_path: Path, crd: None) -> Iterator[House]:
    repository = Repository(tmp_path / "jobs")
    revision = repository.commit(FILES, "begin")
    source = {"name": "jobs", "path": str(repository.path), "namespace": namespace, "interval": "1s"}
    config = config_of(api.kubeconfig, namespace, sources=[source])
    with replicas(tmp_path, "a", config) as (replica,):
        made = House(api, namespace, repository, replica)
        made.in_force(revision)
        yield made


def test_a_commit_is_applied_and_knows_where_it_is_from(house: House) -> None:
    assert house.names("workflowtemplates") == ["base", "other", "third"]
    assert house.names("cronworkflows") == ["nightly"]
    nightly = house.object("cronworkflows", "nightly")["metadata"]
    revision = house.status()["appliedRevision"]
    assert nightly["labels"]["syncd.io/source"] == "jobs"
    assert nightly["labels"]["syncd.io/commit"] == revision.rpartition(":")[2][:12]
    assert nightly["labels"]["workflows.argoproj.io/controller-instanceid"] == "syncd"
    assert nightly["annotations"]["syncd.io/revision"] == revision
    assert nightly["annotations"]["syncd.io/path"].startswith("nightly.yaml:")
    managers = {(entry["manager"], entry["operation"]) for entry in nightly["managedFields"]}
    assert ("syncd", "Apply") in managers
    listed = house.kubectl("get", "workflowtemplates", "-l", "syncd.io/source=jobs", "-o", "name").split()
    assert len(listed) == 3
    head, row = house.kubectl("get", "sources.syncd.io").splitlines()
    assert head.split()[:3] == ["NAME", "READY", "REASON"]
    assert row.split()[:3] == ["jobs", "True", "Applied"]


def test_an_edit_by_hand_is_corrected_and_told(house: House) -> None:
    patch = {"spec": {"templates": [{"name": "main", "container": {"image": "evil"}}], "extra": {"a": 1}}}
    house.kubectl("patch", "workflowtemplate", "base", "--type=merge", "-p", json.dumps(patch))
    until(
        lambda: "evil" not in json.dumps(house.object("workflowtemplates", "base")["spec"]),
        30,
        lambda: house.tell("the edit is corrected"),
    )
    spec = house.object("workflowtemplates", "base")["spec"]
    assert spec["templates"][0]["container"]["image"] == "busybox:1"
    until(lambda: "extra" not in house.object("workflowtemplates", "base")["spec"], 30, "what was added is gone")
    told = until(
        lambda: [said for name, reason, said in house.events() if (name, reason) == ("base", "DriftCorrected")],
        30,
        lambda: f"an event: {house.events()}",
    )
    assert "kubectl" in told[0]
    metrics = house.replica.metrics()
    assert metrics['syncd_sync_drift_total{source="jobs",kind="WorkflowTemplate"}'] >= 1


def test_what_is_deleted_by_hand_is_made_again(house: House) -> None:
    uid = house.object("workflowtemplates", "other")["metadata"]["uid"]
    house.kubectl("delete", "workflowtemplate", "other")
    until(lambda: "other" in house.names("workflowtemplates"), 30, lambda: house.tell("made again"))
    assert house.object("workflowtemplates", "other")["metadata"]["uid"] != uid


def test_a_removed_file_is_pruned_and_what_is_protected_stays(house: House) -> None:
    annotated = template("third").replace("  name: third", "  name: third\n  annotations: {syncd.io/prune: disabled}")
    house.in_force(house.repository.commit({"third.yaml": annotated}))
    house.in_force(house.repository.commit({"other.yaml": None, "third.yaml": None}))
    until(lambda: house.names("workflowtemplates") == ["base", "third"], 30, lambda: house.tell("pruned"))


def test_a_finalizer_is_waited_for(house: House) -> None:
    house.kubectl("patch", "workflowtemplate", "other", "--type=merge", "-p", '{"metadata":{"finalizers":["a.b/c"]}}')
    house.repository.commit({"other.yaml": None})
    until(
        lambda: "deletionTimestamp" in house.object("workflowtemplates", "other")["metadata"],
        30,
        lambda: house.tell("it is being deleted"),
    )
    house.kubectl("patch", "workflowtemplate", "other", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    until(lambda: "other" not in house.names("workflowtemplates"), 30, "it is gone")


def test_a_broken_commit_changes_nothing_and_says_where(house: House) -> None:
    good = house.status()["appliedRevision"]
    before = {name: house.object("workflowtemplates", name) for name in ("base", "other", "third")}
    broken = template("base", image="busybox:2").replace("entrypoint: main", "entrypoint: mian")
    bad = house.repository.commit({"base.yaml": broken, "other.yaml": template("other", image="busybox:2")})
    until(lambda: house.status().get("observedRevision") == bad, 30, lambda: house.tell("seen"))
    until(lambda: house.condition() == "False Problems", 30, lambda: house.tell("held"))
    assert house.condition("Held") == "True Problems"
    assert house.status()["appliedRevision"] == good
    found = [(item["file"], item["line"], item["code"]) for item in house.status()["findings"]]
    assert ("base.yaml", 7, "V241") in found
    assert {name: house.object("workflowtemplates", name) for name in before} == before
    house.in_force(house.repository.commit({"base.yaml": template("base", image="busybox:2")}, "mended"))
    assert house.condition() == "True Applied"
    assert house.object("workflowtemplates", "other")["spec"]["templates"][0]["container"]["image"] == "busybox:2"


def test_what_admission_refuses_holds_the_whole_source(house: House) -> None:
    """Dry run first: the good object of the same commit is not written either."""
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": f"no-latest-{house.namespace}"},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "resourceRules": [
                    {
                        "apiGroups": ["argoproj.io"],
                        "apiVersions": ["*"],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": ["workflowtemplates"],
                    }
                ],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": house.namespace}},
            },
            "validations": [
                {"expression": "object.spec.templates[0].container.image != 'x:latest'", "message": "no latest here"}
            ],
        },
    }
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": f"no-latest-{house.namespace}"},
        "spec": {"policyName": f"no-latest-{house.namespace}", "validationActions": ["Deny"]},
    }
    root = "/apis/admissionregistration.k8s.io/v1"
    house.api.call("POST", f"{root}/validatingadmissionpolicies", policy)
    house.api.call("POST", f"{root}/validatingadmissionpolicybindings", binding)
    probe = json.dumps(
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "WorkflowTemplate",
            "metadata": {"name": "probe", "namespace": house.namespace},
            "spec": {"templates": [{"name": "a", "container": {"image": "x:latest"}}]},
        }
    )
    until(
        lambda: house.api.kubectl("create", "--dry-run=server", "-f", "-", stdin=probe, code=None).returncode != 0,
        60,
        "the policy is in force",
    )
    good = house.status()["appliedRevision"]
    files: dict[str, str | None] = {
        "base.yaml": template("base", image="x:latest"),
        "other.yaml": template("other", image="busybox:3"),
    }
    house.repository.commit(files)
    until(lambda: house.condition() == "False Rejected", 30, lambda: house.tell("held by the dry run"))
    assert "no latest here" in json.dumps(house.status()["findings"])
    assert house.status()["appliedRevision"] == good
    assert house.object("workflowtemplates", "other")["spec"]["templates"][0]["container"]["image"] == "busybox:1"
    house.in_force(house.repository.commit({"base.yaml": template("base", image="busybox:3")}))


def test_what_another_manager_declares_is_shown_and_not_fought(house: House) -> None:
    theirs = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "WorkflowTemplate",
        "metadata": {"name": "base", "namespace": house.namespace, "labels": {"team": "theirs"}},
        "spec": {
            "entrypoint": "main",
            "templates": [{"name": "main", "container": {"image": "theirs:1", "command": ["echo", "hello"]}}],
        },
    }
    arguments = ("apply", "--server-side", "--field-manager=argocd", "--force-conflicts", "-f", "-")
    house.api.kubectl(*arguments, stdin=json.dumps(theirs))
    until(lambda: house.status().get("conflicts") == 1, 30, lambda: house.tell("a conflict is shown"))
    told = json.dumps(house.status()["findings"])
    assert "argocd" in told
    assert "V806" in told
    assert house.object("workflowtemplates", "base")["spec"]["templates"][0]["container"]["image"] == "theirs:1"


def test_an_empty_source_is_held_by_the_guard_until_it_is_approved_by_an_annotation(house: House) -> None:
    files: dict[str, str | None] = dict.fromkeys(FILES)
    (house.repository.path / "README.md").write_text("nothing left\n")
    revision = house.repository.commit(files)
    until(lambda: house.condition("Held") == "True Guard", 30, lambda: house.tell("held by the guard"))
    assert len(house.names("workflowtemplates")) == 3
    house.kubectl("annotate", "sources.syncd.io", "jobs", f"syncd.io/approve={revision}")
    until(lambda: house.names("workflowtemplates") == [], 30, lambda: house.tell("approved"))


def test_a_commit_cannot_forge_the_ledger(house: House) -> None:
    """The records of syncd are ConfigMaps of its namespace, to which this source may write."""
    forged = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: syncd-ledger-1f}\ndata: {u: forged}\n"
    other = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {a: b}\n"
    good = house.status()["appliedRevision"]
    house.repository.commit({"forged.yaml": forged, "other.yaml": None, "more.yaml": other})
    until(lambda: house.condition() == "False Refused", 30, lambda: house.tell("held"))
    assert ("forged.yaml", "V807") in [(item["file"], item["code"]) for item in house.status()["findings"]]
    assert house.status()["appliedRevision"] == good
    assert "settings" not in house.kubectl("get", "configmaps", "-o", "name")
    house.in_force(house.repository.commit({"forged.yaml": None}))
    assert "settings" in house.kubectl("get", "configmaps", "-o", "name")


def test_a_sync_is_asked_for_by_an_annotation(house: House) -> None:
    house.kubectl("annotate", "sources.syncd.io", "jobs", "syncd.io/sync=now")
    until(lambda: house.status().get("lastHandledSync") == "now", 30, lambda: house.tell("handled"))


def test_a_restart_with_everything_in_place_writes_nothing(house: House) -> None:
    house.replica.stop()
    before = house.api.requests_total()
    house.replica.start()
    until(house.replica.leads, 60, "leads again")
    until(lambda: house.replica.status().get("sources"), 60, "its sources")
    until(lambda: house.replica.status()["sources"][0].get("result") in ("applied", "unchanged"), 60, "in force")
    asked = house.api.requests_total() - before
    resources = ("workflowtemplates", "cronworkflows")
    writes = {key: n for key, n in asked.items() if key[1] in resources and key[0] not in ("LIST", "GET", "WATCH")}
    assert writes == {}
    gets = sum(n for key, n in asked.items() if key[1] in resources and key[0] == "GET")
    assert gets <= len(FILES)


def test_the_cron_is_fired_by_syncd_and_left_alone_by_argo(house: House) -> None:
    from tests.support import kubeargo

    soon = cron("soon", "@every 2s")
    house.in_force(house.repository.commit({"soon.yaml": soon}))
    assert kubeargo.would_fire(house.api, house.namespace) == set()
    name = until(lambda: house.names("workflows"), 30, lambda: house.tell("it fires"))[0]
    run = house.object("workflows", name)
    metadata = run["metadata"]
    assert name.startswith("soon-")
    assert "workflows.argoproj.io/controller-instanceid" not in metadata.get("labels", {})
    assert metadata["labels"]["workflows.argoproj.io/cron-workflow"] == "soon"
    assert metadata["labels"]["syncd.io/source"] == "jobs"
    assert metadata["annotations"]["syncd.io/revision"] == house.status()["appliedRevision"]
    assert metadata["ownerReferences"][0]["kind"] == "CronWorkflow"
    assert metadata["ownerReferences"][0]["controller"] is True
    status = until(lambda: house.object("cronworkflows", "soon").get("status"), 30, "its status")
    assert status["lastScheduledTime"]
    assert status["phase"] == "Active"


def test_two_replicas_take_over_without_a_write(house: House, tmp_path: Path) -> None:
    source = {"name": "jobs", "path": str(house.repository.path), "namespace": house.namespace, "interval": "1s"}
    config = config_of(house.api.kubeconfig, house.namespace, sources=[source])
    with replicas(tmp_path, "b", config) as (second,):
        until(lambda: second.status().get("sources"), 60, "the second shows the sources")
        assert second.status()["sources"][0]["applied"] == house.status()["appliedRevision"]
        since = [c["lastTransitionTime"] for c in house.status()["conditions"]]
        house.replica.kill()
        leader([second])
        until(lambda: second.status()["sources"][0].get("result") == "applied", 60, "the second syncs")
        assert [c["lastTransitionTime"] for c in house.status()["conditions"]] == since, "a new leader is no news"
        revision = house.repository.commit({"base.yaml": template("base", image="busybox:9")})
        house.in_force(revision)
