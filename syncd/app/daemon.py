"""The daemon: starts what `parts` made, listens, follows the configuration, and drains on a signal.

`serve` is `syncd up` and `syncd run`. Steps outlive it: on SIGTERM or Ctrl-C the loops end, what is decided is saved, and what
still runs is named and left running; the next daemon adopts it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import json
import logging
import os
import resource
import signal
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from syncd import __version__
from syncd.app import parts as making
from syncd.app.real import SystemClock, SystemRandom, state_directory
from syncd.argo import labels, selectors, status
from syncd.base.clock import rfc3339
from syncd.base.errors import ConfigError, SyncdError, Unreachable
from syncd.cluster.archive import finished_at
from syncd.cluster.embedded.store import EmbeddedStore, open_store
from syncd.config.model import Config
from syncd.config.model import Source as SourceConfig
from syncd.loops import inventory, terms
from syncd.loops.run import origin_of
from syncd.loops.sync import SyncLoop
from syncd.observe import journal
from syncd.observe.words import Words
from syncd.server import auth, tokens
from syncd.server.application import build as make_application
from syncd.server.application import start as start_server
from syncd.source import opening
from syncd.validate.profile import Profile
from syncd.validate.workspace import Workspace

log = logging.getLogger(__name__)

Reread = Callable[[], Config]

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
        self._doors = doors = doors_of(self.state, config, parts.clock)
        services = making.services(parts, reload=self.reload, address=lambda: self.url)
        application = make_application(services, doors)
        self._listener = await start_server(application, config.listen.host, config.listen.port)
        host, port = self._listener.addresses[0][:2]
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        self.login = f"{self.url}{doors.login_path()}"
        if self._words is not None:
            self._words.begin(__version__, str(self.state), parts.runtime, self.url, self.login)
        write_whole(
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
            before = {source.name: source for source in old.sources}
            after = {source.name: source for source in new.sources}
            gone = [name for name in before if name not in after]
            changed = [name for name in after if name in before and before[name] != after[name]]
            fresh = [name for name in after if name not in before]
            retired = await self._retired(new)
            made = [sync_loop(self.parts, after[name], new, retired) for name in (*changed, *fresh)]
            if self._doors is not None:
                self._doors.replace(credentials_of(self.state, old))
            for name in (*gone, *changed):
                await self.parts.runner.stop(f"sync {name}")
                loop = self.parts.sources.loops.pop(name)
                await loop.close(removed=name in gone)
            self.parts.config = replace(old, sources=new.sources)
            for loop in made:
                self._start_source(loop)
        stale = [name for name in Config.__slots__ if name != "sources" and getattr(old, name) != getattr(new, name)]
        told = {"removed": gone, "changed": changed, "added": fresh, "restart": stale}
        log.info("configuration read again: %s", json.dumps(told))
        return told

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


def doors_of(state: Path, config: Config, clock: SystemClock) -> auth.Doors:
    """Who is let in. Raises ConfigError."""
    return auth.Doors(
        credentials_of(state, config),
        clock,
        hosts=config.listen.allowed_hosts,
        configured=bool(config.listen.tokens_file),
    )


def credentials_of(state: Path, config: Config) -> list[auth.Credential]:
    """The token of the state directory, made if need be, and those of listen.tokensFile. Raises ConfigError."""
    credentials = [auth.Credential("local", tokens.load_or_create(state / "token"))]
    if config.listen.tokens_file:
        try:
            lines = Path(config.listen.tokens_file).read_text(encoding="ascii").split()
        except OSError as error:
            raise ConfigError(f"listen.tokensFile {config.listen.tokens_file}: {error.strerror}") from error
        except UnicodeDecodeError:
            raise ConfigError(f"listen.tokensFile {config.listen.tokens_file}: tokens are plain ASCII") from None
        credentials += [auth.Credential(f"token {number}", line) for number, line in enumerate(lines, 1)]
    return credentials


def sync_loop(parts: making.Parts, source: SourceConfig, config: Config, retired: frozenset[str]) -> SyncLoop:
    """The loop of one source. retired: sources that are no longer configured; their objects may be taken over."""
    opened = opening.opened(source, parts.state, config.limits)
    workspace = Workspace(Profile(workflow_defaults=dict(config.workflow_defaults) or None))
    options = terms.options(source, config, retired)
    return SyncLoop(opened, parts.store, parts.clock, parts.random, parts.bus.publish, options, workspace)


def serve(config: Config, *, words: bool, reread: Reread | None = None, config_file: Path | None = None) -> int:
    """Run until SIGTERM or SIGINT; answers the exit code. words: speak to a person on stdout, else log."""
    gc.set_threshold(100_000, 50, 1000)  # a source of ten thousand manifests is mostly live: looking through it is dear
    _raise_limits()
    state = state_directory(config.state)
    journal.configure(sys.stderr, level=str(config.log.level), form=str(config.log.format))
    try:
        return asyncio.run(_serve(state, config, sys.stdout if words else None, reread, config_file))
    except KeyboardInterrupt:
        return 130


def _raise_limits() -> None:
    """As many open files as we may have, within reason: each step and each client takes a few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


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
                daemon.parts.runner.start("reload", lambda: _reload(daemon, asked))
                if config_file is not None:
                    saved = _content(config_file)
                    daemon.parts.runner.start("configuration", lambda: _follow(config_file, saved, asked))
            await stopping.wait()
            left = await daemon.stop()
            for line in left:
                daemon.say(f"left running: {line}")
            daemon.say(
                "stopped" if not left else f"stopped; {len(left)} step{'s' if len(left) > 1 else ''} left running"
            )
    except OSError as error:
        raise unusable(state, error) from error
    finally:
        await store.close()
    _end_soon()
    return 0


def unusable(state: Path, error: OSError) -> Unreachable:
    """What it means when the machine says no to something below the state directory."""
    why = f"{error.strerror or type(error).__name__}{f' ({error.filename})' if error.filename else ''}"
    return Unreachable(f"the state directory {state} cannot be used: {why}; mend it, or name another with --state")


def _end_soon() -> None:
    """Everything is saved: a thread that hangs (a disk, an object store) does not keep the process from ending."""
    last = threading.Timer(_PATIENCE_SECONDS, os._exit, (0,))
    last.daemon = True
    last.start()


async def _reload(daemon: Daemon, asked: asyncio.Event) -> None:
    """Reload when asked to. A configuration that is wrong is said, and the old one stays in force."""
    while True:
        await asked.wait()
        asked.clear()
        try:
            await daemon.reload()
        except ConfigError as error:
            log.error("the configuration is wrong and the old one stays in force: %s", error)


async def _follow(path: Path, saved: bytes, asked: asyncio.Event) -> None:
    """Ask for a reload when the configuration file says something else than it did. saved: its `_content` when it was read.

    Its folder is watched, since a file is replaced by renaming (and a mounted one by a link beside it); what else is written
    there, a log of ours perhaps, is no reason. Where no change is heard of, the file is looked at now and then.
    """
    async for _ in _moments(path.parent):
        content = await asyncio.to_thread(_content, path)
        if content != saved:
            saved = content
            asked.set()


async def _moments(folder: Path) -> AsyncIterator[None]:
    """Soon after something in a folder changed, and every few seconds."""
    from watchfiles import awatch

    while True:
        try:
            async for _ in awatch(folder, recursive=False, rust_timeout=_LOOK_MS, yield_on_timeout=True):
                yield
        except (OSError, RuntimeError):  # the folder is gone, or there are no watches left
            await asyncio.sleep(_LOOK_MS / 1000)
            yield


def _content(path: Path) -> bytes:
    """A hash of what a file holds; empty where it cannot be read just now."""
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError:
        return b""


def write_whole(path: Path, text: str) -> None:
    """Replace a file at once, readable by its owner only."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    Path(name).replace(path)
