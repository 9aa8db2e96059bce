"""The graph of a DAG template: who waits for whom, in what order, and what is wrong with it.

Names of dependencies are read from `depends` and `dependencies` as Argo reads them; its evaluation is the engine's.
Called by `findings` (what the text shows) and `traversal` (order and ancestry). Everything is linear in tasks and edges;
ancestry is a bit set per task.
Source: Argo v4.1.2 workflow/common/ancestry.go, workflow/validate/validate.go validateDAG, util/sorting.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from syncd.argo.manifest import Path
from syncd.validate import raw
from syncd.validate.report import listed, nearest
from syncd.validate.rules import names
from syncd.validate.template import Call, Template

if TYPE_CHECKING:
    from syncd.validate.findings import Say

RESULTS: Final = frozenset(
    {"Succeeded", "Failed", "Errored", "Skipped", "Omitted", "Daemoned", "AnySucceeded", "AllFailed"}
)
_ITEMS: Final = frozenset({"AnySucceeded", "AllFailed"})
_TERM: Final = re.compile(r"([a-zA-Z0-9][-a-zA-Z0-9]*)(?:\.([A-Z][a-zA-Z]+))?")
"""A task, and perhaps what came of it; Argo's two expressions in one that is linear."""

_REFERENCE: Final = re.compile(r"\{\{tasks\.([^.]*)")
_PARAMETER: Final = re.compile(r"\{\{[-a-zA-Z0-9]+(\.[-a-zA-Z0-9_]+)*\}\}")


class Graph:
    """index: task name → its place in `template.calls` (the last of a name, as in Go's map);
    needs: for each task its dependencies, name → whether by an items-based condition;
    order: indices, dependencies first (the body's order where there is a cycle); cycle: names, () = none."""

    __slots__ = ("_ancestors", "cycle", "index", "needs", "order", "sorted")

    def __init__(self, calls: Sequence[Call]) -> None:
        self.index = {call.name: place for place, call in enumerate(calls)}
        self.needs = [needs(call) for call in calls]
        self.order: list[int] = []
        waiting = [0] * len(calls)
        dependants: list[list[int]] = [[] for _ in calls]
        for place, wanted in enumerate(self.needs):
            for name in wanted:
                other = self.index.get(name)
                if other is not None:
                    waiting[place] += 1
                    dependants[other].append(place)
        ready = [place for place, count in enumerate(waiting) if not count]
        for place in ready:
            self.order.append(place)
            for dependant in dependants[place]:
                waiting[dependant] -= 1
                if not waiting[dependant]:
                    ready.append(dependant)
        self.sorted = len(self.order) == len(calls)
        self.cycle: tuple[str, ...] = ()
        if not self.sorted:
            self.cycle = cycle({call.name: list(self.needs[place]) for place, call in enumerate(calls)})
            self.order = list(range(len(calls)))
        self._ancestors: list[int] | None = None

    def is_ancestor(self, name: str, of: str) -> bool:
        """Whether task `of` waits for task `name`, directly or not."""
        place, target = self.index.get(name), self.index.get(of)
        if place is None or target is None:
            return False
        if self._ancestors is None:
            self._ancestors = self._bits()
        return bool(self._ancestors[target] >> place & 1)

    def _bits(self) -> list[int]:
        bits = [0] * len(self.needs)
        rounds = 1 if self.sorted else 2
        for _ in range(rounds):
            for place in self.order:
                for name in self.needs[place]:
                    other = self.index.get(name)
                    if other is not None:
                        bits[place] |= bits[other] | 1 << other
        return bits


def graph(template: Template) -> Graph:
    """The graph of a DAG template, made once."""
    kept: Graph | None = template.__dict__.get("graph")
    if kept is None:
        kept = template.__dict__["graph"] = Graph(template.calls)
    return kept


def needs(call: Call) -> dict[str, bool]:
    """The tasks that one waits for; True = it asks about their items (.AnySucceeded, .AllFailed).

    `dependencies: [A]` is `depends: (A.Succeeded || A.Skipped || A.Daemoned)` to Argo, which here comes to the name.
    """
    depends = raw.text(call.body.get("depends"))
    if not depends:
        return dict.fromkeys(raw.strings(call.body.get("dependencies")), False)
    found: dict[str, bool] = {}
    for name, result in _TERM.findall(depends):
        found[name] = bool(result) and (found.get(name, False) or result in _ITEMS)
    return found


def cycle(edges: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The names of one cycle, its first again at the end; () = there is none. Without recursion: files are hostile.

    >>> cycle({"a": ["b"], "b": ["a"]})
    ('a', 'b', 'a')
    """
    done: set[str] = set()
    for start in edges:
        trail: list[str] = []
        on_trail: dict[str, int] = {}
        stack: list[tuple[str, Iterator[str]]] = []
        if start not in done:
            stack.append((start, iter(edges[start])))
            on_trail[start] = 0
            trail.append(start)
        while stack:
            name, rest = stack[-1]
            following = next(rest, None)
            if following is None:
                stack.pop()
                trail.pop()
                del on_trail[name]
                done.add(name)
            elif following in on_trail:
                return (*trail[on_trail[following] :], following)
            elif following not in done and following in edges:
                stack.append((following, iter(edges[following])))
                on_trail[following] = len(trail)
                trail.append(following)
    return ()


def check(template: Template, say: Say) -> None:
    """What is wrong with the graph itself."""
    tasks = raw.mapping(template.body.get("dag")).get("tasks")
    prefix, path = f"templates.{template.name}", (*template.path, "dag")
    if not raw.items(tasks):
        say("V310", path, f"{prefix} must have at least one task")
        return
    names.check_list(tasks, f"{prefix}.tasks", (*path, "tasks"), say, unique=False)
    seen: set[str] = set()
    for place, call in enumerate(template.calls):
        if call.name in seen and call.name:
            message = (
                f"{prefix} sorting failed: duplicated nodeName {call.name}: {prefix}.tasks[{place}].name is not unique"
            )
            say("V215", (*call.path, "name"), message)
        seen.add(call.name)
    whole = graph(template)
    calls = template.calls
    using_depends = any(raw.text(call.body.get("depends")) for call in calls)
    for place, call in enumerate(calls):
        where = f"{prefix}.tasks.{call.name}"
        dependencies = raw.strings(call.body.get("dependencies"))
        if (using_depends or dependencies) and call.name[:1].isdigit() and call.name[0].isascii():
            message = f"{where} name cannot begin with a digit when using either 'depends' or 'dependencies'"
            say("V315", (*call.path, "name"), message)
        if using_depends and dependencies:
            message = f"{prefix} cannot use both 'depends' and 'dependencies' in the same DAG template"
            say("V316", (*call.path, "dependencies"), message, f"write depends: {' && '.join(dependencies)[:200]}")
        if using_depends and call.body.get("continueOn") is not None:
            message = f"{prefix} cannot use 'continueOn' when using 'depends'. Instead use 'dep-task.Failed'/'dep-task.Errored'"
            say("V317", (*call.path, "continueOn"), message)
        _dependencies(template, call, whole, place, say)
    if whole.cycle:
        text = "->".join(whole.cycle[:30])
        message = f"{prefix} sorting failed: graph with cycle: {prefix}.tasks dependency cycle detected: {text}"
        at = calls[whole.index[whole.cycle[0]]]
        say("V311", (*at.path, "depends" if raw.text(at.body.get("depends")) else "dependencies"), message)


def _dependencies(template: Template, call: Call, whole: Graph, place: int, say: Say) -> None:
    where = f"templates.{template.name}.tasks.{call.name}"
    depends = raw.text(call.body.get("depends"))
    path = (*call.path, "depends" if depends else "dependencies")
    for name, result in _TERM.findall(depends):
        if result and result not in RESULTS:
            near = nearest(result, RESULTS)
            remedy = f"did you mean {near}?" if near else f"choose one of: {listed(RESULTS)}"
            say("V314", path, f"{where} task result '{result}' for task '{name}' is invalid", remedy)
    for name, of_items in whole.needs[place].items():
        other = whole.index.get(name)
        if other is None:
            near = nearest(name, whole.index)
            remedy = f"did you mean {near!r}?" if near else f"tasks: {listed(key for key in whole.index if key)}"
            message = f"templates.{template.name} sorting failed: invalid dependency {name}: {where} dependency '{name}' not defined"
            say("V312", path, message, remedy)
        elif of_items and not template.calls[other].expands:
            message = (
                f"templates.{template.name}.tasks.{name} dependency '{name}' uses an items-based condition such as"
                f" .AnySucceeded or .AllFailed but does not contain any items; {call.name!r} asks for it"
            )
            say("V313", path, message)


def missing_targets(target: str, whole: Graph) -> list[str]:
    """The names in `target` that no task has; what is still a variable is let through."""
    return [
        name
        for name in (target.split(" ") if target else ())
        if name not in whole.index and not _PARAMETER.search(name)
    ]


def missing_dependencies(call: Call, whole: Graph) -> Iterator[tuple[Path, str, str, str]]:
    """(path, task, "parameter" | "artifact", name) for each argument that a task takes from one that it does not wait for."""
    for argument in call.arguments.parameters.values():
        if (match := _REFERENCE.match(argument.value or "")) and not whole.is_ancestor(match[1], call.name):
            yield (*argument.path, "value"), match[1], "parameter", argument.name
    for name, (path, body) in call.arguments.artifacts.items():
        if (match := _REFERENCE.match(raw.text(body.get("from")))) and not whole.is_ancestor(match[1], call.name):
            yield (*path, "from"), match[1], "artifact", name


def not_awaited(name: str, call: Call, whole: Graph) -> str:
    """The task that a variable belongs to and that `call` does not wait for; "" = there is none."""
    root, _, rest = name.partition(".")
    task = rest.partition(".")[0]
    if root != "tasks" or task not in whole.index or task == call.name or whole.is_ancestor(task, call.name):
        return ""
    return task
