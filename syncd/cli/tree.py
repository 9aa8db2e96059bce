"""The tree of a run, as `argo get` draws it: a Workflow in, rows of cells out. Pure.

Nodes hang under their boundary (a DAG or steps template) or under the step group or retry that made them; step groups,
retries with one attempt and omitted tasks are not shown. Work grows with the number of nodes, not with its square.
Called by `describe`. Source: Argo v4.1.2 cmd/argo/commands/common/get.go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from syncd.argo import status
from syncd.argo.manifest import Body
from syncd.cli import output

_BOUNDARIES: Final = frozenset({status.DAG, status.STEPS})
_PARENTS: Final = frozenset({status.STEP_GROUP, status.RETRY})
_LEAVES: Final = frozenset({status.POD, status.SKIPPED_TYPE, status.SUSPEND, "HTTP", "Plugin"})
_INDEX: Final = re.compile(r"(?P<base>.*?)[(\[](?P<index>[0-9]{1,9})[:)\]]")


@dataclass(frozen=True, slots=True)
class Drawing:
    """The characters of the branches, and the icon and colour of each phase."""

    alone: str
    first: str
    middle: str
    last: str
    line: str
    icons: Mapping[str, tuple[str, int]]
    suspended: tuple[str, int]


UTF8: Final = Drawing(
    alone="──",
    first="┬─",
    middle="├─",
    last="└─",
    line="│ ",
    icons={
        status.PENDING: ("◷", output.YELLOW),
        status.RUNNING: ("●", output.CYAN),
        status.SUCCEEDED: ("✔", output.GREEN),
        status.SKIPPED: ("○", 39),
        status.FAILED: ("✖", output.RED),
        status.ERROR: ("⚠", output.RED),
    },
    suspended=("ǁ", output.CYAN),
)
ASCII: Final = Drawing(
    alone="--",
    first="+-",
    middle="|-",
    last="`-",
    line="| ",
    icons={phase: (phase, colour) for phase, (_, colour) in UTF8.icons.items()},
    suspended=("Suspend", output.CYAN),
)

HEADS: Final[dict[str, list[str]]] = {
    "": ["STEP", "TEMPLATE", "PODNAME", "DURATION", "MESSAGE"],
    "short": ["STEP", "TEMPLATE", "PODNAME", "DURATION", "MESSAGE", "NODENAME"],
    "wide": ["STEP", "TEMPLATE", "PODNAME", "DURATION", "ARTIFACTS", "MESSAGE", "RESOURCESDURATION", "NODENAME"],
}


def rows(
    workflow: Body,
    at: datetime,
    *,
    form: str = "",
    utf8: bool = True,
    paint: Callable[..., str] = lambda text, *_: text,
    wanted: Callable[[Body], bool] = lambda _: True,
) -> list[list[str]]:
    """The header and a row of cells for each node shown; [] where there is no root yet.

    at: now, for durations of what still runs; form: "" | "short" | "wide"; wanted: which nodes are shown (`--status`).
    """
    nodes = ((workflow.get("status") or {}).get("nodes")) or {}
    name = str(workflow["metadata"].get("name", ""))
    if name not in nodes:
        return []
    drawing = UTF8 if utf8 else ASCII
    children = _children(nodes)
    found = [list(HEADS[form])]

    def draw(root: str) -> None:
        agenda = [(root, " ", " ")]
        while agenda:
            identity, prefix, below = agenda.pop()
            node = nodes[identity]
            hidden, group = _hidden(node, wanted)
            if not hidden:
                found.append(_row(workflow, node, prefix, at, form, drawing, paint))
            inner = children.get(identity, ())
            for index in range(len(inner) - 1, -1, -1):
                part, after = _branch(drawing, index, len(inner) - 1, hidden, group)
                head = prefix if hidden and index == 0 else below
                agenda.append((inner[index], head + part, below + after))

    draw(name)
    on_exit = status.node_id(name, f"{name}.onExit")
    if on_exit in nodes and on_exit in children.get("", ()):
        found.append([""])
        draw(on_exit)
    return found


def _children(nodes: Mapping[str, Body]) -> dict[str, list[str]]:
    """Node → the nodes drawn under it, sorted; "" → the roots."""
    under = {
        child: identity
        for identity, node in nodes.items()
        if node.get("type") in _PARENTS
        for child in node.get("children") or ()
    }
    found: dict[str, list[str]] = {}
    for identity, node in nodes.items():
        if node.get("type") in _BOUNDARIES or node.get("type") in _PARENTS or node.get("type") in _LEAVES:
            found.setdefault(under.get(identity, str(node.get("boundaryID") or "")), []).append(identity)
    for inner in found.values():
        inner.sort(key=lambda identity: _place(nodes[identity]))
    return found


def _place(node: Body) -> tuple[str, str, int, str]:
    """By start; those of one second by name, those of one fan-out by their index."""
    shown = str(node.get("displayName") or "")
    match = _INDEX.match(shown)
    base, index = (match["base"], int(match["index"])) if match else (shown, -1)
    return str(node.get("startedAt") or ""), base, index, shown


def _hidden(node: Body, wanted: Callable[[Body], bool]) -> tuple[bool, bool]:
    """(not shown, and its children are drawn as a group)."""
    kind = node.get("type")
    if kind == status.RETRY and len(node.get("children") or ()) == 1:
        return True, False
    if kind == status.STEP_GROUP:
        return True, True
    if kind == status.SKIPPED_TYPE and node.get("phase") == status.OMITTED:
        return True, False
    return not wanted(node), False


def _branch(drawing: Drawing, index: int, last: int, hidden: bool, group: bool) -> tuple[str, str]:
    """What stands before a child, and before everything under it."""
    if hidden and not group:
        return "", ""
    if hidden and last == 0:
        return drawing.alone, "  "
    if hidden and index == 0:
        return drawing.first, drawing.line
    if index == last:
        return drawing.last, "  "
    return drawing.middle, drawing.line


def _row(
    workflow: Body, node: Body, prefix: str, at: datetime, form: str, drawing: Drawing, paint: Callable[..., str]
) -> list[str]:
    phase, kind = str(node.get("phase") or ""), node.get("type")
    icon, colour = drawing.icons.get(phase, ("", 39))
    if kind == status.SUSPEND and phase == status.RUNNING:
        icon, colour = drawing.suspended
    reference = node.get("templateRef")
    template = str(node.get("templateName") or "")
    if isinstance(reference, Mapping):
        template = str(reference.get("template") or "")
    shown = f"{reference.get('name', '')}/{template}" if isinstance(reference, Mapping) else template
    pod = spent = ""
    if kind == status.POD:
        pod = pod_name(workflow, node, template)
        spent = output.span(node.get("startedAt"), node.get("finishedAt"), at)
    step = f"{prefix}{paint(icon, colour)} {output.clean(node.get('displayName') or '')}"
    message, host = output.clean(node.get("message") or ""), str(node.get("hostNodeName") or "")
    cells = [step, output.clean(shown), output.clean(pod), spent]
    if form == "wide":
        made = (node.get("outputs") or {}).get("artifacts") or ()
        names = ",".join(output.clean(artifact.get("name", "")) for artifact in made)
        used = node.get("resourcesDuration") or {}
        cost = "*(" + ",".join(f"{value}s {name}" for name, value in sorted(used.items())) + ")" if used else ""
        return [*cells, names, message, cost, host if pod else ""]
    if form == "short":
        return [*cells, message, host if pod else ""]
    return [*cells, message]


def pod_name(workflow: Body, node: Body, template: str) -> str:
    """The pod of a node. template: the name of the template that it runs."""
    metadata = workflow["metadata"]
    if (metadata.get("annotations") or {}).get("workflows.argoproj.io/pod-name-format") == "v1":
        return str(node.get("id") or "")
    return status.pod_name(str(metadata.get("name", "")), str(node.get("name") or ""), template)
