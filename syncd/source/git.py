"""Manifests from a git repository, remote or local, by branch, tag or commit. Implements `source.api.Source`.

A poll is one `ls-remote`. A fetch is `fetch` (only for a commit that is not here), `diff-tree` against the base (or
`ls-tree` where there is none), and one `cat-file --batch` for what changed; there is never a checkout. Blocking work
runs in a thread, one command at a time. The remote's revision is what counts: a force push, a tag that moved or a
branch that was switched is a new revision like any other.
"""

from __future__ import annotations

import asyncio
import posixpath
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import watchfiles

from syncd.base.errors import ConfigError, Unreachable
from syncd.base.problems import Place, Problem
from syncd.config import model, urls
from syncd.source import local, snapshot, tree
from syncd.source.api import Fetched, Revision
from syncd.source.mirror import Mirror
from syncd.source.snapshot import Snapshot
from syncd.source.worker import Worker
from syncd.vcs import blobs, refs
from syncd.vcs.door import Door
from syncd.vcs.verdicts import GitFailed, Kind

_LINKS = 1000


class GitSource:
    """One repository at one ref. home: directory of our own below the state; ssh: the program, for tests."""

    def __init__(
        self, source: model.Source, home: Path, limits: model.Limits | None = None, *, ssh: str = "ssh"
    ) -> None:
        self.name = source.name
        self._source = source
        self._limits = limits or model.Limits()
        self._selection = tree.Selection(source.include, source.exclude)
        self._local = local.look(source.path) if source.path else None
        if self._local is not None:
            self._url = str(self._local.repository or self._local.path)
            folder = posixpath.normpath(posixpath.join(self._local.folder, source.folder))
            self._folder = "" if folder == "." else folder
        else:
            self._url = urls.normalise(source.url, allow_file=True, allow_http=source.allow_http)
            self._folder = source.folder
        trusted = []
        if self._local is not None:
            trusted = [self._local.path, Path(self._url), Path(self._url) / ".git", *self._local.watched]
        elif self._url.startswith(("file://", "/")):
            trusted = [Path(urlsplit(self._url).path), Path(urlsplit(self._url).path) / ".git"]
        self._door = Door(
            home,
            url=self._url,
            auth=source.auth,
            trusted=list(dict.fromkeys(trusted)),
            allow_file=bool(trusted),
            allow_http=source.allow_http,
            ssh=ssh,
        )
        self._timeout_seconds = source.timeout.total_seconds()
        self._mirror = Mirror(home, self._door, self._url, self.describe(), self._timeout_seconds)
        self._known: dict[str, _Known] = {}  # by commit: the last one and its base
        self._lock = threading.Lock()
        self._worker = Worker(source.name)
        self._closed = asyncio.Event()

    def describe(self) -> str:
        """`PATH-OR-URL#REF:FOLDER`, without user info."""
        place = self._url
        if "://" in place:
            parts = urlsplit(place)
            place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        ref = self._source.ref
        name = ref.text or ref.commit or ref.name or ref.semver or ref.tag or ref.branch
        folder = f":{self._folder}" if self._folder else ""
        return f"{place}#{name}{folder}" if name or folder else place

    async def poll(self) -> Revision:
        """One `ls-remote`; no process at all where the configuration names the commit."""
        ref = self._source.ref
        patterns = refs.questions(ref)
        if not patterns:
            return _revision(refs.resolve(ref, refs.Advertised()))
        if self._local is not None and self._local.repository is None:
            raise ConfigError(f"{self._local.path} is no git repository; check the source's path")
        return await self._worker.do(self._poll, patterns)

    def _poll(self, patterns: Sequence[str]) -> Revision:
        try:
            answer = self._door.run(
                "ls-remote",
                "--symref",
                "--quiet",
                "--end-of-options",
                self._url,
                *patterns,
                timeout_seconds=self._timeout_seconds,
                max_bytes=64 * 1024 * 1024,
            )
        except GitFailed as failed:
            raise failed.as_error(self.describe()) from None
        except OSError as wrong:
            raise self._no_room(wrong) from None
        return _revision(refs.resolve(self._source.ref, refs.parse(answer)))

    async def fetch(self, revision: Revision, base: Fetched | None) -> Fetched:
        """The files of `revision`. A broken mirror is thrown away and filled again, once."""
        fetched, uncommitted = await asyncio.gather(
            self._worker.do(self._fetch, revision, base), self._worker.do(self._uncommitted)
        )
        return replace(fetched, uncommitted=uncommitted)

    def _fetch(self, revision: Revision, base: Fetched | None) -> Fetched:
        with self._lock:
            try:
                try:
                    fetched = self._attempt(revision, base)
                except GitFailed as failed:
                    if failed.kind is not Kind.LOCAL:
                        raise
                    self._mirror.throw_away()
                    self._known = {}
                    fetched = self._attempt(revision, base)
            except GitFailed as failed:
                raise failed.as_error(self.describe()) from None
            except OSError as wrong:
                raise self._no_room(wrong) from None
            self._mirror.tidy()
            return fetched

    def _no_room(self, wrong: OSError) -> Unreachable:
        why = f"{wrong.strerror or type(wrong).__name__}{f' ({wrong.filename})' if wrong.filename else ''}"
        return Unreachable(f"{self.describe()}: the state directory cannot be used: {why}")

    def _attempt(self, revision: Revision, base: Fetched | None) -> Fetched:
        commit = revision.commit
        self._mirror.obtain(commit, pinned=bool(refs.pinned(self._source.ref)))
        before = self._known.get(base.revision.commit) if base is not None else None
        listing = self._listed(revision, before)
        ids, refused = dict(listing.ids), dict(listing.unsayable)
        linked = self._links(commit, sorted(listing.links), ids, refused)
        said: list[blobs.Object] = []

        def read(paths: Sequence[str]) -> Mapping[str, tuple[int, bytes]]:
            plain = {path: ids.get(path) or listing.speakers[path] for path in paths if path not in linked}
            found = {answer.request: answer for answer in self._read(list(dict.fromkeys([commit, *plain.values()])))}
            said.append(found[commit])
            if any(found[identity].kind != "blob" for identity in plain.values()):
                raise GitFailed("cat-file", Kind.LOCAL, "a file of the tree is missing")
            out = {path: (found[identity].size, found[identity].data) for path, identity in plain.items()}
            return out | {path: linked[path] for path in paths if path in linked}

        made, fetched = snapshot.compose(
            revision,
            ids,
            listing.speakers,
            refused,
            before=before.snapshot if before is not None else None,
            base=base,
            limits=self._limits,
            read=read,
        )
        self._known = {} if before is None or base is None else {base.revision.commit: before}
        self._known[commit] = _Known(listing, made)
        author, subject = _said(said[0].data)
        return replace(fetched, author=author, subject=subject)

    def _listed(self, revision: Revision, before: _Known | None) -> _Listing:
        """What there is at `revision`: from the base's listing by difference, or all of it."""
        commit, repository, timeout = revision.commit, self._mirror.path, self._timeout_seconds
        if before is not None:
            try:
                changes = blobs.difference(
                    self._door,
                    repository,
                    before.snapshot.commit,
                    commit,
                    self._folder,
                    self._wanted,
                    timeout_seconds=timeout,
                )
            except GitFailed as failed:  # the base is no longer here: list everything
                if failed.kind is not Kind.LOCAL:
                    raise
            else:
                listing = before.listing.copy()
                for raw, entry in changes.items():
                    listing.put(raw, entry, self._selection)
                if listing.ids or listing.links:
                    return listing
        entries, exists = blobs.tree(
            self._door, repository, commit, self._folder, self._wanted, timeout_seconds=timeout
        )
        if self._folder and not exists:
            raise ConfigError(f'{self.describe()}: there is no folder "{self._folder}" at {revision}; check `folder`')
        listing = _Listing()
        for raw, found in entries.items():
            listing.put(raw, found, self._selection)
        return listing

    def _wanted(self, raw: bytes) -> bool:
        path = raw.decode("utf-8", "replace")
        return self._selection.wants(path) or self._selection.speaks(path)

    def _links(
        self, commit: str, links: Sequence[str], ids: dict[str, str], refused: dict[str, Problem]
    ) -> dict[str, tuple[int, bytes]]:
        """Follow the links inside the tree: their ids go into `ids`, what cannot be followed into `refused`.

        Each time anew: a link does not change when what it points to does.
        """
        prefix = f"{self._folder}/" if self._folder else ""
        found: dict[str, tuple[int, bytes]] = {}
        answers = self._read([f"{commit}:{prefix}{path}" for path in links[:_LINKS]])
        for path, answer in zip(links, answers, strict=False):
            if answer.kind == "blob":
                ids[path] = answer.id
                found[path] = (answer.size, answer.data)
            else:
                message = _LINK_FAULTS.get(answer.kind, "link that cannot be followed")
                refused[path] = Problem(Place(path), "V107", message, remedy="put the file itself there, or exclude it")
        for path in links[_LINKS:]:
            message = f"more than {_LINKS} links in one source"
            refused[path] = Problem(Place(path), "V107", message, remedy="put the files themselves there")
        return found

    def _read(self, requests: Sequence[str]) -> Sequence[blobs.Object]:
        return blobs.read(
            self._door,
            self._mirror.path,
            requests,
            limit_bytes=self._limits.file_bytes + 1,
            total_bytes=self._limits.source_bytes,
            timeout_seconds=self._timeout_seconds,
        )

    def _uncommitted(self) -> int:
        """How many candidates of the work tree differ from what is committed; 0 where there is no work tree."""
        if self._local is None or self._local.repository is None or self._local.bare:
            return 0
        where = [self._folder] if self._folder else []
        arguments = ["--porcelain=v1", "-z", "--no-renames", "--untracked-files=all", "--ignore-submodules=all", "--"]
        try:
            answer = self._door.run(
                "status", *arguments, *where, work_tree=self._local.repository, timeout_seconds=self._timeout_seconds
            )
        except GitFailed:
            return 0
        prefix = f"{self._folder}/" if self._folder else ""
        paths = (record[3:].decode("utf-8", "replace") for record in answer.split(b"\0") if len(record) > 3)
        return sum(1 for path in paths if path.startswith(prefix) and self._selection.wants(path[len(prefix) :]))

    async def hints(self) -> AsyncIterator[None]:
        """For a local repository: something was committed or checked out. A remote never hints."""
        watched = [path for path in self._local.watched if path.is_dir()] if self._local is not None else []
        if watched:
            changes = watchfiles.awatch(
                *watched, stop_event=self._closed, recursive=False, debounce=400, step=50, watch_filter=None
            )
            async for _ in changes:
                yield
        else:
            await self._closed.wait()

    async def close(self) -> None:
        """End the hints, and the git that runs."""
        self._closed.set()
        self._door.close()
        self._worker.close()


@dataclass(slots=True)
class _Listing:
    """The files of a commit by path. ids, speakers: as in `Snapshot`; unsayable: refused for their names."""

    ids: dict[str, str] = field(default_factory=dict)
    speakers: dict[str, str] = field(default_factory=dict)
    links: set[str] = field(default_factory=set)
    unsayable: dict[str, Problem] = field(default_factory=dict)

    def copy(self) -> _Listing:
        return _Listing(dict(self.ids), dict(self.speakers), set(self.links), dict(self.unsayable))

    def put(self, raw: bytes, entry: blobs.Entry | None, selection: tree.Selection) -> None:
        """Note a file that is there, or (None) no longer."""
        path = snapshot.sayable(raw)
        if path is None:
            shown = "".join(c if c.isprintable() else "?" for c in raw[:200].decode("utf-8", "replace"))
            self.unsayable.pop(shown, None)
            if entry is not None:
                message = "name that is not UTF-8 or holds control characters"
                self.unsayable[shown] = Problem(Place(shown), "V115", message, remedy="rename the file")
            return
        self.ids.pop(path, None)
        self.speakers.pop(path, None)
        self.links.discard(path)
        if entry is None:
            return
        if entry.mode == blobs.LINK:
            if selection.wants(path):
                self.links.add(path)
            return
        if selection.wants(path):
            self.ids[path] = entry.id
        if selection.speaks(path):
            self.speakers[path] = entry.id


@dataclass(frozen=True, slots=True)
class _Known:
    """A commit that was listed."""

    listing: _Listing
    snapshot: Snapshot


_LINK_FAULTS: Final = {
    "symlink": "link that leads out of the repository",
    "dangling": "link to nothing",
    "missing": "link to nothing",
    "loop": "link that leads in a circle",
    "notdir": "link through a file as if it were a folder",
    "tree": "link to a folder, which is not followed",
    "commit": "link into a submodule, which is not followed",
}


def _revision(resolved: refs.Resolved) -> Revision:
    return Revision(resolved.shown, resolved.commit, "sha256" if len(resolved.commit) == 64 else "sha1")


def _said(commit: bytes) -> tuple[str, str]:
    """Author and first line of a commit object, as people may read them."""
    head, _, message = commit[:100_000].decode("utf-8", "replace").partition("\n\n")
    author = next((line.removeprefix("author ") for line in head.split("\n") if line.startswith("author ")), "")
    name = author.rpartition(" <")[0] or author.partition(" <")[0]
    subject = message.lstrip("\n").split("\n", 1)[0]
    return _plain(name), _plain(subject)


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text[:200]).strip()
