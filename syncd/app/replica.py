"""The daemon of a cluster: one of several replicas. All serve; the one that holds the lease acts.

`serve` is `syncd run` with `mode: kubernetes`. On SIGTERM what acts ends, the lease is let go of, and the next replica has it within a
second; then the server ends. What a replica writes to its own disk is worth nothing to another: clones of repositories, and its token.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from syncd import __version__
from syncd.app import cluster, common
from syncd.app.common import Reread
from syncd.app.faces import SourceBoard
from syncd.app.real import state_directory
from syncd.argo import labels
from syncd.base.clock import rfc3339
from syncd.base.errors import ConfigError, SyncdError
from syncd.cluster.kube.store import KubeStore
from syncd.config.model import Config
from syncd.config.model import Source as SourceConfig
from syncd.loops import inventory, terms
from syncd.loops.sync import SyncLoop
from syncd.observe import journal
from syncd.observe.events import ClockSkew
from syncd.server.application import build as make_application
from syncd.server.application import start as start_server
from syncd.source import opening
from syncd.validate.profile import Profile
from syncd.validate.workspace import Workspace

log = logging.getLogger(__name__)

_THREADS = 16
_NEEDED = (labels.WORKFLOW, labels.WORKFLOW_TEMPLATE, labels.CRON_WORKFLOW)
_LOOK_SECONDS = 15.0
_ENDS_WITHIN_SECONDS = 30.0
_OF_EVERY_REPLICA = frozenset({"look", "lead", "reload", "configuration"})
"""Loops that go on whoever leads."""


class Replica:
    """One process. reread: reads the configuration again, None = it has no file."""

    def __init__(self, state: Path, parts: cluster.ClusterParts, reread: Reread | None) -> None:
        self.state = state
        self.parts = parts
        self.url = ""
        self.lead = cluster.leadership(parts, self._begin, self._end)
        parts.gate.ask = self.lead.guard
        self._reread = reread
        self._reloading = asyncio.Lock()
        self._acting: cluster.Acting | None = None
        self._told: Mapping[str, int] = {}  # ends of runs that an earlier term has told
        self._board = SourceBoard()
        self._retired: frozenset[str] = frozenset()
        self._faults: dict[str, str] = {}
        self._looked = False
        self._listener: Any = None
        self._doors: Any = None

    async def start(self) -> None:
        """Listen, then take part. Raises ConfigError where the address is taken."""
        parts, config = self.parts, self.parts.config
        parts.bus.subscribe(parts.reach.hear)
        self._doors = doors = common.doors_of(self.state, config, parts.clock)
        services = cluster.services(
            parts,
            sources=lambda: self._board if self.lead.leading and self._board.loops else parts.shown,
            logs=cluster.logs_of(parts),
            about=self._about,
            ready=self._not_ready,
            live=self._not_live,
            reload=self.reload,
        )
        self._listener = await start_server(make_application(services, doors), config.listen.host, config.listen.port)
        self.url = common.url_of(self._listener)
        common.write_whole(
            self.state / "daemon.json",
            json.dumps({"pid": os.getpid(), "url": self.url, "started": rfc3339(parts.clock.now())}),
        )
        log.info(
            "syncd %s listens on %s as %s in namespace %s of %s",
            __version__,
            self.url,
            parts.home.identity,
            parts.home.namespace,
            parts.store.door.url,
        )
        parts.runner.start("look", self._look)
        parts.runner.start("lead", self.lead.run)

    # What every replica does

    async def _look(self) -> None:
        """What is missing in the cluster (CRDs, permissions) is said as long as it is missing; and how far our clock is off."""
        while True:
            faults = await self.parts.store.missing(_NEEDED)
            for kind in faults.keys() - self._faults.keys():
                log.error("%s", faults[kind])
            for kind in self._faults.keys() - faults.keys():
                log.info("%s can be read now", kind)
            self._faults, self._looked = faults, True
            skew = self.parts.store.door.skew_seconds
            if skew is not None:
                self.parts.bus.publish(ClockSkew(skew))
            await asyncio.sleep(_LOOK_SECONDS)

    def _not_live(self) -> list[str]:
        """Why this process should be started anew: a term that does not end keeps it from ever leading again."""
        seconds = self.lead.ending_seconds
        return [f"what acted has not ended for {seconds:.0f} s"] if seconds > _ENDS_WITHIN_SECONDS else []

    def _not_ready(self) -> list[str]:
        if not self._looked:
            return ["the API server has not answered yet", *self.parts.runner.complaints()]
        nobody = f"nobody leads, and this replica may not: {self.lead.unfit}"
        return [*self._faults.values(), *([nobody] if self.lead.unfit and self.lead.vacant else [])]

    def _about(self) -> Mapping[str, Any]:
        acting = self._acting
        return {
            "mode": "kubernetes",
            "state": str(self.parts.state),
            "runtime": "argo",
            "address": self.url,
            "cluster": self.parts.store.door.url,
            "namespace": self.parts.home.namespace,
            "identity": self.parts.home.identity,
            "leader": self.lead.holder,
            "leading": self.lead.leading,
            "scheduler": str(self.parts.config.schedule.scheduler),
            "unfinished": acting.watch.unfinished if acting is not None else 0,
            "complaints": [*self.parts.runner.complaints(), *([self.lead.unfit] if self.lead.unfit else [])],
        }

    # What the leader does

    async def _begin(self) -> None:
        """A term begins. Only starts what acts: the lease is to be renewed meanwhile."""
        parts = self.parts
        parts.store.begin()
        self._acting = acting = cluster.Acting(parts, self._sync_loop, lambda: self.lead.last_alive, self._told)
        runner = parts.runner
        runner.start("watch", acting.watch.run)
        if acting.fire is not None:
            runner.start("fire", acting.fire.run)
        runner.start("tidy", acting.tidy.run)
        runner.start("sources", lambda: self._start_sources(acting))

    async def _start_sources(self, acting: cluster.Acting) -> None:
        """Needs the API: it is tried until it answers."""
        config = self.parts.config
        self._retired = frozenset(await inventory.sources(self.parts.store)) - {one.name for one in config.sources}
        for source in config.sources:
            if source.name not in acting.sources:
                self._start_source(acting, source)
        self.parts.runner.start("show", acting.show.run)
        self.parts.runner.start("drift", acting.drift.run)

    def _start_source(self, acting: cluster.Acting, source: SourceConfig) -> None:
        loop = acting.add(source)
        self._board.loops[loop.name] = loop
        self.parts.runner.start(f"sync {loop.name}", loop.run, rest=loop.rest, well_at=loop.well_at)

    def _sync_loop(self, source: SourceConfig, store: KubeStore) -> SyncLoop:
        parts, config = self.parts, self.parts.config
        opened = opening.opened(source, parts.state, config.limits)
        workspace = Workspace(Profile(embedded=False, workflow_defaults=dict(config.workflow_defaults) or None))
        options = terms.options(source, config, self._retired, parts.store.reserved)
        return SyncLoop(opened, store, parts.clock, parts.random, parts.bus.publish, options, workspace)

    async def _end(self) -> None:
        """A term ends: nothing of it goes on when this returns."""
        acting, self._acting = self._acting, None
        if acting is None:
            return
        self._told = acting.watch.told
        runner = self.parts.runner
        # again until there are none: the loop that starts sources may have started one in this very moment
        while names := [name for name in runner.states() if name not in _OF_EVERY_REPLICA]:
            await asyncio.gather(*(runner.stop(name) for name in names))
        self._board.loops.clear()
        for loop in acting.sources.values():
            with contextlib.suppress(SyncdError):
                await loop.close(removed=False)
        acting.close()
        self.parts.store.end()

    async def reload(self) -> Mapping[str, Any]:
        """Read the configuration again: sources come, go and change; all else says that it wants a restart. Raises ConfigError."""
        if self._reread is None:
            raise ConfigError("this daemon was started without a configuration file; restart it with other arguments")
        async with self._reloading:
            old, new = self.parts.config, self._reread()
            change = common.source_changes(old, new)
            self._doors.replace(common.credentials_of(self.state, old))
            self.parts.config = replace(old, sources=new.sources)
            acting = self._acting
            if acting is not None:
                for name in (*change.gone, *change.changed):
                    await self.parts.runner.stop(f"sync {name}")
                    loop = acting.sources.pop(name, None)
                    self._board.loops.pop(name, None)
                    if loop is not None:
                        await loop.close(removed=name in change.gone)
                for source in new.sources:
                    if source.name not in acting.sources:
                        self._start_source(acting, source)
        log.info("configuration read again: %s", json.dumps(change.to_json()))
        return change.to_json()

    async def stop(self) -> None:
        """Hand over, then end."""
        await self.lead.resign()
        await self.parts.runner.close()
        if self._listener is not None:
            await self._listener.cleanup()
        await self.parts.people.close()
        await self.parts.store.close()
        with contextlib.suppress(FileNotFoundError):
            (self.state / "daemon.json").unlink()


def serve(config: Config, *, reread: Reread | None = None, config_file: Path | None = None) -> int:
    """Run until SIGTERM or SIGINT; answers the exit code."""
    common.tune()
    state = state_directory(config.state)
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise common.unusable(state, error) from error
    journal.configure(sys.stderr, level=str(config.log.level), form=str(config.log.format))
    try:
        return asyncio.run(_serve(state, config, reread, config_file))
    except OSError as error:
        raise common.unusable(state, error) from error
    except KeyboardInterrupt:
        return 130


async def _serve(state: Path, config: Config, reread: Reread | None, config_file: Path | None) -> int:
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(_THREADS, thread_name_prefix="syncd"))
    parts = await cluster.make(state, config)
    replica = Replica(state, parts, reread)
    stopping, asked = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    if reread is not None:
        loop.add_signal_handler(signal.SIGHUP, asked.set)
    await replica.start()
    if reread is not None:
        parts.runner.start("reload", lambda: common.reload_when(replica.reload, asked))
        if config_file is not None:
            saved = common.content(config_file)
            parts.runner.start("configuration", lambda: common.follow(config_file, saved, asked))
    await stopping.wait()
    await replica.stop()
    log.info("stopped")
    common.end_soon()
    return 0
