"""What `{{…}}` can see: the workflow's variables, a template's own, and the siblings a step or task may refer to.

All implement `expr.environment.Environment`. Built by the machine and its frames; nothing here is copied per node:
siblings are looked up in their frame when a tag asks for them, so the cost is that of the tags, not of the workflow.
Source: Argo v4.1.2 util/variables/keys, workflow/controller/{operator.go buildLocalScope, scope.go}.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Protocol

from syncd.argo import labels, status, template
from syncd.base.clock import parse_rfc3339, rfc3339
from syncd.engine.nodes import Node
from syncd.expr.environment import MISSING, Environment

_STRFTIME = "AaBbCcDdeFfHIjklMmnpRrSTtUuVvWwXxYyZz"


def globals_of(metadata: Mapping[str, Any], spec: Mapping[str, Any], arguments: Mapping[str, str]) -> dict[str, object]:
    """The `workflow.*` variables that stand from the beginning. arguments: the workflow's parameters, resolved.

    Source: Argo operator.go setGlobalParameters.
    """
    created: datetime = parse_rfc3339(metadata["creationTimestamp"])
    values: dict[str, object] = {
        "workflow.name": metadata["name"],
        "workflow.namespace": metadata.get("namespace", ""),
        "workflow.uid": metadata.get("uid", ""),
        "workflow.mainEntrypoint": spec.get("entrypoint", ""),
        "workflow.serviceAccountName": spec.get("serviceAccountName", ""),
        "workflow.creationTimestamp": rfc3339(created),
        "workflow.creationTimestamp.RFC3339": rfc3339(created),
        "workflow.creationTimestamp.s": str(int(created.timestamp())),
    }
    for letter in _STRFTIME:
        values[f"workflow.creationTimestamp.{letter}"] = created.strftime(f"%{letter}")
    if spec.get("priority") is not None:
        values["workflow.priority"] = str(spec["priority"])
    annotations = {str(k): str(v) for k, v in (metadata.get("annotations") or {}).items()}
    own_labels = {str(k): str(v) for k, v in (metadata.get("labels") or {}).items()}
    if labels.SCHEDULED_TIME in annotations:
        values["workflow.scheduledTime"] = annotations[labels.SCHEDULED_TIME]
    listed = template.compact([{"name": name, "value": value} for name, value in arguments.items()])
    values["workflow.parameters"] = values["workflow.parameters.json"] = listed
    for name, value in arguments.items():
        values[f"workflow.parameters.{name}"] = value
    more = spec.get("workflowMetadata") or {}
    for word, own, extra in (
        ("labels", own_labels, more.get("labels")),
        ("annotations", annotations, more.get("annotations")),
    ):
        values[f"workflow.{word}"] = values[f"workflow.{word}.json"] = template.compact(own)
        for name, text in {**own, **(extra or {})}.items():
            values[f"workflow.{word}.{name}"] = str(text)
    return values


class Chain:
    """Several environments, asked in order."""

    __slots__ = ("_parts",)

    def __init__(self, *parts: Environment) -> None:
        self._parts = parts

    def lookup(self, name: str) -> object:
        for part in self._parts:
            value = part.lookup(name)
            if value is not MISSING:
                return value
        return MISSING

    def under(self, prefix: str) -> Iterable[str]:
        return dict.fromkeys(name for part in self._parts for name in part.under(prefix))


class Live:
    """An environment over a mapping that goes on changing."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values

    def lookup(self, name: str) -> object:
        return self._values.get(name, MISSING)

    def under(self, prefix: str) -> Iterable[str]:
        return [name for name in self._values if not prefix or name == prefix or name.startswith(prefix + ".")]


class TextOnly:
    """An environment without its artifacts: text that names one keeps the tag, and `from` is followed afterwards."""

    __slots__ = ("_whole",)

    def __init__(self, whole: Environment) -> None:
        self._whole = whole

    def lookup(self, name: str) -> object:
        if ".artifacts." in name and not name.endswith(".path"):
            return MISSING
        return self._whole.lookup(name)

    def under(self, prefix: str) -> Iterable[str]:
        return (name for name in self._whole.under(prefix) if ".artifacts." not in name or name.endswith(".path"))


class Sibling(Protocol):
    """A step or task that has been decided, as others may refer to it."""

    node: Node
    """Its node; for a loop the group's."""

    def resulting(self) -> Node:
        """The node whose outputs count: the last attempt of a retried one, else `node`."""

    def aggregate(self) -> Mapping[str, str] | None:
        """For a loop: `outputs.result`, `outputs.parameters`, `outputs.parameters.P` as JSON; None for a single one."""

    def declared_outputs(self) -> Mapping[str, Any]:
        """`outputs` of its template as declared: what a skipped one would have put out."""


class Siblings:
    """`steps.NAME.…` or `tasks.NAME.…` of one frame, for one reader.

    find: the sibling of that name if the reader may see it, else None; names: all that it may see.
    A skipped producer without a default reads as None: an absent optional, as Argo's SetSkipped.
    """

    __slots__ = ("_find", "_names", "_prefix")

    def __init__(self, prefix: str, find: Callable[[str], Sibling | None], names: Callable[[], Iterable[str]]) -> None:
        self._prefix = prefix
        self._find = find
        self._names = names

    def lookup(self, name: str) -> object:
        if not name.startswith(self._prefix):
            return MISSING
        sibling_name, _, rest = name[len(self._prefix) :].partition(".")
        sibling = self._find(sibling_name)
        if sibling is None or not rest:
            return MISSING
        return self._properties(sibling).get(rest, MISSING)

    def under(self, prefix: str) -> Iterable[str]:
        for name in self._names():
            own = f"{self._prefix}{name}"
            if not (
                prefix == ""
                or own == prefix
                or own.startswith(prefix + ".")
                or prefix.startswith(own + ".")
                or prefix + "." == self._prefix
            ):
                continue
            sibling = self._find(name)
            if sibling is None:
                continue
            for rest in self._properties(sibling):
                full = f"{own}.{rest}"
                if prefix == "" or full == prefix or full.startswith(prefix + "."):
                    yield full

    @staticmethod
    def _properties(sibling: Sibling) -> dict[str, object]:
        return properties(sibling)


def properties(sibling: Sibling) -> dict[str, object]:
    """Everything that can be read of a sibling, by what follows its name. Source: Argo buildLocalScope."""
    node = sibling.resulting()
    found: dict[str, object] = {"id": node.id, "status": node.phase, "startedAt": rfc3339(node.started_at)}
    if node.finished_at:
        found["finishedAt"] = rfc3339(node.finished_at)
    if node.host:
        found["hostNodeName"] = node.host
    outputs = node.outputs
    if node.phase in (status.SUCCEEDED, status.SKIPPED, status.OMITTED):
        # declared and not put out: an artifact that its reader may do without
        declared = sibling.declared_outputs()
        for artifact in declared.get("artifacts") or ():
            if artifact.get("optional") or node.phase != status.SUCCEEDED:
                found[f"outputs.artifacts.{artifact['name']}"] = {}
    if outputs is not None:
        found.update(output_values(outputs))
    elif node.phase in (status.SKIPPED, status.OMITTED):
        found.update(_absent(sibling.declared_outputs()))
    aggregate = sibling.aggregate()
    if aggregate is not None:
        found.update(aggregate)
    return found


def output_values(outputs: Mapping[str, Any]) -> dict[str, object]:
    """`exitCode`, `outputs.result`, `outputs.parameters.P`, `outputs.artifacts.A` of an Outputs object."""
    found: dict[str, object] = {}
    if outputs.get("result") is not None:
        found["outputs.result"] = outputs["result"]
    if outputs.get("exitCode") is not None:
        found["exitCode"] = outputs["exitCode"]
    for parameter in outputs.get("parameters") or ():
        if parameter.get("value") is not None:
            found[f"outputs.parameters.{parameter['name']}"] = template.any_string(parameter["value"])
    for artifact in outputs.get("artifacts") or ():
        found[f"outputs.artifacts.{artifact['name']}"] = artifact
    return found


def _absent(declared: Mapping[str, Any]) -> dict[str, object]:
    """What a skipped or omitted producer reads as. Source: Argo scope.go addSkippedNodeOutputsToScope."""
    found: dict[str, object] = {}
    for parameter in declared.get("parameters") or ():
        default = (parameter.get("valueFrom") or {}).get("default")
        found[f"outputs.parameters.{parameter['name']}"] = None if default is None else template.any_string(default)
    return found
