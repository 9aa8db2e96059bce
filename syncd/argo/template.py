"""Reading Argo's Template, Step and Task objects as they stand in JSON: what kind, which limits, which children.

Bodies stay Argo's own JSON in the engine, because `{{…}}` is replaced in them at every level; these functions are the one
place that knows their shape. All are pure and total: a wrong type reads as absent (lint has refused it before).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

Json = dict[str, Any]

POD_TYPES: Final = ("container", "script", "containerSet", "resource", "data")
TYPES: Final = (*POD_TYPES, "steps", "dag", "suspend", "http", "plugin")


def kind(template: Mapping[str, Any]) -> str:
    """The type of a template: the first of TYPES that it has; "" where it has none."""
    for name in TYPES:
        if template.get(name) is not None:
            return name
    return ""


def any_string(value: Any) -> str:
    """The text of a parameter's value as Argo's AnyString reads it from JSON.

    >>> any_string(5), any_string(True), any_string("x"), any_string({"a": 1})
    ('5', 'true', 'x', '{"a":1}')
    """
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return compact(value)


def compact(value: Any) -> str:
    """JSON without spaces, in the order given, as Go's json.Marshal writes what we hand out."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def number(value: Any) -> int | None:
    """An int-or-string as a number; None where it is absent or not a whole number."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int):
        return value
    try:
        return int(str(value).strip())
    except ValueError:
        return None


def step_groups(template: Mapping[str, Any]) -> list[list[Json]]:
    """The groups of a steps template. A group may also be written as one mapping (ParallelSteps' short form)."""
    groups: list[list[Json]] = []
    for group in template.get("steps") or ():
        if isinstance(group, Mapping):
            groups.append([dict(group)])
        elif isinstance(group, list):
            groups.append([dict(step) for step in group if isinstance(step, Mapping)])
    return groups


def tasks(template: Mapping[str, Any]) -> list[Json]:
    """The tasks of a DAG template."""
    dag = template.get("dag")
    if not isinstance(dag, Mapping):
        return []
    return [dict(task) for task in dag.get("tasks") or () if isinstance(task, Mapping)]


def children(template: Mapping[str, Any]) -> Iterator[Json]:
    """Every step or task of a template, in order."""
    for group in step_groups(template):
        yield from group
    yield from tasks(template)


def expands(step: Mapping[str, Any]) -> bool:
    """Whether the step or task is a loop. Source: Argo WorkflowStep.ShouldExpand."""
    return bool(step.get("withItems")) or bool(step.get("withParam")) or step.get("withSequence") is not None


def exit_hook(holder: Mapping[str, Any]) -> Json | None:
    """The exit hook of a step, task or workflow spec: `hooks.exit`, or the older `onExit`; None where it has none.

    Source: Argo DAGTask.GetExitHook, WorkflowSpec.GetExitHook.
    """
    hooks = holder.get("hooks")
    if isinstance(hooks, Mapping) and isinstance(hooks.get("exit"), Mapping):
        return dict(hooks["exit"])
    if holder.get("onExit"):
        return {"template": holder["onExit"]}
    return None


def continues_on(step: Mapping[str, Any], phase: str) -> bool:
    """Whether `continueOn` lets the flow go on although the step ended in `phase`."""
    allowed = step.get("continueOn") or {}
    return (phase == "Failed" and bool(allowed.get("failed"))) or (phase == "Error" and bool(allowed.get("error")))


def parameters(holder: Mapping[str, Any] | None) -> list[Json]:
    """The parameters of inputs, outputs or arguments."""
    return [dict(p) for p in ((holder or {}).get("parameters") or ()) if isinstance(p, Mapping)]


def artifacts(holder: Mapping[str, Any] | None) -> list[Json]:
    """The artifacts of inputs, outputs or arguments."""
    return [dict(a) for a in ((holder or {}).get("artifacts") or ()) if isinstance(a, Mapping)]


LOCATIONS: Final = ("s3", "git", "http", "artifactory", "hdfs", "raw", "oss", "gcs", "azure", "plugin", "local")


def location(artifact: Mapping[str, Any]) -> str:
    """Which kind of location an artifact names; "" where it names none."""
    for name in LOCATIONS:
        if artifact.get(name) is not None:
            return name
    return ""
