"""The daemon itself: health, metrics, who am I, what runs here, log in, back up, read the configuration again.

Comes in: requests, those for health and metrics from anybody. Goes out: texts for probes, JSON for the rest.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from syncd.base.clock import rfc3339
from syncd.base.errors import Invalid
from syncd.server import auth, wire


async def live(request: web.Request) -> web.StreamResponse:
    """GET /livez: 200 `ok`, or 503 with the reasons, a line each."""
    return _health(wire.services(request).live())


async def ready(request: web.Request) -> web.StreamResponse:
    """GET /readyz: likewise."""
    return _health(wire.services(request).ready())


async def metrics(request: web.Request) -> web.StreamResponse:
    """GET /metrics: Prometheus' text."""
    text, content_type = wire.services(request).metrics(request.headers.get("Accept", ""))
    return web.Response(body=text, headers={"Content-Type": content_type})


async def info(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/info: Argo's InfoResponse."""
    return wire.answer({"managedNamespace": "", "links": [], "columns": [], "modals": {}, "navColor": ""})


async def version(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/version: Argo's Version, every field there."""
    ours = wire.services(request).version
    return wire.answer(
        {
            "version": ours.version,
            "buildDate": ours.build_date,
            "gitCommit": ours.git_commit,
            "gitTag": "",
            "gitTreeState": "",
            "goVersion": "",
            "compiler": "python",
            "platform": "syncd",
        }
    )


async def user_info(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/userinfo: whose token this is."""
    caller = wire.caller(request)
    return wire.answer({"issuer": "syncd", "subject": caller.name, "name": caller.name, "groups": [str(caller.access)]})


async def status(request: web.Request) -> web.StreamResponse:
    """GET: the whole picture: version, facts about the daemon, health, sources."""
    services = wire.services(request)
    sources = services.sources
    await sources.refresh()
    value: dict[str, Any] = {
        "version": services.version.version,
        "now": rfc3339(services.clock.now()),
        **services.about(),
        "notReady": services.ready(),
        "notLive": services.live(),
        "sources": [sources.status(name) for name in sources.names()],
    }
    return wire.answer(value)


async def reload(request: web.Request) -> web.StreamResponse:
    """POST: read the configuration again; what changed. A faulty one changes nothing and is answered with its faults."""
    return wire.answer(dict(await wire.services(request).reload()))


async def backup(request: web.Request) -> web.StreamResponse:
    """POST {target}: a consistent copy of the store into a new file on the daemon's machine."""
    target = wire.text_of(await wire.body(request), "target", at_most=4096)
    if not target.startswith("/") or "\0" in target:
        raise Invalid(f"target {target[:200]!r} must be an absolute path of a file that does not exist yet")
    await wire.services(request).store.backup(target)
    return wire.answer({"target": target})


async def login_link(request: web.Request) -> web.StreamResponse:
    """POST: a path that lets one browser in, once."""
    return wire.answer({"path": request.app[auth.DOORS].login_path()})


async def login(request: web.Request) -> web.StreamResponse:
    """GET /login?code=: the browser gets its cookie and goes on to `/`."""
    doors = request.app[auth.DOORS]
    session = doors.sessions.redeem(request.query.get("code", ""), doors.now())
    if session is None:
        raise doors.failed(request, "this link was used or is too old; POST /api/syncd/v1/login-link gives a new one")
    response = web.Response(status=303, headers={"Location": "/"})
    auth.set_session(request, response, session)
    return response


async def logout(request: web.Request) -> web.StreamResponse:
    """POST: the browser's session ends."""
    name = auth.cookie_name(request)
    request.app[auth.DOORS].sessions.end(request.cookies.get(name, ""))
    response = wire.answer({})
    response.del_cookie(name, path="/")
    return response


def _health(reasons: list[str]) -> web.Response:
    text = "".join(f"{reason}\n" for reason in reasons) or "ok\n"
    return web.Response(text=text, status=503 if reasons else 200)
