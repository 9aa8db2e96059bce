"""What the benchmarks of a cluster share: the bare loop that is their baseline, and requests as the API server counted them.

The bare loop is the least that the same requests cost from Python: bodies made beforehand, aiohttp, TLS, so many in flight, answers
read and thrown away. Ours and the bare loop run in the same process, beside the same server, one after the other.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson

from syncd.app import cluster
from syncd.app.replica import Replica
from syncd.argo import labels
from syncd.argo.manifest import Body
from syncd.cluster.kube import kinds
from syncd.config.model import Config, Kubernetes, Mode
from syncd.config.model import Source as SourceConfig
from tests.support.kubeapi import ApiServer

IN_FLIGHT: Final = 16
APPLY: Final = "application/apply-patch+yaml"
_COUNTED: Final = frozenset(
    {"workflows", "workflowtemplates", "clusterworkflowtemplates", "cronworkflows", "configmaps", "events", "sources"}
)
"""Resources that nobody but us asks for: the server's own requests (leases, informers) are left out."""
_READS: Final = frozenset({"GET", "LIST", "WATCH"})


@dataclass(frozen=True, slots=True)
class Request:
    """One of a bare loop."""

    method: str
    path: str
    body: bytes = b""
    content_type: str = "application/json"


class Calls(Counter[tuple[str, str, str]]):
    """Requests by (verb, resource, code), counted by the server between two moments."""

    @property
    def writes(self) -> int:
        """Those that change something: neither reads nor dry runs."""
        return sum(n for (verb, _, _), n in self.items() if verb not in _READS and not verb.startswith("DRY-"))

    def refused(self) -> int:
        """Those that were too many."""
        return sum(n for (_, _, code), n in self.items() if code == "429")

    def to_json(self) -> dict[str, int]:
        """`{"LIST workflowtemplates 200": 25}`, in order."""
        return {" ".join(key): n for key, n in sorted(self.items())}


class Counting:
    """Counts from when it is made."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self._before = server.requests_total()

    def calls(self) -> Calls:
        """What was asked since then. Watches count when they end, so they are left out."""
        since = self._server.requests_total() - self._before
        return Calls({key: n for key, n in since.items() if key[1] in _COUNTED and key[0] != "WATCH"})


class Bare:
    """The bare loop. Made by `bare`."""

    def __init__(self, server: ApiServer, session: aiohttp.ClientSession) -> None:
        self._server = server
        self._session = session

    async def all(self, requests: Iterable[Request], in_flight: int = IN_FLIGHT) -> list[float]:
        """Do them; seconds from the beginning to the end of each, in order of their ends. Raises where one is refused."""
        todo = iter(requests)
        ends: list[float] = []
        begun = time.perf_counter()

        async def worker() -> None:
            for request in todo:
                await self.one(request)
                ends.append(time.perf_counter() - begun)

        async with asyncio.TaskGroup() as group:
            for _ in range(in_flight):
                group.create_task(worker())
        return ends

    async def one(self, request: Request) -> bytes:
        """One request; the answer as it came."""
        async with self._session.request(
            request.method,
            self._server.url + request.path,
            data=request.body or None,
            headers={"Content-Type": request.content_type},
        ) as answer:
            text = await answer.read()
            if answer.status >= 300:
                raise RuntimeError(f"{request.method} {request.path}: {answer.status} {text[:500]!r}")
            return text

    async def items(self, kind: str, namespace: str = "") -> list[Body]:
        """All objects of a kind, in pages of 500 as syncd asks for them."""
        found: list[Body] = []
        further = ""
        while True:
            query = f"?limit=500{f'&continue={further}' if further else ''}"
            page = orjson.loads(await self.one(Request("GET", kinds.collection(kind, namespace) + query)))
            found += page["items"]
            further = page["metadata"].get("continue", "")
            if not further:
                return found


@asynccontextmanager
async def bare(server: ApiServer) -> AsyncIterator[Bare]:
    """A session of its own, with the administrator's token."""
    headers = {"Authorization": f"Bearer {server.token}", "Accept": "application/json", "Accept-Encoding": "identity"}
    connector = aiohttp.TCPConnector(limit=0, ssl=server.trust())
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        yield Bare(server, session)


def config_of(server: ApiServer, state: Path, home: str, *sources: SourceConfig, **more: Any) -> Config:
    """A cluster's configuration. home: the namespace of our own records."""
    chosen = Kubernetes(kubeconfig=str(server.kubeconfig), namespace=home)
    return Config(state=str(state), mode=Mode.KUBERNETES, kubernetes=chosen, sources=sources, **more)


@asynccontextmanager
async def acting(state: Path, config: Config) -> AsyncIterator[tuple[cluster.ClusterParts, cluster.Acting]]:
    """What a leader runs, made as `app` makes it; no lease is asked for, and no loop runs yet."""
    await asyncio.to_thread(state.mkdir, parents=True, exist_ok=True)
    parts = await cluster.make(state, config)
    try:
        replica = Replica(state, parts, None)
        parts.gate.ask = lambda: None
        parts.store.begin()
        yield parts, cluster.Acting(parts, replica._sync_loop, lambda: None, {})
    finally:
        await parts.runner.close()
        await parts.people.close()
        await parts.store.close()


def declared(body: Mapping[str, Any], namespace: str) -> Body:
    """The body of an apply that would make an object like this live one, in another namespace."""
    metadata = body["metadata"]
    kept = {name: metadata[name] for name in ("name", "labels", "annotations") if name in metadata}
    rest = {name: value for name, value in body.items() if name not in ("metadata", "status")}
    return {**rest, "apiVersion": labels.ARGO_API, "metadata": {**kept, "namespace": namespace}}


def apply_request(body: Mapping[str, Any], kind: str, *, dry: bool) -> Request:
    """A server-side apply, as syncd sends it."""
    metadata = body["metadata"]
    path = f"{kinds.collection(kind, metadata['namespace'])}/{metadata['name']}"
    query = f"?fieldManager=syncd&force=false{'&dryRun=All' if dry else ''}"
    return Request("PATCH", path + query, orjson.dumps(body), APPLY)


def load() -> float:
    """Processes that want a core, over the last minute: said beside each figure, since other work slows us and the server alike."""
    return os.getloadavg()[0]


def median_pair(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Of (ours, theirs), measured in turns, the pair with the middle ratio."""
    ordered = sorted(pairs, key=lambda pair: pair[0] / pair[1])
    return ordered[(len(ordered) - 1) // 2]
