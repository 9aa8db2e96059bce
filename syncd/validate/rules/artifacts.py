"""Artifacts: their paths, locations and modes.

Source: Argo v4.1.2 workflow_types.go Artifact.CleanPath, workflow/artifacts/hdfs ValidateArtifact, CRD rules.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from syncd.argo.manifest import Body, Path
from syncd.validate import raw
from syncd.validate.template import LOCATIONS, Template

if TYPE_CHECKING:
    from syncd.validate.findings import Say


def path_fault(artifact: Body) -> str:
    """What is wrong with the path of a leaf's artifact; "" = nothing. A path must not climb out by `..`."""
    name, path = raw.text(artifact.get("name")), raw.text(artifact.get("path"))
    if not path:
        return f"Artifact '{name}' did not specify a path"
    safe, dots, _ = path.partition("/../")
    if not dots:
        safe = path[:-3] if path.endswith("/..") else ""
    if not safe:
        return ""
    cleaned = posixpath.normpath(path)
    if not cleaned.startswith(f"{safe}/") or len(cleaned) <= len(safe) + 1:
        return f"Artifact '{name}' attempted to use a path containing '..'. Directory traversal is not permitted"
    return ""


def check(template: Template, say: Say) -> None:
    """archiveLocation, and what every artifact of the template has beside its path."""
    body, path = template.body, template.path
    if type(location := body.get("archiveLocation")) is dict:
        check_location(location, f"templates.{template.name}.archiveLocation", (*path, "archiveLocation"), say)
    for side in ("inputs", "outputs"):
        for index, artifact in raw.mappings(raw.mapping(body.get(side)).get("artifacts")):
            where = (*path, side, "artifacts", index)
            prefix = f"templates.{template.name}.{side}.artifacts.{raw.text(artifact.get('name'))}"
            mode = artifact.get("mode")
            if type(mode) is int and not 0 <= mode <= 0o777:
                message = f"{prefix}.mode {mode} is not between 0 and 511"
                say("V270", (*where, "mode"), message, "write it in octal with a leading 0 (mode: 0755)")
            if side == "outputs":
                many_locations(artifact, prefix, where, say)
    for call in template.calls:
        for index, artifact in raw.mappings(call.arguments.body.get("artifacts")):
            where = (*call.arguments.path, "artifacts", index)
            many_locations(artifact, f"templates.{template.name}.{call.name}.arguments", where, say)


def check_location(body: Body, prefix: str, path: Path, say: Say) -> None:
    """What git and HDFS want, and that there is one location."""
    git = body.get("git")
    if type(git) is dict and not raw.text(git.get("repo")):
        say("V268", (*path, "git"), f"{prefix}.git.repo is required")
    hdfs = body.get("hdfs")
    if type(hdfs) is dict and (words := _hdfs_fault(hdfs, f"{prefix}.hdfs")):
        say("V268", (*path, "hdfs"), words)
    many_locations(body, prefix, path, say)


def many_locations(body: Body, prefix: str, path: Path, say: Say) -> None:
    """More than one place for an artifact."""
    given = [kind for kind in LOCATIONS if body.get(kind) is not None]
    if len(given) > 1:
        say(
            "V269",
            (*path, given[1]),
            f"{prefix}: at most one artifact location can be specified",
            f"given: {', '.join(given)}",
        )


def _hdfs_fault(body: Body, prefix: str) -> str:
    has_cache, has_keytab = body.get("krbCCacheSecret") is not None, body.get("krbKeytabSecret") is not None
    path = raw.text(body.get("path"))
    principal = raw.text(body.get("krbServicePrincipalName")) and body.get("krbConfigConfigMap") is not None
    if not raw.items(body.get("addresses")):
        return f"{prefix}.addresses is required"
    if not path:
        return f"{prefix}.path is required"
    if not path.startswith("/"):
        return f"{prefix}.path must be a absolute file path"
    if not raw.text(body.get("hdfsUser")) and not has_cache and not has_keytab:
        return f"either {prefix}.hdfsUser, {prefix}.krbCCacheSecret or {prefix}.krbKeytabSecret is required"
    if has_keytab and not (principal and raw.text(body.get("krbUsername")) and raw.text(body.get("krbRealm"))):
        return (
            f"{prefix}.krbServicePrincipalName, {prefix}.krbConfigConfigMap, {prefix}.krbUsername and"
            f" {prefix}.krbRealm are required with {prefix}.krbKeytabSecret"
        )
    if has_cache and not principal:
        return f"{prefix}.krbServicePrincipalName and {prefix}.krbConfigConfigMap are required with {prefix}.krbCCacheSecret"
    return ""
