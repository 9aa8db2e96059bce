"""Sprig's functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from syncd.expr.closures import Run

Function = Callable[["Run", list[Any]], Any]


def _dig(run: Run, a: list[Any]) -> Any:
    at = a[-1]
    for key in a[:-2]:
        if key not in at:
            return a[-2]
        at = at[key]
    return at


def _trunc(run: Run, a: list[Any]) -> Any:
    n, s = a
    return (s[n:] if len(s) + n > 0 else s) if n < 0 else s[:n]


FUNCTIONS: Final[dict[str, Function]] = {
    "dig": _dig,
    "trunc": _trunc,
    "int": lambda run, a: int(a[0]),
    "trim": lambda run, a: a[0].strip(),
}
