"""What can be referred to: the templates of every WorkflowTemplate and ClusterWorkflowTemplate, wherever it is declared.

In: the manifests of a source (any order, any file) and the bodies of live objects (from other sources, made by hand); a
manifest goes before a live object of its key. Out: `Entry` by key. `lint` reads it through a `View`, which remembers what
was looked up, so that `workspace` knows whom a change concerns. No I/O: the caller brings the live objects.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from syncd.argo import labels
from syncd.argo.manifest import Body, Key, Manifest, Path
from syncd.validate import raw
from syncd.validate.once import once
from syncd.validate.template import Arguments, Template

TEMPLATE_KINDS: Final = frozenset({labels.WORKFLOW_TEMPLATE, labels.CLUSTER_WORKFLOW_TEMPLATE})
WORKFLOW_KINDS: Final = TEMPLATE_KINDS | {labels.WORKFLOW, labels.CRON_WORKFLOW}
"""The kinds that hold a WorkflowSpec."""

ANY: Final = "*"
"""The name under which a `View` notes that it asked for all names of a kind and namespace."""


class Entry:
    """An object with a WorkflowSpec, read lazily: only what somebody asks for is looked at.

    spec_path: where the WorkflowSpec stands in the body.
    """

    __slots__ = ("__dict__", "body", "key", "spec", "spec_path")

    def __init__(self, key: Key, body: Body) -> None:
        self.key = key
        self.body = body
        spec: Any = raw.mapping(body.get("spec"))
        self.spec_path: Path = ("spec",)
        if key.kind == labels.CRON_WORKFLOW:
            spec = raw.mapping(spec.get("workflowSpec"))
            self.spec_path = ("spec", "workflowSpec")
        self.spec: Body = spec

    @once
    def templates(self) -> list[Template]:
        """In the order of the body."""
        found = raw.mappings(self.spec.get("templates"))
        return [Template(body, (*self.spec_path, "templates", index)) for index, body in found]

    @once
    def by_name(self) -> dict[str, Template]:
        """The first of each name, as Argo finds it."""
        return {template.name: template for template in reversed(self.templates)}

    @once
    def arguments(self) -> Arguments:
        return Arguments(raw.mapping(self.spec.get("arguments")), (*self.spec_path, "arguments"))

    @once
    def pod_tags(self) -> list[tuple[Path, str]]:
        """The tags in `podMetadata`, which every template that is called by name gets."""
        return raw.tags(self.spec.get("podMetadata"), (*self.spec_path, "podMetadata"))

    @once
    def default_images(self) -> frozenset[str]:
        """The template types for which `templateDefaults` has an image."""
        defaults = raw.mapping(self.spec.get("templateDefaults"))
        return frozenset(kind for kind in ("container", "script") if raw.mapping(defaults.get(kind)).get("image"))


class Catalog:
    """Entries by key. Changed by its owner through `put` and `drop`; a lint never changes it."""

    def __init__(self, manifests: Iterable[Manifest] = (), live: Mapping[Key, Body] | None = None) -> None:
        self._live: Mapping[Key, Body] = {} if live is None else live
        self._live_entries: dict[Key, Entry] = {}
        self._entries: dict[Key, Entry] = {}
        self._names: dict[tuple[str, str], set[str]] = {}
        for manifest in sorted(manifests, key=_place):
            if manifest.key not in self._entries:
                self.put(Entry(manifest.key, manifest.body))

    def put(self, entry: Entry) -> None:
        """Add or replace; kinds that nobody can refer to are left out."""
        if entry.key.kind in TEMPLATE_KINDS:
            self._entries[entry.key] = entry
            self._names.setdefault((entry.key.kind, entry.key.namespace), set()).add(entry.key.name)

    def drop(self, key: Key) -> None:
        """Forget the manifest of that key; a live object may show through again."""
        if self._entries.pop(key, None) is not None:
            self._names[key.kind, key.namespace].discard(key.name)

    def rest(self, keys: Iterable[Key]) -> None:
        """Forget what was read of these entries: it costs more memory than the bodies, and can be read again."""
        for key in keys:
            entry = self._entries.get(key) or self._live_entries.get(key)
            if entry is not None:
                entry.__dict__.clear()

    def get(self, key: Key) -> Entry | None:
        """The entry, or None where there is no such object."""
        entry = self._entries.get(key)
        if entry is None and (body := self._live.get(key)) is not None:
            entry = self._live_entries.get(key)
            if entry is None or entry.body is not body:
                entry = self._live_entries[key] = Entry(key, body)
        return entry

    def names(self, kind: str, namespace: str) -> set[str]:
        """Every name of that kind and namespace; for messages only."""
        live = {key.name for key in self._live if key.kind == kind and key.namespace == namespace}
        return live | self._names.get((kind, namespace), set())


class View:
    """A catalog that remembers what was asked of it. looked_up: the keys, found or not; with the name `*` for all."""

    __slots__ = ("_catalog", "looked_up")

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self.looked_up: set[Key] = set()

    def get(self, key: Key) -> Entry | None:
        self.looked_up.add(key)
        return self._catalog.get(key)

    def names(self, kind: str, namespace: str) -> set[str]:
        self.looked_up.add(Key(kind, namespace, ANY))
        return self._catalog.names(kind, namespace)


def _place(manifest: Manifest) -> tuple[str, int, int, int]:
    """Which of two declarations of one key counts: the first by file and place, whatever the order they came in."""
    origin = manifest.origin
    return origin.file, origin.document, origin.line, origin.column


def key_of_ref(ref: Body, namespace: str) -> Key:
    """Whom a templateRef or workflowTemplateRef means, seen from an object in `namespace`."""
    name = raw.text(ref.get("name"))
    if ref.get("clusterScope") is True:
        return Key(labels.CLUSTER_WORKFLOW_TEMPLATE, "", name)
    return Key(labels.WORKFLOW_TEMPLATE, namespace, name)
