"""Argo's `fields=` filter: keep, or with a leading `-` drop, parts of an answer.

Comes in: the query's text and a JSON value. Goes out: a new value; the old one is never changed.
Lists are transparent: `items.metadata.name` means the name of every item. Called by `listing`, `stream` and `routes`.
Source: Argo v4.1.2 util/fields/fields.go, except that a path names whole words there and here (`meta` is not `metadata`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from syncd.base.errors import Invalid

_LONGEST = 4096

_Tree = dict[str, "_Tree | None"]
"""Path by path, word by word; None where a path ends."""


@dataclass(frozen=True, slots=True)
class Fields:
    """What to keep or drop. No path: everything is kept."""

    drop: bool = False
    tree: _Tree = field(default_factory=dict)

    def clean(self, value: Any) -> Any:
        """`value` with only what was asked for.

        >>> parse("metadata.name").clean({"metadata": {"name": "a", "uid": "1"}, "spec": {}})
        {'metadata': {'name': 'a'}}
        >>> parse("-status.nodes").clean({"status": {"nodes": {}, "phase": "Failed"}})
        {'status': {'phase': 'Failed'}}
        """
        if not self.tree:
            return value
        return _drop(value, self.tree) if self.drop else _keep(value, self.tree)

    def wants(self, *path: str) -> bool:
        """Whether anything at or below `path` survives, so that it is worth reading at all."""
        if not self.tree:
            return True
        tree: _Tree | None = self.tree
        for word in path:
            if tree is None:
                break
            if word not in tree:
                return self.drop
            tree = tree[word]
        return not (self.drop and tree is None)


def parse(text: str, prefix: str = "") -> Fields:
    """The filter that a query writes; "" keeps all. prefix: cut from paths that have it. Raises Invalid when too long."""
    if len(text) > _LONGEST:
        raise Invalid(f"fields is longer than {_LONGEST} characters; ask for whole objects instead")
    drop = text.startswith("-")
    tree: _Tree = {}
    for path in text.removeprefix("-").split(","):
        words = [word for word in path.strip().removeprefix(prefix).split(".") if word]
        branch = tree
        for word in words[:-1]:
            below = branch.setdefault(word, {})
            if below is None:
                break  # a shorter path has it already
            branch = below
        else:
            if words:
                branch[words[-1]] = None
    return Fields(drop, tree)


def _keep(value: Any, tree: _Tree) -> Any:
    if isinstance(value, Mapping):
        kept = {}
        for word, below in tree.items():
            if word in value:
                kept[word] = value[word] if below is None else _keep(value[word], below)
        return kept
    if isinstance(value, list):
        return [_keep(item, tree) for item in value]
    return value


def _drop(value: Any, tree: _Tree) -> Any:
    if isinstance(value, Mapping):
        kept = {}
        for word, inner in value.items():
            if word not in tree:
                kept[word] = inner
            elif (below := tree[word]) is not None:
                kept[word] = _drop(inner, below)
        return kept
    if isinstance(value, list):
        return [_drop(item, tree) for item in value]
    return value
