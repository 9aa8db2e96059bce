"""Logs of a run, or of one of its steps, as a stream.

Comes in: requests whose caller is known. Goes out: `{"content", "podName"}` entries; the work is in `logreading`.
Source: Argo v4.1.2 server/workflow/workflow_server.go WorkflowLogs, PodLogs.
"""

from __future__ import annotations

from aiohttp import web

from syncd.argo import labels
from syncd.server import logreading, stream, wire


async def workflow_log(request: web.Request) -> web.StreamResponse:
    """GET …/{name}/log?podName=&grep=&logOptions.{container,follow,tailLines,sinceSeconds,sinceTime,timestamps}."""
    return await _log(request, "")


async def pod_log(request: web.Request) -> web.StreamResponse:
    """GET …/{name}/{podName}/log: one pod; a node's id, display name or template will do."""
    return await _log(request, wire.step(request.match_info["podName"]))


async def _log(request: web.Request, step: str) -> web.StreamResponse:
    services = wire.services(request)
    asked = logreading.parse(request.query, step, services.clock.now())
    key = wire.key(request, labels.WORKFLOW)
    return await stream.relay(request, await logreading.begin(services.store, services.logs, key, asked))
