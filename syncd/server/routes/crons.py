"""syncd's own routes on crons: what fires next, what became of every slot, why, and run it now.

Comes in: requests whose caller is known. Goes out: rows for people and the CLI. CronWorkflows and CronJobs share a name
space here: `?kind=` says which is meant, without it the CronWorkflow goes first.
"""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from syncd.argo import labels
from syncd.argo.manifest import Body, Key
from syncd.base.clock import rfc3339
from syncd.base.errors import Invalid, NotFound, Refused
from syncd.cron.ledger import Row
from syncd.server import listing, wire
from syncd.server.api import Services

_KINDS: Final = (labels.CRON_WORKFLOW, labels.CRON_JOB)
_MOST_ROWS: Final = 10_000


async def list_crons(request: web.Request) -> web.StreamResponse:
    """GET ?namespace=&labelSelector=&kind=: all crons, in order of (namespace, name), each with its next fire."""
    services = wire.services(request)
    query = listing.parse(request.query, wire.namespace_text(request.query.get("namespace", "")))
    items = []
    in_cluster = services.about().get("mode") == "kubernetes"
    for kind in _kinds(request):
        items += [
            {**_summary(services, kind, body), "scheduler": _scheduler(kind, body, in_cluster)}
            async for body in listing.everything(services.store, kind, query)
        ]
    items.sort(key=lambda item: (item["namespace"], item["name"], item["kind"]))
    return wire.answer({"items": items})


async def ledger(request: web.Request) -> web.StreamResponse:
    """GET ?limit=&since=: rows of the ledger, newest slot first. Also of a cron that is gone, while its rows are kept."""
    store = wire.services(request).store
    limit = wire.count(request.query, "limit", default=100, at_most=_MOST_ROWS)
    since = wire.moment(request.query, "since")
    kinds = _kinds(request)
    rows: list[Row] = []
    for kind in kinds:
        rows = await store.rows(wire.key(request, kind), since=since, limit=limit) if limit else []
        if rows:
            break
    else:
        await _key(request)  # no rows: is there such a cron at all?
    return wire.answer({"items": [row_value(row) for row in rows]})


async def explain(request: web.Request) -> web.StreamResponse:
    """GET ?slot=&limit=: why it did or did not run."""
    slot = wire.moment(request.query, "slot")
    limit = wire.count(request.query, "limit", default=10, at_most=_MOST_ROWS)
    return wire.answer(await wire.services(request).crons.explain(await _key(request), slot, limit))


async def trigger(request: web.Request) -> web.StreamResponse:
    """POST: run it now; the child."""
    return wire.answer(await wire.services(request).crons.trigger(await _key(request), by=wire.by(request)))


async def suspend(request: web.Request) -> web.StreamResponse:
    """POST: hold its schedule; the object. As Argo's route, but for CronJobs too."""
    return wire.answer(await wire.services(request).crons.suspend(await _key(request), by=wire.by(request)))


async def resume(request: web.Request) -> web.StreamResponse:
    """POST: let its schedule go on; the object."""
    return wire.answer(await wire.services(request).crons.resume(await _key(request), by=wire.by(request)))


def row_value(row: Row) -> dict[str, Any]:
    """A row of the ledger as JSON; keys never vanish."""
    return {
        "kind": row.cron.kind,
        "namespace": row.cron.namespace,
        "cron": row.cron.name,
        "cronUid": row.cron_uid,
        "slot": rfc3339(row.slot),
        "until": rfc3339(row.until),
        "count": row.count,
        "outcome": str(row.outcome),
        "reason": str(row.reason),
        "decidedAt": rfc3339(row.decided_at),
        "schedule": row.schedule,
        "run": row.run,
        "message": row.message,
        "revision": row.revision,
    }


def _scheduler(kind: str, body: Body, in_cluster: bool) -> str:
    """Who fires it: syncd | argo | kubernetes (decisions 2 and 17 of the architecture)."""
    if not in_cluster:
        return "syncd"
    if kind == labels.CRON_JOB:
        return "kubernetes"
    marks = body["metadata"].get("labels") or {}
    return "syncd" if marks.get(labels.INSTANCE_ID) == labels.SYNCD_INSTANCE else "argo"


def _summary(services: Services, kind: str, body: Body) -> dict[str, Any]:
    metadata, spec, status = body["metadata"], body.get("spec") or {}, body.get("status") or {}
    annotations = metadata.get("annotations") or {}
    next_fire = services.crons.next_fire(Key(kind, metadata.get("namespace", ""), metadata["name"]), body)
    return {
        "kind": kind,
        "namespace": metadata.get("namespace", ""),
        "name": metadata["name"],
        "uid": metadata.get("uid", ""),
        "createdAt": metadata.get("creationTimestamp"),
        "schedules": spec.get("schedules") or ([spec["schedule"]] if spec.get("schedule") else []),
        "timezone": spec.get("timezone") or spec.get("timeZone") or "",
        "suspended": bool(spec.get("suspend")),
        "byHand": annotations.get(labels.BY_HAND, ""),
        "concurrencyPolicy": spec.get("concurrencyPolicy") or "Allow",
        "active": len(status.get("active") or []),
        "succeeded": status.get("succeeded") or 0,
        "failed": status.get("failed") or 0,
        "lastScheduledTime": status.get("lastScheduledTime") or status.get("lastScheduleTime"),
        "nextFire": None if next_fire is None else rfc3339(next_fire),
        "source": (metadata.get("labels") or {}).get(labels.OWNER_SOURCE, ""),
        "revision": annotations.get(labels.REVISION, ""),
        "path": annotations.get(labels.PATH, ""),
    }


def _kinds(request: web.Request) -> tuple[str, ...]:
    kind = request.query.get("kind", "")
    if kind and kind not in _KINDS:
        raise Invalid(f"kind {kind[:40]!r} is no cron; use {' or '.join(_KINDS)}")
    return (kind,) if kind else _KINDS


async def _key(request: web.Request) -> Key:
    """The cron that the path names. Raises NotFound."""
    store = wire.services(request).store
    kinds = _kinds(request)
    for kind in kinds:
        try:
            await store.get(wire.key(request, kind))
        except NotFound:
            continue
        except Refused:
            if kind == kinds[0]:
                raise
            continue  # who may read no CronJobs asks for a CronWorkflow
        return wire.key(request, kind)
    name = request.match_info["name"]
    raise NotFound(f"no {' or '.join(kinds)} {name!r} in namespace {wire.namespace(request)!r}")
