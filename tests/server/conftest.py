from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from syncd.server import application, wire
from tests.server.house import House, new_house


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """A served house on a free port of loopback; streams without a gap, so that no test waits for time to pass."""
    made = new_house()
    app = application.build(made.services, made.doors, wire.Pace(gap_seconds=0))
    runner = await application.start(app, "127.0.0.1", 0)
    made.port = runner.addresses[0][1]
    made.url = f"http://127.0.0.1:{made.port}"
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as client:
        made.client = client
        yield made
    await runner.cleanup()
