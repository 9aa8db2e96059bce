"""The checks of `syncd doctor` on a cluster: a Config that names one in, a verdict on each thing out.

Whether the API server answers, what is installed, what may be done (the daemon's account where that may be asked, else whoever calls),
clocks, who leads, and who fires what. Called by `commands.doctor`. The table of permissions says what the chart grants
(charts/syncd/templates/_rules.tpl); a test holds one against the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from syncd.app import beside
from syncd.argo import labels
from syncd.base.errors import Refused, SyncdError, Unsupported
from syncd.cli.checks import Answer
from syncd.cluster.kube import kinds
from syncd.cluster.kube.door import Door
from syncd.config.model import Config, Scheduler

_LIFE: Final = ("get", "list", "watch", "create", "patch", "delete")


@dataclass(frozen=True, slots=True)
class Need:
    """A permission of the daemon. own: in the namespace of the installation, else where the work is; name: of the one object;
    optional: "" = it cannot work without, else what is missed; whole: only where the work is the whole cluster."""

    group: str
    resource: str
    verbs: tuple[str, ...]
    own: bool = False
    named: bool = False
    optional: str = ""
    whole: bool = False


NEEDS: Final[tuple[Need, ...]] = (
    Need("coordination.k8s.io", "leases", ("create",), own=True),
    Need("coordination.k8s.io", "leases", ("get", "watch", "update"), own=True, named=True),
    Need("", "configmaps", ("get", "list", "create", "patch", "delete"), own=True),
    Need("syncd.io", "sources", ("list", "watch", "create", "patch", "delete"), own=True),
    Need("syncd.io", "sources/status", ("patch",), own=True),
    Need("", "events", ("create", "patch"), own=True),
    Need("argoproj.io", "workflows", _LIFE),
    Need("argoproj.io", "workflowtemplates", _LIFE),
    Need("argoproj.io", "cronworkflows", _LIFE),
    Need("argoproj.io", "cronworkflows/finalizers", ("update",), optional="only clusters that check owners want it"),
    Need(
        "argoproj.io",
        "clusterworkflowtemplates",
        _LIFE,
        optional="ClusterWorkflowTemplates cannot be synced",
        whole=True,
    ),
    Need("batch", "cronjobs", _LIFE, optional="CronJobs cannot be synced (rbac.cronJobs)"),
    Need("", "configmaps", _LIFE, optional="ConfigMaps cannot be synced (rbac.configMaps)"),
    Need("", "events", ("create", "patch"), optional="no Events on objects"),
    Need("", "pods", ("get", "list"), optional="no logs over the daemon's API (rbac.logs)"),
    Need("", "pods/log", ("get",), optional="no logs over the daemon's API (rbac.logs)"),
)
"""What the daemon does, each with its verbs: the rules of the chart."""

_ARGO: Final = (labels.WORKFLOW, labels.WORKFLOW_TEMPLATE, labels.CRON_WORKFLOW, labels.CLUSTER_WORKFLOW_TEMPLATE)
_CONTROLLER: Final = "workflow-controller"
_DEPLOYMENTS: Final = "/apis/apps/v1/deployments"


async def look(config: Config, scratch: Path) -> AsyncIterator[Answer]:
    """Every check, in order, each as soon as it is known. The first one that nothing can go on without ends it."""
    try:
        async with beside.reached(config, scratch) as found:
            door = found.store.door
            yield await _version(door)
            async for answer in _installed(found):
                yield answer
            for check in (_permissions, _clock, _lease, _controller, _crons):
                yield await check(found)
    except SyncdError as error:
        said, _, remedy = str(error).partition("; ")
        yield Answer("API server", "bad", said, remedy or _REACH)


_REACH: Final = (
    "look at --context, --kubeconfig and your credentials: `kubectl get namespaces` with the same has to work"
)


async def _version(door: Door) -> Answer:
    told = (await door.call("GET", "/version", what="get the version")).value or {}
    version = str(told.get("gitVersion") or "of an unknown version")
    number = (str(told.get("major") or ""), str(told.get("minor") or "").rstrip("+"))
    if all(part.isdigit() for part in number) and (int(number[0]), int(number[1])) < (1, 27):
        return Answer("API server", "note", f"{version} at {door.url}", "syncd is tried on Kubernetes 1.27 and newer")
    return Answer("API server", "good", f"{version} at {door.url}")


async def _installed(found: beside.Reached) -> AsyncIterator[Answer]:
    """What kinds are served."""
    for subject, wanted in (("Argo's CRDs", _ARGO), ("syncd's CRD", (kinds.SOURCE,))):
        faults, unknown = [], []
        for kind in wanted:
            try:
                await found.store.list(kind, found.place.namespace, limit=1)
            except Refused:
                unknown.append(
                    kind
                )  # it is served, or there would be nothing to refuse: RBAC is asked first, so it is not known
            except Unsupported as error:
                faults.append((kind, str(error).partition("; ")[2]))
        if faults:
            missing = ", ".join(kind for kind, _ in faults)
            yield Answer(subject, "bad", f"not served: {missing}", faults[0][1])
        elif unknown:
            yield Answer(subject, "note", f"not known: you may not list {', '.join(unknown)}")
        else:
            yield Answer(subject, "good", f"serves {', '.join(wanted)}")


async def _permissions(found: beside.Reached) -> Answer:
    """Of the daemon's account where that is known and may be asked, else of whoever calls."""
    account = await _account(found)
    spaces = found.config.kubernetes.namespaces or ("",)
    asked = [
        (need, verb, space)
        for need in NEEDS
        for verb in need.verbs
        for space in ((found.place.namespace,) if need.own else ("",) if need.whole else spaces)
        if not (need.whole and found.config.kubernetes.namespaces)
    ]
    try:
        allowed = await _allowed(found, asked, account)
    except Refused:
        account = ""
        allowed = await _allowed(found, asked, account)
    who = account or "you"
    bad: dict[str, list[str]] = {}
    missed: dict[str, None] = {}
    for (need, verb, space), good in zip(asked, allowed, strict=True):
        if good:
            continue
        if need.optional:
            missed[need.optional] = None
            continue
        where = f"in namespace {space}" if space else "in all namespaces"
        bad.setdefault(f"{need.resource}{f'.{need.group}' if need.group else ''} {where}", []).append(verb)
    said = (
        f"{who} may do what the daemon does"
        if not bad
        else f"{who} may not " + "; ".join(f"{', '.join(verbs)} {what}" for what, verbs in bad.items())
    )
    if missed:
        said += f" ({'; '.join(missed)})"
    if not bad:
        return Answer("permissions", "good", said)
    if account:
        return Answer(
            "permissions", "bad", said, "`helm upgrade` with rbac.create, or the roles of charts/syncd/README.md"
        )
    return Answer(
        "permissions", "note", said, "for you it need not be; the daemon's account has to: charts/syncd/README.md"
    )


async def _account(found: beside.Reached) -> str:
    """The service account of the installation's Deployment, as RBAC calls it; "" = not known."""
    query = {"labelSelector": "app.kubernetes.io/name=syncd"}
    path = f"/apis/apps/v1/namespaces/{found.place.namespace}/deployments"
    try:
        items = (await found.store.door.call("GET", path, query, what="list deployments", named=False)).value["items"]
    except (SyncdError, KeyError, TypeError):
        return ""
    names = {str(body["spec"]["template"]["spec"].get("serviceAccountName") or "default") for body in items}
    return f"system:serviceaccount:{found.place.namespace}:{names.pop()}" if len(names) == 1 else ""


async def _allowed(found: beside.Reached, asked: list[tuple[Need, str, str]], account: str) -> list[bool]:
    """Ask the API server about each. account: "" = about whoever asks. Raises Refused where an account may not be asked about."""
    kind = "SubjectAccessReview" if account else "SelfSubjectAccessReview"
    path = f"/apis/authorization.k8s.io/v1/{kind.lower()}s"
    lease = found.parts.home.name

    async def one(need: Need, verb: str, space: str) -> bool:
        resource, _, part = need.resource.partition("/")
        attributes = {"group": need.group, "resource": resource, "subresource": part, "verb": verb, "namespace": space}
        if need.named:
            attributes["name"] = lease
        spec: dict[str, Any] = {"resourceAttributes": attributes}
        if account:
            groups = [
                "system:serviceaccounts",
                f"system:serviceaccounts:{found.place.namespace}",
                "system:authenticated",
            ]
            spec |= {"user": account, "groups": groups}
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
        reply = await found.store.door.call("POST", path, None, body, what=f"create {kind}", named=False)
        return bool((reply.value.get("status") or {}).get("allowed"))

    if account and asked:
        await one(*asked[0])  # refused once, not a hundred times
    return await asyncio.gather(*(one(*each) for each in asked))


async def _clock(found: beside.Reached) -> Answer:
    skew = found.store.door.skew_seconds
    most = found.config.kubernetes.max_clock_skew.total_seconds()
    if skew is None:
        return Answer("clock", "note", "the API server does not say what time it is")
    said = f"this machine is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the API server"
    if abs(skew) > most:
        return Answer(
            "clock", "bad", said, f"set the clock: a daemon here would not lead (kubernetes.maxClockSkew, {most:.0f} s)"
        )
    return Answer("clock", "good", said if abs(skew) >= 2 else "as the API server's")


async def _lease(found: beside.Reached) -> Answer:
    if not found.place.found:
        said, _, remedy = found.place.why.partition("; ")
        return Answer("daemon", "note", said, remedy)
    seen = beside.Seen(found)
    await seen.refresh()
    where = f"lease {found.parts.home.name} in namespace {found.place.namespace}"
    if dead := seen.dead():
        return Answer(
            "daemon", "bad", dead, f"`kubectl get pods -n {found.place.namespace} -l app.kubernetes.io/name=syncd`"
        )
    age = seen.age_seconds()
    if seen.hold is None or age is None:
        return Answer("daemon", "note", f"not known: {'; '.join(seen.faults)}")
    changes = f", changed hands {seen.hold.transitions} times" if seen.hold.transitions else ""
    return Answer("daemon", "good", f"{seen.hold.holder} leads ({where}, renewed {age:.0f} s ago{changes})")


async def _controller(found: beside.Reached) -> Answer:
    """Argo's workflow-controller, which runs what syncd fires: by its Lease, else by its Deployment."""
    door, subject = found.store.door, "Argo's controller"
    query = {"fieldSelector": f"metadata.name={_CONTROLLER}"}
    remedy = "install Argo Workflows: nothing else runs Workflows in a cluster"
    try:
        path = kinds.collection(kinds.LEASE, None)
        leases = (await door.call("GET", path, query, what="list leases", kind=kinds.LEASE, named=False)).value["items"]
        deployments = (await door.call("GET", _DEPLOYMENTS, query, what="list deployments", named=False)).value["items"]
    except Refused:
        return Answer(subject, "note", "not known: you may not list Leases and Deployments of the whole cluster")
    ready = [body for body in deployments if (body.get("status") or {}).get("readyReplicas")]
    if ready:
        spaces = ", ".join(str(body["metadata"]["namespace"]) for body in ready)
        return Answer(subject, "good", f"runs in namespace {spaces}")
    if deployments:
        spaces = ", ".join(str(body["metadata"]["namespace"]) for body in deployments)
        return Answer(subject, "bad", f"is in namespace {spaces}, and no replica of it is ready", "look at its pods")
    if leases:
        renewed = str((leases[0].get("spec") or {}).get("renewTime") or "never")
        space = leases[0]["metadata"]["namespace"]
        return Answer(
            subject, "note", f"has a Lease in namespace {space}, renewed {renewed}, and no Deployment of that name"
        )
    return Answer(subject, "bad", f"neither a Deployment nor a Lease {_CONTROLLER} was found", remedy)


async def _crons(found: beside.Reached) -> Answer:
    """Who fires the CronWorkflows."""
    counts = {"syncd": 0, "argo": 0}
    after = ""
    try:
        while True:
            page = await found.store.list(labels.CRON_WORKFLOW, limit=500, after=after)
            for body in page.items:
                marks = body["metadata"].get("labels") or {}
                counts["syncd" if marks.get(labels.INSTANCE_ID) == labels.SYNCD_INSTANCE else "argo"] += 1
            after = page.after
            if not after:
                break
    except (Refused, Unsupported) as error:
        return Answer("crons", "note", f"not known: {error}")
    said = f"syncd fires {counts['syncd']}, Argo {counts['argo']} (those without the label {labels.INSTANCE_ID})"
    config = await beside.described(found)
    if config.schedule.scheduler is Scheduler.ARGO and counts["syncd"]:
        remedy = "schedule.scheduler is argo: syncd fires those until their label goes, by a sync or by hand"
        return Answer("crons", "note", said, remedy)
    return Answer("crons", "good", said)
