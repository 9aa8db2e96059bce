"""A tree of nodes compiled to closures: tree in, a function of a Run out. Called by `evaluate` only.

Each node becomes one Python function that calls those of its parts; nothing is looked up by name at run time but variables.
Loops pay for each turn with the number of nodes in their body, so that the limit on steps bounds all work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from syncd.expr import builtins, functions, grammar, loops, methods, names, regex, values
from syncd.expr.environment import MISSING, View, resolve
from syncd.expr.lexer import SyntaxProblem
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
    Pointer,
    Predicate,
    Sequence,
    Slice,
    Unary,
)
from syncd.expr.run import Run
from syncd.expr.values import EvaluationProblem

Closure = Callable[[Run], Any]

_NIL_CHAIN: Final = object()  # what travels up a chain that `?.` has cut


def compile(tree: Node) -> tuple[Closure, int]:  # noqa: A001  # the word for it
    """The function of the tree, and how many variables `let` needs. Raises SyntaxProblem for what no run could do."""
    maker = _Maker()
    return maker.value(tree), maker.slots


class _Maker:
    __slots__ = ("_bound", "slots")

    def __init__(self) -> None:
        self.slots = 0
        self._bound: dict[str, int] = {}

    def value(self, node: Node) -> Closure:
        """A function that gives a whole value."""
        match node:
            case Literal(value=constant):
                return lambda run: constant
            case Identifier() | Member() | Chain():
                raw = self._raw(node)

                def whole(run: Run) -> Any:
                    value = raw(run)
                    if type(value) is View:
                        return value.whole()
                    return None if value is _NIL_CHAIN else value

                return whole
            case Unary():
                return self._unary(node)
            case Logic():
                return self._logic(node)
            case Binary():
                return self._binary(node)
            case Conditional():
                condition, then, otherwise = (
                    self.value(node.condition),
                    self.value(node.then),
                    self.value(node.otherwise),
                )
                return lambda run: then(run) if values.truth(condition(run)) else otherwise(run)
            case Builtin():
                return self._builtin(node)
            case Call():
                return self._call(node)
            case Pointer(name=name):
                if name == "acc":
                    return lambda run: run.acc
                if name == "index":
                    return lambda run: run.index
                return lambda run: run.item
            case Array():
                items = [self.value(item) for item in node.items]
                return lambda run: [item(run) for item in items]
            case Map():
                return self._map(node)
            case Slice():
                return self._slice(node)
            case Let():
                return self._let(node)
            case Sequence():
                parts = [self.value(part) for part in node.parts]

                def sequence(run: Run) -> Any:
                    result = None
                    for part in parts:
                        result = part(run)
                    return result

                return sequence
            case _:
                raise SyntaxProblem(f"unexpected {type(node).__name__.lower()}", node.at)

    # -- variables and members: these may give a View, or _NIL_CHAIN inside of a chain

    def _raw(self, node: Node) -> Closure:
        match node:
            case Identifier():
                return self._identifier(node.name)
            case Chain():
                inner = self._raw(node.inner) if isinstance(node.inner, Member) else self.value(node.inner)

                def chain(run: Run) -> Any:
                    value = inner(run)
                    return None if value is _NIL_CHAIN else value

                return chain
            case Member():
                return self._member(node)
            case _:
                return self.value(node)

    def _identifier(self, name: str) -> Closure:
        if name in self._bound:
            slot = self._bound[name]
            return lambda run: run.variables[slot]
        if name == "$env":
            return lambda run: View(run.env, "")
        if functions.is_root(name):

            def function(run: Run) -> Any:
                raise EvaluationProblem(f"{name} is a function, not a value")

            return function

        def variable(run: Run) -> Any:
            value = resolve(run.env, name)
            if value is MISSING:
                raise EvaluationProblem(f"{name} is missing")
            return value

        return variable

    def _member(self, node: Member) -> Closure:
        inner = self._raw(node.object)
        optional = node.optional
        if isinstance(node.property, Literal) and type(node.property.value) is str:
            key = node.property.value

            def named(run: Run) -> Any:
                container = inner(run)
                if container is _NIL_CHAIN:
                    return container
                if container is None and optional:
                    return _NIL_CHAIN
                if type(container) is View:
                    return container.member(key)
                return values.fetch(container, key)

            steps = names.static_path(node)
            if (
                steps is None
                or optional
                or steps[0] in self._bound
                or functions.is_root(steps[0])
                or steps[0] == "$env"
            ):
                return named
            path = ".".join(steps)

            def straight(run: Run) -> Any:
                value = resolve(run.env, path)
                return named(run) if value is MISSING else value

            return straight
        index = self.value(node.property)

        def indexed(run: Run) -> Any:
            container = inner(run)
            if container is _NIL_CHAIN:
                return container
            if container is None and optional:
                return _NIL_CHAIN
            return values.fetch(container, index(run))

        return indexed

    def _slice(self, node: Slice) -> Closure:
        inner = self.value(node.object)
        start = self.value(node.start) if node.start is not None else None
        end = self.value(node.end) if node.end is not None else None

        def cut(run: Run) -> Any:
            value = inner(run)
            return values.cut(value, start and start(run), end and end(run))

        return cut

    def _let(self, node: Let) -> Closure:
        value = self.value(node.value)
        if node.name in self._bound:
            raise SyntaxProblem(f"cannot redeclare variable {node.name}", node.at)
        slot, self.slots = self.slots, self.slots + 1
        self._bound[node.name] = slot
        body = self.value(node.body)
        del self._bound[node.name]

        def let(run: Run) -> Any:
            run.variables[slot] = value(run)
            return body(run)

        return let

    def _map(self, node: Map) -> Closure:
        pairs = [(self.value(key), self.value(item)) for key, item in node.pairs]
        return lambda run: {values.string(key(run)): item(run) for key, item in pairs}

    # -- operators

    def _unary(self, node: Unary) -> Closure:
        operand = self.value(node.operand)
        if node.operator == "not":
            return lambda run: not values.truth(operand(run))
        if node.operator == "-":
            if isinstance(node.operand, Literal) and values.is_number(node.operand.value):
                constant = values.negate(node.operand.value)
                return lambda run: constant
            return lambda run: values.negate(operand(run))

        def positive(run: Run) -> Any:
            value = operand(run)
            if not values.is_number(value):
                raise EvaluationProblem(f"invalid operation: + (mismatched type {values.go_type(value)})")
            return value

        return positive

    def _logic(self, node: Logic) -> Closure:
        operands = [self.value(operand) for operand in node.operands]
        stop = node.operator == "||"

        def logic(run: Run) -> bool:
            for operand in operands:
                value = operand(run)
                if (value if value is True or value is False else values.truth(value)) is stop:
                    return stop
            return not stop

        return logic

    def _binary(self, node: Binary) -> Closure:
        operator = node.operator
        if operator == "+":
            return self._sum(node)
        if operator == "matches":
            return self._matches(node)
        left, right = self.value(node.left), self.value(node.right)
        if operator in ("==", "!="):
            wanted = operator == "=="
            if _typed(node.left, self._bound) and _typed(node.right, self._bound):

                def strictly(run: Run) -> bool:
                    a, b = left(run), right(run)
                    if not values.comparable(a, b):
                        raise EvaluationProblem(
                            f"invalid operation: {operator} (mismatched types {values.go_type(a)} and {values.go_type(b)})"
                        )
                    return values.equal(a, b) is wanted

                return strictly
            return lambda run: values.equal(left(run), right(run)) is wanted
        if operator == "??":

            def coalesce(run: Run) -> Any:
                value = left(run)
                return right(run) if value is None else value

            return coalesce
        if operator == "..":

            def span(run: Run) -> list[int]:
                first, last = values.to_int(left(run)), values.to_int(right(run))
                run.spend(max(last - first + 1, 0) // 8)
                return list(range(first, last + 1))

            return span
        if operator == "in" and isinstance(node.right, Identifier | Member | Chain):
            raw = self._raw(node.right)

            def within(run: Run) -> bool:
                needle, haystack = left(run), raw(run)
                if haystack is _NIL_CHAIN:
                    return False
                if isinstance(haystack, list):
                    run.spend(len(haystack) // 8)
                return values.contains(needle, haystack)

            return within
        calculate = _OPERATORS[operator]
        return lambda run: calculate(left(run), right(run))

    def _sum(self, node: Binary) -> Closure:
        """A chain of `+`, read from its left end so that its length does not nest."""
        terms: list[Node] = []
        at: Node = node
        while isinstance(at, Binary) and at.operator == "+":
            terms.append(at.right)
            at = at.left
        first = self.value(at)
        rest = [self.value(term) for term in reversed(terms)]
        if len(rest) == 1:
            second = rest[0]
            return lambda run: values.add(first(run), second(run))

        def total(run: Run) -> Any:
            value = first(run)
            for term in rest:
                value = values.add(value, term(run))
            return value

        return total

    def _matches(self, node: Binary) -> Closure:
        left, right = self.value(node.left), self.value(node.right)
        if isinstance(node.right, Literal) and isinstance(node.right.value, str):
            try:
                regex.compile(node.right.value)
            except EvaluationProblem as problem:
                raise SyntaxProblem(str(problem), node.right.at) from None

        def matches(run: Run) -> bool:
            subject, pattern = left(run), right(run)
            if subject is None or pattern is None:
                return False
            return regex.compile(values.string(pattern)).search(values.string(subject), run.spend)

        return matches

    # -- calls

    def _builtin(self, node: Builtin) -> Closure:
        if node.name in grammar.PREDICATES:
            return self._loop(node)
        function = builtins.FUNCTIONS[node.name]
        if not function.least <= len(node.arguments) <= function.most:
            raise SyntaxProblem(builtins.count_message(node.name, function, len(node.arguments)), node.at)
        arguments = [self.value(argument) for argument in node.arguments]
        call = function.call
        return lambda run: call(run, [argument(run) for argument in arguments])

    def _loop(self, node: Builtin) -> Closure:
        source = self.value(node.arguments[0])
        predicate = node.arguments[1] if len(node.arguments) > 1 else None
        body = self.value(predicate.body) if isinstance(predicate, Predicate) else None
        cost = _size(predicate) if predicate is not None else 1
        extra = self.value(node.arguments[2]) if len(node.arguments) > 2 else None
        loop = loops.LOOPS[node.name]

        def over(run: Run) -> Any:
            items = source(run)
            if not isinstance(items, list | tuple):
                raise EvaluationProblem(f"builtin {node.name} takes only array (got {values.go_type(items)})")
            saved = run.item, run.index, run.acc
            run.spend(len(items) // 8 + 1)
            result = loop(run, items, body, extra, cost)
            run.item, run.index, run.acc = saved
            return result

        return over

    def _call(self, node: Call) -> Closure:
        arguments = [self.value(argument) for argument in node.arguments]
        steps = names.static_path(node.callee)
        if steps is not None and (len(steps) == 1 or functions.is_root(steps[0])) and steps[0] not in self._bound:
            path = ".".join(steps)
            function = functions.lookup(path)
            if function is not None:
                call = function
                return lambda run: call(run, [argument(run) for argument in arguments])

            def unknown(run: Run) -> Any:
                raise EvaluationProblem(f"{path} is missing: there is no function of that name")

            return unknown
        if not isinstance(node.callee, Member) or not isinstance(node.callee.property, Literal):
            raise SyntaxProblem("only functions can be called", node.at)
        inner = self._raw(node.callee.object)
        method, optional = str(node.callee.property.value), node.callee.optional

        def invoke(run: Run) -> Any:
            receiver = inner(run)
            if receiver is _NIL_CHAIN or (receiver is None and optional):
                return None
            return methods.call(values.plain(receiver), method, [argument(run) for argument in arguments])

        return invoke


def _size(node: Node) -> int:
    """How many nodes there are."""
    count, waiting = 0, [node]
    while waiting:
        count += 1
        waiting.extend(names.children(waiting.pop()))
    return count


def _typed(node: Node, bound: dict[str, int]) -> bool:
    """Whether expr-lang's checker knows the type: then comparing with another type is a fault, not false."""
    match node:
        case Literal() | Array() | Map() | Unary() | Logic():
            return True
        case Identifier(name=name):
            return name not in bound
        case Builtin(name=name):
            return name in builtins.TYPED
        case Binary(operator=operator, left=left, right=right):
            return operator not in ("??", "+", "-", "*") or (
                operator != "??" and _typed(left, bound) and _typed(right, bound)
            )
        case _:
            return False


def _text_operator(test: Callable[[str, str], bool]) -> Callable[[Any, Any], bool]:
    def apply(a: Any, b: Any) -> bool:
        if a is None or b is None:
            return False
        return test(values.string(a), values.string(b))

    return apply


_OPERATORS: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "<": lambda a, b: values.less(a, b),
    ">": values.greater,
    "<=": lambda a, b: values.less(a, b, "<=") or values.equal(a, b),
    ">=": lambda a, b: values.greater(a, b, ">=") or values.equal(a, b),
    "-": values.subtract,
    "*": values.multiply,
    "/": values.divide,
    "%": values.modulo,
    "**": values.power,
    "^": values.power,
    "in": values.contains,
    "contains": _text_operator(lambda a, b: b in a),
    "startsWith": _text_operator(str.startswith),
    "endsWith": _text_operator(str.endswith),
}
