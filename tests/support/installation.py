"""A whole embedded installation in this process: the real store, engine, sandbox and artifacts, without a listener."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from syncd.app import parts as making
from syncd.app.real import SystemClock, SystemRandom
from syncd.argo.manifest import Body, Key, key_of
from syncd.cluster.api import Verb, Write
from syncd.cluster.embedded.store import open_store
from syncd.config.model import Config


@dataclass
class Installation:
    """What a test drives."""

    parts: making.Parts

    async def put(self, bodies: Iterable[Body]) -> None:
        """Create objects as they are. Those that exist already stay."""
        await self.parts.store.write([Write(Verb.CREATE, key_of(body), body) for body in bodies])

    async def submit(self, body: Body) -> Key:
        """Submit a Workflow as people do, linted and named."""
        created = await self.parts.submitter.submit(body, by="test")
        return key_of(created)

    async def ended(self, key: Key, seconds: float = 60.0) -> Body:
        """The Workflow once it has ended."""
        async with asyncio.timeout(seconds):
            while True:
                body = await self.parts.store.get(key)
                if (body.get("status") or {}).get("finishedAt"):
                    return body
                await asyncio.sleep(0.02)

    async def log(self, body: Body, **selection: Any) -> list[str]:
        """The lines of a run's log."""
        return [line.text async for line in self.parts.logs.read(body["metadata"]["uid"], **selection)]


@contextlib.asynccontextmanager
async def installation(state: Path, config: Config) -> AsyncIterator[Installation]:
    """One that runs workflows until the block ends."""
    store = open_store(state, clock=SystemClock(), random=SystemRandom())
    try:
        async with store.exclusive():
            made = making.make(state, config, store, act=True)
            made.runner.start("runs", made.runs.run)
            try:
                yield Installation(made)
            finally:
                await made.runner.close()
                assert made.executor is not None
                await made.executor.close()
    finally:
        await store.close()
