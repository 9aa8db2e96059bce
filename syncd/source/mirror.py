"""A bare repository of ours that holds what was fetched from one remote: made, filled, repaired. `source.git` calls it.

It is a cache and nothing else: whatever is wrong with it (a lock left by a crash, a file half gone, another remote's
objects) is mended by throwing it away and fetching again; what is in force lives elsewhere and does not notice.
Blocking; one caller at a time.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Final

from syncd.base.errors import ConfigError, Unreachable
from syncd.vcs.door import Door
from syncd.vcs.verdicts import GitFailed, Kind

_HEAD: Final = "refs/syncd/head"
_TIDY_AFTER: Final = 200


class Mirror:
    """One remote's objects below `home`. url: as git takes it; described: for messages, without user info."""

    def __init__(self, home: Path, door: Door, url: str, described: str, timeout_seconds: float) -> None:
        self.path = home / (hashlib.sha256(url.encode()).hexdigest()[:16] + ".git")
        self._home = home
        self._door = door
        self._url = url
        self._described = described
        self._timeout_seconds = timeout_seconds
        self._present: set[str] = set()
        self._depth: tuple[str, ...] = ("--depth=1",)
        self._opened = False
        self._fetches = 0

    def obtain(self, commit: str, *, pinned: bool) -> None:
        """Make sure that the commit and its whole tree are here. pinned: a person wrote the commit down.

        Raises GitFailed (kind local: throw the mirror away and call again), Unreachable where the remote has moved on,
        ConfigError where a pinned commit is nowhere.
        """
        self._open(commit)
        if commit in self._present:
            return
        self._unlock()
        try:
            self._fetch(f"+{commit}:{_HEAD}")
        except GitFailed as failed:
            if failed.kind is Kind.NOT_SHALLOW:
                self._depth = ()
                self._fetch(f"+{commit}:{_HEAD}")
            elif failed.kind is Kind.MOVED and pinned:
                self._search(commit)
            elif failed.kind is Kind.MOVED:
                raise Unreachable(f"{self._described}: moved while it was fetched; it is asked again") from None
            else:
                raise
        self._present.add(commit)
        (self.path / "syncd-commit").write_text(commit)
        self._fetches += 1

    def tidy(self) -> None:
        """Drop what earlier fetches left behind, once in a while. Never raises for git's sake."""
        if self._fetches < _TIDY_AFTER:
            return
        self._fetches = 0
        try:
            self._door.run(
                "gc", "--quiet", "--prune=now", repository=self.path, timeout_seconds=max(self._timeout_seconds, 300)
            )
        except GitFailed:
            self.throw_away()
        else:
            self._present = {(self.path / "syncd-commit").read_text()}

    def throw_away(self) -> None:
        """Forget everything; the next `obtain` starts anew."""
        self._present.clear()
        self._opened = False
        _remove(self.path)

    def _fetch(self, refspec: str, *more: str) -> None:
        arguments = [
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-auto-maintenance",
            "--no-recurse-submodules",
        ]
        arguments += [*self._depth, "--force", "--end-of-options", self._url, refspec, *more]
        self._door.run("fetch", *arguments, repository=self.path, timeout_seconds=self._timeout_seconds)

    def _search(self, commit: str) -> None:
        """The long way to a commit that the remote does not hand out by itself: everything that it does hand out."""
        depth, self._depth = self._depth, ()
        try:
            self._fetch("+refs/heads/*:refs/syncd/heads/*", "+refs/tags/*:refs/syncd/tags/*")
            self._door.run(
                "cat-file", "-e", f"{commit}^{{commit}}", repository=self.path, timeout_seconds=self._timeout_seconds
            )
        except GitFailed as failed:
            if failed.subcommand == "cat-file":
                message = f"{self._described}: commit {commit} is in none of the remote's branches and tags"
                raise ConfigError(f"{message}; check `ref`") from None
            raise
        finally:
            self._depth = depth

    def _open(self, commit: str) -> None:
        if self._opened and (self.path / "HEAD").exists():
            return
        self._home.mkdir(parents=True, exist_ok=True, mode=0o700)
        for other in self._home.glob("*.git"):
            if other != self.path:
                _remove(other)
        self._present.clear()
        if (self.path / "HEAD").exists() and (self.path / "objects").is_dir() and self._format() == len(commit):
            self._unlock()
            try:
                self._present.add((self.path / "syncd-commit").read_text().strip())
            except (OSError, UnicodeDecodeError):
                self.throw_away()
                self._make(commit)
        else:
            _remove(self.path)
            self._make(commit)
        self._opened = True

    def _make(self, commit: str) -> None:
        """What `git init --bare` makes, as far as git needs it, without templates and without a process."""
        for folder in ("objects/info", "objects/pack", "refs/heads"):
            (self.path / folder).mkdir(parents=True, exist_ok=True)
        extensions = "[extensions]\n\tobjectFormat = sha256\n" if len(commit) == 64 else ""
        config = f"[core]\n\trepositoryformatversion = {1 if extensions else 0}\n\tbare = true\n{extensions}"
        (self.path / "config").write_text(config)
        (self.path / "HEAD").write_text("ref: refs/heads/none\n")

    def _format(self) -> int:
        """Length of this repository's object names; 0 where its configuration cannot be read."""
        try:
            return 64 if "sha256" in (self.path / "config").read_text() else 40
        except (OSError, UnicodeDecodeError):
            return 0

    def _unlock(self) -> None:
        """Locks and half packs that a crash left. Nobody else works here, so none of them is anybody's."""
        for pattern in (
            "*.lock",
            "refs/syncd/**/*.lock",
            "objects/pack/tmp_*",
            "objects/pack/*.lock",
            "objects/info/*.lock",
        ):
            for left in self.path.glob(pattern):
                left.unlink(missing_ok=True)


def _remove(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)
    if path.is_symlink() or path.is_file():
        path.unlink(missing_ok=True)
