"""Answers that do not end: Server-Sent Events for who accepts them, else a JSON object per line.

Comes in: an async iterator of JSON values. Goes out: `data: {"result": …}` lines and signs of life. Called by `routes`.
Argo's client cuts six bytes off every line longer than that and reads the rest as JSON, without looking what it cut:
so there are `data:` lines only, no `event:` or `id:`, and the sign of life is a lone `:`.
Source: Argo v4.1.2 pkg/apiclient/http1/server-sent-events-client.go.

A client that does not read is dropped, not waited for; what it missed is never piled up here: the buffer is bounded,
and what feeds it pauses (logs) or keeps only the newest state of each object (`watching`).
A stream has begun with status 200, so an error inside it is said in its own words (`{"error": …}`) to readers of lines;
readers of events see the end and come again, as they do with Argo.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any, Final

from aiohttp import web

from syncd.base.errors import SyncdError
from syncd.server import faults, wire

_log = logging.getLogger("syncd.server")

_BUFFER: Final = 256
"""Items read ahead of a client."""


class _Buffer:
    """A bounded queue that is emptied at one stroke. Ends with None, or with the error that ended its source."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.ended = False
        self.error: Exception | None = None
        self.filled = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    async def pump(self, source: AsyncIterator[Any]) -> None:
        """Fill from `source` until it ends; pauses while the buffer is full."""
        try:
            async for item in source:
                self.items.append(item)
                self.filled.set()
                if len(self.items) >= _BUFFER:
                    self._room.clear()
                    await self._room.wait()
        except Exception as error:  # noqa: BLE001 - carried over to the stream, which answers it
            self.error = error
        finally:
            self.ended = True
            self.filled.set()
            await close(source)

    def take(self) -> list[Any]:
        """All there is now."""
        items, self.items = self.items, []
        self.filled.clear()
        if self.ended:
            self.filled.set()
        self._room.set()
        return items


async def relay(request: web.Request, source: AsyncIterator[Any]) -> web.StreamResponse:
    """Send all of `source` until it ends, the client goes or falls asleep, or the server closes. Closes `source`."""
    pace, closing = request.app[wire.PACE], request.app[wire.CLOSING]
    events = "text/event-stream" in request.headers.get("Accept", "")
    buffer = _Buffer()
    tasks = [asyncio.create_task(buffer.pump(source)), asyncio.create_task(closing.wait())]
    try:
        response = await _begin(request, events)
        while not closing.is_set():
            if not await _ready(buffer, tasks[1], pace.keepalive_seconds):
                if request.transport is None or request.transport.is_closing():
                    break
                await write(request, response, b":\n" if events else b"\n", pace.patience_seconds)
                continue
            if items := buffer.take():
                lines = b"".join(_line({"result": item}, events) for item in items)
                await write(request, response, lines, pace.patience_seconds)
            elif buffer.ended:
                break
        if buffer.error is not None:
            status, said, _ = faults.answer(buffer.error)
            if not events:
                error = {"grpc_code": said["code"], "http_code": status, "message": said["message"]}
                await write(request, response, _line({"error": error}, events), pace.patience_seconds)
        await response.write_eof()
        return response
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await close(source)


async def _ready(buffer: _Buffer, closing: asyncio.Task[Any], seconds: float) -> bool:
    """Whether there is something to take, or the server closes; False after `seconds` of quiet."""
    if buffer.filled.is_set():
        return True
    filled = asyncio.create_task(buffer.filled.wait())
    try:
        done, _ = await asyncio.wait({filled, closing}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        filled.cancel()
    return bool(done)


async def _begin(request: web.Request, events: bool) -> web.StreamResponse:
    response = web.StreamResponse()
    response.content_type = "text/event-stream" if events else "application/json"
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    await response.prepare(request)
    # The headers go now, so that a client knows that it is served even while nothing happens.
    await response.write(b":\n" if events else b"\n")
    return response


async def write(request: web.Request, response: web.StreamResponse, data: bytes, patience_seconds: float) -> None:
    """Send `data`; a client that does not take it within `patience_seconds` loses its connection (ConnectionError)."""
    try:
        async with asyncio.timeout(patience_seconds):
            await response.write(data)
    except TimeoutError:
        _log.info("dropped a client of %s: it did not read for %g s", request.path, patience_seconds)
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError("the client did not read") from None


def _line(value: Any, events: bool) -> bytes:
    data = wire.encode(value)
    return b"data: " + data + b"\n\n" if events else data + b"\n"


async def close(source: AsyncIterator[Any]) -> None:
    """End an iterator that may be an async generator; what it says at its end is nobody's concern any more."""
    end = getattr(source, "aclose", None)
    if end is not None:
        with contextlib.suppress(SyncdError):
            await end()
