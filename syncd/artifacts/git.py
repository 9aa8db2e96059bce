"""Artifacts from git: a repository at a revision, as a work tree with its `.git`, as Argo's `git` artifact.

In: repo, revision, branch, singleBranch, depth, fetch, usernameSecret, passwordSecret, sshPrivateKeySecret. Out: a
folder. git comes in by `vcs.door` only and never checks anything out: files are written from blobs, by `pack.Folder`,
so neither filters nor links nor .gitattributes of the repository do anything. `.git` gets an index, so that `git
status` in the step finds nothing changed. Submodules are not fetched; file:// and paths are not for manifests.
"""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from syncd.artifacts import pack
from syncd.artifacts.api import Access, Location
from syncd.base.errors import ConfigError, Invalid, NotFound, Unsupported
from syncd.config import urls
from syncd.config.model import Auth, Ref
from syncd.vcs import blobs, refs
from syncd.vcs.blobs import Entry
from syncd.vcs.door import Door
from syncd.vcs.verdicts import GitFailed

_TIMEOUT: Final = 600.0
_BATCH: Final = 500
_REFSPEC: Final = re.compile(r"\+?(refs/[-A-Za-z0-9._/*]+):(refs/[-A-Za-z0-9._/*]+)")
_HEX: Final = re.compile(r"[0-9a-f]{4,64}")
_SUBMODULE: Final = "160000"


class Git:
    """Implements `api.Driver`; read only. ssh: the program, for tests."""

    def __init__(self, *, ssh: str = "ssh") -> None:
        self._ssh = ssh

    def load(self, location: Location, target: Path, access: Access) -> None:
        """Clone and write the work tree."""
        try:
            url = urls.normalise(str(location.get("repo") or ""), allow_http=True)
        except ValueError as error:
            raise Invalid(f"git artifact: {error}") from None
        for name in ("insecureSkipTLS", "insecureIgnoreHostKey"):
            if location.get(name):
                raise Unsupported(f"git.{name} is not supported; trust the host's certificate or key on this machine")
        home = target.with_name(target.name + ".git-home")
        home.mkdir(mode=0o700)
        try:
            door = Door(home, url=url, auth=_auth(location, home, access), allow_http=True, ssh=self._ssh)
            _Clone(door, url, location, target, access).make()
        except GitFailed as error:
            raise error.as_error(f"git artifact {_shown(url)}") from error
        except ConfigError as error:
            raise NotFound(f"git artifact {_shown(url)}: {error}") from error
        finally:
            shutil.rmtree(home, ignore_errors=True)

    def save(self, source: Path, location: Location, access: Access) -> None:
        """Never: as in Argo."""
        raise Unsupported("a git artifact cannot be an output; give it a key or another location")

    def open(self, location: Location, access: Access) -> Iterator[bytes]:
        """Never: it is a folder."""
        raise Invalid("a git artifact is a folder; it cannot be read as one file")

    def delete(self, location: Location, access: Access) -> None:
        """Never: it is not ours."""


class _Clone:
    """One clone under way."""

    def __init__(self, door: Door, url: str, location: Location, target: Path, access: Access) -> None:
        self._door = door
        self._url = url
        self._location = location
        self._target = target
        self._access = access
        self._git = target / ".git"

    def make(self) -> None:
        revision, branch = str(self._location.get("revision") or ""), str(self._location.get("branch") or "")
        single = bool(self._location.get("singleBranch"))
        if single and not branch:
            raise Invalid("git artifact: singleBranch wants a branch; set git.branch")
        advertised = refs.parse(self._run("ls-remote", "--symref", "--end-of-options", self._url))
        wanted = refs.resolve(Ref(branch=branch) if branch and not revision else Ref(), advertised)
        self._target.mkdir()
        self._make_repository(len(wanted.commit))
        specs = (
            [f"+refs/heads/{refs.check(branch)}:refs/remotes/origin/{branch}"]
            if single
            else ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"]
        )
        for spec in self._location.get("fetch") or ():
            if not _REFSPEC.fullmatch(str(spec)):
                raise Invalid(f"git artifact: {str(spec)[:100]!r} is not a refspec of the form refs/…:refs/…")
            specs.append(str(spec))
        self._fetch(specs)
        commit = self._commit(revision, advertised) if revision else wanted.commit
        head = wanted.refname if not revision and wanted.refname.startswith("refs/heads/") else ""
        self._write_tree(commit)
        if head:
            path = self._git / head
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(commit + "\n")
        (self._git / "HEAD").write_text(f"ref: {head}\n" if head else f"{commit}\n")

    def _run(self, subcommand: str, *arguments: str) -> bytes:
        repository = self._git if subcommand != "ls-remote" else None
        return self._door.run(subcommand, *arguments, repository=repository, timeout_seconds=_TIMEOUT)

    def _fetch(self, specs: list[str]) -> None:
        depth = int(self._location.get("depth") or 0)
        words = ["--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--no-recurse-submodules"]
        words += [f"--depth={depth}"] * (depth > 0)
        self._run("fetch", *words, "--force", "--end-of-options", self._url, *specs)

    def _commit(self, revision: str, advertised: refs.Advertised) -> str:
        """The commit of `revision`: a branch, a tag, any ref, or a commit, abbreviated as well."""
        for name in (f"refs/heads/{revision}", f"refs/tags/{revision}", revision):
            if name in advertised.refs:
                return advertised.refs[name]
        if not _HEX.fullmatch(revision):
            raise NotFound(f"git artifact {_shown(self._url)} has no branch, tag or commit {revision[:100]!r}")
        for attempt in (1, 2):
            try:
                text = self._run("rev-parse", "--verify", "--quiet", "--end-of-options", revision + "^{commit}")
                return text.decode().strip()
            except GitFailed:
                if attempt == 2 or not refs.COMMIT.match(revision):
                    break
                try:
                    self._fetch([f"+{revision}:refs/syncd/revision"])  # it may lie below the depth, or on no branch
                except GitFailed:
                    break
        raise NotFound(f"git artifact {_shown(self._url)} has no commit {revision}; check revision and depth")

    def _make_repository(self, digits: int) -> None:
        for folder in ("objects/info", "objects/pack", "refs/heads", "refs/tags"):
            (self._git / folder).mkdir(parents=True)
        long = digits == 64
        text = f"[core]\n\trepositoryformatversion = {int(long)}\n\tbare = false\n\tfilemode = true\n"
        text += "[extensions]\n\tobjectFormat = sha256\n" if long else ""
        text += f'[remote "origin"]\n\turl = {_shown(self._url)}\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n'
        (self._git / "config").write_text(text)
        (self._git / "HEAD").write_text("ref: refs/heads/none\n")

    def _write_tree(self, commit: str) -> None:
        listing = self._run("ls-tree", "-r", "-z", "--full-tree", commit)
        entries: dict[bytes, Entry] = {}
        for record in listing.split(b"\0")[:-1]:
            head, _, path = record.partition(b"\t")
            mode, _, identity = head.decode("ascii", "replace").split(" ")
            if mode == _SUBMODULE:
                if self._location.get("disableSubmodules"):
                    continue
                raise Unsupported(
                    f"git artifact {_shown(self._url)} has submodules, which are not fetched; set git.disableSubmodules: true"
                )
            entries[path] = Entry(mode, identity)
        paths = sorted(entries)
        budget = pack.Budget(self._access.caps)
        with pack.Folder(self._target, budget) as into:
            for start in range(0, len(paths), _BATCH):
                batch = paths[start : start + _BATCH]
                left = self._access.caps.bytes - budget.bytes
                ids = [entries[path].id for path in batch]
                limits = {"limit_bytes": left + 1, "total_bytes": left, "timeout_seconds": _TIMEOUT}
                for path, found in zip(batch, blobs.read(self._door, self._git, ids, **limits), strict=True):  # type: ignore[arg-type]
                    self._write(into, path, entries[path], found.data)
            into.finish()
        (self._git / "index").write_bytes(index(entries))

    def _write(self, into: pack.Folder, path: bytes, entry: Entry, data: bytes) -> None:
        name = path.decode(errors="surrogateescape")
        if any(part.lower() == ".git" for part in name.split("/")):
            raise Invalid(f"git artifact {_shown(self._url)} holds a file within .git; it is not taken")
        into.budget.entry()
        if entry.mode == blobs.LINK:
            into.link(name, data.decode(errors="surrogateescape"), free=True)
        else:
            into.file(name, 0o755 if entry.mode == "100755" else 0o644, io.BytesIO(data), None)


def index(entries: Mapping[bytes, Entry]) -> bytes:
    """git's index (version 2) of a tree, its stat fields zero: git compares contents once, and finds them the same.

    Source: git Documentation/gitformat-index.txt.
    """
    pieces = [struct.pack(">4sII", b"DIRC", 2, len(entries))]
    digest: Any = hashlib.sha1(usedforsecurity=False)
    for path in sorted(entries):
        entry = entries[path]
        identity = bytes.fromhex(entry.id)
        if len(identity) == 32:
            digest = hashlib.sha256()
        mode = 0o120000 if entry.mode == blobs.LINK else 0o100755 if entry.mode == "100755" else 0o100644
        head = struct.pack(">10I", 0, 0, 0, 0, 0, 0, mode, 0, 0, 0) + identity
        head += struct.pack(">H", min(len(path), 0xFFF)) + path
        pieces.append(head + bytes(8 - len(head) % 8))
    text = b"".join(pieces)
    digest.update(text)
    return text + bytes(digest.digest())


def _auth(location: Location, home: Path, access: Access) -> Auth:
    """Credentials as files below `home`, which is removed after the clone."""
    given: dict[str, str] = {}
    pairs = (
        ("username_file", "usernameSecret"),
        ("password_file", "passwordSecret"),
        ("identity_file", "sshPrivateKeySecret"),
    )
    for field, name in pairs:
        value = access.value(location.get(name))
        if value is not None:
            path = home / field
            path.touch(mode=0o600)
            path.write_bytes(value.encode(errors="surrogateescape") + b"\n")
            given[field] = str(path)
    return Auth(**given)


def _shown(url: str) -> str:
    """Without user info."""
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"
