"""A served house for tests: the real application on a real socket, over a store in memory and small fakes of the loops."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp

from syncd.argo import labels
from syncd.argo.manifest import Body, Key
from syncd.base.errors import Conflict, NotFound
from syncd.base.problems import Place, Problem, Severity
from syncd.cluster.api import Store, Verb, Write
from syncd.cluster.memory import MemoryStore
from syncd.execute.api import LogLine
from syncd.server import api, auth
from tests.support.clocks import CountingRandom, ManualClock

WRITER = "writer-token-0123456789-0123456789"
READER = "reader-token-0123456789-0123456789"


@dataclass
class FakeRuns:
    """Creates and patches in the store, and keeps what it was asked."""

    store: Store
    asked: list[tuple[Any, ...]] = field(default_factory=list)

    async def submit(self, body: Body, *, by: str, dry_run: bool = False) -> Body:
        self.asked.append(("submit", body, by, dry_run))
        if dry_run:
            return body
        return await put(self.store, body)

    async def submit_from(self, kind: str, namespace: str, name: str, options: Mapping[str, Any], *, by: str) -> Body:
        self.asked.append(("submit_from", kind, namespace, name, dict(options), by))
        return await put(self.store, workflow(f"{name}-run", namespace))

    async def operate(self, key: Key, verb: str, arguments: Mapping[str, Any], *, by: str) -> Body:
        self.asked.append(("operate", key, verb, dict(arguments), by))
        body = await self.store.get(key)
        if (body.get("status") or {}).get("finishedAt"):
            raise Conflict(f"cannot {verb} {key}: it has ended")
        return body

    async def resubmit(self, key: Key, arguments: Mapping[str, Any], *, by: str) -> Body:
        self.asked.append(("resubmit", key, dict(arguments), by))
        return await self.store.get(key)

    async def delete(self, key: Key, *, force: bool, by: str) -> None:
        self.asked.append(("delete", key, force, by))
        (written,) = await self.store.write([Write(Verb.DELETE, key)])
        if written.error is not None:
            raise written.error


@dataclass
class FakeCrons:
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    next: dict[Key, datetime] = field(default_factory=dict)

    async def trigger(self, key: Key, *, by: str) -> Body:
        self.asked.append(("trigger", key, by))
        return workflow(f"{key.name}-1", key.namespace)

    async def suspend(self, key: Key, *, by: str) -> Body:
        self.asked.append(("suspend", key, by))
        return {"kind": key.kind, "spec": {"suspend": True}}

    async def resume(self, key: Key, *, by: str) -> Body:
        self.asked.append(("resume", key, by))
        return {"kind": key.kind, "spec": {}}

    async def explain(self, key: Key, slot: datetime | None, limit: int) -> dict[str, Any]:
        return {"cron": str(key), "slot": slot, "limit": limit}

    def next_fire(self, key: Key, body: Body) -> datetime | None:
        return self.next.get(key)


@dataclass
class FakeSources:
    known: dict[str, list[Problem]] = field(default_factory=dict)
    asked: list[tuple[Any, ...]] = field(default_factory=list)

    async def refresh(self) -> None:
        return None

    def names(self) -> list[str]:
        return list(self.known)

    def status(self, name: str) -> dict[str, Any]:
        self._check(name)
        return {"name": name, "result": "applied"}

    def problems(self, name: str) -> Sequence[Problem]:
        return self._check(name)

    async def plan(self, name: str) -> dict[str, Any]:
        self._check(name)
        return {"items": []}

    async def sync(self, name: str, wait: bool) -> dict[str, Any]:
        self.asked.append(("sync", name, wait))
        return self.status(name)

    async def approve(self, name: str, revision: str, by: str) -> dict[str, Any]:
        self.asked.append(("approve", name, revision, by))
        return self.status(name)

    def ignored(self, name: str) -> Sequence[tuple[str, str]]:
        self._check(name)
        return [("Chart.yaml", "a Helm chart")]

    def _check(self, name: str) -> list[Problem]:
        if name not in self.known:
            raise NotFound(f"no source {name!r}; known: {', '.join(self.known)}")
        return self.known[name]


@dataclass
class FakeLogs:
    """Lines by run uid. Followers wait for more until told to stop."""

    lines: dict[str, list[LogLine]] = field(default_factory=dict)
    stopped: set[str] = field(default_factory=set)
    followed: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(
        self,
        run_uid: str,
        *,
        run: Key | None = None,
        pods: frozenset[str] | None = None,
        container: str = "main",
        follow: bool = False,
        tail: int | None = None,
        since: datetime | None = None,
    ) -> AsyncIterator[LogLine]:
        told = 0
        if tail is not None:
            told = max(0, len(self.lines.get(run_uid, [])) - tail)
        while True:
            lines = self.lines.get(run_uid, [])
            for line in lines[told:]:
                if line.container == container and (since is None or line.at is None or line.at >= since):
                    yield line
            told = len(lines)
            if not follow or run_uid in self.stopped:
                return
            self.followed.set()
            self.changed.clear()
            await self.changed.wait()

    def add(self, run_uid: str, *lines: LogLine) -> None:
        self.lines.setdefault(run_uid, []).extend(lines)
        self.changed.set()

    def stop_following(self, run_uid: str) -> None:
        self.stopped.add(run_uid)
        self.changed.set()

    async def remove(self, run_uid: str) -> None:
        self.lines.pop(run_uid, None)


@dataclass
class FakeBytes:
    content: dict[str, bytes] = field(default_factory=dict)
    broken: bool = False

    async def open_artifact(self, run: Body, artifact: Mapping[str, Any]) -> api.Download:
        data = self.content[artifact["name"]]

        async def chunks() -> AsyncIterator[bytes]:
            yield data
            if self.broken:
                raise NotFound("the rest is gone")

        return api.Download(f"{artifact['name']}.tgz", chunks(), None if self.broken else len(data))


@dataclass
class House:
    """What tests hold in their hands."""

    clock: ManualClock
    store: Store
    runs: FakeRuns
    crons: FakeCrons
    sources: FakeSources
    logs: FakeLogs
    artifacts: FakeBytes
    doors: auth.Doors
    services: api.Services
    not_ready: list[str] = field(default_factory=list)
    url: str = ""
    port: int = 0
    client: aiohttp.ClientSession | None = None

    async def call(self, method: str, path: str, sent: Any = None, **options: Any) -> tuple[int, Any]:
        """(status, JSON) of one request with the writer's token, or with `token=`; "" = none."""
        token = options.pop("token", WRITER)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers |= options.pop("headers", {})
        data = None if sent is None else json.dumps(sent).encode()
        assert self.client is not None
        # No Content-Type, as Argo's CLI.
        async with self.client.request(
            method,
            self.url + path,
            data=data,
            headers=headers,
            skip_auto_headers=["Content-Type"],
            allow_redirects=False,
            **options,
        ) as response:
            text = await response.text()
            self.last = response
            try:
                return response.status, json.loads(text)
            except json.JSONDecodeError:
                return response.status, text


def new_house() -> House:
    """All of it, not yet listening."""
    clock = ManualClock()
    store = MemoryStore(clock, CountingRandom())
    runs, crons, sources, logs, artifacts = FakeRuns(store), FakeCrons(), FakeSources(), FakeLogs(), FakeBytes()
    not_ready: list[str] = []

    async def lint(body: Body) -> Sequence[Problem]:
        if "entrypoint" in (body.get("spec") or {}):
            return [Problem(Place("stdin", 1, 1), "V001", "only a warning", Severity.WARNING)]
        return [
            Problem(Place("stdin", 3, 1), "V101", "spec.entrypoint is required", path="spec", remedy="name a template"),
            Problem(Place("stdin", 4, 1), "V102", "no templates"),
        ]

    async def reload() -> Mapping[str, Any]:
        return {"changed": ["sources"]}

    services = api.Services(
        runs=runs,
        crons=crons,
        sources=sources,
        artifacts=artifacts,
        store=store,
        logs=logs,
        clock=clock,
        version=api.Version("0.1.0", "abc"),
        lint=lint,
        metrics=lambda accept: (b"syncd_up 1\n", "text/plain; version=0.0.4; charset=utf-8"),
        ready=lambda: not_ready,
        live=list,
        about=lambda: {"mode": "embedded"},
        reload=reload,
    )
    credentials = [
        auth.Credential("local", WRITER),
        auth.Credential("dashboards", READER, auth.Access.READ),
    ]
    doors = auth.Doors(credentials, clock, hosts=["syncd.example"])
    return House(clock, store, runs, crons, sources, logs, artifacts, doors, services, not_ready)


def workflow(name: str, namespace: str = "default", **metadata: Any) -> Body:
    return {
        "apiVersion": labels.ARGO_API,
        "kind": labels.WORKFLOW,
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": {"entrypoint": "main"},
    }


def template(kind: str, name: str, namespace: str = "default", **metadata: Any) -> Body:
    where = {} if kind in labels.CLUSTER_SCOPED else {"namespace": namespace}
    return {
        "apiVersion": labels.API_VERSION_OF[kind],
        "kind": kind,
        "metadata": {"name": name, **where, **metadata},
        "spec": {"entrypoint": "main", "schedules": ["0 * * * *"]},
    }


async def put(store: Store, body: Body) -> Body:
    """Create it."""
    metadata = body["metadata"]
    key = Key(body["kind"], metadata.get("namespace", ""), metadata["name"])
    (written,) = await store.write([Write(Verb.CREATE, key, body)])
    if written.error is not None:
        raise written.error
    assert written.body is not None
    return written.body


async def patch(store: Store, body: Body, change: Body) -> Body:
    """Merge a change into it."""
    metadata = body["metadata"]
    key = Key(body["kind"], metadata.get("namespace", ""), metadata["name"])
    (written,) = await store.write([Write(Verb.PATCH, key, change)])
    assert written.error is None and written.body is not None
    return written.body


def line(text: str, pod: str = "pod-1", node: str = "node-1", container: str = "main", second: int = 0) -> LogLine:
    return LogLine(pod, node, container, datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC), text)
