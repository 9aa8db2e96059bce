"""The state machine of one run, without I/O: `advance(now, observations) -> Advance(changed nodes, actions, wake_at)`.

Rules of this file: it knows the clock only as `now`; it calls nothing outside this room and the cellar; what it is told
twice, late or out of order changes nothing; with no observation and no timer due it returns nothing. Replaying the journal
(the same `advance` calls) into a new machine gives the same nodes and actions.

How it works: frames (`engine.frames`, `engine.templates`) form the tree of what runs. Whatever one part has to tell another
goes through `post`, an agenda drained in order, so the depth of the Python stack never grows with the workflow. What wants
to start passes the gate (`engine.limits`). Timers are a heap. Work per observation is that of the nodes it changes.
Called by `loops.run`, which saves an Advance before it performs the actions.
"""

from __future__ import annotations

import heapq
import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from syncd.argo import labels, status, template
from syncd.argo.manifest import Body
from syncd.base.clock import rfc3339
from syncd.base.errors import Invalid
from syncd.engine import arguments, chance, scope
from syncd.engine.actions import Action
from syncd.engine.conclude import Root
from syncd.engine.frames import DEADLINE, Boundary, Invocation
from syncd.engine.library import Library
from syncd.engine.limits import Call, Gate
from syncd.engine.nodes import Node, Nodes
from syncd.engine.observations import Admitted, Observation, Operation, TaskFinished, TaskProgress, TaskStarted
from syncd.engine.operations import operate
from syncd.engine.templates import launch
from syncd.engine.templates.leaf import LeafFrame
from syncd.engine.templates.retry import RetryFrame
from syncd.engine.templates.suspend import SuspendFrame
from syncd.expr import evaluate, tags
from syncd.expr.environment import MISSING, Variables

MAX_DEPTH = 100
MAX_NODES = 120_000
"""A run with more is ended: templates that call themselves twice would fill the store before they get to MAX_DEPTH."""
_BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
_PROGRESS = re.compile(r"([0-9]{1,9})/([0-9]{1,9})")
_SHUTDOWNS = ("", "Stop", "Terminate")  # the later is the stronger


@dataclass(frozen=True, slots=True)
class Advance:
    """What one step changed and asks for.

    nodes: rows to save, by node id; status: WorkflowStatus without nodes, None = unchanged; labels: to merge into the
    Workflow's; actions: to perform once all this is saved; wake_at: when to call again without an observation.
    """

    nodes: dict[str, Body] = field(default_factory=dict)
    status: Body | None = None
    labels: dict[str, str] = field(default_factory=dict)
    actions: list[Action] = field(default_factory=list)
    wake_at: datetime | None = None

    def __bool__(self) -> bool:
        return bool(self.nodes or self.actions or self.labels or self.status is not None)


class Machine:
    """One run. workflow: its metadata now; run: what `admit` made of it, with the metadata as it was then."""

    def __init__(self, workflow: Body, run: Body) -> None:
        metadata = {**workflow["metadata"], **(run.get("metadata") or {})}
        self.metadata = metadata
        self.run = run
        self.name = str(metadata["name"])
        self.namespace = str(metadata.get("namespace") or "default")
        self.uid = str(metadata.get("uid") or "")
        self.now = _BEGINNING
        self.epoch = 1
        self.nodes = Nodes(self.name)
        self.tasks: dict[str, LeafFrame] = {}
        self.waiting: dict[str, RetryFrame | SuspendFrame] = {}  # by node id: for a person or a time
        self.kept: dict[str, list[Node]] = {}  # by node name: what a manual retry keeps, with everything inside it
        self._agenda: deque[Callable[[], None]] = deque()
        self._timers: list[tuple[datetime, int, Callable[[], None]]] = []
        self._timer_count = 0
        self._actions: list[Action] = []
        self._status: Body = {}
        self._status_changed = False
        self._labels: dict[str, str] = {}
        self._pods_done = self._pods_known = 0
        self.reset(run["spec"])

    def reset(self, raw_spec: Body) -> None:
        """Begin (again) with this spec: at the start, and when a person retries the run."""
        self.started_at: datetime | None = None
        self.deadline: datetime | None = None
        self.shutdown = ""
        self.raw_spec = raw_spec
        self.outputs: dict[str, list[Body]] = {}
        self.values: dict[str, object] = {}
        self.artifacts: dict[str, object] = {}  # workflow.outputs.artifacts.*: only where an artifact is followed
        self.spec: Body = raw_spec
        self.tasks.clear()
        self.waiting.clear()
        self._agenda.clear()
        self._timers.clear()
        self._pods_done = self._pods_known = 0
        self.gate = Gate(template.number(raw_spec.get("parallelism")), self.post)
        self.gate.refusal = self._refusal
        self.root = Root(self)

    # -- the outside ---------------------------------------------------------------------------------------------

    @property
    def finished(self) -> bool:
        return self._status.get("finishedAt") is not None

    @property
    def workflow_status(self) -> Body:
        """The WorkflowStatus without nodes."""
        return self._status

    def advance(self, now: datetime, observations: Sequence[Observation]) -> Advance:
        """Take in what happened until `now` (aware, UTC; a clock that went back is held still) and say what follows.

        What was observed comes first, then the timers: a step that ended before its deadline has not missed it.
        """
        self.now = max(now, self.now)
        for observation in observations:
            self._observe(observation)
            self._drain()
        self._fire_timers()
        changed, self._status_changed = self._status_changed, False
        new_labels, self._labels = self._labels, {}
        actions, self._actions = self._actions, []
        return Advance(
            nodes=self.nodes.changed(),
            status=dict(self._status) if changed else None,
            labels=new_labels,
            actions=actions,
            wake_at=self._timers[0][0] if self._timers and not self.finished else None,
        )

    def outstanding(self) -> list[Action]:
        """After a replay: every action whose end has not been observed, in the order they were asked for."""
        return [action for frame in self.tasks.values() for action in frame.outstanding()]

    def _observe(self, observation: Observation) -> None:
        if isinstance(observation, Operation):
            operate(self, observation)
        elif isinstance(observation, Admitted):
            if not self._status:
                self.post(self.root.begin)
        elif isinstance(observation, TaskStarted | TaskFinished | TaskProgress):
            frame = self.tasks.get(observation.task_id)
            if frame is not None:
                frame.observe(observation)

    # -- agenda and timers ---------------------------------------------------------------------------------------

    def post(self, step: Callable[[], None]) -> None:
        """Put a step on the agenda."""
        self._agenda.append(step)

    def _drain(self) -> None:
        while self._agenda:
            self._agenda.popleft()()

    def at(self, moment: datetime, step: Callable[[], None]) -> None:
        """Call `step` once `moment` has come. It must look for itself whether it still matters."""
        self._timer_count += 1
        heapq.heappush(self._timers, (moment, self._timer_count, step))

    def _fire_timers(self) -> None:
        while self._timers and self._timers[0][0] <= self.now:
            _, _, step = heapq.heappop(self._timers)
            step()
            self._drain()

    def act(self, action: Action) -> None:
        """Ask the world for something."""
        self._actions.append(action)

    # -- calls ---------------------------------------------------------------------------------------------------

    def call(self, invocation: Invocation, prepare: Callable[[Invocation], str] | None = None) -> None:
        """Run a template as soon as the gate lets it.

        prepare: fills in what is known only then (a loop's item), and answers why the call is skipped ("" = it is not);
        may raise Invalid.
        """
        kept = self.kept.pop(invocation.name, None)
        if kept is not None:
            self.post(lambda: self._restore(invocation, kept))
            return
        invocation.call = Call(
            start=lambda: self._start(invocation, prepare),
            refuse=lambda reason: self._refuse(invocation, reason),
            room=invocation.boundary.room if invocation.boundary is not None else None,
            on_exit=invocation.on_exit,
        )
        self.gate.ask(invocation.call)

    def _start(self, invocation: Invocation, prepare: Callable[[Invocation], str] | None) -> None:
        if len(self.nodes) >= MAX_NODES:
            self.give_up(f"the workflow has more than {MAX_NODES} nodes")
            return
        try:
            skipped = prepare(invocation) if prepare is not None else ""
        except Invalid as error:
            node = self._stillborn(invocation, status.ERROR, str(error))
            self.post(lambda: invocation.owner.child_done(invocation.key, node))
            return
        if skipped:
            node = self._stillborn(invocation, status.SKIPPED, skipped)
            self.post(lambda: invocation.owner.child_done(invocation.key, node))
            return
        if invocation.depth + 1 >= MAX_DEPTH:
            node = self._stillborn(invocation, status.ERROR, f"Maximum recursion depth exceeded: {MAX_DEPTH} levels")
            self.post(lambda: invocation.owner.child_done(invocation.key, node))
            return
        try:
            resolved = self.library.resolve(invocation.holder, invocation.scope)
            local = {"node.name": invocation.name, **invocation.local}
            strategy = self._strategy(resolved.raw)
            if strategy is None and template.kind(resolved.raw) in template.POD_TYPES:
                local["pod.name"] = self.pod_name(invocation.name, str(resolved.raw.get("name") or ""))
            config_maps, lots = self.run.get("configMaps") or {}, self.lots(invocation.name)
            bound = arguments.bind(resolved, invocation.arguments, self.variables, local, config_maps, lots)
        except Invalid as error:
            self.broken(invocation, str(error))
            return
        self.launch(invocation, bound, resolved.scope)

    def launch(self, invocation: Invocation, bound: Body, scope_: str) -> None:
        """Start a call whose template is bound."""
        launch(self, invocation, bound, scope_)

    def lots(self, *words: object) -> chance.Lots:
        """Time and chance for the reader that the words name."""
        return chance.lots(self.now, self.uid, self.epoch, *words)

    def _strategy(self, raw: Mapping[str, Any]) -> Mapping[str, Any] | None:
        found = raw.get("retryStrategy")
        return found if found is not None else self.spec.get("retryStrategy")

    def retry_strategy(self, bound: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The strategy in force for a bound template: its own, or the workflow's; None = no retry node."""
        return self._strategy(bound)

    def broken(self, invocation: Invocation, message: str) -> None:
        """The call cannot be run: an Error node of type Skipped, as Argo's initializeNodeOrMarkError makes it."""
        node = self._stillborn(invocation, status.ERROR, message)
        self.post(lambda: invocation.owner.child_broken(invocation.key, node, message))

    def _refuse(self, invocation: Invocation, reason: str) -> None:
        if not reason:
            self.post(lambda: invocation.owner.child_refused(invocation.key))
            return
        node = self._stillborn(invocation, status.FAILED, reason, kind=self._kind_of(invocation))
        self.post(lambda: invocation.owner.child_done(invocation.key, node))

    def _kind_of(self, invocation: Invocation) -> str:
        try:
            kind = template.kind(self.library.resolve(invocation.holder, invocation.scope).raw)
        except Invalid:
            return status.SKIPPED_TYPE
        return {"steps": status.STEPS, "dag": status.DAG, "suspend": status.SUSPEND}.get(kind, status.POD)

    def _stillborn(self, invocation: Invocation, phase: str, message: str, kind: str = status.SKIPPED_TYPE) -> Node:
        node = self.make_node(invocation, kind, phase)
        node.message = message
        node.flag = node.flag or {}
        self._after_end(node, invocation)
        self.call_ended(invocation)
        return node

    def make_node(self, invocation: Invocation, kind: str, phase: str, inputs: dict[str, Any] | None = None) -> Node:
        """The node of a call."""
        holder = invocation.holder
        reference = holder.get("templateRef")
        boundary = invocation.boundary
        node = self.nodes.make(
            invocation.name,
            kind,
            phase,
            self.now,
            boundary=boundary.node if boundary is not None else None,
            parents=invocation.parents,
            template_name="" if reference else str(holder.get("template") or ""),
            template_ref=dict(reference) if isinstance(reference, Mapping) else None,
            template_scope=invocation.scope,
            flag=invocation.flag,
            on_exit=invocation.on_exit,
            inputs=inputs or None,
        )
        if kind in status.COUNTED:
            self._pods_known += 1
            self._progress_changed()
        return node

    def end_node(self, node: Node, phase: str, message: str = "") -> None:
        """The node is fulfilled."""
        node.phase = phase
        node.message = message
        node.finished_at = self.now
        self.nodes.touch(node)
        self._export(node)

    def call_ended(self, invocation: Invocation) -> None:
        """The call no longer holds its place."""
        if invocation.call is not None:
            self.gate.leave(invocation.call)
        if invocation.boundary is not None:
            node = self.nodes.named(invocation.name)
            if node is not None and not invocation.attempt:
                invocation.boundary.note_child(node)

    def _after_end(self, node: Node, invocation: Invocation) -> None:
        node.finished_at = self.now
        self.nodes.touch(node)

    def _restore(self, invocation: Invocation, kept: list[Node]) -> None:
        """Put a succeeded part of an earlier epoch back instead of running it again."""
        for node in kept:
            self.nodes.restore(node)
            if node.type in status.COUNTED:
                done, _, whole = (node.progress or "0/1").partition("/")
                self._pods_known += int(whole)
                self._pods_done += int(done)
            self._export(node)
        head = kept[0]
        if head.parents != invocation.parents:
            # what it hangs under was made anew and is another
            head.parents = invocation.parents
            self.nodes.touch(head)
        self._progress_changed()
        invocation.owner.child_done(invocation.key, kept[0])

    # -- what the frames ask -------------------------------------------------------------------------------------

    def prepare_spec(self) -> None:
        """Replace the workflow's own variables in the spec. Raises Invalid. Source: Argo substituteGlobalVariables."""
        given = self._arguments()
        base = scope.globals_of(self.metadata, self.raw_spec, given)
        self.values = base
        self.variables = _RunVariables(self)
        spec = tags.substitute(
            {k: v for k, v in self.raw_spec.items() if k not in ("templates", "templateDefaults")},
            self.variables,
            allow_unresolved=True,
            impurity=self.lots("spec"),
        )
        self.spec = {**self.raw_spec, **spec}
        self.library = Library(self.run, self.spec)
        self.gate.limit = template.number(self.spec.get("parallelism"))
        self.gate.suspended = bool(self.spec.get("suspend"))
        metadata = self.spec.get("workflowMetadata") or {}
        self._labels.update({str(name): str(value) for name, value in (metadata.get("labels") or {}).items()})
        for name, expression in (metadata.get("labelsFrom") or {}).items():
            lots = self.lots("labelsFrom", name)
            source = str(expression.get("expression"))
            text = template.any_string(evaluate.evaluate(source, self.variables, impurity=lots))
            self.values[f"workflow.labels.{name}"] = text
            self._labels[str(name)] = text

    def _arguments(self) -> dict[str, str]:
        values: dict[str, str] = {}
        for parameter in template.parameters(self.raw_spec.get("arguments")):
            name = str(parameter.get("name"))
            source = parameter.get("valueFrom") or {}
            if parameter.get("value") is not None:
                values[name] = template.any_string(parameter["value"])
            elif source.get("configMapKeyRef"):
                values[name] = arguments.config_map_value(
                    f"spec.arguments.parameters.{name}", source, Variables({}), self.run.get("configMaps") or {}
                )
            elif parameter.get("default") is not None:
                values[name] = template.any_string(parameter["default"])
            elif source.get("default") is not None:
                values[name] = template.any_string(source["default"])
            else:
                raise Invalid(f"either value or valueFrom must be specified in order to set global parameter {name}")
            allowed = parameter.get("enum")
            if allowed and values[name] not in map(template.any_string, allowed):
                raise Invalid(
                    f"parameter {name}: {values[name][:200]!r} is not one of its enum: "
                    + ", ".join(map(template.any_string, allowed))
                )
        return values

    def pod_name(self, node_name: str, template_name: str) -> str:
        return status.pod_name(self.name, node_name, template_name)

    def result_is_read(self, invocation: Invocation) -> bool:
        """Whether anything may read the result of this call. Source: Argo includeScriptOutput."""
        boundary = invocation.boundary
        return boundary is not None and boundary.reads_result_of(invocation)

    def set_progress(self, node: Node, progress: str) -> None:
        """A pod's own progress, `N/M`."""
        read = _PROGRESS.fullmatch(progress)
        if read is None:
            return
        done, whole = read.groups()
        if int(done) > int(whole) or int(whole) == 0:
            return
        old_done, _, old_whole = (node.progress or "0/1").partition("/")
        self._pods_done += int(done) - int(old_done)
        self._pods_known += int(whole) - int(old_whole)
        node.progress = progress
        self.nodes.touch(node)
        self._progress_changed()

    def _progress_changed(self) -> None:
        self.set_status(progress=f"{self._pods_done}/{self._pods_known}")

    def _export(self, node: Node) -> None:
        """Outputs with a globalName become the workflow's. The last writer wins, as in Argo."""
        for word in ("parameters", "artifacts"):
            for item in (node.outputs or {}).get(word) or ():
                name = item.get("globalName")
                if not name:
                    continue
                exported = {k: v for k, v in item.items() if k not in ("globalName", "path")} | {"name": name}
                held = self.outputs.setdefault(word, [])
                held[:] = [*(other for other in held if other["name"] != name), exported]
                if word == "parameters":
                    self.values[f"workflow.outputs.parameters.{name}"] = template.any_string(item.get("value"))
                else:
                    self.artifacts[f"workflow.outputs.artifacts.{name}"] = exported
                self.set_status(outputs={k: list(v) for k, v in self.outputs.items()})

    # -- the workflow's own status -------------------------------------------------------------------------------

    def set_status(self, **fields: Any) -> None:
        for name, value in fields.items():
            if self._status.get(name) != value:
                self._status[name] = value
                self._status_changed = True

    def set_labels(self, **values: str) -> None:
        self._labels.update(values)

    def start(self) -> None:
        """Running from now on."""
        self.started_at = self.now
        self._status = {}
        self.set_status(
            phase=status.RUNNING,
            startedAt=rfc3339(self.now),
            finishedAt=None,
            progress="0/0",
            message="",
            conditions=[{"type": "PodRunning", "status": "False"}],
        )
        self._labels[labels.PHASE] = status.RUNNING
        self._labels[labels.COMPLETED] = "false"
        given = str(self.spec.get("shutdown") or "")
        self.shutdown = given if given in _SHUTDOWNS else ""
        seconds = template.seconds(self.spec.get("activeDeadlineSeconds"))
        if seconds is not None:
            self.deadline = self.now.replace(microsecond=0) + timedelta(seconds=seconds)
            self.at(self.deadline, self._deadline_passed)

    def end(self, phase: str, message: str) -> None:
        """The workflow is over."""
        if self.finished:
            return
        self.set_status(
            phase=phase,
            message=message,
            finishedAt=rfc3339(self.now),
            conditions=[{"type": "PodRunning", "status": "False"}, {"type": "Completed", "status": "True"}],
        )
        self._labels[labels.PHASE] = phase
        self._labels[labels.COMPLETED] = "true"
        self._timers.clear()
        for part in self.kept.values():
            # what a manual retry kept and nobody came to
            self.nodes.drop(part)
        self.kept = {}

    def give_up(self, message: str) -> None:
        """End the run as it stands: stop what runs, and end every node with the message."""
        if self.finished:
            return
        self._agenda.clear()
        for frame in list(self.tasks.values()):
            frame.stop(message, 0.0)
        for node in self.nodes:
            if not node.fulfilled:
                self.end_node(node, status.ERROR, message)
        self.tasks.clear()
        self.waiting.clear()
        self.gate = Gate(None, self.post)
        self.end(status.ERROR, message)

    # -- shutdown and deadline -----------------------------------------------------------------------------------

    def _refusal(self, call: Call) -> str:
        if self.shutdown and (self.shutdown == "Terminate" or not call.on_exit):
            return f"workflow shutdown with strategy: {self.shutdown}"
        if self.deadline is not None and self.now >= self.deadline and not call.on_exit:
            return DEADLINE
        return ""

    def shut_down(self, strategy: str) -> None:
        """Stop (exit handlers still run) or Terminate. The weaker after the stronger changes nothing."""
        if _SHUTDOWNS.index(strategy) < _SHUTDOWNS.index(self.shutdown):
            return
        self.shutdown = strategy
        everything = strategy == "Terminate"
        for frame in list(self.tasks.values()):
            if everything or not frame.node.on_exit:
                frame.stop(f"workflow shutdown with strategy:  {strategy}", 0.0 if everything else 30.0)
        self.root.interrupt(f"Stopped with strategy '{strategy}'", everything)
        self.gate.suspended = False
        self.gate.reconsider()

    def _deadline_passed(self) -> None:
        if self.finished:
            return
        for frame in list(self.tasks.values()):
            if not frame.node.on_exit:
                frame.stop(DEADLINE)
        self.root.interrupt(DEADLINE, everything=False)
        self.gate.reconsider()

    def deadline_is_over(self) -> bool:
        return self.deadline is not None and self.now >= self.deadline


class _RunVariables:
    """`workflow.*` as it stands now."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def lookup(self, name: str) -> object:
        if name == "workflow.duration":
            machine = self._machine
            started = machine.started_at or machine.now
            return f"{(machine.now - started).total_seconds():f}"
        return self._machine.values.get(name, MISSING)

    def under(self, prefix: str) -> Iterable[str]:
        if prefix == "":
            return [*self._machine.values, "workflow.duration"]
        dotted = prefix + "."
        found = [name for name in self._machine.values if name == prefix or name.startswith(dotted)]
        if prefix in ("workflow.duration", "workflow"):
            found.append("workflow.duration")
        return found


__all__ = ["DEADLINE", "MAX_NODES", "Advance", "Boundary", "Machine"]
