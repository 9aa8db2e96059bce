"""The application without a daemon: the same routes, on a private Unix socket, for one command.

`act=False` reads the store; `act=True` takes its lock and runs what is submitted, in this process. The loops live in a thread
of their own, so that the command line stays as it is: a client of an API.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from syncd.app import parts as making
from syncd.app.common import doors_of, unusable
from syncd.app.real import SystemClock, SystemRandom
from syncd.base.errors import Unsupported
from syncd.cluster.embedded.store import open_store
from syncd.config.model import Config
from syncd.server import tokens
from syncd.server.application import build as make_application
from syncd.server.application import start as start_server


@contextlib.contextmanager
def offline(state: Path, *, act: bool, config: Config | None = None) -> Iterator[tuple[Path, str]]:
    """Yields (path of the socket, token). act: run workflows, holding the store's lock.

    Raises NotFound where there is nothing to read, Conflict where a daemon holds the lock, Unsupported where nothing can
    be run here.
    """
    chosen = config or Config()
    store = open_store(state, clock=SystemClock(), random=SystemRandom(), readonly=not act)
    with tempfile.TemporaryDirectory(prefix="syncd-") as folder:
        path = Path(folder) / "api.sock"
        started = threading.Event()
        ended: list[BaseException] = []
        handle: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

        async def live() -> None:
            stopping = asyncio.Event()
            handle.append((asyncio.get_running_loop(), stopping))
            async with contextlib.AsyncExitStack() as stack:
                stack.push_async_callback(store.close)
                if act:
                    await stack.enter_async_context(store.exclusive())
                made = making.make(state, chosen, store, act=act)

                async def no_reload() -> dict[str, object]:
                    raise Unsupported("there is no daemon whose configuration could be read again")

                application = make_application(
                    making.services(made, reload=no_reload), doors_of(state, chosen, made.clock)
                )
                listener = await start_server(application, None, 0, unix_path=path)
                stack.push_async_callback(listener.cleanup)
                if made.executor is not None:
                    stack.push_async_callback(made.executor.close)
                    made.runner.start("runs", made.runs.run)
                    stack.push_async_callback(made.runner.close)
                started.set()
                await stopping.wait()

        def thread() -> None:
            try:
                asyncio.run(live())
            except OSError as error:
                ended.append(unusable(state, error))
            except BaseException as error:  # noqa: BLE001 - handed to the caller's thread
                ended.append(error)
            finally:
                started.set()

        worker = threading.Thread(target=thread, name="offline", daemon=True)
        worker.start()
        started.wait()
        if ended:
            raise ended[0]
        try:
            yield path, tokens.load_or_create(state / "token")
        finally:
            loop, stopping = handle[0]
            loop.call_soon_threadsafe(stopping.set)
            worker.join()
        if ended:
            raise ended[0]
