"""Threads of a source's own for its blocking work, so that a remote that hangs holds up nobody else.

The event loop's threads are few and serve steps, logs and the API as well: half a dozen remotes that accept and say nothing
would take them all. In: a function; out: its answer. Made by each source for itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")

_THREADS = 2
"""What one step of a source does at once: fetch, and look for what is not committed."""


class Worker:
    """Two threads, made when they are first needed."""

    def __init__(self, name: str) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix=f"syncd-source-{name}")

    async def do(self, work: Callable[..., T], *arguments: Any) -> T:
        """What `work` answers or raises. Cancelled, it goes on to its end unheard."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    def close(self) -> None:
        """Take no more work. What runs ends by itself: the caller sees to it that it does soon."""
        self._threads.shutdown(wait=False, cancel_futures=True)
