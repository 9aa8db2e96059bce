"""WorkflowTemplates, ClusterWorkflowTemplates and CronWorkflows as Argo's server offers them: they differ in words only.

Comes in: requests whose caller is known. Goes out: the objects. `OF_TEMPLATES`, … are what `application` puts in its table.
What a source owns is changed in git: a write by hand would be undone by the next sync, so it is refused, and the answer
says where to change it. Suspending a cron is what people do by hand, and goes through `Crons`.
Source: Argo v4.1.2 server/workflowtemplate, server/clusterworkflowtemplate, server/cronworkflow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from syncd.argo import labels
from syncd.argo.manifest import Body, Key
from syncd.base.errors import Invalid, Refused
from syncd.cluster.api import Store, Verb, Write
from syncd.server import fields, listing, wire
from syncd.server.routes import workflows


@dataclass(frozen=True, slots=True)
class Definitions:
    """The routes of one kind. field: what request bodies call the object."""

    kind: str
    field: str

    async def list(self, request: web.Request) -> web.StreamResponse:
        """GET: a page."""
        query = listing.parse(request.query, wire.namespace(request))
        return wire.answer(await listing.page(wire.services(request).store, self.kind, query))

    async def get(self, request: web.Request) -> web.StreamResponse:
        """GET: one."""
        body = await wire.services(request).store.get(await self._key(request))
        return wire.answer(fields.parse(request.query.get("fields", "")).clean(body))

    async def create(self, request: web.Request) -> web.StreamResponse:
        """POST {field: object}: linted, then created."""
        body = wire.fresh(await self._sent(request))
        key = self._key_of(body)
        await workflows.linted(request, body)
        return wire.answer(await _write(wire.services(request).store, Write(Verb.CREATE, key, body)))

    async def update(self, request: web.Request) -> web.StreamResponse:
        """PUT {field: object}: linted, then replaced; 409 where metadata.resourceVersion is not the live one."""
        store = wire.services(request).store
        body = await self._sent(request)
        key = self._key_of(body)
        if key.name != wire.name(request):
            raise Invalid(f"the object is called {key.name!r}, but the path says {wire.name(request)!r}")
        live = await store.get(key)
        _refuse_owned(key, live)
        await workflows.linted(request, body)
        expect = str(body["metadata"].get("resourceVersion") or "") or None
        # The uid read above: not another object that has taken the name since, perhaps one of a source.
        write = Write(Verb.APPLY, key, body, expect=expect, uid=live["metadata"].get("uid"))
        return wire.answer(await _write(store, write))

    async def lint(self, request: web.Request) -> web.StreamResponse:
        """POST {field: object}: the same object, or all of its problems."""
        return wire.answer(await workflows.linted(request, await self._sent(request)))

    async def delete(self, request: web.Request) -> web.StreamResponse:
        """DELETE: `{}`."""
        store = wire.services(request).store
        key = await self._key(request)
        live = await store.get(key)
        _refuse_owned(key, live)
        await _write(store, Write(Verb.DELETE, key, uid=live["metadata"].get("uid")))
        return wire.answer({})

    async def suspend(self, request: web.Request) -> web.StreamResponse:
        """PUT …/suspend of a cron."""
        key = await self._key(request)
        return wire.answer(await wire.services(request).crons.suspend(key, by=wire.by(request)))

    async def resume(self, request: web.Request) -> web.StreamResponse:
        """PUT …/resume of a cron."""
        key = await self._key(request)
        return wire.answer(await wire.services(request).crons.resume(key, by=wire.by(request)))

    async def _key(self, request: web.Request) -> Key:
        return await listing.resolve(wire.services(request).store, wire.key(request, self.kind))

    async def _sent(self, request: web.Request) -> Body:
        return wire.of_kind(await wire.body(request), self.field, self.kind, wire.namespace(request))

    def _key_of(self, body: Body) -> Key:
        metadata = body["metadata"]
        name = metadata.get("name")
        if not isinstance(name, str) or not wire.is_name(name):
            raise Invalid(f"`{self.field}.metadata.name` {str(name)[:80]!r} is missing or malformed")
        if labels.OWNER_SOURCE in (metadata.get("labels") or {}):
            raise Invalid(f"label {labels.OWNER_SOURCE} says which source owns an object; only a sync sets it")
        return Key(self.kind, metadata.get("namespace", ""), name)


TEMPLATES: Final = Definitions(labels.WORKFLOW_TEMPLATE, "template")
CLUSTER_TEMPLATES: Final = Definitions(labels.CLUSTER_WORKFLOW_TEMPLATE, "template")
CRONS: Final = Definitions(labels.CRON_WORKFLOW, "cronWorkflow")


async def _write(store: Store, write: Write) -> Body:
    (written,) = await store.write([write])
    if written.error is not None:
        raise written.error
    return written.body or {}


def _refuse_owned(key: Key, live: Body) -> None:
    metadata = live["metadata"]
    source = (metadata.get("labels") or {}).get(labels.OWNER_SOURCE)
    if source:
        place = (metadata.get("annotations") or {}).get(labels.PATH) or "its files"
        raise Refused(f"{key} belongs to source {source!r} ({place}); change it there, the next sync brings it here")
