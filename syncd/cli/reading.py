"""Files, directories and git repositories that are named on the command line, read and judged, without a daemon.

Comes in: words as for `syncd lint`. Goes out: all problems in order of their places. Called by `commands.lint`, `plan`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import posixpath
import sys
import tempfile
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from syncd.base.errors import ConfigError
from syncd.base.problems import Place, Problem
from syncd.cli import reach
from syncd.config import model
from syncd.source import decode, opening, written
from syncd.source.api import Fetched
from syncd.validate.profile import Profile
from syncd.validate.workspace import Workspace


@dataclass(slots=True)
class Found:
    """What was read. problems: in order of their places; ignored: (place, why) of what is none of ours."""

    problems: list[Problem] = field(default_factory=list)
    files: int = 0
    manifests: int = 0
    ignored: list[tuple[str, str]] = field(default_factory=list)


def problems(args: Namespace, *, ignore_missing: bool = False, strict: bool = True) -> Found:
    """Everything that is wrong with what `args.file` names. Raises ConfigError, and what a remote raises."""
    contents: dict[str, bytes] = {}
    refused: list[Problem] = []
    for word in args.file:
        if word == "-":
            contents["stdin"] = sys.stdin.buffer.read(64 << 20)
            continue
        path = Path(word).expanduser()
        if path.is_file():
            contents[word] = reach.read_file(path)
            continue
        source = written.parse(word, directory=str(Path.cwd()), is_path=lambda name: Path(name).expanduser().exists())
        if path.is_dir():
            source, prefix = model.Source(name="lint", path=str(path), worktree=True), word
        elif source.path and not Path(source.path).exists():
            raise ConfigError(f"there is no {word}; name files, directories, or a git repository by its URL")
        else:
            prefix = source.folder
        fetched = asyncio.run(_fetched(source))
        contents |= {_joined(prefix, name): data for name, data in fetched.changed.items()}
        refused += [dataclasses.replace(p, place=_moved(p.place, prefix)) for p in fetched.problems]
    return judged(contents, refused, reach.namespace(args), Profile(strict=strict, ignore_missing=ignore_missing))


def judged(contents: Mapping[str, bytes], refused: list[Problem], namespace: str, profile: Profile) -> Found:
    """The problems of these files together. refused: what was found wrong before they were read."""
    options = decode.Options(namespace=namespace, secrets=True)
    workspace = Workspace(profile)
    decoded = {file: decode.decode(file, data, options) for file, data in contents.items()}
    workspace.update(
        {file: found.manifests for file, found in decoded.items()},
        decode_problems={file: found.problems for file, found in decoded.items()},
    )
    return Found(
        sorted([*workspace.problems(), *refused]),
        len(contents),
        sum(len(found.manifests) for found in decoded.values()),
        sorted(entry for found in decoded.values() for entry in found.ignored),
    )


async def _fetched(source: model.Source) -> Fetched:
    """The files of a directory as they are, or of a repository at its revision."""
    with tempfile.TemporaryDirectory(prefix="syncd-lint-") as state:
        opened = opening.opened(source, state, model.Limits())
        try:
            return await opened.fetch(await opened.poll(), None)
        finally:
            await opened.close()


def _joined(prefix: str, name: str) -> str:
    return posixpath.normpath(posixpath.join(prefix, name)) if prefix not in ("", ".") else name


def _moved(place: Place, prefix: str) -> Place:
    return Place(_joined(prefix, place.file), place.line, place.column)
