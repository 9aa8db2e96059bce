"""Workflows as Argo's server offers them: list, get, create, submit, lint, operate, delete, watch.

Comes in: requests whose caller is known. Goes out: Workflow objects, read from the store; changes go through `Runs`.
`@latest` stands for the newest Workflow of its namespace on every route with a name.
Source: Argo v4.1.2 server/workflow/workflow_server.go, api/openapi-spec/swagger.json.
"""

from __future__ import annotations

from typing import Any, Final

import orjson
from aiohttp import web

from syncd.argo import labels
from syncd.argo.manifest import Body, Key
from syncd.base.errors import Invalid, NotFound
from syncd.base.problems import has_errors
from syncd.server import fields, listing, stream, watching, wire

KINDS: Final[dict[str, str]] = {
    word: kind
    for kind, words in {
        labels.WORKFLOW_TEMPLATE: ("workflowtemplate", "workflowtemplates", "template", "wftmpl", "wftmpls"),
        labels.CLUSTER_WORKFLOW_TEMPLATE: (
            "clusterworkflowtemplate",
            "clusterworkflowtemplates",
            "cluster-template",
            "cwftmpl",
            "cwftmpls",
            "cwft",
        ),
        labels.CRON_WORKFLOW: ("cronworkflow", "cronworkflows", "cron", "cronwf", "cwf", "cronwfs"),
        labels.CRON_JOB: ("cronjob", "cronjobs", "cj"),
        labels.WORKFLOW: ("workflow", "workflows", "wf"),
        labels.JOB: ("job", "jobs"),
    }.items()
    for word in words
}
"""What a client may call the kind that it submits from, in lower case."""

_TEXTS: Final = ("nodeFieldSelector", "message", "phase")
_FLAGS: Final = ("restartSuccessful", "memoized")
_MOST_PARAMETERS: Final = 10_000


async def list_workflows(request: web.Request) -> web.StreamResponse:
    """GET: without status.nodes."""
    query = listing.parse(request.query, wire.namespace(request))
    return wire.answer(await listing.page(wire.services(request).store, labels.WORKFLOW, query))


async def get_workflow(request: web.Request) -> web.StreamResponse:
    """GET: with status.nodes. `uid`: 404 where the name belongs to another by now."""
    store = wire.services(request).store
    body = await store.get(await _key(request))
    uid = request.query.get("uid", "")
    if uid and body["metadata"].get("uid") != uid:
        raise NotFound(f"no Workflow {body['metadata']['name']} with uid {uid[:80]}; the name belongs to another one")
    return wire.answer(fields.parse(request.query.get("fields", "")).clean(body))


async def create_workflow(request: web.Request) -> web.StreamResponse:
    """POST {workflow, serverDryRun, createOptions.dryRun}."""
    sent = await wire.body(request)
    body = wire.fresh(wire.of_kind(sent, "workflow", labels.WORKFLOW, wire.namespace(request)))
    dry_run = wire.flag(sent, "serverDryRun") or bool((_mapping(sent, "createOptions")).get("dryRun"))
    created = await wire.services(request).runs.submit(body, by=wire.by(request), dry_run=dry_run)
    return wire.answer(created)


async def submit_workflow(request: web.Request) -> web.StreamResponse:
    """POST {resourceKind, resourceName, submitOptions}."""
    sent = await wire.body(request)
    said = wire.text_of(sent, "resourceKind", at_most=80)
    kind = KINDS.get(said.lower())
    if kind is None:
        known = ", ".join(sorted({kind.lower() for kind in KINDS.values()}))
        raise Invalid(f"resourceKind {said!r} is unknown; use one of {known}")
    name = wire.text_of(sent, "resourceName", at_most=253)
    if not name:
        raise Invalid(f"resourceName is missing; name the {kind} to submit from")
    options = _mapping(sent, "submitOptions")
    _list_of_text(options, "parameters")
    where = wire.namespace(request) or "default"
    created = await wire.services(request).runs.submit_from(kind, where, name, options, by=wire.by(request))
    return wire.answer(created)


async def lint_workflow(request: web.Request) -> web.StreamResponse:
    """POST {workflow}: the same object, or all of its problems."""
    body = wire.of_kind(await wire.body(request), "workflow", labels.WORKFLOW, wire.namespace(request))
    return wire.answer(await linted(request, body))


async def operate_workflow(request: web.Request) -> web.StreamResponse:
    """PUT …/{verb}: suspend, resume, stop, terminate, retry, set."""
    arguments = _arguments(await wire.body(request))
    verb = request.match_info["verb"]
    runs = wire.services(request).runs
    return wire.answer(await runs.operate(await _key(request), verb, arguments, by=wire.by(request)))


async def resubmit_workflow(request: web.Request) -> web.StreamResponse:
    """PUT …/resubmit {memoized, parameters}: the new Workflow."""
    arguments = _arguments(await wire.body(request))
    runs = wire.services(request).runs
    return wire.answer(await runs.resubmit(await _key(request), arguments, by=wire.by(request)))


async def delete_workflow(request: web.Request) -> web.StreamResponse:
    """DELETE: `{}`."""
    key = await _key(request)
    await wire.services(request).runs.delete(key, force=wire.flag(request.query, "force"), by=wire.by(request))
    return wire.answer({})


async def watch_workflows(request: web.Request) -> web.StreamResponse:
    """GET stream of {type, object}; with a fieldSelector on the name, objects have status.nodes."""
    store = wire.services(request).store
    namespace = wire.namespace(request)
    # The filter's paths may begin at the event or at the object; those of the event itself always stay.
    shown = fields.parse(request.query.get("fields", ""), prefix="result.object.")
    selector = request.query.get("listOptions.fieldSelector", "")
    options = {**request.query, "fields": ""}
    if f"={wire.LATEST}" in selector:
        name = await listing.latest(store, labels.WORKFLOW, namespace)
        options["listOptions.fieldSelector"] = selector.replace(wire.LATEST, name)
    query = listing.parse(options, namespace).showing(shown)
    since = request.query.get("listOptions.resourceVersion", "")
    gap_seconds = request.app[wire.PACE].gap_seconds
    return await stream.relay(request, await watching.begin(store, labels.WORKFLOW, query, since, gap_seconds))


async def linted(request: web.Request, body: Body) -> Body:
    """The same body. Raises Invalid with all problems where one of them is an error."""
    problems = tuple(await wire.services(request).lint(body))
    if has_errors(problems):
        raise Invalid(
            "; ".join(f"{p.message}{f' ({p.path})' if p.path else ''}" for p in problems[:5]) or "invalid", problems
        )
    return body


async def _key(request: web.Request) -> Key:
    return await listing.resolve(wire.services(request).store, wire.key(request, labels.WORKFLOW))


def _arguments(sent: dict[str, Any]) -> dict[str, Any]:
    """What `Runs.operate` and `Runs.resubmit` take: only what the client gave, each of its right type."""
    arguments: dict[str, Any] = {}
    for field in _TEXTS:
        if text := wire.text_of(sent, field):
            arguments[field] = text
    for field in _FLAGS:
        if wire.flag(sent, field):
            arguments[field] = True
    if parameters := _list_of_text(sent, "parameters"):
        arguments["parameters"] = parameters
    if outputs := sent.get("outputParameters"):
        arguments["outputParameters"] = _outputs(outputs)
    return arguments


def _outputs(given: Any) -> dict[str, str]:
    """Argo's CLI sends a JSON object in a text, `{"name": "value"}`; an object is taken as well."""
    if isinstance(given, str):
        try:
            given = orjson.loads(given)
        except orjson.JSONDecodeError:
            given = None
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise Invalid('outputParameters must be a JSON object of texts: {"name": "value"}')
    return given


def _mapping(sent: dict[str, Any], field: str) -> dict[str, Any]:
    found = sent.get(field)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise Invalid(f"field {field} must be an object")
    return found


def _list_of_text(sent: dict[str, Any], field: str) -> list[str]:
    found = sent.get(field) or []
    if not isinstance(found, list) or len(found) > _MOST_PARAMETERS or not all(isinstance(v, str) for v in found):
        raise Invalid(f'field {field} must be a list of texts: ["name=value"]')
    return found
