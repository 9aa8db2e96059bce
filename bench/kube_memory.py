"""The memory of a daemon of a cluster, and how soon it is ready: `syncd run`, a process of its own, beside 20,000 finished Workflows.

The source has 5,000 templates and 500 crons; the Workflows are as Argo's controller leaves them, half of them with the label of a
cron, three of each of our crons being its own. Memory is read at rest after a restart, and its peak is that of the whole start. The
baseline is the same daemon in a cluster that has nothing.
"""

from __future__ import annotations

import asyncio
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from bench import kube, manifests, memory
from bench.measure import Goal, Measured, say
from bench.repository import Repository
from syncd.argo import labels
from syncd.argo.manifest import Body
from syncd.cluster.kube import kinds
from tests.support import kubeapi
from tests.support.kubeapi import ApiServer

_MB: Final = 1_000_000
_PATIENCE_SECONDS: Final = 900.0
_CRDS: Final = Path(__file__).parents[1] / "charts" / "syncd" / "crds"
_OWN: Final = 3
"""Runs of each of our crons: no more than its history keeps, so that none is deleted meanwhile."""


@dataclass(frozen=True, slots=True)
class _Sizes:
    templates: int
    crons: int
    workflows: int
    rest_seconds: float


def measure(folder: Path, quick: bool) -> list[Measured]:
    """Memory, and the time to begin."""
    sizes = _Sizes(30, 10, 100, 0.5) if quick else _Sizes(5_000, 500, 20_000, 4.0)
    with kubeapi.running() as server:
        server.kubectl("apply", "--server-side", "-f", str(_CRDS))
        return _measure(folder, server, sizes)


def _measure(folder: Path, server: ApiServer, sizes: _Sizes) -> list[Measured]:
    repository = Repository(folder / "repository.git")
    files = {f"templates/{n}.yaml": manifests.template(n) for n in range(sizes.templates)}
    files |= {f"crons/{n}.yaml": manifests.cron(n, f"job-{n}") for n in range(sizes.crons)}
    repository.commit(files)
    empty = _run(folder / "empty", server, server.namespace("empty"), "", 0, sizes.rest_seconds)
    home = server.namespace("bench")
    source = f"sources: [{{name: bench, url: '{repository.url}', namespace: {home}}}]\n"
    objects = sizes.templates + sizes.crons
    first = _run(folder / "full", server, home, source, objects, sizes.rest_seconds)
    say(f"kube-memory: first start, without Workflows: {first.to_json()}")
    asyncio.run(_finish(server, home, sizes))
    counting = kube.Counting(server)
    again = _run(folder / "full", server, home, source, objects, sizes.rest_seconds)
    calls = counting.calls()
    say(f"kube-memory: restart, {sizes.workflows} finished Workflows: {again.to_json()}, {calls.to_json()}")
    counted = {"templates": sizes.templates, "crons": sizes.crons, "workflows": sizes.workflows}
    return [
        Measured(
            "kube-memory",
            {**counted, **again.memory(), "without_workflows": first.memory(), "load": kube.load()},
            {"what": "the same daemon in a cluster that has nothing", **empty.memory()},
            again.sizes["VmRSS"] / empty.sizes["VmRSS"],
            Goal("resident_mb", at_most=300.0),
        ),
        Measured(
            "kube-restart-daemon",
            {**counted, **again.times(), "requests": calls.total(), "calls": calls.to_json(), "load": kube.load()},
            {"what": "the same daemon in a cluster that has nothing", **empty.times()},
            again.ready_seconds / empty.ready_seconds,
            Goal("ready_seconds", at_most=10.0),
        ),
    ]


@dataclass(frozen=True, slots=True)
class _Run:
    """One life of a daemon. Seconds since its start: ready = /readyz says so, applied = leads, and its source is in force."""

    ready_seconds: float
    leads_seconds: float
    applied_seconds: float
    sizes: Mapping[str, int]

    def memory(self) -> dict[str, float]:
        return {"resident_mb": self.sizes["VmRSS"] / _MB, "peak_mb": self.sizes["VmHWM"] / _MB}

    def times(self) -> dict[str, float]:
        return {
            "ready_seconds": self.ready_seconds,
            "leads_seconds": self.leads_seconds,
            "applied_seconds": self.applied_seconds,
        }

    def to_json(self) -> dict[str, str]:
        """For people."""
        return {name: f"{value:.1f}" for name, value in {**self.times(), **self.memory()}.items()}


def _run(state: Path, server: ApiServer, home: str, sources: str, objects: int, rest_seconds: float) -> _Run:
    """Start, wait until it rests, read its memory, end it by SIGTERM: it lets go of the lease."""
    state.mkdir(mode=0o700, exist_ok=True)
    config = state / "syncd.yaml"
    config.write_text(
        f"state: {state}\nmode: kubernetes\nlisten: {{port: 0}}\n"
        f"kubernetes: {{kubeconfig: {server.kubeconfig}, namespace: {home}}}\n{sources}"
    )
    begun = time.monotonic()
    deadline = begun + _PATIENCE_SECONDS
    with memory.daemon(state, config) as pid:
        while _answer(state, "/readyz") is None:
            memory.wait(pid, deadline, "being ready", 0.02)
        ready = time.monotonic() - begun
        while memory.metric(state, "syncd_leader") < 1:
            memory.wait(pid, deadline, "leading", 0.05)
        leads = time.monotonic() - begun
        while objects and memory.metric(state, "syncd_source_objects") < objects:
            memory.wait(pid, deadline, f"{objects} objects", 0.5)
        applied = time.monotonic() - begun
        while not memory.rests(pid, rest_seconds):
            memory.wait(pid, deadline, "rest", 0.1)
        return _Run(ready, leads, applied, memory.sizes(pid))


def _answer(state: Path, path: str) -> bytes | None:
    """What the daemon answers; None where it does not, or says no."""
    try:
        url = memory.url(state)
        with urllib.request.urlopen(f"{url}{path}", timeout=10) as answer:
            return bytes(answer.read())
    except (OSError, ValueError, urllib.error.URLError):
        return None


async def _finish(server: ApiServer, home: str, sizes: _Sizes) -> None:
    """Make the finished Workflows."""
    async with kube.bare(server) as bare:
        owners = [body["metadata"] for body in await bare.items(labels.CRON_WORKFLOW, home)]
        path = kinds.collection(labels.WORKFLOW, home)
        bodies = (_finished(number, home, owners) for number in range(sizes.workflows))
        ends = await bare.all(kube.Request("POST", path, body) for body in bodies)
    size = len(_finished(0, home, owners))
    say(f"kube-memory: {sizes.workflows} Workflows of {size} bytes made in {ends[-1]:.0f} s")


def _finished(number: int, namespace: str, owners: Sequence[Mapping[str, Any]]) -> bytes:
    """A Workflow of three steps as Argo's controller 4.1.2 leaves it. Of each two one has a cron; the first of these are our crons'."""
    name = f"run-{number:06d}"
    metadata: Body = {
        "name": name,
        "namespace": namespace,
        "labels": {labels.COMPLETED: "true", labels.PHASE: "Succeeded"},
        "annotations": {"workflows.argoproj.io/pod-name-format": "v2"},
    }
    if number % 2:
        owner = owners[number // 2 % len(owners)]
        metadata["labels"][labels.LABEL_CRON_WORKFLOW] = owner["name"]
        metadata["annotations"][labels.SCHEDULED_TIME] = "2026-11-22T07:18:00Z"
        if number // 2 < _OWN * len(owners):
            reference = {"apiVersion": labels.ARGO_API, "kind": labels.CRON_WORKFLOW, "name": owner["name"]}
            metadata["ownerReferences"] = [reference | {"uid": owner["uid"], "controller": True}]
    step = {"image": "busybox", "command": ["sh", "-c"], "args": ["echo {{inputs.parameters.text}}"], "resources": {}}
    spoken: Body = {"name": "text", "value": "north"}
    templates: list[Body] = [
        {"name": "main", "steps": [[_call("begin")], [_call("each")], [_call("end")]], "inputs": {}, "outputs": {}},
        {"name": "say", "container": step, "inputs": {"parameters": [{"name": "text"}]}, "metadata": {}},
    ]
    whole = {"id": name, "name": name, "type": "Steps", "templateName": "main", "children": [f"{name}-0"]}
    nodes = {name: {**whole, **_ENDED, "templateScope": f"local/{name}"}}
    for place, display in enumerate(("begin", "each", "end")):
        node = {"id": f"{name}-{place}", "name": f"{name}[{place}].{display}", "displayName": display, "type": "Pod"}
        more = {"templateName": "say", "inputs": {"parameters": [spoken]}, "outputs": {"exitCode": "0"}}
        nodes[f"{name}-{place}"] = {**node, **_ENDED, **more, "hostNodeName": "node-1", "boundaryID": name}
    body = {
        "apiVersion": labels.ARGO_API,
        "kind": labels.WORKFLOW,
        "metadata": metadata,
        "spec": {"entrypoint": "main", "arguments": {}, "templates": templates},
        "status": {
            **_ENDED,
            "nodes": nodes,
            "conditions": [{"type": "PodRunning", "status": "False"}, {"type": "Completed", "status": "True"}],
            "artifactRepositoryRef": {"artifactRepository": {}, "default": True},
            "artifactGCStatus": {"notSpecified": True},
        },
    }
    return orjson.dumps(body)


def _call(name: str) -> Body:
    return {"name": name, "template": "say", "arguments": {"parameters": [{"name": "text", "value": name}]}}


_ENDED: Final[Body] = {
    "phase": "Succeeded",
    "progress": "3/3",
    "startedAt": "2026-11-22T07:18:23Z",
    "finishedAt": "2026-11-22T07:18:31Z",
    "resourcesDuration": {"cpu": 1, "memory": 2},
}
