"""Artifacts in a directory of this machine: the default repository of embedded mode.

A location is `{"key": "run/pod/name.tgz"}`; the object is the file (or folder) of that path below the directory.
Written beside its place and renamed, so that a reader sees all of it or nothing.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

from syncd.artifacts import pack
from syncd.artifacts.api import Access, Location
from syncd.base.errors import Invalid, NotFound

_PIECE: Final = 1 << 18
_INCOMING: Final = ".incoming"


class Local:
    """Implements `api.Driver` in `root`, which nobody but syncd writes to."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def load(self, location: Location, target: Path, access: Access) -> None:
        """Copy the object out."""
        source = self._found(location)
        pack.copy_tree(source, target, access.caps)

    def save(self, source: Path, location: Location, access: Access) -> None:
        """Copy `source` in; an object of the same key is replaced."""
        target = self._path(location)
        incoming = self._root / _INCOMING / f"{os.getpid()}-{id(source):x}-{target.name[:100]}"
        incoming.parent.mkdir(parents=True, exist_ok=True)
        _remove(incoming)
        try:
            if source.is_file():
                try:
                    os.link(source, incoming)  # what is saved is in a task's folder of the same disk as a rule
                except OSError:
                    pack.copy_tree(source, incoming, access.caps)
            else:
                pack.copy_tree(source, incoming, access.caps)
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.is_dir() or incoming.is_dir():
                _remove(target)
            incoming.rename(target)
        except (NotADirectoryError, FileExistsError) as error:
            raise Invalid(
                f"artifact key {location.get('key')!r} runs through another artifact; choose another key"
            ) from error
        finally:
            _remove(incoming)

    def open(self, location: Location, access: Access) -> Iterator[bytes]:
        """The file in pieces."""
        path = self._found(location)
        if path.is_dir():
            raise Invalid(f"artifact {location.get('key')!r} is a folder; name a file in it")
        file = path.open("rb")

        def pieces() -> Iterator[bytes]:
            with file:
                while piece := file.read(_PIECE):
                    yield piece

        return pieces()

    def delete(self, location: Location, access: Access) -> None:
        """Remove the object, and folders that are empty without it."""
        path = self._path(location)
        _remove(path)
        self._tidy(path.parent)

    def prune(self, before: datetime) -> int:
        """Remove objects last written before `before`; answers how many. For retention by age."""
        limit = before.timestamp()
        count = 0
        for folder, _, names in os.walk(self._root, topdown=False):
            for name in names:
                path = Path(folder, name)
                if path.lstat().st_mtime < limit:
                    path.unlink(missing_ok=True)
                    count += 1
            self._tidy(Path(folder))
        return count

    def _tidy(self, folder: Path) -> None:
        while folder != self._root and folder.is_relative_to(self._root):
            try:
                folder.rmdir()
            except OSError:
                return
            folder = folder.parent

    def _path(self, location: Location) -> Path:
        return self._root.joinpath(*key_parts(str(location.get("key", "")).removesuffix("/")))

    def _found(self, location: Location) -> Path:
        path = self._path(location)
        if not path.exists():
            raise NotFound(f"artifact {location.get('key')!r} not found in the local repository")
        return path


def key_parts(key: str) -> list[str]:
    """The components of a key. Raises Invalid for one that is empty, absolute, goes up, or is not printable."""
    parts = key.split("/")
    bad = not key or len(key) > 1024 or not key.isprintable()
    if bad or any(part in ("", ".", "..") or len(part.encode()) > 255 for part in parts) or parts[0] == _INCOMING:
        raise Invalid(f"artifact key {key[:200]!r} must be a relative path without empty parts, '.' and '..'")
    return parts


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
