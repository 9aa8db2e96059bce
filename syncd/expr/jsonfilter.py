"""The expressions within a JSONPath: `[?(@.age > 42 && @.name == "x")]` and `[(@.length-1)]`. Called by `jsonpath` only.

In: the text of the expression, the root and the current value. Out: a value. After evilmonkeyinc/jsonpath v0.8.1
script/standard.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from syncd.expr import jsonpath, regex, values
from syncd.expr.values import EvaluationProblem

DEEPEST: Final = 40

NAME: Final = re.compile(r"\*|[^\W]+", re.UNICODE)
"""A name behind a dot within an expression: operators end it."""

_NUMBER: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)
_OPERATORS: Final = (
    (re.compile(r"\|\|"),),
    (re.compile(r"&&"),),
    (re.compile(r"==|!=|<=|>=|=~|<|>|not\s+in\b|in\b"),),
    (re.compile(r"[+-]"),),
    (re.compile(r"\*(?!\*)|/|%"),),
    (re.compile(r"\*\*"),),
)

Spend = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Expression:
    """kind: constant, path (value: steps; from the root or not), not, minus, or an operator; parts: what it works on."""

    kind: str
    value: Any = None
    parts: tuple[Expression, ...] = ()


class _Fault(Exception):
    """The expression has no value here; a filter then leaves the item out."""


def compile(text: str, depth: int) -> Expression:  # noqa: A001  # the word for it
    """The expression. Raises EvaluationProblem."""
    reader = _Reader(text, depth)
    expression = reader.level(0, 0)
    reader.space()
    if reader.at < len(text):
        raise reader.bad()
    return expression


class _Reader:
    __slots__ = ("_depth", "_text", "at")

    def __init__(self, text: str, depth: int) -> None:
        self._text = text
        self._depth = depth
        self.at = 0

    def bad(self) -> EvaluationProblem:
        return EvaluationProblem(f"invalid JSONPath expression '{values.short(self._text)}' at index {self.at}")

    def space(self) -> None:
        while self.at < len(self._text) and self._text[self.at].isspace():
            self.at += 1

    def level(self, level: int, depth: int) -> Expression:
        if level == len(_OPERATORS):
            return self._operand(depth)
        left = self.level(level + 1, depth)
        links = 0
        while True:
            self.space()
            found = _OPERATORS[level][0].match(self._text, self.at)
            if found is None:
                return left
            links += 1
            if links > DEEPEST:
                raise self.bad()
            self.at = found.end()
            operator = "not in" if found[0].startswith("not") else found[0]
            left = Expression(operator, None, (left, self.level(level + 1, depth)))

    def _operand(self, depth: int) -> Expression:
        if depth > DEEPEST:
            raise self.bad()
        self.space()
        text, at = self._text, self.at
        character = text[at : at + 1]
        if character == "(":
            self.at += 1
            inner = self.level(0, depth + 1)
            self.space()
            if not text.startswith(")", self.at):
                raise self.bad()
            self.at += 1
            return inner
        if character == "!" or (character == "-" and text[at + 1 : at + 2]):
            self.at += 1
            return Expression("not" if character == "!" else "minus", None, (self._operand(depth + 1),))
        if character and character in "@$":
            steps, self.at = jsonpath.read(text, at, self._depth)
            return Expression("path", (character == "$", steps))
        if character and character in "'\"":
            return Expression("constant", self._string(character))
        if character and character in "[{":
            return self._json()
        if found := _NUMBER.match(text, at):
            self.at = found.end()
            return Expression("constant", float(found[0]))
        for word, value in (("true", True), ("false", False), ("null", None), ("nil", None)):
            if text.startswith(word, at):
                self.at += len(word)
                return Expression("constant", value)
        raise self.bad()

    def _string(self, quote: str) -> str:
        end = self.at + 1
        while end < len(self._text) and self._text[end] != quote:
            end += 2 if self._text[end] == "\\" else 1
        if end >= len(self._text):
            raise self.bad()
        body = self._text[self.at + 1 : end]
        self.at = end + 1
        return body.replace("\\" + quote, quote)

    def _json(self) -> Expression:
        for end in range(self.at + 2, min(len(self._text), self.at + 500) + 1):
            if self._text[end - 1] not in "]}":
                continue
            body = self._text[self.at : end]
            for candidate in (body, body.replace("'", '"')):
                try:
                    value = json.loads(candidate, parse_int=float)
                except (ValueError, RecursionError):
                    continue
                self.at = end
                return Expression("constant", value)
        raise self.bad()


def holds(expression: Expression, root: Any, current: Any, spend: Spend) -> bool:
    """Whether a filter keeps the item: anything that is neither empty nor zero counts as true."""
    value = _value(expression, root, current, spend)
    if isinstance(value, str | list | dict):
        return len(value) > 0
    return bool(value)


def evaluate(expression: Expression, root: Any, current: Any, spend: Spend) -> Any:
    """The value; None where there is none."""
    return _value(expression, root, current, spend)


def _value(expression: Expression, root: Any, current: Any, spend: Spend) -> Any:
    try:
        return _run(expression, root, current, spend)
    except (_Fault, LookupError):
        return None


def _run(expression: Expression, root: Any, current: Any, spend: Spend) -> Any:
    spend(1)
    parts = expression.parts
    match expression.kind:
        case "constant":
            return expression.value
        case "path":
            from_root, steps = expression.value
            return jsonpath.search(steps, root, root if from_root else current, spend)
        case "not":
            value = _run(parts[0], root, current, spend)
            return not (value is not None and value != 0 if values.is_number(value) or value is None else _bool(value))
        case "minus":
            return -_number(_run(parts[0], root, current, spend))
    left, right = (_run(part, root, current, spend) for part in parts)
    if expression.kind in ("&&", "||"):  # both sides are needed, even where one decides
        a, b = _bool(left), _bool(right)
        return a and b if expression.kind == "&&" else a or b
    return _apply(expression.kind, left, right, spend)


def _apply(operator: str, left: Any, right: Any, spend: Spend) -> Any:
    match operator:
        case "==":
            return values.equal(left, right)
        case "!=":
            return not values.equal(left, right)
        case "in" | "not in":
            items = list(right.values()) if isinstance(right, dict) else right
            if not isinstance(items, list):
                raise _Fault
            spend(len(items) // 8)
            return any(values.equal(left, item) for item in items) is (operator == "in")
        case "=~":
            if not isinstance(left, str) or not isinstance(right, str):
                raise _Fault
            return regex.compile(right).search(left, spend)
    a, b = _number(left), _number(right)
    match operator:
        case "<":
            return a < b
        case "<=":
            return a <= b
        case ">":
            return a > b
        case ">=":
            return a >= b
        case "+":
            return a + b
        case "-":
            return a - b
        case "*":
            return a * b
        case "/":
            return values.divide(a, b)
        case "**":
            return values.power(a, b)
    if b == 0 or a != int(a) or b != int(b):
        raise _Fault
    return float(values.modulo(int(a), int(b)))


def _bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise _Fault


def _number(value: Any) -> float:
    if values.is_number(value):
        return float(value)
    raise _Fault
