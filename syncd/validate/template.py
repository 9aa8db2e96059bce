"""A template, and the calls in it, as the rules see them: read once from the raw body, defensively.

In: the mapping under `spec.templates[i]` (or `inline`), and its path. Out: what a caller must supply, what it gives back,
whom it calls. Made by `catalog.Entry`; read by `traversal` and `rules`. Source of the predicates: Argo v4.1.2
pkg/apis/workflow/v1alpha1/workflow_types.go (GetType, IsLeaf, IsPodType, HasOutput, HasLocationOrKey).
"""

from __future__ import annotations

from typing import Any, Final

from syncd.argo.manifest import Body, Path
from syncd.validate import raw
from syncd.validate.once import once

KINDS: Final = (
    "container",
    "containerSet",
    "steps",
    "dag",
    "script",
    "resource",
    "data",
    "suspend",
    "http",
    "plugin",
)
"""The template types, in the order in which Argo's GetType looks."""

NAMES: Final = {
    "container": "Container",
    "containerSet": "ContainerSet",
    "steps": "Steps",
    "dag": "DAG",
    "script": "Script",
    "resource": "Resource",
    "data": "Data",
    "suspend": "Suspend",
    "http": "HTTP",
    "plugin": "Plugin",
}
"""As Argo's messages name them."""

PODS: Final = frozenset({"container", "containerSet", "script", "resource", "data"})
LEAVES: Final = PODS | {"http", "plugin"}

MAX_INLINE: Final = 16
"""Inline templates in one another: past this they are not looked into (`rules.structure` caps the depth itself)."""


class Argument:
    """A parameter of `arguments`. value: None = not given; value_from: what stands in its place."""

    __slots__ = ("name", "path", "value", "value_from")

    def __init__(self, body: Body, path: Path) -> None:
        self.name = raw.text(body.get("name"))
        self.path = path
        self.value = raw.scalar(body.get("value"))
        self.value_from: Body | None = body.get("valueFrom") if type(body.get("valueFrom")) is dict else None

    @property
    def from_config_map(self) -> bool:
        return self.value_from is not None and raw.present(self.value_from.get("configMapKeyRef"))


class Arguments:
    """`arguments` of a call or of a workflow: the first of each name counts, as in Go."""

    __slots__ = ("artifacts", "body", "parameters", "path")

    def __init__(self, body: Body, path: Path) -> None:
        self.body = body
        self.path = path
        self.parameters: dict[str, Argument] = {}
        self.artifacts: dict[str, tuple[Path, Body]] = {}
        for index, item in raw.mappings(body.get("parameters")):
            argument = Argument(item, (*path, "parameters", index))
            self.parameters.setdefault(argument.name, argument)
        for index, item in raw.mappings(body.get("artifacts")):
            self.artifacts.setdefault(raw.text(item.get("name")), ((*path, "artifacts", index), item))

    def tags_for(self, template: Template) -> list[tuple[Path, str]]:
        """The tags in what these give to a template."""
        found: list[tuple[Path, str]] = []
        for name in template.inputs:
            if (argument := self.parameters.get(name)) is not None:
                value = {"value": argument.value or "", "valueFrom": argument.value_from}
                found += raw.tags(value, argument.path)
        for name in template.input_artifacts:
            if name in self.artifacts:
                path, body = self.artifacts[name]
                found += raw.tags(body, path)
        return found

    def merged(self, other: Arguments) -> Arguments:
        """These, and those of `other` that have a name of their own (Argo's util.MergeParameters)."""
        merged = Arguments(self.body, self.path)
        merged.parameters = {**other.parameters, **self.parameters}
        merged.artifacts = {**other.artifacts, **self.artifacts}
        return merged


class Call:
    """A step or a task: whom it calls and with what.

    group: of a step, the index of its parallel group; 0 for a task. label: `steps[1]` or `tasks.`, for messages.
    """

    __slots__ = ("__dict__", "body", "group", "name", "path", "ref", "template")

    def __init__(self, body: Body, path: Path, group: int) -> None:
        self.body = body
        self.path = path
        self.group = group
        self.name = raw.text(body.get("name"))
        self.template = raw.text(body.get("template"))
        ref = body.get("templateRef")
        self.ref: Body | None = ref if type(ref) is dict else None

    @once
    def arguments(self) -> Arguments:
        return Arguments(raw.mapping(self.body.get("arguments")), (*self.path, "arguments"))

    @once
    def tags(self) -> list[tuple[Path, str]]:
        """Every tag in the step or task, its inline template included."""
        return raw.tags(self.body, self.path)

    @once
    def inline(self) -> Template | None:
        body = self.body.get("inline")
        depth = self.path.count("inline")
        return Template(body, (*self.path, "inline")) if type(body) is dict and depth < MAX_INLINE else None

    @property
    def aggregates(self) -> bool:
        """Whether its outputs are lists (withItems, withParam; not withSequence, as Argo's validator has it)."""
        return bool(raw.items(self.body.get("withItems"))) or bool(self.body.get("withParam"))

    @property
    def expands(self) -> bool:
        return self.aggregates or raw.present(self.body.get("withSequence"))

    @property
    def has_exit_hook(self) -> bool:
        return bool(raw.text(self.body.get("onExit"))) or "exit" in raw.mapping(self.body.get("hooks"))


class Template:
    """One template. kind: "" where its type is not said; path: in its manifest's body."""

    __slots__ = ("__dict__", "body", "kind", "kinds", "name", "path")

    def __init__(self, body: Body, path: Path) -> None:
        self.body = body
        self.path = path
        self.name = raw.text(body.get("name"))
        self.kinds = [kind for kind in KINDS if body.get(kind) is not None]
        self.kind = self.kinds[0] if self.kinds else ""

    @property
    def is_leaf(self) -> bool:
        return self.kind in LEAVES

    @property
    def is_pod(self) -> bool:
        return self.kind in PODS

    @property
    def is_daemon(self) -> bool:
        return self.body.get("daemon") is True

    @once
    def has_output(self) -> bool:
        """Whether it has a result and an exit code."""
        if self.kind == "containerSet":
            return "main" in self.container_names
        return self.kind in ("container", "script", "data", "http", "plugin")

    @once
    def container_names(self) -> list[str]:
        """Of a containerSet."""
        nodes = raw.mapping(self.body.get("containerSet")).get("containers")
        return [raw.text(node.get("name")) for _, node in raw.mappings(nodes)]

    @once
    def inputs(self) -> dict[str, Body]:
        """Input parameters by name."""
        found = raw.mappings(raw.mapping(self.body.get("inputs")).get("parameters"))
        return {raw.text(item.get("name")): item for _, item in reversed(found)}

    @once
    def input_artifacts(self) -> dict[str, Body]:
        found = raw.mappings(raw.mapping(self.body.get("inputs")).get("artifacts"))
        return {raw.text(item.get("name")): item for _, item in reversed(found)}

    @once
    def outputs(self) -> dict[str, Body]:
        found = raw.mappings(raw.mapping(self.body.get("outputs")).get("parameters"))
        return {raw.text(item.get("name")): item for _, item in reversed(found)}

    @once
    def output_artifacts(self) -> dict[str, Body]:
        found = raw.mappings(raw.mapping(self.body.get("outputs")).get("artifacts"))
        return {raw.text(item.get("name")): item for _, item in reversed(found)}

    @once
    def global_outputs(self) -> list[tuple[str, str]]:
        """(kind, globalName) of the outputs that the whole workflow sees; kind: parameters | artifacts."""
        found: list[tuple[str, str]] = []
        for kind, outputs in (("parameters", self.outputs), ("artifacts", self.output_artifacts)):
            for item in outputs.values():
                if name := raw.text(item.get("globalName")):
                    found.append((kind, name))  # noqa: PERF401 - a comprehension of three levels reads worse
        return found

    @once
    def calls(self) -> list[Call]:
        """The steps or tasks, in the order of the body."""
        if self.kind == "steps":
            return [
                Call(body, (*self.path, "steps", group, index), group)
                for group, members in enumerate(raw.items(self.body.get("steps")))
                for index, body in raw.mappings(members)
            ]
        if self.kind == "dag":
            tasks = raw.mapping(self.body.get("dag")).get("tasks")
            return [Call(body, (*self.path, "dag", "tasks", index), 0) for index, body in raw.mappings(tasks)]
        return []

    @once
    def tags(self) -> list[tuple[Path, str]]:
        """Every tag that the caller's scope must resolve: of a leaf all of them, of steps and dag those outside the calls.

        What an argument replaces (`inputs.*` values and locations) is in `replaced_tags`.
        """
        skipped = {"inputs", "outputs", "steps", "dag"} if not self.is_leaf else {"inputs", "outputs"}
        found = raw.tags({key: item for key, item in self.body.items() if key not in skipped}, self.path)
        found += raw.tags({"inputs": self._inputs(replaced=False)}, self.path)
        return found

    @once
    def replaced_tags(self) -> list[tuple[Path, str]]:
        """The tags in values of inputs that a caller's argument takes the place of."""
        return raw.tags({"inputs": self._inputs(replaced=True)}, self.path)

    def unreplaced_tags(self, given: Arguments) -> list[tuple[Path, str]]:
        """Those of `replaced_tags` that stand in an input for which nothing is given."""
        inputs = raw.mapping(self.body.get("inputs"))
        found: list[tuple[Path, str]] = []
        for path, tag in self.replaced_tags:
            kind, index = path[len(self.path) + 1 : len(self.path) + 3]
            name = raw.text(raw.mapping(raw.items(inputs.get(str(kind)))[int(index)]).get("name"))
            if name not in (given.parameters if kind == "parameters" else given.artifacts):
                found.append((path, tag))
        return found

    @once
    def output_tags(self) -> list[tuple[Path, str]]:
        return raw.tags({"outputs": self.body.get("outputs")}, self.path)

    def _inputs(self, replaced: bool) -> Body:
        """`inputs` with only what an argument replaces, or only what it leaves."""
        inputs = raw.mapping(self.body.get("inputs"))
        if not inputs:
            return {}
        lists: dict[str, Any] = {}
        for kind, kept in (("parameters", ("value", "valueFrom")), ("artifacts", None)):
            rows: list[Body] = []
            for item in raw.items(inputs.get(kind)):
                body = raw.mapping(item)
                if kept is not None:
                    rows.append({key: value for key, value in body.items() if (key in kept) is replaced})
                else:
                    rows.append(
                        {key: value for key, value in body.items() if (key not in ("path", "mode", "name")) is replaced}
                    )
            lists[kind] = rows
        return lists


def location(artifact: Body) -> tuple[str, Body] | None:
    """The location of an artifact: its kind and body; the first in Argo's order (ArtifactLocation.Get)."""
    for kind in LOCATIONS:
        if type(body := artifact.get(kind)) is dict:
            return kind, body
    return None


LOCATIONS: Final = ("artifactory", "azure", "git", "gcs", "hdfs", "http", "oss", "raw", "s3", "plugin")

_COMPLETE: Final = {
    "artifactory": ("url", "usernameSecret"),
    "azure": ("endpoint", "container", "blob"),
    "git": ("repo",),
    "gcs": ("bucket", "key"),
    "hdfs": ("addresses",),
    "http": ("url",),
    "oss": ("bucket", "endpoint", "key"),
    "raw": (),
    "s3": ("endpoint", "bucket", "key"),
    "plugin": ("name", "configuration", "key"),
}
_KEY: Final = {"azure": "blob", "gcs": "key", "hdfs": "path", "oss": "key", "s3": "key", "plugin": "key"}


def has_location_or_key(artifact: Body) -> bool:
    """Whether Argo knows where the artifact is: a full location, or a key in the default repository."""
    found = location(artifact)
    if found is None:
        return False
    kind, body = found
    if all(body.get(field) for field in _COMPLETE[kind]):
        return True
    if kind in ("http", "artifactory"):
        return bool(raw.text(body.get("url")).partition("://")[2].partition("/")[2])
    return bool(body.get(_KEY.get(kind, "")))
