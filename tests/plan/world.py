"""A small world for the laws of the plan: objects of a few names, in every state that a live object can be in.

`apply` is what a store does with a plan, in ten lines: the model against which the laws are stated.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from syncd.argo import labels
from syncd.argo.manifest import Body, Key, Manifest, Origin, Path
from syncd.plan import desired as wanting
from syncd.plan.desired import Desired, Stamp
from syncd.plan.plan import Plan, Policy, Verb

SOURCE = "examples"
POLICY = Policy(SOURCE, "main@sha1:" + "b" * 40, "b" * 40)

KEYS = (
    Key("ConfigMap", "default", "settings"),
    Key("ClusterWorkflowTemplate", "", "shared"),
    Key("WorkflowTemplate", "default", "base"),
    Key("WorkflowTemplate", "ci", "base"),
    Key("CronWorkflow", "default", "nightly"),
    Key("CronWorkflow", "default", "hourly"),
)


def body(
    key: Key, content: int = 0, *, suspend: bool | None = None, prune: bool = True, instance: str | None = None
) -> Body:
    """What a file says of `key`; content: one of several versions of it; instance: the id of a workflow-controller."""
    metadata: dict[str, Any] = {"name": key.name}
    if instance is not None:
        metadata["labels"] = {labels.INSTANCE_ID: instance}
    if key.namespace:
        metadata["namespace"] = key.namespace
    if not prune:
        metadata["annotations"] = {labels.PRUNE: "disabled"}
    made: Body = {"apiVersion": labels.API_VERSION_OF[key.kind], "kind": key.kind, "metadata": metadata}
    if key.kind == "ConfigMap":
        return {**made, "data": {"content": str(content)}}
    spec: dict[str, Any] = {"entrypoint": "main", "templates": [{"name": "main", "n": content}]}
    if suspend is not None:
        spec["suspend"] = suspend
    return {**made, "spec": spec}


def manifest(key: Key, content: int = 0, *, file: str = "a.yaml", line: int = 1, **more: Any) -> Manifest:
    return Manifest(key, body(key, content, **more), Origin(file, line, source=SOURCE))


def wanted(key: Key, content: int = 0, **more: Any) -> Desired:
    return wanting.desired(manifest(key, content, **more))


def live(key: Key, content: int = 0, *, source: str | None = SOURCE, said: int | None = None, **more: Any) -> Body:
    """A live object; said: the content that its digest speaks of, where somebody changed it since."""
    applied = wanted(key, content if said is None else said)
    now = wanted(key, content, **more)
    made = now.body
    if source is not None:
        stamp = Stamp(source, "main@sha1:" + "a" * 40, "a" * 12, "a.yaml:1", applied.digest)
        made = wanting.stamped(now, stamp)
    metadata = {**made["metadata"], "uid": f"uid-{key}", "resourceVersion": "7"}
    return {**made, "metadata": metadata, "status": {"active": []}}


def by_hand(object_: Body, who: str = "ada") -> Body:
    """The same, suspended by hand."""
    note = json.dumps({"field": "spec.suspend", "who": who, "since": "2026-01-01T00:00:00Z"})
    metadata = {
        **object_["metadata"],
        "annotations": {**(object_["metadata"].get("annotations") or {}), labels.BY_HAND: note},
    }
    return {**object_, "metadata": metadata, "spec": {**object_["spec"], "suspend": True}}


def going(object_: Body, *finalizers: str) -> Body:
    """The same, being deleted."""
    held = {"finalizers": list(finalizers)} if finalizers else {}
    return {**object_, "metadata": {**object_["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z", **held}}


def managed(object_: Body, manager: str, fields: Mapping[str, Any], *, declares: bool = False) -> Body:
    """The same, with fields that a manager set: `managedFields`, as an API server keeps them."""
    entry = {
        "manager": manager,
        "operation": "Apply" if declares else "Update",
        "time": "2026-01-01T06:00:00Z",
        "fieldsV1": fields,
    }
    known = object_["metadata"].get("managedFields") or []
    return {**object_, "metadata": {**object_["metadata"], "managedFields": [*known, entry]}}


IGNORE: Mapping[str, tuple[Path, ...]] = {
    "CronWorkflow": (("spec", "suspend"), ("metadata", "labels", "team")),
    "WorkflowTemplate": (("spec", "templates", 0, "n"),),
    "ConfigMap": (("data", "content"),),
}


def apply(plan: Plan, there: Mapping[Key, Body], owned: frozenset[Key]) -> tuple[dict[Key, Body], frozenset[Key]]:
    """The world after the plan: what a store and `settle` make of it."""
    after, kept = dict(there), set(owned)
    for change in plan.changes:
        if change.verb in (Verb.CREATE, Verb.UPDATE):
            assert change.body is not None
            before = after.get(change.key)
            made = {**change.body, "status": {}}
            there_before = (before or {}).get("metadata", {})
            kept_by_server = {name: there_before[name] for name in ("managedFields",) if name in there_before}
            made["metadata"] = {**made["metadata"], **kept_by_server, "uid": there_before.get("uid", "fresh")}
            hand = ((before or {}).get("metadata", {}).get("annotations") or {}).get(labels.BY_HAND)
            if before is not None and hand:
                made["metadata"]["annotations"] = {**made["metadata"]["annotations"], labels.BY_HAND: hand}
                made["spec"] = {**made["spec"], "suspend": before["spec"]["suspend"]}
            after[change.key] = made
            kept.add(change.key)
        elif change.verb is Verb.DELETE:
            del after[change.key]
            kept.discard(change.key)
        elif change.verb is Verb.FORGET:
            kept.discard(change.key)
    return after, frozenset(kept)


@st.composite
def _live(draw: st.DrawFn, key: Key) -> Body:
    content, said = draw(st.integers(0, 2)), draw(st.integers(0, 2))
    source = draw(st.sampled_from([SOURCE, SOURCE, SOURCE, "other", "retired", None]))
    made = live(key, content, source=source, said=said, prune=draw(st.booleans()))
    if key.kind == "CronWorkflow" and draw(st.booleans()):
        made = by_hand(made)
    if key.kind == "CronWorkflow" and draw(st.booleans()):
        metadata = made["metadata"]
        marks = {**(metadata.get("labels") or {}), labels.INSTANCE_ID: draw(st.sampled_from(["syncd", "argo"]))}
        notes = {**(metadata.get("annotations") or {}), labels.CHILD_INSTANCE_ID: draw(st.sampled_from(["", "argo"]))}
        made = {**made, "metadata": {**metadata, "labels": marks, "annotations": notes}}
    if draw(st.integers(0, 3)) == 0:
        fields = draw(st.sampled_from([{"f:spec": {}}, {"f:data": {}}, {"f:spec": {"f:suspend": {}}}]))
        made = managed(made, draw(st.sampled_from(["syncd", "argocd"])), fields, declares=draw(st.booleans()))
    return going(made, *draw(st.sampled_from([(), ("a/b",)]))) if draw(st.integers(0, 5)) == 0 else made


@st.composite
def worlds(draw: st.DrawFn) -> tuple[dict[Key, Desired], dict[Key, Body], frozenset[Key], Policy]:
    """desired, live, inventory, policy: any combination, consistent or not."""
    there = {key: draw(_live(key)) for key in KEYS if draw(st.booleans())}
    want = {
        key: wanted(
            key,
            draw(st.integers(0, 2)),
            file=draw(st.sampled_from(["a.yaml", "b.yaml"])),
            prune=draw(st.booleans()),
            instance=draw(st.sampled_from([None, None, "argo"])),
        )
        for key in KEYS
        if draw(st.booleans())
    }
    owned = frozenset(key for key in KEYS if draw(st.booleans()))
    policy = Policy(
        SOURCE,
        POLICY.revision,
        POLICY.commit,
        kinds=draw(st.sampled_from([None, frozenset({"WorkflowTemplate", "CronWorkflow"})])),
        namespaces=draw(st.sampled_from([None, frozenset({"default"})])),
        retired=draw(st.sampled_from([frozenset[str](), frozenset({"retired"})])),
        no_deletes=draw(st.sampled_from(["", "a file cannot be read"])),
        ignore=draw(st.sampled_from([{}, IGNORE])),
        instance=draw(st.sampled_from(["", labels.SYNCD_INSTANCE])),
    )
    return want, there, owned, policy
