"""Logs of steps: plain files that the steps write themselves, read live or long after. Implements `api.Logs`.

    <state>/logs/<run_uid>/index                       a JSON line per pod: {"pod", "node", "at"}
    <state>/logs/<run_uid>/<pod>/<container>.log       stdout and stderr as they were written
    <state>/logs/<run_uid>/<pod>/<container>.err       stderr, where stdout is wanted by itself (outputs.result)
    <state>/logs/<run_uid>/<pod>/<container>.marks     `<size> <unix time>` a line: how long the log was, and when

No process stands between a step and its file, so nobody stamps lines: the time of a line is the first mark at or behind
its end (`perform` makes one a second while a step writes), else the file's last change. Within .log the order is that of
writing; .log and .err of one container are merged by these times, stdout first within the same one.
Secrets are masked while reading, and `perform` masks the file itself when a step that got secrets has ended.
"""

from __future__ import annotations

import asyncio
import heapq
import os
import re
import shutil
from bisect import bisect_left
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import orjson

from syncd.argo.manifest import Key
from syncd.execute.api import LogLine
from syncd.execute.secrets import Mask

LINE_BYTES: Final = 64 * 1024
_PIECE: Final = 256 * 1024
_SAFE: Final = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9._]{0,252}[A-Za-z0-9])?")
_TAIL_LINES: Final = 100_000


@dataclass(slots=True)
class _Stream:
    """A log file being read, from the front or onwards."""

    path: Path
    pod_name: str
    node_id: str
    container: str
    offset: int = 0
    rest: bytes = b""
    marks: list[tuple[int, float]] = field(default_factory=list)
    changed: float = 0.0

    def pieces(self) -> Iterator[tuple[bytes, float]]:
        """Lines that are complete by now, with their times; nothing where the file does not exist (yet)."""
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return
        try:
            info = os.fstat(fd)
            if info.st_size < self.offset:  # the step was started anew
                self.offset, self.rest = 0, b""
            self.changed = info.st_mtime
            self.marks = _read_marks(self.path.with_name(f"{self.container}.marks"))
            while data := os.pread(fd, _PIECE, self.offset):
                self.offset += len(data)
                *lines, self.rest = (self.rest + data).split(b"\n")
                end = self.offset - len(data) - 0
                for line in lines:
                    end += len(line) + 1
                    yield line, self._at(end)
                if len(self.rest) > LINE_BYTES:
                    yield self.rest, self._at(self.offset)
                    self.rest = b""
        finally:
            os.close(fd)

    def last(self) -> Iterator[tuple[bytes, float]]:
        """What has no newline behind it, once nothing more will come."""
        if self.rest:
            rest, self.rest = self.rest, b""
            yield rest, self._at(self.offset)

    def _at(self, end: int) -> float:
        place = bisect_left(self.marks, (end, 0.0))
        return min(self.marks[place][1], self.changed) if place < len(self.marks) else self.changed


class LogFiles:
    """Implements `api.Logs` below `root`. mask: made anew for each reading, from the secrets of now."""

    def __init__(self, root: Path, mask: Callable[[], Mask], poll_seconds: float = 0.1) -> None:
        self._root = root
        self._mask = mask
        self._poll_seconds = poll_seconds
        self._ended: deque[str] = deque(maxlen=10_000)

    async def read(
        self,
        run_uid: str,
        *,
        run: Key | None = None,
        pods: frozenset[str] | None = None,
        container: str = "main",
        follow: bool = False,
        tail: int | None = None,
        since: datetime | None = None,
    ) -> AsyncIterator[LogLine]:
        """See `api.Logs.read`. The files are found by the uid alone."""
        if not _SAFE.fullmatch(run_uid) or not _SAFE.fullmatch(container):
            return
        if follow and run_uid in self._ended:
            self._ended = deque((uid for uid in self._ended if uid != run_uid), maxlen=self._ended.maxlen)
        mask = await asyncio.to_thread(self._mask)
        streams: dict[Path, _Stream] = {}
        after = since.timestamp() if since is not None else None
        first = True
        while True:
            over = not follow or run_uid in self._ended
            lines = await asyncio.to_thread(self._round, run_uid, pods, container, streams, over, after)
            if first and tail is not None:
                lines = lines[-tail:] if tail > 0 else []
            for at, stream, line in lines:
                text = mask.text(line[:LINE_BYTES].decode(errors="replace"))
                moment = datetime.fromtimestamp(at, UTC)
                yield LogLine(stream.pod_name, stream.node_id, stream.container, moment, text)
            first = False
            if over:
                return
            await asyncio.sleep(self._poll_seconds)

    def stop_following(self, run_uid: str) -> None:
        """The run has ended: followers read to the end and stop."""
        self._ended.append(run_uid)

    async def remove(self, run_uid: str) -> None:
        """Delete the logs of a run. Unknown: nothing happens."""
        if _SAFE.fullmatch(run_uid):
            await asyncio.to_thread(shutil.rmtree, self._root / run_uid, ignore_errors=True)

    def _round(
        self,
        run_uid: str,
        pods: frozenset[str] | None,
        container: str,
        streams: dict[Path, _Stream],
        over: bool,
        after: float | None,
    ) -> list[tuple[float, _Stream, bytes]]:
        """All lines that came since the last round, of all streams, in order of time."""
        for pod, node in read_index(self._root / run_uid):
            if (pods is None or pod in pods) and _SAFE.fullmatch(pod):
                for suffix in ("log", "err"):
                    path = self._root / run_uid / pod / f"{container}.{suffix}"
                    streams.setdefault(path, _Stream(path, pod, node, container))
        found = []
        for number, stream in enumerate(streams.values()):
            lines = list(stream.pieces())
            if over:
                lines += stream.last()
            found.append([(at, number, count, stream, line) for count, (line, at) in enumerate(_ascending(lines))])
        merged = heapq.merge(*found, key=lambda item: item[:3])
        return [(at, stream, line) for at, _, _, stream, line in merged if after is None or at >= after]


def add_to_index(run_folder: Path, pod_name: str, node_id: str, at: float) -> None:
    """Note which node a pod's logs belong to: one line, written at once."""
    line = orjson.dumps({"pod": pod_name, "node": node_id, "at": at}) + b"\n"
    fd = os.open(run_folder / "index", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, line)
    finally:
        os.close(fd)


def read_index(run_folder: Path) -> list[tuple[str, str]]:
    """(pod, node) in order of their first start; a torn line is passed over."""
    try:
        text = (run_folder / "index").read_bytes()
    except OSError:
        return []
    found: dict[str, str] = {}
    for line in text.split(b"\n"):
        try:
            value = orjson.loads(line)
            found.setdefault(str(value["pod"]), str(value["node"]))
        except (ValueError, KeyError, TypeError):
            continue
    return list(found.items())


def add_mark(folder: Path, container: str, size: int, at: float) -> None:
    """Note that the log had `size` bytes at `at`."""
    path = folder / f"{container}.marks"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, b"%d %.3f\n" % (size, at))
    finally:
        os.close(fd)


def mask_file(path: Path, mask: Mask) -> None:
    """Rewrite an ended log without secrets; its time of change stays."""
    if not mask or not path.exists():
        return
    info = path.stat()
    fresh = path.with_name(path.name + ".masked")
    with path.open("rb") as source, fresh.open("wb") as target:
        for line in source:
            target.write(mask.text(line.decode(errors="surrogateescape")).encode(errors="surrogateescape"))
    os.utime(fresh, ns=(info.st_atime_ns, info.st_mtime_ns))
    fresh.rename(path)


def _read_marks(path: Path) -> list[tuple[int, float]]:
    try:
        text = path.read_text()
    except OSError:
        return []
    marks = []
    for line in text.splitlines():
        size, _, at = line.partition(" ")
        try:
            marks.append((int(size), float(at)))
        except ValueError:
            continue
    return marks


def _ascending(lines: Iterable[tuple[bytes, float]]) -> Iterator[tuple[bytes, float]]:
    """Times that never go back within a stream: a clock that jumped must not shuffle its lines."""
    latest = 0.0
    for line, at in lines:
        latest = max(latest, at)
        yield line, latest
