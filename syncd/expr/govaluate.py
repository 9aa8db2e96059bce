"""govaluate's small language: text to tokens, tokens to a value. Called by `when` only.

Numbers are floats, strings stand in either quote, `[a b]` is a variable, `=~` matches, `in` looks into a list of values with
commas. Follows Knetic/govaluate 7625b7f: parsing.go, lexerState.go, stagePlanner.go; the messages are its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from syncd.expr import gotime, regex, values
from syncd.expr.values import EvaluationProblem

LONGEST: Final = 200_000
DEEPEST: Final = 100
_STEPS: Final = 100_000


class Fault(Exception):
    """In govaluate's words. parsing: found before anything was evaluated."""

    def __init__(self, message: str, parsing: bool = True) -> None:
        super().__init__(message)
        self.parsing = parsing


@dataclass(frozen=True, slots=True)
class Token:
    """kind: as govaluate names it; value: the operator, the text, the number."""

    kind: str
    value: Any


_PREFIX: Final = frozenset("-!~")
_MODIFIERS: Final = frozenset(["+", "-", "*", "/", "%", "**", "&", "|", "^", ">>", "<<"])
_LOGICAL: Final = frozenset(["&&", "||"])
_COMPARATORS: Final = frozenset(["==", "!=", ">", ">=", "<", "<=", "=~", "!~", "in"])
_TERNARY: Final = frozenset(["?", ":", "??"])

_VALUES: Final = ("NUMERIC", "BOOLEAN", "VARIABLE", "PATTERN", "FUNCTION", "ACCESSOR", "STRING", "TIME")
_AFTER_VALUE: Final = frozenset(["MODIFIER", "COMPARATOR", "LOGICALOP", "CLAUSE_CLOSE", "TERNARY", "SEPARATOR"])
_NEXT: Final[dict[str, frozenset[str]]] = {
    "": frozenset(["PREFIX", *_VALUES, "CLAUSE"]),
    "CLAUSE": frozenset(["PREFIX", *_VALUES, "CLAUSE", "CLAUSE_CLOSE"]),
    "CLAUSE_CLOSE": _AFTER_VALUE | {"NUMERIC", "BOOLEAN", "VARIABLE", "STRING", "PATTERN", "TIME", "CLAUSE"},
    "NUMERIC": _AFTER_VALUE,
    "BOOLEAN": _AFTER_VALUE,
    "STRING": _AFTER_VALUE,
    "TIME": _AFTER_VALUE - {"TERNARY"},
    "PATTERN": _AFTER_VALUE - {"TERNARY"},
    "VARIABLE": _AFTER_VALUE,
    "ACCESSOR": _AFTER_VALUE | {"CLAUSE"},
    "MODIFIER": frozenset(
        ["PREFIX", "NUMERIC", "VARIABLE", "FUNCTION", "ACCESSOR", "STRING", "BOOLEAN", "CLAUSE", "CLAUSE_CLOSE"]
    ),
    "COMPARATOR": frozenset(["PREFIX", *_VALUES, "CLAUSE", "CLAUSE_CLOSE"]),
    "LOGICALOP": frozenset(["PREFIX", *_VALUES, "CLAUSE", "CLAUSE_CLOSE"]) - {"PATTERN"},
    "PREFIX": frozenset(["NUMERIC", "BOOLEAN", "VARIABLE", "FUNCTION", "ACCESSOR", "CLAUSE", "CLAUSE_CLOSE"]),
    "TERNARY": frozenset(["PREFIX", *_VALUES, "CLAUSE", "SEPARATOR"]) - {"PATTERN"},
    "SEPARATOR": frozenset(["PREFIX", *_VALUES, "CLAUSE"]) - {"PATTERN"},
}
_MAY_END: Final = frozenset(["CLAUSE_CLOSE", "NUMERIC", "BOOLEAN", "STRING", "TIME", "PATTERN", "VARIABLE", "ACCESSOR"])

_TIMES: Final = (
    "Mon Jan _2 15:04:05 2006",
    "Mon Jan _2 15:04:05 MST 2006",
    "Mon Jan 02 15:04:05 -0700 2006",
    "3:04PM",
    gotime.RFC3339,
    "2006-01-02",
    "2006-01-02 15:04",
    "2006-01-02 15:04:05",
    "2006-01-02 15:04:05-07:00",
    "2006-01-02T15Z0700",
    "2006-01-02T15:04Z0700",
    "2006-01-02T15:04:05Z0700",
    "2006-01-02T15:04:05.999999999Z0700",
)


def read(text: str) -> list[Token]:
    """The tokens, checked for order and balance. Raises Fault."""
    if len(text) > LONGEST:
        raise Fault(f"expression is longer than {LONGEST} characters")
    tokens: list[Token] = []
    at = 0
    while True:
        while at < len(text) and text[at].isspace():
            at += 1
        if at >= len(text):
            break
        token, at = _token(text, at, tokens[-1].kind if tokens else "")
        tokens.append(token)
    check(tokens)
    return tokens


def check(tokens: list[Token]) -> None:
    """Raise Fault unless the tokens may follow each other, and every parenthesis is closed."""
    if sum(t.kind == "CLAUSE" for t in tokens) != sum(t.kind == "CLAUSE_CLOSE" for t in tokens):
        raise Fault("Unbalanced parenthesis")
    state, last = "", None
    for token in tokens:
        if token.kind not in _NEXT[state]:
            if last is not None and last.kind == "VARIABLE" and token.kind == "CLAUSE":
                raise Fault(f"Undefined function {last.value}")
            before = f"{state or 'UNKNOWN'} [{shown(last.value) if last else '<nil>'}]"
            raise Fault(f"Cannot transition token types from {before} to {token.kind} [{shown(token.value)}]")
        state, last = token.kind, token
    if tokens and state not in _MAY_END:
        raise Fault("Unexpected end of expression")
    if not tokens:
        raise Fault("Unexpected end of expression")


def _until(text: str, at: int, test: Callable[[str], bool], *, spaces: bool) -> tuple[str, int, bool]:
    """As far as the test holds: the text, where it ended, and whether something ended it. A backslash escapes anything."""
    pieces: list[str] = []
    while at < len(text):
        character = text[at]
        at += 1
        if character == "\\":
            if at >= len(text):
                raise Fault("Unexpected end of expression")
            pieces.append(text[at])
            at += 1
            continue
        if character.isspace() and not spaces:
            if pieces:
                return "".join(pieces), at, True
            continue
        if not test(character):
            return "".join(pieces), at - 1, True
        pieces.append(character)
    return "".join(pieces), at, False


def _token(text: str, at: int, state: str) -> tuple[Token, int]:
    character = text[at]
    if _digit(character) or character == ".":
        return _number(text, at)
    if character == ",":
        return Token("SEPARATOR", ","), at + 1
    if character == "[":
        name, end, closed = _until(text, at + 1, lambda c: c != "]", spaces=True)
        if not closed:
            raise Fault("Unclosed parameter bracket")
        return Token("VARIABLE", name), end + 1
    if character.isalpha():
        return _word(text, at)
    if character in "'\"":
        body, end, closed = _until(text, at + 1, lambda c: c not in "'\"", spaces=True)
        if not closed:
            raise Fault("Unclosed string literal")
        return _string(body), end + 1
    if character == "(":
        return Token("CLAUSE", "("), at + 1
    if character == ")":
        return Token("CLAUSE_CLOSE", ")"), at + 1
    symbol, end, _ = _until(text, at, _symbol, spaces=False)
    if "PREFIX" in _NEXT[state] and symbol in _PREFIX:
        return Token("PREFIX", symbol), end
    for kind, known in (
        ("MODIFIER", _MODIFIERS),
        ("LOGICALOP", _LOGICAL),
        ("COMPARATOR", _COMPARATORS),
        ("TERNARY", _TERNARY),
    ):
        if symbol in known:
            return Token(kind, symbol), end
    raise Fault(f"Invalid token: '{symbol}'")


def _digit(character: str) -> bool:
    return character.isdecimal()


def _symbol(character: str) -> bool:
    return not (_digit(character) or character.isalpha() or character in "()[]'\"")


def _number(text: str, at: int) -> tuple[Token, int]:
    if text.startswith("0x", at):
        digits, end, _ = _until(text, at + 2, lambda c: _digit(c) or c.lower() in "abcdef", spaces=False)
        if not digits.isascii() or not 0 < len(digits.lstrip("0") or "0") <= 16 or not digits:
            raise Fault(f"Unable to parse hex value '{digits}' to uint64\n")
        return Token("NUMERIC", float(int(digits, 16))), end
    digits, end, _ = _until(text, at, lambda c: _digit(c) or c == ".", spaces=False)
    try:
        if not digits.isascii() or len(digits) > 400:
            raise ValueError
        return Token("NUMERIC", float(digits)), end
    except ValueError:
        raise Fault(f"Unable to parse numeric value '{digits}' to float64\n") from None


def _word(text: str, at: int) -> tuple[Token, int]:
    word, end, _ = _until(text, at, lambda c: c.isalpha() or _digit(c) or c in "_.", spaces=False)
    if word in ("true", "false"):
        return Token("BOOLEAN", word == "true"), end
    if word in ("in", "IN"):
        return Token("COMPARATOR", "in"), end
    if word.find(".") > 0:
        if word.endswith("."):
            raise Fault(f"Hanging accessor on token '{word}'")
        parts = word.split(".")
        for part in parts[1:]:
            if part[:1].upper() != part[:1]:
                raise Fault(f"Unable to access unexported field '{part}' in token '{word}'")
        return Token("ACCESSOR", parts), end
    return Token("VARIABLE", word), end


def _string(body: str) -> Token:
    if body[:1].isalnum() and len(body) <= 60:
        for layout in _TIMES:
            try:
                return Token("TIME", float(math.floor(gotime.parse(layout, body).timestamp())))
            except (ValueError, OverflowError):
                continue
    return Token("STRING", body)


def shown(value: Any) -> str:
    """Go's %v."""
    return values.text(value)


# -- evaluation: each level of precedence reads its part of the tokens and evaluates as it goes, unless `live` is off


def run(tokens: list[Token], barewords: bool) -> Any:
    """The value of tokens that `read` gave; barewords: a variable is its own name as a string. Raises Fault."""
    if barewords:
        tokens = [Token("STRING", token.value) if token.kind == "VARIABLE" else token for token in tokens]
        check(tokens)
    return _Reader(tokens).separated(True)


_LEVELS: Final = (
    frozenset(["||"]),
    frozenset(["&&"]),
    _COMPARATORS,
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
        if operator in _COMPARATORS:
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
