"""A batch/v1 Job as a Workflow, so that the embedded engine runs it like anything else.

One step per completion, `parallelism` at a time, each retried within `backoffLimit`, all of them within
`activeDeadlineSeconds`; several containers of a pod run as the first one with the others as sidecars. Called by `loops` for
`submit --from job/NAME`, for Jobs in git that are to run, and for the children of a CronJob.
Source: Kubernetes batch/v1 JobSpec.
"""

from __future__ import annotations

from collections.abc import Mapping

from syncd.argo import labels, template
from syncd.argo.manifest import Body
from syncd.base.errors import Invalid

_MAIN = "main"
_POD_FIELDS = ("volumes", "nodeSelector", "tolerations", "affinity", "serviceAccountName", "securityContext")


def workflow_from_job(job: Body) -> Body:
    """The Workflow that does what the Job asks for; metadata: the Job's name, namespace, labels and annotations.

    Raises Invalid where the Job has no container.
    """
    metadata = job.get("metadata") or {}
    spec = job.get("spec") or {}
    pod = (spec.get("template") or {}).get("spec") or {}
    containers = [dict(c) for c in pod.get("containers") or () if isinstance(c, Mapping)]
    name = str(metadata.get("name") or metadata.get("generateName") or "")
    if not containers:
        raise Invalid(f"Job {name!r} has no container: give spec.template.spec.containers one")
    main, *sidecars = containers
    main.pop("name", None)
    work: Body = {"name": "pod", "container": main}
    if pod.get("initContainers"):
        work["initContainers"] = list(pod["initContainers"])
    if sidecars:
        work["sidecars"] = sidecars
    backoff_limit = template.number(spec.get("backoffLimit"))
    work["retryStrategy"] = {
        "limit": 6 if backoff_limit is None else backoff_limit,
        "retryPolicy": "Always",
        # Kubernetes waits 10 s, 20 s, 40 s …, at most six minutes between the pods of a failing Job
        "backoff": {"duration": "10", "factor": 2, "cap": "6m"},
    }
    if pod.get("restartPolicy") == "Never" and backoff_limit == 0:
        work.pop("retryStrategy")
    completions = template.number(spec.get("completions"))
    parallelism = template.number(spec.get("parallelism"))
    count = completions if completions is not None else (parallelism if parallelism is not None else 1)
    workflow_spec: Body = {"entrypoint": _MAIN, "templates": [work]}
    if count == 1:
        workflow_spec["entrypoint"] = "pod"
    else:
        indexed = spec.get("completionMode") == "Indexed"
        step: Body = {"name": "pod", "template": "pod", "withSequence": {"count": str(count)}}
        if indexed:
            # an Indexed Job tells each pod which one it is
            step["arguments"] = {"parameters": [{"name": "completion-index", "value": "{{item}}"}]}
            work["inputs"] = {"parameters": [{"name": "completion-index"}]}
            main["env"] = [
                *(main.get("env") or ()),
                {"name": "JOB_COMPLETION_INDEX", "value": "{{inputs.parameters.completion-index}}"},
            ]
        entry: Body = {"name": _MAIN, "steps": [[step]]}
        if parallelism is not None and parallelism > 0:
            entry["parallelism"] = parallelism
        elif parallelism is None:
            entry["parallelism"] = 1
        workflow_spec["templates"] = [entry, work]
    if spec.get("activeDeadlineSeconds") is not None:
        workflow_spec["activeDeadlineSeconds"] = spec["activeDeadlineSeconds"]
    if spec.get("ttlSecondsAfterFinished") is not None:
        workflow_spec["ttlStrategy"] = {"secondsAfterCompletion": spec["ttlSecondsAfterFinished"]}
    if spec.get("suspend"):
        workflow_spec["suspend"] = True
    for field in _POD_FIELDS:
        if pod.get(field) is not None:
            workflow_spec[field] = pod[field]
    kept = {key: metadata[key] for key in ("name", "generateName", "namespace", "annotations") if metadata.get(key)}
    kept["labels"] = {**(metadata.get("labels") or {}), labels.JOB_NAME: name.rstrip("-")[:63]}
    return {"apiVersion": labels.ARGO_API, "kind": labels.WORKFLOW, "metadata": kept, "spec": workflow_spec}
