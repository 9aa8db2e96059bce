"""The Workflow that a slot becomes: the child's name and body, nothing else.

In: a cron, a slot and the revision in force. Out: a body to create; its name is the lock that keeps a slot from firing
twice. Called by `due` (the name) and `loops.fire` (the body).
Source: Argo v4.1.2 workflow/common/convert.go ConvertCronWorkflowToWorkflowWithProperties, cron/operator.go
getChildWorkflowName.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from syncd.argo import labels
from syncd.argo.crons import CronWorkflow
from syncd.argo.manifest import Body
from syncd.base.clock import rfc3339

_CREATOR: Final = (
    "workflows.argoproj.io/creator",
    "workflows.argoproj.io/creator-email",
    "workflows.argoproj.io/creator-preferred-username",
)
_COPIED_LABELS: Final = (labels.OWNER_SOURCE, labels.SHORT_SHA)
_COPIED_ANNOTATIONS: Final = (labels.REVISION, labels.PATH)


def child_name(cron_name: str, slot: datetime) -> str:
    """The name of the child of a slot, the same on every replica.

    >>> from datetime import UTC
    >>> child_name("nightly", datetime(2026, 11, 22, 1, 30, tzinfo=UTC))
    'nightly-1795311000'
    """
    return f"{cron_name}-{int(slot.timestamp())}"


def child(cron: CronWorkflow, slot: datetime, revision: str = "", instance: str = "") -> Body:
    """The Workflow to create for `slot`.

    instance: id of the workflow-controller that shall run it where the cron names none, "" = the one without an id;
    revision: of the source in force, `main@sha1:<sha>`; "" = as annotated on the cron itself (decision 14).
    Raises Invalid where a CronJob's Job cannot be run as a workflow.
    """
    return _workflow(cron, {"name": child_name(cron.key.name, slot)}, slot, revision, instance)


def manual(cron: CronWorkflow, name: str, now: datetime, revision: str = "", instance: str = "") -> Body:
    """The Workflow of `cron trigger`: scheduled now. name: `<cron>-` and a random suffix, as Argo's generateName makes."""
    return _workflow(cron, {"name": name, "generateName": f"{cron.key.name}-"}, now, revision, instance)


def owned_by(body: Mapping[str, Any], cron: CronWorkflow) -> bool:
    """Whether a Workflow is this cron's child: by the uid of its owner, not by its name."""
    references = (body.get("metadata") or {}).get("ownerReferences") or []
    return any(isinstance(r, dict) and r.get("uid") == cron.uid for r in references)


def _workflow(cron: CronWorkflow, names: Body, slot: datetime, revision: str, instance: str) -> Body:
    body: Body = {"apiVersion": labels.ARGO_API, "kind": labels.WORKFLOW, "spec": cron.workflow_spec}
    tags: dict[str, str] = {}
    notes: dict[str, str] = {}
    if cron.job is not None:
        from syncd.argo import jobs  # only crons of this kind need it

        body = jobs.workflow_from_job(cron.job)
        own = body.get("metadata") or {}
        tags.update(own.get("labels") or {})
        notes.update(own.get("annotations") or {})
        tags[labels.CRON_JOB_NAME] = _label_value(cron.key.name)
    tags.update({key: cron.labels[key] for key in (*_CREATOR, *_COPIED_LABELS) if key in cron.labels})
    own = cron.labels.get(labels.INSTANCE_ID)
    if own is not None and own != labels.SYNCD_INSTANCE:
        tags[labels.INSTANCE_ID] = own
    elif instance := cron.annotations.get(labels.CHILD_INSTANCE_ID) or instance:
        tags[labels.INSTANCE_ID] = instance  # decision 2: syncd's only keeps Argo's scheduler away
    tags[labels.LABEL_CRON_WORKFLOW] = cron.key.name
    notes[labels.SCHEDULED_TIME] = rfc3339(slot)
    notes.update({key: cron.annotations[key] for key in _COPIED_ANNOTATIONS if key in cron.annotations})
    if revision:
        notes[labels.REVISION] = revision
        if (sha := re.search(r"@[a-z0-9]+:([0-9a-f]{12,})$", revision)) is not None:
            tags[labels.SHORT_SHA] = sha[1][:12]
    tags.update(_texts(cron.workflow_metadata.get("labels")))
    notes.update(_texts(cron.workflow_metadata.get("annotations")))
    metadata: Body = {
        **names,
        "namespace": cron.key.namespace,
        "labels": tags,
        "annotations": notes,
        "ownerReferences": [
            {
                "apiVersion": labels.API_VERSION_OF.get(cron.key.kind, labels.ARGO_API),
                "kind": cron.key.kind,
                "name": cron.key.name,
                "uid": cron.uid,
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }
    finalizers = cron.workflow_metadata.get("finalizers")
    if isinstance(finalizers, list) and finalizers:
        metadata["finalizers"] = [str(name) for name in finalizers]
    return {**body, "metadata": metadata}


def _label_value(text: str) -> str:
    return text[:63].rstrip("-_.")


def _texts(value: Any) -> dict[str, str]:
    return {str(k): str(v) for k, v in value.items()} if isinstance(value, dict) else {}
