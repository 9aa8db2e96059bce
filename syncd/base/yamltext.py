"""Multi-document YAML and JSON, read as Kubernetes reads it, with the place of everything.

In come the bytes or the text of one file; out come its documents in order, each a JSON value with its marks, and the
faults of what could not be read: a bad document does not hide its neighbours. `source.decode`, `config.load` and the
command line call it. The only import of `yaml`.

Theory of operation. The text is cut at its `---` lines (no scalar may hold one, so each is a boundary), and every piece
goes through libyaml's event parser and a constructor of our own. Events, not nodes: depth and node budgets are checked
while reading, before a bomb has grown, and libyaml's recursive composer is never entered. Scalars resolve as in
sigs.k8s.io/yaml (its goyaml.v2/resolve.go), which is neither YAML 1.1 nor 1.2: `yes` and `y` are booleans, `0o10` is 8,
`12:30` and dates are strings, keys become strings. Numbers end as JSON would carry them: `1.0` is 1.
Marks cost as much as the values and are rarely asked for, so a document reads its own text a second time on demand.
No message holds content of the file beyond the key that it is about: what was refused may be a secret.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from yaml import _yaml, error, events

from syncd.base import scalars, yamlfaults
from syncd.base.yamlfaults import Fault, shown

__all__ = ["Document", "Fault", "Limits", "Mark", "Marks", "Path", "documents", "shown"]

Path = tuple[str | int, ...]
Mark = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a file may cost. size_bytes, documents: per file; nodes, depth: per document, aliases counted as expanded."""

    size_bytes: int = 3 * 1024 * 1024
    documents: int = 2000
    nodes: int = 250_000
    depth: int = 100


@dataclass(frozen=True, slots=True)
class Document:
    """One document. value: JSON values only; marks: path → (line, column) from 1, of the key for a mapping's entry;
    line, column: where its value begins; faults: what it can be read in spite of (a key that is there twice)."""

    value: Any
    marks: Mapping[Path, Mark]
    line: int
    column: int
    faults: tuple[Fault, ...] = ()


def documents(text: bytes | str, *, limits: Limits | None = None) -> Iterator[Document | Fault]:
    """The documents of a file in order, and a Fault for each piece that is none. Empty documents are left out.

    Never raises, whatever the bytes are; work and memory are bounded by `limits`.

    >>> [d.value for d in documents("a: yes\\n---\\nb: [1.0, 0o17]\\n")]
    [{'a': True}, {'b': [1, 15]}]
    """
    limits = limits or Limits()
    decoded = _decoded(text, limits)
    if isinstance(decoded, Fault):
        yield decoded
        return
    count = 0
    for number, (piece, line) in enumerate(_pieces(decoded)):
        if number > 2 * limits.documents:  # empty ones cost, too
            yield Fault("V103", f"more than {limits.documents} documents in one file", "split the file", line + 1, 1)
            return
        for found in _read(piece, line, limits):
            count += isinstance(found, Document)
            if count > limits.documents:
                yield Fault(
                    "V103", f"more than {limits.documents} documents in one file", "split the file", found.line, 1
                )
                return
            yield found


_BOMS: Final = ((b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"), (b"\x00\x00\xfe\xff", "UTF-32"))


def _decoded(text: bytes | str, limits: Limits) -> str | Fault:
    if len(text) > limits.size_bytes:
        return Fault(
            "V103",
            f"file has {len(text)} bytes, the limit is {limits.size_bytes}",
            "split the file, or raise limits.fileBytes",
        )
    if isinstance(text, bytes):
        for bom, name in _BOMS:
            if text.startswith(bom):
                return Fault("V106", f"file is {name}", "save it as UTF-8")
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError as wrong:
            before = wrong.object[: wrong.start].decode()
            where = yamlfaults.position(before, len(before))
            return Fault("V106", "byte that is not UTF-8", "save the file as UTF-8", *where)
    elif (bad := _SURROGATE.search(text)) is not None:
        return Fault(
            "V106", "character that is not Unicode", "save the file as UTF-8", *yamlfaults.position(text, bad.start())
        )
    return text


_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_BOUNDARY: Final = re.compile(r"^---(?=[ \t\r\n]|\Z)", re.MULTILINE)
_DIRECTIVE: Final = re.compile(r"^%", re.MULTILINE)


def _pieces(text: str) -> Iterator[tuple[str, int]]:
    """The text cut before each `---` line, with the 0-based line of each piece; whole where directives speak."""
    starts = [] if _DIRECTIVE.search(text) else [match.start() for match in _BOUNDARY.finditer(text)]
    if not starts or starts[0] != 0:
        starts.insert(0, 0)
    line = 0
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        piece = text[start:end]
        yield piece, line
        line += piece.count("\n")


def _read(text: str, line: int, limits: Limits) -> Iterator[Document | Fault]:
    """The documents of one piece; a fault ends it."""
    number = 0
    if _BREAKS.search(text) is not None and (found := _json(text, line, limits)) is not None:
        yield found
        return
    try:
        reader = _Reader(text, line, limits)
        while (event := reader.next()).__class__ is not events.StreamEndEvent:
            if event.__class__ is not events.DocumentStartEvent:
                continue
            root = reader.next()
            value, faults = reader.document(root)
            reader.next()  # its end: what follows the value may still spoil it
            if value is not None or faults:
                mark = root.start_mark
                marks = Marks(text, line, number, limits)
                yield Document(value, marks, line + mark.line + 1, mark.column + 1, faults)
            number += 1
    except _Refused as refused:
        yield refused.fault
    except error.YAMLError as wrong:
        if number == 0 and (found := _json(text, line, limits)) is not None:
            yield found
        else:
            yield yamlfaults.syntax(text, line, wrong)


_BREAKS: Final = re.compile("[\\x85\\u2028\\u2029]")
"""Line breaks to YAML 1.1, which folds them; plain characters to JSON."""


def _json(text: str, line: int, limits: Limits) -> Document | None:
    """The one JSON value that `text` is; None where it is none. JSON that libyaml refuses: pairs of surrogates, long keys."""
    body = text.strip()
    if not body.startswith(("{", "[")):
        return None
    try:
        value = json.loads(
            body,
            object_pairs_hook=_without_duplicates,
            parse_float=scalars.resolve,
            parse_int=scalars.resolve,
            parse_constant=_no_constant,
        )
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    deep = [(value, 1)]
    nodes = 0
    while deep:
        inner, depth = deep.pop()
        nodes += 1
        if depth > limits.depth or nodes > limits.nodes:
            return None
        if isinstance(inner, dict):
            deep.extend((child, depth + 1) for child in inner.values())
        elif isinstance(inner, list):
            deep.extend((child, depth + 1) for child in inner)
    where = yamlfaults.position(text, len(text) - len(text.lstrip()))
    return Document(value, Marks(text, line, 0, limits), line + where[0], where[1])


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("duplicate key")
    return value


def _no_constant(_: str) -> Any:
    raise ValueError("not JSON")


class _Refused(Exception):
    def __init__(self, fault: Fault) -> None:
        self.fault = fault


class _Reader:
    """The constructor: events in, JSON values out."""

    def __init__(self, text: str, line: int, limits: Limits) -> None:
        self.next: Callable[[], Any] = _yaml.CParser(text).get_event
        self._line = line
        self._limits = limits

    def document(self, root: Any) -> tuple[Any, tuple[Fault, ...]]:
        """The value that begins with event `root`, and the faults that it can be read in spite of."""
        self._nodes = 0
        self._anchors: dict[str, tuple[Any, int, int]] = {}  # name → value, its nodes, its depth
        self._open: set[str] = set()
        self._trail: list[str | int] = []
        self._faults: list[Fault] = []
        self._plain: dict[str, Any] = {}
        self._deepest = 0
        value = self._node(root, 1)
        return value, tuple(self._faults)

    def _node(self, event: Any, depth: int) -> Any:
        kind = event.__class__
        if kind is events.ScalarEvent:
            self._nodes += 1
            value = self._scalar(event)
            if event.anchor is not None:
                self._anchors[event.anchor] = (value, 1 + (len(event.value) >> 6), 0)
            return value
        if kind is events.AliasEvent:
            return self._alias(event, depth)
        if depth > self._limits.depth:
            raise self._refuse(event, "V105", f"nested deeper than {self._limits.depth} levels", "flatten it")
        self._deepest = max(self._deepest, depth)
        anchor = event.anchor
        if anchor is None:
            return self._mapping(depth) if kind is events.MappingStartEvent else self._sequence(depth)
        before, deepest, self._deepest = self._nodes, self._deepest, depth
        self._open.add(anchor)
        value = self._mapping(depth) if kind is events.MappingStartEvent else self._sequence(depth)
        self._open.discard(anchor)
        self._anchors[anchor] = (value, self._nodes - before, self._deepest - depth + 1)
        self._deepest = max(deepest, self._deepest)
        return value

    def _sequence(self, depth: int) -> list[Any]:
        out: list[Any] = []
        trail = self._trail
        while (event := self.next()).__class__ is not events.SequenceEndEvent:
            trail.append(len(out))
            out.append(self._node(event, depth + 1))
            trail.pop()
            self._check(event)
        self._nodes += 1
        return out

    def _mapping(self, depth: int) -> dict[str, Any]:
        out: dict[str, Any] = {}
        lines: dict[str, int] = {}
        merges: list[tuple[Any, Any]] = []
        trail = self._trail
        scalar_event, mapping_end = events.ScalarEvent, events.MappingEndEvent
        while (event := self.next()).__class__ is not mapping_end:
            key = self._key(event)
            if key is None:
                merges.append((event, self._node(self.next(), depth + 1)))
                continue
            if key in lines:
                where = self._line + event.start_mark.line + 1, event.start_mark.column + 1
                message = f"key {shown(key)} is there twice (first in line {lines[key]})"
                self._faults.append(Fault("V102", message, "keep one of them", *where, path=(*trail, key)))
            else:
                lines[key] = self._line + event.start_mark.line + 1
            inner = self.next()
            if inner.__class__ is scalar_event and inner.anchor is None:
                out[key] = self._scalar(inner)
                self._nodes += 2
            else:
                trail.append(key)
                out[key] = self._node(inner, depth + 1)
                trail.pop()
                self._nodes += 1
            self._check(event)
        for event, merged in merges:
            for source in merged if isinstance(merged, list) else [merged]:
                if not isinstance(source, dict):
                    raise self._refuse(
                        event, "V101", "`<<` merges something that is no mapping", "give it an alias of a mapping"
                    )
                for key, value in source.items():
                    out.setdefault(key, value)
                self._nodes += 2 * len(source)
            self._check(event)
        self._nodes += 1
        return out

    def _key(self, event: Any) -> str | None:
        """The text of a key; None for `<<`, the merge."""
        if event.__class__ is events.AliasEvent:
            value = self._alias(event, 0)
        elif event.__class__ is not events.ScalarEvent:
            raise self._refuse(event, "V101", "key that is a list or a mapping", "quote a key that begins with [ or {")
        elif event.tag is None and event.anchor is None and not event.implicit[0]:
            return sys.intern(event.value)
        elif event.value == "<<" and (event.implicit[0] or event.tag == _MERGE_TAG):
            return None
        else:
            value = self._node(event, 0)
        text = scalars.key_text(value)
        if text is None:
            raise self._refuse(event, "V101", "key that is empty, a list or a mapping", "give the key a name")
        return sys.intern(text)

    def _scalar(self, event: Any) -> Any:
        text: str = event.value
        tag = event.tag
        if tag is None:
            if not event.implicit[0] or text[:1] not in scalars.HINTS:
                return text
            try:
                return self._plain[text]
            except KeyError:
                value = scalars.resolve(text)
                if value is scalars.NOT_JSON:
                    message = "number that JSON has no word for (infinite, or not a number)"
                    raise self._refuse(event, "V101", message, "quote it") from None
                self._plain[text] = value
                return value
        value = scalars.resolve_tagged(tag, text)
        if value is scalars.NOT_JSON:
            raise self._refuse(event, "V101", f"value does not fit its tag {shown(tag)}", "drop the tag")
        return value

    def _alias(self, event: Any, depth: int) -> Any:
        name = event.anchor
        if name in self._open:
            raise self._refuse(event, "V104", f"alias {shown(name)} stands inside what it names", "write the value out")
        if name not in self._anchors:
            raise self._refuse(event, "V101", f"alias {shown(name)} names no anchor", "anchors end with their document")
        value, nodes, height = self._anchors[name]
        if depth + height - 1 > self._limits.depth:
            raise self._refuse(event, "V105", f"aliases nest deeper than {self._limits.depth} levels", "flatten it")
        self._deepest = max(self._deepest, depth + height - 1)
        self._nodes += nodes
        self._check(event)
        return value

    def _check(self, event: Any) -> None:
        if self._nodes > self._limits.nodes:
            message = f"more than {self._limits.nodes} values in one document, aliases written out"
            raise self._refuse(event, "V104", message, "split the document, or use fewer aliases")

    def _refuse(self, event: Any, code: str, message: str, remedy: str) -> _Refused:
        mark = event.start_mark
        return _Refused(Fault(code, message, remedy, self._line + mark.line + 1, mark.column + 1, tuple(self._trail)))


_MERGE_TAG: Final = "tag:yaml.org,2002:merge"


class Marks(Mapping[Path, Mark]):
    """Where everything in a document stands; read from its text the first time that somebody asks."""

    __slots__ = ("_found", "_limits", "_line", "_number", "_text")

    def __init__(self, text: str, line: int, number: int, limits: Limits) -> None:
        self._text = text
        self._line = line
        self._number = number
        self._limits = limits
        self._found: dict[Path, Mark] | None = None

    def _all(self) -> dict[Path, Mark]:
        if self._found is None:
            self._found = _marks(self._text, self._line, self._number)
            self._text = ""
        return self._found

    def __getitem__(self, path: Path) -> Mark:
        return self._all()[path]

    def get(self, path: Path, default: Any = None) -> Any:
        """As of any mapping."""
        return self._all().get(path, default)

    def __iter__(self) -> Iterator[Path]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())


def _marks(text: str, line: int, number: int) -> dict[Path, Mark]:
    """Second reading: paths and places instead of values. Ends early, without a word, where the text is broken."""
    found: dict[Path, Mark] = {}
    try:
        advance = _yaml.CParser(text).get_event
        event = advance()
        while number >= 0:
            while event.__class__ is not events.DocumentStartEvent:
                if event.__class__ is events.StreamEndEvent:
                    return found
                event = advance()
            number -= 1
            event = advance()
        _mark(event, (), found, line + 1, advance, True)
    except error.YAMLError:
        pass
    return found


def _mark(event: Any, path: Path, found: dict[Path, Mark], line: int, advance: Callable[[], Any], own: bool) -> None:
    """own: the place of the value counts, not that of a key. Depth was limited by the first reading."""
    if own:
        found[path] = (event.start_mark.line + line, event.start_mark.column + 1)
    if event.__class__ is events.SequenceStartEvent:
        index = 0
        while (inner := advance()).__class__ is not events.SequenceEndEvent:
            _mark(inner, (*path, index), found, line, advance, True)
            index += 1
    elif event.__class__ is events.MappingStartEvent:
        while (key := advance()).__class__ is not events.MappingEndEvent:
            text = None
            if key.__class__ is events.ScalarEvent:
                text = key.value
                if key.tag is None and key.implicit[0] and text[:1] in scalars.HINTS:
                    text = scalars.key_text(scalars.resolve(text))
            if text is None:
                _mark(advance(), (*path, ""), {}, line, advance, False)
                continue
            entry = (*path, text)
            found.setdefault(entry, (key.start_mark.line + line, key.start_mark.column + 1))
            _mark(advance(), entry, found, line, advance, False)
