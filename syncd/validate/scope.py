"""Which variables a template may use, as Argo's validator sees it: names are looked up, never listed in advance.

In: the globals of the workflow, the template and the nodes beside the asking one. Out: whether a tag resolves, and what
it may have meant. Called by `traversal`. Source: Argo v4.1.2 workflow/validate/validate.go (resolveAllVariables,
addOutputsToScope, addItemsToScope).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from syncd.argo.manifest import Body
from syncd.expr import variables
from syncd.validate import raw
from syncd.validate.report import listed, nearest
from syncd.validate.template import Template

CHECKED_PREFIXES: Final = ("item.", "steps.", "inputs.", "outputs.", "pod.", "workflow.", "tasks.")
"""Argo looks only at tags that begin like this (common.GlobalVarValidWorkflowVariablePrefix)."""

_ALWAYS: Final = (
    "outputs.",
    "workflow.creationTimestamp",
    "workflow.scheduledTime",
    "workflow.duration",
    "tasks.name",
    "steps.name",
    "node.name",
)
"""What resolves only while the workflow runs, and is let through."""

_NODE: Final = frozenset({"id", "startedAt", "finishedAt", "hostNodeName"})

PARAMETER: Final = "{{"

_EXPRESSION_ROOTS: Final = variables.roots()


class Globals:
    """The `workflow.*` variables. values: name → text, or None where it is known only at run time.

    any_parameter, any_artifact: an output has a computed globalName, so every workflow.outputs.* may exist.
    open_parameters: the caller's parameters are not known (a WorkflowTemplate on its own).
    """

    __slots__ = ("any_artifact", "any_parameter", "open_parameters", "values")

    def __init__(self, open_parameters: bool) -> None:
        self.values: dict[str, str | None] = {
            "workflow.name": None,
            "workflow.namespace": None,
            "workflow.mainEntrypoint": None,
            "workflow.serviceAccountName": None,
            "workflow.uid": None,
            "workflow.status": None,
            "workflow.annotations": None,
            "workflow.annotations.json": None,
            "workflow.labels": None,
            "workflow.labels.json": None,
        }
        self.open_parameters = open_parameters
        self.any_parameter = False
        self.any_artifact = False

    def knows(self, name: str) -> bool:
        if name in self.values:
            return True
        if name.startswith("workflow.outputs."):
            return (self.any_parameter and name.startswith("workflow.outputs.parameters.")) or (
                self.any_artifact and name.startswith("workflow.outputs.artifacts.")
            )
        return self.open_parameters and name.startswith("workflow.parameters")

    def add_outputs(self, template: Template) -> None:
        """Outputs with a globalName become the workflow's."""
        for kind, name in template.global_outputs:
            if PARAMETER not in name:
                self.values[f"workflow.outputs.{kind}.{name}"] = None
            elif kind == "parameters":
                self.any_parameter = True
            else:
                self.any_artifact = True


class Node:
    """A step or task that others may ask. template: None = not known (a computed reference)."""

    __slots__ = ("aggregate", "outputs", "status", "template")

    def __init__(self, template: Template | None, aggregate: bool) -> None:
        self.template = template
        self.aggregate = aggregate
        self.outputs = False
        self.status = False

    def knows(self, rest: str, status: bool) -> bool:
        """Whether `steps.X.<rest>` resolves."""
        if rest == "status":
            return self.status or status
        if not self.outputs:
            return False
        if rest in _NODE:
            return True
        template = self.template
        if template is None:
            return False
        if rest == "ip":
            return template.is_daemon
        if rest in ("outputs.result", "exitCode"):
            return template.has_output or (self.aggregate and template.kind in ("script", "containerSet"))
        if rest == "outputs.parameters":
            return self.aggregate
        if rest.startswith("outputs.parameters."):
            return rest[19:] in template.outputs
        return rest.startswith("outputs.artifacts.") and rest[18:] in template.output_artifacts

    def names(self) -> Iterator[str]:
        """What it has, for a message."""
        yield from ("id", "status", "startedAt", "finishedAt")
        if self.template is not None:
            if self.template.has_output:
                yield from ("outputs.result", "exitCode")
            yield from (f"outputs.parameters.{name}" for name in self.template.outputs)
            yield from (f"outputs.artifacts.{name}" for name in self.template.output_artifacts)


class Items:
    """What `item` is, from withItems, withParam and withSequence of one call."""

    __slots__ = ("anything", "keys", "plain")

    def __init__(self, body: Body) -> None:
        self.plain = False
        self.anything = False
        self.keys: set[str] = set()
        items = raw.items(body.get("withItems"))
        for item in items[:10_000]:
            if type(item) is dict:
                self.keys.update(item)
            elif type(item) is list:
                self.keys.update(f"[{index}]" for index in range(len(item)))
            else:
                self.plain = True
        if not items and body.get("withParam"):
            self.plain = self.anything = True
        elif not items and raw.present(body.get("withSequence")):
            self.plain = True

    def knows(self, rest: str) -> bool:
        return self.anything or rest in self.keys


class Scope:
    """The variables of one template. kind: "steps", "tasks" or "" of a leaf."""

    __slots__ = ("globals", "items", "kind", "nodes", "template")

    def __init__(self, globals_: Globals, template: Template) -> None:
        self.globals = globals_
        self.template = template
        self.kind = {"steps": "steps", "dag": "tasks"}.get(template.kind, "")
        self.nodes: dict[str, Node] = {}
        self.items: Items | None = None

    def knows(
        self,
        name: str,
        items: Items | None = None,
        inline: Template | None = None,
        ancestor: Callable[[str], bool] | None = None,
    ) -> bool:
        """Whether the tag resolves. items, inline: of the call that it stands in; ancestor: whether a task is one of it."""
        root, _, rest = name.partition(".")
        if root == "workflow":
            if self.globals.knows(name):
                return True
        elif root == "inputs":
            if self.input(rest) or (
                inline is not None and rest.startswith("parameters.") and rest[11:] in inline.inputs
            ):
                return True
        elif root == self.kind:
            node, _, rest = rest.partition(".")
            found = self.nodes.get(node)
            if found is not None and found.knows(rest, ancestor is not None and rest == "status" and ancestor(node)):
                return True
        elif root == "item":
            if items is not None and items.knows(rest):
                return True
        elif root == "pod" and name == "pod.name" and self.template.is_pod:
            return True
        return name.startswith(_ALWAYS)

    def knows_path(self, path: str, items: Items | None) -> bool:
        """Whether an expression may use a dotted path: maps on the way (`steps.a.outputs`) and members beyond count, too."""
        root, _, rest = path.partition(".")
        steps = rest.split(".")
        if root == "inputs":
            if len(steps) < 2 or steps[0] not in ("parameters", "artifacts"):
                return steps[0] in ("", "parameters", "artifacts")
            return self.input(f"{steps[0]}.{steps[1]}")
        if root == self.kind and rest:
            node = self.nodes.get(steps[0])
            if node is None or node.template is None or len(steps) < 4 or steps[1] != "outputs":
                return node is not None or steps[0] == "name"
            own = node.template.outputs if steps[2] == "parameters" else node.template.output_artifacts
            return steps[3] in own
        if root in ("steps", "tasks"):
            return root == self.kind
        if root == "workflow":
            if len(steps) < 2 or steps[0] not in ("parameters", "outputs"):
                return True
            return (
                self.globals.open_parameters or steps[0] == "outputs" or self.globals.knows(path) or steps[1] == "json"
            )
        if root == "item":
            return items is not None and (items.plain or items.anything or bool(items.keys))
        return root in _EXPRESSION_ROOTS

    def input(self, rest: str) -> bool:
        """Whether `inputs.<rest>` resolves."""
        template = self.template
        if rest.startswith("parameters."):
            return rest[11:] in template.inputs
        if rest == "parameters":
            return True
        if rest.startswith("artifacts."):
            rest = rest[10:]
            if rest in template.input_artifacts:
                return True
            return template.is_leaf and rest.endswith(".path") and rest[:-5] in template.input_artifacts
        return False

    def candidates(self, name: str) -> list[str]:
        """Every name near enough to `name` to be worth comparing with it."""
        root = name.partition(".")[0]
        found: list[str] = []
        if root == "workflow":
            found += self.globals.values
        elif root in ("inputs", "input"):
            found += (f"inputs.parameters.{key}" for key in self.template.inputs)
            found += (f"inputs.artifacts.{key}" for key in self.template.input_artifacts)
        elif root in ("steps", "tasks", "step", "task"):
            for key, node in list(self.nodes.items())[:200]:
                found += (f"{self.kind}.{key}.{rest}" for rest in node.names())
        return found

    def remedy(self, name: str) -> str:
        """What to do about a name that does not resolve."""
        root = name.partition(".")[0]
        if near := nearest_path(name, self.candidates(name)):
            return f"did you mean {{{{{near}}}}}?"
        if root == "tasks" and self.kind == root and name.endswith(".status"):
            return "the status is known to tasks that wait for that one: add it to the dependencies"
        if root == "workflow" and (rows := variables.find(name)) and "<" not in rows[0].name:
            where = " (exit handlers and hooks)" if variables.EXIT in rows[0].scopes else ""
            return f"not known here{where}: {rows[0].meaning}"
        if root in ("steps", "tasks") and self.kind and root != self.kind:
            return f"in a template of type {self.template.kind} the others are called {self.kind}.NAME"
        if root in ("steps", "tasks") and not self.kind:
            return "a template sees only its own inputs: pass the value as an argument of the step or task"
        if root == "inputs":
            known = [f"inputs.parameters.{key}" for key in self.template.inputs]
            known += [f"inputs.artifacts.{key}" for key in self.template.input_artifacts]
            have = listed(known) or "none"
            return f"declare it under inputs of template {self.template.name!r}; it has: {have}"
        if name.startswith("workflow.parameters"):
            return "declare it under spec.arguments.parameters of the workflow"
        if root == "item":
            return "item exists only where withItems, withParam or withSequence says so, with the keys that they give"
        return ""


def nearest_path(name: str, known: Iterable[str]) -> str:
    """The dotted name that was meant: one step misspelt, or one left out; "" = none is near.

    >>> nearest_path("inputs.parameters.mesage", ["inputs.parameters.message", "inputs.parameters.x"])
    'inputs.parameters.message'
    >>> nearest_path("inputs.message", ["inputs.parameters.message"])
    'inputs.parameters.message'
    """
    steps = name.split(".")
    by_place: dict[int, dict[str, str]] = {}
    left_out = ""
    for candidate in sorted(known):
        others = candidate.split(".")
        if len(others) == len(steps):
            unlike = [place for place, step in enumerate(steps) if step != others[place]]
            if len(unlike) == 1:
                by_place.setdefault(unlike[0], {}).setdefault(others[unlike[0]], candidate)
        elif len(others) == len(steps) + 1 and others[0] == steps[0] and others[-1] == steps[-1]:
            left_out = left_out or candidate
    for place, words in by_place.items():
        if near := nearest(steps[place], words):
            return words[near]
    return left_out
