"""A steps template: groups one after another, the steps of a group side by side. Source: Argo v4.1.2 steps.go."""

from __future__ import annotations

from typing import Any

from syncd.argo import status, template
from syncd.base.errors import Invalid
from syncd.engine.brood import Brood, Child
from syncd.engine.frames import FAIL_FAST
from syncd.engine.nodes import Node


class StepsFrame(Brood):
    """Runs one group at a time."""

    kind = status.STEPS
    prefix = "steps."

    def begin(self) -> None:
        self.children = {}
        self._groups = template.step_groups(self.template)
        self._index = -1
        self._group: Node | None = None
        self._current: list[Child] = []
        self._open = 0
        self._refused = False
        self._broken = ""
        self._next_group()

    def _next_group(self) -> None:
        self._index += 1
        if self._index >= len(self._groups):
            self.finish_with_outputs(self._outbound())
            return
        parents = self._parents()
        self._group = self.machine.nodes.make(
            f"{self.node.name}[{self._index}]",
            status.STEP_GROUP,
            status.RUNNING,
            self.machine.now,
            boundary=self.node,
            parents=parents,
            template_scope=self.scope,
            flag={},
            on_exit=self.node.on_exit,
        )
        self._current = [
            Child(str(raw.get("name") or index), raw, self) for index, raw in enumerate(self._groups[self._index])
        ]
        try:
            resolved = [(child, *self.resolve(child)) for child in self._current]
        except Invalid as error:
            self._end_group(status.ERROR, f"failed to resolve references: {error}")
            return
        self._open = len(self._current)
        for child in self._current:
            self.children[child.name] = child
        if not resolved:
            self._close_group()
            return
        for child, body, runs in resolved:
            group = self._group
            try:
                self.start_child(
                    child,
                    body,
                    runs,
                    path=lambda name, base=group.name: f"{base}.{name}",  # type: ignore[misc]
                    group=lambda node=group: node,  # type: ignore[misc]
                    parents=lambda node=group: [node.id],  # type: ignore[misc]
                )
            except Invalid as error:
                self.machine.gate.close(self.room, "a step of the group cannot be run")
                self._end_group(status.ERROR, str(error))
                return

    def _parents(self) -> list[str]:
        """The first group hangs under the steps node, any other under what ended the one before."""
        if self._group is None:
            return [self.node.id]
        return self._outbound() or [self._group.id]

    def _outbound(self) -> list[str]:
        nodes = self.machine.nodes
        if self._group is None:
            return []
        found: list[str] = []
        for identity in self._group.children:
            child = nodes.get(identity)
            if child is not None:
                found.extend(nodes.outbound_of(child))
        return found

    def child_broken(self, key: Any, node: Node, message: str) -> None:
        # an exit hook that cannot be called is told as it is, as Argo's executeStepGroup does
        told = f"step group deemed errored due to child {node.name} error: {message}" if len(key) == 2 else message
        self._broken = self._broken or told
        self.child_done(key, node)

    def child_refused(self, key: Any) -> None:
        self._refused = True
        child = self.children[key[0]]
        child.open -= 1
        if child.open == 0:
            self.child_settled(child)

    def child_settled(self, child: Child) -> None:
        if child.items is not None:
            child.node = self._group
        self._open -= 1
        if self._open == 0:
            self._close_group()

    def _close_group(self) -> None:
        if self.node.fulfilled:
            return
        if self._broken:
            self._end_group(status.ERROR, self._broken)
            return
        if self._refused or self.room.closed == FAIL_FAST:
            self._end_group(status.FAILED, FAIL_FAST)
            return
        for child in self._current:
            nodes = [child.node] if child.items is None else child.items
            for node in nodes:
                if node is not None and node.unsuccessful and not template.continues_on(child.raw, node.phase):
                    self._end_group(status.FAILED, f"child '{node.id}' failed")
                    return
        self._end_group(status.SUCCEEDED, "")

    def _end_group(self, phase: str, message: str) -> None:
        group = self._group
        assert group is not None
        self.machine.end_node(group, phase, message)
        if phase == status.SUCCEEDED:
            for child in self._current:
                child.settled = child.node is not None
            self._next_group()
            return
        self.node.outbound = self._outbound()
        self.finish(status.FAILED, message)
