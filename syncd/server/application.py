"""The HTTP application: all routes on one page, each with what it wants of its caller.

Comes in: `Services` (what to show and do) and `Doors` (whom to let in). Goes out: an aiohttp application, and by `start`
a running one on TCP, on a Unix socket, or both. Called by `app`, and by the CLI's in-process daemon.
Paths, verbs and bodies under /api/v1 are Argo's (v4.1.2 api/openapi-spec/swagger.json); its clients leave a parameter that
they do not know empty (`/api/v1/workflows/`), so a namespace may be empty: all of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from syncd.base.errors import ConfigError
from syncd.server import auth, faults, wire
from syncd.server.api import Services
from syncd.server.auth import Access
from syncd.server.connections import CONNECTIONS, Connections
from syncd.server.routes import artifacts, crons, daemon, definitions, logs, sources, timeline, workflows

PUBLIC, READ, WRITE = Access.PUBLIC, Access.READ, Access.WRITE


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the table. There is no default for access: no route is open by omission."""

    method: str
    path: str
    access: Access
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]]


_TEMPLATES, _CLUSTER, _CRONS = definitions.TEMPLATES, definitions.CLUSTER_TEMPLATES, definitions.CRONS
_VERBS: Final = "{verb:suspend|resume|stop|terminate|retry|set}"
_NS: Final = "{namespace:[^/]*}"
_WF: Final = f"/api/v1/workflows/{_NS}"
_TMPL: Final = f"/api/v1/workflow-templates/{_NS}"
_CTMPL: Final = "/api/v1/cluster-workflow-templates"
_CRON: Final = f"/api/v1/cron-workflows/{_NS}"
_OWN: Final = "/api/syncd/v1"
_OWN_CRON: Final = f"{_OWN}/crons/{_NS}/{{name}}"

ROUTES: Final[tuple[Route, ...]] = (
    # health
    Route("GET", "/livez", PUBLIC, daemon.live),
    Route("GET", "/readyz", PUBLIC, daemon.ready),
    Route("GET", "/metrics", PUBLIC, daemon.metrics),
    # browsers
    Route("GET", "/login", PUBLIC, daemon.login),
    Route("POST", "/logout", READ, daemon.logout),
    Route("GET", "/", READ, daemon.status),
    # as Argo, about itself
    Route("GET", "/api/v1/info", READ, daemon.info),
    Route("GET", "/api/v1/version", READ, daemon.version),
    Route("GET", "/api/v1/userinfo", READ, daemon.user_info),
    # as Argo, workflows
    Route("GET", _WF, READ, workflows.list_workflows),
    Route("POST", _WF, WRITE, workflows.create_workflow),
    Route("POST", f"{_WF}/lint", READ, workflows.lint_workflow),
    Route("POST", f"{_WF}/submit", WRITE, workflows.submit_workflow),
    Route("GET", f"{_WF}/{{name}}", READ, workflows.get_workflow),
    Route("DELETE", f"{_WF}/{{name}}", WRITE, workflows.delete_workflow),
    Route("PUT", f"{_WF}/{{name}}/resubmit", WRITE, workflows.resubmit_workflow),
    Route("PUT", f"{_WF}/{{name}}/{_VERBS}", WRITE, workflows.operate_workflow),
    Route("GET", f"{_WF}/{{name}}/log", READ, logs.workflow_log),
    Route("GET", f"{_WF}/{{name}}/{{podName}}/log", READ, logs.pod_log),
    Route("GET", f"/api/v1/workflow-events/{_NS}", READ, workflows.watch_workflows),
    # as Argo, templates
    Route("GET", _TMPL, READ, _TEMPLATES.list),
    Route("POST", _TMPL, WRITE, _TEMPLATES.create),
    Route("POST", f"{_TMPL}/lint", READ, _TEMPLATES.lint),
    Route("GET", f"{_TMPL}/{{name}}", READ, _TEMPLATES.get),
    Route("PUT", f"{_TMPL}/{{name}}", WRITE, _TEMPLATES.update),
    Route("DELETE", f"{_TMPL}/{{name}}", WRITE, _TEMPLATES.delete),
    Route("GET", _CTMPL, READ, _CLUSTER.list),
    Route("POST", _CTMPL, WRITE, _CLUSTER.create),
    Route("POST", f"{_CTMPL}/lint", READ, _CLUSTER.lint),
    Route("GET", f"{_CTMPL}/{{name}}", READ, _CLUSTER.get),
    Route("PUT", f"{_CTMPL}/{{name}}", WRITE, _CLUSTER.update),
    Route("DELETE", f"{_CTMPL}/{{name}}", WRITE, _CLUSTER.delete),
    # as Argo, cron workflows
    Route("GET", _CRON, READ, _CRONS.list),
    Route("POST", _CRON, WRITE, _CRONS.create),
    Route("POST", f"{_CRON}/lint", READ, _CRONS.lint),
    Route("GET", f"{_CRON}/{{name}}", READ, _CRONS.get),
    Route("PUT", f"{_CRON}/{{name}}", WRITE, _CRONS.update),
    Route("DELETE", f"{_CRON}/{{name}}", WRITE, _CRONS.delete),
    Route("PUT", f"{_CRON}/{{name}}/suspend", WRITE, _CRONS.suspend),
    Route("PUT", f"{_CRON}/{{name}}/resume", WRITE, _CRONS.resume),
    # as Argo, artifacts
    Route("GET", f"/artifacts/{_NS}/{{name}}/{{nodeId}}/{{artifactName}}", READ, artifacts.output),
    Route("GET", f"/input-artifacts/{_NS}/{{name}}/{{nodeId}}/{{artifactName}}", READ, artifacts.input_),
    Route("GET", "/artifacts-by-uid/{uid}/{nodeId}/{artifactName}", READ, artifacts.output_by_uid),
    Route("GET", "/input-artifacts-by-uid/{uid}/{nodeId}/{artifactName}", READ, artifacts.input_by_uid),
    Route(
        "GET",
        f"/artifact-files/{_NS}/{{where}}/{{id}}/{{nodeId}}/{{direction}}/{{artifactName}}",
        READ,
        artifacts.file,
    ),
    # of syncd's own, the daemon
    Route("GET", f"{_OWN}/status", READ, daemon.status),
    Route("POST", f"{_OWN}/reload", WRITE, daemon.reload),
    Route("POST", f"{_OWN}/backup", WRITE, daemon.backup),
    Route("POST", f"{_OWN}/login-link", WRITE, daemon.login_link),
    Route("GET", f"{_OWN}/timeline", READ, timeline.show),
    # of syncd's own, sources
    Route("GET", f"{_OWN}/sources", READ, sources.list_sources),
    Route("GET", f"{_OWN}/sources/{{source}}", READ, sources.get_source),
    Route("GET", f"{_OWN}/sources/{{source}}/problems", READ, sources.problems),
    Route("GET", f"{_OWN}/sources/{{source}}/plan", READ, sources.plan),
    Route("GET", f"{_OWN}/sources/{{source}}/ignored", READ, sources.ignored),
    Route("POST", f"{_OWN}/sources/{{source}}/sync", WRITE, sources.sync),
    Route("POST", f"{_OWN}/sources/{{source}}/approve", WRITE, sources.approve),
    # of syncd's own, crons
    Route("GET", f"{_OWN}/crons", READ, crons.list_crons),
    Route("GET", f"{_OWN_CRON}/ledger", READ, crons.ledger),
    Route("GET", f"{_OWN_CRON}/explain", READ, crons.explain),
    Route("POST", f"{_OWN_CRON}/trigger", WRITE, crons.trigger),
    Route("POST", f"{_OWN_CRON}/suspend", WRITE, crons.suspend),
    Route("POST", f"{_OWN_CRON}/resume", WRITE, crons.resume),
)

_SHUTDOWN_SECONDS: Final = 5.0
_PATROL: Final = web.AppKey("patrol", list[asyncio.Task[None]])
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


def build(services: Services, doors: auth.Doors, pace: wire.Pace | None = None) -> web.Application:
    """The application, not yet listening. pace: how streams behave, None = as people like it."""
    access: dict[web.AbstractRoute, Access] = {}

    def access_of(request: web.Request) -> Access:
        return access.get(request.match_info.route, READ)

    application = web.Application(
        middlewares=[faults.middleware, auth.guard(access_of)],
        client_max_size=wire.BODY_CAP_BYTES,
    )
    application[wire.SERVICES] = services
    application[wire.PACE] = pace or wire.Pace()
    application[wire.CLOSING] = asyncio.Event()
    application[auth.DOORS] = doors
    application[_PATROL] = []
    application[CONNECTIONS] = Connections(doors.now)
    for route in ROUTES:
        access[application.router.add_route(route.method, route.path, route.handler)] = route.access
    application.on_response_prepare.append(_add_headers)
    application.on_shutdown.append(_close_streams)
    application.on_cleanup.append(_end_patrol)
    return application


async def start(
    application: web.Application,
    host: str | None,
    port: int,
    unix_path: Path | None = None,
    tls: ssl.SSLContext | None = None,
) -> web.AppRunner:
    """Listen on TCP (host None: not at all; port 0: any, see `runner.addresses`), on a Unix socket of mode 0600, or both.

    `await runner.cleanup()` ends it: streams at once, other requests within a few seconds.
    Raises ConfigError where the address is taken, or reaches beyond this machine without configured tokens.
    """
    if host is not None and not application[auth.DOORS].configured and not auth.is_loopback(host):
        raise ConfigError(
            f"listening on {host} lets other machines in, which wants tokens of its own: "
            "set listen.tokensFile, or listen on 127.0.0.1"
        )
    runner = web.AppRunner(
        application,
        access_log=None,
        logger=_logger(),
        shutdown_timeout=_SHUTDOWN_SECONDS,
        keepalive_timeout=75.0,
        lingering_time=2.0,  # for a refused body that is still on its way
        auto_decompress=False,
    )
    await runner.setup()
    if runner.server is not None:
        application[_PATROL].append(asyncio.create_task(application[CONNECTIONS].patrol(runner.server), name="patrol"))
    try:
        if host is not None:
            with _taken(f"{host}:{port}"):
                await web.TCPSite(runner, host, port, ssl_context=tls).start()
        if unix_path is not None:
            with _taken(str(unix_path)):
                await web.UnixSite(runner, unix_path).start()
                _make_private(unix_path)
    except BaseException:
        await runner.cleanup()
        raise
    return runner


class _NoNoise(logging.Filter):
    """Keeps what is no HTTP out of the log: a stranger must not be able to fill it."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


_NO_NOISE: Final = _NoNoise()


def _logger() -> logging.Logger:
    found = logging.getLogger("syncd.server.http")
    found.addFilter(_NO_NOISE)  # once, however often
    return found


def _make_private(path: Path) -> None:
    path.chmod(0o600)


@contextlib.contextmanager
def _taken(address: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {address}: {error.strerror or error}; end what listens there, or choose another address"
        ) from None


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "syncd"  # aiohttp has put its version and Python's there
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)


async def _end_patrol(application: web.Application) -> None:
    for task in application[_PATROL]:
        task.cancel()
    await asyncio.gather(*application[_PATROL], return_exceptions=True)


async def _close_streams(application: web.Application) -> None:
    application[wire.CLOSING].set()
