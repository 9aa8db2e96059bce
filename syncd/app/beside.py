"""The application over a cluster, for one command: the same routes as a replica's, on a private Unix socket, without any daemon of ours.

In: a Config whose `kubernetes` says which cluster. Out: a socket and a token, as `alone.offline` has them. What a command may do is
what its user may: the rights are those of the kubeconfig. Nothing here asks the lease: what people do is kept apart by versions and
names. The loops live in a thread of their own, so that the command line stays as it is: a client of an API.

Where the installation is (Source objects, ledger, inventory, lease) need not be said: `place.find` looks for its Lease.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from syncd.app import cluster
from syncd.app.apart import apart
from syncd.app.common import doors_of
from syncd.app.place import Place, access_of, context_namespace, find
from syncd.argo import crons, labels
from syncd.argo.manifest import Body, Key
from syncd.base.clock import rfc3339
from syncd.base.errors import ConfigError, NotFound, Refused, SyncdError, Unreachable, Unsupported
from syncd.cluster.api import Hold
from syncd.cluster.kube.access import Access
from syncd.cluster.kube.store import Home, KubeStore
from syncd.config import load, model
from syncd.config.model import Config
from syncd.cron import explain
from syncd.loops import shown
from syncd.loops.byhand import Hands
from syncd.server import tokens
from syncd.server.application import build as make_application
from syncd.server.application import start as start_server

PATIENCE_SECONDS: Final = 300.0
"""For the leader to sync because somebody asked. Thousands of objects take it some seconds."""


@dataclass(slots=True)
class Reached:
    """A cluster that answers. config: with what the installation says of itself, where that can be read."""

    parts: cluster.ClusterParts
    place: Place
    access: Access
    config: Config

    @property
    def store(self) -> KubeStore:
        return self.parts.people


@contextlib.asynccontextmanager
async def reached(config: Config, state: Path) -> AsyncIterator[Reached]:
    """The cluster, and the installation in it. Raises ConfigError for a context that is not there, Unreachable, Refused."""
    access = access_of(config)
    here = context_namespace(access)

    parts = await cluster.make(state, config)
    try:
        place = await find(parts.people.door, config.kubernetes.lease.name, here, config.kubernetes.namespace)
        if place.namespace != parts.home.namespace:
            home = Home(place.namespace, parts.home.name, parts.home.identity)
            parts.home = home
            parts.people = KubeStore(
                parts.people.door, home, parts.clock, parts.random, namespaces=config.kubernetes.namespaces
            )
        yield Reached(parts, place, access, config)
    finally:
        await parts.people.close()
        await parts.store.close()


async def described(found: Reached) -> Config:
    """The configuration with the terms that the installation has: its ConfigMap tells its schedule and its sources.

    As it is where nothing can be read: then the defaults hold. What concerns the machine (kubeconfig, state, address) stays ours.
    """
    config = found.config
    if not found.place.found or config.sources:
        return config
    key = Key(labels.CONFIG_MAP, found.place.namespace, config.kubernetes.lease.name)
    try:
        text = ((await found.store.get(key)).get("data") or {}).get("syncd.yaml")
        theirs = load.load(text, {}, file=f"{key}") if isinstance(text, str) else None
    except (NotFound, Refused, ConfigError):
        return config
    if theirs is None or theirs.mode is not model.Mode.KUBERNETES:
        return config
    return replace(
        config,
        schedule=theirs.schedule,
        sources=theirs.sources,
        workflow_defaults=theirs.workflow_defaults,
        limits=theirs.limits,
    )


class Seen(cluster.ShownSources):
    """Implements `server.api.Sources`: what the leader shows, and the lease beside it."""

    def __init__(self, found: Reached) -> None:
        super().__init__(found.store, found.parts.clock)
        self._found = found
        self.hold: Hold | None = None
        self.faults: list[str] = []
        self._fault: SyncdError | None = None

    async def refresh(self) -> None:
        self.faults, self._fault, self._bodies = [], None, {}
        if not self._found.place.found:
            self._fault = NotFound(self._found.place.why)
        else:
            try:
                self.hold = await self._found.store.lease.read()
            except Refused as error:
                self.faults.append(str(error))
            try:
                self._bodies = await self._found.store.board.shown()
            except (Refused, Unsupported) as error:
                self._fault = error
        if self._fault is not None:
            self.faults.append(str(self._fault))

    def _body(self, name: str) -> Body:
        if self._fault is not None:
            raise self._fault
        return super()._body(name)

    async def plan(self, name: str) -> dict[str, Any]:
        spec = self._body(name).get("spec") or {}
        place = f"{spec.get('url') or 'DIRECTORY'}"
        if "#" not in place and (spec.get("ref") or spec.get("folder")):
            place += f"#{spec.get('ref') or ''}" + (f":{spec['folder']}" if spec.get("folder") else "")
        raise Unsupported(
            f"what source {name} holds is in the daemon's clone, which is not here; read it again: "
            f"`syncd plan '{place}' --source-name {name}`, or give a directory"
        )

    async def sync(self, name: str, wait: bool) -> dict[str, Any]:
        await self.refresh()
        self._body(name)
        if wait and (dead := self.dead()):
            raise Unreachable(f"{dead}, so nothing would answer; --no-wait leaves the request to the next leader")
        asked = f"{self._clock.now():%Y-%m-%dT%H:%M:%S.%fZ}"
        await self._store.board.ask(name, {shown.SYNC_REQUESTED: asked})
        limit = self._clock.monotonic() + PATIENCE_SECONDS
        while wait and shown.handled_of(self._body(name)) < asked:
            await asyncio.sleep(0.5)
            await self.refresh()
            if dead := self.dead():
                raise Unreachable(f"{dead}; the request stays, and the next leader answers it")
            if self._clock.monotonic() > limit:
                raise Unreachable(
                    f"the leader has not answered within {PATIENCE_SECONDS:.0f} s; the request stays: look at its log, and at "
                    f"`syncd status {name}`"
                )
        return self.status(name)

    def age_seconds(self) -> float | None:
        """Since the lease was renewed, by the API server's clock; None = there is none, or nobody holds it."""
        if self.hold is None or not self.hold.holder:
            return None
        skew = self._found.store.door.skew_seconds or 0.0
        return max(0.0, (self._clock.now() - self.hold.renewed_at).total_seconds() - skew)

    def dead(self) -> str:
        """Why nobody seems to lead; "" = somebody does, or it is not known."""
        if self.hold is None:
            known = not self.faults and self._found.place.found
            return f"there is no Lease {self._found.parts.home.name} in {self._found.place.namespace}" if known else ""
        age = self.age_seconds()
        if age is None:
            return "nobody leads: the lease was given up and not taken again"
        if age > 2 * self.hold.duration.total_seconds():
            return f"the daemon seems dead: {self.hold.holder} has not renewed the lease for {age:.0f} s"
        return ""


class PeoplesHands(cluster.PeoplesCrons):
    """Implements `server.api.Crons`, also for crons that Argo fires, of which there is no ledger."""

    def __init__(self, found: Reached, submit_from: Callable[..., Awaitable[Body]]) -> None:
        super().__init__(found.parts, lambda _: "")
        self._found = found
        self._submit_from = submit_from

    async def trigger(self, key: Key, *, by: str) -> Body:
        if not await self._is_ours(key):
            return await self._submit_from(key.kind, key.namespace, key.name, {}, by=by)
        if not self._found.place.found:
            raise NotFound(
                f"{self._found.place.why}; without its ledger: `syncd submit --from cronworkflow/{key.name}`"
            )
        config = await described(self._found)
        parts = self._found.parts
        hands = Hands(parts.people, parts.clock, parts.random, instance=config.schedule.instance_id)
        return await hands.trigger(key, by=by)

    async def explain(self, key: Key, slot: datetime | None, limit: int) -> dict[str, Any]:
        if not await self._is_ours(key):
            who = "Kubernetes' own controller" if key.kind == labels.CRON_JOB else "Argo's own controller"
            label = f"; it has not the label {labels.INSTANCE_ID}={labels.SYNCD_INSTANCE}"
            said = f"{key} is fired by {who}, not by syncd" + (label if key.kind == labels.CRON_WORKFLOW else "")
            return await self._without_rows(key, slot, f"{said}: there is no ledger of it, only its schedule")
        if not self._found.place.found:
            return await self._without_rows(key, slot, f"its ledger is not known: {self._found.place.why}")
        try:
            return await super().explain(key, slot, limit)
        except Refused as error:
            return await self._without_rows(key, slot, f"its ledger cannot be read: {error}")

    async def _is_ours(self, key: Key) -> bool:
        cron = crons.parse(await self._found.store.get(key))
        return key.kind == labels.CRON_WORKFLOW and cluster.ours(cron)

    async def _without_rows(self, key: Key, slot: datetime | None, why: str) -> dict[str, Any]:
        cron = crons.parse(await self._found.store.get(key))
        told = dict(explain.explain(cron, (), self._wall.now(), None).to_json())
        told["slot"] = rfc3339(slot) if slot is not None else None
        told["sentences"] = [why, *(text for text in told["sentences"] if "ledger" not in text)]
        return told


@contextlib.contextmanager
def beside(config: Config) -> Iterator[tuple[Path, str]]:
    """Yields (path of the socket, token). Raises ConfigError, Unreachable, Refused."""
    with tempfile.TemporaryDirectory(prefix="syncd-") as folder:
        state = Path(folder)
        path = state / "api.sock"

        async def build(stack: contextlib.AsyncExitStack) -> None:
            found = await stack.enter_async_context(reached(config, state))
            application = make_application(
                services(found), doors_of(state, replace(config, listen=model.Listen()), found.parts.clock)
            )
            listener = await start_server(application, None, 0, unix_path=path)
            stack.push_async_callback(listener.cleanup)

        with apart(build):
            yield path, tokens.load_or_create(state / "token")


def services(found: Reached) -> Any:
    """What the routes may reach."""
    seen = Seen(found)
    parts = found.parts

    async def no_reload() -> dict[str, object]:
        raise Unsupported(
            "a daemon in a cluster reads its configuration again by itself when its ConfigMap changes: change it with "
            f"`helm upgrade`, or `kubectl edit configmap {parts.home.name} -n {found.place.namespace}`"
        )

    def about() -> Mapping[str, Any]:
        hold, age = seen.hold, seen.age_seconds()
        lease: dict[str, Any] = {
            "name": parts.home.name,
            "holder": hold.holder if hold else "",
            "renewedAt": rfc3339(hold.renewed_at) if hold and hold.holder else None,
            "ageSeconds": None if age is None else round(age, 1),
            "durationSeconds": hold.duration.total_seconds() if hold else None,
            "transitions": hold.transitions if hold else 0,
        }
        return {
            "mode": "kubernetes",
            "cluster": found.store.door.url,
            "context": found.access.context,
            "namespace": found.place.namespace,
            "installed": found.place.found,
            "leader": hold.holder if hold else "",
            "lease": lease,
            "dead": seen.dead(),
            "runtime": "argo",
        }

    made = cluster.services(
        parts,
        sources=lambda: seen,
        logs=cluster.logs_of(parts),
        about=about,
        ready=lambda: seen.faults,
        live=list,
        reload=no_reload,
    )
    return replace(made, crons=PeoplesHands(found, made.runs.submit_from))
