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

_BUFFER_BYTES: Final = 256 * 1024
"""Read ahead of a client. A single value may be larger, but then it is alone."""

_SLICE_BYTES: Final = 256 * 1024


class _Buffer:
    """Lines on their way to a client: bounded, emptied at one stroke. error: what ended its source, None = its own end."""

    def __init__(self, events: bool) -> None:
        self._events = events
        self._lines: list[bytes] = []
        self._size_bytes = 0
        self.ended = False
        self.error: Exception | None = None
        self.filled = asyncio.Event()
        self._room = asyncio.Event()

    async def pump(self, source: AsyncIterator[Any]) -> None:
        """Fill from `source` until it ends; pauses while the buffer is full."""
        try:
            async for item in source:
                line = _line({"result": item}, self._events)
                self._lines.append(line)
                self._size_bytes += len(line)
                self.filled.set()
                if self._size_bytes >= _BUFFER_BYTES:
                    self._room.clear()
                    await self._room.wait()
        except Exception as error:  # noqa: BLE001 - carried over to the stream, which answers it
            self.error = error
        finally:
            self.ended = True
            self.filled.set()

    def take(self) -> bytes:
        """All there is now."""
        data = b"".join(self._lines)
        self._lines, self._size_bytes = [], 0
        if not self.ended:
            self.filled.clear()
        self._room.set()
        return data


async def relay(request: web.Request, source: AsyncIterator[Any]) -> web.StreamResponse:
    """Send all of `source` until it ends, the client goes or falls asleep, or the server closes. Closes `source`."""
    pace, closing = request.app[wire.PACE], request.app[wire.CLOSING]
    events = "text/event-stream" in request.headers.get("Accept", "")
    buffer = _Buffer(events)
    tasks = [asyncio.create_task(buffer.pump(source)), asyncio.create_task(closing.wait())]
    try:
        response = await _begin(request, events)
        with contextlib.suppress(ConnectionResetError):  # the client has what it wanted, and is gone
            while not closing.is_set():
                if not await _ready(buffer, tasks[1], pace.keepalive_seconds):
                    if request.transport is None or request.transport.is_closing():
                        break
                    await write(request, response, b":\n" if events else b"\n", pace.patience_seconds)
                    continue
                if lines := buffer.take():
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
        # In slices, so that a client that reads slowly, but reads, has patience enough for each.
        for start in range(0, len(data), _SLICE_BYTES):
            async with asyncio.timeout(patience_seconds):
                await response.write(data[start : start + _SLICE_BYTES])
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
