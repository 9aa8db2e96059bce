"""The fault table, third part: credentials that run out, rights and CRDs that are not there, and what the server refuses.

Who must do something about it is told what, in the server's own words, where they look: the log, /readyz, the Source object, an Event on
the cron. Whom it does not concern goes on.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.kube.scene import Files, cron, install_our_crd, said, scene, template
from tests.support import kubeapi
from tests.support.kubefaults import Answer
from tests.support.replicas import until

EVERYTHING = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
BIG = 1_700_000  # bytes: more than etcd takes, less than a request may have, and than a file of a source

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def crd(api: kubeapi.ApiServer) -> None:
    install_our_crd(api)


@pytest.mark.usefixtures("crd")
def test_a_token_that_is_rotated_is_read_again_and_one_that_has_expired_is_waited_for(
    api: kubeapi.ApiServer, namespace: str, tmp_path: Path
) -> None:
    account = api.account(namespace, "syncd", EVERYTHING)
    token = tmp_path / "token"
    token.write_text(api.token_for(account, 12))
    kubeconfig = api.write_kubeconfig(tmp_path / "kubeconfig", token_file=token, namespace=namespace)
    files: Files = {"base.yaml": template("base"), "tick.yaml": cron("tick", "@every 2s")}
    with scene(api, namespace, tmp_path, files, proxied=False, kubeconfig=kubeconfig) as (it, revision):
        it.in_force(revision)
        holder = it.holder()
        token.write_text(api.token_for(account, 26))
        time.sleep(24)  # the first has run out, even for a server that remembers it for 10 s
        assert said(it.replica, "(401)") == 0, it.replica.log
        assert it.holder() == holder
        it.nothing_lost("tick", 2)
        until(lambda: said(it.replica, "(401)"), 60, lambda: it.tell("the second runs out, and it says so"))
        assert it.replica.get("/livez", token=False)[0] == 200
        time.sleep(4)
        token.write_text(account.token)
        until(lambda: it.replica.leads(), 60, lambda: it.tell("it leads again"))
        it.in_force(it.repository.commit({"base.yaml": template("base", "busybox:2")}))
        it.nothing_lost("tick", 2)


@pytest.mark.usefixtures("crd")
@pytest.mark.parametrize("atomic", ["source", "object"])
def test_a_namespace_that_may_not_be_written_to_is_told_with_its_file(
    api: kubeapi.ApiServer, namespace: str, tmp_path: Path, atomic: str
) -> None:
    account = api.account(namespace, "syncd", EVERYTHING)
    forbidden = api.namespace("forbidden")
    kubeconfig = api.write_kubeconfig(tmp_path / "kubeconfig", token=account.token, namespace=namespace)
    files: Files = {"base.yaml": template("base"), "theirs.yaml": template("theirs", namespace=forbidden)}
    source = {"atomic": atomic}
    with scene(api, namespace, tmp_path, files, proxied=False, kubeconfig=kubeconfig, source=source) as (it, revision):
        found = until(it.findings, 60, lambda: it.tell("it is told"))
        ((file, line, words),) = found
        assert (file, line) == ("theirs.yaml", 2)
        assert "forbidden" in words
        assert account.user in words
        assert forbidden in words
        if atomic == "source":
            until(lambda: it.condition("Held") == "True Rejected", 30, lambda: it.tell("held"))
            assert it.names("workflowtemplates") == []
            it.in_force(it.repository.commit({"theirs.yaml": None}))
        else:
            it.in_force(revision)
        assert it.names("workflowtemplates") == ["base"]


def test_crds_that_are_missing_are_asked_for_and_once_installed_everything_comes_into_force(tmp_path: Path) -> None:
    """Argo's, and our own."""
    with kubeapi.running(crds=None) as api:
        files: Files = {"base.yaml": template("base"), "tick.yaml": cron("tick", "@every 2s")}
        namespace = api.namespace()
        with scene(api, namespace, tmp_path, files, proxied=False) as (it, revision):
            replica = it.replica
            until(lambda: replica.leads(), 60, lambda: it.tell("it leads"))
            until(lambda: "CRDs" in replica.get("/readyz", token=False)[1], 30, lambda: it.tell("it asks for them"))
            code, text = replica.get("/readyz", token=False)
            assert code == 503
            assert "argoproj.io/v1alpha1 CronWorkflow" in text
            assert "install Argo Workflows' CRDs" in text
            assert replica.get("/livez", token=False)[0] == 200
            until(lambda: said(replica, "install Argo Workflows' CRDs"), 30, lambda: it.tell("the log, too"))
            api.install_crds()
            it.in_force(revision, 120)
            until(lambda: replica.get("/readyz", token=False)[0] == 200, 60, lambda: it.tell("ready"))
            until(lambda: it.names("workflows", "tick-"), 120, lambda: it.tell("it fires"))
            until(lambda: said(replica, "is not shown in the cluster"), 30, lambda: it.tell("says so"))
            assert said(replica, "is not shown in the cluster") == 1
            assert it.status() == {}
            install_our_crd(api)
            until(lambda: it.condition() == "True Applied", 60, lambda: it.tell("it is shown"))


@pytest.mark.usefixtures("crd")
def test_what_admission_refuses_to_create_is_told_on_the_cron_and_others_fire(
    api: kubeapi.ApiServer, namespace: str, tmp_path: Path
) -> None:
    deny(api, namespace, "workflows", "!object.metadata.name.startsWith('bad-')", "nothing bad here")
    files: Files = {
        "base.yaml": template("base"),
        "bad.yaml": cron("bad", "@every 2s"),
        "good.yaml": cron("good", "@every 2s"),
    }
    with scene(api, namespace, tmp_path, files, proxied=False) as (it, revision):
        it.in_force(revision)

        def refused() -> Any:
            return next((row for row in it.rows("bad") if row.outcome == "failed"), None)

        row = until(refused, 60, lambda: it.tell(f"a failed row: {it.rows('bad')}"))
        assert "nothing bad here" in row.message
        assert str(row.reason) == "submission"
        told = until(lambda: [e for e in it.events() if e[:2] == ("bad", "SlotFailed")], 30, lambda: str(it.events()))
        assert "nothing bad here" in told[0][2]
        conditions = until(lambda: it.object("cronworkflows", "bad").get("status", {}).get("conditions"), 30, "shown")
        assert any(c["type"] == "SubmissionError" and "nothing bad here" in c["message"] for c in conditions)
        assert it.names("workflows", "bad-") == []
        it.nothing_lost("good", 2)


@pytest.mark.usefixtures("crd")
def test_an_object_that_is_too_large_holds_its_source_before_anything_is_written(
    api: kubeapi.ApiServer, namespace: str, tmp_path: Path
) -> None:
    """etcd would refuse it, which no dry run tells."""
    files: Files = {"base.yaml": template("base"), "tick.yaml": cron("tick", "@every 2s")}
    with scene(api, namespace, tmp_path, files, proxied=False) as (it, revision):
        it.in_force(revision)
        large = template("large").replace("hello", "x" * BIG)
        it.repository.commit({"large.yaml": large, "base.yaml": template("base", "busybox:2")})
        until(lambda: it.condition("Held") == "True Rejected", 60, lambda: it.tell("held"))
        ((file, line, words),) = it.findings()
        assert (file, line) == ("large.yaml", 2)
        assert "larger than the API server" in words
        assert "make it smaller, or split it" in words
        assert it.image("base") == "busybox:1"
        it.nothing_lost("tick", 2)
        it.in_force(it.repository.commit({"large.yaml": None}))
        assert it.image("base") == "busybox:2"


@pytest.mark.usefixtures("crd")
def test_a_child_that_is_too_large_is_a_failed_slot_that_says_so(
    api: kubeapi.ApiServer, namespace: str, tmp_path: Path
) -> None:
    """The server's own words, in the proxy's mouth: a cron that is kept has no child that is not."""
    files: Files = {"base.yaml": template("base"), "seldom.yaml": cron("seldom", "@every 5s")}
    with scene(api, namespace, tmp_path, files) as (it, revision):
        it.in_force(revision)
        too_large = Answer(500, reason="InternalError", message="etcdserver: request is too large")
        it.proxy.on(too_large, verb="create", resource="workflows", times=1)
        row = until(
            lambda: next((row for row in it.rows("seldom") if row.outcome == "failed"), None),
            60,
            lambda: it.tell(f"failed: {it.rows('seldom')}"),
        )
        assert "larger than the API server keeps" in row.message
        until(lambda: it.names("workflows", "seldom-"), 30, lambda: it.tell("the next one fires"))


def deny(api: kubeapi.ApiServer, namespace: str, resource: str, expression: str, message: str) -> None:
    """An admission policy for what is created in a namespace; waits until it is in force."""
    name = f"{resource}-{namespace}"
    rules = [
        {"apiGroups": ["argoproj.io"], "apiVersions": ["*"], "operations": ["CREATE"], "resources": [resource]},
    ]
    constraints: Mapping[str, Any] = {
        "resourceRules": rules,
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
    }
    validations: Sequence[Mapping[str, str]] = [{"expression": expression, "message": message}]
    root = "/apis/admissionregistration.k8s.io/v1"
    spec = {"failurePolicy": "Fail", "matchConstraints": constraints, "validations": validations}
    api.call("POST", f"{root}/validatingadmissionpolicies", {"metadata": {"name": name}, "spec": spec})
    binding = {"policyName": name, "validationActions": ["Deny"]}
    api.call("POST", f"{root}/validatingadmissionpolicybindings", {"metadata": {"name": name}, "spec": binding})
    probe = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"name": "bad-probe"}, "spec": {}}
    path = f"/apis/argoproj.io/v1alpha1/namespaces/{namespace}/{resource}?dryRun=All"

    def in_force() -> bool:
        try:
            api.call("POST", path, probe)
        except kubeapi.Failed:
            return True
        return False

    until(in_force, 60, "the policy is in force")
