"""A batch/v1 Job as a Workflow, so that the embedded engine runs it like anything else.

One step per completion, `parallelism` at a time, each retried within `backoffLimit`, all of them within
`activeDeadlineSeconds`; several containers of a pod run as the first one with the others as sidecars. Called by `loops` for
`submit --from job/NAME`, for Jobs in git that are to run, and for the children of a CronJob.
Source: Kubernetes batch/v1 JobSpec.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from syncd.argo import labels, template
from syncd.argo.manifest import Body
from syncd.base.errors import Invalid

_MAIN = "main"
_POD_FIELDS = (
    "volumes",
    "nodeSelector",
    "tolerations",
    "affinity",
    "serviceAccountName",
    "automountServiceAccountToken",
    "securityContext",
    "imagePullSecrets",
    "hostAliases",
    "hostNetwork",
    "dnsPolicy",
    "dnsConfig",
    "schedulerName",
)
_INDEX = "completion-index"


def workflow_from_job(job: Body) -> Body:
    """The Workflow that does what the Job asks for; metadata: the Job's name, namespace, labels and annotations.

    Limits are counted for each completion, where Kubernetes counts a Job's failures together; once a pod has failed for
    good no further one is started. Raises Invalid where the Job has no container.
    """
    metadata, spec = _mapping(job.get("metadata")), _mapping(job.get("spec"))
    pod = _mapping(_mapping(spec.get("template")).get("spec"))
    containers = _list(pod.get("containers"))
    name = str(metadata.get("name") or metadata.get("generateName") or "")
    if not containers:
        raise Invalid(f"Job {name!r} has no container: give spec.template.spec.containers one")
    indexed = spec.get("completionMode") == "Indexed"
    work = _pod(pod, containers, indexed)
    retry = _retry_strategy(spec)
    if retry is not None:
        work["retryStrategy"] = retry
    completions, parallelism = template.number(spec.get("completions")), template.number(spec.get("parallelism"))
    count = completions if completions is not None else (parallelism if parallelism is not None else 1)
    workflow_spec: Body
    if count == 1 and not indexed:
        workflow_spec = {"entrypoint": "pod", "templates": [work]}
    else:
        step: Body = {"name": "pod", "template": "pod", "withSequence": {"count": str(max(count, 0))}}
        if indexed:
            step["arguments"] = {"parameters": [{"name": _INDEX, "value": "{{item}}"}]}
        entry: Body = {
            "name": _MAIN,
            "steps": [[step]],
            "parallelism": 1 if parallelism is None else max(parallelism, 1),
        }
        if spec.get("backoffLimitPerIndex") is None:
            entry["failFast"] = True
        workflow_spec = {"entrypoint": _MAIN, "templates": [entry, work]}
    if spec.get("activeDeadlineSeconds") is not None:
        workflow_spec["activeDeadlineSeconds"] = spec["activeDeadlineSeconds"]
    if spec.get("ttlSecondsAfterFinished") is not None:
        workflow_spec["ttlStrategy"] = {"secondsAfterCompletion": spec["ttlSecondsAfterFinished"]}
    if spec.get("suspend") or parallelism == 0:
        # no parallelism: the Job is paused until it gets some
        workflow_spec["suspend"] = True
    for field in _POD_FIELDS:
        if pod.get(field) is not None:
            workflow_spec[field] = pod[field]
    kept = {key: metadata[key] for key in ("name", "generateName", "namespace", "annotations") if metadata.get(key)}
    kept["labels"] = {**_mapping(metadata.get("labels")), labels.JOB_NAME: name.rstrip("-")[:63]}
    return {"apiVersion": labels.ARGO_API, "kind": labels.WORKFLOW, "metadata": kept, "spec": workflow_spec}


def _pod(pod: Body, containers: list[Body], indexed: bool) -> Body:
    """The template of one pod: the first container, the others as sidecars."""
    main, *sidecars = ({**container} for container in containers)
    main.pop("name", None)
    init = [{**container} for container in _list(pod.get("initContainers"))]
    work: Body = {"name": "pod"}
    if indexed:
        # an Indexed Job tells each container which pod it is in
        work["inputs"] = {"parameters": [{"name": _INDEX}]}
        index = {"name": "JOB_COMPLETION_INDEX", "value": f"{{{{inputs.parameters.{_INDEX}}}}}"}
        for container in (main, *sidecars, *init):
            container["env"] = [*_list(container.get("env")), index]
    work["container"] = main
    if init:
        work["initContainers"] = init
    if sidecars:
        work["sidecars"] = sidecars
    if pod.get("activeDeadlineSeconds") is not None:
        work["activeDeadlineSeconds"] = pod["activeDeadlineSeconds"]
    return work


def _retry_strategy(spec: Body) -> Body | None:
    """How a failing pod is tried again; None: not at all."""
    limit = template.number(spec.get("backoffLimitPerIndex"))
    if limit is None:
        limit = template.number(spec.get("backoffLimit"))
    if limit is None:
        limit = 6
    if limit <= 0:
        return None
    # Kubernetes waits 10 s, 20 s, 40 s …, at most six minutes between the pods of a failing Job
    backoff = {"duration": "10", "factor": 2, "cap": "6m"}
    return {"limit": limit, "retryPolicy": "Always", "backoff": backoff}


def _mapping(value: Any) -> Body:
    """The mapping, or an empty one: what is of a wrong type is lint's to tell."""
    return dict(value) if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Body]:
    return [dict(item) for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []
