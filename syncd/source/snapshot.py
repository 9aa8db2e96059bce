"""Which files of a revision are candidates, which of them changed, which are refused. Ids and a reader in, `Fetched` out.

What `source.git` and `source.directory` have in common: both know path → id of content, and read content by path.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from syncd.base import yamltext
from syncd.base.errors import ConfigError
from syncd.base.problems import Place, Problem
from syncd.config.model import Limits
from syncd.source import decode, tree
from syncd.source.api import Fetched, Revision

Reader = Callable[[Sequence[str]], Mapping[str, tuple[int, bytes]]]
"""paths → (whole size, content up to the limit of a file)."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A revision's files as far as the next difference needs them.

    ids: path → id, of the files that the selection wants; speakers: path → id, of charts and kustomizations, wanted or
    not; refused: path → Problem (a link that leads out, too large); ignored: path → why, of files read and found too
    large to be ours; patched: kustomization → its patches.
    """

    commit: str
    ids: dict[str, str]
    speakers: dict[str, str]
    refused: dict[str, Problem] = field(default_factory=dict)
    ignored: dict[str, str] = field(default_factory=dict)
    patched: dict[str, frozenset[str]] = field(default_factory=dict)


def yaml_limits(limits: Limits) -> yamltext.Limits:
    """The part of the configured limits that concerns one file."""
    return yamltext.Limits(limits.file_bytes, limits.documents, limits.nodes, limits.depth)


def sayable(path: bytes) -> str | None:
    """A path as text; None where it is not UTF-8 or holds control characters."""
    try:
        text = path.decode()
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() and len(text) < 4096 else None


def compose(
    revision: Revision,
    ids: dict[str, str],
    speakers: dict[str, str],
    refused: Mapping[str, Problem],
    *,
    before: Snapshot | None,
    base: Fetched | None,
    limits: Limits,
    read: Reader,
) -> tuple[Snapshot, Fetched]:
    """What stands at `revision`, and its difference to `base`. before: the snapshot made for `base`, if it is still known.

    Reads each file at most once, all in one call of `read`. Raises ConfigError for more files than the limit.
    """
    if len(ids) > limits.files:
        raise ConfigError(
            f"source has {len(ids)} candidate files, the limit is {limits.files}; "
            "narrow it by folder, include or exclude, or raise limits.files"
        )
    snapshot = Snapshot(revision.commit, ids, speakers, dict(refused))
    known = base.files if base is not None else {}
    patched = snapshot.patched
    if before is not None:
        for path, names in before.patched.items():
            if speakers.get(path) == before.speakers.get(path):
                patched[path] = names
        for path, reason in before.ignored.items():
            if ids.get(path) == before.ids.get(path):
                snapshot.ignored[path] = reason
        for path, problem in before.refused.items():
            if path not in snapshot.refused and path in ids and ids[path] == before.ids.get(path):
                snapshot.refused[path] = problem
    unread = [path for path in speakers if posixpath.basename(path) in tree.KUSTOMIZATIONS and path not in patched]
    ruled = tree.ruled_out([*ids, *speakers], patched) if speakers else {}
    needed = [
        path
        for path, identity in ids.items()
        if known.get(path) != identity and path not in ruled and path not in snapshot.ignored
    ]
    contents = read(list(dict.fromkeys([*unread, *needed])))
    for path in unread:
        size, data = contents.get(path, (0, b""))
        patched[path] = tree.patches(path, data, yaml_limits(limits)) if size <= limits.file_bytes else frozenset()
    if unread:
        ruled = tree.ruled_out([*ids, *speakers], patched)
    changed: dict[str, bytes] = {}
    for path in needed:
        if path in ruled or path not in contents:
            continue
        size, data = contents[path]
        if size <= limits.file_bytes:
            changed[path] = data
        elif decode.could_be_ours(data):
            message = f"file has {size} bytes, the limit is {limits.file_bytes}"
            snapshot.refused[path] = Problem(
                Place(path), "V103", message, remedy="split the file, or raise limits.fileBytes"
            )
        else:
            snapshot.ignored[path] = f"too large ({size} bytes) and not ours by its looks"
    out = ruled.keys() | snapshot.ignored.keys()
    files = {path: identity for path, identity in ids.items() if path not in out} if out else dict(ids)
    fetched = Fetched(
        revision,
        files,
        changed,
        removed=frozenset(known.keys() - files.keys()),
        problems=tuple(problem for path, problem in sorted(snapshot.refused.items()) if path not in ruled),
        ignored={**{path: reason for path, reason in ruled.items() if path in ids}, **snapshot.ignored},
    )
    return snapshot, fetched
