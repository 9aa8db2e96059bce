"""syncd's own routes on sources: where they stand, what is wrong, what a sync would do, do it, let a held one through.

Comes in: requests whose caller is known. Goes out: what `Sources` says, as JSON.
"""

from __future__ import annotations

from aiohttp import web

from syncd.base.errors import Invalid
from syncd.base.problems import Severity
from syncd.server import wire


async def list_sources(request: web.Request) -> web.StreamResponse:
    """GET: the status of each, in the order of the configuration."""
    sources = wire.services(request).sources
    await sources.refresh()
    return wire.answer({"items": [sources.status(name) for name in sources.names()]})


async def get_source(request: web.Request) -> web.StreamResponse:
    """GET: the status of one."""
    sources = wire.services(request).sources
    await sources.refresh()
    return wire.answer(sources.status(wire.word(request, "source")))


async def problems(request: web.Request) -> web.StreamResponse:
    """GET: {errors, warnings, items} of its newest revision."""
    await wire.services(request).sources.refresh()
    found = wire.services(request).sources.problems(wire.word(request, "source"))
    errors = sum(problem.severity is Severity.ERROR for problem in found)
    return wire.answer(
        {"errors": errors, "warnings": len(found) - errors, "items": [problem.to_json() for problem in found]}
    )


async def plan(request: web.Request) -> web.StreamResponse:
    """GET: what a sync would change."""
    return wire.answer(await wire.services(request).sources.plan(wire.word(request, "source")))


async def ignored(request: web.Request) -> web.StreamResponse:
    """GET: files and documents that are none of ours, with the reason."""
    found = wire.services(request).sources.ignored(wire.word(request, "source"))
    return wire.answer({"items": [{"path": path, "reason": reason} for path, reason in found]})


async def sync(request: web.Request) -> web.StreamResponse:
    """POST ?wait=: ask for a sync; with wait, answer when it has ended."""
    wait = wire.flag(request.query, "wait")
    return wire.answer(await wire.services(request).sources.sync(wire.word(request, "source"), wait))


async def approve(request: web.Request) -> web.StreamResponse:
    """POST {revision}: let that held revision through."""
    revision = wire.text_of(await wire.body(request), "revision", at_most=512)
    if not revision:
        raise Invalid("field revision is missing; name the held revision, so that nothing newer slips through with it")
    sources = wire.services(request).sources
    return wire.answer(await sources.approve(wire.word(request, "source"), revision, wire.by(request)))
