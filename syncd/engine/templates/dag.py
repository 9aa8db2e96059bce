"""A DAG template: tasks that run once what they depend on has ended. Source: Argo v4.1.2 dag.go.

A failed task stops only what depends on it: Argo's executeDAG starts everything that is ready before assessDAGPhase looks, so
that failFast decides which failed target names the phase, not what is started. Here it is the same.

A task is decided when its last dependency settles: the work per task is its own edges, whatever the size of the DAG.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from syncd.argo import status, template
from syncd.base.errors import Invalid
from syncd.engine import depends
from syncd.engine.brood import Brood, Child
from syncd.engine.frames import FAIL_FAST
from syncd.engine.nodes import Node


@dataclass(slots=True, eq=False)
class Task(Child):
    """A child with edges. missing: dependencies that have not settled; branch: the phase that omitted dependants inherit."""

    logic: depends.Logic = field(default_factory=lambda: depends.Logic({}, ""))
    dependants: list[Task] = field(default_factory=list)
    missing: int = 0
    branch: str = ""
    refused: bool = False
    needed: bool = False  # a target, or something that a target depends on


class DagFrame(Brood):
    """Runs every task that the targets need."""

    kind = status.DAG
    prefix = "tasks."
    children: dict[str, Task]  # type: ignore[assignment]

    def begin(self) -> None:
        self.children = {}
        for raw in template.tasks(self.template):
            self.children[str(raw.get("name"))] = Task(str(raw.get("name")), raw, self)
        self._fail_fast = (self.template.get("dag") or {}).get("failFast") is not False
        self._fast_failed = ""
        try:
            self._connect()
            self._targets = self._find_targets()
            needed = self._needed(self._targets)
            self._refuse_cycle(needed)
        except Invalid as error:
            self.finish(status.ERROR, str(error))
            return
        self._open = len(needed)
        if not needed:
            self.finish_with_outputs([])
            return
        for task in needed:
            if task.missing == 0:
                self.machine.post(lambda t=task: self._decide(t))  # type: ignore[misc]

    def _connect(self) -> None:
        def find(name: str) -> Mapping[str, Any] | None:
            task = self.children.get(name)
            return task.raw if task is not None else None

        for task in self.children.values():
            task.logic = depends.logic(task.raw, find)
            for name in task.logic.dependencies:
                other = self.children.get(name)
                if other is None:
                    raise Invalid(f"task {task.name!r} depends on {name!r}, which is not defined")
                other.dependants.append(task)
                task.missing += 1

    def _find_targets(self) -> list[Task]:
        """dag.target, or every task that nothing depends on, by name."""
        named = str((self.template.get("dag") or {}).get("target") or "").split()
        if named:
            for name in named:
                if name not in self.children:
                    raise Invalid(f"target '{name}' is not defined; tasks: {', '.join(self.children)[:200]}")
            return [self.children[name] for name in dict.fromkeys(named)]
        return sorted((task for task in self.children.values() if not task.dependants), key=lambda task: task.name)

    def _needed(self, targets: list[Task]) -> list[Task]:
        """The targets and all they depend on, in the order of the file."""
        wanted: set[str] = set()
        agenda = [task.name for task in targets]
        while agenda:
            name = agenda.pop()
            if name not in wanted:
                wanted.add(name)
                agenda.extend(self.children[name].logic.dependencies)
        for name in wanted:
            self.children[name].needed = True
        return [task for task in self.children.values() if task.needed]

    def _refuse_cycle(self, needed: list[Task]) -> None:
        """Raise Invalid where some tasks would never get ready. Lint finds that before; a target may be a variable, though."""
        missing = {task.name: task.missing for task in self.children.values()}
        ready = [task for task in self.children.values() if task.missing == 0]
        while ready:
            for dependant in ready.pop().dependants:
                missing[dependant.name] -= 1
                if missing[dependant.name] == 0:
                    ready.append(dependant)
        stuck = [task.name for task in needed if missing[task.name]]
        if stuck or (self.children and not needed):
            names = ", ".join(stuck or self.children)
            raise Invalid(f"tasks depend on each other in a cycle: {names[:200]}")

    def _visible(self, name: str, reader: Child | None) -> Child | None:
        child = super()._visible(name, reader)
        return child if reader is None or (child is not None and self._is_ancestor(name, reader)) else None

    def _visible_names(self, reader: Child | None) -> Iterable[str]:
        if reader is None:
            return super()._visible_names(None)
        return [name for name in self._ancestors(reader) if super(DagFrame, self)._visible(name, reader) is not None]

    def _is_ancestor(self, name: str, reader: Child) -> bool:
        assert isinstance(reader, Task)
        return name in reader.logic.dependencies or name in self._ancestors(reader)

    def _ancestors(self, reader: Child) -> Iterator[str]:
        """Names of all that the task depends on, the nearest first: what Argo lets it refer to."""
        agenda, seen = deque([reader.name]), {reader.name}
        while agenda:
            for name in self.children[agenda.popleft()].logic.dependencies:
                if name not in seen:
                    seen.add(name)
                    agenda.append(name)
                    yield name

    # -- deciding ------------------------------------------------------------------------------------------------

    def _decide(self, task: Task) -> None:
        if self.node.fulfilled:
            return
        try:
            if task.logic.expression and not depends.holds(task.logic.expression, self._results_for(task)):
                self._settle_unstarted(task, status.OMITTED, "omitted: depends condition not met")
                return
            body, runs = self.resolve(task)
            self.start_child(
                task,
                body,
                runs,
                path=lambda name: f"{self.node.name}.{name}",
                group=lambda: self._task_group(task),
                parents=lambda: self._parents(task),
            )
        except Invalid as error:
            self._settle_unstarted(task, status.ERROR, str(error))

    def _results_for(self, task: Task) -> dict[str, dict[str, bool]]:
        found = {}
        for name in task.logic.dependencies:
            other = self.children[name]
            phases = [item.phase for item in other.items if item is not None] if other.items is not None else None
            found[name] = depends.results_of(other.node, phases)
        return found

    def _parents(self, task: Task) -> list[str]:
        """A root task hangs under the DAG's node, any other under what ended its dependencies."""
        if not task.logic.dependencies:
            return [self.node.id]
        nodes = self.machine.nodes
        return list(
            dict.fromkeys(
                identity
                for name in task.logic.dependencies
                if self.children[name].node is not None
                for identity in nodes.outbound_of(self.children[name].node)
            )
        )

    def _make(self, task: Task, kind: str, phase: str) -> Node:
        reference = task.raw.get("templateRef")
        return self.machine.nodes.make(
            f"{self.node.name}.{task.name}",
            kind,
            phase,
            self.machine.now,
            boundary=self.node,
            parents=self._parents(task),
            template_name="" if reference else str(task.raw.get("template") or ""),
            template_ref=dict(reference) if isinstance(reference, Mapping) else None,
            template_scope=self.scope,
            flag={},
            on_exit=self.node.on_exit,
        )

    def _task_group(self, task: Task) -> Node:
        node = self._make(task, status.TASK_GROUP, status.RUNNING)
        task.node = node
        return node

    def _settle_unstarted(self, task: Task, phase: str, message: str) -> None:
        node = self._make(task, status.SKIPPED_TYPE, phase)
        node.message = message
        task.items = None
        task.node = node
        self.note_child(node)
        self.child_settled(task)

    # -- settling ------------------------------------------------------------------------------------------------

    def child_broken(self, key: Any, node: Node, message: str) -> None:
        if len(key) == 2:
            node.message = f"task '{node.name}' errored: {message}"
            self.machine.nodes.touch(node)
        self.child_done(key, node)

    def child_refused(self, key: Any) -> None:
        task = self.children[key[0]]
        task.refused = True
        task.open -= 1
        if task.open == 0:
            self.child_settled(task)

    def child_settled(self, child: Child) -> None:
        task = child
        assert isinstance(task, Task)
        if self.node.fulfilled:
            return
        self._open -= 1
        if task.items is not None and task.node is not None:
            self._end_group(task)
        if self.room.closed == FAIL_FAST:
            self._fast_failed = FAIL_FAST
        if not task.refused:
            task.settled = True
            task.branch = self._branch_of(task)
            for dependant in task.dependants:
                dependant.missing -= 1
                if dependant.missing == 0 and dependant.needed:
                    self.machine.post(lambda t=dependant: self._decide(t))  # type: ignore[misc]
        self.machine.post(self._assess)

    def _end_group(self, task: Task) -> None:
        phase = status.SUCCEEDED
        for item in task.items or ():
            if item is not None and item.unsuccessful:
                phase = item.phase
        self.machine.end_node(task.node, phase)

    def _branch_of(self, task: Task) -> str:
        """The node's phase where it completed; else the worst of the branches above it. Source: Argo assessDAGPhase."""
        if task.node.completed:
            return str(task.node.phase)
        branches = [self.children[name].branch for name in task.logic.dependencies]
        return next((phase for phase in branches if phase in status.UNSUCCESSFUL), status.SUCCEEDED)

    def _failing(self) -> str:
        """The phase of a failed target that does not continue on it; "" where there is none."""
        found = ""
        for target in self._targets:
            if target.branch in status.UNSUCCESSFUL and not template.continues_on(target.raw, target.branch):
                found = target.branch
                if self._fail_fast:
                    break
        return found

    def _assess(self) -> None:
        """End when nothing runs and nothing will: all needed tasks have settled, or the rest was given up."""
        if self.node.fulfilled or self._running():
            return
        failing = self._failing()
        if self.machine.shutdown and not self.node.on_exit:
            failing = status.FAILED
        if self._fast_failed:
            failing = status.FAILED
        for task in self.children.values():
            # its last item waits for an exit handler that the closed room refused: no group outlives its DAG
            if isinstance(task, Task) and task.items is not None and task.node is not None and not task.node.fulfilled:
                self._end_group(task)
        outbound = [i for t in self._targets if t.node is not None for i in self.machine.nodes.outbound_of(t.node)]
        if failing:
            self.node.outbound = outbound
            self.finish(failing, self._fast_failed)
        else:
            self.finish_with_outputs(outbound)

    def _running(self) -> bool:
        return self._open > 0 and not (self.room.closed and self.room.active == 0 and not self.room.waiting)
