"""A source as people write it on a command line: `PATH-OR-URL#REF:FOLDER` in, the configuration's value out.

The form of `docker build`: `git@github.com:team/jobs.git#main:ci`, `.#dev`, `/srv/jobs#:ci`. Pure; the command line calls it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from typing import Final

from syncd.base.errors import ConfigError
from syncd.config import urls
from syncd.config.model import Ref, Source

_SCP: Final = re.compile(r"[A-Za-z0-9._-]+@[^/:]+:|[A-Za-z0-9][A-Za-z0-9.-]*\.[A-Za-z0-9-]+:")


def parse(
    text: str,
    *,
    directory: str,
    is_path: Callable[[str], bool],
    name: str = "",
    ref: str = "",
    folder: str = "",
    worktree: bool = False,
) -> Source:
    """The source that `text` names. Raises ConfigError.

    directory: what a relative path is relative to; is_path: whether a name is there on disk (a path may hold `#`);
    ref, folder: given apart (`--ref`, `--path`), for a text that says nothing of them; a folder given so names the source.

    >>> s = parse("git@example.org:team/jobs.git#main:ci", directory="/", is_path=lambda _: False)
    >>> s.name, s.url, s.ref.text, s.folder
    ('jobs', 'ssh://git@example.org/team/jobs.git', 'main', 'ci')
    >>> parse("jobs#:ci/nightly", directory="/srv", is_path=lambda _: False).path
    '/srv/jobs'
    """
    if not text or "\0" in text or "\n" in text:
        raise ConfigError("a source is written PATH-OR-URL#REF:FOLDER")
    place, fragment = (text, "") if "#" not in text or is_path(text) else text.split("#", 1)
    written_ref, _, written_folder = fragment.partition(":")
    if written_ref and ref and written_ref != ref:
        raise ConfigError(f'two refs for one source: "{written_ref}" behind #, and "{ref}"; give one')
    if written_folder and folder and written_folder != folder:
        raise ConfigError(f'two folders for one source: "{written_folder}" behind #, and "{folder}"; give one')
    inside = _folder(written_folder or folder)
    chosen = Ref(text=written_ref or ref)
    if "://" in place or "::" in place or (_SCP.match(place) and not is_path(place)):
        try:
            url = urls.normalise(place, allow_file=True)
        except ValueError as wrong:
            raise ConfigError(f"source: {wrong}") from None
        if worktree:
            raise ConfigError("--worktree needs a local path: only there are files that are not committed")
        return Source(name=name or urls.name_of(folder or place), url=url, ref=chosen, folder=inside)
    path = posixpath.normpath(posixpath.join(directory, place or "."))
    return Source(name=name or urls.name_of(folder or path), path=path, ref=chosen, folder=inside, worktree=worktree)


def _folder(text: str) -> str:
    folder = posixpath.normpath(text.strip("/")) if text.strip("/") else ""
    if folder == ".." or folder.startswith("../"):
        raise ConfigError(f'folder "{text}" leads out of the repository')
    return "" if folder == "." else folder
