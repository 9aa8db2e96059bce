"""The application without a daemon: the same routes, on a private Unix socket, for one command.

`act=False` reads the store; `act=True` takes its lock and runs what is submitted, in this process. The loops live in a thread
of their own, so that the command line stays as it is: a client of an API.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from syncd.app import parts as making
from syncd.app.apart import apart
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

        async def build(stack: contextlib.AsyncExitStack) -> None:
            stack.push_async_callback(store.close)
            if act:
                await stack.enter_async_context(store.exclusive())
            made = making.make(state, chosen, store, act=act)

            async def no_reload() -> dict[str, object]:
                raise Unsupported("there is no daemon whose configuration could be read again")

            services = making.services(made, reload=no_reload)
            application = make_application(services, doors_of(state, chosen, made.clock))
            listener = await start_server(application, None, 0, unix_path=path)
            stack.push_async_callback(listener.cleanup)
            if made.executor is not None:
                stack.push_async_callback(made.executor.close)
                made.runner.start("runs", made.runs.run)
                stack.push_async_callback(made.runner.close)

        def meaning(error: BaseException) -> BaseException:
            return unusable(state, error) if isinstance(error, OSError) else error

        with apart(build, meaning):
            yield path, tokens.load_or_create(state / "token")
