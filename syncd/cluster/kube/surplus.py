"""What a live object has besides what was applied: the fields that server-side apply leaves alone, since others put them there.

Apply takes away only what it once set itself. A field that somebody adds by hand beside ours would stay for ever, as drift that
no apply ends; so it is taken away by a merge patch. What nobody else owns stays: the server has filled it in, or made it of what we
sent. Pure; used by `objects`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from syncd.argo.manifest import Body, Path
from syncd.plan import normalise, owners

DEPTH_LIMIT = 60


def patch(kind: str, applied: Mapping[str, Any], live: Mapping[str, Any]) -> Body | None:
    """The merge patch that takes away what only `live` has, outside of metadata and status; None = there is nothing.

    Where the body tells of no owners, everything that is more is somebody's, but for known defaults (`plan.normalise`).

    >>> patch("WorkflowTemplate", {"spec": {"a": 1}}, {"metadata": {"x": 1}, "spec": {"a": 1, "b": {"c": 2}}})
    {'spec': {'b': None}}
    """
    managed = owners.is_managed(live)

    def is_theirs(path: Path) -> bool:
        if not managed:
            return True
        return any(not (owner.is_ours and owner.declares) for owner in owners.of(live, path, applied))

    found: Body = {}
    for field, value in live.items():
        if field in normalise.NOT_COMPARED:
            continue
        extra = _extra(kind, (field,), applied.get(field), value, is_theirs)
        if extra is not _NOTHING:
            found[field] = extra
    return found or None


_NOTHING = object()


_IsTheirs = Callable[[Path], bool]
"""Whether somebody else than our own apply owns what is at a path."""


def _extra(kind: str, path: Path, wanted: Any, live: Any, is_theirs: _IsTheirs) -> Any:
    """What to patch at `path`: None = remove it, `_NOTHING` = leave it."""
    if wanted is None:
        stays = live is None or normalise.is_defaulted(kind, path, live) or not is_theirs(path)
        return _NOTHING if stays else None
    if isinstance(wanted, list) and isinstance(live, list):
        return _whole(kind, path, wanted, live, is_theirs)
    if not isinstance(wanted, Mapping) or not isinstance(live, Mapping) or len(path) >= DEPTH_LIMIT:
        return _NOTHING
    found: Body = {}
    for field, value in live.items():
        extra = _extra(kind, (*path, field), wanted.get(field), value, is_theirs)
        if extra is not _NOTHING:
            found[field] = extra
    return found or _NOTHING


def _whole(kind: str, path: Path, wanted: list[Any], live: list[Any], is_theirs: _IsTheirs) -> Any:
    """Most lists are replaced whole by an apply. Those with keys (env, ports, containers) are merged, and keep what others added:
    a merge patch replaces them, too."""
    if len(path) >= DEPTH_LIMIT:
        return _NOTHING
    if len(wanted) != len(live):
        return wanted if is_theirs(path) else _NOTHING
    pairs = enumerate(zip(wanted, live, strict=True))
    more = any(_extra(kind, (*path, place), ours, theirs, is_theirs) is not _NOTHING for place, (ours, theirs) in pairs)
    return wanted if more else _NOTHING
