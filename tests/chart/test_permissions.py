"""What the account may do: as manifests, as README.md tells it, as the API server decides it, and as the store needs it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from syncd.argo.manifest import Key
from syncd.base.errors import Refused
from syncd.base.problems import Place, Problem, Severity
from syncd.cluster.api import Hold, Notice, Verb, Write
from syncd.cluster.kube import kinds
from syncd.cluster.kube.store import KubeStore
from syncd.cron.ledger import Outcome, Reason, Row
from syncd.loops import shown
from tests.chart.rendering import CHART, GOOD, objects, of_kind, text
from tests.support import kubestore
from tests.support.kubeapi import ApiServer, Failed
from tests.support.objects import do, take

pytestmark = pytest.mark.kube

ALL = (
    ("minimal",),
    *((values,) for values in GOOD),
    ("everything", "--set", "rbac.scope=namespaces", "--set", "rbac.namespaces={ci,nightly}"),
)
"""Ways to render the chart."""


def roles(*options: str) -> list[dict[str, Any]]:
    return [*of_kind("ClusterRole", *options), *of_kind("Role", *options)]


# ── as manifests


@pytest.mark.parametrize("options", ALL, ids=" ".join)
def test_no_rule_has_a_wildcard_or_a_way_to_more_power(options: tuple[str, ...]) -> None:
    for role in roles(*options):
        for rule in role["rules"]:
            assert set(rule) <= {"apiGroups", "resources", "resourceNames", "verbs"}
            words = [word for words in rule.values() for word in words]
            assert not [word for word in words if "*" in word], rule
            assert not {"escalate", "bind", "approve", "sign", "deletecollection"} & set(rule["verbs"])
            assert not {"pods/exec", "serviceaccounts/token", "roles", "clusterroles"} & set(rule["resources"])
            if "impersonate" in rule["verbs"]:
                assert rule["verbs"] == ["impersonate"]
                assert rule["resourceNames"]


def test_every_binding_is_of_a_role_that_is_there_to_the_account_of_the_pod() -> None:
    for options in ALL:
        manifests = objects(*options)
        there = {(one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]) for one in manifests}
        bindings = [one for one in manifests if one["kind"].endswith("Binding")]
        assert len(bindings) == len([one for one in manifests if one["kind"] in ("Role", "ClusterRole")])
        for binding in bindings:
            reference = binding["roleRef"]
            assert (reference["kind"], binding["metadata"].get("namespace"), reference["name"]) in there
            (subject,) = binding["subjects"]
            assert ("ServiceAccount", subject["namespace"], subject["name"]) in there


def test_with_namespaces_nothing_is_of_the_cluster() -> None:
    assert of_kind("ClusterRole", "namespaced") == of_kind("ClusterRoleBinding", "namespaced") == []
    assert [role["metadata"]["namespace"] for role in of_kind("Role", "namespaced")] == [
        "ci",
        "nightly",
        "syncd-system",
    ]


def test_nothing_is_granted_where_the_roles_are_made_by_others() -> None:
    assert not re.search("^kind: .*(Role|Binding)$", text("everything", "--set", "rbac.create=false"), re.MULTILINE)


def test_every_kind_of_the_store_is_in_a_rule_and_no_other() -> None:
    """kinds.RESOURCES is the table of what syncd reads and writes in a cluster."""
    granted = {
        name.partition("/")[0] for role in roles("everything") for rule in role["rules"] for name in rule["resources"]
    }
    # a Job in git is offered as a Workflow, and never applied; impersonation is no object
    assert granted - {"serviceaccounts", "users"} == {row.plural for row in kinds.RESOURCES.values()} - {"jobs"}


# ── as README.md tells it


class Told(NamedTuple):
    """One rule, for comparison."""

    groups: str
    resources: str
    verbs: str
    why: str


def told_of(rule: dict[str, Any], why: str = "") -> Told:
    groups = ", ".join(group or "core" for group in rule["apiGroups"])
    return Told(groups, ", ".join(rule["resources"]), ", ".join(rule["verbs"]), why)


def everything() -> list[dict[str, Any]]:
    return [rule for role in roles("everything") for rule in role["rules"]]


def told_by_manifests() -> set[Told]:
    """Each rule with the comment above it."""
    found = set()
    for document in text("everything").split("\n---\n"):
        if not re.search("^kind: (Cluster)?Role$", document, re.MULTILINE):
            continue
        for why, rule in re.findall(
            r"^  # (.+)\n((?:  [- ] .+\n?)+)", document.partition("\nrules:\n")[2], re.MULTILINE
        ):
            (read,) = yaml.safe_load(rule)
            found.add(told_of(read, why))
    return found


def test_the_table_in_the_readme_is_the_rules_with_their_reasons() -> None:
    rows = re.findall(
        r"^\| (?:own|work|name|clus)[^|]*\| ([^|]*) \| ([^|]*) \| ([^|]*) \| (.*) \|$",
        (CHART / "README.md").read_text(),
        re.MULTILINE,
    )
    table = {Told(group, resources.partition(", only")[0], verbs, why) for group, resources, verbs, why in rows}
    assert table == told_by_manifests()
    # and every rule has its reason
    rules = {(told.groups, told.resources, told.verbs) for told in map(told_of, everything())}
    assert {(told.groups, told.resources, told.verbs) for told in table} == rules


# ── as the API server decides it


@pytest.fixture
def installed(api: ApiServer) -> str:
    """The namespace of a release whose account and roles are there, for all namespaces; also our CRD."""
    return grant(api, api.namespace("may"), "minimal")


def grant(api: ApiServer, namespace: str, *options: str) -> str:
    api.kubectl("apply", "--server-side", "-f", str(CHART / "crds"))
    for other in ("ci", "nightly", "team-a"):
        try:
            api.call("POST", "/api/v1/namespaces", {"metadata": {"name": other}})
        except Failed as error:
            assert error.status == 409
    wanted = ("ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
    manifests = [one for one in objects(*options, namespace=namespace) if one["kind"] in wanted]
    api.kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all(manifests))
    return namespace


def user(namespace: str) -> str:
    return f"system:serviceaccount:{namespace}:platform-syncd"


def may(api: ApiServer, namespace: str, question: str) -> bool:
    """question: `VERB RESOURCE[/SUBRESOURCE][.GROUP][:NAME] [in NAMESPACE]`, as `kubectl auth can-i` asks it."""
    verb, what, *place = question.split()
    resource, _, name = what.partition(":")
    plural, _, group = resource.partition(".")
    plural, _, subresource = plural.partition("/")
    attributes = {"verb": verb, "group": group, "resource": plural, "subresource": subresource, "name": name}
    if place:
        attributes["namespace"] = namespace if place[1] == "own" else place[1]
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": user(namespace),
            "groups": ["system:serviceaccounts", "system:authenticated"],
            "resourceAttributes": attributes,
        },
    }
    return bool(api.call("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)["status"]["allowed"])


MAY = [
    "create leases.coordination.k8s.io in own",
    "get leases.coordination.k8s.io:platform-syncd in own",
    "update leases.coordination.k8s.io:platform-syncd in own",
    "watch leases.coordination.k8s.io:platform-syncd in own",
    *(f"{verb} configmaps in own" for verb in ("get", "list", "create", "patch", "delete")),
    *(f"{verb} sources.syncd.io in own" for verb in ("list", "watch", "create", "patch", "delete")),
    "patch sources/status.syncd.io in own",
    "create events in own",
    "create events in ci",
    "patch events in ci",
    *(
        f"{verb} {kind}.argoproj.io in ci"
        for kind in ("workflows", "workflowtemplates", "cronworkflows")
        for verb in ("get", "list", "watch", "create", "patch", "delete")
    ),
    "list workflows.argoproj.io",
    "watch cronworkflows.argoproj.io",
    "patch clusterworkflowtemplates.argoproj.io",
    "update cronworkflows/finalizers.argoproj.io in ci",
    "get pods in ci",
    "list pods in ci",
    "get pods/log in ci",
]

MAY_NOT = [
    "update leases.coordination.k8s.io:other in own",
    "delete leases.coordination.k8s.io:platform-syncd in own",
    "create leases.coordination.k8s.io in ci",
    "get configmaps in ci",
    "patch configmaps in kube-system",
    "create configmaps in ci",
    "get secrets in own",
    "list secrets in ci",
    "list secrets",
    "patch secrets in kube-system",
    "create sources.syncd.io in ci",
    "create pods in ci",
    "watch pods in ci",
    "delete pods in ci",
    "create pods/exec in ci",
    "create jobs.batch in ci",
    "create cronjobs.batch in ci",
    "patch deployments.apps in own",
    "create serviceaccounts in ci",
    "create serviceaccounts/token in ci",
    "impersonate users",
    "impersonate groups",
    "impersonate serviceaccounts in ci",
    "create roles.rbac.authorization.k8s.io in own",
    "create clusterrolebindings.rbac.authorization.k8s.io",
    "escalate clusterroles.rbac.authorization.k8s.io",
    "deletecollection workflows.argoproj.io in ci",
    "get nodes",
    "create namespaces",
    "delete namespaces:ci in ci",
    "patch customresourcedefinitions.apiextensions.k8s.io",
    "patch validatingwebhookconfigurations.admissionregistration.k8s.io",
]


def test_it_may_do_what_it_does(api: ApiServer, installed: str) -> None:
    assert [question for question in MAY if not may(api, installed, question)] == []


def test_it_may_not_do_anything_else(api: ApiServer, installed: str) -> None:
    assert [question for question in MAY_NOT if may(api, installed, question)] == []


def test_kubectl_is_of_the_same_opinion(api: ApiServer, installed: str) -> None:
    def can(*question: str) -> str:
        return api.kubectl("auth", "can-i", f"--as={user(installed)}", *question, code=None).stdout.strip()

    assert can("create", "workflows.argoproj.io", "-n", "ci") == "yes"
    assert can("update", "leases.coordination.k8s.io/platform-syncd", "-n", installed) == "yes"
    assert can("get", "secrets", "-n", installed) == "no"
    assert can("*", "*") == "no"


def test_with_namespaces_it_may_do_nothing_in_others(api: ApiServer) -> None:
    namespace = grant(api, api.namespace("may"), "namespaced")
    for verb in ("get", "list", "watch", "create", "patch", "delete"):
        assert may(api, namespace, f"{verb} workflows.argoproj.io in nightly")
        assert may(api, namespace, f"{verb} configmaps in ci")
        assert not may(api, namespace, f"{verb} workflows.argoproj.io in default")
        assert not may(api, namespace, f"{verb} workflows.argoproj.io in own")
        assert not may(api, namespace, f"{verb} workflows.argoproj.io")
        assert not may(api, namespace, f"{verb} clusterworkflowtemplates.argoproj.io")
    assert may(api, namespace, "update leases.coordination.k8s.io:platform-syncd in own")


def test_it_may_be_whom_a_source_names_and_nobody_else(api: ApiServer) -> None:
    namespace = grant(api, api.namespace("may"), "everything")
    assert may(api, namespace, "impersonate serviceaccounts:deployer in team-a")
    assert may(api, namespace, "impersonate serviceaccounts:other in team-a")
    assert may(api, namespace, "impersonate users:alice@example.org")
    assert not may(api, namespace, "impersonate serviceaccounts:admin in team-a")
    assert not may(api, namespace, "impersonate serviceaccounts:deployer in ci")
    assert not may(api, namespace, "impersonate users:bob@example.org")
    assert not may(api, namespace, "impersonate groups:system:masters")
    assert may(api, namespace, "create secrets in ci")  # a source says secrets: true
    assert may(api, namespace, "create cronjobs.batch in ci")


# ── as the store needs it


@pytest.fixture
async def store(api: ApiServer, tmp_path: Path) -> AsyncIterator[KubeStore]:
    """The store of a cluster with the rights of the chart: its own account, and nothing else."""
    namespace = grant(api, api.namespace("may"), "minimal")
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/platform-syncd/token"
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    token = api.call("POST", path, asked)["status"]["token"]
    config = api.write_kubeconfig(tmp_path / "kubeconfig", token=token)
    made = await kubestore.opened(config, namespace, name="platform-syncd")
    yield made
    await made.close()


NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


async def test_the_store_keeps_its_own_records(store: KubeStore) -> None:
    cron = Key("CronWorkflow", "ci", "nightly")
    store.begin()
    row = Row(cron, "u1", NOON, Outcome.FIRED, Reason.ON_TIME, NOON, NOON, schedule="0 * * * *", run="nightly-0")
    await store.record([row])
    assert await store.rows(cron) == [row]
    assert await store.prune(NOON + timedelta(days=1), 0) == 1
    await store.save_inventory("jobs", {"a": 1})
    await store.save_inventory("jobs", {"a": 2})
    assert await store.inventory("jobs") == {"a": 2}
    assert await store.inventories() == ["jobs"]
    await store.forget_inventory("jobs")


async def test_the_store_holds_its_lease(store: KubeStore) -> None:
    hold = Hold("one", timedelta(seconds=15), NOON, NOON)
    assert await store.lease.read() is None
    held = await store.lease.write(hold)
    async with asyncio.timeout(20), aclosing(store.lease.changes()) as changes:
        heard = asyncio.ensure_future(anext(changes))
        for number in range(100):
            if heard.done():
                break
            held = await store.lease.write(
                Hold("one", hold.duration, NOON, NOON + timedelta(seconds=number), 0, held.version)
            )
            await asyncio.sleep(0.1)
        assert (await heard).holder == "one"


FULL = {
    "name": "jobs",
    "url": "https://git.example.org/jobs.git",
    "result": "held",
    "reason": "problems",
    "message": "2 errors in 1 file",
    "ref": "main",
    "seen": "main@sha1:02",
    "applied": "main@sha1:01",
    "appliedAt": "2026-01-01T11:00:00Z",
    "contactAt": "2026-01-01T12:00:00Z",
    "author": "alice",
    "subject": "more jobs",
    "problems": {"error": 1, "warning": 1},
    "files": 3,
    "offered": 1,
    "conflicts": 1,
    "objects": {"CronWorkflow": 2},
    "byHand": ["ci/nightly: spec.suspend, alice, since 2026-01-01"],
    "held": {"reason": "problems", "message": "2 errors in 1 file", "revision": "main@sha1:02"},
}
"""A source of which there is everything to say."""

PROBLEMS = [
    Problem(Place("a.yaml", 3, 1), "V101", "no entrypoint", object="ci/a", remedy="name one"),
    Problem(Place("a.yaml"), "V102", "old spelling", severity=Severity.WARNING),
]


async def first(found: AsyncIterator[tuple[str, Any]]) -> AsyncIterator[tuple[str, Any]]:
    yield await anext(found)


def test_the_crd_knows_every_field_of_a_status() -> None:
    """Server-side apply refuses a field that the schema does not have."""
    definition = yaml.safe_load((CHART / "crds" / "sources.syncd.io.yaml").read_text())
    (version,) = definition["spec"]["versions"]
    fields = version["schema"]["openAPIV3Schema"]["properties"]
    status = shown.status_of(FULL, PROBLEMS, None, "2026-01-01T12:00:00Z", "once")
    assert set(fields["status"]["properties"]) == set(status)
    assert set(fields["spec"]["properties"]) == set(shown.spec_of(FULL, "30s", "ci"))


async def test_the_store_shows_its_sources_and_tells_events(store: KubeStore, api: ApiServer) -> None:
    spec = shown.spec_of(FULL, "30s", "ci")
    status = shown.status_of(FULL, PROBLEMS, None, "2026-01-01T12:00:00Z", "once")
    await store.board.show("jobs", spec, status)
    (body,) = (await store.board.shown()).values()
    assert (body["spec"], body["status"]) == (spec, status)
    async with asyncio.timeout(20), aclosing(store.board.asked()) as asked:
        await store.board.ask("jobs", {shown.SYNC_REQUESTED: "now"})
        assert [name async for name, _ in first(asked)] == ["jobs"]
    about = Key("CronWorkflow", "ci", f"of-{store.home.namespace}")
    for _ in range(2):
        await store.board.tell([Notice(about, "Warning", "Missed", "nobody was there")])
    events = api.call("GET", f"/api/v1/namespaces/ci/events?fieldSelector=involvedObject.name={about.name}")["items"]
    assert [event["count"] for event in events] == [2]
    await store.board.remove("jobs")
    assert list(await store.board.shown()) == []


@pytest.mark.parametrize("kind", ["Workflow", "WorkflowTemplate", "CronWorkflow", "ClusterWorkflowTemplate"])
async def test_the_store_writes_and_follows_what_it_is_for(kind: str, store: KubeStore) -> None:
    space = "" if kind.startswith("Cluster") else "ci"
    key = Key(kind, space, f"of-{store.home.namespace}")
    made = Key(kind, space, f"made-{store.home.namespace}")
    version = (await store.list(kind, limit=1)).version
    async with aclosing(store.watch({kind}, version)) as changes:
        await do(store, Verb.APPLY, key, {"spec": {"a": 1}})
        await do(store, Verb.PATCH, key, {"metadata": {"annotations": {"a": "b"}}})
        await do(store, Verb.DECLARE, made, {"spec": {}})
        seen = [(one.kind, one.key) for one in await take(changes, 3)]
    assert seen == [("ADDED", key), ("MODIFIED", key), ("ADDED", made)]
    gone = await store.write([Write(Verb.DELETE, made), Write(Verb.DELETE, key)])
    assert [one.error for one in gone] == [None, None]


async def test_a_run_is_owned_by_its_cron(store: KubeStore) -> None:
    cron = Key("CronWorkflow", "ci", f"cron-{store.home.namespace}")
    live = await do(store, Verb.APPLY, cron, {"spec": {}})
    owner = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "CronWorkflow",
        "name": cron.name,
        "uid": live["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    run = Key("Workflow", "ci", f"{cron.name}-1")
    await do(store, Verb.CREATE, run, {"metadata": {"ownerReferences": [owner]}, "spec": {}})


async def test_the_store_is_refused_what_the_chart_does_not_give(store: KubeStore) -> None:
    for key in (Key("Secret", "ci", "a"), Key("ConfigMap", "ci", "a"), Key("CronJob", "ci", "a")):
        with pytest.raises(Refused):
            await do(store, Verb.APPLY, key, {})
