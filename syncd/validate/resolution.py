"""Which tags and expressions use something that is not there.

In: the tags of a template, step or task, and its scope. Out: problems, said through the walk. Called by `traversal` and `spec`.
Source: Argo v4.1.2 workflow/validate/validate.go resolveAllVariables; what is said beyond it has codes of its own.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass

from syncd.argo.manifest import Path
from syncd.validate import raw
from syncd.validate.rules import dag, expressions, variables
from syncd.validate.scope import CHECKED_PREFIXES, Items, Scope
from syncd.validate.settled import UNKNOWN, Values, settle
from syncd.validate.template import Call
from syncd.validate.walk import Base, Walk


@dataclass(frozen=True, slots=True)
class Around:
    """What a step or task adds to the scope of its template. items: what it loops over; graph, said: of a task, who waits for
    whom, and the missing dependencies that were said already."""

    call: Call
    items: Items
    graph: dag.Graph | None = None
    said: Container[tuple[Path, str]] = ()

    def is_ancestor(self, name: str) -> bool:
        return self.graph is not None and self.graph.is_ancestor(name, self.call.name)


def unresolved(
    walk: Walk,
    tags: list[tuple[Path, str]],
    scope: Scope,
    base: Base,
    chain: str,
    values: Values,
    around: Around | None = None,
) -> None:
    """Say which of the tags resolve to nothing. around: the step or task that they stand in, None = a template's body."""
    for path, tag in tags:
        if walk.report.full:
            return
        if tag[0:1] == "=":
            if base.own:
                unknown_names(walk, [(path, tag[1:])], scope, chain, around.items if around else None)
            continue
        name = tag.strip()
        if tag.startswith(raw.UNCLOSED):
            # Argo takes everything up to the next }} of the whole template for the name
            start = tag.removeprefix(raw.UNCLOSED).strip()
            if start.startswith(CHECKED_PREFIXES) and not _knows(start, scope, around):
                walk.say("V340", base, path, chain, f"failed to resolve {{{{{start}", "close it: a tag ends with }}")
                continue
        elif "{{" in name:
            # a tag within a tag: the inner one first, as SubstituteParams has done by now
            name = settle(name, values)
        if not name.startswith(CHECKED_PREFIXES):
            if base.own and (doubt := variables.doubt(tag, path, scope.template, around.items if around else None)):
                walk.report.add(doubt.code, path, chain + doubt.message, doubt.remedy)
        elif not _knows(name, scope, around):
            message = f"failed to resolve {{{{{tag}}}}}"
            walk.say("V340", base, path, chain, message, scope.remedy(name), shared=name.startswith("workflow."))
        else:
            _in_value(walk, name, path, scope, base, chain, values, around)
            if around is not None and around.graph is not None and base.own:
                _not_awaited(walk, name, path, chain, around, around.graph)


def _knows(name: str, scope: Scope, around: Around | None) -> bool:
    if around is None:
        return scope.knows(name)
    return scope.knows(name, around.items, around.call.inline, around.is_ancestor)


def _in_value(
    walk: Walk, name: str, path: Path, scope: Scope, base: Base, chain: str, values: Values, around: Around | None
) -> None:
    """Say which tags in the known value of a variable resolve to nothing where it is used."""
    value = values.get(name)
    if value is None or value is UNKNOWN or "{{" not in value:
        return
    for inner in raw.in_text(value):
        start = inner.strip()
        if start.startswith(CHECKED_PREFIXES) and not _knows(start, scope, around):
            remedy = f"it is in the value of {{{{{name}}}}}, which is used here"
            walk.say("V340", base, path, chain, f"failed to resolve {{{{{inner}}}}}", remedy, shared=True)


def _not_awaited(walk: Walk, name: str, path: Path, chain: str, around: Around, graph: dag.Graph) -> None:
    """Say that a task uses another without waiting for it, unless that is said already. Hooks run later anyhow."""
    task = dag.not_awaited(name, around.call, graph)
    if task and (path, task) not in around.said and "hooks" not in path:
        remedy = f"add {task!r} to the dependencies of {around.call.name!r}"
        walk.report.add("V321", path, f"{chain}{{{{{name}}}}} may not exist yet when the task starts", remedy)


def unknown_names(
    walk: Walk, sources: Iterable[tuple[Path, str]], scope: Scope, chain: str, items: Items | None
) -> None:
    """Say which names in expressions nothing has. What an expression guards by `??` or `?.` may be missing."""
    for path, source in sources:
        for name in expressions.required(source):
            if not scope.knows_path(name, items):
                remedy = scope.remedy(name) or expressions.hyphens(name, source)
                walk.report.add("V355", path, f"{chain}the expression uses {name}, which is not known here", remedy)
                break
