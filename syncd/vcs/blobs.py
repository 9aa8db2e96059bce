"""Trees and blobs of a bare repository: list them, compare them, read many in one process. Called by `source.git`.

Everything streams: a tree or a blob is cut off at its limit while it is read, not after.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from syncd.vcs.door import Door
from syncd.vcs.verdicts import GitFailed, Kind

LINK: Final = "120000"
FILES: Final = frozenset({"100644", "100755", "100664", LINK})


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a tree. mode: git's; id: of its blob."""

    mode: str
    id: str


@dataclass(frozen=True, slots=True)
class Object:
    """What `cat-file` answered. kind: blob, commit, tree, tag, or missing, dangling, loop, notdir, symlink (leads out);
    size: whole; data: at most as much of it as was asked for."""

    request: str
    kind: str
    id: str = ""
    size: int = 0
    data: bytes = b""


def tree(
    door: Door, repository: Path, commit: str, folder: str, wanted: Callable[[bytes], bool], *, timeout_seconds: float
) -> tuple[dict[bytes, Entry], bool]:
    """The files below `folder` ("" = all) that `wanted` says yes to, by path relative to it; and whether it exists."""
    arguments = ["-r", "-z", "--full-tree", commit]
    if folder:
        arguments += ["--", f"{folder}/"]
    found: dict[bytes, Entry] = {}
    cut = len(folder.encode()) + 1 if folder else 0
    seen = False

    def take(record: bytes) -> None:
        nonlocal seen
        head, _, path = record.partition(b"\t")
        mode, _, identity = head.decode("ascii", "replace").split(" ")
        seen = True
        if mode in FILES and wanted(path[cut:]):
            found[path[cut:]] = Entry(mode, identity)

    records = _Records(take)
    door.run("ls-tree", *arguments, repository=repository, sink=records.feed, timeout_seconds=timeout_seconds)
    return found, seen


def difference(
    door: Door,
    repository: Path,
    before: str,
    after: str,
    folder: str,
    wanted: Callable[[bytes], bool],
    *,
    timeout_seconds: float,
) -> dict[bytes, Entry | None]:
    """Files below `folder` that differ between two commits: path → what it is after, None = gone."""
    arguments = ["-r", "-z", "--raw", "--no-abbrev", "--no-renames", before, after]
    if folder:
        arguments += ["--", f"{folder}/"]
    changes: dict[bytes, Entry | None] = {}
    cut = len(folder.encode()) + 1 if folder else 0
    head = ""

    def take(record: bytes) -> None:
        nonlocal head
        if not head:
            head = record.decode("ascii", "replace")
            return
        fields, head = head.split(" "), ""
        path = record[cut:]
        if wanted(path):
            changes[path] = Entry(fields[1], fields[3]) if fields[1] in FILES else None

    records = _Records(take)
    door.run("diff-tree", *arguments, repository=repository, sink=records.feed, timeout_seconds=timeout_seconds)
    return changes


class _Records:
    """Bytes in, records that end in a zero byte out."""

    def __init__(self, take: Callable[[bytes], None]) -> None:
        self._take = take
        self._rest = b""

    def feed(self, piece: bytes) -> None:
        """The next piece of output."""
        *whole, self._rest = (self._rest + piece).split(b"\0")
        for record in whole:
            self._take(record)


def read(
    door: Door,
    repository: Path,
    requests: Sequence[str],
    *,
    limit_bytes: int,
    total_bytes: int,
    timeout_seconds: float,
) -> Sequence[Object]:
    """The objects, one for each request (an id, or `<commit>:<path>`, whose links are followed inside the tree).

    limit_bytes: of each, what is longer is cut; total_bytes: of all together, GitFailed (too-much) beyond.
    """
    if not requests:
        return []
    if any("\n" in request for request in requests):
        raise GitFailed("cat-file", Kind.LOCAL, "a request with a line break")
    reading = _Batch(requests, limit_bytes, total_bytes)
    door.run(
        "cat-file",
        "--batch",
        "--follow-symlinks",
        repository=repository,
        stdin="".join(f"{request}\n" for request in requests).encode(),
        sink=reading.feed,
        timeout_seconds=timeout_seconds,
        max_bytes=1 << 62,
    )
    if len(reading.found) != len(requests):
        raise GitFailed("cat-file", Kind.LOCAL, "ended early")
    return reading.found


_WITHOUT_ID: Final = frozenset({b"dangling", b"loop", b"notdir", b"symlink"})


class _Batch:
    """The output of `cat-file --batch`, taken apart while it comes."""

    def __init__(self, requests: Sequence[str], limit_bytes: int, total_bytes: int) -> None:
        self.found: list[Object] = []
        self._requests = requests
        self._limit = limit_bytes
        self._left = total_bytes
        self._buffer = bytearray()
        self._current: tuple[str, str, int] | None = None  # kind, id, size of the object whose bytes come now
        self._kept: list[bytes] = []
        self._missing = 0  # bytes of it still to come, its line break included

    def feed(self, piece: bytes) -> None:
        """The next piece of output."""
        self._buffer += piece
        buffer = self._buffer
        start = 0
        while True:
            if self._current is None:
                end = buffer.find(b"\n", start)
                if end < 0:
                    break
                self._begin(bytes(buffer[start:end]))
                start = end + 1
                continue
            taken = min(len(buffer) - start, self._missing)
            if taken == 0:
                break
            kind, identity, size = self._current
            body = taken - (taken == self._missing)
            room = self._limit - (size + 1 - self._missing)
            if room > 0 and body > 0:
                kept = bytes(buffer[start : start + min(body, room)])
                self._left -= len(kept)
                if self._left < 0:
                    raise GitFailed("cat-file", Kind.TOO_MUCH, "the files together are larger than is allowed")
                self._kept.append(kept)
            self._missing -= taken
            start += taken
            if self._missing == 0:
                self._end(Object(self._request(), kind, identity, size, b"".join(self._kept)))
        del buffer[:start]

    def _request(self) -> str:
        if len(self.found) >= len(self._requests):
            raise GitFailed("cat-file", Kind.LOCAL, "answered more than it was asked")
        return self._requests[len(self.found)]

    def _end(self, found: Object) -> None:
        self.found.append(found)
        self._current = None
        self._kept = []

    def _begin(self, line: bytes) -> None:
        first, _, rest = line.partition(b" ")
        if first in _WITHOUT_ID and rest.isdigit():
            self._current = (first.decode(), "", int(rest))
            self._missing = int(rest) + 1
            return
        identity, _, tail = line.rpartition(b" ")
        if tail in (b"missing", b"ambiguous"):
            self._end(Object(self._request(), "missing"))
            return
        name, _, kind = identity.partition(b" ")
        if not tail.isdigit() or not kind:
            raise GitFailed("cat-file", Kind.LOCAL, "said something that is no answer")
        self._current = (kind.decode("ascii", "replace"), name.decode("ascii", "replace"), int(tail))
        self._missing = int(tail) + 1
