"""A source of 5,000 objects in a cluster: its first apply, a sync that finds nothing to change, one change, a restart.

The baselines are a bare loop of the same requests (a dry run of everything, then everything applied), and `kubectl apply
--server-side -f DIR` on a sample, scaled to all of them. The first apply and its bare loop are repeated in turns, each time in
namespaces that have no object, and the pair with the middle ratio is told.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from bench import kube, manifests
from bench.measure import Goal, Measured, median, say
from bench.repository import Repository
from syncd.argo import labels
from syncd.argo.manifest import Body
from syncd.config.model import Source as SourceConfig
from syncd.loops.sync import SyncLoop
from syncd.observe.events import ApiCalled, Event
from tests.support import kubeapi
from tests.support.kubeapi import ApiServer

_KINDS: Final = (labels.WORKFLOW_TEMPLATE, labels.CRON_WORKFLOW)
_PATIENCE: Final = timedelta(hours=1)
"""So that no full comparison falls due between two measurements."""


def measure(folder: Path, quick: bool) -> list[Measured]:
    """All of them."""
    sizes = _Sizes(60, 10, 1, 2) if quick else _Sizes(5_000, 200, 3, 15)
    with kubeapi.running() as server:
        return asyncio.run(_measure(folder, server, sizes))


@dataclass(frozen=True, slots=True)
class _Sizes:
    """objects: of the source; sample: of kubectl; rounds: of the first apply; changes: of one file."""

    objects: int
    sample: int
    rounds: int
    changes: int


@dataclass(slots=True)
class _Clocked:
    """When requests of each verb ended: hears the events of the door."""

    first: dict[str, float] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)

    def hear(self, event: Event) -> None:
        if isinstance(event, ApiCalled):
            now = time.perf_counter()
            self.first.setdefault(event.verb, now)
            self.last[event.verb] = now


async def _measure(folder: Path, server: ApiServer, sizes: _Sizes) -> list[Measured]:
    repository = Repository(folder / "repository.git")
    repository.commit(manifests.many(sizes.objects))
    kubectl = await asyncio.to_thread(_kubectl, folder, server, sizes)
    async with kube.bare(server) as bare:
        pairs: list[tuple[float, float]] = []
        told: list[dict[str, Any]] = []
        for turn in range(sizes.rounds):
            home = _Home(folder / f"state-{turn}", server, repository, server.namespace("bench"))
            figures = await _first(home, sizes)
            theirs, used = await _bare(bare, home.namespace, server.namespace("bare"))
            figures["bare_cpu_seconds"] = used
            pairs.append((figures["seconds"], theirs))
            told.append(figures)
            say(f"kube-first: {figures['seconds']:.1f} s, bare loop {theirs:.1f} s, load {kube.load():.1f}")
            if turn + 1 < sizes.rounds:
                await _cleared(bare)
        chosen = kube.median_pair(pairs)
        figures = told[pairs.index(chosen)] | {"ratios": [ours / theirs for ours, theirs in pairs]}
        first = Measured(
            "kube-first",
            figures,
            {"what": f"the same requests, {kube.IN_FLIGHT} in flight, over bare aiohttp", "seconds": chosen[1]},
            chosen[0] / chosen[1],
            Goal("ratio", at_most=1.5),
        )
        scaled = {
            name: seconds * sizes.objects / sizes.sample for name, seconds in kubectl.items() if name != "objects"
        }
        what = f"kubectl apply --server-side -f of {sizes.sample} objects, scaled to {sizes.objects}"
        again = Measured(
            "kube-first-kubectl",
            {"seconds": chosen[0], "load": kube.load()},
            {"what": what, "seconds": scaled["fresh"]},
            chosen[0] / scaled["fresh"],
            Goal("ratio", at_most=0.15),
        )
        standing = await _standing(home, bare, sizes)
        unchanged = Measured(
            "kube-unchanged",
            standing["unchanged"],
            {"what": f"{what}, nothing changed", "seconds": scaled["again"]},
            standing["unchanged"]["seconds"] / scaled["again"],
            Goal("ratio", at_most=0.02),
        )
        return [first, again, unchanged, standing["change"], await _restart(home, bare, sizes)]


@dataclass(slots=True)
class _Home:
    """One installation, with its source. namespace: of the objects and of our records."""

    state: Path
    server: ApiServer
    repository: Repository
    namespace: str

    @property
    def source(self) -> SourceConfig:
        return SourceConfig(name="bench", url=self.repository.url, namespace=self.namespace)

    def config(self) -> Any:
        return kube.config_of(self.server, self.state, self.namespace, self.source, drift_interval=_PATIENCE)


async def _first(home: _Home, sizes: _Sizes) -> dict[str, Any]:
    async with kube.acting(home.state, home.config()) as (parts, acting):
        clocked = _Clocked()
        parts.bus.subscribe(clocked.hear)
        counting = kube.Counting(home.server)
        loop = acting.add(home.source)
        begun, used = time.perf_counter(), time.process_time()
        report = await loop.step()
        seconds, used = time.perf_counter() - begun, time.process_time() - used
        calls = counting.calls()
        if (report.result, report.created) != ("applied", sizes.objects):
            raise RuntimeError(f"the first sync is {report}: {loop.problems()[:3]}")
        await loop.close()
    rehearsed = clocked.last.get("dry-apply", begun)
    return {
        "objects": sizes.objects,
        "seconds": seconds,
        "cpu_seconds": used,
        "reading_seconds": clocked.first.get("dry-apply", begun) - begun,
        "rehearsal_seconds": rehearsed - clocked.first.get("dry-apply", begun),
        "writing_seconds": clocked.last["apply"] - clocked.first["apply"],
        "requests": calls.total(),
        "calls": calls.to_json(),
        "refused_429": calls.refused(),
        "load": kube.load(),
    }


async def _bare(bare: kube.Bare, theirs: str, namespace: str) -> tuple[float, float]:
    """Seconds of the bare loop, and of its processor time, over the objects that are in `theirs`, into an empty namespace."""
    bodies: list[tuple[Body, str]] = []
    for kind in _KINDS:
        for body in await bare.items(kind, theirs):
            sent = kube.declared(body, namespace)
            sent["metadata"]["resourceVersion"] = "1"
            bodies.append((sent, kind))
    requests = [kube.apply_request(body, kind, dry=dry) for dry in (True, False) for body, kind in bodies]
    used = time.process_time()
    return (await bare.all(requests))[-1], time.process_time() - used


async def _cleared(bare: kube.Bare) -> None:
    """Without any of Argo's objects, as a list of them would find them."""
    for kind in _KINDS:
        spaces = {body["metadata"]["namespace"] for body in await bare.items(kind)}
        for space in sorted(spaces):
            await bare.one(kube.Request("DELETE", kube.kinds.collection(kind, space)))


def _kubectl(folder: Path, server: ApiServer, sizes: _Sizes) -> dict[str, float]:
    """Seconds for the sample, first and again."""
    files = folder / "sample"
    files.mkdir()
    for path, text in manifests.many(sizes.sample).items():
        (files / Path(path).name).write_text(text)
    namespace = server.namespace("kubectl")
    words = ("apply", "--server-side", "-n", namespace, "-f", str(files))
    seconds: dict[str, float] = {}
    for name in ("fresh", "again"):
        begun = time.perf_counter()
        server.kubectl(*words)
        seconds[name] = time.perf_counter() - begun
        say(f"kubectl {name}: {sizes.sample / seconds[name]:.1f} objects/s, load {kube.load():.1f}")
    return seconds


async def _standing(home: _Home, bare: kube.Bare, sizes: _Sizes) -> dict[str, Any]:
    """What a daemon does that has applied everything: a look at all of it, and one change."""
    async with kube.acting(home.state, home.config()) as (_, acting):
        loop = acting.add(home.source)
        await loop.step()
        return {
            "unchanged": await _unchanged(home, loop, sizes),
            "change": await _changes(home, loop, bare, sizes),
        }


async def _unchanged(home: _Home, loop: SyncLoop, sizes: _Sizes) -> dict[str, Any]:
    counting = kube.Counting(home.server)
    begun = time.perf_counter()
    await loop.step()
    poll = time.perf_counter() - begun
    asked = counting.calls()
    counting = kube.Counting(home.server)
    seconds: list[float] = []
    times = 3
    for _ in range(times):
        begun = time.perf_counter()
        report = await loop.step(full=True)
        seconds.append(time.perf_counter() - begun)
        if report.result not in ("unchanged", "applied") or report.created or report.updated or report.deleted:
            raise RuntimeError(f"nothing had changed, but: {report}")
    calls = counting.calls()
    if calls.writes:
        raise RuntimeError(f"nothing had changed, but was written: {calls.to_json()}")
    say(f"kube-unchanged: {median(seconds):.2f} s, {calls.total() / times:.0f} requests; a poll: {poll * 1000:.0f} ms")
    return {
        "objects": sizes.objects,
        "seconds": median(seconds),
        "requests": calls.total() / times,
        "writes": calls.writes,
        "poll_seconds": poll,
        "poll_requests": asked.total(),
        "load": kube.load(),
    }


async def _changes(home: _Home, loop: SyncLoop, bare: kube.Bare, sizes: _Sizes) -> Measured:
    ours: list[float] = []
    theirs: list[float] = []
    counted = kube.Calls()
    elsewhere = home.server.namespace("bare")
    for turn in range(sizes.changes):
        number = 10 * (turn * 37 % (sizes.objects // 10))  # of a template that others refer to
        text = manifests.template(number, mark=f"change {turn}")
        await asyncio.to_thread(home.repository.commit, {manifests.path_of(number): text})
        counting = kube.Counting(home.server)
        begun = time.perf_counter()
        report = await loop.step()
        ours.append(time.perf_counter() - begun)
        counted += counting.calls()
        if (report.result, report.updated) != ("applied", 1):
            raise RuntimeError(f"the change was not applied: {report}")
        live = await bare.items(labels.WORKFLOW_TEMPLATE, home.namespace)
        body = next(one for one in live if one["metadata"]["name"] == f"job-{number}")
        sent = kube.declared(body, elsewhere)
        pair = [kube.apply_request(sent, labels.WORKFLOW_TEMPLATE, dry=dry) for dry in (True, False)]
        theirs.append((await bare.all(pair, 1))[-1])
    each = {name: n / sizes.changes for name, n in kube.Calls(counted).to_json().items()}
    say(f"kube-change: median {median(ours):.3f} s, worst {max(ours):.3f} s, calls each {each}, load {kube.load():.1f}")
    return Measured(
        "kube-change",
        {
            "objects": sizes.objects,
            "times": sizes.changes,
            "seconds": median(ours),
            "worst_seconds": max(ours),
            "requests": counted.total() / sizes.changes,
            "calls": each,
            "load": kube.load(),
        },
        {"what": "one dry run and one apply of the same object over bare aiohttp", "seconds": median(theirs)},
        median(ours) / median(theirs),
        Goal("seconds", at_most=1.0),
    )


async def _restart(home: _Home, bare: kube.Bare, sizes: _Sizes) -> Measured:
    """A new process over the same clone, and one without: a pod that came up on another machine."""
    figures: dict[str, Any] = {"objects": sizes.objects}
    calls = kube.Calls()
    for name, state in (("seconds", home.state), ("without_clone_seconds", home.state.with_name("other"))):
        config = kube.config_of(home.server, state, home.namespace, home.source)
        async with kube.acting(state, config) as (_, acting):
            counting = kube.Counting(home.server)
            loop = acting.add(home.source)
            begun = time.perf_counter()
            report = await loop.step()
            figures[name] = time.perf_counter() - begun
            calls = counting.calls()
            if report.result not in ("unchanged", "applied") or report.created or report.updated or calls.writes:
                raise RuntimeError(f"everything was in place, but: {report}, {calls.to_json()}")
            await loop.close()
    begun = time.perf_counter()
    for kind in _KINDS:
        await bare.items(kind, home.namespace)
    listed = time.perf_counter() - begun
    say(f"kube-restart: {figures['seconds']:.1f} s, calls {calls.to_json()}, load {kube.load():.1f}")
    return Measured(
        "kube-restart",
        {
            **figures,
            "requests": calls.total(),
            "writes": calls.writes,
            "calls": calls.to_json(),
            "load": kube.load(),
        },
        {"what": "all pages of the same objects over bare aiohttp", "seconds": listed},
        figures["seconds"] / listed,
        Goal("writes", at_most=0),
    )
