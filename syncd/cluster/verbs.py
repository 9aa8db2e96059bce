"""What a write does to a body: the part of Kubernetes' server side that every store of our own shares.

In: the live body (without status.nodes, which are kept apart), the desired body or the patch, uid, version and time.
Out: the body after the write, or an error of `base.errors`. Pure: stores call it inside their own transaction
(`cluster.memory`, `cluster.embedded.objects`). Bodies are never changed in place.

A body is checked here as the last wall before the store: names end up in file names and URLs.
Source: Kubernetes 1.34 apimachinery/pkg/api/validation (names), RFC 7386 (merge patch).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from syncd.argo import labels
from syncd.argo.manifest import Body, Key
from syncd.base.clock import rfc3339
from syncd.base.errors import Conflict, Invalid

MAX_BODY_BYTES: Final = 8 * 1024 * 1024
"""Of one object without its nodes. etcd refuses past 1.5 MiB; a resolved workflow may be larger."""

_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_SERVER_SET = ("uid", "resourceVersion", "generation", "creationTimestamp", "name", "namespace")
_NOT_DECLARED = frozenset({*_SERVER_SET, "labels", "annotations", "generateName"})
_NOT_FIELDS = frozenset({"apiVersion", "kind", "metadata", "status"})


@dataclass(frozen=True, slots=True)
class Nodes:
    """What a write does to a Workflow's status.nodes. drop: first remove all; patch: id → merge patch, None = remove."""

    drop: bool = False
    patch: Mapping[str, Any] | None = None

    def __bool__(self) -> bool:
        return self.drop or bool(self.patch)


@dataclass(frozen=True, slots=True)
class Owned:
    """What the last APPLY set in the metadata: the keys that a later one may remove again."""

    labels: frozenset[str] = frozenset()
    annotations: frozenset[str] = frozenset()


def encoded(key: Key, body: Body | None) -> bytes:
    """The body as JSON text. Raises Invalid: no mapping, not JSON, too deep, too large."""
    if not isinstance(body, dict):
        raise Invalid(f"{key}: the body is {type(body).__name__}, not a mapping")
    try:
        text = orjson.dumps(body)
    except (TypeError, ValueError, RecursionError) as error:  # too deep, a number past 64 bits, half a character
        raise Invalid(f"{key}: the body is not JSON: {error}") from error
    if len(text) > MAX_BODY_BYTES:
        raise Invalid(f"{key}: the body has {len(text)} bytes, more than the {MAX_BODY_BYTES} that an object may have")
    return text


def checked(key: Key, body: Body | None) -> Body:
    """`body` itself, once it is known that it can be stored. Raises Invalid as `encoded` does."""
    encoded(key, body)
    assert body is not None
    return body


def sent(key: Key, body: Body | None) -> Body:
    """The body as it goes to a server of others, which judges the rest itself: same wall as `created`, identity filled in.

    Without what only a server sets. Raises Invalid.
    """
    given = checked(key, body)
    metadata = _metadata(key, given)
    _check_identity(key, given, metadata)
    _without_nodes(key, given)
    named = {"name": key.name} if key.name else {}
    kept = {name: value for name, value in metadata.items() if name not in _SERVER_SET}
    return {
        **{name: value for name, value in given.items() if value is not None},
        "apiVersion": given.get("apiVersion") or labels.API_VERSION_OF.get(key.kind, "v1"),
        "kind": key.kind,
        "metadata": {**named, **({"namespace": key.namespace} if key.namespace else {}), **kept},
    }


def check_key(key: Key) -> None:
    """Raises Invalid where kind, namespace or name is not one that Kubernetes takes."""
    if not key.kind:
        raise Invalid(f"object {key.namespace}/{key.name} has no kind")
    if _NAME.fullmatch(key.name) is None:
        raise Invalid(
            f"{key.kind} name {key.name[:260]!r} is not valid; use lower-case letters, digits, '-' and '.', at most 253"
        )
    if key.kind in labels.CLUSTER_SCOPED:
        if key.namespace:
            raise Invalid(f"{key}: a {key.kind} has no namespace")
    elif _NAMESPACE.fullmatch(key.namespace) is None:
        raise Invalid(
            f"{key.kind} {key.name}: namespace {key.namespace[:70]!r} is not valid; "
            "use lower-case letters, digits and '-', at most 63"
        )


def generated(key: Key, body: Body | None, suffix: Callable[[], str]) -> Key:
    """The key with a name made up, where body.metadata asks for it with generateName; else the key itself."""
    metadata = body.get("metadata") if isinstance(body, dict) else None
    if isinstance(metadata, dict) and not metadata.get("name"):
        prefix = metadata.get("generateName")
        if isinstance(prefix, str) and prefix and key.name in ("", prefix):
            return Key(key.kind, key.namespace, prefix[:248] + suffix())
    return key


def created(key: Key, body: Body, *, uid: str, version: int, now: datetime) -> tuple[Body, Nodes]:
    """The new object, and its nodes. body: checked. Raises Invalid."""
    check_key(key)
    fresh, nodes = _without_nodes(key, body)
    metadata = _metadata(key, fresh)
    _check_identity(key, fresh, metadata)
    body = {
        "apiVersion": fresh.get("apiVersion") or labels.API_VERSION_OF.get(key.kind, "v1"),
        "kind": key.kind,
        "metadata": {
            "name": key.name,
            **({"namespace": key.namespace} if key.namespace else {}),
            "uid": uid,
            "resourceVersion": str(version),
            "generation": 1,
            "creationTimestamp": rfc3339(now),
            **{name: value for name, value in metadata.items() if name not in _SERVER_SET},
        },
    }
    body |= {name: value for name, value in fresh.items() if name not in _NOT_FIELDS and value is not None}
    if fresh.get("status") is not None:
        body["status"] = fresh["status"]
    return body, Nodes(patch=nodes.patch)


def applied(key: Key, live: Body, desired: Body, owned: Owned) -> Body:
    """`live` with everything that `desired` declares; version and generation as before (see `revised`).

    Fields besides metadata and status become those of `desired`. Labels and annotations are merged: those that an
    earlier APPLY set (`owned`) and this one does not are removed, those of others stay. While a person holds
    spec.suspend by hand (annotation syncd.io/by-hand), it stays as that person left it. desired: checked.
    """
    declared = _metadata(key, desired)
    _check_identity(key, desired, declared)
    metadata = dict(live["metadata"])
    for field, mine in (("labels", owned.labels), ("annotations", owned.annotations)):
        kept = {name: value for name, value in (metadata.get(field) or {}).items() if name not in mine}
        merged = {**kept, **(declared.get(field) or {})}
        metadata.pop(field, None)
        if merged:
            metadata[field] = merged
    metadata |= {field: value for field, value in declared.items() if field not in _NOT_DECLARED}
    after: Body = {
        "apiVersion": desired.get("apiVersion") or live["apiVersion"],
        "kind": key.kind,
        "metadata": metadata,
    }
    after |= {field: value for field, value in desired.items() if field not in _NOT_FIELDS and value is not None}
    if "status" in live:
        after["status"] = live["status"]
    spec = after.get("spec")
    if isinstance(spec, dict) and labels.BY_HAND in (metadata.get("annotations") or {}):
        held = live.get("spec")
        spec = {name: value for name, value in spec.items() if name != "suspend"}
        if isinstance(held, dict) and "suspend" in held:
            spec["suspend"] = held["suspend"]
        after["spec"] = spec
    return after


def owned_by(desired: Body) -> Owned:
    """What an APPLY of `desired` sets in the metadata."""
    metadata = desired.get("metadata") or {}
    return Owned(frozenset(metadata.get("labels") or ()), frozenset(metadata.get("annotations") or ()))


def patched(key: Key, live: Body, patch: Body) -> tuple[Body, Nodes]:
    """`live` after a JSON merge patch, and what happens to the nodes. patch: checked. Raises Invalid, Conflict.

    uid and resourceVersion in the patch are preconditions; the rest of what the server sets cannot be patched.
    """
    rest, nodes = _without_nodes(key, patch)
    asked = rest.get("metadata")
    if asked is not None and not isinstance(asked, dict):
        raise Invalid(f"{key}: the patch's metadata is not a mapping")
    metadata = live["metadata"]
    for name in ("uid", "resourceVersion"):
        if asked and asked.get(name) not in (None, metadata[name]):
            raise Conflict(f"{key} has {name} {metadata[name]}, not {asked[name]}; read it again")
    _check_identity(key, rest, asked or {})
    if asked:
        asked = {name: value for name, value in asked.items() if name not in _SERVER_SET}
    after: Body = merge_patch(live, {**rest, "metadata": asked or {}})
    for name in ("apiVersion", "kind"):
        after[name] = after.get(name) or live[name]
    _metadata(key, after)
    if "nodes" in (after.get("status") or {}):
        raise Invalid(f"{key}: status.nodes is not a mapping")
    if nodes.patch and "status" not in after:
        after["status"] = {}
    return after, nodes


def revised(before: Body, after: Body, version: int, *, touched: bool = False) -> Body | None:
    """`after` with its new version and generation; None where nothing changed (as Kubernetes: no write, no event).

    generation counts changes outside of metadata and status. touched: something kept apart (a node) did change.
    """
    if before == after and not touched:
        return None
    fields = before.keys() | after.keys()
    moved = any(before.get(name) != after.get(name) for name in fields - _NOT_FIELDS)
    metadata = {
        **after["metadata"],
        "resourceVersion": str(version),
        "generation": before["metadata"]["generation"] + moved,
    }
    return {**after, "metadata": metadata}


def check_expected(key: Key, metadata: Mapping[str, Any], expect: str | None, uid: str | None) -> None:
    """The preconditions of a Write. Raises Conflict."""
    if uid is not None and metadata["uid"] != uid:
        raise Conflict(f"{key} has uid {metadata['uid']}, not {uid}: it was deleted and made anew; read it again")
    if expect is not None and metadata["resourceVersion"] != expect:
        raise Conflict(f"{key} is at version {metadata['resourceVersion']}, not {expect}; read it again")


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386.

    >>> merge_patch({"a": {"b": 1, "c": 2}}, {"a": {"b": None}, "d": [1]})
    {'a': {'c': 2}, 'd': [1]}
    """
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge_patch(result.get(name), value)
    return result


def merged_labels(live: Body, added: Mapping[str, str]) -> Body:
    """`live` with `added` among its labels."""
    metadata = live["metadata"]
    return {**live, "metadata": {**metadata, "labels": {**(metadata.get("labels") or {}), **added}}}


def _without_nodes(key: Key, body: Body) -> tuple[Body, Nodes]:
    """The body without status.nodes, and what it does to the nodes. Other kinds than Workflow keep theirs."""
    if key.kind != labels.WORKFLOW or "status" not in body:
        return dict(body), Nodes()
    status = body["status"]
    if status is None:
        return dict(body), Nodes(drop=True)
    if not isinstance(status, dict):
        raise Invalid(f"{key}: status is not a mapping")
    if "nodes" not in status:
        return dict(body), Nodes()
    nodes = status["nodes"]
    rest = {**body, "status": {name: value for name, value in status.items() if name != "nodes"}}
    if nodes is None:
        return rest, Nodes(drop=True)
    if not isinstance(nodes, dict) or not all(isinstance(node, dict | None) for node in nodes.values()):
        raise Invalid(f"{key}: status.nodes is not a mapping of mappings")
    return rest, Nodes(patch=nodes)


def _metadata(key: Key, body: Body) -> dict[str, Any]:
    """A copy of body.metadata. Raises Invalid unless labels and annotations map text to text."""
    metadata = body.get("metadata")
    if metadata is None:
        return {}
    if not isinstance(metadata, dict):
        raise Invalid(f"{key}: metadata is not a mapping")
    copy = {name: value for name, value in metadata.items() if value is not None}
    for field in ("labels", "annotations"):
        entries = copy.get(field, {})
        if not isinstance(entries, dict) or not all(isinstance(value, str) for value in entries.values()):
            raise Invalid(f"{key}: metadata.{field} must map text to text; put numbers and true/false into quotes")
    return copy


def _check_identity(key: Key, body: Body, metadata: Mapping[str, Any]) -> None:
    """Raises Invalid where the body says that it is another object than `key`."""
    for field, said, meant in (
        ("kind", body.get("kind"), key.kind),
        ("metadata.name", metadata.get("name"), key.name),
        ("metadata.namespace", metadata.get("namespace"), key.namespace),
    ):
        if said is not None and said != meant and not (field == "metadata.namespace" and not meant):
            raise Invalid(f"{key}: {field} of the body is {said!r}")
