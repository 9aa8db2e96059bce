"""The real application on a socket in a thread of its own, over a store in memory; and the command line to call it with."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from syncd.argo.manifest import Body
from syncd.cli import main
from syncd.server import application, wire
from tests.server import house
from tests.server.house import House


@dataclass
class Served:
    """A house that is served. do: runs a coroutine where the house lives."""

    house: House
    do: Callable[[Coroutine[Any, Any, Any]], Any]

    def put(self, body: Body) -> Body:
        made: Body = self.do(house.put(self.house.store, body))
        return made

    def patch(self, body: Body, change: Body) -> Body:
        made: Body = self.do(house.patch(self.house.store, body, change))
        return made


@dataclass
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


Call = Callable[..., Said]


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the machine gets into a test; each has a state directory of its own."""
    for name in ("SYNCD_SERVER", "SYNCD_TOKEN", "SYNCD_CONFIG", "SYNCD_NAMESPACE", "ARGO_NAMESPACE", "SYNCD_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SYNCD_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("USER", "alice")


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """Run a command: its words in, what it answered out."""

    def run(*words: str) -> Said:
        capsys.readouterr()
        code = main.main(list(words))
        caught = capsys.readouterr()
        return Said(code, caught.out, caught.err)

    return run


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A daemon's API with a store in memory, named by $SYNCD_SERVER."""
    ready: list[Any] = []
    started = threading.Event()

    async def live() -> None:
        made = house.new_house()
        app = application.build(made.services, made.doors, wire.Pace(gap_seconds=0))
        runner = await application.start(app, "127.0.0.1", 0)
        stopping = asyncio.Event()
        ready.extend((made, asyncio.get_running_loop(), stopping, runner.addresses[0][1]))
        started.set()
        await stopping.wait()
        await runner.cleanup()

    thread = threading.Thread(target=asyncio.run, args=(live(),), daemon=True)
    thread.start()
    assert started.wait(20)
    made, loop, stopping, port = ready
    monkeypatch.setenv("SYNCD_SERVER", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("SYNCD_TOKEN", house.WRITER)
    yield Served(made, lambda job: asyncio.run_coroutine_threadsafe(job, loop).result(20))
    loop.call_soon_threadsafe(stopping.set)
    thread.join(20)
