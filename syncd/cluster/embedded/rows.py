"""An object as a row, and as a body: the two shapes, and the way between them.

In: rows of `objects` with `bodies`. Out: bodies as Kubernetes writes them, or `Unreadable` for a row whose JSON is
damaged (a power cut, a failing disk): its reader puts it into quarantine and goes on. Called by the rest of the room.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import orjson

from syncd.argo.manifest import Body, Key

COLUMNS: Final = (
    "o.id, o.kind, o.namespace, o.name, o.uid, o.version, o.generation, o.created, o.head, o.status, b.body"
)
"""Of `objects o JOIN bodies b USING (id)`, in the order of `Stored`."""

_IN_COLUMNS: Final = frozenset({"name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp"})


class Unreadable(Exception):
    """A row that holds no JSON of the kind it should. row: its id; key: whose it is; reason: what the parser said."""

    def __init__(self, row: int, key: str, reason: str) -> None:
        super().__init__(f"{key}: {reason}")
        self.row, self.key, self.reason = row, key, reason


@dataclass(frozen=True, slots=True)
class Stored:
    """One object in the shape of the tables; also what an event keeps, because bytes are small and can be shared."""

    id: int
    kind: str
    namespace: str
    name: str
    uid: str
    version: int
    generation: int
    created: str
    head: bytes
    status: bytes | None
    body: bytes

    @property
    def key(self) -> Key:
        return Key(self.kind, self.namespace, self.name)


def body_of(stored: Stored) -> Body:
    """The object without status.nodes. Raises Unreadable."""
    try:
        rest = _mapping(stored.body)
        metadata: dict[str, Any] = {"name": stored.name}
        if stored.namespace:
            metadata["namespace"] = stored.namespace
        metadata["uid"] = stored.uid
        metadata["resourceVersion"] = str(stored.version)
        metadata["generation"] = stored.generation
        metadata["creationTimestamp"] = stored.created
        metadata |= _mapping(stored.head)
        body: Body = {"apiVersion": rest.pop("apiVersion"), "kind": stored.kind, "metadata": metadata, **rest}
        if stored.status is not None:
            body["status"] = orjson.loads(stored.status)
    except (ValueError, KeyError) as error:
        raise Unreadable(stored.id, str(stored.key), str(error)) from error
    return body


def head_of(body: Body) -> bytes:
    """The metadata without what has a column of its own."""
    return orjson.dumps({name: value for name, value in body["metadata"].items() if name not in _IN_COLUMNS})


def rest_of(body: Body) -> bytes:
    """apiVersion, spec, data and whatever else is neither metadata nor status."""
    return orjson.dumps({name: value for name, value in body.items() if name not in ("kind", "metadata", "status")})


def labels_of(body: Body) -> dict[str, str]:
    """metadata.labels, {} where there are none."""
    found: dict[str, str] = body["metadata"].get("labels") or {}
    return found


def labels_in(stored: Stored) -> dict[str, str]:
    """metadata.labels without reading the rest of the row. Raises Unreadable."""
    try:
        return labels_of({"metadata": _mapping(stored.head)})
    except ValueError as error:
        raise Unreadable(stored.id, str(stored.key), str(error)) from error


def tombstone(stored: Stored) -> Stored:
    """What a DELETED event says of a row that could not be read: its name."""
    return Stored(
        stored.id,
        stored.kind,
        stored.namespace,
        stored.name,
        stored.uid,
        stored.version,
        stored.generation,
        stored.created,
        b"{}",
        None,
        b'{"apiVersion":""}',
    )


def _mapping(text: bytes) -> dict[str, Any]:
    value = orjson.loads(text)
    if not isinstance(value, dict):
        raise ValueError(f"a {type(value).__name__} where a mapping belongs")
    return value
