"""The table of artifact drivers: which key of Argo's artifact object is served by what."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from syncd.artifacts import api, git, http, local, raw, s3
from syncd.base.errors import Invalid, Unsupported

KINDS: Final = ("local", "s3", "raw", "http", "git")
"""In the order in which they are looked for."""

UNSUPPORTED: Final = ("gcs", "azure", "oss", "hdfs", "artifactory", "plugin")

KEYED: Final = frozenset({"local", "s3"})
"""Kinds whose location is a key within a repository."""


def table(root: Path) -> dict[str, api.Driver]:
    """Kind → driver. root: the directory of the local repository."""
    return {
        "local": local.Local(root),
        "s3": s3.S3(),
        "raw": raw.Raw(),
        "http": http.Http(),
        "git": git.Git(),
    }


def kind_of(artifact: Mapping[str, Any]) -> str | None:
    """The kind of an artifact's location; None = it names none. Raises Unsupported, Invalid for two."""
    for name in UNSUPPORTED:
        if artifact.get(name) is not None:
            raise Unsupported(
                f"artifact {artifact.get('name', '')!r}: {name} is not supported in embedded mode; "
                "use s3 (most stores speak it), http, git or raw"
            )
    found = [name for name in KINDS if artifact.get(name) is not None]
    if len(found) > 1:
        raise Invalid(f"artifact {artifact.get('name', '')!r} has {len(found)} locations: {', '.join(found)}; keep one")
    return found[0] if found else None
