"""The rooms of embedded mode as the daemon has them, in a folder of their own. Called by the benchmarks that need them running."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from syncd.app import parts as making
from syncd.app.real import SystemClock, SystemRandom
from syncd.cluster.embedded.store import open_store
from syncd.config.model import Config


@asynccontextmanager
async def made(state: Path, config: Config, *, act: bool) -> AsyncIterator[making.Parts]:
    """What `app` constructs, with the store's lock held; closed at the end. act: with an executor. Nothing runs yet."""
    store = open_store(state, clock=SystemClock(), random=SystemRandom())
    try:
        async with store.exclusive():
            parts = making.make(state, config, store, act=act)
            try:
                yield parts
            finally:
                await parts.runner.close()
                if parts.executor is not None:
                    await parts.executor.close()
    finally:
        await store.close()
