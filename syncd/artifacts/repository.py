"""Which repository an artifact belongs to, and what its key is: Argo's rules, without I/O.

In: the configuration's `artifactRepository`, or one of a ConfigMap, and an artifact as its template has it.
Out: a complete location. Called by `store`.
Source: Argo v4.1.2 pkg/apis/workflow/v1alpha1/artifact_repository_types.go ToArtifactLocation,
workflow/executor/executor.go saveArtifactFromFile.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from syncd.artifacts import drivers
from syncd.base.errors import Invalid, Unsupported

DEFAULT_KEY_FORMAT: Final = "{{workflow.name}}/{{pod.name}}"
LOCAL_KEY_FORMAT: Final = "{{workflow.namespace}}/{{workflow.name}}/{{pod.name}}"
"""In the directory of ours runs are deleted by their folder: two namespaces may have runs of one name."""

_TAG: Final = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
_STRFTIME: Final = "YmdHMSjyBbAapIfUuVGvwCDeFgklnRrTtWxXZzch"


@dataclass(frozen=True, slots=True)
class Repository:
    """Where artifacts without a location of their own go. kind: `local` or `s3`; base: the location without its key."""

    kind: str = "local"
    base: Mapping[str, Any] = field(default_factory=dict)
    key_format: str = DEFAULT_KEY_FORMAT
    archive_logs: bool = False


def repository(config: Mapping[str, Any] | None) -> Repository:
    """The repository that Argo's `artifactRepository` object describes; empty or None = the local directory.

    Raises Unsupported for a kind that has no driver here, Invalid for what is no repository.
    """
    config = config or {}
    archive_logs = bool(config.get("archiveLogs"))
    kind = drivers.kind_of(config)
    if kind is None or kind == "local":
        base = dict(config.get("local") or {})
        key_format = str(base.pop("keyFormat", "") or LOCAL_KEY_FORMAT)
        return Repository("local", {}, key_format, archive_logs)
    if kind != "s3":
        raise Unsupported(
            f"an artifact repository of kind {kind} is not supported; use s3, or none for the local directory"
        )
    base = dict(config["s3"])
    key_format = str(base.pop("keyFormat", "") or "")
    prefix = str(base.pop("keyPrefix", "") or "").strip("/")
    if not key_format:
        key_format = f"{prefix}/{DEFAULT_KEY_FORMAT}" if prefix else DEFAULT_KEY_FORMAT
    if not base.get("bucket"):
        raise Invalid("artifactRepository.s3 has no bucket")
    return Repository("s3", base, key_format, archive_logs)


def for_template(own: Repository, template: Mapping[str, Any]) -> Repository:
    """The repository with the template's `archiveLocation` laid over it."""
    location = template.get("archiveLocation")
    if not location:
        return own
    archive_logs = bool(location.get("archiveLogs", own.archive_logs))
    kind = drivers.kind_of(location)
    if kind is None:
        return Repository(own.kind, own.base, own.key_format, archive_logs)
    if kind not in drivers.KEYED:
        raise Unsupported(f"archiveLocation of kind {kind} is not supported; use s3")
    inner = dict(location[kind])
    key = str(inner.pop("key", "") or own.key_format)
    if kind == "s3" and not inner.get("bucket"):
        return Repository(own.kind, own.base, key, archive_logs)
    return Repository(kind, inner, key, archive_logs)


def locate(artifact: Mapping[str, Any], own: Repository) -> tuple[str, dict[str, Any]] | None:
    """(kind, complete location) of an artifact that says where it is; None = it does not.

    A key without a bucket is a key of the run's repository, whatever kind that is.
    """
    kind = drivers.kind_of(artifact)
    if kind is None:
        return None
    location = dict(artifact[kind])
    if kind == "http" and not location.get("url"):
        return None
    if kind == "raw":
        return kind, location
    if kind in drivers.KEYED:
        if not location.get("key"):
            return None
        if kind == "s3" and not location.get("bucket"):
            return own.kind, {**own.base, **location}
    return kind, location


def new_key(own: Repository, variables: Mapping[str, str], started_at: datetime, file_name: str) -> str:
    """The key of a new artifact: the repository's format with its tags replaced, then the file's name.

    Raises Invalid for a tag that has no value here.
    """
    unknown: list[str] = []

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name in variables:
            return variables[name]
        if name.startswith("workflow.creationTimestamp"):
            text = _moment(name.removeprefix("workflow.creationTimestamp"), started_at)
            if text is not None:
                return text
        unknown.append(name)
        return ""

    key = _TAG.sub(value, own.key_format)
    if unknown:
        raise Invalid(
            f"key format {own.key_format!r} of the artifact repository has unknown variables {', '.join(unknown)}; "
            f"known: {', '.join(sorted(variables))}"
        )
    return "/".join(part for part in f"{key}/{file_name}".split("/") if part)


def _moment(form: str, moment: datetime) -> str | None:
    if form in ("", ".RFC3339"):
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    if form == ".s":
        return str(int(moment.timestamp()))
    if len(form) == 2 and form[0] == "." and form[1] in _STRFTIME:
        return moment.strftime(f"%{form[1]}")
    return None
