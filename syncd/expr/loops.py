"""The functions that take a predicate: `filter`, `map`, `reduce` and their like. Called by `closures` only.

Each gets the run, the list, the body (None where the source has none), an extra argument (or None) and the price of a turn.
expr-lang v1.17.8 compiler.go BuiltinNode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cmp_to_key
from typing import TYPE_CHECKING, Any, Final

from syncd.expr import values
from syncd.expr.values import EvaluationProblem

if TYPE_CHECKING:
    from syncd.expr.closures import Closure
    from syncd.expr.run import Run

Loop = Callable[["Run", Sequence[Any], "Closure | None", "Closure | None", int], Any]


def _turns(run: Run, items: Sequence[Any], body: Closure | None, cost: int, backwards: bool = False) -> Iterator[Any]:
    """The values of the body, one per item."""
    order = range(len(items) - 1, -1, -1) if backwards else range(len(items))
    for index in order:
        run.spend(cost)
        run.item, run.index = items[index], index
        yield items[index] if body is None else body(run)


def _tests(run: Run, items: Sequence[Any], body: Closure | None, cost: int, backwards: bool = False) -> Iterator[bool]:
    for value in _turns(run, items, body, cost, backwards):
        if value is not True and value is not False:
            raise EvaluationProblem(f"predicate should return boolean (got {values.go_type(value)})")
        yield value


def _all(run: Run, items: Sequence[Any], body: Closure | None, extra: Closure | None, cost: int) -> bool:
    return all(_tests(run, items, body, cost))


def _none(run: Run, items: Sequence[Any], body: Closure | None, extra: Closure | None, cost: int) -> bool:
    return not any(_tests(run, items, body, cost))


def _any(run: Run, items: Sequence[Any], body: Closure | None, extra: Closure | None, cost: int) -> bool:
    return any(_tests(run, items, body, cost))


def _one(run: Run, items: Sequence[Any], body: Closure | None, extra: Closure | None, cost: int) -> bool:
    return sum(_tests(run, items, body, cost)) == 1


def _count(run: Run, items: Sequence[Any], body: Closure | None, extra: Closure | None, cost: int) -> int:
    return sum(_tests(run, items, body, cost))


def _filter(run: Run, items: Sequence[Any], body: Closure | None, extra: Closure | None, cost: int) -> list[Any]:
    return [item for item, test in zip(items, _tests(run, items, body, cost), strict=True) if test]


def _map(run: Run, items: Sequence[Any], body: Closure | None, extra: Closure | None, cost: int) -> list[Any]:
    return list(_turns(run, items, body, cost))


def _sum(run: Run, items: Sequence[Any], body: Closure | None, extra: Closure | None, cost: int) -> Any:
    total: Any = 0
    for value in _turns(run, items, body, cost):
        total = values.add(total, value)
    return total


def _find(run: Run, items: Sequence[Any], body: Closure | None, extra: Closure | None, cost: int) -> Any:
    at = _find_index(run, items, body, extra, cost)
    return None if at is None else items[at]


def _find_index(run: Run, items: Sequence[Any], body: Closure | None, extra: Closure | None, cost: int) -> int | None:
    for index, test in enumerate(_tests(run, items, body, cost)):
        if test:
            return index
    return None


def _find_last(run: Run, items: Sequence[Any], body: Closure | None, extra: Closure | None, cost: int) -> Any:
    at = _find_last_index(run, items, body, extra, cost)
    return None if at is None else items[at]


def _find_last_index(
    run: Run, items: Sequence[Any], body: Closure | None, extra: Closure | None, cost: int
) -> int | None:
    for back, test in enumerate(_tests(run, items, body, cost, backwards=True)):
        if test:
            return len(items) - 1 - back
    return None


def _group_by(
    run: Run, items: Sequence[Any], body: Closure | None, extra: Closure | None, cost: int
) -> dict[Any, list[Any]]:
    groups: dict[Any, list[Any]] = {}
    for item, key in zip(items, _turns(run, items, body, cost), strict=True):
        try:
            groups.setdefault(key, []).append(item)
        except TypeError:
            raise EvaluationProblem(
                f"cannot use {values.go_type(key)} as a key for groupBy: type is not comparable"
            ) from None
    return groups


def _sort_by(run: Run, items: Sequence[Any], body: Closure | None, extra: Closure | None, cost: int) -> list[Any]:
    keyed = list(zip(_turns(run, items, body, cost), items, strict=True))
    backwards = descending(extra(run)) if extra is not None else False
    return [item for _, item in ordered(run, keyed, backwards)]


def _reduce(run: Run, items: Sequence[Any], body: Closure | None, extra: Closure | None, cost: int) -> Any:
    assert body is not None
    start = 0
    if extra is not None:
        acc = extra(run)
    elif items:
        acc, start = items[0], 1
    else:
        raise EvaluationProblem("reduce of empty array with no initial value")
    for index in range(start, len(items)):
        run.spend(cost)
        run.item, run.index, run.acc = items[index], index, acc
        acc = body(run)
    return acc


def descending(order: Any) -> bool:
    """What the order argument of sort and sortBy says."""
    if order not in ("asc", "desc"):
        raise EvaluationProblem("unknown order, use asc or desc")
    return bool(order == "desc")


def ordered(run: Run, keyed: list[tuple[Any, Any]], backwards: bool) -> list[tuple[Any, Any]]:
    """Sorted by key with Go's idea of less; equal keys keep their order."""

    def compare(a: tuple[Any, Any], b: tuple[Any, Any]) -> int:
        run.spend(1)
        if values.less(b[0], a[0]):
            return 1
        return -1 if values.less(a[0], b[0]) else 0

    return sorted(keyed, key=cmp_to_key(compare), reverse=backwards)


LOOPS: Final[dict[str, Loop]] = {
    "all": _all,
    "none": _none,
    "any": _any,
    "one": _one,
    "filter": _filter,
    "map": _map,
    "count": _count,
    "sum": _sum,
    "find": _find,
    "findIndex": _find_index,
    "findLast": _find_last,
    "findLastIndex": _find_last_index,
    "groupBy": _group_by,
    "sortBy": _sort_by,
    "reduce": _reduce,
}
