"""What goes wrong around a daemon: remotes that hang or talk nonsense, and a daemon in this process to see it go on.

Comes in: a state directory and sources. Goes out: an `app.daemon.Daemon` that polls often, with what it says in its log.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from syncd.app.daemon import Daemon
from syncd.app.real import SystemClock, SystemRandom
from syncd.cluster.embedded.store import open_store
from syncd.config.model import Config, Listen, Runtime, Source

OFTEN = timedelta(milliseconds=50)
PATIENCE_SECONDS = 30.0


def template(name: str, message: str = "hello") -> str:
    """A WorkflowTemplate as people write it."""
    return (
        f"apiVersion: argoproj.io/v1alpha1\nkind: WorkflowTemplate\nmetadata: {{name: {name}}}\n"
        "spec:\n  entrypoint: main\n  templates:\n"
        f"  - name: main\n    container: {{image: busybox, command: [echo, {message}]}}\n"
    )


@contextlib.asynccontextmanager
async def standing(
    state: Path, *sources: Source, reread: Callable[[], Config] | None = None, **more: Any
) -> AsyncIterator[Daemon]:
    """A daemon with its listener and its loops, ended with the block. more: of the configuration."""
    given: dict[str, Any] = {
        "state": str(state),
        "sources": sources,
        "listen": Listen(port=0),
        "runtime": Runtime.SANDBOX,
    } | more
    store = open_store(state, clock=SystemClock(), random=SystemRandom())
    try:
        async with store.exclusive():
            daemon = Daemon(state, Config(**given), store, None, reread)
            await daemon.start()
            try:
                yield daemon
            finally:
                await daemon.stop()
    finally:
        await store.close()


async def until(condition: Callable[[], Any], what: str) -> Any:
    """The first answer that is true."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not (found := condition()):  # noqa: ASYNC110 - what is looked at has no event
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"never seen: {what}") from None
    return found


async def status(daemon: Daemon, name: str, what: str, **expected: Any) -> dict[str, Any]:
    """The status of a source once it has these values; a string has to begin with what is expected."""

    def look() -> dict[str, Any] | None:
        said = daemon.parts.sources.status(name)
        fits = all(str(said.get(key) or "").startswith(str(value)) for key, value in expected.items())
        return said if fits else None

    try:
        found: dict[str, Any] = await until(look, what)
    except AssertionError:
        raise AssertionError(f"{what}: never {expected}; it is {daemon.parts.sources.status(name)}") from None
    return found


@contextlib.contextmanager
def silent() -> Iterator[int]:
    """The port of a server that accepts, reads, and never says a word."""
    held: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    held.append(listener.accept()[0])

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in held:
                connection.close()
