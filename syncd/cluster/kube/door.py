"""The one door to the API server: one request, one stream, one clock.

In: method, path, JSON. Out: JSON, or an error of `base.errors`. The official client brings configuration, credentials, TLS and
the session (`kubernetes.aio`); bodies are raw, since its models and per-call validation cost three times the request itself
(0.9 ms against 0.25 ms). Constructed by `app`; used by the other files of this room, and by nobody else.

Not repeated here: a request whose answer is lost. Whether it may be repeated is known to the loops alone. Repeated: what the
server has surely not done (429), and once what it did not let in (401), with the credentials read again.
"""

from __future__ import annotations

import asyncio
import io
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
import orjson
from kubernetes.aio import config as official
from kubernetes.aio.client.rest import RESTClientObject
from yarl import URL

from syncd.base.clock import Clock
from syncd.base.errors import ConfigError, Defect, SyncdError, Unreachable
from syncd.cluster.kube import answers
from syncd.cluster.kube.access import Access, configured
from syncd.cluster.kube.pace import Pace

log = logging.getLogger(__name__)

JSON: Final = "application/json"
APPLY: Final = "application/apply-patch+yaml"
MERGE: Final = "application/merge-patch+json"

REQUEST_SECONDS: Final = 30.0
CONNECT_SECONDS: Final = 5.0
_REFUSED_TRIES: Final = 4  # of a 429, before its caller hears of it
_LONGEST_PAUSE_SECONDS: Final = 2.0
_LARGE_BYTES: Final = 1 << 19  # of a body: beyond, it is written in parts, or the event loop stands still
_LINE_BYTES: Final = 16 << 20  # of one watch event: ten times what etcd keeps

Told = Callable[[str, str, int, float], None]
"""Hears of each request: verb, plural of the resource, status (0 = no answer), seconds."""


@dataclass(frozen=True, slots=True)
class Reply:
    """status: HTTP; value: the decoded body, None where there was none."""

    status: int
    value: Any


class Door:
    """Made by `open_door`."""

    def __init__(self, access: Access, configuration: Any, clock: Clock, told: Told) -> None:
        self._access = access
        self._clock = clock
        self._told = told
        self._pace = Pace(access.in_flight, access.per_second, clock.monotonic)
        self._configuration = configuration
        self._rest: Any = RESTClientObject(configuration)
        self._reloaded_at = float("-inf")
        self._reloading = asyncio.Lock()
        self._retired: set[Any] = set()  # sessions of credentials before, until their last request is answered
        self._closed = False
        self._skew: float | None = None
        self.silent = ""
        """Why the last request got no answer; "" = it got one."""

    @property
    def url(self) -> str:
        """The API server's, without credentials."""
        return str(self._configuration.host)

    @property
    def skew_seconds(self) -> float | None:
        """How far our clock is ahead of the API server's at least, 0 = not surely; None = it has not answered yet."""
        return self._skew

    async def close(self) -> None:
        """Let go of the connections; later calls raise Unreachable."""
        self._closed = True
        for rest in (*self._retired, self._rest):
            await rest.close()
        self._retired.clear()
        await asyncio.sleep(0)  # what was aborted is closed in the next round of the loop

    async def call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = JSON,
        *,
        what: str,
        kind: str = "",
        named: bool = True,
        verb: str = "",
        user: str = "",
        urgent: bool = False,
        timeout_seconds: float = REQUEST_SECONDS,
        before: Callable[[], None] | None = None,
    ) -> Reply:
        """One request and its answer. what, kind, named: as `answers.error_of` has them; verb: for the metrics, "" = method;
        user: to impersonate, "" = nobody; before: called right before the request leaves; what it raises stops it.
        """
        url = self._url(path, query)
        data = None if body is None else body if isinstance(body, bytes) else orjson.dumps(body)
        reloaded = False
        for attempt in range(1, _REFUSED_TRIES + 1):
            used = self._configuration
            status, value, headers = await self._once(
                method, url, data, content_type, user, urgent, timeout_seconds, what, kind, verb or method, before
            )
            if status < 300:
                return Reply(status, value)
            error = answers.error_of(status, value, headers, what=what, kind=kind, named=named)
            if status == 401 and not reloaded and await self._reload(used):
                reloaded = True
                continue
            if status != 429 or attempt == _REFUSED_TRIES or not isinstance(error, Unreachable):
                raise error
            pause = error.retry_after_seconds if error.retry_after_seconds is not None else 0.25 * attempt
            if pause > _LONGEST_PAUSE_SECONDS:
                raise error
            await asyncio.sleep(pause)
        raise Unreachable(f"{what}: the API server does not let the request in")

    @asynccontextmanager
    async def stream(
        self, path: str, query: Mapping[str, str], *, what: str, kind: str, silence_seconds: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The lines of a long answer. silence_seconds: without a byte for so long it is over (Unreachable)."""
        self.check_open()
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=silence_seconds)
        began = self._clock.monotonic()
        plural = _plural(path)
        used = self._configuration
        try:
            response = await self._send("GET", self._url(path, query), None, JSON, "", timeout)
        except _FAILURES as error:
            self._told("watch", plural, 0, self._clock.monotonic() - began)
            raise self._unreachable(what, error) from None
        try:
            self._told("watch", plural, response.status, self._clock.monotonic() - began)
            if response.status >= 300:
                value = _decoded(await response.read())
                if response.status == 401:
                    await self._reload(used)
                raise answers.error_of(response.status, value, response.headers, what=what, kind=kind)
            yield self._lines(response, what)
        finally:
            connection = response.connection
            if connection is not None and connection.transport is not None:
                connection.transport.abort()  # nobody waits for the last words of a server that may be gone
            response.close()

    async def _lines(self, response: aiohttp.ClientResponse, what: str) -> AsyncIterator[bytes]:
        rest = bytearray()
        try:
            async for chunk in response.content.iter_any():
                rest += chunk
                if b"\n" not in chunk:
                    if len(rest) > _LINE_BYTES:
                        raise Unreachable(f"{what}: one event has more than {_LINE_BYTES} bytes")
                    continue
                *lines, last = rest.split(b"\n")
                rest = bytearray(last)
                for line in lines:
                    if line:
                        yield bytes(line)
            if rest:
                yield bytes(rest)  # a log need not end with its line
        except _FAILURES as error:
            raise self._unreachable(what, error) from None

    async def _once(
        self,
        method: str,
        url: str,
        data: bytes | None,
        content_type: str,
        user: str,
        urgent: bool,
        timeout_seconds: float,
        what: str,
        kind: str,
        verb: str,
        before: Callable[[], None] | None,
    ) -> tuple[int, Any, Mapping[str, str]]:
        # no total: where it runs out in the very moment of a cancellation, as after a process was frozen, aiohttp (3.14) forgets
        # the cancellation, and who waits for the task waits for ever
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
        async with self._pace.turn(urgent=urgent):
            self.check_open()
            if before is not None:
                before()
            began, sent = self._clock.monotonic(), self._clock.now()
            status = 0
            try:
                async with asyncio.timeout(timeout_seconds):
                    response = await self._send(method, url, data, content_type, user, timeout)
                    async with response:
                        text = await response.read()
                        status, self.silent = response.status, ""
                        self._note_time(response.headers.get("Date"), sent)
                        return status, _decoded(text), response.headers
            except _FAILURES as error:
                unreachable = self._unreachable(what, error)
                self.silent = str(unreachable).partition(": ")[2]
                raise unreachable from None
            finally:
                self._told(verb.lower(), _plural(url.partition("?")[0]), status, self._clock.monotonic() - began)

    async def _send(
        self, method: str, url: str, data: bytes | None, content_type: str, user: str, patience: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        rest, configuration = self._rest, self._configuration
        if rest.pool_manager is None:
            rest.pool_manager = rest._create_pool_manager()
        headers = {"Accept": JSON, "Accept-Encoding": "identity", "User-Agent": "syncd"}
        if data is not None:
            headers["Content-Type"] = content_type
        if user:
            headers["Impersonate-User"] = user
        try:
            for setting in (await configuration.auth_settings()).values():
                if setting["in"] == "header" and setting["value"]:
                    headers[setting["key"]] = setting["value"]
        except (OSError, official.ConfigException) as error:  # a token file that is being replaced
            raise Unreachable(f"the credentials of the cluster cannot be read: {error}") from None
        large = data is not None and len(data) > _LARGE_BYTES
        more: dict[str, Any] = {"data": io.BytesIO(data) if large and data is not None else data}
        if configuration.tls_server_name:
            more["server_hostname"] = configuration.tls_server_name
        if rest.proxy:
            more["proxy"] = rest.proxy
        if rest.proxy_headers:
            more["proxy_headers"] = rest.proxy_headers
        response: aiohttp.ClientResponse = await rest.pool_manager.request(
            method, URL(url, encoded=True), headers=headers, timeout=patience, allow_redirects=False, **more
        )
        return response

    def _url(self, path: str, query: Mapping[str, str] | None) -> str:
        return f"{self._configuration.host}{path}{'?' + urlencode(query) if query else ''}"

    async def _reload(self, used: Any) -> bool:
        """Read the credentials again; False where that was done a moment ago. used: those that were refused: where others are in
        force by now, they are to be tried."""
        async with self._reloading:
            now = self._clock.monotonic()
            if self._configuration is not used:
                return True
            if self._closed or now - self._reloaded_at < 5.0:
                return False
            self._reloaded_at = now
            try:
                fresh = await configured(self._access)
            except ConfigError as error:
                log.warning("the credentials of the cluster cannot be read again: %s", error)
                return False
            old, self._rest, self._configuration = self._rest, RESTClientObject(fresh), fresh
            self._retired.add(old)
            asyncio.get_running_loop().call_later(REQUEST_SECONDS, self._retire, old)
            return True

    def _retire(self, rest: Any) -> None:
        if rest in self._retired:  # else the door was closed, and this with it
            self._retired.discard(rest)
            self._retiring = asyncio.ensure_future(rest.close())

    def _note_time(self, text: str | None, sent: datetime) -> None:
        """The header was written after we sent and before now, and is cut to the second. Of the skews that fit it is the least: a
        process that was frozen meanwhile, or a slow network, is no wrong clock."""
        if text is None:
            return
        with suppress(ValueError, TypeError):
            told = parsedate_to_datetime(text)
            least, most = (sent - told).total_seconds() - 1.0, (self._clock.now() - told).total_seconds()
            self._skew = min(max(0.0, least), most)

    def check_open(self) -> None:
        """Raises Unreachable once it is closed."""
        if self._closed:
            raise Unreachable("the store is closed")

    def _unreachable(self, what: str, error: BaseException) -> SyncdError:
        if isinstance(error, SyncdError):
            return error
        if self._closed:
            return Unreachable("the store is closed")
        if isinstance(error, AssertionError | RuntimeError):
            return Defect(f"{what}: {error!r}")
        words = "no answer in time" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
        return Unreachable(f"{what}: the API server {self.url} cannot be reached: {words}")


_FAILURES: Final = (aiohttp.ClientError, TimeoutError, OSError, ssl.SSLError, ValueError, AssertionError, RuntimeError)
"""What aiohttp raises. The last two of a session that is closed meanwhile."""


def _decoded(text: bytes) -> Any:
    if not text:
        return None
    try:
        return orjson.loads(text)
    except ValueError:
        return text.decode(errors="replace")


def _plural(path: str) -> str:
    """The resource that a path or URL is about, for the metrics.

    >>> _plural("https://host/apis/argoproj.io/v1alpha1/namespaces/ci/workflows/a"), _plural("/api/v1/namespaces/ci/pods")
    ('workflows', 'pods')
    """
    parts = path.partition("/api")[2].split("/")
    parts = parts[2:] if parts and parts[0] == "" else parts[3:]  # /api/v1/… or /apis/GROUP/VERSION/…
    if len(parts) > 2 and parts[0] == "namespaces":
        parts = parts[2:]
    return parts[0] if parts else "other"


async def open_door(access: Access, clock: Clock, told: Told = lambda *_: None) -> Door:
    """The door, with the credentials read; nothing is sent yet. Raises ConfigError."""
    return Door(access, await configured(access), clock, told)
