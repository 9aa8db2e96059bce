"""Reading a request and writing JSON: the words that every route speaks.

Comes in: an aiohttp request. Goes out: checked names, bodies and flags; JSON answers. Called by all of `routes`.
Names are checked after percent-decoding, so that `%2F` and `..` never reach a store, a log file or an artifact.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import orjson
from aiohttp import web

from syncd.argo import labels
from syncd.argo.manifest import Body, Key
from syncd.base.clock import parse_rfc3339, rfc3339
from syncd.base.errors import Invalid
from syncd.server.api import Services

if TYPE_CHECKING:
    from syncd.server.auth import Caller

BODY_CAP_BYTES: Final = 2 * 1024 * 1024
LATEST: Final = "@latest"
"""Argo's alias for the newest Workflow of a namespace."""

_BODY_SECONDS: Final = 30.0
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_WORD = re.compile(r"[A-Za-z0-9_]([-A-Za-z0-9_.:@+]{0,251})")

SERVICES: Final = web.AppKey("services", Services)
CALLER: Final = web.RequestKey[Any]("caller", object)


@dataclass(frozen=True, slots=True)
class Pace:
    """How streams behave. keepalive_seconds: between signs of life on a quiet stream; patience_seconds: how long a
    client may leave its end unread; gap_seconds: at least so long between two batches of a watch."""

    keepalive_seconds: float = 15.0
    patience_seconds: float = 30.0
    gap_seconds: float = 0.1


PACE: Final = web.AppKey("pace", Pace)
CLOSING: Final = web.AppKey("closing", asyncio.Event)


def services(request: web.Request) -> Services:
    """What the application was built with."""
    return request.app[SERVICES]


def caller(request: web.Request) -> Caller:
    """Who asks. Only on routes that are not public."""
    found: Caller = request[CALLER]
    return found


def by(request: web.Request) -> str:
    """Who asks, for the record."""
    return caller(request).name


def namespace(request: web.Request) -> str:
    """The namespace in the path; "" = all. Raises Invalid."""
    return namespace_text(request.match_info.get("namespace", ""))


def namespace_text(text: str) -> str:
    """A namespace given elsewhere, "" = all. Raises Invalid."""
    if text and not _NAMESPACE.fullmatch(text):
        raise Invalid(f"namespace {text[:80]!r} is malformed; use lower-case letters, digits and '-', at most 63")
    return text


def name(request: web.Request, part: str = "name") -> str:
    """The object's name in the path; `@latest` passes. Raises Invalid."""
    text = request.match_info[part]
    if text != LATEST and not _NAME.fullmatch(text):
        raise Invalid(f"{part} {text[:80]!r} is malformed; use lower-case letters, digits, '-' and '.', at most 253")
    return text


def is_name(text: str) -> bool:
    """Whether `text` can name an object."""
    return _NAME.fullmatch(text) is not None


def step(text: str) -> str:
    """What a client calls a step: a pod, a node, or a display name such as `hello(0:a b)`. Raises Invalid."""
    if not text or len(text) > 1024 or not text.isprintable():
        raise Invalid(f"step {text[:80]!r} is malformed")
    return text


def word(request: web.Request, part: str) -> str:
    """A source, node or artifact in the path: one segment that no path is hidden in. Raises Invalid."""
    text = request.match_info[part]
    if not _WORD.fullmatch(text):
        raise Invalid(f"{part} {text[:80]!r} is malformed; use letters, digits and any of - _ . : @ +")
    return text


def key(request: web.Request, kind: str) -> Key:
    """The object that the path names. Raises Invalid, also for an empty namespace where the kind has one."""
    if kind in labels.CLUSTER_SCOPED:
        return Key(kind, "", name(request))
    where = namespace(request)
    if not where:
        raise Invalid(f"a {kind} is asked for by name, but its namespace is empty; name the namespace")
    return Key(kind, where, name(request))


async def body(request: web.Request) -> dict[str, Any]:
    """The JSON object that was sent, {} for none; whatever its Content-Type says (Argo's CLI sends none). Raises Invalid."""
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            data = await request.read()
    except TimeoutError:
        raise Invalid(f"request body did not arrive within {_BODY_SECONDS:.0f} s") from None
    if not data.strip():
        return {}
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        # The parser's own message quotes nothing, but says little more than this.
        raise Invalid("request body is not JSON; send one JSON object") from None
    if not isinstance(value, dict):
        raise Invalid("request body is not a JSON object")
    try:
        orjson.dumps(value)
    except TypeError:  # what cannot be written again must not get as far as the store
        raise Invalid("request body is nested too deeply; 250 levels are more than any manifest has") from None
    return value


def text_of(value: Mapping[str, Any], field: str, *, at_most: int = 65536) -> str:
    """The text of a field, "" where it is missing or null. Raises Invalid for another type."""
    found = value.get(field)
    if found is None:
        return ""
    if not isinstance(found, str) or len(found) > at_most:
        raise Invalid(f"field {field} must be text of at most {at_most} characters")
    return found


def flag(value: Mapping[str, Any], field: str) -> bool:
    """A boolean of a query or body: absent, "", "0" and "false" are no; "1", "true" and a bare name are yes."""
    found = value.get(field)
    if isinstance(found, bool):
        return found
    if found is None or found in ("0", "false", "False"):
        return False
    if found in ("", "1", "true", "True"):
        return field in value
    raise Invalid(f"{field} must be true or false, not {str(found)[:40]!r}")


def count(value: Mapping[str, str], field: str, *, default: int, at_most: int) -> int:
    """A whole number ≥ 0 of a query; more than `at_most` is read as that. Raises Invalid."""
    found = value.get(field, "")
    if not found:
        return default
    if not (found.isascii() and found.isdigit() and len(found) <= 18):
        raise Invalid(f"{field} must be a whole number, not {found[:40]!r}")
    return min(int(found), at_most)


def moment(value: Mapping[str, str], field: str) -> datetime | None:
    """An RFC 3339 time of a query, None where it is missing. Raises Invalid."""
    found = value.get(field, "")
    if not found:
        return None
    try:
        return parse_rfc3339(found)
    except (ValueError, OverflowError):
        raise Invalid(f"{field} {found[:40]!r} is not a time; write 2026-01-31T02:30:00Z") from None


def encode(value: Any) -> bytes:
    """JSON. Times as RFC 3339. A value that the fast encoder cannot write (a number of 30 digits) is written slowly,
    so that one odd object never breaks a list."""
    try:
        return orjson.dumps(value, default=_plain, option=orjson.OPT_PASSTHROUGH_DATETIME)
    except TypeError:
        return json.dumps(value, default=_plain, separators=(",", ":")).encode()


def answer(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """`value` as JSON. Success is 200 and nothing else: Argo's clients take 201 for an error."""
    return web.Response(body=encode(value), status=status, content_type="application/json", headers=headers)


def of_kind(value: Mapping[str, Any], field: str, kind: str, where: str) -> Body:
    """The object in `field` of a request body, with kind, apiVersion and namespace filled in. Raises Invalid.

    where: the namespace of the path, "" for a cluster-scoped kind or where the path leaves it open.
    """
    found = value.get(field)
    if not isinstance(found, dict):
        raise Invalid(f"request body has no object `{field}`; send {{{field!r}: {{…}}}}".replace("'", '"'))
    if found.get("kind") not in (None, "", kind):
        raise Invalid(f"`{field}.kind` is {str(found['kind'])[:40]!r}, but this route takes a {kind}")
    metadata = found.get("metadata")
    if metadata is None:
        metadata = {}
    if not isinstance(metadata, dict):
        raise Invalid(f"`{field}.metadata` must be an object")
    metadata = dict(metadata)
    if kind in labels.CLUSTER_SCOPED:
        metadata.pop("namespace", None)
    else:
        given = metadata.get("namespace") or where or "default"
        if not isinstance(given, str) or not _NAMESPACE.fullmatch(given):
            raise Invalid(f"`{field}.metadata.namespace` {str(given)[:80]!r} is malformed")
        if where and given != where:
            raise Invalid(f"`{field}.metadata.namespace` is {given!r}, but the path says {where!r}; make them agree")
        metadata["namespace"] = given
    return {
        **found,
        "apiVersion": found.get("apiVersion") or labels.API_VERSION_OF[kind],
        "kind": kind,
        "metadata": metadata,
    }


def fresh(body: Body) -> Body:
    """An object to be created: without a status, and without what the store sets, which exported objects carry."""
    metadata = {field: value for field, value in body["metadata"].items() if field not in _SET_BY_THE_STORE}
    return {**{field: value for field, value in body.items() if field != "status"}, "metadata": metadata}


_SET_BY_THE_STORE: Final = frozenset(
    {"uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "managedFields", "selfLink"}
)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")
