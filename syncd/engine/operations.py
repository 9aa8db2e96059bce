"""What people ask of a run: suspend, resume, stop, terminate, set, retry. Journalled observations, applied by the machine.

`check` says beforehand whether an operation can be done, so that the answer to a person is immediate.
Source: Argo v4.1.2 workflow/util/util.go (SuspendWorkflow, ResumeWorkflow, StopWorkflow, SetWorkflow, FormulateRetryWorkflow).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from syncd.argo import status
from syncd.base.errors import Conflict, Invalid
from syncd.engine.nodes import Node
from syncd.engine.observations import Operation
from syncd.engine.templates.suspend import SuspendFrame

if TYPE_CHECKING:
    from syncd.engine.machine import Machine

VERBS = frozenset({"suspend", "resume", "stop", "terminate", "set", "retry"})


def selects(selector: str) -> Callable[[Node], bool]:
    """A nodeFieldSelector as a test: `displayName=approve,phase!=Failed,inputs.parameters.env.value=prod`; "" = every node.

    Raises Invalid.
    """
    terms: list[tuple[str, bool, str]] = []
    for term in filter(None, (part.strip() for part in selector.split(","))):
        name, separator, value = term.partition("!=")
        wanted = False
        if not separator:
            wanted = True
            name, separator, value = term.partition("==" if "==" in term else "=")
        if not separator or not (name in _FIELDS or _input(name)):
            known = ", ".join(sorted(_FIELDS))
            raise Invalid(
                f"node field selector {term!r} is not FIELD=VALUE; known: {known}, inputs.parameters.NAME.value"
            )
        terms.append((name.strip(), wanted, value.strip()))
    return lambda node: all((_field(node, name) == value) is wanted for name, wanted, value in terms)


_FIELDS: dict[str, Callable[[Node], str]] = {
    "id": lambda n: n.id,
    "name": lambda n: n.name,
    "displayName": lambda n: n.display_name,
    "templateName": lambda n: n.template_name,
    "templateRef.name": lambda n: str((n.template_ref or {}).get("name", "")),
    "templateRef.template": lambda n: str((n.template_ref or {}).get("template", "")),
    "phase": lambda n: n.phase,
    "type": lambda n: n.type,
}


def _input(name: str) -> str:
    if name.startswith("inputs.parameters.") and name.endswith(".value"):
        return name[len("inputs.parameters.") : -len(".value")]
    return ""


def _field(node: Node, name: str) -> str:
    if name in _FIELDS:
        return _FIELDS[name](node)
    parameter = status.parameter((node.inputs or {}).get("parameters"), _input(name))
    return str((parameter or {}).get("value", ""))


def check(machine: Machine, operation: Operation) -> None:
    """Raise Conflict or Invalid where the operation cannot be done now; nothing changes."""
    verb, given = operation.verb, operation.arguments
    if verb not in VERBS:
        raise Invalid(f"operation {verb!r} is not known; known: {', '.join(sorted(VERBS))}")
    selector = str(given.get("nodeFieldSelector") or "")
    chosen = selects(selector)
    phase = str(machine.workflow_status.get("phase") or "")
    if verb == "retry":
        values_of(given.get("parameters") or ())
        restart = bool(given.get("restartSuccessful"))
        if phase not in status.UNSUCCESSFUL and not (phase == status.SUCCEEDED and restart and selector):
            if phase == status.SUCCEEDED:
                raise Conflict("To retry a succeeded workflow, set the options restartSuccessful and nodeFieldSelector")
            raise Conflict(f"workflow must be Failed/Error to retry: it is {phase or 'new'}")
        return
    if machine.finished:
        word = {"suspend": "suspend", "resume": "resume", "set": "set a node of"}.get(verb, "shutdown")
        raise Conflict(f"cannot {word} a completed workflow")
    if verb == "resume":
        frames = _waiting(machine, chosen)
        if not frames and (selector or not machine.gate.suspended):
            raise Conflict("workflow is not suspended" if not selector else "no suspended node matches the selector")
        _refuse_unanswered(frames, {})
    if verb == "set":
        if not selector:
            raise Invalid("nodeFieldSelector is needed: say which node to set")
        frames = _waiting(machine, chosen)
        if not frames:
            raise Conflict("currently, set only targets suspend nodes: no suspend nodes matching nodeFieldSelector")
        if given.get("phase") not in (None, "", status.SUCCEEDED, status.FAILED, status.ERROR):
            raise Invalid(f"phase {given['phase']!r} cannot be set; use Succeeded, Failed or Error")
        values = _values(given)
        for frame in frames:
            for name in values:
                if name not in frame.asked:
                    known = ", ".join(sorted(frame.asked)) or "none"
                    raise Invalid(
                        f"node {frame.node.display_name} has no supplied output parameter {name!r}; known: {known}"
                    )
        if given.get("phase") == status.SUCCEEDED:
            _refuse_unanswered(frames, values)


def _refuse_unanswered(frames: Sequence[SuspendFrame], values: Mapping[str, str]) -> None:
    """Raise Conflict where a node would go on without a value that it asks for."""
    for frame in frames:
        for name in frame.lacks(values):
            raise Conflict(
                f"node {frame.node.display_name} needs a value for {name!r}, which has no default; "
                f"give one with `node set --output-parameter {name}=VALUE`"
            )


def _values(given: Mapping[str, Any]) -> dict[str, str]:
    found = given.get("outputParameters") or {}
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, Mapping) else {}


def _waiting(machine: Machine, chosen: Callable[[Node], bool]) -> list[SuspendFrame]:
    return [f for f in machine.waiting.values() if isinstance(f, SuspendFrame) and chosen(f.node)]


def operate(machine: Machine, operation: Operation) -> None:
    """Do it. What cannot be done (any more) changes nothing: the operation may have been journalled twice."""
    try:
        check(machine, operation)
    except (Conflict, Invalid):
        return
    given = operation.arguments
    selector = str(given.get("nodeFieldSelector") or "")
    chosen = selects(selector)
    message = str(given.get("message") or "")
    if operation.verb == "suspend":
        machine.gate.suspended = True
    elif operation.verb == "resume":
        for frame in _waiting(machine, chosen):
            frame.resume()
        if not selector:
            machine.gate.resume()
    elif operation.verb == "set":
        for frame in _waiting(machine, chosen):
            frame.supply(_values(given), message)
            if given.get("phase"):
                frame.settle(str(given["phase"]), message)
    elif operation.verb in ("stop", "terminate"):
        if selector:
            for frame in _waiting(machine, chosen):
                frame.settle(status.FAILED, message)
            for leaf in list(machine.tasks.values()):
                if chosen(leaf.node):
                    leaf.stop(message or f"stopped by {operation.by or 'a person'}")
        else:
            machine.shut_down("Stop" if operation.verb == "stop" else "Terminate")
    else:
        _retry(machine, given, chosen if selector and given.get("restartSuccessful") else None)


def _retry(machine: Machine, given: Mapping[str, Any], restart: Callable[[Node], bool] | None) -> None:
    """Open a new epoch: walk the workflow again from the top, and put back what succeeded instead of running it."""
    overrides = values_of(given.get("parameters") or ())
    kept = kept_parts(machine, restart, expand_again=bool(overrides))
    spec = overridden(machine.raw_spec, overrides)
    spec.pop("shutdown", None)
    spec.pop("suspend", None)
    machine.nodes.forget({node.id for part in kept.values() for node in part})
    machine.epoch += 1
    machine.reset(spec)
    machine.kept = kept
    machine.post(machine.root.begin)


def values_of(parameters: Iterable[Any]) -> dict[str, str]:
    """`NAME=VALUE` each, as a mapping; the last of a name wins. Raises Invalid.

    >>> values_of(["a=b=c"])
    {'a': 'b=c'}
    """
    found = {}
    for text in parameters:
        name, separator, value = str(text).partition("=")
        if not separator or not name.strip():
            raise Invalid(f"parameter {str(text)[:100]!r} is not NAME=VALUE")
        found[name.strip()] = value
    return found


def overridden(spec: Mapping[str, Any], overrides: Mapping[str, str]) -> dict[str, Any]:
    """The spec with these values of its parameters."""
    changed = dict(spec)
    if overrides:
        rest = dict(overrides)
        held = [dict(p) for p in (spec.get("arguments") or {}).get("parameters") or ()]
        for parameter in held:
            if parameter.get("name") in rest:
                parameter["value"] = rest.pop(parameter["name"])
                parameter.pop("valueFrom", None)
        held.extend({"name": name, "value": value} for name, value in rest.items())
        changed["arguments"] = {**(spec.get("arguments") or {}), "parameters": held}
    return changed


_LEAVES = frozenset({status.POD, status.SKIPPED_TYPE, status.SUSPEND})
_GROUPS = frozenset({status.STEP_GROUP, status.TASK_GROUP})


def kept_parts(
    machine: Machine, restart: Callable[[Node], bool] | None, *, expand_again: bool = False
) -> dict[str, list[Node]]:
    """The succeeded parts of a finished run by the name of their outermost node, which comes first in its list.

    restart: nodes that are to run again although they succeeded, with all around and inside them; expand_again: parameters
    changed, so what is in a group that did not succeed is not kept. What ran after a failed node runs again too, as in Argo
    (FormulateRetryWorkflow drops its descendants). The exit handler is never kept.
    """
    nodes = sorted(machine.nodes, key=lambda node: node.order)
    by_id = {node.id: node for node in nodes}
    again = {node.id for node in nodes if restart is not None and restart(node)}
    for identity in list(again):
        node = by_id.get(by_id[identity].boundary_id)
        while node is not None and node.id not in again:
            again.add(node.id)
            node = by_id.get(node.boundary_id)
    exit_name = f"{machine.name}.onExit"
    part_of: dict[str, str] = {}
    parts: dict[str, list[Node]] = {}
    after_failure: set[str] = set()
    for node in nodes:
        if node.name == exit_name or node.name.startswith((exit_name + ".", exit_name + "[", exit_name + "(")):
            continue
        around = part_of.get(node.boundary_id, "")
        for parent in node.parents:
            # attempts and items hang under a node that is no boundary
            above = by_id.get(parent)
            if above is None:
                continue
            attempt = above.type == status.RETRY and bool((node.flag or {}).get("retried"))
            if attempt or above.type == status.TASK_GROUP:
                around = around or part_of.get(parent, "")
        if around:
            part_of[node.id] = around
            parts[around].append(node)
        elif any(parent in after_failure for parent in node.parents) or (node.unsuccessful and node.type in _LEAVES):
            after_failure.add(node.id)
        elif (
            node.phase == status.SUCCEEDED
            and node.type not in _GROUPS
            and node.id not in again
            and not (expand_again and _in_failed_group(node, by_id))
        ):
            part_of[node.id] = node.name
            parts[node.name] = [node]
    return parts


def _in_failed_group(node: Node, by_id: Mapping[str, Node]) -> bool:
    around = (by_id[parent] for parent in node.parents if parent in by_id)
    return any(parent.type in _GROUPS and parent.phase != status.SUCCEEDED for parent in around)
