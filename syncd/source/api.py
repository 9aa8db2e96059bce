"""The contract of a source. Implemented by `source.git` and `source.directory`; driven by `loops.sync`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from syncd.base.problems import Problem


@dataclass(frozen=True, slots=True)
class Revision:
    """What a source stands at. commit: 40 (or 64) hex digits; for a directory the hash over its files.

    >>> str(Revision("main", "3f2c" + 36 * "0"))
    'main@sha1:3f2c000000000000000000000000000000000000'
    """

    ref: str
    commit: str
    algorithm: str = "sha1"

    def __str__(self) -> str:
        return f"{self.ref}@{self.algorithm}:{self.commit}"


@dataclass(frozen=True, slots=True)
class Fetched:
    """The files of one revision that are candidates for manifests, as a difference to an earlier one.

    files: path (posix, relative to the source's folder) → id of its content, all of them;
    changed: path → content, for files new or different since `base` (all of them where there was no base);
    removed: paths that `base` had; problems: files that were refused (too large, a link that leads out);
    uncommitted: for a work tree, how many candidate files differ from the commit served;
    ignored: path → why, for files that look like manifests and are known from the tree not to be ours (below a
    Chart.yaml, a kustomization's patch): they are not in `files`, and move to `removed` or `changed` as that changes.
    """

    revision: Revision
    files: Mapping[str, str]
    changed: Mapping[str, bytes]
    removed: frozenset[str] = frozenset()
    problems: tuple[Problem, ...] = ()
    uncommitted: int = 0
    author: str = ""
    subject: str = ""
    ignored: Mapping[str, str] = field(default_factory=dict)
    extras: Mapping[str, str] = field(default_factory=dict)


class Source(Protocol):
    """One place that manifests come from. Errors: Unreachable (retry), Refused (credentials), ConfigError (ref or path
    that does not exist: a person must act). None of them changes what is in force."""

    name: str

    async def poll(self) -> Revision:
        """What the remote stands at now: the cheapest question that can tell."""

    async def fetch(self, revision: Revision, base: Fetched | None) -> Fetched:
        """The files of `revision`; reads only the content that differs from `base`."""

    def hints(self) -> AsyncIterator[None]:
        """Yields when something may have changed (a saved file), so that the loop polls at once. May never yield."""

    def describe(self) -> str:
        """For people and logs: no user info, no secret."""

    async def close(self) -> None:
        """Stop watching; leave no process behind."""
