"""The grammar of the expression language: source in, a tree of nodes out. Called by `evaluate` and `tags`.

A Pratt parser after expr-lang v1.17.8 parser/parser.go: the same operators, precedences and messages, with limits on the
number of nodes and on depth, since expressions come from a repository that anybody may have written.
"""

from __future__ import annotations

from typing import Final

from syncd.expr import lexer
from syncd.expr.lexer import SyntaxProblem, Token
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

MOST_NODES: Final = 10_000  # expr-lang conf.DefaultMaxNodes
DEEPEST: Final = 64  # levels of nesting; Python's stack is the limit, a chain of operators does not nest


PREDICATES: Final[dict[str, tuple[str, ...]]] = {
    "all": ("value", "predicate"),
    "none": ("value", "predicate"),
    "any": ("value", "predicate"),
    "one": ("value", "predicate"),
    "filter": ("value", "predicate"),
    "map": ("value", "predicate"),
    "count": ("value", "predicate?"),
    "sum": ("value", "predicate?"),
    "find": ("value", "predicate"),
    "findIndex": ("value", "predicate"),
    "findLast": ("value", "predicate"),
    "findLastIndex": ("value", "predicate"),
    "groupBy": ("value", "predicate"),
    "sortBy": ("value", "predicate", "value?"),
    "reduce": ("value", "predicate", "value?"),
}

FUNCTIONS: Final[frozenset[str]] = frozenset(
    [
        "len",
        "type",
        "abs",
        "ceil",
        "floor",
        "round",
        "int",
        "float",
        "string",
        "trim",
        "trimPrefix",
        "trimSuffix",
        "upper",
        "lower",
        "split",
        "splitAfter",
        "replace",
        "repeat",
        "join",
        "indexOf",
        "lastIndexOf",
        "hasPrefix",
        "hasSuffix",
        "max",
        "min",
        "mean",
        "median",
        "toJSON",
        "fromJSON",
        "toBase64",
        "fromBase64",
        "now",
        "duration",
        "date",
        "timezone",
        "first",
        "last",
        "get",
        "take",
        "keys",
        "values",
        "toPairs",
        "fromPairs",
        "reverse",
        "uniq",
        "concat",
        "flatten",
        "sort",
        "bitand",
        "bitor",
        "bitxor",
        "bitnand",
        "bitshl",
        "bitshr",
        "bitushr",
        "bitnot",
    ]
)

_UNARY: Final = {"not": 50, "!": 50, "-": 90, "+": 90}
_BINARY: Final = {
    "|": 0,
    "or": 10,
    "||": 10,
    "and": 15,
    "&&": 15,
    "==": 20,
    "!=": 20,
    "<": 20,
    ">": 20,
    ">=": 20,
    "<=": 20,
    "in": 20,
    "matches": 20,
    "contains": 20,
    "startsWith": 20,
    "endsWith": 20,
    "..": 25,
    "+": 30,
    "-": 30,
    "*": 60,
    "/": 60,
    "%": 60,
    "**": 100,
    "^": 100,
    "??": 500,
}
_RIGHT: Final = frozenset(["**", "^"])
_COMPARISONS: Final = frozenset(["<", ">", ">=", "<="])
_NEGATABLE: Final = frozenset(["contains", "matches", "startsWith", "endsWith", "in"])
_KINDS: Final = {"id": "Identifier", "number": "Number", "string": "String", "bytes": "Bytes", "op": "Operator"}


def parse(source: str) -> Node:
    """The tree of an expression. Raises SyntaxProblem, and nothing else, whatever the text."""
    return _Parser(source, lexer.tokens(source)).whole()


class _Parser:
    __slots__ = ("_chain", "_count", "_current", "_depth", "_index", "_predicates", "_source", "_tokens")

    def __init__(self, source: str, tokens: list[Token]) -> None:
        self._source = source
        self._tokens = tokens
        self._index = 0
        self._current = tokens[0]
        self._depth = 0  # of nesting
        self._chain = 0  # operators in the left-leaning chain being read
        self._count = 0  # of nodes, about
        self._predicates = 0  # predicates that we are inside of

    def whole(self) -> Node:
        node = self._sequence()
        if self._current.kind != "eof":
            raise self._unexpected()
        return node

    # -- tokens

    def _next(self) -> Token:
        token = self._current
        self._index += 1
        self._current = self._tokens[min(self._index, len(self._tokens) - 1)]
        self._count += 1
        if self._count > MOST_NODES:
            raise self._fault("compilation failed: expression exceeds maximum allowed nodes")
        return token

    def _at_op(self, value: str) -> bool:
        return self._current.kind == "op" and self._current.value == value

    def _expect(self, value: str) -> Token:
        if not self._at_op(value):
            raise self._unexpected()
        return self._next()

    def _expect_name(self) -> Token:
        if self._current.kind != "id":
            raise self._unexpected()
        return self._next()

    def _fault(self, message: str, token: Token | None = None) -> SyntaxProblem:
        at = (token or self._current).at
        return SyntaxProblem(f"{message} {lexer.where(self._source, at)}", at)

    def _unexpected(self, token: Token | None = None) -> SyntaxProblem:
        token = token or self._current
        if token.kind == "eof":
            return self._fault("unexpected token EOF", token)
        kind = "Bracket" if token.kind == "op" and token.value in "([{}])" else _KINDS[token.kind]
        shown = token.value if len(token.value) <= 60 else token.value[:60] + "…"
        return self._fault(f'unexpected token {kind}("{shown}")', token)

    # -- expressions

    def _sequence(self) -> Node:
        at = self._current.at
        parts = [self._expression(0)]
        while self._at_op(";"):
            self._next()
            if self._current.kind == "eof":
                break
            parts.append(self._expression(0))
        return parts[0] if len(parts) == 1 else Sequence(parts, at)

    def _expression(self, precedence: int) -> Node:
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._fault("expression is nested too deeply")
        node = self._operators(precedence)
        self._depth -= 1
        return node

    def _operators(self, precedence: int) -> Node:
        if precedence == 0 and self._current.kind == "op":
            if self._current.value == "let":
                return self._let()
            if self._current.value == "if":
                return self._if()
        left = self._primary()
        previous = ""
        links = 0
        while self._current.kind == "op":
            token = self._current
            negated = False
            if token.value == "not":
                following = self._tokens[min(self._index + 1, len(self._tokens) - 1)]
                if following.kind != "op" or following.value not in _NEGATABLE:
                    self._next()
                    raise self._unexpected()
                if _BINARY[following.value] < precedence:
                    break
                self._next()
                negated, token = True, following
            bound = _BINARY.get(token.value)
            if bound is None or bound < precedence:
                break
            self._next()
            links += 1
            if links > DEEPEST and token.value not in ("&&", "||", "and", "or", "+"):
                raise self._fault("expression is nested too deeply", token)
            if token.value == "|":
                name = self._expect_name()
                left = self._call(name, [left])
            elif previous == "??" and token.value != "??":
                raise self._fault(
                    f"Operator ({token.value}) and coalesce expressions (??) cannot be mixed. Wrap either by parentheses.",
                    token,
                )
            elif token.value in _COMPARISONS:
                left = self._comparison(left, token)
            else:
                right = self._expression(bound if token.value in _RIGHT else bound + 1)
                left = _join(token, left, right)
                if negated:
                    left = Unary("not", left, token.at)
            previous = token.value
        return self._conditional(left) if precedence == 0 else left

    def _comparison(self, left: Node, token: Token) -> Node:
        """`a < b < c` means `a < b && b < c`."""
        result: Node | None = None
        while True:
            right = self._expression(_BINARY[token.value] + 1)
            one = Binary(token.value, left, right, token.at)
            result = one if result is None else _join(Token("op", "&&", token.at), result, one)
            left, token = right, self._current
            if token.kind != "op" or token.value not in _COMPARISONS:
                return result
            self._next()

    def _let(self) -> Node:
        self._next()
        name = self._expect_name()
        self._expect("=")
        value = self._expression(0)
        self._expect(";")
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._fault("expression is nested too deeply")
        body = self._sequence()
        self._depth -= 1
        return Let(name.value, value, body, name.at)

    def _if(self) -> Node:
        at = self._next().at
        condition = self._expression(0)
        self._expect("{")
        then = self._sequence()
        self._expect("}")
        self._expect("else")
        if self._at_op("if"):
            self._depth += 1
            if self._depth > DEEPEST:
                raise self._fault("expression is nested too deeply")
            otherwise = self._if()
            self._depth -= 1
        else:
            self._expect("{")
            otherwise = self._sequence()
            self._expect("}")
        return Conditional(condition, then, otherwise, at)

    def _conditional(self, node: Node) -> Node:
        links = 0
        while self._at_op("?"):
            at = self._next().at
            links += 1
            if links > DEEPEST:
                raise self._fault("expression is nested too deeply")
            if self._at_op(":"):
                self._next()
                node = Conditional(node, node, self._expression(0), at)
                continue
            then = self._expression(0)
            self._expect(":")
            node = Conditional(node, then, self._expression(0), at)
        return node

    def _primary(self) -> Node:
        token = self._current
        if token.kind == "op":
            bound = _UNARY.get(token.value)
            if bound is not None:
                self._next()
                operand = self._expression(bound)
                return self._postfix(Unary("not" if token.value == "!" else token.value, operand, token.at))
            if token.value == "(":
                self._next()
                inner = self._sequence()
                self._expect(")")
                return self._postfix(inner)
            if self._predicates and token.value in ("#", "."):
                name = ""
                if token.value == "#":
                    self._next()
                    if self._current.kind == "id" and self._current.at == token.at + 1:
                        name = self._next().value
                        if name not in ("acc", "index"):
                            raise self._fault(f"unknown pointer #{name}", token)
                return self._postfix(Pointer(name, token.at))
            if token.value == "::":
                self._next()
                return self._postfix(self._call(self._expect_name(), [], own_only=True))
        return self._secondary()

    def _secondary(self) -> Node:
        token = self._current
        node: Node
        if token.kind == "id":
            self._next()
            if token.value in ("true", "false", "nil"):
                return Literal({"true": True, "false": False, "nil": None}[token.value], token.at)
            node = self._call(token, []) if self._at_op("(") else Identifier(token.value, token.at)
        elif token.kind == "number":
            self._next()
            return Literal(self._number(token), token.at)
        elif token.kind == "string":
            self._next()
            node = Literal(token.value, token.at)
        elif token.kind == "bytes":
            self._next()
            node = Literal(token.value.encode("latin-1"), token.at)
        elif self._at_op("["):
            node = self._array()
        elif self._at_op("{"):
            node = self._map()
        else:
            raise self._unexpected()
        return self._postfix(node)

    def _number(self, token: Token) -> int | float:
        text = token.value.replace("_", "").lower()
        base = {"0x": 16, "0b": 2, "0o": 8}.get(text[:2])
        kind = {16: "hex", 2: "binary", 8: "octal"}.get(
            base or 0, "float" if any(c in text for c in ".e") else "integer"
        )
        try:
            number = float(text) if kind == "float" else int(text, base or 10)
        except ValueError:
            number = 1 << 64
        if abs(number) > (1.7976931348623157e308 if kind == "float" else (1 << 63) - 1):
            raise self._fault(f"invalid {kind} literal: {token.value[:40]}", token)
        return number

    def _call(self, name: Token, arguments: list[Node], own_only: bool = False) -> Node:
        """A call whose name has just been read; `arguments` holds what a pipe hands over."""
        if name.value in PREDICATES:
            return self._predicate_call(name, arguments)
        given = arguments + self._arguments()
        if name.value in FUNCTIONS:
            return Builtin(name.value, given, name.at)
        if own_only:
            raise self._fault(f"unknown builtin {name.value}", name)
        return Call(Identifier(name.value, name.at), given, name.at)

    def _predicate_call(self, name: Token, arguments: list[Node]) -> Node:
        wanted = PREDICATES[name.value]
        self._expect("(")
        arguments = list(arguments)
        for index, kind in enumerate(wanted[len(arguments) :]):
            if self._at_op(")"):
                if kind.endswith("?"):
                    break
                raise self._fault(f"expected at least {len(wanted)} arguments")
            if index:
                self._expect(",")
            arguments.append(self._predicate() if kind.startswith("predicate") else self._expression(0))
        if self._at_op(","):
            self._next()
        self._expect(")")
        return Builtin(name.value, arguments, name.at)

    def _predicate(self) -> Node:
        at = self._current.at
        self._predicates += 1
        if self._at_op("{"):
            self._next()
            body = self._sequence()
            self._expect("}")
        else:
            body = self._expression(0)
            if self._at_op(";"):
                raise self._fault("wrap predicate with brackets { and }")
        self._predicates -= 1
        return Predicate(body, at)

    def _arguments(self) -> list[Node]:
        self._expect("(")
        return self._list(")")

    def _list(self, closing: str) -> list[Node]:
        items: list[Node] = []
        while not self._at_op(closing):
            if items:
                self._expect(",")
                if self._at_op(closing):
                    break
            items.append(self._expression(0))
        self._expect(closing)
        return items

    def _array(self) -> Node:
        at = self._next().at
        return Array(self._list("]"), at)

    def _map(self) -> Node:
        at = self._next().at
        pairs: list[tuple[Node, Node]] = []
        while not self._at_op("}"):
            if pairs:
                self._expect(",")
                if self._at_op("}"):
                    break
            token = self._current
            key: Node
            if token.kind in ("number", "string", "id"):
                self._next()
                key = Literal(token.value, token.at)
            elif self._at_op("("):
                key = self._expression(0)
            else:
                raise self._fault(
                    "a map key must be a quoted string, a number, a identifier, or an expression enclosed in parentheses "
                    f"({str(self._unexpected()).rsplit(' ', 1)[0]})"
                )
            self._expect(":")
            pairs.append((key, self._expression(0)))
        self._expect("}")
        return Map(pairs, at)

    def _postfix(self, node: Node) -> Node:
        links = 0
        while self._current.kind == "op" and self._current.value in (".", "?.", "["):
            links += 1
            if links > DEEPEST:
                raise self._fault("expression is nested too deeply")
            token = self._next()
            optional = token.value == "?."
            if token.value != "[" and not (optional and self._at_op("[")):
                node = self._named_member(node, optional)
                continue
            if token.value != "[":
                self._next()
            node = self._bracket(node, optional, token.at)
        return node

    def _named_member(self, node: Node, optional: bool) -> Node:
        token = self._current
        if token.kind != "id" and not (token.kind == "op" and token.value[:1].isalpha()):
            raise self._fault("expected name") if token.kind != "eof" else self._unexpected()
        self._next()
        chained = isinstance(node, Chain)
        inner = node.inner if isinstance(node, Chain) else node
        result: Node = Member(inner, Literal(token.value, token.at), optional, token.at)
        if self._at_op("("):
            result = Call(result, self._arguments(), token.at)
        return Chain(result, token.at) if chained or optional else result

    def _bracket(self, node: Node, optional: bool, at: int) -> Node:
        start: Node | None = None
        if not self._at_op(":"):
            start = self._expression(0)
        if self._at_op(":"):
            self._next()
            end = None if self._at_op("]") else self._expression(0)
            self._expect("]")
            return Slice(node, start, end, at)
        assert start is not None
        self._expect("]")
        member = Member(node, start, optional, at)
        return Chain(member, at) if optional else member


def _join(token: Token, left: Node, right: Node) -> Node:
    """A binary node, flat for the two operators whose chains grow long."""
    operator = {"and": "&&", "or": "||"}.get(token.value, token.value)
    if operator not in ("&&", "||"):
        return Binary(operator, left, right, token.at)
    if isinstance(left, Logic) and left.operator == operator:
        left.operands.append(right)
        return left
    return Logic(operator, [left, right], token.at)
