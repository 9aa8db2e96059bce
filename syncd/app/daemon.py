"""The daemon: starts what `parts` made, listens, follows the configuration, and drains on a signal.

`serve` is `syncd up` and `syncd run`. Steps outlive it: on SIGTERM or Ctrl-C the loops end, what is decided is saved, and what
still runs is named and left running; the next daemon adopts it.
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
from typing import Any, TextIO

from syncd import __version__
from syncd.app import common
from syncd.app import parts as making
from syncd.app.common import Reread
from syncd.app.real import SystemClock, SystemRandom, state_directory
from syncd.argo import labels, selectors, status
from syncd.argo.origin import origin_of
from syncd.base.clock import rfc3339
from syncd.base.errors import ConfigError, SyncdError
from syncd.cluster.archive import finished_at
from syncd.cluster.embedded.store import EmbeddedStore, open_store
from syncd.config.model import Config
from syncd.config.model import Source as SourceConfig
from syncd.loops import inventory, terms
from syncd.loops.sync import SyncLoop
from syncd.observe import journal
from syncd.observe.words import Words
from syncd.server import auth
from syncd.server.application import build as make_application
from syncd.server.application import start as start_server
from syncd.source import opening
from syncd.validate.profile import Profile
from syncd.validate.workspace import Workspace

log = logging.getLogger(__name__)

_THREADS = 64
"""For blocking work of steps, artifacts and logs; made as they are needed. asyncio's own measure is the cores and four."""
_PATIENCE_SECONDS = 10.0
_OPEN_FILES = 65_536
_LOOK_MS = 5000


class Daemon:
    """One embedded daemon. reread: reads the configuration again, None = it has no file."""

    def __init__(
        self, state: Path, config: Config, store: EmbeddedStore, words: TextIO | None, reread: Reread | None
    ) -> None:
        self.state = state
        self.parts = making.make(state, config, store, act=True)
        self.url = ""
        self.login = ""
        self._reread = reread
        self._reloading = asyncio.Lock()
        self._doors: auth.Doors | None = None
        self._listener: Any = None
        self._words = Words(words, self.parts.clock) if words is not None else None
        self.parts.bus.subscribe(self._words if self._words is not None else journal.Journal())

    async def start(self) -> None:
        """Listen, then run the loops. Raises ConfigError where the address is taken."""
        parts = self.parts
        config = parts.config
        self._doors = doors = common.doors_of(self.state, config, parts.clock)
        services = making.services(parts, reload=self.reload, address=lambda: self.url)
        application = make_application(services, doors)
        self._listener = await start_server(application, config.listen.host, config.listen.port)
        self.url = common.url_of(self._listener)
        self.login = f"{self.url}{doors.login_path()}"
        if self._words is not None:
            self._words.begin(__version__, str(self.state), parts.runtime, self.url, self.login)
        common.write_whole(
            self.state / "daemon.json",
            json.dumps({"pid": os.getpid(), "url": self.url, "started": rfc3339(parts.clock.now())}),
        )
        runner = parts.runner
        runner.start("runs", parts.runs.run)
        runner.start("collect", parts.collect.run)
        if config.schedule.enabled:
            runner.start("fire", parts.fire.run)
        await self._remember(parts)
        retired = await self._retired(config)
        for source in config.sources:
            self._start_source(sync_loop(self.parts, source, config, retired))

    async def _retired(self, config: Config) -> frozenset[str]:
        """Sources that own objects and are configured no longer."""
        return frozenset(await inventory.sources(self.parts.store)) - {source.name for source in config.sources}

    @staticmethod
    async def _remember(parts: making.Parts) -> None:
        """The last success of what ran before this start, for the metrics."""
        succeeded = selectors.parse(f"{labels.PHASE}={status.SUCCEEDED}")
        after = ""
        while True:
            page = await parts.store.list(labels.WORKFLOW, selector=succeeded, limit=500, after=after)
            for body in page.items:
                ended = finished_at(body.get("status"))
                if ended is not None:
                    parts.metrics.remember_success(body["metadata"]["namespace"], origin_of(body), ended)
            if not page.after:
                return
            after = page.after

    def _start_source(self, loop: SyncLoop) -> None:
        self.parts.sources.loops[loop.name] = loop
        self.parts.runner.start(f"sync {loop.name}", loop.run, rest=loop.rest, well_at=loop.well_at)

    async def reload(self) -> Mapping[str, Any]:
        """Read the configuration again: sources and tokens come, go and change; all else says that it wants a restart.

        Raises ConfigError, and changes nothing then. One at a time.
        """
        if self._reread is None:
            raise ConfigError("this daemon was started without a configuration file; restart it with other arguments")
        async with self._reloading:
            old, new = self.parts.config, self._reread()
            change = common.source_changes(old, new)
            retired = await self._retired(new)
            after = {source.name: source for source in new.sources}
            made = [sync_loop(self.parts, after[name], new, retired) for name in (*change.changed, *change.fresh)]
            if self._doors is not None:
                self._doors.replace(common.credentials_of(self.state, old))
            for name in (*change.gone, *change.changed):
                await self.parts.runner.stop(f"sync {name}")
                loop = self.parts.sources.loops.pop(name)
                await loop.close(removed=name in change.gone)
            self.parts.config = replace(old, sources=new.sources)
            for loop in made:
                self._start_source(loop)
        log.info("configuration read again: %s", json.dumps(change.to_json()))
        return change.to_json()

    async def stop(self) -> list[str]:
        """Drain; answers a line for each step that is left running."""
        parts = self.parts
        await parts.runner.close()
        with contextlib.suppress(SyncdError):
            await parts.runs.step()
        left = [f"{key.namespace}/{key.name} ({task})" for key, task in parts.runs.running]
        if self._listener is not None:
            await self._listener.cleanup()
        for loop in parts.sources.loops.values():
            await loop.close(removed=False)
        if parts.executor is not None:
            await parts.executor.close()
        with contextlib.suppress(FileNotFoundError):
            (self.state / "daemon.json").unlink()
        return left

    def say(self, line: str) -> None:
        """To the person at the terminal, or into the log."""
        if self._words is not None:
            self._words.say(line)
        else:
            log.info("%s", line)


def sync_loop(parts: making.Parts, source: SourceConfig, config: Config, retired: frozenset[str]) -> SyncLoop:
    """The loop of one source. retired: sources that are no longer configured; their objects may be taken over."""
    opened = opening.opened(source, parts.state, config.limits)
    workspace = Workspace(Profile(workflow_defaults=dict(config.workflow_defaults) or None))
    options = terms.options(source, config, retired)
    return SyncLoop(opened, parts.store, parts.clock, parts.random, parts.bus.publish, options, workspace)


def serve(config: Config, *, words: bool, reread: Reread | None = None, config_file: Path | None = None) -> int:
    """Run until SIGTERM or SIGINT; answers the exit code. words: speak to a person on stdout, else log."""
    common.tune()
    state = state_directory(config.state)
    journal.configure(sys.stderr, level=str(config.log.level), form=str(config.log.format))
    try:
        return asyncio.run(_serve(state, config, sys.stdout if words else None, reread, config_file))
    except KeyboardInterrupt:
        return 130


async def _serve(
    state: Path, config: Config, words: TextIO | None, reread: Reread | None, config_file: Path | None
) -> int:
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(_THREADS, thread_name_prefix="syncd"))
    store = open_store(state, clock=SystemClock(), random=SystemRandom())
    try:
        async with store.exclusive():
            daemon = Daemon(state, config, store, words, reread)
            stopping, asked = asyncio.Event(), asyncio.Event()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, stopping.set)
            if reread is not None:
                loop.add_signal_handler(signal.SIGHUP, asked.set)
            await daemon.start()
            if reread is not None:
                daemon.parts.runner.start("reload", lambda: common.reload_when(daemon.reload, asked))
                if config_file is not None:
                    saved = common.content(config_file)
                    daemon.parts.runner.start("configuration", lambda: common.follow(config_file, saved, asked))
            await stopping.wait()
            left = await daemon.stop()
            for line in left:
                daemon.say(f"left running: {line}")
            daemon.say(
                "stopped" if not left else f"stopped; {len(left)} step{'s' if len(left) > 1 else ''} left running"
            )
    except OSError as error:
        raise common.unusable(state, error) from error
    finally:
        await store.close()
    common.end_soon()
    return 0
