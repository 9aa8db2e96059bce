"""The `grep=` of log streams: does a line hold a match? In time proportional to the line, whatever the pattern.

A pattern comes in (Go's RE2 as far as Python writes it the same), a test goes out. Called by `logreading`.
Python's own `re` backtracks: `(a+)+$` on one line of a log would hold up every cron of the daemon. So the pattern is only
parsed by `re`; its tree becomes a Thompson automaton, whose sets of states are made into a table as lines need them.
No back-references and no look-around, as in RE2. `\\b` is known; a match is searched anywhere unless anchored.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

# The parser is private in name, but has been the same since Python 1.6; the tests hold it to its shape.
from re import _constants as sre  # type: ignore[attr-defined]  # isort: skip
from re import _parser  # type: ignore[attr-defined]  # isort: skip

from syncd.base.errors import Invalid

LONGEST_PATTERN: Final = 512
_MOST_STATES: Final = 4000
_MOST_ROWS: Final = 2000
"""Of the table; a pattern that wants more gets a new one, and time stays linear."""

_Test = Callable[[str], bool]


@dataclass(slots=True)
class _State:
    """test: consumes a character that passes, then `next`; None: goes on freely to all of `next`.
    where: "" or the position (^ $ b B) that must hold to go on freely."""

    test: _Test | None = None
    where: str = ""
    next: list[int] = field(default_factory=list)


class _Builder:
    """Turns the tree of a pattern into states. Each piece is built backwards: given where it leads, say where it begins."""

    def __init__(self, ignore_case: bool, dot_all: bool) -> None:
        self.states: list[_State] = [_State()]  # 0 is the end: a match
        self._ignore_case = ignore_case
        self._dot_all = dot_all

    def add(self, state: _State) -> int:
        if len(self.states) >= _MOST_STATES:
            raise Invalid("grep pattern is too large; write a smaller repetition")
        self.states.append(state)
        return len(self.states) - 1

    def sequence(self, tree: Any, then: int) -> int:
        for operation, argument in reversed(list(tree)):
            then = self.piece(operation, argument, then)
        return then

    def piece(self, operation: Any, argument: Any, then: int) -> int:
        if operation is sre.BRANCH:
            return self.add(_State(next=[self.sequence(branch, then) for branch in argument[1]]))
        if operation is sre.SUBPATTERN:
            _, on, off, tree = argument
            if on or off:
                raise Invalid("grep pattern switches flags inside; write (?i) at its beginning")
            return self.sequence(tree, then)
        if operation in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            return self.repeat(argument, then)
        if operation is sre.AT:
            where = _POSITIONS.get(argument)
            if where is None:
                raise Invalid("grep pattern holds an anchor that is not supported; use ^, $ or \\b")
            return self.add(_State(where=where, next=[then]))
        return self.add(_State(test=self.test(operation, argument), next=[then]))

    def repeat(self, argument: Any, then: int) -> int:
        least, most, tree = argument
        if most is sre.MAXREPEAT:
            loop = self.add(_State())
            self.states[loop].next = [self.sequence(tree, loop), then]
            then = loop
        else:
            for _ in range(most - least):
                then = self.add(_State(next=[self.sequence(tree, then), then]))
        for _ in range(least):
            before = self.sequence(tree, then)
            if before == then:
                break  # an empty piece stays empty however often it is repeated
            then = before
        return then

    def test(self, operation: Any, argument: Any) -> _Test:
        if operation is sre.ANY:
            return (lambda c: True) if self._dot_all else (lambda c: c != "\n")
        if operation in (sre.LITERAL, sre.NOT_LITERAL, sre.IN):
            # One character at a time, `re` itself is safe and knows case and classes best.
            text = _class_text(operation, argument)
            one = re.compile(text, re.IGNORECASE if self._ignore_case else 0)
            return lambda c: one.fullmatch(c) is not None
        raise Invalid("grep pattern uses a back-reference or look-around; neither is supported, nor is it in Argo")


def compile(pattern: str) -> Callable[[str], bool]:  # noqa: A001 - as `re.compile`
    """The test that `pattern` writes. Raises Invalid for a pattern that is wrong, too long, or not regular.

    >>> compile("exit (code|status) [1-9]")("Error: exit code 12")
    True
    """
    if len(pattern) > LONGEST_PATTERN:
        raise Invalid(f"grep pattern is longer than {LONGEST_PATTERN} characters")
    if re.escape(pattern) == pattern:
        return lambda line: pattern in line
    try:
        tree = _parser.parse(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise Invalid(f"grep pattern is malformed: {error}") from None
    flags = tree.state.flags
    builder = _Builder(bool(flags & re.IGNORECASE), bool(flags & re.DOTALL))
    try:
        start = builder.sequence(tree, 0)
    except RecursionError:
        raise Invalid("grep pattern is nested too deeply") from None
    return _Automaton(builder.states, start).found


class _Automaton:
    """Runs the states as sets, and remembers every step in a table: (set, character, what stands around) → set."""

    def __init__(self, states: list[_State], start: int) -> None:
        self._states = states
        self._start = start
        self._steps: dict[tuple[frozenset[int], str, bool, bool], frozenset[int]] = {}

    def found(self, line: str) -> bool:
        """Whether `line` holds a match."""
        now: frozenset[int] = frozenset()
        before = ""
        for character in (*line, ""):
            # "" stands for both ends of the line.
            key = (now, character, before == "", _is_word(before))
            after = self._steps.get(key)
            if after is None:
                if len(self._steps) >= _MOST_ROWS:
                    self._steps.clear()
                after = self._steps[key] = self._step(now, before, character)
            if 0 in after:
                return True
            now, before = after, character
        return False

    def _step(self, now: frozenset[int], before: str, character: str) -> frozenset[int]:
        """From the states that wait between `before` and `character`, and a fresh start there; {0} for a match."""
        reached: set[int] = set()
        waiting = [self._start, *now]
        while waiting:
            index = waiting.pop()
            if index in reached:
                continue
            reached.add(index)
            state = self._states[index]
            if state.test is None and _stands(state.where, before, character):
                waiting.extend(state.next)
        if 0 in reached:
            return frozenset([0])
        if not character:
            return frozenset()
        after: set[int] = set()
        for index in reached:
            test = self._states[index].test
            if test is not None and test(character):
                after.update(self._states[index].next)
        return frozenset(after)


_POSITIONS: Final[dict[Any, str]] = {
    sre.AT_BEGINNING: "^",
    sre.AT_BEGINNING_STRING: "^",
    sre.AT_END: "$",
    sre.AT_END_STRING: "$",
    sre.AT_BOUNDARY: "b",
    sre.AT_NON_BOUNDARY: "B",
}


def _stands(where: str, before: str, after: str) -> bool:
    match where:
        case "^":
            return not before
        case "$":
            return not after
        case "b":
            return _is_word(before) is not _is_word(after)
        case "B":
            return _is_word(before) is _is_word(after)
    return True


def _is_word(character: str) -> bool:
    return bool(character) and (character.isalnum() or character == "_")


_CATEGORIES: Final[dict[Any, str]] = {
    sre.CATEGORY_DIGIT: r"\d",
    sre.CATEGORY_NOT_DIGIT: r"\D",
    sre.CATEGORY_SPACE: r"\s",
    sre.CATEGORY_NOT_SPACE: r"\S",
    sre.CATEGORY_WORD: r"\w",
    sre.CATEGORY_NOT_WORD: r"\W",
}


def _class_text(operation: Any, argument: Any) -> str:
    """A character class in `re`'s own words, for one node of the tree."""
    if operation is sre.LITERAL:
        return re.escape(chr(argument))
    if operation is sre.NOT_LITERAL:
        return f"[^{re.escape(chr(argument))}]"
    text = ""
    for kind, value in argument:
        if kind is sre.NEGATE:
            text += "^"
        elif kind is sre.LITERAL:
            text += re.escape(chr(value))
        elif kind is sre.RANGE:
            text += f"{re.escape(chr(value[0]))}-{re.escape(chr(value[1]))}"
        else:
            text += _CATEGORIES[value]
    return f"[{text}]"
