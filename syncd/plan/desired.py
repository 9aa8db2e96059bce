"""What the source wants, object by object, and how syncd marks what it owns.

In: a `Manifest` and the source's default namespace. Out: a `Desired`, and from it the body to write.
`plan.plan` decides with which `Stamp` an object is written, because the stamp means *last changed in* (decision 14):
an object whose content and file are the same keeps the revision it has, so that a commit rewrites what it
changed and nothing else. `loops.sync` makes one `Desired` per manifest that a commit touched.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from syncd.argo import labels, manifest
from syncd.argo.manifest import Body, Key, Manifest

SHORT_SHA_LENGTH = 12

RUNNABLE = frozenset({labels.WORKFLOW, labels.JOB})
"""Kinds that a source offers (or runs once) and never applies: decision 15, `plan.offers`."""

OURS_IN_LABELS = frozenset({labels.OWNER_SOURCE, labels.SHORT_SHA})
OURS_IN_ANNOTATIONS = frozenset({labels.REVISION, labels.PATH, labels.DIGEST, labels.BY_HAND, labels.CHILD_INSTANCE_ID})
"""What only syncd writes. A file that holds them is not believed: they are dropped before anything is compared."""

SERVER_SET = frozenset(
    {
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "managedFields",
        "selfLink",
    }
)
"""Metadata that the server writes. People paste it into git with `kubectl get -o yaml`."""


@dataclass(frozen=True, slots=True)
class Desired:
    """One object as the source wants it.

    body: without ownership, status or server-set metadata, with its namespace; digest: of that body;
    file, line: where it stands.
    """

    key: Key
    body: Body
    digest: str
    file: str
    line: int = 0

    @property
    def path(self) -> str:
        """`file:line`, the value of the annotation `syncd.io/path`."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Stamp:
    """Who owns an object, and which revision changed it last. commit: its short form; path: `file:line` there; instance: of a cron
    that syncd fires in a cluster, the instance id that git gives ("" = none): what is run of it bears this; None = not such a cron."""

    source: str
    revision: str
    commit: str
    path: str
    digest: str
    instance: str | None = None


def desired(item: Manifest, namespace: str = "default") -> Desired:
    """The object that a manifest declares. namespace: for objects that name none.

    Never raises: `validate` has refused what cannot be written. Fields of the wrong type survive as they are.
    """
    body = cleaned(item.body, namespace)
    return Desired(manifest.key_of(body, namespace), body, digest(body), item.origin.file, item.origin.line)


def cleaned(body: Mapping[str, Any], namespace: str = "default") -> Body:
    """A new body without status, server-set metadata and syncd's own labels and annotations; spec is shared.

    stringData of a Secret is put into its data, as a server does: no server ever shows it.
    """
    metadata = body.get("metadata")
    kept: Body = {}
    if isinstance(metadata, Mapping):
        kept = {name: value for name, value in metadata.items() if name not in SERVER_SET}
    for field, ours in (("labels", OURS_IN_LABELS), ("annotations", OURS_IN_ANNOTATIONS)):
        values = kept.get(field)
        if isinstance(values, Mapping):
            values = {name: value for name, value in values.items() if name not in ours}
        if values:
            kept[field] = values
        else:
            kept.pop(field, None)
    if body.get("kind") in labels.CLUSTER_SCOPED:
        kept.pop("namespace", None)
    elif not kept.get("namespace"):
        kept["namespace"] = namespace
    rest = {name: value for name, value in body.items() if name not in ("metadata", "status")}
    if body.get("kind") == labels.SECRET:
        rest = _encoded(rest)
    return {**rest, "metadata": kept}


def _encoded(secret: Body) -> Body:
    """A Secret without stringData. One of the wrong type survives as it is."""
    plain, data = secret.get("stringData"), secret.get("data") or {}
    if not isinstance(plain, Mapping) or not isinstance(data, Mapping):
        return secret
    if not all(isinstance(text, str) for text in plain.values()):
        return secret
    coded = {name: base64.b64encode(text.encode(errors="replace")).decode() for name, text in plain.items()}
    rest = {name: value for name, value in secret.items() if name != "stringData"}
    return {**rest, "data": {**data, **coded}}


def digest(body: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON of a body, in hex: the same for the same content in any order of keys.

    >>> digest({"a": 1, "b": [True, None]}) == digest({"b": [True, None], "a": 1})
    True
    """
    try:
        text = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # an integer beyond 64 bits, a lone surrogate: YAML can say it, orjson cannot
        text = json.dumps(body, sort_keys=True).encode()
    return hashlib.sha256(text).hexdigest()


def short(commit: str) -> str:
    """The part of a commit that fits a label."""
    return commit[:SHORT_SHA_LENGTH]


def stamped(wanted: Desired, stamp: Stamp) -> Body:
    """The body to write: the desired one with the marks of ownership. spec is shared with `wanted`."""
    metadata = dict(wanted.body["metadata"])
    fired = stamp.instance is not None
    metadata["labels"] = {
        **(metadata.get("labels") or {}),
        labels.OWNER_SOURCE: stamp.source,
        labels.SHORT_SHA: stamp.commit,
        **({labels.INSTANCE_ID: labels.SYNCD_INSTANCE} if fired else {}),
    }
    metadata["annotations"] = {
        **(metadata.get("annotations") or {}),
        labels.REVISION: stamp.revision,
        labels.PATH: stamp.path,
        labels.DIGEST: stamp.digest,
        **({labels.CHILD_INSTANCE_ID: stamp.instance} if fired else {}),
    }
    return {**wanted.body, "metadata": metadata}


def for_scheduler(wanted: Desired, instance: str) -> tuple[Desired, str | None]:
    """A cron as the scheduler of a cluster wants it marked: without the instance id that git gives, and that id for its `Stamp`.

    instance: `labels.SYNCD_INSTANCE` where syncd fires the CronWorkflows of a cluster, "" = they are applied as they are; then, and
    for every other kind: `wanted` itself and None. The digest stays that of git's content, so that a change of the setting rewrites
    these marks and says nothing of a change in git (decision 2 of the architecture).
    """
    if not instance or wanted.key.kind != labels.CRON_WORKFLOW:
        return wanted, None
    given = marks(wanted.body)[0].get(labels.INSTANCE_ID)
    if given is None:
        return wanted, ""
    metadata = dict(wanted.body["metadata"])
    metadata["labels"] = {name: value for name, value in metadata["labels"].items() if name != labels.INSTANCE_ID}
    told = given if isinstance(given, str) and given != instance else ""
    return replace(wanted, body={**wanted.body, "metadata": metadata}), told


def stamp_of(body: Mapping[str, Any]) -> Stamp | None:
    """The marks that a live object carries; None where nobody's source owns it."""
    own_labels, annotations = marks(body)
    source = own_labels.get(labels.OWNER_SOURCE)
    if not isinstance(source, str) or not source:
        return None
    instance = annotations.get(labels.CHILD_INSTANCE_ID)
    fired = isinstance(instance, str) and own_labels.get(labels.INSTANCE_ID) == labels.SYNCD_INSTANCE
    return Stamp(
        source=source,
        revision=str(annotations.get(labels.REVISION, "")),
        commit=str(own_labels.get(labels.SHORT_SHA, "")),
        path=str(annotations.get(labels.PATH, "")),
        digest=str(annotations.get(labels.DIGEST, "")),
        instance=instance if fired else None,
    )


def marks(body: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Labels and annotations of a body; {} where there are none, or no mappings."""
    metadata = body.get("metadata")
    if not isinstance(metadata, Mapping):
        return {}, {}
    both = (metadata.get("labels"), metadata.get("annotations"))
    return tuple(part if isinstance(part, Mapping) else {} for part in both)  # type: ignore[return-value]
