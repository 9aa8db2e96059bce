"""A small HTTP server that answers as kube-apiserver does for pods and their logs, which a server without kubelets cannot.

Comes in: pods with stamped lines, and how reading each goes wrong; other objects by their path. Goes out: a URL for a kubeconfig,
and what was asked. Lines may be added while they are followed. What it does not know is 404, as a `Status`.
Source: Kubernetes 1.34 pkg/registry/core/pod/rest/log.go, pkg/kubelet/kuberuntime/logs/logs.go.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from syncd.base.clock import parse_rfc3339

WAITING = 'container "main" in pod "{pod}" is waiting to start: ContainerCreating'


@dataclass
class Printing:
    """A pod. lines: by container, each with its time; refusal: (HTTP status, reason, message) in place of a log;
    breaks_after: the connection is cut behind so many lines, once; ended: it prints no more."""

    name: str
    lines: dict[str, list[str]]
    run: str = "hello"
    uid: str = "u1"
    node: str = ""
    began: str | None = "2026-01-01T00:00:00Z"
    ended: bool = True
    refusal: tuple[int, str, str] | None = None
    breaks_after: int = 0
    more: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, *lines: str) -> None:
        """To the log of main."""
        self.lines["main"] += lines
        self.more.set()

    def end(self) -> None:
        self.ended = True
        self.more.set()

    def body(self) -> dict[str, Any]:
        state = (
            {"terminated" if self.ended else "running": {"startedAt": self.began}} if self.began else {"waiting": {}}
        )
        names = [{"name": name} for name in self.lines]
        return {
            "metadata": {
                "name": self.name,
                "labels": {"workflows.argoproj.io/workflow": self.run},
                "annotations": {"workflows.argoproj.io/node-id": self.node or self.name},
                "ownerReferences": [{"kind": "Workflow", "uid": self.uid}],
            },
            "spec": {"containers": names},
            "status": {
                "phase": "Succeeded" if self.ended else "Running",
                "containerStatuses": [{**each, "state": state} for each in names],
            },
        }


class PodServer:
    """What it has and was asked. objects: by path; logs_asked: (pod, query), in order; most_open: streams at once, at most."""

    def __init__(self) -> None:
        self.pods: dict[str, Printing] = {}
        self.objects: dict[str, dict[str, Any]] = {}
        self.logs_asked: list[tuple[str, dict[str, str]]] = []
        self.url = ""
        self.open = self.most_open = 0

    def add(self, pod: Printing) -> Printing:
        self.pods[pod.name] = pod
        return pod

    def kubeconfig(self, folder: Path, namespace: str = "ci") -> Path:
        """A file that leads here."""
        context = {"name": "fake", "context": {"cluster": "fake", "user": "fake", "namespace": namespace}}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "fake",
            "contexts": [context],
            "clusters": [{"name": "fake", "cluster": {"server": self.url}}],
            "users": [{"name": "fake", "user": {"token": "t"}}],
        }
        path = folder / "pods.kubeconfig"
        path.write_text(json.dumps(config))
        return path

    async def _list(self, request: web.Request) -> web.Response:
        wanted = request.query.get("labelSelector", "").partition("=")[2]
        items = [pod.body() for pod in self.pods.values() if pod.run == wanted]
        return web.json_response({"kind": "PodList", "metadata": {}, "items": items})

    async def _log(self, request: web.Request) -> web.StreamResponse:
        name, query = request.match_info["pod"], dict(request.query)
        self.logs_asked.append((name, query))
        pod = self.pods.get(name)
        if pod is None:
            return _status(404, "NotFound", f'pods "{name}" not found', name)
        if pod.refusal is not None:
            return _status(*pod.refusal, name)
        if query["container"] not in pod.lines:
            return _status(400, "BadRequest", f"container {query['container']} is not valid for pod {name}", name)
        if pod.began is None:
            return _status(400, "BadRequest", WAITING.format(pod=name), name)
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            return await self._stream(request, pod, query)
        finally:
            self.open -= 1

    async def _stream(self, request: web.Request, pod: Printing, query: dict[str, str]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        lines = pod.lines[query["container"]]
        since = parse_rfc3339(query["sinceTime"]) if "sinceTime" in query else None
        place = max(0, len(lines) - int(query["tailLines"])) if "tailLines" in query else 0
        room = int(query.get("limitBytes", 1 << 60))
        sent = 0
        while True:
            while place < len(lines):
                line = lines[place]
                place += 1
                if since is not None and parse_rfc3339(line.split(" ")[0]) < since:
                    continue
                data = (line + "\n").encode()[:room]
                room -= len(data)
                await response.write(data)
                sent += 1
                if pod.breaks_after and sent >= pod.breaks_after:
                    pod.breaks_after = 0
                    assert request.transport is not None
                    await asyncio.sleep(0.05)
                    request.transport.abort()
                    return response
            if query.get("follow") != "true" or pod.ended:
                return response
            pod.more.clear()
            await pod.more.wait()

    async def _object(self, request: web.Request) -> web.Response:
        found = self.objects.get(request.path)
        if found is None:
            return _status(
                404, "NotFound", f'"{request.path.rsplit("/", 1)[-1]}" not found', request.path.rsplit("/", 1)[-1]
            )
        return web.json_response(found)


def _status(code: int, reason: str, message: str, name: str) -> web.Response:
    body = {
        "kind": "Status",
        "code": code,
        "reason": reason,
        "message": message,
        "details": {"name": name, "kind": "pods"},
    }
    return web.json_response(body, status=code)


@asynccontextmanager
async def serving() -> AsyncIterator[PodServer]:
    """One on a free port of the loopback."""
    server = PodServer()
    application = web.Application()
    application.router.add_get("/api/v1/namespaces/ci/pods", server._list)
    application.router.add_get("/api/v1/namespaces/ci/pods/{pod}/log", server._log)
    application.router.add_get("/{path:.*}", server._object)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        for pod in server.pods.values():
            pod.end()
        await runner.cleanup()
