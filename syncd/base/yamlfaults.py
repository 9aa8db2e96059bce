"""What can be wrong with YAML text, in words: libyaml's errors in, our faults with place, cause and remedy out.

Made by `base.yamltext`; turned into Problems by `source.decode`. No message holds content of the file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a file or a document. code: a row of `source.faults`; line, column: from 1, 0 = the whole file."""

    code: str
    message: str
    remedy: str = ""
    line: int = 0
    column: int = 0
    path: Path = ()


def position(text: str, index: int) -> tuple[int, int]:
    """Line and column, from 1, of the character at `index`."""
    return text.count("\n", 0, index) + 1, index - (text.rfind("\n", 0, index) + 1) + 1


def shown(word: str) -> str:
    """A key or a name for a message: quoted, printable, at most 64 characters.

    >>> shown("a" * 70) == '"' + "a" * 61 + '..."'
    True
    """
    word = "".join(c if c.isprintable() else "?" for c in word[:65])
    return f'"{word}"' if len(word) <= 64 else f'"{word[:61]}..."'


_UNPRINTABLE: Final = re.compile("[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


_SYNTAX: Final[tuple[tuple[str, str, str], ...]] = (
    (
        "mapping values are not allowed",
        "a `:` where no key can stand",
        "check the indentation of this line, and quote a value that holds `: `",
    ),
    (
        "found character that cannot start any token",
        "a character that cannot begin a value",
        "quote a value that begins with one of @ ` % {{ *",
    ),
    (
        "did not find expected key",
        "a line that is neither a key nor part of the value above",
        "indent it as its neighbours are, and close what is quoted",
    ),
    (
        "could not find expected ':'",
        "a key without its `:`",
        "end the key with `: `, or indent the line to continue the value above",
    ),
    (
        "did not find expected '-' indicator",
        "a line in a list that does not begin with `- `",
        "indent it as the items of the list are",
    ),
    (
        "block sequence entries are not allowed",
        "a `- ` where no list can begin",
        "put the list on lines of its own, below its key",
    ),
    (
        "did not find expected ',' or",
        "a list or mapping in brackets that is not closed",
        "add the comma or the bracket",
    ),
    ("found unexpected end of stream", "a quote that is not closed", "close it"),
    ("found unexpected document indicator", "a quote that is not closed before `---`", "close it"),
    (
        "found unknown escape character",
        "an escape that YAML does not know",
        "write \\\\ for a backslash, or use single quotes",
    ),
    ("did not find expected node content", "something that is no value", "quote it"),
    ("found undefined tag handle", "a tag (!) that is not declared", "drop the tag"),
    (
        "did not find expected <document start>",
        "something behind the end of the document",
        "begin a new document with ---",
    ),
    ("found incompatible YAML document", "a %YAML version that is not supported", "drop the line"),
)
"""libyaml's words → ours, and what to do. Source: libyaml 0.2.5 src/scanner.c, src/parser.c."""


def syntax(text: str, line: int, wrong: Exception) -> Fault:
    mark = getattr(wrong, "problem_mark", None) or getattr(wrong, "context_mark", None)
    if "quoted scalar" in str(getattr(wrong, "context", None)) and "escape" not in str(getattr(wrong, "problem", None)):
        mark = getattr(wrong, "context_mark", None)
    if mark is not None and mark.index >= len(text.rstrip()):
        # it gave up at the end of the text; what was never closed says more
        mark = getattr(wrong, "context_mark", None) or mark
    if mark is None:
        bad = _UNPRINTABLE.search(text)
        where = position(text, bad.start()) if bad else (1, 1)
        return Fault(
            "V106",
            "control character in the text",
            "remove it, or write it as an escape in double quotes",
            line + where[0],
            where[1],
        )
    problem = str(getattr(wrong, "problem", None) or "not YAML")
    where = (line + mark.line + 1, mark.column + 1)
    if mark.index >= len(text.rstrip()):
        last = position(text, max(len(text.rstrip()) - 1, 0))
        where = (line + last[0], last[1])
        if "node content" in problem:
            return Fault("V101", "the text ends where a value is needed", "close the brackets", *where)
    if "cannot start any token" in problem and "\t" in _line_of(text, mark.line)[: mark.column + 1]:
        return Fault("V101", "a tab in the indentation", "indent with spaces", *where)
    if "nesting depth" in problem:  # libyaml 0.2.6 has a limit of its own (1,000), before ours is asked
        return Fault("V105", "nested deeper than 1000 levels", "flatten it", *where)
    for words, message, remedy in _SYNTAX:
        if words in problem:
            return Fault("V101", message, remedy, *where)
    return Fault("V101", f"not YAML: {problem}", "", *where)


def _line_of(text: str, number: int) -> str:
    start = 0
    for _ in range(number):
        start = text.find("\n", start) + 1
        if start == 0:
            return ""
    end = text.find("\n", start)
    return text[start:] if end < 0 else text[start:end]
