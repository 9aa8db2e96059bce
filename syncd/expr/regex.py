"""Go's regular expressions: matching in time proportional to the text, whatever the pattern. Called by `closures` and `sprig`.

Simple patterns are handed to Python's engine, translated from the tree so that they mean the same. All others, whose
backtracking could take for ever, run as a set of threads over the text (Pike's machine), paid for step by step.
Leftmost-first like Go's and Perl's; Go 1.24 regexp.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Final

from syncd.expr import regex_syntax as syntax
from syncd.expr import values
from syncd.expr.regex_syntax import Assertion, Concat, Either, Group, Repeat, Set, Tree
from syncd.expr.values import EvaluationProblem

LONGEST_SUBJECT: Final = 1_000_000
_MOST_INSTRUCTIONS: Final = 5_000
_QUICK: Final = 5_000_000  # character comparisons that Python's engine may take in the worst case

Spend = Callable[[int], None]
Span = tuple[int, int]
Found = tuple[int | None, ...]


class Pattern:
    """A compiled pattern. All positions are indices of characters."""

    __slots__ = ("_loops", "_names", "_program", "_quick", "groups")

    def __init__(self, source: str) -> None:
        parsed = syntax.parse(source)
        self.groups = parsed.groups
        self._names = parsed.names
        self._program = _assemble(parsed.tree, source)
        self._loops, simple = _loops(parsed.tree)
        self._quick = re.compile(_python(parsed.tree)) if simple else None

    def use_threads_only(self) -> None:
        """Leave Python's engine aside; for tests, which compare the two."""
        self._quick = None

    def search(self, text: str, spend: Spend) -> bool:
        """Whether it matches anywhere."""
        return self.find(text, 0, spend) is not None

    def find(self, text: str, start: int, spend: Spend) -> Found | None:
        """The first match from `start` on: begin and end of the whole, then of each group, None where it took no part."""
        if len(text) > LONGEST_SUBJECT:
            raise EvaluationProblem(f"text of more than {LONGEST_SUBJECT} characters for a regular expression")
        if self._quick is not None and (len(text) - start + 1) ** (self._loops + 1) <= _QUICK:
            spend((len(text) - start) // 64 + 1)
            found = self._quick.search(text, start)
            if found is None:
                return None
            return tuple(None if at < 0 else at for group in found.regs for at in group)
        return _pike(self._program, 2 * (self.groups + 1), text, start, spend)

    def matches(self, text: str, spend: Spend) -> Iterator[Found]:
        """All matches that do not overlap, as Go's FindAll: no empty one right behind another."""
        at, last_end = 0, -1
        while at <= len(text):
            found = self.find(text, at, spend)
            if found is None:
                return
            begin, end = found[0], found[1] or 0
            accept = end != at or begin != last_end
            at = end + 1 if end == at else end
            last_end = end
            if accept:
                yield found

    def spans(self, text: str, most: int, spend: Spend) -> list[Span]:
        """Begin and end of the matches; most: how many, negative means all."""
        result: list[Span] = []
        if most == 0:
            return result
        for found in self.matches(text, spend):
            spend(1)
            result.append((found[0] or 0, found[1] or 0))
            if len(result) == most:
                break
        return result

    def replace(self, text: str, template: str, spend: Spend) -> str:
        """All matches replaced by the template, in which `$1`, `${name}` and `$$` are known."""
        out: list[str] = []
        done = size = 0
        for found in self.matches(text, spend):
            begin, end = found[0] or 0, found[1] or 0
            new = self._expand(template, text, found)
            out += [text[done:begin], new]
            size += len(new)
            spend(len(new) // 64 + 1)
            if size > values.LONGEST_TEXT:
                raise EvaluationProblem("memory budget exceeded")
            done = end
        return values.limited("".join(out) + text[done:])

    def split(self, text: str, most: int, spend: Spend) -> list[str]:
        """The text between matches; most: how many parts, negative means all."""
        if most == 0:
            return []
        if not text:
            return [""]
        parts: list[str] = []
        begin = end = 0
        for first, last in self.spans(text, most, spend):
            if most > 0 and len(parts) == most - 1:
                break
            end = first
            if last:
                parts.append(text[begin:end])
            begin = last
        if end != len(text):
            parts.append(text[begin:])
        return parts

    def _expand(self, template: str, text: str, found: Found) -> str:
        def group(match: re.Match[str]) -> str:
            if match[0] == "$$":
                return "$"
            name = match[1] or match[2]
            if name.isdecimal():
                index = int(name) if len(name) < 6 and (name == "0" or name[0] != "0") else -1
            else:
                index = self._names.get(name, -1)
            if not 0 <= index <= self.groups or found[2 * index] is None:
                return ""
            return text[found[2 * index] : found[2 * index + 1]]

        return _TEMPLATE.sub(group, template)


_TEMPLATE: Final = re.compile(r"\$\$|\$\{([0-9A-Za-z_]+)\}|\$([0-9A-Za-z_]+)")


@lru_cache(maxsize=128)
def compile(source: str) -> Pattern:  # noqa: A001  # the word for it
    """The pattern. Raises EvaluationProblem in Go's words."""
    return Pattern(source)


# -- for Python's engine


def _loops(tree: Tree) -> tuple[int, bool]:
    """How many loops follow each other, and whether none of them holds another loop or a choice."""
    match tree:
        case Repeat(inner=inner, most=most):
            count, simple = _loops(inner)
            return count + (most is None or most > 1), simple and count == 0 and not _chooses(inner)
        case Concat(parts=parts) | Either(options=parts):
            found = [_loops(part) for part in parts]
            return sum(count for count, _ in found), all(simple for _, simple in found) and _few_optional(parts)
        case Group(inner=inner):
            return _loops(inner)
        case Set(tests=tests):
            return 0, not tests
        case _:
            return 0, True


def _few_optional(parts: list[Tree]) -> bool:
    return sum(isinstance(part, Repeat) and part.least != part.most for part in parts) < 8


def _chooses(tree: Tree) -> bool:
    match tree:
        case Set():
            return False
        case Group(inner=inner):
            return _chooses(inner)
        case Concat(parts=parts):
            return any(map(_chooses, parts)) or not parts
        case _:
            return True


_PYTHON_PLACES: Final = {
    "text-start": r"\A",
    "text-end": r"\Z",
    "line-start": r"(?m:^)",
    "line-end": r"(?m:$)",
    "word": r"(?a:\b)",
    "not-word": r"(?a:(?!\b))",
}


def _python(tree: Tree) -> str:
    """The pattern in Python's words."""
    match tree:
        case Set():
            ranges = "".join(f"{_character(low)}-{_character(high)}" for low, high in tree.ranges)
            body = f"[{'^' if tree.negated else ''}{ranges}]" if ranges else (r"[\s\S]" if tree.negated else "(?!)")
            return f"(?i:{body})" if tree.fold else body
        case Assertion(kind=kind):
            return _PYTHON_PLACES[kind]
        case Concat(parts=parts):
            return "".join(map(_python, parts))
        case Either(options=options):
            return "(?:" + "|".join(map(_python, options)) + ")"
        case Group(inner=inner):
            return f"({_python(inner)})"
        case Repeat(inner=inner, least=least, most=most, greedy=greedy):
            count = f"{{{least},{'' if most is None else most}}}"
            return f"(?:{_python(inner)}){count}{'' if greedy else '?'}"


def _character(code: int) -> str:
    return f"\\U{code:08x}"


# -- Pike's machine: a program of ("set", s) ("split", first, second) ("jump", to) ("save", slot) ("assert", kind) ("match",)

Instruction = tuple[Any, ...]


def _assemble(tree: Tree, source: str) -> list[Instruction]:
    program: list[Instruction] = [("save", 0)]
    visits = 0

    def emit(instruction: Instruction) -> int:
        if len(program) >= _MOST_INSTRUCTIONS:
            raise EvaluationProblem(f"error parsing regexp: expression too large: `{source}`")
        program.append(instruction)
        return len(program) - 1

    def fork(at: int, on: int, away: int, greedy: bool) -> None:
        program[at] = ("split", on, away) if greedy else ("split", away, on)

    def add(node: Tree) -> None:
        nonlocal visits
        visits += 1
        if visits > 4 * _MOST_INSTRUCTIONS:  # repeats of nothing emit nothing
            raise EvaluationProblem(f"error parsing regexp: expression too large: `{source}`")
        match node:
            case Set():
                emit(("set", node.has))
            case Assertion(kind=kind):
                emit(("assert", kind))
            case Concat(parts=parts):
                for part in parts:
                    add(part)
            case Group(inner=inner, index=index):
                emit(("save", 2 * index))
                add(inner)
                emit(("save", 2 * index + 1))
            case Either(options=options):
                jumps = []
                for option in options[:-1]:
                    at = emit(())
                    add(option)
                    jumps.append(emit(()))
                    program[at] = ("split", at + 1, len(program))
                add(options[-1])
                for jump in jumps:
                    program[jump] = ("jump", len(program))
            case Repeat(inner=inner, least=least, most=most, greedy=greedy):
                for _ in range(least if most is not None else least - 1):
                    add(inner)
                if most is None:  # x* is (x+)?, so that an empty x has the right priority
                    skip = emit(()) if least == 0 else -1
                    begin = len(program)
                    add(inner)
                    at = emit(())
                    fork(at, begin, at + 1, greedy)
                    if skip >= 0:
                        fork(skip, begin, at + 1, greedy)
                else:
                    forks = []
                    for _ in range(most - least):
                        forks.append(emit(()))
                        add(inner)
                    for at in forks:
                        fork(at, at + 1, len(program), greedy)

    add(tree)
    emit(("save", 1))
    emit(("match",))
    return program


def _holds(kind: str, text: str, at: int) -> bool:
    match kind:
        case "text-start":
            return at == 0
        case "text-end":
            return at == len(text)
        case "line-start":
            return at == 0 or text[at - 1] == "\n"
        case "line-end":
            return at == len(text) or text[at] == "\n"
    before = at > 0 and _is_word(text[at - 1])
    after = at < len(text) and _is_word(text[at])
    return (before != after) is (kind == "word")


def _is_word(character: str) -> bool:
    return character.isascii() and (character.isalnum() or character == "_")


Thread = tuple[int, Found]


def _pike(program: list[Instruction], slots: int, text: str, start: int, spend: Spend) -> Found | None:
    """All threads move over the text together, in the order of their priority; none stands twice at one instruction."""
    nothing: Found = (None,) * slots
    threads: list[Thread] = []
    best: Found | None = None
    for at in range(start, len(text) + 1):
        seen: set[int] = set()
        ready: list[Thread] = []
        for thread in threads:
            _follow(program, thread, text, at, seen, ready)
        if best is None:
            _follow(program, (0, nothing), text, at, seen, ready)
        if not ready and best is not None:
            break
        spend((len(seen) + 3) // 4)
        threads = []
        for where, saved in ready:
            instruction = program[where]
            if instruction[0] == "match":
                best = saved
                break  # what comes after has less priority
            if at < len(text) and instruction[1](text[at]):
                threads.append((where + 1, saved))
    return best


def _follow(
    program: list[Instruction], thread: Thread, text: str, at: int, seen: set[int], ready: list[Thread]
) -> None:
    """Everything that is reached without reading a character."""
    waiting = [thread]
    while waiting:
        where, saved = waiting.pop()
        if where in seen:
            continue
        seen.add(where)
        instruction = program[where]
        match instruction[0]:
            case "jump":
                waiting.append((instruction[1], saved))
            case "split":
                waiting.append((instruction[2], saved))
                waiting.append((instruction[1], saved))
            case "save":
                slot = instruction[1]
                waiting.append((where + 1, (*saved[:slot], at, *saved[slot + 1 :])))
            case "assert":
                if _holds(instruction[1], text, at):
                    waiting.append((where + 1, saved))
            case _:
                ready.append((where, saved))
