"""Where expressions and tags get the values of variables from.

In: the variables of a scope under their dotted names (`tasks.a.outputs.result`), as Argo keeps them. Out: the value of one
name, or the names below one. Called by `tags` and `evaluate`; implemented by `engine.scope`, `cron` and tests.

A dotted name is one variable for a simple tag, and a path through nested maps for an expression. Where both `a` and `a.b`
exist an expression sees only the map (Argo v4.1.2 util/expand removeConflicts).
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol


class _Missing:
    """The type of MISSING, so that it prints as what it is."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final[object] = _Missing()
"""No such variable. None is a value: an output that is known to be absent."""


class Environment(Protocol):
    """Names to values. Implementations answer in time independent of the number of names, or nearly so."""

    def lookup(self, name: str) -> object:
        """The value of the variable with exactly this dotted name, else MISSING. Usually str; any JSON value or datetime."""

    def under(self, prefix: str) -> Iterable[str]:
        """All names that equal `prefix` or begin with it and a dot, in any order, each once; prefix "" means all."""


class Variables:
    """An Environment over a plain mapping, which must not change afterwards.

    values: dotted name → value; parent: asked for what `values` lacks, None = nothing more.
    Costs nothing to make: the sorted index is built at the first `under`.

    >>> Variables({"a.b": "1"}, Variables({"a.c": "2"})).lookup("a.c")
    '2'
    """

    __slots__ = ("_parent", "_sorted", "_values")

    def __init__(self, values: Mapping[str, object], parent: Environment | None = None) -> None:
        self._values = values
        self._parent = parent
        self._sorted: list[str] | None = None

    def lookup(self, name: str) -> object:
        """Own names first."""
        value = self._values.get(name, MISSING)
        if value is MISSING and self._parent is not None:
            return self._parent.lookup(name)
        return value

    def under(self, prefix: str) -> Iterator[str]:
        """Own names in order, then those of the parent that are not hidden."""
        if self._sorted is None:
            self._sorted = sorted(self._values)
        names = self._sorted
        if not prefix:
            yield from names
        else:
            if prefix in self._values:
                yield prefix
            start = prefix + "."
            for index in range(bisect_left(names, start), len(names)):
                if not names[index].startswith(start):
                    break
                yield names[index]
        if self._parent is not None:
            for name in self._parent.under(prefix):
                if name not in self._values:
                    yield name


@dataclass(frozen=True, slots=True)
class Impurity:
    """What makes an expression answer differently from one time to the next, given as values so that a replay agrees.

    now: aware; what `now()` answers, None = refuse. seed: what random functions draw from, None = refuse.
    """

    now: datetime | None = None
    seed: bytes | None = None

    def draw(self, counter: int, size: int) -> bytes:
        """`size` bytes, the same for the same seed and counter. Raises ValueError without a seed."""
        if self.seed is None:
            raise ValueError("no seed")
        block = hashlib.sha256(self.seed + counter.to_bytes(8, "big")).digest()
        return hashlib.shake_256(block).digest(size)


class View:
    """The map that an expression sees at a dotted prefix ("" is all of the environment); made whole only where somebody needs it whole."""

    __slots__ = ("_env", "_prefix")

    def __init__(self, env: Environment, prefix: str) -> None:
        self._env = env
        self._prefix = prefix

    def member(self, name: str) -> Any:
        """The value under `name`: a View, a value, or None as in a Go map."""
        value = resolve(self._env, f"{self._prefix}.{name}" if self._prefix else name)
        return None if value is MISSING else value

    def whole(self) -> dict[str, Any]:
        """The nested map, all of it."""
        result: dict[str, Any] = {}
        skip = len(self._prefix) + 1 if self._prefix else 0
        leaves = sorted((n for n in self._env.under(self._prefix) if n != self._prefix), reverse=True)
        for name in leaves:  # longest first, so that a map is there before the shorter name it hides
            at, steps = result, name[skip:].split(".")
            for step in steps[:-1]:
                at = at.setdefault(step, {})
                if not isinstance(at, dict):
                    break
            else:
                at.setdefault(steps[-1], self._env.lookup(name))
        return result


def resolve(env: Environment, name: str) -> Any:
    """What an expression sees at a dotted path: a View where names lie below it, else the value, else MISSING."""
    start = name + "."
    value = env.lookup(name)
    for below in env.under(name):
        if below.startswith(start):
            return View(env, name)
    return value


def knows(env: Environment, path: str) -> bool:
    """Whether the path leads to something, through dotted names and then through maps (Argo's hasVarInEnv)."""
    if resolve(env, path) is not MISSING:
        return True
    steps = path.split(".")
    for end in range(len(steps) - 1, 0, -1):
        value = resolve(env, ".".join(steps[:end]))
        if value is MISSING:
            continue
        if isinstance(value, View):
            return False
        for step in steps[end:]:
            if not isinstance(value, dict) or step not in value:
                return False
            value = value[step]
        return True
    return False
