"""An object as a file of a source declares it: its key, where it stands, and its body as Kubernetes reads the YAML.

Made by `source.decode`; read by `validate`, `plan` and `loops.sync`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from syncd.argo import labels
from syncd.base.problems import Place

Body = dict[str, Any]
"""A Kubernetes object as JSON values; never changed in place once it has left its maker."""

Path = tuple[str | int, ...]
"""Where in a body: ("spec", "templates", 0, "name")."""


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """What an object is called. namespace: "" for a cluster-scoped kind."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        """`Kind/namespace/name`, without the namespace where the kind has none.

        >>> str(Key("WorkflowTemplate", "ci", "base"))
        'WorkflowTemplate/ci/base'
        """
        return "/".join(part for part in (self.kind, self.namespace, self.name) if part)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a manifest comes from. source, revision: "" where there is none (a file given to `submit`)."""

    file: str
    line: int = 1
    column: int = 1
    document: int = 0
    source: str = ""
    revision: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """One document of one file.

    marks: path → (line, column) from 1 of the value there (for a mapping entry: of its key);
    None once nobody will ask again: marks cost more memory than the body.
    """

    key: Key
    body: Body
    origin: Origin
    marks: Mapping[Path, tuple[int, int]] | None = None

    def place(self, path: Path = ()) -> Place:
        """The place of `path`, or of its nearest ancestor that the file has."""
        if self.marks is not None:
            for end in range(len(path), -1, -1):
                if (mark := self.marks.get(path[:end])) is not None:
                    return Place(self.origin.file, *mark)
        return Place(self.origin.file, self.origin.line, self.origin.column)

    def without_marks(self) -> Manifest:
        """The same, lighter."""
        return self if self.marks is None else replace(self, marks=None)


def path_text(path: Path) -> str:
    """As people write it.

    >>> path_text(("spec", "templates", 0, "name"))
    'spec.templates[0].name'
    """
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else (f".{step}" if text else step)
    return text


def key_of(body: Mapping[str, Any], default_namespace: str = "default") -> Key:
    """The key of a body that has a kind and a metadata.name (generateName is answered as `name` with a trailing `-`)."""
    kind = str(body.get("kind") or "")
    metadata = body.get("metadata") or {}
    name = str(metadata.get("name") or metadata.get("generateName") or "")
    if kind in labels.CLUSTER_SCOPED:
        return Key(kind, "", name)
    return Key(kind, str(metadata.get("namespace") or default_namespace), name)
