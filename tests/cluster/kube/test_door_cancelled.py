"""A request that is cancelled is cancelled, also where its time runs out in the same moment: so it is when a frozen process thaws."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from aiohttp import web

from syncd.app.real import SystemClock
from syncd.base.errors import Unreachable
from syncd.cluster.kube.access import Access
from syncd.cluster.kube.door import open_door

SECONDS = 0.2


@pytest.fixture
async def door(tmp_path):
    """A door to a server that never answers."""
    over = asyncio.Event()

    async def answer(request):
        await over.wait()
        return web.Response()

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "clusters": [{"name": "test", "cluster": {"server": server}}],
        "users": [{"name": "test", "user": {"token": "secret"}}],
    }
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(config))
    path.chmod(0o600)
    made = await open_door(Access(str(path)), SystemClock())
    yield made
    over.set()
    await made.close()
    await runner.cleanup()


def asked(door):
    """A request under way."""
    path = "/api/v1/namespaces/ci/configmaps/a"
    return asyncio.create_task(door.call("GET", path, what="get a", timeout_seconds=SECONDS))


async def test_a_request_that_takes_too_long_is_unreachable(door):
    with pytest.raises(Unreachable, match="no answer in time"):
        await asked(door)


async def test_a_cancellation_is_not_lost_where_the_time_runs_out_as_well(door):
    task = asked(door)
    await asyncio.sleep(SECONDS / 4)
    time.sleep(SECONDS * 2)  # noqa: ASYNC251 - frozen
    asyncio.get_running_loop().call_soon(task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task
