"""Which names an expression needs: a tree in, names out. Called by `evaluate` for every program.

Follows Argo v4.1.2 util/template/expression_template.go (identifierVisitor, guardVisitor), without its fault of taking the
variables of `let` for missing ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from syncd.expr import functions
from syncd.expr.nodes import (
    Array,
    Binary,
    Builtin,
    Call,
    Chain,
    Conditional,
    Identifier,
    Let,
    Literal,
    Logic,
    Map,
    Member,
    Node,
    Predicate,
    Sequence,
    Slice,
    Unary,
)

BUILT_IN_NAMES = frozenset(["$env"])


@dataclass(slots=True)
class Names:
    """As in `evaluate.Program`; dicts for their order."""

    roots: dict[str, None] = field(default_factory=dict)
    paths: dict[str, None] = field(default_factory=dict)
    required: dict[str, None] = field(default_factory=dict)
    unknown: dict[str, None] = field(default_factory=dict)


def collect(tree: Node) -> Names:
    """All names of the expression, children before parents as Go's walk goes."""
    found = Names()
    _walk(tree, found, frozenset(), guarded=False)
    return found


def children(node: Node) -> list[Node]:
    """The direct parts of a node, in the order of the source."""
    match node:
        case Unary(operand=operand):
            return [operand]
        case Binary(left=left, right=right):
            return [left, right]
        case Logic(operands=operands):
            return operands
        case Member(object=inner, property=key):
            return [inner, key]
        case Chain(inner=inner):
            return [inner]
        case Slice(object=inner, start=start, end=end):
            return [part for part in (inner, start, end) if part is not None]
        case Call(callee=callee, arguments=arguments):
            return [callee, *arguments]
        case Builtin(arguments=arguments):
            return arguments
        case Predicate(body=body):
            return [body]
        case Conditional(condition=condition, then=then, otherwise=otherwise):
            return [condition, then, otherwise]
        case Let(value=value, body=body):
            return [value, body]
        case Sequence(parts=parts):
            return parts
        case Array(items=items):
            return items
        case Map(pairs=pairs):
            return [part for pair in pairs for part in pair]
        case _:
            return []


def static_path(node: Node) -> list[str] | None:
    """[root, member, …] where the node is nothing else than that, optional steps included; else None."""
    steps: list[str] = []
    while True:
        match node:
            case Chain(inner=inner):
                node = inner
            case Member(object=inner, property=Literal(value=str() as name)):
                steps.append(name)
                node = inner
            case Identifier(name=name):
                steps.append(name)
                return steps[::-1]
            case _:
                return None


def _walk(node: Node, found: Names, bound: frozenset[str], guarded: bool) -> None:
    match node:
        case Identifier(name=name):
            if name not in bound and not functions.is_root(name) and name not in BUILT_IN_NAMES:
                found.roots.setdefault(name)
                found.paths.setdefault(name)
                found.required.setdefault(name)
        case Member():
            _member(node, found, bound, guarded)
        case Call(callee=callee, arguments=arguments):
            _callee(callee, found, bound)
            for argument in arguments:
                _walk(argument, found, bound, guarded=False)
        case Let(name=name, value=value, body=body):
            _walk(value, found, bound, guarded=False)
            _walk(body, found, bound | {name}, guarded=False)
        case Binary(operator="??", left=left, right=right):
            _walk(left, found, bound, guarded=True)
            _walk(right, found, bound, guarded=False)
        case _:
            keep = guarded and isinstance(node, Chain)
            for child in children(node):
                _walk(child, found, bound, guarded=keep)


def _member(node: Member, found: Names, bound: frozenset[str], guarded: bool) -> None:
    steps = static_path(node)
    if steps is None or steps[0] in bound or steps[0] in BUILT_IN_NAMES:
        _walk(node.object, found, bound, guarded or node.optional)
        _walk(node.property, found, bound, guarded=False)
        return
    if functions.is_root(steps[0]):
        if functions.lookup(".".join(steps)) is None:
            found.unknown.setdefault(".".join(steps))
        return
    _walk(node.object, found, bound, guarded or node.optional)
    path = ".".join(steps)
    parent = ".".join(steps[:-1])
    found.paths.pop(parent, None)
    found.paths.setdefault(path)
    if not guarded and not _optional(node):
        found.required.setdefault(path)


def _optional(node: Node) -> bool:
    """Whether any step on the way down is optional."""
    while isinstance(node, Member | Chain):
        if isinstance(node, Member) and node.optional:
            return True
        node = node.object if isinstance(node, Member) else node.inner
    return False


def _callee(callee: Node, found: Names, bound: frozenset[str]) -> None:
    if isinstance(callee, Identifier):
        if functions.lookup(callee.name) is None:
            found.unknown.setdefault(callee.name)
            found.required.setdefault(callee.name)
            found.roots.setdefault(callee.name)
        return
    steps = static_path(callee)
    if steps is not None and functions.is_root(steps[0]) and steps[0] not in bound:
        if functions.lookup(".".join(steps)) is None:
            found.unknown.setdefault(".".join(steps))
            found.required.setdefault(".".join(steps))
        return
    if isinstance(callee, Member):  # a method: of what, is all that matters
        _walk(callee.object, found, bound, guarded=False)
