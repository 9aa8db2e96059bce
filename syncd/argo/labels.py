"""The labels, annotations and kinds that syncd shares with Argo and Kubernetes. Source: Argo v4.1.2 workflow/common/common.go."""

from __future__ import annotations

from typing import Final

ARGO_API: Final = "argoproj.io/v1alpha1"

WORKFLOW: Final = "Workflow"
WORKFLOW_TEMPLATE: Final = "WorkflowTemplate"
CLUSTER_WORKFLOW_TEMPLATE: Final = "ClusterWorkflowTemplate"
CRON_WORKFLOW: Final = "CronWorkflow"
CONFIG_MAP: Final = "ConfigMap"
SECRET: Final = "Secret"  # noqa: S105 - the name of a kind
JOB: Final = "Job"
CRON_JOB: Final = "CronJob"

API_VERSION_OF: Final[dict[str, str]] = {
    WORKFLOW: ARGO_API,
    WORKFLOW_TEMPLATE: ARGO_API,
    CLUSTER_WORKFLOW_TEMPLATE: ARGO_API,
    CRON_WORKFLOW: ARGO_API,
    CONFIG_MAP: "v1",
    SECRET: "v1",
    JOB: "batch/v1",
    CRON_JOB: "batch/v1",
}
"""The kinds that are ours. Anything else in a repository is listed as ignored."""

CLUSTER_SCOPED: Final = frozenset({CLUSTER_WORKFLOW_TEMPLATE})

# Argo's own
PHASE: Final = "workflows.argoproj.io/phase"
COMPLETED: Final = "workflows.argoproj.io/completed"
LABEL_CRON_WORKFLOW: Final = "workflows.argoproj.io/cron-workflow"
LABEL_WORKFLOW_TEMPLATE: Final = "workflows.argoproj.io/workflow-template"
LABEL_CLUSTER_WORKFLOW_TEMPLATE: Final = "workflows.argoproj.io/cluster-workflow-template"
LABEL_RESUBMITTED_FROM: Final = "workflows.argoproj.io/resubmitted-from-workflow"
SCHEDULED_TIME: Final = "workflows.argoproj.io/scheduled-time"
INSTANCE_ID: Final = "workflows.argoproj.io/controller-instanceid"
CRON_COMPLETED: Final = "cronworkflows.argoproj.io/completed"
LAST_USED_SCHEDULE: Final = "cronworkflows.argoproj.io/last-used-schedule"
CONFIG_MAP_TYPE: Final = "workflows.argoproj.io/configmap-type"

# syncd's own
OWNER_SOURCE: Final = "syncd.io/source"  # label: name of the source that owns the object
SHORT_SHA: Final = "syncd.io/commit"  # label: first 12 characters of the commit that last changed it
REVISION: Final = "syncd.io/revision"  # annotation: main@sha1:<sha>
PATH: Final = "syncd.io/path"  # annotation: file:line in the source
DIGEST: Final = "syncd.io/digest"  # annotation: what was applied, to tell drift from change
PRUNE: Final = "syncd.io/prune"  # annotation by the user: "disabled" = never pruned
RUN: Final = "syncd.io/run"  # annotation by the user: "once" = a Workflow or Job in git is run
DST: Final = "syncd.io/dst"  # annotation by the user: skip | once | both
CATCH_UP: Final = "syncd.io/catch-up"  # annotation by the user: none | latest | all
JOB_NAME: Final = "syncd.io/job"  # label on a Workflow made from a batch/v1 Job
CRON_JOB_NAME: Final = "syncd.io/cron-job"  # label on a Workflow fired by a batch/v1 CronJob
BY_HAND: Final = "syncd.io/by-hand"  # annotation: who changed an owned field by hand, and since when
FINISH_WITHIN: Final = "syncd.io/finish-within"  # annotation by the user: by when after its slot a run should succeed
CHILD_INSTANCE_ID: Final = "syncd.io/instance-id"  # annotation: the instance id that git gave a cron that syncd fires

SYNCD_INSTANCE: Final = "syncd"
"""The instance id that keeps Argo's scheduler away from a cron (decision 2 of the architecture)."""
