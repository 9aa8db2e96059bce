"""Where a run comes from, read off its labels and annotations. Pure; used by `loops`, `app` and `observe`."""

from __future__ import annotations

from syncd.argo import labels
from syncd.argo.manifest import Body


def origin_of(workflow: Body) -> str:
    """Where a run comes from, as a bounded label: `cron/NAME`, `template/NAME`, `job/NAME` or `workflow`."""
    marks = workflow["metadata"].get("labels") or {}
    for label, word in (
        (labels.LABEL_CRON_WORKFLOW, "cron"),
        (labels.CRON_JOB_NAME, "cron"),
        (labels.LABEL_WORKFLOW_TEMPLATE, "template"),
        (labels.LABEL_CLUSTER_WORKFLOW_TEMPLATE, "template"),
        (labels.JOB_NAME, "job"),
    ):
        if marks.get(label):
            return f"{word}/{marks[label]}"
    return "workflow"


def revision_of(workflow: Body) -> str:
    """The revision that a run was made from; "" where no source stands behind it."""
    return str((workflow["metadata"].get("annotations") or {}).get(labels.REVISION, ""))
