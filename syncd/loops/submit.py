"""What people do with runs: submit, resubmit, operate, delete. Behind the API and the CLI; implements `server.api.Runs`.

A submitted Workflow is linted in the light of what is in force, named, marked with where it comes from, and created; the run
loop sees it through the store's watch. Source: Argo v4.1.2 workflow/util/util.go SubmitWorkflow, ApplySubmitOpts,
FormulateResubmitWorkflow; common/convert.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

from syncd.argo import jobs, labels
from syncd.argo.manifest import Body, Key, key_of
from syncd.base.clock import Clock, Random, rfc3339
from syncd.base.errors import AlreadyExists, Conflict, Invalid, NotFound
from syncd.base.problems import Problem, has_errors
from syncd.cluster.api import Store, Verb, Write
from syncd.loops import inventory
from syncd.loops.collect import CollectLoop
from syncd.loops.run import RunLoop

_TRIES = 5
_KEPT_LABELS = frozenset(
    {labels.LABEL_CRON_WORKFLOW, labels.LABEL_WORKFLOW_TEMPLATE, labels.LABEL_CLUSTER_WORKFLOW_TEMPLATE}
)
_OWN_LABELS = frozenset({labels.PHASE, labels.COMPLETED})

Lint = Callable[[Body, bool], "Any"]
"""(object, as a submission) → awaitable problems."""


_SPEC_AFTER: dict[str, Body] = {
    "suspend": {"suspend": True},
    "resume": {"suspend": None},
    "stop": {"shutdown": "Stop"},
    "terminate": {"shutdown": "Terminate"},
    "retry": {"shutdown": None, "suspend": None},
}
"""What Argo keeps in the spec of an operation, for clients to see; None removes a field."""


class Submitter:
    """Implements `server.api.Runs`."""

    def __init__(
        self,
        store: Store,
        runs: RunLoop,
        collect: CollectLoop,
        clock: Clock,
        random: Random,
        lint: Lint,
        default_namespace: str = "default",
    ) -> None:
        self._store = store
        self._runs = runs
        self._collect = collect
        self._clock = clock
        self._random = random
        self._lint = lint
        self._namespace = default_namespace

    async def submit(self, body: Body, *, by: str, dry_run: bool = False) -> Body:
        """Lint and create. Raises Invalid with all problems, AlreadyExists for a given name that is taken."""
        workflow = deepcopy(body)
        metadata = workflow.setdefault("metadata", {})
        metadata.setdefault("namespace", self._namespace)
        if workflow.get("kind") == labels.JOB:
            workflow = jobs.workflow_from_job(workflow)
            metadata = workflow["metadata"]
        workflow.setdefault("apiVersion", labels.ARGO_API)
        workflow.setdefault("kind", labels.WORKFLOW)
        if workflow["kind"] != labels.WORKFLOW:
            raise Invalid(f"a {workflow['kind']} is not run; submit a Workflow or a Job, or use --from")
        workflow.pop("status", None)
        for name in ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"):
            metadata.pop(name, None)
        problems: Sequence[Problem] = await self._lint(workflow, True)
        if has_errors(list(problems)):
            count = sum(1 for p in problems if str(p.severity) == "error")
            raise Invalid(f"the workflow is not valid: {count} problem{'s' if count != 1 else ''}", problems)
        metadata.setdefault("annotations", {})
        if by:
            metadata["annotations"].setdefault("syncd.io/submitted-by", by)
        return await self._create(workflow, dry_run)

    async def _create(self, workflow: Body, dry_run: bool) -> Body:
        metadata = workflow["metadata"]
        prefix = metadata.get("generateName")
        for _ in range(_TRIES):
            if not metadata.get("name"):
                if not prefix:
                    raise Invalid("the workflow has neither metadata.name nor metadata.generateName")
                metadata = {**metadata, "name": f"{prefix}{self._random.suffix()}"}
                workflow = {**workflow, "metadata": metadata}
            if dry_run:
                return workflow
            key = key_of(workflow)
            written = (await self._store.write([Write(Verb.CREATE, key, workflow)]))[0]
            if written.error is None:
                assert written.body is not None
                return written.body
            if not isinstance(written.error, AlreadyExists) or not prefix:
                raise written.error
            metadata = {k: v for k, v in metadata.items() if k != "name"}
            workflow = {**workflow, "metadata": metadata}
        raise Conflict(f"no free name for {prefix!r} was found in {_TRIES} tries")

    async def submit_from(self, kind: str, namespace: str, name: str, options: Mapping[str, Any], *, by: str) -> Body:
        """Create a run of something that is in force."""
        namespace = namespace or self._namespace
        workflow = await self._from(kind, namespace, name)
        workflow["metadata"]["namespace"] = namespace
        apply_options(workflow, options)
        dry_run = bool(options.get("dryRun") or options.get("serverDryRun"))
        return await self.submit(workflow, by=by, dry_run=dry_run)

    async def _from(self, kind: str, namespace: str, name: str) -> Body:
        if kind in (labels.WORKFLOW, labels.JOB):
            return await self._offered(Key(kind, namespace, name))
        source = await self._store.get(Key(kind, "" if kind in labels.CLUSTER_SCOPED else namespace, name))
        metadata: Body = {"generateName": f"{name}-", "labels": {}, "annotations": _provenance(source)}
        spec = source.get("spec") or {}
        if kind in (labels.WORKFLOW_TEMPLATE, labels.CLUSTER_WORKFLOW_TEMPLATE):
            clustered = kind == labels.CLUSTER_WORKFLOW_TEMPLATE
            marks = spec.get("workflowMetadata") or {}
            metadata["labels"].update(marks.get("labels") or {})
            metadata["annotations"].update(marks.get("annotations") or {})
            label = labels.LABEL_CLUSTER_WORKFLOW_TEMPLATE if clustered else labels.LABEL_WORKFLOW_TEMPLATE
            metadata["labels"][label] = name
            reference: Body = {"name": name}
            if clustered:
                reference["clusterScope"] = True
            return _workflow(metadata, {"workflowTemplateRef": reference})
        if kind == labels.CRON_WORKFLOW:
            marks = spec.get("workflowMetadata") or {}
            metadata["labels"].update(marks.get("labels") or {})
            metadata["annotations"].update(marks.get("annotations") or {})
            metadata["labels"][labels.LABEL_CRON_WORKFLOW] = name
            metadata["annotations"][labels.SCHEDULED_TIME] = rfc3339(self._clock.now())
            return _workflow(metadata, deepcopy(spec.get("workflowSpec") or {}))
        if kind == labels.CRON_JOB:
            job = deepcopy(spec.get("jobTemplate") or {})
            workflow = jobs.workflow_from_job(
                {**job, "metadata": {**(job.get("metadata") or {}), "generateName": f"{name}-"}}
            )
            workflow["metadata"]["labels"][labels.CRON_JOB_NAME] = name
            return workflow
        raise Invalid(
            f"{kind} cannot be submitted from; use workflowtemplate, clusterworkflowtemplate, cronwf, workflow or job"
        )

    async def _offered(self, key: Key) -> Body:
        """A Workflow or Job of a source."""
        found = await inventory.offered(self._store, key)
        if found is None and not key.name.endswith("-"):
            # a manifest with a generateName is offered under that, and called without its hyphen
            found = await inventory.offered(self._store, replace(key, name=f"{key.name}-"))
        if found is None:
            known = [str(offer) for _, offer in await inventory.offers(self._store)]
            raise NotFound(f"no source offers {key}; offered: {', '.join(known[:20]) or 'nothing'}")
        source, offer = found
        body = deepcopy(offer)
        if key.kind == labels.JOB:
            annotations = dict(body["metadata"].get("annotations") or {})
            body = jobs.workflow_from_job(body)
            body["metadata"]["annotations"] = annotations
        metadata = body["metadata"]
        metadata["labels"] = {**(metadata.get("labels") or {}), labels.OWNER_SOURCE: source}
        name = metadata.pop("name", "") or key.name
        metadata["generateName"] = f"{name.rstrip('-')}-"
        return body

    async def operate(self, key: Key, verb: str, arguments: Mapping[str, Any], *, by: str) -> Body:
        """Journalled by the run loop; what Argo keeps in the spec is kept there too, for clients to see."""
        given = dict(arguments)
        if verb == "set" and isinstance(given.get("outputParameters"), str):
            raise Invalid("outputParameters must be a mapping of names to values")
        await self._runs.operate(key, verb, given, by=by)
        spec = None if given.get("nodeFieldSelector") and verb != "retry" else _SPEC_AFTER.get(verb)
        if spec is not None:
            await self._store.write([Write(Verb.PATCH, key, {"spec": spec})])
        return await self._store.get(key)

    async def resubmit(self, key: Key, arguments: Mapping[str, Any], *, by: str) -> Body:
        """A new run with the old one's spec and parameters. Source: Argo FormulateResubmitWorkflow."""
        if arguments.get("memoized"):
            raise Invalid("--memoized is not supported; `retry` runs only what failed, within the same workflow")
        old = await self._store.get(key)
        metadata = old["metadata"]
        marks = {
            k: v
            for k, v in (metadata.get("labels") or {}).items()
            if k not in _OWN_LABELS and (k in _KEPT_LABELS or not k.startswith("workflows.argoproj.io/"))
        }
        marks[labels.LABEL_RESUBMITTED_FROM] = key.name
        fresh = _workflow(
            {
                "generateName": _stem(key.name, str(metadata.get("generateName") or "")),
                "namespace": key.namespace,
                "labels": marks,
                "annotations": dict(metadata.get("annotations") or {}),
            },
            {k: v for k, v in deepcopy(old.get("spec") or {}).items() if k not in ("shutdown", "suspend")},
        )
        apply_options(fresh, {"parameters": arguments.get("parameters"), "priority": arguments.get("priority")})
        return await self.submit(fresh, by=by)

    async def delete(self, key: Key, *, force: bool, by: str) -> None:
        """End what runs and remove the run with its logs. Raises NotFound."""
        body = await self._store.get(key)
        uid = str(body["metadata"].get("uid"))
        written = (await self._store.write([Write(Verb.DELETE, key, uid=uid)]))[0]
        if written.error is not None:
            raise written.error
        await self._collect.remove_remains(key, uid)


def _workflow(metadata: Body, spec: Body) -> Body:
    return {"apiVersion": labels.ARGO_API, "kind": labels.WORKFLOW, "metadata": metadata, "spec": spec}


def _provenance(body: Body) -> dict[str, str]:
    """Where an object comes from, for the run made of it (decision 5)."""
    metadata = body["metadata"]
    found: Body = {name: (metadata.get("annotations") or {}).get(name) for name in (labels.REVISION, labels.PATH)}
    found[labels.OWNER_SOURCE] = (metadata.get("labels") or {}).get(labels.OWNER_SOURCE)
    return {name: str(value) for name, value in found.items() if value}


def _stem(name: str, generate_name: str) -> str:
    """The generateName of a copy: as given, or the name without its last random part."""
    if generate_name:
        return generate_name
    head, _, tail = name.rpartition("-")
    return f"{head if head and len(tail) == 5 else name}-"


def apply_options(workflow: Body, options: Mapping[str, Any]) -> None:
    """Change a Workflow as Argo's SubmitOpts say. Raises Invalid. Source: Argo ApplySubmitOpts."""
    metadata, spec = workflow["metadata"], workflow.setdefault("spec", {})
    if options.get("name"):
        metadata["name"] = str(options["name"])
        metadata.pop("generateName", None)
    if options.get("generateName"):
        metadata["generateName"] = str(options["generateName"])
        metadata.pop("name", None)
    for word in ("labels", "annotations"):
        given = options.get(word)
        if not given:
            continue
        held = dict(metadata.get(word) or {})
        for term in str(given).split(","):
            name, separator, value = term.partition("=")
            if not separator or not name.strip():
                raise Invalid(f"{word} {term!r} is not NAME=VALUE")
            held[name.strip()] = value.strip()
        metadata[word] = held
    for option, field in (("entryPoint", "entrypoint"), ("serviceAccount", "serviceAccountName")):
        if options.get(option):
            spec[field] = str(options[option])
    if options.get("priority") is not None:
        spec["priority"] = options["priority"]
    overrides = {}
    for text in options.get("parameters") or ():
        name, separator, value = str(text).partition("=")
        if not separator:
            raise Invalid(f"parameter {text!r} is not NAME=VALUE")
        overrides[name] = value
    if overrides:
        held_parameters = [dict(p) for p in (spec.get("arguments") or {}).get("parameters") or ()]
        for parameter in held_parameters:
            if parameter.get("name") in overrides:
                parameter["value"] = overrides.pop(parameter["name"])
                parameter.pop("valueFrom", None)
        held_parameters.extend({"name": name, "value": value} for name, value in overrides.items())
        spec["arguments"] = {**(spec.get("arguments") or {}), "parameters": held_parameters}
