"""What every running part of a workflow is: a frame with a node, told when the frames inside it end.

`Invocation` says how a template is called; `Frame` is the call while it runs. One class per template type is in
`engine.templates`; `engine.machine` makes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from syncd.argo import status
from syncd.argo.manifest import Body
from syncd.argo.template import number
from syncd.engine.limits import Call, Room
from syncd.engine.nodes import Node

if TYPE_CHECKING:
    from syncd.engine.machine import Machine


@dataclass(slots=True)
class Invocation:
    """A call of a template.

    name: of the node; holder: the step, task or hook that names the template; scope: where it is looked up;
    arguments: resolved; owner: who is told, by `key`; boundary: the steps or DAG frame around it, None at the top;
    parents: ids the node hangs under; local: variables only this call sees (`steps.name`, …); depth: how deep it nests.
    """

    name: str
    holder: Mapping[str, Any]
    scope: str
    arguments: Mapping[str, Any]
    owner: Owner
    key: Any
    boundary: Boundary | None
    parents: list[str]
    depth: int = 0
    on_exit: bool = False
    flag: dict[str, bool] | None = None
    local: dict[str, object] = field(default_factory=dict)
    call: Call | None = None
    attempt: bool = False  # one attempt of a retried call: its template is bound, and is not retried again
    execution_deadline: Any = None  # datetime or None: backoff.maxDuration of the retried call


class Owner:
    """Whoever is told that a call has ended."""

    machine: Machine

    def child_done(self, key: Any, node: Node) -> None:
        """The call is fulfilled: node says how."""
        raise NotImplementedError

    def child_broken(self, key: Any, node: Node, message: str) -> None:
        """The call could not be started at all: its template or its arguments are wrong."""
        self.child_done(key, node)

    def child_refused(self, key: Any) -> None:
        """The call was given up before it had a node (its boundary fails fast)."""


class Frame(Owner):
    """A call that runs. template: bound and substituted; scope: of names inside it."""

    kind = ""
    phase = status.RUNNING

    def __init__(self, machine: Machine, invocation: Invocation, template: Body, scope: str) -> None:
        self.machine = machine
        self.invocation = invocation
        self.template = template
        self.scope = scope
        self.node = machine.make_node(invocation, self.kind, self.phase, inputs=template.get("inputs"))

    def begin(self) -> None:
        """The first step, right after the node was made."""
        raise NotImplementedError

    def finish(self, phase: str, message: str = "") -> None:
        """The node is fulfilled; the owner is told."""
        if self.node.fulfilled:
            return
        self.machine.end_node(self.node, phase, message)
        self.machine.call_ended(self.invocation)
        invocation = self.invocation
        self.machine.post(lambda: invocation.owner.child_done(invocation.key, self.node))


class Boundary(Frame):
    """A frame that others run inside: steps or DAG."""

    def __init__(self, machine: Machine, invocation: Invocation, template: Body, scope: str) -> None:
        self.room = Room(limit=number(template.get("parallelism")) or None)
        self.unsuccessful = 0
        super().__init__(machine, invocation, template, scope)

    def reads_result_of(self, invocation: Invocation) -> bool:
        """Whether anything here may read `outputs.result` of that call."""
        raise NotImplementedError

    def note_child(self, node: Node) -> None:
        """A node inside has ended: with template.failFast, a failed one closes the room."""
        if node.unsuccessful:
            self.unsuccessful += 1
            if self.template.get("failFast") is True and not self.room.closed:
                self.machine.gate.close(self.room, FAIL_FAST)
                for frame in list(self.machine.waiting.values()):
                    # nobody needs to answer any more
                    if frame.kind == status.SUSPEND and frame.invocation.boundary is self:
                        frame.interrupt(FAIL_FAST)


DEADLINE = "Step exceeded its deadline"
FAIL_FAST = "template has failed or errored children and failFast enabled"
