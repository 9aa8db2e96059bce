"""The functions that Argo puts into every environment, by the name that an expression calls them by.

Called by `closures` (to call them) and `names` (to know them). Argo v4.1.2 util/expr/env/env.go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from syncd.expr import builtins, gotext, jsonpath, sprig, values

if TYPE_CHECKING:
    from syncd.expr.run import Run

Function = Callable[["Run", list[Any]], Any]


def _as_int(run: Run, arguments: list[Any]) -> Any:
    return builtins.FUNCTIONS["int"].call(run, arguments)


def _as_float(run: Run, arguments: list[Any]) -> Any:
    return builtins.FUNCTIONS["float"].call(run, arguments)


def _to_json(run: Run, arguments: list[Any]) -> str:
    builtins.count("toJson", arguments, 1, 1)
    return gotext.json_text(arguments[0])


def _jsonpath(run: Run, arguments: list[Any]) -> Any:
    builtins.count("jsonpath", arguments, 2, 2)
    return jsonpath.query(values.string(arguments[1]), gotext.from_json(values.string(arguments[0])), run.spend)


ENVIRONMENT: Final[dict[str, Function]] = {
    "asInt": _as_int,
    "asFloat": _as_float,
    "toJson": _to_json,
    "jsonpath": _jsonpath,
}

_ROOTS: Final = frozenset([*ENVIRONMENT, "sprig"])


def is_root(name: str) -> bool:
    """Whether the name stands for functions, so that no variable is seen under it."""
    return name in _ROOTS


def lookup(path: str) -> Function | None:
    """The function of that name (`asInt`, `sprig.trim`), None where there is none."""
    if path.startswith("sprig."):
        return sprig.FUNCTIONS.get(path[6:])
    return ENVIRONMENT.get(path)
