"""Another user of the machine, without a token: what it can hold, and for how long."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from syncd.server import connections
from syncd.server.connections import Connections
from tests.support.clocks import ManualClock
from tests.support.faults import standing, until

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def test_who_is_overdue() -> None:
    clock = ManualClock()
    known = Connections(clock.monotonic)
    opened = ["silent", "spoke", "trusted"]
    known.spoke("spoke")
    known.spoke("trusted")
    known.trust("trusted")
    assert known.overdue(opened) == []
    clock.advance(connections.HEAD_SECONDS)
    assert known.overdue([*opened, "young"]) == []
    clock.advance(1)
    assert known.overdue([*opened, "young"]) == ["silent"]
    crowd = [f"c{number}" for number in range(connections.STRANGERS)]
    for name in crowd:
        known.spoke(name)
    assert known.overdue(["spoke", "trusted", *crowd]) == ["spoke"], (
        "the oldest stranger goes, whoever has a token stays"
    )
    assert known.overdue([]) == []
    assert known.overdue(["spoke"]) == [], "what has ended is forgotten"


async def test_half_a_request_does_not_hold_a_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "STRANGERS", 10)
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.1)
    monkeypatch.setattr(connections, "_PATROL_SECONDS", 0.02)
    async with standing(tmp_path) as daemon:
        port = int(daemon.url.rpartition(":")[2])

        async def open_one(text: str) -> Streams:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(text.encode())
            await writer.drain()
            return reader, writer

        head = f"GET /api/v1/info HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {(tmp_path / 'token').read_text().strip()}\r\n"
        friend = await open_one(f"{head}\r\n")
        assert (await friend[0].readline()).split()[1] == b"200"
        half = [await open_one("GET /li") for _ in range(30)]
        idle = [await open_one("GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n") for _ in range(30)]
        for reader, _ in half:
            assert await asyncio.wait_for(_rest(reader), 20) == b"", "closed without a word"
        ended = [asyncio.create_task(_rest(reader)) for reader, _ in idle]
        await until(lambda: sum(task.done() for task in ended) >= 20, "the oldest of too many are closed")
        friend[1].write(f"{head}\r\n".encode())
        assert b"200 OK" in await asyncio.wait_for(friend[0].readuntil(b"200 OK"), 20), "whoever has a token stays"
        assert not ended[-1].done(), "the youngest stranger stays, too"
        for _, writer in (friend, *half, *idle):
            writer.close()
        await asyncio.gather(*ended)


async def test_what_is_no_http_does_not_fill_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with standing(tmp_path) as daemon:
        caplog.clear()
        for text in ("\x16\x03\x01\x1b[31m\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", f"GET /{'a' * 20000} HTTP/1.1\r\n\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", int(daemon.url.rpartition(":")[2]))
            writer.write(text.encode())
            answer = await asyncio.wait_for(_rest(reader), 20)
            assert answer.split()[1] == b"400"
            writer.close()
        assert caplog.records == []


async def _rest(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionError:
        return b""
