"""JSONPath as Argo's `jsonpath` function knows it: `$.a[0].b`, `$..price`, `$.list[?(@.age > 42)].name`, `$[-1:]`, `$['a','b']`.

In: a path and a value. Out: the value found (a definite path) or a list (wildcards, ranges, unions, filters, `..`).
Called by `functions`. After evilmonkeyinc/jsonpath v0.8.1: members that lack what follows are left out, except where the
path is definite: then it is a fault.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from syncd.expr import jsonfilter, values
from syncd.expr.values import EvaluationProblem

LONGEST: Final = 2_000
DEEPEST: Final = 60

Spend = Callable[[int], None]


class _Miss(LookupError):
    """There is nothing at the path."""


@dataclass(frozen=True, slots=True)
class Step:
    """kind: key, index, wildcard, recursive, union, range, filter or script; value: what it needs."""

    kind: str
    value: Any = None


_NAME: Final = re.compile(r"[^.\[\]\s()]+")
_INTEGER: Final = re.compile(r"\s*(-?[0-9]{1,15})\s*", re.ASCII)


def query(path: str, root: Any, spend: Spend) -> Any:
    """What lies at the path in the value. Raises EvaluationProblem for a bad path, and where nothing is there.

    >>> query("$.a[?(@.n > 1)].n", {"a": [{"n": 1.0}, {"n": 2.0}]}, lambda steps: None)
    [2.0]
    """
    try:
        return _apply(root, root, compile(path), 0, spend)
    except _Miss as miss:
        raise EvaluationProblem(str(miss)) from None


def search(steps: tuple[Step, ...], root: Any, current: Any, spend: Spend) -> Any:
    """What lies at the steps from `current` on. Raises LookupError where nothing is there. For filters."""
    return _apply(root, current, steps, 0, spend)


@lru_cache(maxsize=256)
def compile(path: str) -> tuple[Step, ...]:  # noqa: A001  # the word for it
    """The steps of a path. Raises EvaluationProblem."""
    steps, end = read(path.strip(), 0, 0)
    if end < len(path.strip()):
        raise _bad(path, end)
    return steps


def _bad(path: str, at: int) -> EvaluationProblem:
    return EvaluationProblem(f"invalid JSONPath selector '{values.short(path)}' unexpected token at index {at}")


def read(path: str, at: int, depth: int) -> tuple[tuple[Step, ...], int]:
    """The steps of a path that begins at `at` within a text, and where it ends."""
    if len(path) > LONGEST or depth > 8:
        raise EvaluationProblem("invalid JSONPath selector: it is too long")
    if path[at : at + 1] not in ("$", "@"):
        raise _bad(path, at)
    steps: list[Step] = []
    at += 1
    while at < len(path) and path[at] in ".[":
        if len(steps) > DEEPEST:
            raise EvaluationProblem("invalid JSONPath selector: it has too many steps")
        if path.startswith("..", at):
            steps.append(Step("recursive"))
            at += 1
            if path[at + 1 : at + 2] == "[":
                at += 1
                continue
            if at + 1 >= len(path):
                at += 1
                break
        if path[at] == ".":
            at += 1
            if path[at : at + 1] == "[":
                continue
            found = _NAME.match(path, at) if depth == 0 else jsonfilter.NAME.match(path, at)
            if found is None:
                raise _bad(path, at)
            steps.append(Step("wildcard") if found[0] == "*" else Step("key", found[0]))
            at = found.end()
        else:
            step, at = _bracket(path, at + 1, depth)
            steps.append(step)
    return tuple(steps), at


def _bracket(path: str, at: int, depth: int) -> tuple[Step, int]:
    end = _closing(path, at)
    body = path[at:end].strip()
    if body == "*":
        return Step("wildcard"), end + 1
    if body.startswith("?"):
        inner = body[1:].strip()
        return Step("filter", jsonfilter.compile(inner, depth + 1)), end + 1
    parts = [_argument(part, path, at, depth) for part in _divide(body, ",")]
    if len(parts) > 1:
        return Step("union", tuple(parts)), end + 1
    pieces = _divide(body, ":")
    if len(pieces) in (2, 3) and not body.startswith(("'", '"')):
        bounds = [_argument(piece, path, at, depth) if piece.strip() else None for piece in pieces]
        return Step("range", tuple((*bounds, None)[:3])), end + 1
    return parts[0], end + 1


def _argument(text: str, path: str, at: int, depth: int) -> Step:
    text = text.strip()
    if found := _INTEGER.fullmatch(text):
        return Step("index", int(found[1]))
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"":
        return Step("key", re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL))
    if text.startswith("(") and text.endswith(")"):
        return Step("script", jsonfilter.compile(text, depth + 1))
    if ":" in text:
        return Step("range")
    raise _bad(path, at)


def _closing(path: str, at: int) -> int:
    """Where the bracket that has been opened before `at` is closed."""
    open_, quote = 1, ""
    while at < len(path):
        character = path[at]
        if quote:
            if character == "\\":
                at += 1
            elif character == quote:
                quote = ""
        elif character in "'\"":
            quote = character
        elif character in "[":
            open_ += 1
        elif character == "]":
            open_ -= 1
            if not open_:
                return at
        at += 1
    raise _bad(path, at)


def _divide(text: str, separator: str) -> list[str]:
    """Cut at separators that stand neither in quotes nor in brackets."""
    parts, depth, quote, begin, at = [], 0, "", 0, 0
    while at < len(text):
        character = text[at]
        if quote:
            if character == "\\":
                at += 1
            elif character == quote:
                quote = ""
        elif character in "'\"":
            quote = character
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character == separator and depth == 0:
            parts.append(text[begin:at])
            begin = at + 1
        at += 1
    return [*parts, text[begin:]]


# -- walking


def _apply(root: Any, current: Any, steps: tuple[Step, ...], index: int, spend: Spend) -> Any:
    spend(1)
    if index == len(steps):
        return current
    step = steps[index]
    if step.kind == "script":
        step = _scripted(step, root, current, spend)
    match step.kind:
        case "key":
            return _apply(root, _member(current, step.value), steps, index + 1, spend)
        case "index":
            items = _list(current, "index")
            at = step.value + len(items) if step.value < 0 else step.value
            if not 0 <= at < len(items):
                raise _Miss("index: invalid token out of range")
            return _apply(root, items[at], steps, index + 1, spend)
        case "recursive":
            return _recursive(root, current, steps, index + 1, spend, 0)
        case "wildcard":
            return _each(root, _children(current), steps, index + 1, spend)
        case "filter":
            chosen = [item for item in _children(current) if jsonfilter.holds(step.value, root, item, spend)]
        case "union":
            chosen = _union(step, root, current, spend)
        case _:
            chosen = _range(step, root, current, spend)
    if index + 1 < len(steps) and steps[index + 1].kind == "index":
        return _apply(root, chosen, steps, index + 1, spend)  # an index then counts in what was chosen
    return _each(root, chosen, steps, index + 1, spend)


def _each(root: Any, items: list[Any], steps: tuple[Step, ...], index: int, spend: Spend) -> list[Any]:
    """What follows, from each of them; those where nothing does are left out."""
    if index == len(steps):
        return items
    found = []
    for item in items:
        try:
            value = _apply(root, item, steps, index, spend)
        except _Miss:
            continue
        if value is not None:
            found.append(value)
    return found


def _recursive(root: Any, current: Any, steps: tuple[Step, ...], index: int, spend: Spend, depth: int) -> list[Any]:
    if depth > DEEPEST:
        raise EvaluationProblem("JSON is nested too deeply for `..`")
    spend(1)
    result: list[Any] = []
    if current is None:
        return result
    try:
        found = _apply(root, current, steps, index, spend)
    except _Miss:
        found = None
    if isinstance(found, list) and index < len(steps):
        result += found
    elif found is not None:
        result.append(found)
    if isinstance(current, dict | list):
        for child in _children(current):
            result += _recursive(root, child, steps, index, spend, depth + 1)
    return result


def _member(current: Any, name: str) -> Any:
    if isinstance(current, dict):
        if name in current:
            return current[name]
        if name == "length":
            return float(len(current))
        raise _Miss(f"key: invalid token key '{name}' not found")
    if name == "length" and isinstance(current, list | str):
        return float(len(current))
    raise _Miss(f"key: invalid token target. expected [map] got [{_kind(current)}]")


def _kind(value: Any) -> str:
    return {"array": "slice", "float": "float64"}.get(values.kind(value), values.kind(value))


def _list(current: Any, token: str) -> list[Any]:
    if isinstance(current, list):
        return current
    raise _Miss(f"{token}: invalid token target. expected [array slice] got [{_kind(current)}]")


def _children(current: Any) -> list[Any]:
    if isinstance(current, dict):
        return [current[key] for key in sorted(current)]
    return _list(current, "wildcard")


def _scripted(step: Step, root: Any, current: Any, spend: Spend) -> Step:
    value = jsonfilter.evaluate(step.value, root, current, spend)
    if isinstance(value, str):
        return Step("key", value)
    if values.is_number(value) and value == int(value):
        return Step("index", int(value))
    raise _Miss(f"unexpected expression result. expected [int string] got [{_kind(value)}]")


def _union(step: Step, root: Any, current: Any, spend: Spend) -> list[Any]:
    wanted = [_scripted(part, root, current, spend) if part.kind == "script" else part for part in step.value]
    if all(part.kind == "key" for part in wanted):
        if not isinstance(current, dict):
            raise _Miss(f"union: invalid token target. expected [map] got [{_kind(current)}]")
        return [current[part.value] for part in wanted if part.value in current]
    if not all(part.kind == "index" for part in wanted):
        raise _Miss("union: invalid token argument. keys and indices cannot be mixed")
    items = _list(current, "union")
    places = [part.value + len(items) if part.value < 0 else part.value for part in wanted]
    return [items[at] for at in places if 0 <= at < len(items)]


def _range(step: Step, root: Any, current: Any, spend: Spend) -> list[Any]:
    if step.value is None:
        raise _Miss("union: invalid token argument. a range cannot be part of a union")
    items = _list(current, "range")
    bounds: list[int | None] = []
    for part in step.value:
        if part is not None and part.kind == "script":
            part = _scripted(part, root, current, spend)
        if part is not None and part.kind != "index":
            raise _Miss("range: invalid token argument. expected [int]")
        bounds.append(None if part is None else part.value)
    length = len(items)

    def place(bound: int | None, default: int) -> int:
        bound = default if bound is None else bound
        return min(max(bound + length if bound < 0 else bound, 0), length)

    start, end, by = place(bounds[0], 0), place(bounds[1], length), 1 if bounds[2] is None else bounds[2]
    if by == 0:
        raise _Miss("range: invalid token out of range")
    part_ = items[start:end]
    return part_[::by]
