"""What both daemons do the same: who is let in, following the configuration, files that are written whole, ending.

Used by `daemon` (embedded) and `replica` (a cluster), and by `offline`.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import logging
import os
import resource
import tempfile
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from syncd.app.real import SystemClock
from syncd.base.errors import ConfigError, Unreachable
from syncd.config.model import Config
from syncd.server import auth, tokens

log = logging.getLogger(__name__)

Reread = Callable[[], Config]

_PATIENCE_SECONDS = 10.0
_OPEN_FILES = 65_536
_LOOK_MS = 5000


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


def tune() -> None:
    """Of the process, before it begins."""
    gc.set_threshold(100_000, 50, 1000)  # a source of ten thousand manifests is mostly live: looking through it is dear
    _raise_limits()


def _raise_limits() -> None:
    """As many open files as we may have, within reason: each step and each client takes a few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def unusable(state: Path, error: OSError) -> Unreachable:
    """What it means when the machine says no to something below the state directory."""
    why = f"{error.strerror or type(error).__name__}{f' ({error.filename})' if error.filename else ''}"
    return Unreachable(f"the state directory {state} cannot be used: {why}; mend it, or name another with --state")


def end_soon() -> None:
    """Everything is saved: a thread that hangs (a disk, an object store) does not keep the process from ending."""
    last = threading.Timer(_PATIENCE_SECONDS, os._exit, (0,))
    last.daemon = True
    last.start()


def url_of(listener: Any) -> str:
    """Where a started server listens."""
    host, port = listener.addresses[0][:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


@dataclass(frozen=True, slots=True)
class SourceChanges:
    """What a configuration that was read again changes. stale: knobs that want a restart."""

    gone: tuple[str, ...]
    changed: tuple[str, ...]
    fresh: tuple[str, ...]
    stale: tuple[str, ...]

    def to_json(self) -> dict[str, list[str]]:
        """The shape of the API."""
        return {
            "removed": list(self.gone),
            "changed": list(self.changed),
            "added": list(self.fresh),
            "restart": list(self.stale),
        }


def source_changes(old: Config, new: Config) -> SourceChanges:
    """Which sources go, change and come, by name."""
    before = {source.name: source for source in old.sources}
    after = {source.name: source for source in new.sources}
    return SourceChanges(
        tuple(name for name in before if name not in after),
        tuple(name for name in after if name in before and before[name] != after[name]),
        tuple(name for name in after if name not in before),
        tuple(name for name in Config.__slots__ if name != "sources" and getattr(old, name) != getattr(new, name)),
    )


async def reload_when(reload: Callable[[], Awaitable[Mapping[str, Any]]], asked: asyncio.Event) -> None:
    """Reload when asked to. A configuration that is wrong is said, and the old one stays in force."""
    while True:
        await asked.wait()
        asked.clear()
        try:
            await reload()
        except ConfigError as error:
            log.error("the configuration is wrong and the old one stays in force: %s", error)


async def follow(path: Path, saved: bytes, asked: asyncio.Event) -> None:
    """Ask for a reload when the configuration file says something else than it did. saved: its `content` when it was read.

    Its folder is watched, since a file is replaced by renaming (and a mounted one by a link beside it); what else is written
    there, a log of ours perhaps, is no reason. Where no change is heard of, the file is looked at now and then.
    """
    async for _ in _moments(path.parent):
        found = await asyncio.to_thread(content, path)
        if found != saved:
            saved = found
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


def content(path: Path) -> bytes:
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
