"""When a DAG task may run: `depends` and `dependencies` as one logic over the results of other tasks.

Source: Argo v4.1.2 workflow/common/ancestry.go, workflow/controller/dag.go evaluateDependsLogic.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from syncd.argo import status
from syncd.engine.nodes import Node
from syncd.expr import evaluate
from syncd.expr.environment import Variables

_NAME = re.compile(r"([a-zA-Z0-9][-a-zA-Z0-9]*?\.[A-Z][a-zA-Z]+)|([a-zA-Z0-9][-a-zA-Z0-9]*)")
RESULTS = frozenset({"Succeeded", "Failed", "Errored", "Skipped", "Omitted", "Daemoned", "AnySucceeded", "AllFailed"})


class Dependency(StrEnum):
    """What a task's logic asks of another: of it as a whole, or of a loop's items."""

    TASK = "Task"
    ITEMS = "Items"


@dataclass(frozen=True, slots=True)
class Logic:
    """dependencies: names in the order they appear; expression: every bare name expanded; "" = a root task."""

    dependencies: Mapping[str, Dependency]
    expression: str


def expand(name: str, task: Mapping[str, Any] | None) -> str:
    """A bare task name as a condition.

    >>> expand("a", {"continueOn": {"failed": True}})
    '(a.Succeeded || a.Skipped || a.Daemoned || a.Failed)'
    """
    results = ["Succeeded", "Skipped", "Daemoned"]
    allowed = (task or {}).get("continueOn") or {}
    if allowed.get("error"):
        results.append("Errored")
    if allowed.get("failed"):
        results.append("Failed")
    return "(" + " || ".join(f"{name}.{result}" for result in results) + ")"


def logic(task: Mapping[str, Any], find: Callable[[str], Mapping[str, Any] | None]) -> Logic:
    """The logic of one task. find: the task of a name, None where there is none (lint refuses that).

    >>> logic({"depends": "a && !b.Failed"}, lambda name: {}).expression
    '(a.Succeeded || a.Skipped || a.Daemoned) && !b.Failed'
    """
    depends = str(task.get("depends") or "")
    if not depends:
        depends = " && ".join(expand(str(name), find(str(name))) for name in task.get("dependencies") or ())
    dependencies: dict[str, Dependency] = {}
    pieces: list[str] = []
    position = 0
    for match in _NAME.finditer(depends):
        with_result, bare = match.groups()
        pieces.append(depends[position : match.start()])
        position = match.end()
        if with_result:
            name, _, result = with_result.partition(".")
            if result in ("AnySucceeded", "AllFailed"):
                dependencies[name] = Dependency.ITEMS
            else:
                dependencies.setdefault(name, Dependency.TASK)
            pieces.append(with_result)
        else:
            dependencies[bare] = Dependency.TASK
            pieces.append(expand(bare, find(bare)))
    pieces.append(depends[position:])
    return Logic(dependencies, "".join(pieces))


def unknown_results(depends: str) -> list[tuple[str, str]]:
    """(task, result) for every `task.Result` whose result does not exist. Source: Argo ValidateTaskResults."""
    found = []
    for match in _NAME.finditer(depends):
        if match.group(1):
            name, _, result = match.group(1).partition(".")
            if result not in RESULTS:
                found.append((name, result))
    return found


def results_of(node: Node, item_phases: list[str] | None) -> dict[str, bool]:
    """The results of a finished task. item_phases: phases of a loop's items, None for a single task."""
    items = item_phases or []
    return {
        "Succeeded": node.phase == status.SUCCEEDED,
        "Failed": node.phase == status.FAILED,
        "Errored": node.phase == status.ERROR,
        "Skipped": node.phase == status.SKIPPED,
        "Omitted": node.phase == status.OMITTED,
        "Daemoned": False,
        "AnySucceeded": any(phase == status.SUCCEEDED for phase in items),
        "AllFailed": bool(items) and all(phase == status.FAILED for phase in items),
    }


def holds(expression: str, results: Mapping[str, Mapping[str, bool]]) -> bool:
    """Whether the task runs, given the results of all that it depends on. Raises base.errors.Invalid for a bad expression."""
    values: dict[str, object] = {
        f"{name.replace('-', '_')}.{result}": value for name, of in results.items() for result, value in of.items()
    }
    return evaluate.truth(expression.replace("-", "_"), Variables(values))
