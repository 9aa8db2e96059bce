"""Downloads of artifacts, by run and node, under Argo's several paths.

Comes in: requests whose caller is known. Goes out: bytes as they come from `Bytes`, never shown by a browser:
an artifact is somebody else's HTML (stored XSS, GO-2026-4350), so it is an attachment in an empty sandbox.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from aiohttp import web

from syncd.argo import labels
from syncd.argo.manifest import Body, Key
from syncd.base.errors import Invalid, NotFound
from syncd.server import listing, stream, wire

_DIRECTIONS: Final = ("outputs", "inputs")


async def output(request: web.Request) -> web.StreamResponse:
    """GET /artifacts/{namespace}/{name}/{nodeId}/{artifactName}."""
    return await _send(request, "outputs", _by_name(request, "name"))


async def input_(request: web.Request) -> web.StreamResponse:
    """GET /input-artifacts/{namespace}/{name}/{nodeId}/{artifactName}."""
    return await _send(request, "inputs", _by_name(request, "name"))


async def output_by_uid(request: web.Request) -> web.StreamResponse:
    """GET /artifacts-by-uid/{uid}/{nodeId}/{artifactName}."""
    return await _send(request, "outputs", _by_uid(request, "uid"))


async def input_by_uid(request: web.Request) -> web.StreamResponse:
    """GET /input-artifacts-by-uid/{uid}/{nodeId}/{artifactName}."""
    return await _send(request, "inputs", _by_uid(request, "uid"))


async def file(request: web.Request) -> web.StreamResponse:
    """GET /artifact-files/{namespace}/{workflows|archived-workflows}/{id}/{nodeId}/{outputs|inputs}/{artifactName}."""
    direction = request.match_info["direction"]
    if direction not in _DIRECTIONS:
        raise Invalid(f"an artifact is one of {' or '.join(_DIRECTIONS)}, not {direction[:40]!r}")
    where = request.match_info["where"]
    if where not in _FOUND_BY:
        raise Invalid(f"the path must say {' or '.join(_FOUND_BY)}, not {where[:40]!r}")
    return await _send(request, direction, _FOUND_BY[where](request, "id"))


async def _by_name(request: web.Request, part: str) -> Body:
    store = wire.services(request).store
    key = Key(labels.WORKFLOW, wire.namespace(request), wire.name(request, part))
    return await store.get(await listing.resolve(store, key))


async def _by_uid(request: web.Request, part: str) -> Body:
    return await listing.by_uid(wire.services(request).store, labels.WORKFLOW, wire.word(request, part))


_FOUND_BY: Final[dict[str, Callable[[web.Request, str], Coroutine[Any, Any, Body]]]] = {
    "workflows": _by_name,
    "archived-workflows": _by_uid,
}


async def _send(request: web.Request, direction: str, finding: Coroutine[Any, Any, Body]) -> web.StreamResponse:
    run = await finding
    node_id, name = wire.word(request, "nodeId"), wire.word(request, "artifactName")
    artifact = _find(run, node_id, direction, name)
    download = await wire.services(request).artifacts.open_artifact(run, artifact)
    response = web.StreamResponse()
    response.content_type = "application/octet-stream"
    response.headers["Content-Disposition"] = f'attachment; filename="{file_name(download.name)}"'
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response.content_length = download.size_bytes
    patience_seconds = request.app[wire.PACE].patience_seconds
    try:
        await response.prepare(request)
        async for chunk in download.chunks:
            await stream.write(request, response, chunk, patience_seconds)
        await response.write_eof()
    except BaseException:
        # The headers have promised the whole: only a broken connection says that it is not.
        if request.transport is not None and response.prepared:
            request.transport.abort()
        raise
    finally:
        await stream.close(download.chunks)
    return response


def _find(run: Body, node_id: str, direction: str, name: str) -> Mapping[str, Any]:
    nodes = (run.get("status") or {}).get("nodes") or {}
    node = nodes.get(node_id)
    run_name = run["metadata"]["name"]
    if node is None:
        raise NotFound(f"no node {node_id!r} in Workflow {run_name}")
    there = (node.get(direction) or {}).get("artifacts") or []
    for artifact in there:
        if artifact.get("name") == name:
            found: Mapping[str, Any] = artifact
            return found
    known = ", ".join(str(artifact.get("name")) for artifact in there) or "none"
    raise NotFound(f"no artifact {name!r} among the {direction} of {node_id} in Workflow {run_name}; known: {known}")


def file_name(proposed: str) -> str:
    """A file name that no header and no file system stumbles over.

    >>> file_name('../a b"\\r\\n.tgz')
    'a_b_.tgz'
    """
    last = proposed.replace("\\", "/").rsplit("/", 1)[-1]
    return re.sub(r"[^A-Za-z0-9._-]+", "_", last).lstrip(".")[:200] or "artifact"
