"""The words of the expression language: text in, tokens out. Called by `grammar` only.

Follows expr-lang v1.17.8 parser/lexer. One regular expression does the work; it is linear in the text.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from syncd.base.errors import Invalid

LONGEST_SOURCE = 200_000
"""Characters of one expression; Argo's own limit is the size of an object (1.5 MB) and 10,000 nodes."""


class SyntaxProblem(Invalid):
    """The expression cannot be read. position: index of the character, from 0."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.position = position


class Token(NamedTuple):
    """kind: id, number, string, bytes, op or eof; brackets are ops. at: index in the source."""

    kind: str
    value: str
    at: int


_TOKEN = re.compile(
    r"""
    (?P<space>\s+|//[^\n]*|/\*.*?\*/)
  | (?P<bytes>[bB](?:'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"))
  | (?P<string>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")
  | (?P<raw>`(?:[^`]|``)*`)
  | (?P<number>0[xX][0-9a-fA-F_]*|0[oO][0-7_]*|0[bB][01_]*
              |(?:[0-9][0-9_]*(?:\.(?!\.)[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9_]*)?)
  | (?P<id>(?:[^\W\d]|\$)[\w$]*)
  | (?P<op>\?\?|\?\.|\.\.|\*\*|&&|\|\||::|==|!=|<=|>=|\#\#?|[-+*/%^?:;,.|&!=<>()\[\]{}])
    """,
    re.VERBOSE | re.DOTALL,
)
_WORDS = frozenset(
    ["not", "in", "or", "and", "matches", "contains", "startsWith", "endsWith", "let", "if", "else"],
)
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"} | {c: c for c in "\\'\"`?"}
_ESCAPE = re.compile(
    r"\\(?:u\{([0-9a-fA-F]{1,6})\}|[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|(.))",
    re.DOTALL,
)


def where(source: str, position: int) -> str:
    """`(line:column)`, both from 1, as expr-lang writes it."""
    line = source.count("\n", 0, position) + 1
    return f"({line}:{position - source.rfind(chr(10), 0, position)})"


def tokens(source: str) -> list[Token]:
    """All tokens and one `eof`. Raises SyntaxProblem."""
    if len(source) > LONGEST_SOURCE:
        raise SyntaxProblem(f"expression is longer than {LONGEST_SOURCE} characters", 0)
    result: list[Token] = []
    at, end = 0, len(source)
    match = _TOKEN.match
    while at < end:
        found = match(source, at)
        if found is None:
            raise _unreadable(source, at)
        kind, value = found.lastgroup, found[0]
        at = found.end()
        if kind == "space":
            continue
        start = found.start()
        if kind == "id":
            result.append(Token("op" if value in _WORDS else "id", value, start))
        elif kind == "op":
            result.append(Token("op", value, start))
        elif kind == "string":
            result.append(Token("string", _unescape(source, value, start), start))
        elif kind == "raw":
            result.append(Token("string", value[1:-1].replace("``", "`"), start))
        elif kind == "number":
            if at < end and (source[at].isalnum() or source[at] in "_$"):
                raise _problem(source, f"bad number syntax: {_quoted(value + source[at])}", at)
            result.append(Token("number", value, start))
        else:
            result.append(Token("bytes", _unescape_bytes(source, value[1:], start), start))
    result.append(Token("eof", "", max(end - 1, 0)))
    return result


def _problem(source: str, message: str, at: int) -> SyntaxProblem:
    return SyntaxProblem(f"{message} {where(source, at)}", at)


def _unreadable(source: str, at: int) -> SyntaxProblem:
    character = source[at]
    if character in "'\"`":
        return _problem(source, "literal not terminated", at)
    if source.startswith("/*", at):
        return _problem(source, "unclosed comment", at)
    shown = f" '{character}'" if character.isprintable() else ""
    return _problem(source, f"unrecognized character: U+{ord(character):04X}{shown}", at)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _unescape(source: str, literal: str, at: int) -> str:
    body = literal[1:-1].replace("\r\n", "\n").replace("\r", "\n")
    if "\\" not in body:
        return body
    pieces: list[str] = []
    done = 0
    while (start := body.find("\\", done)) >= 0:
        pieces.append(body[done:start])
        found = _ESCAPE.match(body, start)
        if found is None:
            raise _problem(source, "invalid char escape", at)
        braced, short, four, eight, octal, plain = found.groups()
        number = braced or short or four or eight
        if number or octal:
            code = int(number, 16) if number else int(octal, 8)
            if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
                raise _problem(source, "unable to unescape string", at)
            pieces.append(chr(code))
        elif plain in _ESCAPES:
            pieces.append(_ESCAPES[plain])
        else:
            raise _problem(source, "invalid char escape", at)
        done = found.end()
    pieces.append(body[done:])
    return "".join(pieces)


def _unescape_bytes(source: str, literal: str, at: int) -> str:
    r"""A bytes literal as the latin-1 text of its bytes; only byte escapes (\x, octal) are known here."""
    body = literal[1:-1]
    pieces: list[bytes] = []
    done = 0
    while (start := body.find("\\", done)) >= 0:
        pieces.append(body[done:start].encode("utf-8", "replace"))
        found = _ESCAPE.match(body, start)
        if found is None or found[1] or found[3] or found[4]:
            raise _problem(source, "unable to unescape bytes", at)
        if found[2] or found[5]:
            pieces.append(bytes([int(found[2], 16) if found[2] else int(found[5], 8)]))
        elif found[6] in _ESCAPES:
            pieces.append(_ESCAPES[found[6]].encode())
        else:
            raise _problem(source, "unable to unescape bytes", at)
        done = found.end()
    pieces.append(body[done:].encode("utf-8", "replace"))
    return b"".join(pieces).decode("latin-1")
