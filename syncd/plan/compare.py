"""Field-wise difference between what is wanted and what is there.

In: a desired body (`plan.desired.cleaned`) and a live one. Out: `Difference` values in the order of fields, capped in
number and length, so that a hostile or huge object costs little to show. Called by `plan.plan`; shown by `syncd plan`,
the API and the log, hence no value of a Secret gets into one (CVE-2025-23216: Argo CD printed them in patch errors).
A field that is null counts as absent, as for Kubernetes; an empty mapping does not (`emptyDir: {}` means something).
Values are compared with Python's `==`, in C for whole branches: `true` swapped for `1` by hand is not seen (in git it is,
by the digest).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from syncd.argo import labels, manifest
from syncd.argo.manifest import Path
from syncd.plan import normalise
from syncd.plan.desired import OURS_IN_ANNOTATIONS, OURS_IN_LABELS
from syncd.plan.owners import ORDER

LIMIT = 50
"""Differences shown per object; the last says that there are more."""
TEXT_LIMIT = 160
"""Characters of a value shown."""
DEPTH_LIMIT = 60
"""Levels walked; below, two values are compared whole."""

REDACTED = "(redacted)"


@dataclass(frozen=True, slots=True)
class Difference:
    """One field. op: add | remove | replace, seen from live to desired; before, after: JSON text, "" = absent."""

    op: str
    path: str
    before: str = ""
    after: str = ""

    def to_json(self) -> dict[str, str]:
        """The shape of the API."""
        return {"op": self.op, "path": self.path, "before": self.before, "after": self.after}

    def __str__(self) -> str:
        if self.op == "add":
            return f"+ {self.path}: {self.after}"
        if self.op == "remove":
            return f"- {self.path}: {self.before}"
        return f"~ {self.path}: {self.before} -> {self.after}"


Found = tuple[Path, Any, Any]
"""A field that differs: where (an index is that of what is wanted, or of the live body for an item that only this has), what it is
live, and what is wanted; None = absent."""


def found(wanted: Mapping[str, Any], live: Mapping[str, Any]) -> Iterator[Found]:
    """Everything that applying `wanted` over `live` would change, in the order of fields.

    What is not to be compared has the live value in `wanted` (`plan.sparing`).
    """
    return _walk_object(str(wanted.get("kind") or ""), wanted, live)


def same(wanted: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
    """Whether nothing is found."""
    return next(found(wanted, live), None) is None


def paths(wanted: Mapping[str, Any], live: Mapping[str, Any]) -> tuple[Path, ...]:
    """Where the two differ, all of it."""
    return tuple(path for path, _, _ in found(wanted, live))


def differences(wanted: Mapping[str, Any], live: Mapping[str, Any], *, limit: int = LIMIT) -> tuple[Difference, ...]:
    """What applying `wanted` over `live` would change, as it is shown; () = nothing."""
    return shown(str(wanted.get("kind") or ""), found(wanted, live), limit=limit)


def shown(kind: str, fields: Iterable[Found], *, limit: int = LIMIT) -> tuple[Difference, ...]:
    """Fields that differ, as they are shown: at most `limit`, and one that counts the rest as "…". kind: of the object."""
    some = list(islice(fields, limit + 1))
    texts = [difference(kind, path, before, after) for path, before, after in some[:limit]]
    if len(some) > limit:
        texts.append(Difference("replace", "…", "", f"more than {limit} fields differ"))
    return tuple(texts)


def _walk_object(kind: str, wanted: Mapping[str, Any], live: Mapping[str, Any]) -> Iterator[Found]:
    yield from _walk_marks(wanted, live)
    for field in dict.fromkeys((*wanted, *live)):
        if field not in normalise.NOT_COMPARED:
            yield from _walk(kind, (field,), live.get(field), wanted.get(field))


def _walk_marks(wanted: Mapping[str, Any], live: Mapping[str, Any]) -> Iterator[Found]:
    """Labels and annotations: only those that the source wants; the rest belongs to others."""
    for field, ours in (("labels", OURS_IN_LABELS), ("annotations", OURS_IN_ANNOTATIONS)):
        after = (wanted.get("metadata") or {}).get(field) or {}
        before = (live.get("metadata") or {}).get(field) or {}
        for name, value in after.items():
            if name not in ours and before.get(name) != value:
                yield ("metadata", field, name), before.get(name), value


def _walk(kind: str, path: Path, before: Any, after: Any) -> Iterator[Found]:
    if before == after:
        return
    if after is None and normalise.is_defaulted(kind, path, before):
        return
    if before is None and normalise.is_dropped(kind, path, after):
        return
    if len(path) < DEPTH_LIMIT:
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            for field in dict.fromkeys((*after, *before)):
                yield from _walk(kind, (*path, field), before.get(field), after.get(field))
            return
        if isinstance(before, list) and isinstance(after, list):
            yield from _walk_list(kind, path, before, after)
            return
    yield path, before, after


def _walk_list(kind: str, path: Path, before: list[Any], after: list[Any]) -> Iterator[Found]:
    """By name where every item of both has one of its own, so that an insertion is one difference; else by index."""
    old, new = _by_name(before), _by_name(after)
    if old is None or new is None:
        for index in range(max(len(before), len(after))):
            yield from _walk(
                kind,
                (*path, index),
                before[index] if index < len(before) else None,
                after[index] if index < len(after) else None,
            )
        return
    place = {name: index for index, name in enumerate(new)} | {
        name: index for index, name in enumerate(old) if name not in new
    }
    for name in dict.fromkeys((*new, *old)):
        yield from _walk(kind, (*path, place[name]), old.get(name), new.get(name))
    kept = [name for name in old if name in new]
    if kept != [name for name in new if name in old]:
        yield (*path, ORDER), list(old), list(new)


def _by_name(items: list[Any]) -> dict[str, Any] | None:
    named = {item["name"]: item for item in items if isinstance(item, Mapping) and isinstance(item.get("name"), str)}
    return named if items and len(named) == len(items) else None


def difference(kind: str, path: Path, before: Any, after: Any) -> Difference:
    """One field as it is shown. kind: of the object; before, after: None = absent."""
    op = "add" if before is None else "remove" if after is None else "replace"
    hidden = kind == labels.SECRET and path[:2] != ("metadata", "labels")
    return Difference(op, manifest.path_text(path), _text(before, hidden), _text(after, hidden))


def _text(value: Any, hidden: bool) -> str:
    if value is None:
        return ""
    if hidden:
        return REDACTED
    text = _shortened(value)
    return text if len(text) <= TEXT_LIMIT else text[: TEXT_LIMIT - 1] + "…"


def _shortened(value: Any) -> str:
    """JSON text, without ever making much more of it than is shown."""
    if isinstance(value, str):
        return json.dumps(value[: TEXT_LIMIT + 1], ensure_ascii=False)
    if isinstance(value, Mapping):
        inner = ", ".join(
            f"{json.dumps(str(name)[:TEXT_LIMIT])}: {_flat(item)}" for name, item in islice(value.items(), 12)
        )
        return "{" + inner + (", …}" if len(value) > 12 else "}")
    if isinstance(value, list):
        return "[" + ", ".join(_flat(item) for item in value[:12]) + (", …]" if len(value) > 12 else "]")
    return json.dumps(value)


def _flat(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{…}" if value else "{}"
    if isinstance(value, list):
        return "[…]" if value else "[]"
    return _shortened(value)
