"""The nodes of an expression's tree. Made by `grammar`; walked by `closures` and `names`.

Plain data: `at` is the index of the node's token in the source, for messages.
"""

from __future__ import annotations

from dataclasses import dataclass


class Node:
    """Part of an expression. at: index of its token in the source."""

    __slots__ = ()
    at: int


@dataclass(slots=True, eq=False)
class Literal(Node):
    """nil, a bool, int, float, str or bytes."""

    value: object
    at: int


@dataclass(slots=True, eq=False)
class Identifier(Node):
    """A variable of the environment, or one that `let` declared."""

    name: str
    at: int


@dataclass(slots=True, eq=False)
class Pointer(Node):
    """`#` (name "") inside a predicate, `#acc`, `#index`."""

    name: str
    at: int


@dataclass(slots=True, eq=False)
class Unary(Node):
    """`not`, `-` or `+`."""

    operator: str
    operand: Node
    at: int


@dataclass(slots=True, eq=False)
class Binary(Node):
    """An operator between two values; chains of one operator lean left."""

    operator: str
    left: Node
    right: Node
    at: int


@dataclass(slots=True, eq=False)
class Logic(Node):
    """`&&` or `||` between two or more values, flat, so that a thousand of them do not nest."""

    operator: str
    operands: list[Node]
    at: int


@dataclass(slots=True, eq=False)
class Member(Node):
    """`object.name`, `object[index]`; optional: `object?.name`. The property is a Literal str for a plain name."""

    object: Node
    property: Node
    optional: bool
    at: int


@dataclass(slots=True, eq=False)
class Chain(Node):
    """As far as `?.` cuts short."""

    inner: Node
    at: int


@dataclass(slots=True, eq=False)
class Slice(Node):
    """`object[start:end]`; None where it is left out."""

    object: Node
    start: Node | None
    end: Node | None
    at: int


@dataclass(slots=True, eq=False)
class Call(Node):
    """A call of a function that the environment has: `asInt(x)`, `sprig.trim(x)`."""

    callee: Node
    arguments: list[Node]
    at: int


@dataclass(slots=True, eq=False)
class Builtin(Node):
    """A call of one of the language's own functions."""

    name: str
    arguments: list[Node]
    at: int


@dataclass(slots=True, eq=False)
class Predicate(Node):
    """The body of a `filter` and its like."""

    body: Node
    at: int


@dataclass(slots=True, eq=False)
class Conditional(Node):
    """`a ? b : c`, or if/else."""

    condition: Node
    then: Node
    otherwise: Node
    at: int


@dataclass(slots=True, eq=False)
class Let(Node):
    """`let name = value; body`."""

    name: str
    value: Node
    body: Node
    at: int


@dataclass(slots=True, eq=False)
class Sequence(Node):
    """`a; b`: the value of the last."""

    parts: list[Node]
    at: int


@dataclass(slots=True, eq=False)
class Array(Node):
    """`[a, b]`."""

    items: list[Node]
    at: int


@dataclass(slots=True, eq=False)
class Map(Node):
    """`{a: 1, "b": 2, (c): 3}`."""

    pairs: list[tuple[Node, Node]]
    at: int
