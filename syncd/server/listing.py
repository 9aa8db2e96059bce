"""Finding objects: one of them, the newest, or a page of those that a query describes.

Comes in: the store and a query string in Argo's words (`listOptions.…`, `nameFilter`, `createdAfter`, …) or the short
ones of syncd's own routes. Goes out: list objects as Kubernetes writes them. Called by `routes` and `stream`.
The store knows kind, namespace, selector and order; every other test happens here, page by page.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

import orjson

from syncd.argo import labels, selectors
from syncd.argo.manifest import Body, Key
from syncd.base.clock import parse_rfc3339
from syncd.base.errors import Invalid, NotFound
from syncd.cluster.api import Objects
from syncd.server import fields, wire

MOST_ITEMS: Final = 5000
"""Of one answer; the rest is behind `metadata.continue`, which Argo's clients follow."""

_BATCH: Final = 500
_FIELD_TERM = re.compile(r"metadata\.(name|namespace)\s*(==|=|!=)\s*([^\s=!]*)")
_HOW: Final = ("Exact", "Contains", "Prefix", "NotEquals")


@dataclass(frozen=True, slots=True)
class NameTest:
    """One term of a field selector. field: name or namespace; how: one of `_HOW`."""

    field: str
    how: str
    text: str

    def holds(self, metadata: Mapping[str, Any]) -> bool:
        """Whether the object's metadata passes."""
        found = str(metadata.get(self.field) or "")
        match self.how:
            case "Contains":
                return self.text in found
            case "Prefix":
                return found.startswith(self.text)
            case "NotEquals":
                return found != self.text
        return found == self.text


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for. namespace: "" = all; created_after, finished_before: None = any time;
    limit: how many items, MOST_ITEMS where none was given; after: where the last page ended, "" = the beginning."""

    namespace: str = ""
    selector: selectors.Selector = field(default_factory=selectors.Selector)
    names: tuple[NameTest, ...] = ()
    created_after: datetime | None = None
    finished_before: datetime | None = None
    limit: int = MOST_ITEMS
    after: str = ""
    shown: fields.Fields = field(default_factory=fields.Fields)

    @property
    def one(self) -> str:
        """The one name that can match, "" where several can."""
        exact = [test.text for test in self.names if test.field == "name" and test.how == "Exact"]
        return exact[0] if exact else ""

    def showing(self, shown: fields.Fields) -> Query:
        """The same, of which only these fields are shown."""
        return replace(self, shown=shown)

    def matches(self, body: Body) -> bool:
        """Whether an object is looked for, selector included, namespace not."""
        metadata = body.get("metadata") or {}
        if not self.selector.matches(metadata.get("labels") or {}):
            return False
        if not all(test.holds(metadata) for test in self.names):
            return False
        if self.created_after is not None:
            created = _moment(metadata.get("creationTimestamp"))
            if created is None or created <= self.created_after:
                return False
        if self.finished_before is not None:
            finished = _moment((body.get("status") or {}).get("finishedAt"))
            if finished is None or finished >= self.finished_before:
                return False
        return True


def parse(query: Mapping[str, str], namespace: str) -> Query:
    """The query that a URL writes. Keys that mean nothing here are left alone. Raises Invalid for malformed values."""
    how = query.get("nameFilter") or "Exact"
    if how not in _HOW:
        raise Invalid(f"nameFilter {how[:40]!r} is unknown; use one of {', '.join(_HOW)}")
    names = list(_field_terms(_option(query, "fieldSelector"), how))
    if pattern := query.get("namePattern", ""):
        names.append(NameTest("name", "Contains", pattern))
    if prefix := query.get("namePrefix", ""):
        names.append(NameTest("name", "Prefix", prefix))
    selector = _option(query, "labelSelector")
    if len(selector) > 4096:
        raise Invalid("label selector is longer than 4096 characters")
    return Query(
        namespace=namespace,
        selector=selectors.parse(selector),
        names=tuple(names),
        created_after=wire.moment(query, "createdAfter"),
        finished_before=wire.moment(query, "finishedBefore"),
        limit=wire.count({"limit": _option(query, "limit")}, "limit", default=0, at_most=MOST_ITEMS) or MOST_ITEMS,
        after=_option(query, "continue"),
        shown=fields.parse(query.get("fields", "")),
    )


async def page(objects: Objects, kind: str, query: Query) -> Body:
    """A list object of `kind` with the next items in order of (namespace, name); `metadata.continue` where there are more.

    Raises Expired when the store has forgotten the page, Invalid for a continue text that it never gave.
    """
    items: list[Body] = []
    version = ""
    where = Position.decode(query.after)
    further = ""
    async with contextlib.aclosing(_scan(objects, kind, query, where)) as found:
        async for here, body, seen in found:
            version = seen
            if len(items) == query.limit:
                further = where.encode()
                break
            where = here
            items.append(body)
    if not version:
        version = (await objects.list(kind, query.namespace or None, limit=1)).version
    metadata: dict[str, Any] = {"resourceVersion": version}
    if further:
        metadata["continue"] = further
    listed = {
        "apiVersion": labels.API_VERSION_OF[kind],
        "kind": f"{kind}List",
        "metadata": metadata,
        "items": items,
    }
    cleaned: Body = query.shown.clean(listed)
    return cleaned


async def everything(objects: Objects, kind: str, query: Query) -> AsyncIterator[Body]:
    """All matches, whatever the query's limit."""
    async for _, body, _ in _scan(objects, kind, replace(query, limit=MOST_ITEMS), Position()):
        yield body


async def version(objects: Objects, kind: str) -> str:
    """The version of the store now."""
    return (await objects.list(kind, limit=1)).version


async def latest(objects: Objects, kind: str, namespace: str) -> str:
    """The name of the newest object of a namespace: what `@latest` means. Raises NotFound for an empty one."""
    newest: tuple[datetime, str] | None = None
    async for _, body, _ in _scan(objects, kind, Query(namespace=namespace), Position()):
        metadata = body["metadata"]
        created = _moment(metadata.get("creationTimestamp"))
        if created is not None and (newest is None or (created, metadata["name"]) > newest):
            newest = (created, metadata["name"])
    if newest is None:
        raise NotFound(f"no {kind} in namespace {namespace or 'any'}; {wire.LATEST} means the newest one")
    return newest[1]


async def resolve(objects: Objects, key: Key) -> Key:
    """The key, with `@latest` replaced by the name it stands for now."""
    if key.name != wire.LATEST:
        return key
    return replace(key, name=await latest(objects, key.kind, key.namespace))


async def by_uid(objects: Objects, kind: str, uid: str) -> Body:
    """The live object with this uid. Reads the list of the kind; raises NotFound."""
    async with contextlib.aclosing(_scan(objects, kind, Query(), Position())) as found:
        async for _, body, _ in found:
            if body["metadata"].get("uid") == uid:
                return await objects.get(Key(kind, body["metadata"].get("namespace") or "", body["metadata"]["name"]))
    raise NotFound(f"no {kind} with uid {uid}")


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page ended: the store's token of the page that was being read, and the last object given out of it."""

    after: str = ""
    last: tuple[str, str] = ("", "")

    def encode(self) -> str:
        return base64.urlsafe_b64encode(orjson.dumps([self.after, *self.last])).decode()

    @classmethod
    def decode(cls, text: str) -> Position:
        """Raises Invalid for a text that `encode` did not write."""
        if not text:
            return cls()
        try:
            after, space, name = orjson.loads(base64.b64decode(text, altchars=b"-_", validate=True))
        except (ValueError, TypeError, binascii.Error):
            raise Invalid("continue is malformed; begin the list again without it") from None
        if not all(isinstance(part, str) for part in (after, space, name)):
            raise Invalid("continue is malformed; begin the list again without it")
        return cls(after, (space, name))


async def _scan(
    objects: Objects, kind: str, query: Query, start: Position
) -> AsyncGenerator[tuple[Position, Body, str], None]:
    """Matches after `start`, each with its own position and the store's version at the first page."""
    if query.one and query.namespace and start == Position():
        async for found in _one(objects, kind, query):
            yield found
        return
    after, version = start.after, ""
    batch = min(_BATCH, query.limit + 1)
    while True:
        part = await objects.list(kind, query.namespace or None, selector=query.selector, limit=batch, after=after)
        version = version or part.version
        for body in part.items:
            metadata = body.get("metadata") or {}
            identity = (str(metadata.get("namespace") or ""), str(metadata.get("name") or ""))
            if identity > start.last and query.matches(body):
                yield Position(after, identity), body, version
        if not part.after:
            return
        after = part.after
        batch = _BATCH


async def _one(objects: Objects, kind: str, query: Query) -> AsyncGenerator[tuple[Position, Body, str], None]:
    now = (await objects.list(kind, query.namespace, limit=1)).version
    try:
        body = await objects.get(Key(kind, "" if kind in labels.CLUSTER_SCOPED else query.namespace, query.one))
    except NotFound:
        return
    body = without_nodes(body)
    if query.matches(body):
        yield Position("", (query.namespace, query.one)), body, now


def without_nodes(body: Body) -> Body:
    """A Workflow as lists show it."""
    status = body.get("status")
    if not isinstance(status, dict) or "nodes" not in status:
        return body
    return {**body, "status": {field: value for field, value in status.items() if field != "nodes"}}


def _option(query: Mapping[str, str], name: str) -> str:
    return query.get(f"listOptions.{name}") or query.get(name) or ""


def _field_terms(text: str, how: str) -> list[NameTest]:
    terms = []
    for term in (part.strip() for part in text.split(",")):
        if not term:
            continue
        parsed = _FIELD_TERM.fullmatch(term)
        if parsed is None:
            raise Invalid(f"field selector {term[:80]!r} is not supported; use metadata.name or metadata.namespace")
        word, operator, value = parsed.groups()
        if operator == "!=":
            terms.append(NameTest(word, "NotEquals", value))
        else:  # nameFilter widens the test of the name only
            terms.append(NameTest(word, how if word == "name" else "Exact", value))
    return terms


def _moment(text: Any) -> datetime | None:
    try:
        return parse_rfc3339(text) if isinstance(text, str) and text else None
    except (ValueError, OverflowError):
        return None
