"""What people do with runs: submit, resubmit, operate, delete. Behind the API and the CLI; implements `server.api.Runs`.

A submitted Workflow is linted in the light of what is in force, named, marked with where it comes from, and created; the run
loop sees it through the store's watch. Source: Argo v4.1.2 workflow/util/util.go SubmitWorkflow, ApplySubmitOpts,
FormulateResubmitWorkflow; common/convert.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any, Protocol

from syncd.argo import jobs, labels, template
from syncd.argo.manifest import Body, Key, key_of
from syncd.base.clock import Clock, Random, rfc3339
from syncd.base.errors import AlreadyExists, Conflict, Invalid, NotFound
from syncd.base.problems import Problem, has_errors
from syncd.cluster.api import Store, Verb, Write
from syncd.engine import operations
from syncd.loops import inventory

_TRIES = 5
_LONGEST_PREFIX = 58  # Kubernetes cuts a generateName so that the name has at most 63 characters
_OWN_LABELS = frozenset({labels.PHASE, labels.COMPLETED})
_NOT_RESUBMITTED = _OWN_LABELS | {
    "workflows.argoproj.io/creator",
    "workflows.argoproj.io/creator-email",
    "workflows.argoproj.io/creator-preferred-username",
    "workflows.argoproj.io/workflow-archiving-status",
}
_SET_BY_SERVER = (
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "selfLink",
)
SUBMITTED_BY = "syncd.io/submitted-by"
_PROVENANCE = (labels.REVISION, labels.PATH, labels.OWNER_SOURCE)

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


class Running(Protocol):
    """What is asked of whoever runs workflows: `loops.run`, `loops.remote`."""

    async def operate(self, key: Key, verb: str, arguments: Mapping[str, Any], *, by: str) -> object:
        """Raises NotFound, Conflict where the phase forbids it, Unsupported."""


class Remaining(Protocol):
    """Who removes what a run leaves behind outside the store: `loops.collect`, `loops.remote`."""

    async def remove_remains(self, key: Key, uid: str) -> None: ...


class Submitter:
    """Implements `server.api.Runs`."""

    def __init__(
        self,
        store: Store,
        runs: Running,
        remains: Remaining,
        clock: Clock,
        random: Random,
        lint: Lint,
        default_namespace: str = "default",
    ) -> None:
        self._store = store
        self._runs = runs
        self._remains = remains
        self._clock = clock
        self._random = random
        self._lint = lint
        self._namespace = default_namespace

    async def submit(self, body: Body, *, by: str, dry_run: bool = False) -> Body:
        """Lint and create. Raises Invalid with all problems, AlreadyExists for a given name that is taken."""
        workflow = deepcopy(body)
        metadata = _metadata(workflow)
        for word in ("labels", "annotations"):
            for name in _PROVENANCE:
                # only what is made of a source's own object comes from that source
                metadata[word].pop(name, None)
        return await self._submit(workflow, by=by, dry_run=dry_run)

    async def _submit(self, workflow: Body, *, by: str, dry_run: bool = False) -> Body:
        """As `submit`, for a body of our own, which is changed."""
        metadata = _metadata(workflow)
        metadata["namespace"] = metadata.get("namespace") or self._namespace
        kind = workflow.get("kind") or labels.WORKFLOW
        if kind == labels.JOB:
            workflow = jobs.workflow_from_job(workflow)
            metadata = _metadata(workflow)
        elif kind != labels.WORKFLOW:
            raise Invalid(f"a {kind} is not run; submit a Workflow or a Job, or use --from")
        workflow["kind"] = labels.WORKFLOW
        workflow.setdefault("apiVersion", labels.ARGO_API)
        workflow.pop("status", None)
        for name in _SET_BY_SERVER:
            metadata.pop(name, None)
        for name in _OWN_LABELS:
            metadata["labels"].pop(name, None)
        problems: Sequence[Problem] = await self._lint(workflow, True)
        if has_errors(list(problems)):
            count = sum(1 for p in problems if str(p.severity) == "error")
            raise Invalid(f"the workflow is not valid: {count} problem{'s' if count != 1 else ''}", problems)
        metadata["annotations"].pop(SUBMITTED_BY, None)
        if by:
            metadata["annotations"][SUBMITTED_BY] = by
        return await self._create(workflow, dry_run)

    async def _create(self, workflow: Body, dry_run: bool) -> Body:
        metadata = workflow["metadata"]
        given, prefix = metadata.get("name"), str(metadata.get("generateName") or "")
        if not given and not prefix:
            raise Invalid("the workflow has neither metadata.name nor metadata.generateName; give it one of them")
        for _ in range(_TRIES):
            name = given or f"{prefix[:_LONGEST_PREFIX]}{self._random.suffix()}"
            named = {**workflow, "metadata": {**metadata, "name": name}}
            if dry_run:
                return named
            (written,) = await self._store.write([Write(Verb.CREATE, key_of(named), named)])
            if written.error is None:
                assert written.body is not None
                return written.body
            if given or not isinstance(written.error, AlreadyExists):
                raise written.error
        raise Conflict(f"no free name for {prefix!r} was found in {_TRIES} tries")

    async def submit_from(self, kind: str, namespace: str, name: str, options: Mapping[str, Any], *, by: str) -> Body:
        """Create a run of something that is in force."""
        namespace = namespace or self._namespace
        workflow = await self._from(kind, namespace, name)
        workflow["metadata"]["namespace"] = namespace
        inherited: Sequence[Body] = ()
        if kind in (labels.WORKFLOW_TEMPLATE, labels.CLUSTER_WORKFLOW_TEMPLATE) and options.get("artifacts"):
            body = await self._store.get(Key(kind, "" if kind in labels.CLUSTER_SCOPED else namespace, name))
            inherited = template.artifacts((body.get("spec") or {}).get("arguments"))
        apply_options(workflow, options, inherited)
        dry_run = bool(options.get("dryRun") or options.get("serverDryRun"))
        return await self._submit(workflow, by=by, dry_run=dry_run)

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
        if verb == "retry" and given.get("parameters"):
            live = (await self._store.get(key)).get("spec") or {}
            changed = operations.overridden(live, operations.values_of(given["parameters"]))
            spec = {**(spec or {}), "arguments": {"parameters": changed["arguments"]["parameters"]}}
        if spec is not None:
            await self._store.write([Write(Verb.PATCH, key, {"spec": spec})])
        return await self._store.get(key)

    async def resubmit(self, key: Key, arguments: Mapping[str, Any], *, by: str) -> Body:
        """A new run with the old one's spec and parameters. Source: Argo FormulateResubmitWorkflow."""
        if arguments.get("memoized"):
            raise Invalid("--memoized is not supported; `retry` runs only what failed, within the same workflow")
        old = await self._store.get(key)
        metadata = old["metadata"]
        marks = {k: v for k, v in (metadata.get("labels") or {}).items() if k not in _NOT_RESUBMITTED}
        marks[labels.LABEL_RESUBMITTED_FROM] = key.name
        fresh = _workflow(
            {
                "generateName": str(metadata.get("generateName") or f"{key.name}-"),
                "namespace": key.namespace,
                "labels": marks,
                "annotations": dict(metadata.get("annotations") or {}),
            },
            {k: v for k, v in deepcopy(old.get("spec") or {}).items() if k not in ("shutdown", "suspend")},
        )
        apply_options(fresh, {"parameters": arguments.get("parameters"), "priority": arguments.get("priority")})
        return await self._submit(fresh, by=by)

    async def delete(self, key: Key, *, force: bool, by: str) -> None:
        """End what runs and remove the run with its logs. Raises NotFound."""
        body = await self._store.get(key)
        uid = str(body["metadata"].get("uid"))
        written = (await self._store.write([Write(Verb.DELETE, key, uid=uid)]))[0]
        if written.error is not None:
            raise written.error
        await self._remains.remove_remains(key, uid)


def _workflow(metadata: Body, spec: Body) -> Body:
    return {"apiVersion": labels.ARGO_API, "kind": labels.WORKFLOW, "metadata": metadata, "spec": spec}


def _provenance(body: Body) -> dict[str, str]:
    """Where an object comes from, for the run made of it (decision 5)."""
    metadata = body["metadata"]
    found: Body = {name: (metadata.get("annotations") or {}).get(name) for name in (labels.REVISION, labels.PATH)}
    found[labels.OWNER_SOURCE] = (metadata.get("labels") or {}).get(labels.OWNER_SOURCE)
    return {name: str(value) for name, value in found.items() if value}


def _metadata(workflow: Body) -> Body:
    """The metadata with labels and annotations to be filled, in place. Raises Invalid where they are no mappings."""
    metadata = workflow.setdefault("metadata", {}) or {}
    if not isinstance(metadata, dict):
        raise Invalid("metadata must be a mapping")
    workflow["metadata"] = metadata
    for word in ("labels", "annotations"):
        held = metadata.get(word) or {}
        if not isinstance(held, dict):
            raise Invalid(f"metadata.{word} must be a mapping of names to texts")
        metadata[word] = held
    return metadata


def apply_options(workflow: Body, options: Mapping[str, Any], inherited: Sequence[Body] = ()) -> None:
    """Change a Workflow as Argo's SubmitOpts say. inherited: artifacts that its WorkflowTemplate takes as arguments.

    Raises Invalid. Source: Argo v4.1.2 workflow/util/util.go ApplySubmitOpts, overrideArtifacts.
    """
    metadata = workflow["metadata"]
    spec = workflow["spec"] = workflow.get("spec") or {}
    if options.get("generateName"):
        metadata["generateName"] = str(options["generateName"])
        metadata.pop("name", None)
    if options.get("name"):
        metadata["name"] = str(options["name"])
        metadata.pop("generateName", None)
    for word in ("labels", "annotations"):
        given = options.get(word)
        if not given:
            continue
        held = dict(metadata.get(word) or {})
        for term in str(given).split(","):
            name, separator, value = term.partition("=")
            if not separator or not name.strip() or (word == "labels" and "=" in value):
                raise Invalid(f"{word}: {term!r} is not NAME=VALUE; several are separated by commas")
            held[name.strip()] = value.strip()
        metadata[word] = held
    for option, field in _SPEC_OPTIONS:
        if options.get(option):
            spec[field] = str(options[option])
    if options.get("priority") is not None:
        priority = template.number(options["priority"])
        if priority is None:
            raise Invalid(f"priority {str(options['priority'])[:100]!r} is not a whole number")
        spec["priority"] = priority
    spec.update(operations.overridden(spec, operations.values_of(options.get("parameters") or ())))
    if options.get("artifacts"):
        spec["arguments"] = _with_artifacts(spec.get("arguments") or {}, options["artifacts"], inherited)


_SPEC_OPTIONS = (
    ("entryPoint", "entrypoint"),
    ("serviceAccount", "serviceAccountName"),
    ("podPriorityClassName", "podPriorityClassName"),
)
_KEYS = {"s3": "key", "gcs": "key", "oss": "key", "azure": "blob", "hdfs": "path", "http": "url", "artifactory": "url"}


def _with_artifacts(arguments: Body, given: Sequence[Any], inherited: Sequence[Body]) -> Body:
    """The arguments with `NAME=KEY` put into the locations of the artifacts of those names."""
    known = {str(a.get("name")): a for a in (*inherited, *template.artifacts(arguments))}
    changed = dict[str, Body]()
    for text in given:
        name, separator, key = str(text).partition("=")
        if not separator or not key:
            raise Invalid(f"artifact {text!r} is not NAME=KEY")
        if name not in known:
            raise Invalid(f"the workflow takes no artifact {name!r}; it takes: {', '.join(known) or 'none'}")
        kind = template.location(known[name]) or "s3"
        if kind not in _KEYS:
            raise Invalid(f"artifact {name!r} is of kind {kind}, which has no key")
        changed[name] = {**known[name], kind: {**(known[name].get(kind) or {}), _KEYS[kind]: key}}
    own = [changed.pop(str(a.get("name")), a) for a in template.artifacts(arguments)]
    return {**arguments, "artifacts": [*own, *changed.values()]}
