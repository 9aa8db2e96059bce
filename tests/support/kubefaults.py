"""A proxy between a client and the API server that does what networks and busy servers do.

Comes in: a server (kubeapi) and rules: which requests, which fault. Goes out: a URL and a kubeconfig for the client, and a
record of every request. It runs in a thread of its own, so that tests of any kind, and daemons in other processes, can use
it; give each replica its own proxy to cut one of them off. To the client it shows the API server's own certificate.

    with kubefaults.proxy(api) as proxy:
        proxy.on(Answer(429, retry_after=1), verb="create", resource="workflows", times=2)
        ...                                     # a client with proxy.kubeconfig
        assert proxy.counts()["create", "workflows"] == 3
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import ssl
import struct
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import yarl
from aiohttp import web

from tests.support.kubeapi import ApiServer
from tests.support.kuberequests import Request, understood

T = TypeVar("T")

REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}
_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "host", "content-length"}


@dataclass(frozen=True, slots=True)
class Answer:
    """This status with a Status object; the server never sees the request. reason: "" = the usual one of that status."""

    status: int
    retry_after: int | None = None  # seconds, None = no such header
    reason: str = ""
    message: str = "a fault of the test"


@dataclass(frozen=True, slots=True)
class GoneInBand:
    """A watch is answered 200 and then says that its resourceVersion is too old: how the server says 410 to most watches."""


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection is reset. after: the server has done what was asked, only the answer is lost."""

    after: bool = False


@dataclass(frozen=True, slots=True)
class Stall:
    """No answer ever, and open watches that match go silent; the connection stays. after: the server has done it already."""

    after: bool = False


@dataclass(frozen=True, slots=True)
class Silence:
    """A watch is opened, brings so many events (bookmarks count), then nothing more; the connection stays."""

    after_events: int = 0


@dataclass(frozen=True, slots=True)
class Delay:
    """The request reaches the server so much later."""

    seconds: float


Fault = Answer | GoneInBand | Reset | Stall | Silence | Delay


@dataclass(eq=False)
class Rule:
    """What `Proxy.on` made. matched: how many requests it fitted; applied: how many of these got the fault."""

    fault: Fault
    wanted: dict[str, Any]
    path: re.Pattern[str] | None
    nth: int
    times: int | None
    matched: int = 0
    applied: int = 0

    def fits(self, request: Request) -> bool:
        if self.path is not None and self.path.search(request.path) is None:
            return False
        return all(getattr(request, name) == value for name, value in self.wanted.items())

    def takes(self, request: Request) -> bool:
        """Whether this new request gets the fault; counts it."""
        if not self.fits(request):
            return False
        self.matched += 1
        if self.matched < self.nth or (self.times is not None and self.applied >= self.times):
            return False
        self.applied += 1
        return True


class Proxy:
    """One that listens. url: https; kubeconfig: of the administrator, over this proxy. Safe to use from any thread."""

    def __init__(self, api: ApiServer, loop: asyncio.AbstractEventLoop) -> None:
        """See `proxy`."""
        self.api = api
        self.url = ""
        self.port = 0
        self.requests: list[Request] = []
        self._loop = loop
        self._rules: list[Rule] = []
        self._lock = threading.Lock()
        self._open: dict[int, tuple[Request, web.Request]] = {}

    # ── for tests

    def on(
        self,
        fault: Fault,
        *,
        path: str | None = None,
        nth: int = 1,
        times: int | None = None,
        **wanted: Any,
    ) -> Rule:
        """From now on, requests that match get this fault; the first rule that takes a request wins (a Delay lets others follow).

        wanted: attributes of Request: method, verb, resource, namespace, name, user_agent, dry_run. None given = every request.
        path: a regular expression that is found in it. nth: from the nth that matches. times: so many, None = until removed.
        """
        unknown = set(wanted) - {"method", "verb", "resource", "namespace", "name", "user_agent", "dry_run"}
        if unknown:
            raise TypeError(f"a request has no {sorted(unknown)}")
        rule = Rule(fault, wanted, re.compile(path) if path else None, nth, times)
        with self._lock:
            self._rules.append(rule)
        return rule

    def remove(self, rule: Rule) -> None:
        """The rule holds no longer. What it has stalled stays stalled, what it silenced has lost those events."""
        with self._lock:
            self._rules.remove(rule)

    def clear(self) -> None:
        """No rules, and no requests on record."""
        with self._lock:
            self._rules.clear()
            self.requests = []

    @contextmanager
    def during(self, fault: Fault, **matching: Any) -> Iterator[Rule]:
        """As `on`, for the time of a block."""
        rule = self.on(fault, **matching)
        try:
            yield rule
        finally:
            self.remove(rule)

    def cut(self, **wanted: Any) -> int:
        """Reset all open connections with requests that match (as in `on`), watches above all; how many."""
        rule = Rule(Reset(), wanted, None, 1, None)

        async def reset() -> int:
            found = [raw for request, raw in self._open.values() if rule.fits(request)]
            for raw in found:
                _reset(raw)
            return len(found)

        return asyncio.run_coroutine_threadsafe(reset(), self._loop).result(10)

    def counts(self) -> Counter[tuple[str, str]]:
        """Requests so far by (verb, resource), answered or not; the verb of a dry run begins with "dry-"."""
        with self._lock:
            return Counter((f"dry-{r.verb}" if r.dry_run else r.verb, r.resource) for r in self.requests)

    def watching(self, resource: str) -> int:
        """How many watches of a resource are open now."""
        with self._lock:
            return sum(1 for each, _ in self._open.values() if (each.verb, each.resource) == ("watch", resource))

    @property
    def kubeconfig(self) -> Path:
        return self.write_kubeconfig(self.api.folder / f"kubeconfig-{self.port}")

    def write_kubeconfig(self, path: Path, **options: Any) -> Path:
        """As ApiServer.write_kubeconfig, over this proxy."""
        return self.api.write_kubeconfig(path, url=self.url, **options)

    # ── the proxy itself

    async def handle(self, raw: web.Request) -> web.StreamResponse:
        query = dict(raw.query)
        seen = understood(raw.method, raw.path, query, raw.content_type)
        agent = raw.headers.get("User-Agent", "")
        request = Request(raw.method, raw.path, *seen, query, agent, time.monotonic())
        with self._lock:
            self.requests.append(request)
            self._open[id(raw)] = (request, raw)
        try:
            return await self._answer(raw, request)
        finally:
            with self._lock:
                del self._open[id(raw)]

    async def _answer(self, raw: web.Request, request: Request) -> web.StreamResponse:
        while True:
            fault = self._fault_for(request)
            match fault:
                case Delay(seconds):
                    await asyncio.sleep(seconds)
                    continue
                case Answer():
                    request.status = fault.status
                    return _refusal(fault)
                case GoneInBand():
                    request.status = 200
                    return _gone_in_band()
                case Reset(after=False):
                    return _reset(raw)
                case Stall(after=False):
                    await asyncio.Event().wait()
            break
        return await self._forward(raw, request, fault)

    def _fault_for(self, request: Request) -> Fault | None:
        with self._lock:
            for rule in self._rules:
                if isinstance(rule.fault, Delay) and rule.fault in request.faults:
                    continue
                if rule.takes(request):
                    request.faults.append(rule.fault)
                    return rule.fault
        return None

    def _silenced(self, request: Request) -> bool:
        """Whether a Stall that was ordered after this watch began holds it."""
        with self._lock:
            return any(isinstance(rule.fault, Stall) and rule.fits(request) for rule in self._rules)

    async def _forward(self, raw: web.Request, request: Request, fault: Fault | None) -> web.StreamResponse:
        session: aiohttp.ClientSession = raw.app[_SESSION]
        headers = [(name, value) for name, value in raw.headers.items() if name.lower() not in _HOP]
        url = yarl.URL(self.api.url + raw.raw_path, encoded=True)
        body = await raw.read() if raw.can_read_body else None
        try:
            upstream = await session.request(raw.method, url, headers=headers, data=body, allow_redirects=False)
        except aiohttp.ClientError:
            return _reset(raw)  # the server is down: so is the proxy
        async with upstream:
            answered = [(name, value) for name, value in upstream.headers.items() if name.lower() not in _HOP]
            if request.verb == "watch" and upstream.status == 200:
                response = web.StreamResponse(status=upstream.status, headers=answered)
                request.status = upstream.status
                await response.prepare(raw)
                return await self._events(upstream, response, raw, request, fault)
            try:
                data = await upstream.read()
            except aiohttp.ClientError:
                return _reset(raw)
            if isinstance(fault, Reset):
                return _reset(raw)
            if isinstance(fault, Stall):
                await asyncio.Event().wait()
            request.status = upstream.status
            return web.Response(status=upstream.status, headers=answered, body=data)

    async def _events(
        self,
        upstream: aiohttp.ClientResponse,
        response: web.StreamResponse,
        raw: web.Request,
        request: Request,
        fault: Fault | None,
    ) -> web.StreamResponse:
        left = fault.after_events if isinstance(fault, Silence) else None
        rest = b""
        try:
            async for chunk in upstream.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    if left == 0 or self._silenced(request):
                        continue
                    left = None if left is None else left - 1
                    await response.write(line + b"\n")
        except aiohttp.ClientError:
            return _reset(raw)
        if left is not None or self._silenced(request):
            await asyncio.Event().wait()  # the server has ended the watch; a silent one hears nothing of that
        await response.write_eof()
        return response


_SESSION = web.AppKey("session", aiohttp.ClientSession)


def _status(fault: Answer) -> dict[str, Any]:
    reason = fault.reason or REASONS.get(fault.status, "Unknown")
    status: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    status |= {"message": fault.message, "reason": reason, "code": fault.status}
    if fault.retry_after is not None:
        status["details"] = {"retryAfterSeconds": fault.retry_after}
    return status


def _refusal(fault: Answer) -> web.Response:
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    return web.json_response(_status(fault), status=fault.status, headers=headers)


def _gone_in_band() -> web.Response:
    """As kube-apiserver 1.34 says it."""
    status = _status(Answer(410, message="too old resource version: 1 (2)"))
    return web.json_response({"type": "ERROR", "object": status}, dumps=lambda event: json.dumps(event) + "\n")


def _reset(raw: web.Request) -> web.Response:
    """End the connection with RST instead of FIN: "connection reset by peer"."""
    if (transport := raw.transport) is not None:
        if (connection := transport.get_extra_info("socket")) is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response()  # written to nobody


@asynccontextmanager
async def _listening(proxy: Proxy) -> AsyncIterator[None]:
    certificate = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.load_cert_chain(proxy.api.ca, proxy.api.ca.with_suffix(".key"))
    application = web.Application(client_max_size=64 << 20)
    application.router.add_route("*", "/{path:.*}", proxy.handle)
    timeout = aiohttp.ClientTimeout(total=None)
    connector = aiohttp.TCPConnector(ssl=proxy.api.trust(), limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as session:
        application[_SESSION] = session
        runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=certificate)
            await site.start()
            proxy.port = runner.addresses[0][1]
            proxy.url = f"https://127.0.0.1:{proxy.port}"
            yield
        finally:
            await runner.cleanup()
            await session.close()
            await asyncio.sleep(0.05)  # aiohttp aborts its TLS connections a turn of the loop later


@contextmanager
def proxy(api: ApiServer) -> Iterator[Proxy]:
    """A proxy before a server that was ready once (its certificate is there). It ends with its connections."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="kubefaults", daemon=True)
    thread.start()

    def there(doing: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(doing, loop).result(30)

    try:
        made = Proxy(api, loop)
        listening = _listening(made)
        there(listening.__aenter__())
        try:
            yield made
        finally:
            there(listening.__aexit__(None, None, None))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
