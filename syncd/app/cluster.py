"""Makes the rooms of a cluster's daemon: one store behind one door, what the leader runs, and what every replica serves.

In: a Config. Out: `ClusterParts`, and `Acting`: the loops of one term of leadership, made anew for each. Nothing runs yet. Called by
`replica` (the daemon) and `beside` (commands that talk to a cluster without any daemon of ours).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from syncd import __version__
from syncd.app.faces import Lints, SourceBoard
from syncd.app.reach import Reach
from syncd.app.real import SystemClock, SystemRandom
from syncd.argo import labels
from syncd.argo.crons import CronWorkflow
from syncd.argo.manifest import Body, Key
from syncd.base.errors import NotFound, Unreachable, Unsupported
from syncd.base.problems import Problem
from syncd.base.units import go_duration
from syncd.cluster.kube import kinds
from syncd.cluster.kube.access import Access, home_namespace
from syncd.cluster.kube.door import open_door
from syncd.cluster.kube.pods import KubePods
from syncd.cluster.kube.store import Home, KubeStore
from syncd.config import model
from syncd.config.model import Config
from syncd.cron import due
from syncd.execute.podlogs import PodLogs
from syncd.loops import byhand, lead, shown
from syncd.loops.drift import DriftLoop
from syncd.loops.fire import FireLoop
from syncd.loops.remote import RemoteRuns
from syncd.loops.runner import Runner
from syncd.loops.show import ShowLoop
from syncd.loops.submit import Submitter
from syncd.loops.sync import SyncLoop
from syncd.loops.tidy import TidyLoop
from syncd.loops.watch import WatchLoop
from syncd.observe.bus import Bus
from syncd.observe.events import ApiCalled, WatchRestarted
from syncd.observe.journal import Journal
from syncd.observe.metrics import Metrics
from syncd.server.api import Download, Services, Version

_TOGETHER = 2000
"""Children that are created in one go: the store does not hold up others meanwhile, and rows are closed by whole shards."""


@dataclass(slots=True)
class ClusterParts:
    """What was made. people: the store as people's hands use it: no lease is asked; sources: of this replica while it leads."""

    state: Path
    config: Config
    clock: SystemClock
    random: SystemRandom
    bus: Bus
    metrics: Metrics
    runner: Runner
    home: Home
    store: KubeStore
    people: KubeStore
    shown: ShownSources
    reach: Reach
    gate: Gate


class Gate:
    """Asked before each write of `ClusterParts.store`. Closed until somebody who takes part in the lease says whom to ask: `ask`
    raises Unreachable where this process may not write."""

    def __init__(self) -> None:
        self.ask: Callable[[], None] = _closed

    def __call__(self) -> None:
        self.ask()


def _closed() -> None:
    raise Unreachable("this process takes no part in the lease; only the replica that leads writes here")


async def make(state: Path, config: Config) -> ClusterParts:
    """Everything but the loops; the gate is closed. Raises ConfigError."""
    clock, random = SystemClock(), SystemRandom()
    bus = Bus()
    metrics = Metrics(clock, version=__version__, mode="kubernetes")
    bus.subscribe(metrics)
    reach = Reach(clock, Journal())
    chosen = config.kubernetes
    access = Access(chosen.kubeconfig, chosen.context, chosen.requests_in_flight, chosen.requests_per_second)

    def told(verb: str, resource: str, code: int, seconds: float) -> None:
        bus.publish(ApiCalled(verb, resource, str(code), seconds))
        reach.told(code, door.silent)

    door = await open_door(access, clock, told)
    identity = f"{socket.gethostname()}_{random.suffix(8)}"
    deadline = chosen.lease.renew_deadline
    home = Home(chosen.namespace or home_namespace(access), chosen.lease.name, identity, deadline / 2)

    def restarted(kind: str, reason: str) -> None:
        bus.publish(WatchRestarted(kind, reason))

    gate = Gate()
    store = KubeStore(door, home, clock, random, namespaces=chosen.namespaces, guard=gate, restarted=restarted)
    people = KubeStore(door, home, clock, random, namespaces=chosen.namespaces, restarted=restarted)
    board = ShownSources(people, clock)
    runner = Runner(clock, random, bus.publish)
    return ClusterParts(state, config, clock, random, bus, metrics, runner, home, store, people, board, reach, gate)


def leadership(parts: ClusterParts, begin: Any, end: Any) -> lead.LeadLoop:
    """The loop that takes the lease. The clock must be right: it would fire everything at the wrong time."""
    lease = parts.config.kubernetes.lease
    terms = lead.Terms(parts.home.identity, lease.duration, lease.renew_deadline, lease.retry)
    most = parts.config.kubernetes.max_clock_skew.total_seconds()

    def fit() -> str:
        skew = parts.store.door.skew_seconds
        if skew is None or abs(skew) <= most:
            return ""
        return f"the clock of this machine is {skew:+.0f} s off that of the API server; set it right"

    return lead.LeadLoop(
        parts.store.lease, parts.clock, parts.random, parts.bus.publish, terms, begin=begin, end=end, fit=fit
    )


class Acting:
    """The loops of one term: made when it begins, forgotten when it ends. alive: when the leader before us was last seen; told: ends of
    runs that an earlier term of this process has told."""

    def __init__(
        self,
        parts: ClusterParts,
        sync_loop: Callable[[model.Source, KubeStore], SyncLoop],
        alive: Callable[[], datetime | None],
        told: Mapping[str, int],
    ) -> None:
        self._parts = parts
        self._sync_loop = sync_loop
        config, clock = parts.config, parts.clock
        self.sources: dict[str, SyncLoop] = {}
        urgent = parts.store.view(urgent=True)
        self.show = ShowLoop(parts.store.board, clock, self.sources, self._about, self._source_key)
        self.tidy = TidyLoop(parts.store, clock, config.retention.ledger_age, config.retention.ledger_count)
        self.watch = WatchLoop(
            parts.store, clock, parts.bus.publish, since=alive, remember=parts.metrics.remember_success, told=told
        )
        self.drift = DriftLoop(parts.store, self.sources)
        self.fire: FireLoop | None = None
        # whatever `schedule.scheduler` says: it decides which crons get the label. Until the sync has taken it off, Argo does not
        # see a cron, and nobody would fire it (decision 2)
        if config.schedule.enabled:
            self.fire = FireLoop(
                urgent,
                clock,
                parts.random,
                parts.bus.publish,
                policy=due.Policy(grace=config.schedule.grace, catch_up_cap=config.schedule.catch_up_cap),
                kinds=(labels.CRON_WORKFLOW,),
                accepts=ours,
                revision_of=self.revision_of,
                instance=config.schedule.instance_id,
                batch=_TOGETHER,
                finish_within=config.schedule.finish_within,
            )
        self._deaf = parts.bus.subscribe(self.show.hear)

    def close(self) -> None:
        """Hear nothing any more."""
        self._deaf()

    def add(self, source: model.Source) -> SyncLoop:
        """The loop of a source, made and known."""
        loop = self._sync_loop(source, self._parts.store.view(user=source.impersonate))
        self.sources[loop.name] = loop
        return loop

    def revision_of(self, source: str) -> str:
        """The revision in force of a source; "" for one that is not known."""
        loop = self.sources.get(source)
        return str(loop.status().get("applied") or "") if loop is not None else ""

    def _about(self, name: str) -> tuple[str, str]:
        found = next((source for source in self._parts.config.sources if source.name == name), None)
        return ("", "") if found is None else (go_duration(found.interval), found.folder)

    def _source_key(self, name: str) -> Key:
        return Key(kinds.SOURCE, self._parts.home.namespace, name)


def ours(cron: CronWorkflow) -> bool:
    """Whether a cron is syncd's to fire: the label keeps Argo's scheduler away (decision 2)."""
    return cron.labels.get(labels.INSTANCE_ID) == labels.SYNCD_INSTANCE


class ShownSources:
    """Implements `server.api.Sources` from what the leader shows in the cluster: for other replicas, and for commands."""

    def __init__(self, store: KubeStore, clock: SystemClock) -> None:
        self._store = store
        self._clock = clock
        self._bodies: Mapping[str, Body] = {}

    async def refresh(self) -> None:
        try:
            self._bodies = await self._store.board.shown()
        except Unsupported:
            self._bodies = {}

    def _body(self, name: str) -> Body:
        found = self._bodies.get(name)
        if found is None:
            known = ", ".join(sorted(self._bodies)) or "none"
            raise NotFound(f"no source is called {name!r} in namespace {self._store.home.namespace}; known: {known}")
        return found

    def names(self) -> list[str]:
        return sorted(self._bodies)

    def status(self, name: str) -> dict[str, Any]:
        return shown.condition_of(name, self._body(name))

    def problems(self, name: str) -> Sequence[Problem]:
        return shown.problems_of(self._body(name))

    async def plan(self, name: str) -> dict[str, Any]:
        raise Unsupported(
            f"the plan of source {name} is known to the replica that leads; give a directory or a URL instead: "
            f"`syncd plan . --source-name {name}`"
        )

    async def sync(self, name: str, wait: bool) -> dict[str, Any]:
        asked = f"{self._clock.now():%Y-%m-%dT%H:%M:%S.%fZ}"
        await self._store.board.ask(name, {shown.SYNC_REQUESTED: asked})
        while wait:
            await asyncio.sleep(0.5)
            await self.refresh()
            if shown.handled_of(self._body(name)) >= asked:
                break
        await self.refresh()
        return self.status(name)

    async def approve(self, name: str, revision: str, by: str) -> dict[str, Any]:
        await self.refresh()
        shown.check_approval(self.status(name), revision)
        await self._store.board.ask(name, {shown.APPROVED: revision})
        return self.status(name)

    def ignored(self, name: str) -> Sequence[tuple[str, str]]:
        self._body(name)
        return []


class NoBytes:
    """Implements `server.api.Bytes`: artifacts of a cluster are where Argo put them."""

    async def open_artifact(self, run: Body, artifact: Mapping[str, Any]) -> Download:
        raise Unsupported("artifacts of runs in a cluster are served by Argo's server: use its UI, or `argo cp`")


def logs_of(parts: ClusterParts) -> PodLogs:
    """Logs of runs in a cluster: those of their pods."""
    return PodLogs(KubePods(parts.people.door))


class PeoplesCrons(byhand.Hands):
    """Implements `server.api.Crons` over the store alone: any replica, and any command."""

    def __init__(self, parts: ClusterParts, revision_of: Callable[[str], str]) -> None:
        self._wall = parts.clock
        super().__init__(
            parts.people,
            parts.clock,
            parts.random,
            revision_of=revision_of,
            instance=parts.config.schedule.instance_id,
        )

    def next_fire(self, key: Key, body: Body) -> datetime | None:
        return byhand.next_fire(body, self._wall.now())


def services(
    parts: ClusterParts,
    *,
    sources: Callable[[], SourceBoard | ShownSources],
    logs: Any,
    about: Callable[[], Mapping[str, Any]],
    ready: Callable[[], list[str]],
    live: Callable[[], list[str]],
    reload: Any,
) -> Services:
    """What the server's routes may reach. sources: of the loops while this replica leads, else as they are shown."""
    lints = Lints(parts.people, parts.config)
    remote = RemoteRuns(parts.people)

    async def judge(body: Body) -> Sequence[Problem]:
        return await lints.lint(body, False)

    return Services(
        runs=Submitter(parts.people, remote, remote, parts.clock, parts.random, lints.lint),
        crons=PeoplesCrons(parts, lambda _: ""),
        sources=Turning(sources),
        artifacts=NoBytes(),
        store=parts.people,
        logs=logs,
        clock=parts.clock,
        version=Version(__version__),
        lint=judge,
        metrics=parts.metrics.render,
        ready=ready,
        live=live,
        about=about,
        reload=reload,
    )


class Turning:
    """Implements `server.api.Sources` over whichever is true now: leadership comes and goes while requests do."""

    def __init__(self, now: Callable[[], SourceBoard | ShownSources]) -> None:
        self._now = now

    async def refresh(self) -> None:
        await self._now().refresh()

    def names(self) -> list[str]:
        return self._now().names()

    def status(self, name: str) -> dict[str, Any]:
        return self._now().status(name)

    def problems(self, name: str) -> Sequence[Problem]:
        return self._now().problems(name)

    async def plan(self, name: str) -> dict[str, Any]:
        return await self._now().plan(name)

    async def sync(self, name: str, wait: bool) -> dict[str, Any]:
        return await self._now().sync(name, wait)

    async def approve(self, name: str, revision: str, by: str) -> dict[str, Any]:
        return await self._now().approve(name, revision, by)

    def ignored(self, name: str) -> Sequence[tuple[str, str]]:
        return self._now().ignored(name)
