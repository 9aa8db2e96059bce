"""Who owns a field of a live object, and since when, as the API server keeps it in metadata.managedFields.

In: a live body and the path of a field. Out: `Owner` values, the newest first. Called by `plan.plan` to say who drifted an object,
and which fields another tool declares. A store without managedFields knows no owners.

Whatever stands in a live body, nothing here raises: managedFields may be cut out, pasted or made up.

The format is a tree of keys with a letter in front: `f:NAME` a field, `k:{JSON}` the item of a list with these fields, `v:JSON` the
item of a set, `i:NUMBER` the item at an index; `.` is the node itself; an empty leaf owns all that is below it.
Source: sigs.k8s.io/structured-merge-diff v6 fieldpath/serialize-pe.go, fieldpath/serialize.go.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from syncd.argo.manifest import Path
from syncd.base.clock import parse_rfc3339

OURS: Final = "syncd"
"""The field manager that all of syncd's own writes bear: `cluster.kube`."""

ORDER: Final = "(order)"
"""The last step of a path that means the order of a list (`plan.compare`); it is owned as the list is."""

_LONGEST_NAME: Final = 128  # as the API server has it


@dataclass(frozen=True, slots=True)
class Owner:
    """A manager that owns a field. declares: by server-side apply: it will set the field again, and does not just have changed
    it; since: of its last write to the object, None = the server did not say; subresource: "" = none."""

    manager: str
    declares: bool
    since: datetime | None = None
    subresource: str = ""

    @property
    def is_ours(self) -> bool:
        """Whether it is syncd itself, by applying or by patching."""
        return self.manager == OURS


def of(live: Mapping[str, Any], path: Path, wanted: Mapping[str, Any] | None = None) -> tuple[Owner, ...]:
    """The owners of the field at `path`, of what holds it whole, or of something below it: the newest first.

    wanted: the body that `live` was compared with, whose indices `path` has: an item of a list is looked for by what it says.
    """
    if path and path[-1] == ORDER:
        path = path[:-1]
    found = {
        owner for owner, fields in _entries(live) if path and _holds(fields, path, _items(path, live, wanted or live))
    }
    return tuple(sorted(found, key=_newest_first))


def is_managed(live: Mapping[str, Any]) -> bool:
    """Whether the store says who owns what."""
    return next(_entries(live), None) is not None


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _newest_first(owner: Owner) -> tuple[float, str, bool, str]:
    return -((owner.since or _EPOCH) - _EPOCH).total_seconds(), owner.manager, owner.declares, owner.subresource


def _entries(live: Mapping[str, Any]) -> Iterator[tuple[Owner, Mapping[str, Any]]]:
    metadata = live.get("metadata")
    entries = metadata.get("managedFields") if isinstance(metadata, Mapping) else None
    for entry in entries if isinstance(entries, list) else ():
        fields = entry.get("fieldsV1") if isinstance(entry, Mapping) else None
        if isinstance(fields, Mapping):
            yield _owner(entry), fields


def _owner(entry: Mapping[str, Any]) -> Owner:
    manager, subresource = entry.get("manager"), entry.get("subresource")
    return Owner(
        " ".join(manager.split())[:_LONGEST_NAME] if isinstance(manager, str) and manager.strip() else "unknown",
        entry.get("operation") == "Apply",
        _moment(entry.get("time")),
        subresource[:_LONGEST_NAME] if isinstance(subresource, str) else "",
    )


def _moment(text: Any) -> datetime | None:
    try:
        return parse_rfc3339(text)
    except (TypeError, ValueError, OverflowError):
        return None


def _items(path: Path, live: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """For each index in `path` the items that may be meant, () for every other step.

    An index is that of `wanted`. Where the path ends it may be that of an item which only `live` has.
    """
    found = []
    for end, step in enumerate(path, 1):
        at = path[:end]
        items: tuple[Any, ...] = ()
        if isinstance(step, int):
            there, item = value_at(wanted, at), value_at(live, at)
            items = (item,) if there is None else (there,)
            if end == len(path) and there is not None and item is not None and not _is_in(item, wanted, at[:-1]):
                items = (there, item)
        found.append(items)
    return found


def _is_in(item: Any, wanted: Mapping[str, Any], path: Path) -> bool:
    """Whether the list of `wanted` at `path` has this item, by its name where it has one."""
    items = value_at(wanted, path)
    if not isinstance(items, list):
        return False
    if isinstance(item, Mapping) and isinstance(item.get("name"), str):
        return any(isinstance(one, Mapping) and one.get("name") == item["name"] for one in items)
    return item in items


def value_at(body: Any, path: Path) -> Any:
    """What stands there, None = nothing."""
    for step in path:
        if isinstance(step, int):
            body = body[step] if isinstance(body, list) and step < len(body) else None
        else:
            body = body.get(step) if isinstance(body, Mapping) else None
        if body is None:
            return None
    return body


def _holds(node: Any, path: Path, items: list[tuple[Any, ...]]) -> bool:
    for depth, (step, meant) in enumerate(zip(path, items, strict=True)):
        if not isinstance(node, Mapping):
            return False
        if not node:
            return depth > 0  # a leaf: what is below it is owned whole
        node = _child(node, step, meant)
    return isinstance(node, Mapping)


def _child(node: Mapping[str, Any], step: str | int, meant: tuple[Any, ...]) -> Any:
    if isinstance(step, str):
        return node.get(f"f:{step}")
    if f"i:{step}" in node:
        return node[f"i:{step}"]
    for key, below in node.items():
        if isinstance(key, str) and key[:2] in ("k:", "v:") and any(_names(key, item) for item in meant):
            return below
    return None


def _names(key: str, item: Any) -> bool:
    """Whether `k:{"name":"a"}` or `v:"a"` means this item."""
    try:
        said = json.loads(key[2:])
    except (ValueError, RecursionError):
        return False
    if key[0] == "v":
        return bool(said == item)
    if not isinstance(said, dict) or not said or not isinstance(item, Mapping):
        return False
    return all(name in item and item[name] == value for name, value in said.items())
