"""A part of the application on an event loop in a thread of its own, for a command that is a client of it.

Used by `alone` (the embedded store) and `beside` (a cluster).
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterator


@contextlib.contextmanager
def apart(
    build: Callable[[contextlib.AsyncExitStack], Awaitable[None]],
    meaning: Callable[[BaseException], BaseException] = lambda error: error,
) -> Iterator[None]:
    """What `build` makes lives on an event loop in a thread of its own, until the block ends. Raises what building raises.

    meaning: what an error of that thread is to the caller.
    """
    started = threading.Event()
    ended: list[BaseException] = []
    handle: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def live() -> None:
        stopping = asyncio.Event()
        handle.append((asyncio.get_running_loop(), stopping))
        async with contextlib.AsyncExitStack() as stack:
            await build(stack)
            started.set()
            await stopping.wait()

    def thread() -> None:
        try:
            asyncio.run(live())
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread
            ended.append(meaning(error))
        finally:
            started.set()

    worker = threading.Thread(target=thread, name="apart", daemon=True)
    worker.start()
    started.wait()
    if ended:
        raise ended[0]
    try:
        yield
    finally:
        loop, stopping = handle[0]
        with contextlib.suppress(RuntimeError):  # it has ended by itself
            loop.call_soon_threadsafe(stopping.set)
        worker.join()
    if ended:
        raise ended[0]
