"""Who may come in: every request passes here before its handler, also those for routes that do not exist.

Comes in: a request and the access that its route declares. Goes out: a `Caller`, or a Fault (401, 403, 413, 429).
Rules of the file:

1. Only what a route declares PUBLIC is open; a route that declares nothing cannot be built (`application.Route`).
2. A credential is compared in constant time, all of them, whatever the first one said.
3. The Host must be one of ours, so that a web page cannot reach loopback under its own name (DNS rebinding).
4. A cookie is sent by browsers without anybody's wish: with it, a write also needs our own Origin.
5. A right token always works. Failures are capped per peer, but on one machine all users share the peer 127.0.0.1,
   and nobody may lock the owner out by guessing; the cap makes guesses of 256 bits dear, not possible ones rare.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from aiohttp import web

from syncd.base.clock import Clock
from syncd.base.errors import ConfigError, Refused
from syncd.server import tokens, wire
from syncd.server.connections import CONNECTIONS
from syncd.server.faults import Fault, Handler
from syncd.server.sessions import SESSION_SECONDS, Sessions

SAID_BY: Final = "X-Syncd-By"
"""Header in which a client may name its user; believed only as far as its token goes: `local:alice`."""

FAILURES_PER_MINUTE: Final = 10
_PEERS_REMEMBERED: Final = 1024
_LONGEST_SECRET: Final = 4096


class Access(StrEnum):
    """What a route wants of its caller."""

    PUBLIC = "public"  # nothing: health and metrics
    READ = "read"
    WRITE = "write"


@dataclass(frozen=True, slots=True)
class Credential:
    """A token and what it is good for. name: for the record, never secret. access: READ or WRITE."""

    name: str
    token: str = field(repr=False)
    access: Access = Access.WRITE

    def __post_init__(self) -> None:
        if len(self.token) < tokens.SHORTEST:
            raise ConfigError(f"token {self.name!r} is shorter than {tokens.SHORTEST} characters; make a longer one")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. name: the credential's, with what the client said of its user."""

    name: str
    access: Access
    by_cookie: bool = False


class Doors:
    """What `app` decides about entry.

    credentials: at least one; hosts: names by which clients may call us besides loopback and the address they reached;
    configured: whether an operator chose the credentials, which listening beyond loopback wants.
    """

    def __init__(
        self,
        credentials: Iterable[Credential],
        clock: Clock,
        *,
        hosts: Iterable[str] = (),
        configured: bool = False,
    ) -> None:
        self.replace(credentials)
        self.hosts = frozenset(filter(None, map(_without_port, hosts)))
        self.configured = configured
        self.sessions = Sessions()
        self._clock = clock
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def replace(self, credentials: Iterable[Credential]) -> None:
        """Let in who has one of these from now on, and browsers that are in already."""
        found = tuple(credentials)
        if not found:
            raise ConfigError("the server has no token; nobody could use it")
        self.credentials = found
        self._digests = [_digest(credential.token) for credential in self.credentials]

    def now(self) -> float:
        """Monotonic seconds."""
        return self._clock.monotonic()

    def login_path(self) -> str:
        """A path that lets one browser in, once, within ten minutes."""
        return f"/login?code={self.sessions.new_code(self.now())}"

    def check_host(self, request: web.Request) -> None:
        """Refuse a Host that is not ours."""
        given = request.headers.get("Host", "")
        host = _without_port(given)
        if host in self.hosts or is_loopback(host) or (host and host == _reached(request)):
            return
        raise Fault(403, f"host {given[:80]!r} is not served here; add it to listen.allowedHosts if it should be")

    def identify(self, request: web.Request) -> Caller:
        """The caller. Raises Fault 401 without a right credential, 429 after too many wrong ones."""
        header = request.headers.get("Authorization", "")
        if header:
            scheme, _, rest = header.partition(" ")
            found = self.credential_of(rest.strip() if scheme.lower() == "bearer" else header.strip())
            if found is None:
                raise self.failed(request, "the token is not right")
            return Caller(_name(found.name, request), found.access)
        cookie = request.cookies.get(cookie_name(request), "")
        if cookie:
            if self.sessions.holds(cookie, self.now()):
                return Caller("browser", Access.WRITE, by_cookie=True)
            raise self.failed(request, "the session is over; POST /api/syncd/v1/login-link gives a new link")
        raise Fault(401, "a token is needed; `syncd token` prints it, send `Authorization: Bearer …`", _CHALLENGE)

    def credential_of(self, secret: str) -> Credential | None:
        """Whose token it is. Looks at every credential, however early one fits."""
        digest = _digest(secret[:_LONGEST_SECRET])
        found = None
        for credential, expected in zip(self.credentials, self._digests, strict=True):
            if hmac.compare_digest(digest, expected):
                found = credential
        return found

    def failed(self, request: web.Request, message: str) -> Fault:
        """Count a failure of this peer; the answer for it: 401, or 429 past the cap."""
        peer = request.remote or "unix"
        now = self.now()
        times = self._failures.setdefault(peer, deque(maxlen=FAILURES_PER_MINUTE + 1))
        self._failures.move_to_end(peer)
        while len(self._failures) > _PEERS_REMEMBERED:
            self._failures.popitem(last=False)
        while times and times[0] <= now - 60:
            times.popleft()
        times.append(now)
        if len(times) > FAILURES_PER_MINUTE:
            return Fault(429, "too many wrong tokens; wait a minute", {"Retry-After": "60", "Connection": "close"})
        return Fault(401, message, _CHALLENGE)


_CHALLENGE: Final = {"WWW-Authenticate": "Bearer"}

DOORS: Final = web.AppKey("doors", Doors)


def guard(access_of: Callable[[web.Request], Access]) -> Any:
    """The middleware. access_of: what the matched route declares; READ for none, so that strangers learn no routes."""

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        doors = request.app[DOORS]
        access = access_of(request)
        request.app[CONNECTIONS].spoke(request.protocol)
        # Probes call by an address that may be rewritten on the way, and learn nothing worth rebinding for.
        if request.path not in ("/livez", "/readyz"):
            doors.check_host(request)
        if access is not Access.PUBLIC:
            caller = doors.identify(request)
            request.app[CONNECTIONS].trust(request.protocol)
            if caller.by_cookie:
                _same_origin(request)
            if access is Access.WRITE and caller.access is not Access.WRITE:
                raise Refused(f"token {caller.name!r} may only read; use one with write access")
            request[wire.CALLER] = caller
        _check_body(request)
        return await handler(request)

    return guarded


def cookie_name(request: web.Request) -> str:
    """Cookies know no ports: two daemons on one machine must not overwrite each other's."""
    address = request.transport.get_extra_info("sockname") if request.transport is not None else None
    return f"syncd-{address[1]}" if isinstance(address, tuple) else "syncd"


def set_session(request: web.Request, response: web.StreamResponse, session: str) -> None:
    """Give the browser its cookie: not for scripts, not for other sites."""
    response.set_cookie(
        cookie_name(request),
        session,
        max_age=int(SESSION_SECONDS),
        path="/",
        httponly=True,
        samesite="Strict",
        secure=request.secure,
    )


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only mean this machine.

    >>> [is_loopback(h) for h in ("localhost", "app.localhost", "127.8.0.1", "::1", "localhost.evil.example", "0.0.0.0")]
    [True, True, True, True, False, False]
    """
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _without_port(text: str) -> str:
    """The host of a Host header, lower case, without port, brackets and the root's dot; "" for what is none."""
    text = text.strip().lower()
    if text.startswith("["):
        inside, closed, rest = text[1:].partition("]")
        return inside if closed and (not rest or (rest[0] == ":" and _is_port(rest[1:]))) else ""
    host, colon, port = text.partition(":")
    if colon and not _is_port(port):
        return ""
    return host.rstrip(".")


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5


def _reached(request: web.Request) -> str:
    """The address that the client connected to: a page under a name of its own can never have it as its Host."""
    address = request.transport.get_extra_info("sockname") if request.transport is not None else None
    return str(address[0]).lower() if isinstance(address, tuple) else ""


def _same_origin(request: web.Request) -> None:
    site = request.headers.get("Sec-Fetch-Site", "")
    if request.method in ("GET", "HEAD"):
        if site == "cross-site":
            raise Fault(403, "another site may not read this with the browser's session")
        return
    origin = request.headers.get("Origin")
    if origin is None:
        if site == "same-origin":
            return
        raise Fault(403, "a write with the browser's session needs an Origin header; use a token instead")
    if origin.lower() != f"{request.scheme}://{request.headers.get('Host', '')}".lower():
        raise Fault(403, f"origin {origin[:80]!r} may not write with the browser's session")


def _check_body(request: web.Request) -> None:
    """Say no before reading; `wire.body` holds a body without a length to the same cap."""
    if (request.content_length or 0) > wire.BODY_CAP_BYTES:
        raise Fault(413, f"request body is larger than {wire.BODY_CAP_BYTES} bytes", {"Connection": "close"})
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Fault(415, "compressed request bodies are not taken; send it plain", {"Connection": "close"})


def _name(credential: str, request: web.Request) -> str:
    said = request.headers.get(SAID_BY, "")[:64]
    if said and said.isascii() and said.isprintable() and " " not in said:
        return f"{credential}:{said}"
    return credential


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
