"""Manifests from a plain directory, as its files are. Implements `source.api.Source` for people without git, and for
`--worktree`.

A poll walks the directory and reads what is new by mtime, size and inode; the revision is the hash over path and
content of all candidates, so that touching a file changes nothing. Links are followed inside the directory only.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import watchfiles

from syncd.base.errors import ConfigError, Unreachable
from syncd.base.problems import Place, Problem
from syncd.config import model
from syncd.source import snapshot, tree
from syncd.source.api import Fetched, Revision
from syncd.source.snapshot import Snapshot
from syncd.source.worker import Worker

_DEPTH = 64


@dataclass(frozen=True, slots=True)
class _Seen:
    """A file as it was read last. stamp: what changes when it is written; data: until it has been fetched."""

    stamp: tuple[int, int, int, int]
    id: str
    size: int
    data: bytes | None


@dataclass(frozen=True, slots=True)
class _Scan:
    """One walk of the directory."""

    revision: Revision
    ids: dict[str, str]
    speakers: dict[str, str]
    refused: dict[str, Problem]


class DirectorySource:
    """One directory."""

    def __init__(self, source: model.Source, limits: model.Limits | None = None) -> None:
        self.name = source.name
        self._root = (Path(source.path).expanduser() / source.folder).absolute()
        self._limits = limits or model.Limits()
        self._selection = tree.Selection(source.include, source.exclude)
        self._seen: dict[str, _Seen] = {}
        self._scan: _Scan | None = None
        self._snapshots: dict[str, Snapshot] = {}
        self._lock = threading.Lock()
        self._worker = Worker(source.name)
        self._closed = asyncio.Event()

    def describe(self) -> str:
        """The path."""
        return str(self._root)

    async def poll(self) -> Revision:
        """One walk; reads only what was written since the last. Raises ConfigError where there is no directory."""
        return await self._worker.do(self._poll)

    def _poll(self) -> Revision:
        with self._lock:
            self._scan = self._walked()
            return self._scan.revision

    async def fetch(self, revision: Revision, base: Fetched | None) -> Fetched:
        """The files as they are now. Where they are no longer those of `revision`, the answer's revision says so."""
        return await self._worker.do(self._fetch, revision, base)

    def _fetch(self, revision: Revision, base: Fetched | None) -> Fetched:
        with self._lock:
            scan = self._scan
            if scan is None or scan.revision != revision:
                scan = self._scan = self._walked()

            def read(paths: Sequence[str]) -> Mapping[str, tuple[int, bytes]]:
                return {path: self._content(path, scan) for path in paths}

            made, fetched = snapshot.compose(
                scan.revision,
                dict(scan.ids),
                scan.speakers,
                scan.refused,
                before=self._snapshots.get(base.revision.commit) if base is not None else None,
                base=base,
                limits=self._limits,
                read=read,
            )
            self._snapshots = {scan.revision.commit: made}
            self._seen = {path: replace(seen, data=None) for path, seen in self._seen.items()}
            return fetched

    def _content(self, path: str, scan: _Scan) -> tuple[int, bytes]:
        seen = self._seen[path]
        if seen.data is None:
            try:
                seen = self._read(self._root / path, seen.stamp)
            except OSError:
                seen = replace(seen, id="")
            if seen.id != (scan.ids.get(path) or scan.speakers[path]):
                self._scan = None
                raise Unreachable(f"{self.describe()}: {path} was written while it was read; it is read again")
        assert seen.data is not None
        return seen.size, seen.data

    def _walked(self) -> _Scan:
        if not self._root.is_dir():
            raise ConfigError(f"{self._root} is no directory; check the source's path")
        root = self._root.resolve()
        ids: dict[str, str] = {}
        speakers: dict[str, str] = {}
        refused: dict[str, Problem] = {}
        seen: dict[str, _Seen] = {}
        for path, entry in self._files(str(root), "", refused, 0):
            wants, speaks = self._selection.wants(path), self._selection.speaks(path)
            if not wants and not speaks:
                continue
            try:
                if entry.is_symlink() and not _inside(root, entry.path):
                    if wants:
                        refused[path] = _refused(path, "V107", "link that leads out of the source, or to nothing")
                    continue
                status = entry.stat()
                if not stat.S_ISREG(status.st_mode):
                    continue
                stamp = (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
                known = self._seen.get(path)
                seen[path] = known if known is not None and known.stamp == stamp else self._read(entry.path, stamp)
            except PermissionError:
                refused[path] = _refused(path, "V107", "file that syncd may not read")
                continue
            except OSError:
                continue  # gone or made something else since it was listed
            if wants:
                ids[path] = seen[path].id
            if speaks:
                speakers[path] = seen[path].id
            if len(ids) > 2 * self._limits.files:
                break  # compose refuses it
        self._seen = seen
        digest = hashlib.sha256()
        for path, identity in sorted((speakers | ids).items()):
            digest.update(f"{path}\0{identity}\n".encode())
        for path in sorted(refused):
            digest.update(f"{path}\0refused\n".encode())
        return _Scan(Revision("worktree", digest.hexdigest(), "sha256"), ids, speakers, refused)

    def _files(
        self, directory: str, prefix: str, refused: dict[str, Problem], depth: int
    ) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """Every file below, by its path from the root, links to files included; `.git` left out, links to folders too."""
        try:
            entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
        except (PermissionError, FileNotFoundError, NotADirectoryError):
            return
        for entry in entries:
            if not entry.name.isprintable():
                shown = prefix + "".join(c if c.isprintable() else "?" for c in entry.name)
                if self._selection.wants(shown):
                    refused[shown] = _refused(
                        shown, "V115", "name that is not UTF-8 or holds control characters", "rename the file"
                    )
                continue
            path = prefix + entry.name
            if entry.is_dir(follow_symlinks=False):
                if entry.name != ".git" and depth < _DEPTH:
                    yield from self._files(entry.path, f"{path}/", refused, depth + 1)
            else:
                yield path, entry

    def _read(self, file: str | Path, stamp: tuple[int, int, int, int]) -> _Seen:
        limit = self._limits.file_bytes + 1
        # what was a plain file a moment ago may be a link or a pipe by now
        descriptor = os.open(Path(file).resolve(), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as opened:
            data = opened.read(limit) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
        size = max(stamp[2], len(data)) if len(data) == limit else len(data)
        identity = hashlib.sha256(data).hexdigest()
        if size > self._limits.file_bytes:
            identity = f"large-{size}-{stamp[0]}"
        return _Seen(stamp, identity, size, data)

    async def hints(self) -> AsyncIterator[None]:
        """Yields soon after a file below was written, made or removed."""
        while not self._closed.is_set():
            if self._root.is_dir():
                try:
                    changes = watchfiles.awatch(
                        self._root, stop_event=self._closed, debounce=400, step=50, watch_filter=_outside_git
                    )
                    async for _ in changes:
                        yield
                except (OSError, RuntimeError):
                    pass  # gone while it was watched, or no watches left: the poll goes on without hints
            try:
                await asyncio.wait_for(self._closed.wait(), 10)
            except TimeoutError:
                continue

    async def close(self) -> None:
        """End the hints."""
        self._closed.set()
        self._worker.close()


def _outside_git(_: watchfiles.Change, path: str) -> bool:
    return "/.git/" not in path and not path.endswith(("/.git", "~", ".swp", ".swx"))


def _inside(root: Path, link: str) -> bool:
    try:
        return Path(link).resolve(strict=True).is_relative_to(root)
    except (OSError, RuntimeError):
        return False


def _refused(path: str, code: str, message: str, remedy: str = "put the file itself there, or exclude it") -> Problem:
    return Problem(Place(path), code, message, remedy=remedy)
