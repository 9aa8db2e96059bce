"""Archives: a step's file or folder to tar+gzip, zip or as it is, and back.

Packing reads through descriptors, component by component and never through a link: the folder may be shared with a
step that is changing it. Unpacking makes every file relative to a folder it has made itself, never walks through a
link, makes links last, and only such as stay inside. Everything is counted against `api.Caps` while it is read, so
that neither a bomb nor a sparse terabyte gets far. Blocking; called by `store` and `execute.capture` in threads.

What it reads and writes is Argo's: a tar+gzip whose only top entry is the file or folder by its base name.
Source of behaviour: Argo v4.1.2 workflow/executor/executor.go unpack, untar; util/archive TarGzToWriter.
"""

from __future__ import annotations

import gzip
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from syncd.artifacts.api import Caps
from syncd.base.errors import Invalid

_PIECE: Final = 1 << 20
_DEPTH: Final = 200
_BAD: Final = (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, gzip.BadGzipFile, NotImplementedError)


@dataclass(slots=True)
class Budget:
    """What has been used of the caps."""

    caps: Caps
    files: int = 0
    bytes: int = 0

    def entry(self) -> None:
        self.files += 1
        if self.files > self.caps.files:
            raise Invalid(f"artifact has more than {self.caps.files} files; raise limits, or archive less")

    def add(self, size: int) -> None:
        self.bytes += size
        if self.bytes > self.caps.bytes:
            raise Invalid(f"artifact is larger than {self.caps.bytes} bytes; raise limits, or archive less")


@dataclass(slots=True)
class _Found:
    """One thing of a tree that is packed. fd: of a regular file, open for reading; link: text of a symlink."""

    name: str
    info: os.stat_result
    fd: int = -1
    link: str = ""


def pack(handle: int, name: str, target: Path, archive: Mapping[str, Any] | None, caps: Caps) -> str:
    """Archive what `handle` (O_PATH, a file or folder) stands for; returns the suffix that the key gets.

    name: what the top entry is called; target: file (or folder, with `none`) to be made;
    archive: Argo's `archive` object, None = tar with the default compression. Raises Invalid over the caps, and for
    what is neither file nor folder. Times are kept, owners are not; entries are sorted.
    """
    budget = Budget(caps)
    if archive is not None and archive.get("none") is not None:
        _copy_out(handle, name, target, budget)
        return ""
    if archive is not None and archive.get("zip") is not None:
        _zip(handle, name, target, budget)
        return ".zip"
    level = ((archive or {}).get("tar") or {}).get("compressionLevel")
    level = 6 if level is None or int(level) < 0 else min(int(level), 9)
    with (
        target.open("xb") as raw,
        gzip.GzipFile("", "wb", level, raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        for found in _walk(handle, name, budget):
            _add(tar, found, budget)
    return ".tgz"


def unpack(
    source: Path, target: Path, archive: Mapping[str, Any] | None, caps: Caps, *, any_link: bool = False
) -> None:
    """Make `target` of the downloaded `source`, which is gone afterwards.

    archive as for `pack`; None = a gzipped tar is unpacked, anything else (a zip, too: as Argo) stays as it is.
    Of an archive with one top entry, that entry becomes `target`. Raises Invalid for an archive that is broken, too
    large, or reaches out of its folder; nothing is left at `target` then. any_link: links are kept wherever they lead,
    and what is neither file nor folder is left out: for what only a step, or `pack`, will look at.
    """
    kind = _kind(source, archive)
    if not kind:
        source.rename(target)
        return
    folder = target.with_name(target.name + ".unpacked")
    folder.mkdir(parents=True, mode=0o755)
    try:
        with Folder(folder, Budget(caps)) as into:
            try:
                _untar(source, into, any_link) if kind == "tar" else _unzip(source, into)
            except _BAD as error:
                raise Invalid(f"artifact is not a readable {kind} archive: {error}") from error
        entries = list(folder.iterdir())
        if len(entries) == 1:
            entries[0].rename(target)
        else:
            folder.rename(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if source.is_dir():
        shutil.rmtree(source)
    else:
        source.unlink()


def copy_tree(source: Path, target: Path, caps: Caps) -> None:
    """Copy files and folders (links and everything else are left out) into the new folder or file `target`."""
    handle = os.open(source, os.O_PATH | os.O_CLOEXEC)
    try:
        _copy_out(handle, source.name, target, Budget(caps))
    finally:
        os.close(handle)


# --- packing ----------------------------------------------------------------------------------------------------------


def _walk(handle: int, name: str, budget: Budget, depth: int = 0) -> Iterator[_Found]:
    """The tree below an O_PATH descriptor, folders before what is in them, sorted; fifos and devices are left out."""
    info = os.fstat(handle)
    budget.entry()
    if stat.S_ISREG(info.st_mode):
        budget.add(info.st_size)
        fd = os.open(f"/proc/self/fd/{handle}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            yield _Found(name, info, fd)
        finally:
            os.close(fd)
        return
    if not stat.S_ISDIR(info.st_mode):
        if depth == 0:
            raise Invalid(f"artifact {name!r} is neither a file nor a folder")
        return
    if depth > _DEPTH:
        raise Invalid(f"artifact is nested deeper than {_DEPTH} folders")
    yield _Found(name, info)
    fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=handle)
    try:
        for entry in sorted(os.listdir(fd)):  # noqa: PTH208 - of a descriptor
            child = f"{name}/{entry}" if name else entry
            try:
                inner = os.open(entry, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
            except FileNotFoundError:
                continue  # somebody else removed it meanwhile
            try:
                inner_info = os.fstat(inner)
                if stat.S_ISLNK(inner_info.st_mode):
                    budget.entry()
                    yield _Found(child, inner_info, link=os.readlink(entry, dir_fd=fd))
                else:
                    yield from _walk(inner, child, budget, depth + 1)
            finally:
                os.close(inner)
    finally:
        os.close(fd)


def _add(tar: tarfile.TarFile, found: _Found, budget: Budget) -> None:
    entry = tarfile.TarInfo(found.name)
    entry.mode = stat.S_IMODE(found.info.st_mode) & 0o777
    entry.mtime = int(found.info.st_mtime)
    if found.link:
        entry.type, entry.linkname = tarfile.SYMTYPE, found.link
        tar.addfile(entry)
    elif found.fd < 0:
        entry.type = tarfile.DIRTYPE
        tar.addfile(entry)
    else:
        entry.size = found.info.st_size
        with os.fdopen(os.dup(found.fd), "rb") as file:
            tar.addfile(entry, _Exactly(file, entry.size))


class _Exactly:
    """A file that has exactly as many bytes as was said, whatever happens to it while it is read."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._left = size

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        data = self._file.read(wanted)
        data += bytes(wanted - len(data))
        self._left -= wanted
        return data


def _zip(handle: int, name: str, target: Path, budget: Budget) -> None:
    with zipfile.ZipFile(target, "x", zipfile.ZIP_DEFLATED) as archive:
        for found in _walk(handle, name, budget):
            if found.link:
                continue  # as Argo: a zip has no links
            folder = "/" if found.fd < 0 else ""
            entry = zipfile.ZipInfo(found.name + folder)
            entry.external_attr = (found.info.st_mode & 0xFFFF) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            if found.fd < 0:
                archive.writestr(entry, b"")
                continue
            with os.fdopen(os.dup(found.fd), "rb") as file, archive.open(entry, "w", force_zip64=True) as into:
                shutil.copyfileobj(_Exactly(file, found.info.st_size), into, _PIECE)


def _copy_out(handle: int, name: str, target: Path, budget: Budget) -> None:
    for found in _walk(handle, "", budget):
        path = target / found.name if found.name else target
        if found.link:
            continue
        if found.fd < 0:
            path.mkdir()
            continue
        with path.open("xb") as file, os.fdopen(os.dup(found.fd), "rb") as source:
            shutil.copyfileobj(_Exactly(source, found.info.st_size), file, _PIECE)
        path.chmod(stat.S_IMODE(found.info.st_mode) & 0o777 | 0o600)


# --- unpacking --------------------------------------------------------------------------------------------------------


def _kind(source: Path, archive: Mapping[str, Any] | None) -> str:
    """`tar`, `zip` or "" = to be left as it is."""
    if source.is_dir() or (archive is not None and archive.get("none") is not None):
        return ""
    if archive is not None and archive.get("zip") is not None:
        return "zip"
    if archive is not None and archive.get("tar") is not None:
        return "tar"
    try:
        with gzip.open(source, "rb") as file:
            head = file.read(tarfile.BLOCKSIZE)
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except (*_BAD, OSError):
        return ""
    return "tar"


@dataclass(slots=True)
class Folder:
    """An existing folder that a foreign tree is written into: every path goes through here. Use it by `with`, then
    `finish`. Also how `git` writes a commit."""

    path: Path
    budget: Budget
    fd: int = -1
    links: list[tuple[str, str]] = field(default_factory=list)
    modes: list[tuple[str, int]] = field(default_factory=list)

    def __enter__(self) -> Folder:
        self.fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)

    def parts(self, name: str) -> list[str]:
        """The components of an entry's name. Raises Invalid for one that is absolute or goes up."""
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if name.startswith("/") or ".." in parts or "\0" in name:
            raise Invalid(f"illegal file path in archive: {name}")
        if len(parts) > _DEPTH:
            raise Invalid(f"archive is nested deeper than {_DEPTH} folders")
        return parts

    def parent(self, parts: list[str], make: bool = True) -> int:
        """An open descriptor of the folder that parts[-1] is in; made on the way. Links are not walked through."""
        fd = os.dup(self.fd)
        try:
            for part in parts[:-1]:
                if make:
                    try:
                        os.mkdir(part, 0o755, dir_fd=fd)
                        self.budget.entry()
                    except FileExistsError:
                        pass
                inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
                os.close(fd)
                fd = inner
        except OSError as error:
            os.close(fd)
            raise Invalid(f"illegal file path in archive: {'/'.join(parts)}: {error.strerror}") from error
        return fd

    def folder(self, name: str, mode: int) -> None:
        parts = self.parts(name)
        if not parts:
            return
        os.close(self.parent([*parts, ""]))
        self.modes.append((name, mode))

    def file(self, name: str, mode: int, data: IO[bytes], mtime: float | None) -> None:
        parts = self.parts(name)
        if not parts:
            raise Invalid("archive holds a file without a name")
        parent = self.parent(parts)
        try:
            with suppress(FileNotFoundError):
                os.unlink(parts[-1], dir_fd=parent)
            fd = os.open(parts[-1], os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=parent)
        except OSError as error:
            raise Invalid(f"illegal file path in archive: {name}: {error.strerror}") from error
        finally:
            os.close(parent)
        with os.fdopen(fd, "wb") as out:
            while piece := data.read(_PIECE):
                self.budget.add(len(piece))
                out.write(piece)
            os.fchmod(fd, (mode & 0o777) | 0o600)
            out.flush()
            if mtime is not None and 0 <= mtime < 1 << 40:
                os.utime(fd, (mtime, mtime))

    def hard_link(self, name: str, other: str) -> None:
        """A hard link becomes a copy: two names of one file would surprise a step that changes one."""
        parts = self.parts(other)
        parent = self.parent(parts, make=False)
        try:
            fd = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
        except (OSError, IndexError) as error:
            raise Invalid(f"illegal link in archive: {name} -> {other}") from error
        finally:
            os.close(parent)
        with os.fdopen(fd, "rb") as file:
            info = os.fstat(fd)
            if not stat.S_ISREG(info.st_mode):
                raise Invalid(f"illegal link in archive: {name} -> {other}")
            self.file(name, info.st_mode, file, info.st_mtime)

    def link(self, name: str, text: str, free: bool = False) -> None:
        """Remember a symlink; refused where it leads out. free: kept as it is, for trees that only a step will walk."""
        place = self.parts(name)[:-1]
        if free and text and "\0" not in text:
            self.links.append((name, text))
            return
        if text.startswith("/") or "\0" in text or not text:
            raise Invalid(f"illegal symlink target in archive: {name} -> {text}")
        for part in text.split("/"):
            if part == "..":
                if not place:
                    raise Invalid(f"illegal symlink target in archive: {name} -> {text}")
                place.pop()
            elif part not in ("", "."):
                place.append(part)
        self.links.append((name, text))

    def finish(self) -> None:
        """Folders get their modes, then the links are made: nothing is written after the first of them."""
        for name, mode in reversed(self.modes):
            fd = self.parent([*self.parts(name), ""], make=False)
            os.fchmod(fd, (mode & 0o777) | 0o700)
            os.close(fd)
        made: list[tuple[int, str, str]] = []
        for name, text in self.links:
            parts = self.parts(name)
            made.append((self.parent(parts), parts[-1], text))
        for parent, last, text in made:
            try:
                os.symlink(text, last, dir_fd=parent)
            except OSError as error:
                raise Invalid(f"illegal link in archive: {last}: {error.strerror}") from error
            finally:
                os.close(parent)


def _untar(source: Path, into: Folder, any_link: bool) -> None:
    with tarfile.open(source, "r|*") as tar:
        for entry in tar:
            into.budget.entry()
            if entry.isdir():
                into.folder(entry.name, entry.mode)
            elif entry.isreg():
                if entry.size > into.budget.caps.bytes:
                    into.budget.add(entry.size)
                data = tar.extractfile(entry)
                assert data is not None
                into.file(entry.name, entry.mode, data, entry.mtime)
            elif entry.issym():
                into.link(entry.name, entry.linkname, free=any_link)
            elif entry.islnk():
                into.hard_link(entry.name, entry.linkname)
            elif not any_link:
                raise Invalid(f"archive holds {entry.name}, which is neither file, folder nor link")
    into.finish()


def _unzip(source: Path, into: Folder) -> None:
    with zipfile.ZipFile(source) as archive:
        for entry in archive.infolist():
            into.budget.entry()
            mode = entry.external_attr >> 16
            if entry.is_dir():
                into.folder(entry.filename, mode or 0o755)
                continue
            if stat.S_ISLNK(mode):
                raise Invalid(f"archive holds the link {entry.filename}; a zip artifact has none")
            if entry.flag_bits & 1:
                raise Invalid("archive is encrypted; an artifact cannot be")
            with archive.open(entry) as data:
                into.file(entry.filename, mode or 0o644, data, None)
    into.finish()
