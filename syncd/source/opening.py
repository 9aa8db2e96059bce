"""Which implementation serves a configured source. Called by `app`, where sources are constructed."""

from __future__ import annotations

from pathlib import Path

from syncd.config import model
from syncd.source import local
from syncd.source.api import Source
from syncd.source.directory import DirectorySource
from syncd.source.git import GitSource


def opened(source: model.Source, state: str | Path, limits: model.Limits, *, ssh: str = "ssh") -> Source:
    """The source, ready to be polled; nothing is read or fetched yet.

    A url is git. A path is git where it lies in a work tree or is a bare repository, unless `worktree` asks for the
    files as they are; else a plain directory. state: the state directory; mirrors lie below `<state>/git/<name>`.
    """
    if source.url or (not source.worktree and local.look(source.path).repository is not None):
        return GitSource(source, Path(state) / "git" / source.name, limits, ssh=ssh)
    return DirectorySource(source, limits)
