"""The words of govaluate's small language: text in, tokens out, checked for order. Called by `govaluate` and `when`.

Follows Knetic/govaluate 7625b7f parsing.go and lexerState.go; the messages are its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from syncd.expr import gotext, gotime

LONGEST: Final = 200_000


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
COMPARATORS: Final = frozenset(["==", "!=", ">", ">=", "<", "<=", "=~", "!~", "in"])
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
        ("COMPARATOR", COMPARATORS),
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
    return gotext.text(value)
