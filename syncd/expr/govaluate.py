"""govaluate's small language: tokens in, a value out. Called by `when` only.

Numbers are floats, strings stand in either quote, `[a b]` is a variable, `=~` matches, `in` looks into a list of values with
commas. Each level of precedence reads its part of the tokens and evaluates as it goes, unless its value is not needed.
Follows Knetic/govaluate 7625b7f stagePlanner.go and evaluationStage.go; the messages are its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from syncd.expr import regex, values
from syncd.expr.govaluate_tokens import COMPARATORS, LONGEST, Fault, Token, check, shown
from syncd.expr.values import EvaluationProblem

DEEPEST: Final = 100
_STEPS: Final = 100_000


def run(tokens: list[Token], barewords: bool) -> Any:
    """The value of tokens that `read` gave; barewords: a variable is its own name as a string. Raises Fault."""
    if barewords:
        tokens = [Token("STRING", token.value) if token.kind == "VARIABLE" else token for token in tokens]
        check(tokens)
    return _Reader(tokens).separated(True)


_LEVELS: Final = (
    frozenset(["||"]),
    frozenset(["&&"]),
    COMPARATORS,
    frozenset("^&|"),
    frozenset([">>", "<<"]),
    frozenset("+-"),
    frozenset("*/%"),
    frozenset(["**"]),
)


class _List(list[Any]):
    """What commas make; a fan of values, not one."""


class _Reader:
    __slots__ = ("_at", "_depth", "_left", "_tokens")

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0
        self._left = _STEPS

    def _peek(self) -> Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def separated(self, live: bool) -> Any:
        value = self._ternary(live)
        while (token := self._peek()) is not None and token.kind == "SEPARATOR":
            self._at += 1
            item = self._ternary(live)
            if isinstance(value, _List):
                value.append(item)
            else:
                value = _List([value, item])
        return value

    def _ternary(self, live: bool) -> Any:
        """`a ? b : c` is read by govaluate as two operators: `?` gives b or nothing, `:` and `??` fill in for nothing."""
        value = self._level(0, live)
        while (token := self._peek()) is not None and token.kind == "TERNARY":
            self._at += 1
            if token.value == "?":
                if live and not isinstance(value, bool):
                    raise _misuse("ternary", value, "?")
                chosen = live and value is True
                then = self._level(0, chosen)
                value = then if chosen else None
            else:
                needed = live and value is None
                other = self._level(0, needed)
                value = other if needed else value
        return value

    def _level(self, level: int, live: bool) -> Any:
        if level == len(_LEVELS):
            return self._operand(live)
        value = self._level(level + 1, live)
        while (token := self._peek()) is not None and self._is(token, level):
            self._at += 1
            operator = token.value
            if operator in ("&&", "||"):
                decided = live and value is (operator == "||")
                if live and not isinstance(value, bool):
                    self._level(level + 1, live)
                    raise _misuse("logical", value, operator)
                right = self._level(level + 1, live and not decided)
                if live and not decided:
                    if not isinstance(right, bool):
                        raise _misuse("logical", right, operator)
                    value = right
                continue
            right = self._level(level + 1, live)
            if live:
                value = self._apply(operator, value, right)
        return value

    def _is(self, token: Token, level: int) -> bool:
        kind = "LOGICALOP" if level < 2 else "COMPARATOR" if level == 2 else "MODIFIER"
        return token.kind == kind and token.value in _LEVELS[level]

    def _operand(self, live: bool) -> Any:
        self._depth += 1
        if self._depth > DEEPEST:
            raise Fault("expression is nested too deeply")
        value = self._operand_inner(live)
        self._depth -= 1
        return value

    def _operand_inner(self, live: bool) -> Any:
        token = self._peek()
        if token is None:
            return None
        self._at += 1
        match token.kind:
            case "NUMERIC" | "STRING" | "BOOLEAN" | "TIME":
                return token.value
            case "VARIABLE":
                if live:
                    raise Fault(f"No parameter '{token.value}' found.", parsing=False)
                return None
            case "ACCESSOR":
                following = self._peek()
                if following is not None and following.kind == "CLAUSE":
                    self._operand(False)
                if live:
                    raise Fault(f"No parameter '{token.value[0]}' found.", parsing=False)
                return None
            case "CLAUSE":
                value = self.separated(live)
                self._at += 1
                return value
            case "CLAUSE_CLOSE":
                self._at -= 1
                return None
            case "PREFIX":
                value = self._operand(live)
                return _prefix(token.value, value) if live else None
        raise Fault(f"Unable to plan token kind: '{token.kind}', value: '{shown(token.value)}'")

    def _spend(self, steps: int) -> None:
        self._left -= steps
        if self._left < 0:
            raise EvaluationProblem("expression takes too many steps")

    def _apply(self, operator: str, a: Any, b: Any) -> Any:
        if operator in ("==", "!="):
            return values.equal(a, b) is (operator == "==")
        if operator == "in":
            if not isinstance(b, _List):
                raise _misuse("comparator", b, operator)
            return any(values.equal(a, item) for item in b)
        if operator in ("=~", "!~"):
            return self._match(operator, a, b)
        if operator in COMPARATORS:
            if not ((_is_float(a) and _is_float(b)) or (isinstance(a, str) and isinstance(b, str))):
                raise _misuse("comparator", a, operator)
            return _COMPARE[operator](a, b)
        if operator == "+" and (isinstance(a, str) or isinstance(b, str)):
            joined = shown(a) + shown(b)
            if len(joined) > LONGEST:
                raise Fault("text is too long", parsing=False)
            return joined
        for value in (a, b):
            if not _is_float(value):
                raise _misuse("modifier", value, operator)
        return _calculate(operator, a, b)

    def _match(self, operator: str, a: Any, b: Any) -> bool:
        for value in (a, b):
            if not isinstance(value, str):
                raise _misuse("comparator", value, operator)
        try:
            return regex.compile(b).search(a, self._spend) is (operator == "=~")
        except EvaluationProblem as problem:
            raise Fault(f"Unable to compile regexp pattern '{b}': {problem}", parsing=False) from None


_COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def _is_float(value: Any) -> bool:
    return isinstance(value, float)


_MISUSE: Final = {
    "logical": "Value '%s' cannot be used with the logical operator '%s', it is not a bool",
    "modifier": "Value '%s' cannot be used with the modifier '%s', it is not a number",
    "comparator": "Value '%s' cannot be used with the comparator '%s', it is not a number",
    "ternary": "Value '%s' cannot be used with the ternary operator '%s', it is not a bool",
    "prefix": "Value '%s' cannot be used with the prefix '%s'",
}


def _misuse(kind: str, value: Any, operator: str) -> Fault:
    return Fault(_MISUSE[kind] % (shown(value), operator), parsing=False)


def _prefix(operator: str, value: Any) -> Any:
    if operator == "!":
        if not isinstance(value, bool):
            raise _misuse("prefix", value, operator)
        return not value
    if not _is_float(value):
        raise _misuse("prefix", value, operator)
    return -value if operator == "-" else float(~_int64(value))


def _int64(value: float) -> int:
    return values.wrap(int(value)) if math.isfinite(value) else -(1 << 63)


def _calculate(operator: str, a: float, b: float) -> float:
    match operator:
        case "+":
            return a + b
        case "-":
            return a - b
        case "*":
            return a * b
        case "/":
            return values.divide(a, b)
        case "%":
            return math.fmod(a, b) if b and math.isfinite(a) else math.nan
        case "**":
            return values.power(a, b)
        case "&":
            return float(_int64(a) & _int64(b))
        case "|":
            return float(_int64(a) | _int64(b))
        case "^":
            return float(_int64(a) ^ _int64(b))
        case "<<":
            return float((_int64(a) << min(max(_int64(b), 0), 64)) & ((1 << 64) - 1))
        case _:
            return float((_int64(a) & ((1 << 64) - 1)) >> min(max(_int64(b), 0), 64))
