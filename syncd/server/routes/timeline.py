"""syncd's own route on what ran when: runs and slots of a span of time, in lanes.

Comes in: requests whose caller is known. Goes out: `observe.timeline` as JSON. It reads every Workflow of the namespace, a page at a
time: what people look at now and then, not what a dashboard polls.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from aiohttp import web

from syncd.argo import labels
from syncd.argo.manifest import Body
from syncd.base.clock import rfc3339
from syncd.base.errors import Invalid
from syncd.observe import timeline
from syncd.server import listing, wire

_USUAL: Final = timedelta(hours=24)
_MOST_RUNS: Final = 20_000
_KEPT: Final = ("metadata", "status")


async def show(request: web.Request) -> web.StreamResponse:
    """GET ?namespace=&since=&until=&labelSelector=: {since, until, lanes, more}. since: a day before `until`; until: now."""
    services = wire.services(request)
    until = wire.moment(request.query, "until") or services.clock.now()
    since = wire.moment(request.query, "since") or until - _USUAL
    if since >= until:
        raise Invalid("since is not before until")
    query = listing.parse(request.query, wire.namespace_text(request.query.get("namespace", "")))
    runs: list[Body] = []
    more = False
    async for body in listing.everything(services.store, labels.WORKFLOW, query):
        span = timeline.span_of(body)
        if span is None or span.start > until or (span.end is not None and span.end < since):
            continue
        if len(runs) == _MOST_RUNS:
            more = True  # the rest is still gone through: a store's pages are closed at their end
        else:
            runs.append({field: body[field] for field in _KEPT if field in body})
    selected = bool(request.query.get("labelSelector"))  # of runs: a row of the ledger has no labels
    rows = [] if selected else await services.store.recent(since, namespace=query.namespace or None)
    lanes = timeline.lanes(runs, rows, since, until)
    told = {"since": rfc3339(since), "until": rfc3339(until), "more": more, "lanes": [lane.to_json() for lane in lanes]}
    return wire.answer(told)
