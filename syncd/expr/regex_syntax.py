"""Go's syntax of regular expressions (RE2): text in, a tree out. Called by `regex` only.

Go 1.24 regexp/syntax. Backreferences and lookaround do not exist there, so they are refused here.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from syncd.expr.values import EvaluationProblem

LONGEST: Final = 1_000
DEEPEST: Final = 40
MOST_REPEATS: Final = 1_000
LAST: Final = 0x10FFFF


@dataclass(slots=True)
class Set:
    """One character out of a set. ranges: code points, inclusive; tests: more predicates; fold: case does not matter."""

    ranges: list[tuple[int, int]]
    tests: list[Callable[[str], bool]]
    negated: bool = False
    fold: bool = False

    def has(self, character: str) -> bool:
        """Whether the set holds the character."""
        if self._has(character):
            return not self.negated
        if self.fold:
            for other in {character.lower(), character.upper()} - {character}:
                if len(other) == 1 and self._has(other):
                    return not self.negated
        return self.negated

    def _has(self, character: str) -> bool:
        code = ord(character)
        return any(low <= code <= high for low, high in self.ranges) or any(test(character) for test in self.tests)


@dataclass(slots=True)
class Assertion:
    """An empty match at a place: text-start, text-end, line-start, line-end, word or not-word."""

    kind: str


@dataclass(slots=True)
class Concat:
    """One after the other."""

    parts: list[Tree]


@dataclass(slots=True)
class Either:
    """The first that matches."""

    options: list[Tree]


@dataclass(slots=True)
class Repeat:
    """most: None = without end."""

    inner: Tree
    least: int
    most: int | None
    greedy: bool


@dataclass(slots=True)
class Group:
    """A group that is remembered."""

    inner: Tree
    index: int


Tree = Set | Assertion | Concat | Either | Repeat | Group

_DIGIT: Final = [(48, 57)]
_WORD: Final = [(48, 57), (65, 90), (95, 95), (97, 122)]
_SPACE: Final = [(9, 10), (12, 13), (32, 32)]
_PERL: Final = {"d": _DIGIT, "w": _WORD, "s": _SPACE}
_POSIX: Final = {
    "alnum": [(48, 57), (65, 90), (97, 122)],
    "alpha": [(65, 90), (97, 122)],
    "ascii": [(0, 127)],
    "blank": [(9, 9), (32, 32)],
    "cntrl": [(0, 31), (127, 127)],
    "digit": _DIGIT,
    "graph": [(33, 126)],
    "lower": [(97, 122)],
    "print": [(32, 126)],
    "punct": [(33, 47), (58, 64), (91, 96), (123, 126)],
    "space": [(9, 13), (32, 32)],
    "upper": [(65, 90)],
    "word": _WORD,
    "xdigit": [(48, 57), (65, 70), (97, 102)],
}
_ESCAPES: Final = {"a": 7, "f": 12, "t": 9, "n": 10, "r": 13, "v": 11}
_CATEGORIES: Final = frozenset(
    [
        "L",
        "Lu",
        "Ll",
        "Lt",
        "Lm",
        "Lo",
        "M",
        "Mn",
        "Mc",
        "Me",
        "N",
        "Nd",
        "Nl",
        "No",
        "P",
        "Pc",
        "Pd",
        "Ps",
        "Pe",
        "Pi",
        "Pf",
        "Po",
        "S",
        "Sm",
        "Sc",
        "Sk",
        "So",
        "Z",
        "Zs",
        "Zl",
        "Zp",
        "C",
        "Cc",
        "Cf",
        "Co",
        "Cs",
    ]
)
_SCRIPTS: Final = frozenset(
    [
        "Latin",
        "Greek",
        "Cyrillic",
        "Armenian",
        "Hebrew",
        "Arabic",
        "Devanagari",
        "Thai",
        "Hangul",
        "Hiragana",
        "Katakana",
        "Georgian",
    ]
)


@dataclass(slots=True)
class Parsed:
    """A pattern that has been read. groups: how many; names: name → index."""

    tree: Tree
    groups: int
    names: dict[str, int]


def parse(source: str) -> Parsed:
    """The tree of a pattern. Raises EvaluationProblem in Go's words."""
    if len(source) > LONGEST:
        raise EvaluationProblem(f"error parsing regexp: pattern is longer than {LONGEST} characters")
    parser = _Parser(source)
    tree = parser.either(0)
    if parser.at < len(source):
        raise _fault("unexpected )", source)
    return Parsed(tree, parser.groups, parser.names)


def _fault(what: str, text: str) -> EvaluationProblem:
    return EvaluationProblem(f"error parsing regexp: {what}: `{text}`")


class _Parser:
    __slots__ = ("_flags", "_source", "at", "groups", "names")

    def __init__(self, source: str) -> None:
        self._source = source
        self._flags = frozenset[str]()
        self.at = 0
        self.groups = 0
        self.names: dict[str, int] = {}

    def either(self, depth: int) -> Tree:
        if depth > DEEPEST:
            raise _fault("expression nests too deeply", self._source)
        options = [self._concat(depth)]
        while self._source.startswith("|", self.at):
            self.at += 1
            options.append(self._concat(depth))
        return options[0] if len(options) == 1 else Either(options)

    def _concat(self, depth: int) -> Tree:
        parts: list[Tree] = []
        source = self._source
        while self.at < len(source) and source[self.at] not in "|)":
            start = self.at
            character = source[start]
            if character in "*+?":
                raise _fault("missing argument to repetition operator", character)
            if source.startswith("\\Q", start):
                end = source.find("\\E", start + 2)
                body = source[start + 2 : end if end >= 0 else len(source)]
                parts += [self._literal(ord(c)) for c in body]
                self.at = end + 2 if end >= 0 else len(source)
                continue
            atom = self._atom(depth)
            if atom is not None:
                parts.append(self._repeated(atom))
        return parts[0] if len(parts) == 1 else Concat(parts)

    def _repeated(self, atom: Tree) -> Tree:
        source = self._source
        start = self.at
        bounds = self._bounds()
        if bounds is None:
            return atom
        greedy = "U" not in self._flags
        if source.startswith("?", self.at):
            self.at += 1
            greedy = not greedy
        end = self.at
        if self._bounds() is not None:
            raise _fault("invalid nested repetition operator", source[start : self.at])
        self.at = end
        return Repeat(atom, *bounds, greedy)

    def _bounds(self) -> tuple[int, int | None] | None:
        source = self._source
        if self.at >= len(source):
            return None
        simple: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
        character = source[self.at]
        if character in simple:
            self.at += 1
            return simple[character]
        if character != "{":
            return None
        end = source.find("}", self.at)
        low, comma, high = source[self.at + 1 : end].partition(",") if end >= 0 else ("", "", "")
        if not (low.isascii() and low.isdecimal() and (not high or (high.isascii() and high.isdecimal()))):
            return None  # a brace like any other character
        least, most = int(low[:6]), (int(high[:6]) if high else None) if comma else int(low[:6])
        if least > MOST_REPEATS or (most is not None and (most > MOST_REPEATS or most < least)):
            raise _fault("invalid repeat count", source[self.at : end + 1])
        self.at = end + 1
        return least, most

    def _literal(self, code: int) -> Set:
        return Set([(code, code)], [], fold="i" in self._flags)

    def _atom(self, depth: int) -> Tree | None:
        source = self._source
        character = source[self.at]
        self.at += 1
        match character:
            case "(":
                return self._group(depth)
            case "[":
                return self._class()
            case ".":
                return Set([(0, LAST)], []) if "s" in self._flags else Set([(10, 10)], [], negated=True)
            case "^":
                return Assertion("line-start" if "m" in self._flags else "text-start")
            case "$":
                return Assertion("line-end" if "m" in self._flags else "text-end")
            case "\\":
                return self._escape()
        return self._literal(ord(character))

    def _group(self, depth: int) -> Tree | None:
        source, start, flags = self._source, self.at - 1, self._flags
        index = 0
        if source.startswith("?", self.at):
            name = self._group_name(start)
            if name:
                if name in self.names:
                    raise _fault("duplicate capture group name", name)
                self.groups += 1
                index = self.names[name] = self.groups
            elif self._group_flags(start):
                return None  # (?i) holds to the end of the enclosing group
        else:
            self.groups += 1
            index = self.groups
        inner = self.either(depth + 1)
        if not source.startswith(")", self.at):
            raise _fault("missing closing )", source)
        self.at += 1
        self._flags = flags
        return Group(inner, index) if index else inner

    def _group_name(self, start: int) -> str:
        source = self._source
        for opening in ("?P<", "?<"):
            if source.startswith(opening, self.at) and source[self.at + 2 : self.at + 3] not in ("=", "!"):
                end = source.find(">", self.at)
                name = source[self.at + len(opening) : max(end, 0)]
                if end < 0 or not name or not name.isascii() or not name.replace("_", "a").isalnum():
                    raise _fault("invalid named capture", source[start : end + 1] if end >= 0 else source[start:])
                self.at = end + 1
                return name
        return ""

    def _group_flags(self, start: int) -> bool:
        """Read `?flags:` or `?flags)`; true where the latter ends the group."""
        source = self._source
        self.at += 1
        add, remove, removing = set[str](), set[str](), False
        while self.at < len(source):
            character = source[self.at]
            self.at += 1
            if character == "-" and not removing:
                removing = True
            elif character in "imsU":
                (remove if removing else add).add(character)
            elif character in ":)" and not (removing and not remove):
                self._flags = frozenset((self._flags | add) - remove)
                return character == ")"
            else:
                break
        raise _fault("invalid or unsupported Perl syntax", source[start : self.at])

    def _escape(self) -> Tree:
        source = self._source
        if self.at >= len(source):
            raise _fault("trailing backslash at end of expression", "")
        character = source[self.at]
        places = {"A": "text-start", "z": "text-end", "b": "word", "B": "not-word"}
        if character in places:
            self.at += 1
            return Assertion(places[character])
        found = self._class_escape()
        if found is not None:
            return found
        return self._literal(self._code())

    def _class_escape(self) -> Set | None:
        r"""`\d`, `\W`, `\pL`, `\P{Greek}`, at the character behind the backslash."""
        source = self._source
        character = source[self.at]
        if character.lower() in _PERL:
            self.at += 1
            return Set(list(_PERL[character.lower()]), [], negated=character.isupper())
        if character not in "pP":
            return None
        start = self.at - 1
        self.at += 1
        if source.startswith("{", self.at):
            end = source.find("}", self.at)
            name = source[self.at + 1 : max(end, 0)]
            self.at = end + 1 if end >= 0 else len(source)
        else:
            name = source[self.at : self.at + 1]
            self.at += 1
        negated = (character == "P") != name.startswith("^")
        name = name.removeprefix("^")
        if name in _CATEGORIES:
            return Set([], [lambda c: unicodedata.category(c).startswith(name)], negated=negated)
        if name in _SCRIPTS:
            return Set([], [lambda c: unicodedata.name(c, "").startswith(name.upper() + " ")], negated=negated)
        if name == "Any":
            return Set([(0, LAST)], [], negated=negated)
        raise _fault("invalid character class range", source[start : self.at])

    def _code(self) -> int:
        """The code point of an escape, at the character behind the backslash."""
        source = self._source
        start = self.at - 1
        character = source[self.at]
        self.at += 1
        if character in _ESCAPES:
            return _ESCAPES[character]
        digits = ""
        if character == "x":
            if source.startswith("{", self.at):
                end = source.find("}", self.at)
                digits = source[self.at + 1 : max(end, 0)]
                self.at = end + 1
            else:
                digits = source[self.at : self.at + 2]
                self.at += 2
                digits = digits if len(digits) == 2 else ""
            if (
                digits
                and len(digits) < 9
                and all(c in "0123456789abcdefABCDEF" for c in digits)
                and int(digits, 16) <= LAST
            ):
                return int(digits, 16)
        elif character == "0" or (character in "1234567" and source[self.at : self.at + 1] in tuple("01234567")):
            digits = character
            while len(digits) < 3 and source[self.at : self.at + 1] in tuple("01234567"):
                digits += source[self.at]
                self.at += 1
            return int(digits, 8)
        elif character.isascii() and not character.isalnum():
            return ord(character)
        raise _fault("invalid escape sequence", source[start : max(self.at, start + 2)])

    def _class(self) -> Set:
        source, start = self._source, self.at - 1
        result = Set([], [], fold="i" in self._flags)
        if source.startswith("^", self.at):
            self.at += 1
            result.negated = True
        first = True
        while True:
            if self.at >= len(source):
                raise _fault("missing closing ]", source[start:])
            if source[self.at] == "]" and not first:
                self.at += 1
                return result
            first = False
            if source.startswith("[:", self.at) and (end := source.find(":]", self.at + 2)) >= 0:
                name = source[self.at + 2 : end]
                if name.removeprefix("^") not in _POSIX:
                    raise _fault("invalid character class range", source[self.at : end + 2])
                self.at = end + 2
                _include(result, Set(list(_POSIX[name.removeprefix("^")]), [], negated=name.startswith("^")))
                continue
            if source[self.at] == "\\" and self.at + 1 < len(source):
                self.at += 1
                found = self._class_escape()
                if found is not None:
                    _include(result, found)
                    continue
                self.at -= 1
            begin = self.at
            low = high = self._class_character(start)
            if source.startswith("-", self.at) and source[self.at + 1 : self.at + 2] not in ("]", ""):
                self.at += 1
                high = self._class_character(start)
                if high < low:
                    raise _fault("invalid character class range", source[begin : self.at])
            result.ranges.append((low, high))

    def _class_character(self, start: int) -> int:
        if self.at >= len(self._source):
            raise _fault("missing closing ]", self._source[start:])
        character = self._source[self.at]
        self.at += 1
        if character != "\\":
            return ord(character)
        if self.at >= len(self._source):
            raise _fault("trailing backslash at end of expression", "")
        return self._code()


def _include(into: Set, part: Set) -> None:
    if not part.negated and not part.tests:
        into.ranges += part.ranges
    else:
        into.tests.append(part.has)
