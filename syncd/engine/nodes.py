"""The nodes of one run: made once, changed in place by the machine, handed out as rows when they changed.

A finished node never changes within its epoch; `Nodes.changed()` yields what to save since it was last asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from syncd.argo import status
from syncd.argo.manifest import Body
from syncd.base.clock import rfc3339

_SEPARATOR = re.compile(r"^(\[\d+\])?\.")


@dataclass(slots=True, eq=False)
class Node:
    """One node of the tree, in memory. Field names are Argo's in snake case; `parents` are edges, kept on the child."""

    id: str
    name: str
    display_name: str
    type: str
    phase: str
    started_at: datetime
    order: int
    boundary_id: str = ""
    template_name: str = ""
    template_ref: dict[str, Any] | None = None  # None: not from a templateRef
    template_scope: str = ""
    message: str = ""
    finished_at: datetime | None = None  # None: not fulfilled
    inputs: dict[str, Any] | None = None  # None: the template has none
    outputs: dict[str, Any] | None = None  # None: nothing came out
    parents: list[str] = field(default_factory=list)
    children: list[str] = field(default_factory=list)
    outbound: list[str] = field(default_factory=list)
    flag: dict[str, bool] | None = None  # nodeFlag: hooked, retried
    host: str = ""
    progress: str = ""
    on_exit: bool = False  # part of an exit handler: runs on although the workflow is being stopped

    @property
    def fulfilled(self) -> bool:
        return self.phase in status.FULFILLED

    @property
    def completed(self) -> bool:
        return self.phase in status.COMPLETED

    @property
    def unsuccessful(self) -> bool:
        return self.phase in status.UNSUCCESSFUL

    def to_row(self) -> Body:
        """Argo's NodeStatus with the private fields of `argo.status`."""
        row: Body = {
            "id": self.id,
            "name": self.name,
            "displayName": self.display_name,
            "type": self.type,
            "phase": self.phase,
            "startedAt": rfc3339(self.started_at),
            "finishedAt": rfc3339(self.finished_at) if self.finished_at else None,
            status.ORDER: self.order,
            status.PARENTS: self.parents,
        }
        for key, value in (
            ("templateName", self.template_name),
            ("templateRef", self.template_ref),
            ("templateScope", self.template_scope),
            ("boundaryID", self.boundary_id),
            ("message", self.message),
            ("inputs", self.inputs),
            ("outputs", self.outputs),
            ("outboundNodes", self.outbound),
            ("nodeFlag", self.flag),
            ("hostNodeName", self.host),
            ("progress", self.progress),
        ):
            if value:
                row[key] = value
        return row


class Nodes:
    """All nodes of a run by id, and which of them changed."""

    def __init__(self, workflow_name: str) -> None:
        self._workflow_name = workflow_name
        self._by_id: dict[str, Node] = {}
        self._changed: dict[str, Node | None] = {}  # None: gone
        self._order = 0

    def get(self, identity: str) -> Node | None:
        return self._by_id.get(identity)

    def named(self, name: str) -> Node | None:
        return self._by_id.get(status.node_id(self._workflow_name, name))

    def __iter__(self) -> Any:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def make(
        self,
        name: str,
        kind: str,
        phase: str,
        now: datetime,
        *,
        boundary: Node | None,
        parents: list[str],
        display_name: str = "",
        **fields: Any,
    ) -> Node:
        """A new node under `parents`; the display name is the name without the boundary's, as Argo's initializeNode."""
        identity = status.node_id(self._workflow_name, name)
        if not display_name:
            display_name = name
            if boundary is not None:
                display_name = _SEPARATOR.sub("", name.removeprefix(boundary.name))
        self._order += 1
        node = Node(
            id=identity,
            name=name,
            display_name=display_name,
            type=kind,
            phase=phase,
            started_at=now,
            order=self._order,
            boundary_id=boundary.id if boundary is not None else "",
            parents=parents,
            **fields,
        )
        if node.fulfilled:
            node.finished_at = now
        self._by_id[identity] = node
        for parent in parents:
            self._by_id[parent].children.append(identity)
        self._changed[identity] = node
        return node

    def touch(self, node: Node) -> None:
        """The node was changed in place."""
        self._changed[node.id] = node

    def restore(self, node: Node) -> None:
        """Put back a node that a manual retry keeps, under the parents made anew."""
        self._by_id[node.id] = node
        self._changed.pop(node.id, None)
        for parent in node.parents:
            held = self._by_id.get(parent)
            if held is not None and node.id not in held.children[-1:]:
                held.children.append(node.id)

    def drop(self, nodes: Iterable[Node]) -> None:
        """Rows that `forget` was to keep and that were not put back: they are gone."""
        for node in nodes:
            if node.id not in self._by_id:
                self._changed[node.id] = None

    def forget(self, keep: set[str]) -> None:
        """Begin anew: nothing is known any more; the rows of all but `keep` (ids) are gone unless made again."""
        for identity in self._by_id:
            if identity not in keep:
                self._changed[identity] = None
        self._by_id.clear()

    def changed(self) -> dict[str, Body]:
        """Rows of the nodes that changed since the last call; a row with GONE where a retry dropped one."""
        rows = {
            identity: node.to_row() if node is not None else {"id": identity, status.GONE: True}
            for identity, node in self._changed.items()
        }
        self._changed.clear()
        return rows

    def outbound_of(self, node: Node) -> list[str]:
        """The last nodes inside `node`, which what comes next hangs under. Source: Argo operator.go getOutboundNodes."""
        found: list[str] = []
        agenda = [node]
        while agenda:
            current = agenda.pop()
            if current.type == status.TASK_GROUP and current.children:
                agenda.extend(self._by_id[child] for child in reversed(current.children) if child in self._by_id)
            elif current.type == status.RETRY:
                if current.children:
                    found.append(current.children[-1])
            elif current.type in (status.STEPS, status.DAG):
                agenda.extend(self._by_id[child] for child in reversed(current.outbound) if child in self._by_id)
            else:
                found.append(current.id)
        return found
