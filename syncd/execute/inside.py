"""Paths as a step sees them, followed on the machine without ever leaving the step's own folders.

In: a table of what lies where inside, and an absolute path inside. Out: an open file or folder.
A step may have left links anywhere: `/tmp/out -> /etc/passwd` means the step's own /etc/passwd, as it would for the
step. So each component is opened by itself, links are read and followed by hand against the root inside, and nothing
is opened by a path of the machine that a step could have had a hand in. Called by `staging` and `capture`.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from syncd.base.errors import Invalid, NotFound

_LINKS: Final = 40
_DEPTH: Final = 256


@dataclass(frozen=True, slots=True)
class Tree:
    """What lies where. root: the folder that is `/`; mounts: normal path inside → file or folder of the machine.

    Sources of mounts are ours: they are opened by their path.
    """

    root: Path
    mounts: Mapping[str, Path] = field(default_factory=dict)


def normal(path: str) -> str:
    """An absolute path without `.`, `..`, doubled or trailing slashes, by text alone. Raises Invalid.

    >>> normal("/a//b/../c/")
    '/a/c'
    """
    if not path.startswith("/") or "\0" in path:
        raise Invalid(f"path {path!r} must be absolute")
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            if parts:
                parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


class _Walk:
    """A walk from the root: the names and open folders that lead to where it stands."""

    def __init__(self, tree: Tree, create: bool) -> None:
        self._tree = tree
        self._create = create
        self._names: list[str] = []
        self._fds = [os.open(tree.root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)]

    def close(self) -> None:
        for fd in self._fds:
            os.close(fd)
        self._fds = []

    def up_to_root(self) -> None:
        while self._names:
            self.up()

    def up(self) -> None:
        if self._names:
            self._names.pop()
            os.close(self._fds.pop())

    def take(self) -> int:
        """The folder where it stands, for the caller to close."""
        return os.dup(self._fds[-1])

    def enter(self, name: str, more: bool) -> str | int | None:
        """Go down: a link's text, an open file that is no folder, or None = it stands in the folder `name` now."""
        here = self._fds[-1]
        mount = self._tree.mounts.get("/" + "/".join([*self._names, name]))
        if mount is not None:
            fd = os.open(mount, os.O_PATH | os.O_CLOEXEC)
        else:
            try:
                fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
            except FileNotFoundError:
                if not (self._create and more):
                    raise
                with suppress(FileExistsError):
                    os.mkdir(name, 0o755, dir_fd=here)
                fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
        mode = os.fstat(fd).st_mode
        if stat.S_ISLNK(mode):
            os.close(fd)
            return os.readlink(name, dir_fd=here)
        if stat.S_ISDIR(mode):
            if len(self._names) >= _DEPTH:
                os.close(fd)
                raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
            self._names.append(name)
            self._fds.append(fd)
            return None
        return fd


def _follow(tree: Tree, path: str, create: bool) -> int:
    """An O_PATH descriptor of what `path` leads to. OSError as the kernel would give it inside."""
    if not path.startswith("/") or "\0" in path:
        raise Invalid(f"path {path!r} must be absolute")
    walk = _Walk(tree, create)
    try:
        parts = [part for part in reversed(path.split("/")) if part not in ("", ".")]
        links = 0
        while parts:
            part = parts.pop()
            if part == "..":
                walk.up()
                continue
            found = walk.enter(part, more=bool(parts) or create)
            if isinstance(found, str):
                links += 1
                if links > _LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                if found.startswith("/"):
                    walk.up_to_root()
                parts.extend(p for p in reversed(found.split("/")) if p not in ("", "."))
            elif found is not None:
                if parts:
                    os.close(found)
                    raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
                return found
        return walk.take()
    finally:
        walk.close()


def open_at(tree: Tree, path: str) -> int:
    """An O_PATH descriptor of the file or folder at `path` inside; the caller closes it.

    Raises NotFound in the words of a process inside (`open /tmp/x: no such file or directory`), Invalid for others.
    """
    try:
        return _follow(tree, path, create=False)
    except OSError as error:
        raise _in_words(path, error) from error


def make_folder(tree: Tree, path: str) -> int:
    """An O_PATH descriptor of the folder at `path` inside, made with its parents where there is none."""
    try:
        fd = _follow(tree, path, create=True)
    except OSError as error:
        raise _in_words(path, error) from error
    if not stat.S_ISDIR(os.fstat(fd).st_mode):
        os.close(fd)
        raise Invalid(f"{path}: a file is in the way of a folder")
    return fd


def read_file(tree: Tree, path: str, cap_bytes: int) -> bytes:
    """The content of a regular file inside. Raises NotFound; Invalid where it is no file or larger than the cap."""
    handle = open_at(tree, path)
    try:
        fd = reopen(handle)
    except OSError as error:
        raise _in_words(path, error) from error
    finally:
        os.close(handle)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise Invalid(f"{path} is not a regular file")
        if found.st_size > cap_bytes:
            raise Invalid(f"{path} has {found.st_size} bytes, more than the {cap_bytes} allowed")
        pieces = []
        left = cap_bytes + 1
        while left > 0 and (piece := os.read(fd, min(left, 1 << 20))):
            pieces.append(piece)
            left -= len(piece)
        if not left:
            raise Invalid(f"{path} grew over the {cap_bytes} bytes allowed")
        return b"".join(pieces)
    finally:
        os.close(fd)


def reopen(handle: int) -> int:
    """A readable descriptor of an O_PATH one; never blocks on a fifo, never opens a device's driver."""
    mode = os.fstat(handle).st_mode
    if stat.S_ISDIR(mode):
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=handle)
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "neither a file nor a folder")
    return os.open(f"/proc/self/fd/{handle}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)


def _in_words(path: str, error: OSError) -> NotFound | Invalid:
    reason = (error.strerror or str(error)).lower()
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return NotFound(f"open {path}: {reason}")
    return Invalid(f"open {path}: {reason}")


def place(tree: Tree, path: str, arrived: Path) -> None:
    """Move a file or folder of ours to `path` inside, over what is there; parents are made.

    Where the place is a mount point or on another disk, the content is copied in. Raises Invalid.
    """
    folder, _, name = path.rpartition("/")
    if path in tree.mounts:
        handle = make_folder(tree, path)
        try:
            if not arrived.is_dir():
                raise Invalid(f"{path} is the place of a volume; an artifact that is a file cannot take it")
            for entry in list(arrived.iterdir()):
                _move(entry, handle, entry.name)
        finally:
            os.close(handle)
        return
    handle = make_folder(tree, folder or "/")
    try:
        _move(arrived, handle, name)
    except OSError as error:
        raise _in_words(path, error) from error
    finally:
        os.close(handle)


def remove(path: Path) -> None:
    """Remove a file or folder of ours, whatever it is; links are not followed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _move(source: Path, folder: int, name: str) -> None:
    """Rename into an open folder; what is there goes, a folder with its content."""
    try:
        there = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        pass
    else:
        is_folder = stat.S_ISDIR(os.fstat(there).st_mode)
        os.close(there)
        if is_folder:
            shutil.rmtree(name, dir_fd=folder)
        else:
            os.unlink(name, dir_fd=folder)
    try:
        os.rename(source, name, dst_dir_fd=folder)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        target = Path(f"/proc/self/fd/{folder}", name)
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True)
        else:
            shutil.copy2(source, target, follow_symlinks=False)
        remove(source)
