"""Tags in texts: `{{inputs.parameters.x}}` and `{{=expression}}`, found and replaced in any JSON value.

In: a JSON value and an Environment. Out: the same value where no tag was replaced, else a new one. Called by `engine`
(templates, arguments, when), `cron` and `validate`.

Argo replaces in the JSON text of a template (v4.1.2 util/template); this works on the decoded strings and mapping keys, which
comes to the same but for two faults of Argo's: a control character in a value breaks the JSON there, and a tag may begin in
one string and end in another. Replaced text is not looked at again in the same pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from syncd.base import clock
from syncd.base.errors import Invalid
from syncd.expr import evaluate, gotext, values
from syncd.expr.environment import MISSING, Environment, Impurity
from syncd.expr.lexer import SyntaxProblem
from syncd.expr.values import EvaluationProblem

DEEPEST: Final = 200
"""Levels of nesting of a JSON value."""

LATE: Final = frozenset(
    [
        "item",
        "retries",
        "lastRetry.exitCode",
        "lastRetry.status",
        "lastRetry.duration",
        "lastRetry.message",
        "workflow.status",
        "workflow.failures",
    ]
)
"""Variables that come later: an expression that lacks one is left for a later pass rather than judged without it."""


class Unresolved(Invalid):
    """A tag has no value. tag: its text; terminal: it never will have one, so that waiting does not help."""

    def __init__(self, message: str, tag: str, terminal: bool = False) -> None:
        super().__init__(message)
        self.tag = tag
        self.terminal = terminal


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag in a text. start, end: its place, braces included; text: what is between them, trimmed, without the `=`."""

    start: int
    end: int
    text: str
    is_expression: bool


def has_tags(text: str) -> bool:
    """Whether there may be a tag; cheap."""
    return "{{" in text


def find(text: str) -> list[Tag]:
    """All tags of a text in order; of nested ones (`{{a.{{b}}}}`) the innermost, since only its name is known.

    >>> [(t.text, t.is_expression) for t in find("{{ a }} {{=b + 1}} {{x.{{c}}}} {{open")]
    [('a', False), ('b + 1', True), ('c', False)]
    """
    return [piece.as_tag() for piece in _pieces(text) if isinstance(piece, _Piece)]


def references(value: Any) -> Iterator[str]:
    """The names that a JSON value needs: of each simple tag, and each dotted path in expressions; repeated as they occur.

    An expression that cannot be read has none.
    """
    waiting = [value]
    while waiting:
        at = waiting.pop()
        if isinstance(at, str):
            if "{{" in at:
                for tag in find(at):
                    yield from _names(tag)
        elif isinstance(at, dict):
            waiting.extend(reversed(at.values()))
            waiting.extend(key for key in at if isinstance(key, str) and "{{" in key)
        elif isinstance(at, list):
            waiting.extend(reversed(at))


def _names(tag: Tag) -> list[str]:
    if not tag.is_expression:
        return [tag.text]
    try:
        return sorted(evaluate.compile(tag.text).paths)
    except SyntaxProblem:
        return []


def substitute(
    value: Any,
    env: Environment,
    *,
    allow_unresolved: bool,
    strict: tuple[str, ...] = (),
    impurity: Impurity | None = None,
) -> Any:
    """The value with its tags replaced; the very same object where nothing changed.

    allow_unresolved: leave tags that have no value as they stand, unless their name begins with one of `strict`
    (whole steps: "tasks" is the prefix of "tasks.a", not of "tasksA"). Raises Unresolved.

    >>> from syncd.expr.environment import Variables
    >>> substitute({"args": ["{{x}} {{y}}"]}, Variables({"x": "1"}), allow_unresolved=True)
    {'args': ['1 {{y}}']}
    """
    return compile(value).render(env, allow_unresolved=allow_unresolved, strict=strict, impurity=impurity)


class Compiled:
    """A JSON value whose tags have been found once, to be rendered many times. names: as `references`, each once."""

    __slots__ = ("_plan", "_value", "names")

    def __init__(self, value: Any) -> None:
        self._value = value
        self._plan = _plan(value, 0)
        self.names: frozenset[str] = frozenset(references(value)) if self._plan is not None else frozenset()

    @property
    def is_constant(self) -> bool:
        """Whether there is no tag at all."""
        return self._plan is None

    def render(
        self,
        env: Environment,
        *,
        allow_unresolved: bool,
        strict: tuple[str, ...] = (),
        impurity: Impurity | None = None,
    ) -> Any:
        """As `substitute`. O(1) for a value without tags, else in the size of the parts that have some."""
        if self._plan is None:
            return self._value
        return _render(self._value, self._plan, _Pass(env, allow_unresolved, strict, impurity))


def compile(value: Any) -> Compiled:  # noqa: A001  # the word for it
    """The value, made ready for `render`. It must not change afterwards. Raises Invalid where it nests too deeply."""
    return Compiled(value)


# -- plans: None for a part without tags, _Text for a string, {key: plan} or {index: plan} for the rest


@dataclass(frozen=True, slots=True)
class _Piece:
    """One tag, ready to be resolved. prefix: what stands between the outer braces and the inner ones of a nested tag."""

    start: int
    end: int
    whole: str  # between the braces, as written
    name: str  # trimmed; of a nested tag the whole of it
    inner: str | None  # the innermost tag of a nested one, as written
    prefix: str
    expression: str | None

    def as_tag(self) -> Tag:
        if self.expression is not None:
            return Tag(self.start, self.end, self.expression.strip(), True)
        if self.inner is not None:
            return Tag(self.start + 2 + len(self.prefix), self.end, self.inner.strip(), False)
        return Tag(self.start, self.end, self.name, False)


_Text = tuple["str | _Piece", ...]


@dataclass(frozen=True, slots=True)
class _Mapping:
    keys: dict[str, _Text]
    parts: dict[Any, Any]


def _pieces(text: str) -> _Text:
    """The text cut at its tags: the first `}}` behind a `{{` ends it, as in Argo's fasttemplate."""
    result: list[str | _Piece] = []
    done = 0
    while (start := text.find("{{", done)) >= 0:
        end = text.find("}}", start + 2)
        if end < 0:
            break
        if start > done:
            result.append(text[done:start])
        result.append(_piece(start, end + 2, text[start + 2 : end]))
        done = end + 2
    if done < len(text):
        result.append(text[done:])
    return tuple(result)


def _piece(start: int, end: int, whole: str) -> _Piece:
    if whole.startswith("="):
        return _Piece(start, end, whole, "", None, "", whole[1:])
    at = whole.rfind("{{")
    if at > 0:
        return _Piece(start, end, whole, whole.strip(), whole[at + 2 :], whole[:at], None)
    return _Piece(start, end, whole, whole.strip(), None, "", None)


@lru_cache(maxsize=1024)
def _pieces_cached(text: str) -> _Text:
    return _pieces(text)


def _text_plan(text: str) -> _Text | None:
    if "{{" not in text:
        return None
    pieces = _pieces_cached(text) if len(text) < 1000 else _pieces(text)
    return pieces if any(isinstance(piece, _Piece) for piece in pieces) else None


def _plan(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return _text_plan(value)
    if depth > DEEPEST:
        raise Invalid(f"value is nested more than {DEEPEST} levels deep")
    if isinstance(value, dict):
        keys: dict[str, _Text] = {}
        parts: dict[Any, Any] = {}
        for key, item in value.items():
            if isinstance(key, str) and "{{" in key and (plan := _text_plan(key)) is not None:
                keys[key] = plan
            if (plan := _plan(item, depth + 1)) is not None:
                parts[key] = plan
        return _Mapping(keys, parts) if keys or parts else None
    if isinstance(value, list):
        found = {}
        for index, item in enumerate(value):
            if (plan := _plan(item, depth + 1)) is not None:
                found[index] = plan
        return found or None
    return None


# -- rendering


class _Pass:
    """One rendering: the environment and the rules of the pass."""

    __slots__ = ("_impurity", "_lenient", "_strict", "env")

    def __init__(self, env: Environment, allow: bool, strict: tuple[str, ...], impurity: Impurity | None) -> None:
        self.env = env
        self._lenient = allow
        self._strict = tuple(prefix.rstrip(".") for prefix in strict)
        self._impurity = impurity

    def must_resolve(self, name: str) -> bool:
        """Whether a tag of that name may not be left as it stands."""
        if not self._lenient:
            return True
        return any(name == prefix or name.startswith(prefix + ".") for prefix in self._strict)

    def text(self, original: str, plan: _Text) -> str:
        out = [piece if isinstance(piece, str) else self._tag(piece) for piece in plan]
        size = sum(map(len, out))
        if size > values.LONGEST_TEXT:
            raise Unresolved(f"text grew beyond {values.LONGEST_TEXT} characters", "", terminal=True)
        result = "".join(out)
        return original if result == original else result

    def _tag(self, piece: _Piece) -> str:
        if piece.expression is not None:
            return self._expression(piece, piece.expression)
        value = self.env.lookup(piece.name)
        if value is MISSING:
            return self._nested(piece)
        if value is None:
            raise Unresolved(
                f"unable to substitute {{{{{piece.whole}}}}}: output is an absent optional "
                "(skipped/omitted node with no default)",
                piece.name,
                terminal=True,
            )
        return shown(value)

    def _nested(self, piece: _Piece) -> str:
        if piece.inner is not None:
            value = self.env.lookup(piece.inner)
            if value is None:
                raise Unresolved(
                    f'unable to substitute nested tag {{{{{piece.whole}}}}}: "{piece.inner}" is an absent optional',
                    piece.inner,
                    terminal=True,
                )
            if value is not MISSING:
                return "{{" + piece.prefix + shown(value)
        if self.must_resolve(piece.name) and not (self._lenient and ".outputs.artifacts." in piece.name):
            raise Unresolved(f"failed to resolve {{{{{piece.whole}}}}}", piece.name)
        return "{{" + piece.whole + "}}"

    def _expression(self, piece: _Piece, source: str) -> str:
        verbatim = "{{" + piece.whole + "}}"
        try:
            program = evaluate.compile(source)
        except SyntaxProblem as problem:
            if self._lenient and not self._strict:
                return verbatim
            raise Unresolved(f"failed to evaluate expression: {problem}", source.strip(), terminal=True) from None
        missing = program.missing(self.env)
        for name in missing:
            if self.must_resolve(name):
                raise Unresolved(f"failed to evaluate expression: {name} is missing", source.strip())
        lenient = bool(missing) or (self._lenient and not self._strict)
        if lenient and not LATE.isdisjoint(missing):
            return verbatim
        try:
            value = program.run(self.env, impurity=self._impurity)
            if value is None:
                if lenient:
                    return verbatim
                raise Unresolved(f'failed to evaluate expression "{source}"', source.strip(), terminal=True)
            return value if isinstance(value, str) else gotext.json_text(value)
        except EvaluationProblem as problem:
            if lenient:
                return verbatim
            raise Unresolved(f"failed to evaluate expression: {problem}", source.strip(), terminal=True) from None


def shown(value: object) -> str:
    """A variable's value as a simple tag shows it: a string as it is, a moment in RFC 3339, anything else as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return clock.rfc3339(values.as_utc(value))
    return gotext.json_text(value, html=False)


def _render(value: Any, plan: Any, rules: _Pass) -> Any:
    if isinstance(value, str):
        return rules.text(value, plan)
    if isinstance(value, list):
        changed = {}
        for index, part in plan.items():
            if (new := _render(value[index], part, rules)) is not value[index]:
                changed[index] = new
        return [changed.get(index, item) for index, item in enumerate(value)] if changed else value
    keys = {key: rules.text(key, part) for key, part in plan.keys.items()}
    result: dict[Any, Any] = {}
    same = True
    for key, item in value.items():
        part = plan.parts.get(key)
        new = item if part is None else _render(item, part, rules)
        name = keys.get(key, key)
        same = same and new is item and name is key
        result[name] = new
    return value if same else result
