"""Spellings that Argo has given up: what to write instead.

The walker of fields does not know them, so `structure` asks here before it calls a field unknown. With `Profile.as_argo` they
are unknown fields, as to Argo v4.1. Source: Argo docs/upgrading.md, the types of v2 and v3.
"""

from __future__ import annotations

from typing import Final

ACCEPTED: Final[dict[tuple[str, str], str]] = {
    ("CronWorkflowSpec", "schedule"): 'write schedules: ["…"]: a list',
    ("Synchronization", "mutex"): "write mutexes: a list",
    ("Synchronization", "semaphore"): "write semaphores: a list",
}
"""(struct, field) → the fix. Understood by syncd as it was meant."""

REMOVED: Final[dict[tuple[str, str], str]] = {
    ("WorkflowSpec", "podPriority"): "use podPriorityClassName",
    ("Template", "podPriority"): "use priorityClassName",
    ("Template", "priority"): "use priorityClassName",
    ("WorkflowSpec", "ttlSecondsAfterFinished"): "use ttlStrategy: {secondsAfterCompletion: …}",
    ("WorkflowSpec", "ttlSecondsAfterCompletion"): "use ttlStrategy: {secondsAfterCompletion: …}",
    ("Template", "template"): "call the template from a step or a task instead",
    (
        "Template",
        "templateRef",
    ): "call the template from a step or a task instead, or use workflowTemplateRef in the spec",
    ("Template", "arguments"): "give arguments where the template is called; a template declares inputs",
    ("Template", "resubmitPendingPods"): "use retryStrategy with retryPolicy: OnError",
    ("Template", "executorPlugins"): "it belongs to spec",
    ("TemplateRef", "runtimeResolution"): "remove it: templates are always resolved when the workflow runs",
    ("CronWorkflowSpec", "jobTemplate"): "that is batch/v1 CronJob; a CronWorkflow has workflowSpec",
    ("WorkflowSpec", "schedule"): "schedules belong to a CronWorkflow",
    ("WorkflowSpec", "volumeClaimTemplate"): "use volumeClaimTemplates: a list",
}
"""(struct, field) → what to do. The field has no effect any more."""
