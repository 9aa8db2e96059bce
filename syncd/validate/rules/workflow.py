"""The WorkflowSpec as a whole: what Workflow, both templates and CronWorkflow share outside of their templates.

Source: Argo v4.1.2 workflow/validate/validate.go Workflow, validateExecutorPlugins, workflow_types.go PodGC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from syncd.argo.manifest import Body, Path
from syncd.validate import raw
from syncd.validate.rules import embedded, hooks, metrics, names, retry, templates

if TYPE_CHECKING:
    from syncd.validate.catalog import Entry
    from syncd.validate.report import Report

_POD_GC: Final = ("OnPodCompletion", "OnPodSuccess", "OnWorkflowCompletion", "OnWorkflowSuccess")
_OPERATORS: Final = ("In", "NotIn", "Exists", "DoesNotExist")


def check(entry: Entry, report: Report) -> None:
    """Everything that does not need to follow a call."""
    spec, path = entry.spec, entry.spec_path
    names.check_list(spec.get("templates"), "spec.templates", (*path, "templates"), report.add)
    if spec.get("workflowTemplateRef") is not None and raw.items(spec.get("templates")):
        message = "Templates is invalid field in spec if workflow referred WorkflowTemplate reference"
        report.add("V242", (*path, "templates"), message)
    _executor_plugins(spec, path, report)
    hooks.check_hooks(
        raw.mapping(spec.get("hooks")),
        (*path, "hooks"),
        "hooks",
        entry,
        report.add,
        spec.get("workflowTemplateRef") is None,
    )
    _pod_gc(spec, path, report)
    templates.pod_resources(spec.get("podResources"), "spec.podResources", (*path, "podResources"), "", report.add)
    rows = raw.mapping(spec.get("metrics")).get("prometheus")
    metrics.check_workflow(rows, (*path, "metrics", "prometheus"), report.add)
    retry.check_strategy(spec.get("retryStrategy"), "spec.retryStrategy", (*path, "retryStrategy"), report.add)
    defaults = raw.mapping(spec.get("templateDefaults"))
    retry.check_strategy(
        defaults.get("retryStrategy"),
        "spec.templateDefaults.retryStrategy",
        (*path, "templateDefaults", "retryStrategy"),
        report.add,
    )
    for field in ("parallelism", "activeDeadlineSeconds"):
        value = spec.get(field)
        if type(value) is int and value < (1 if field == "parallelism" else 0):
            report.add("V229", (*path, field), f"spec.{field} must be at least {1 if field == 'parallelism' else 0}")
    if report.profile.embedded:
        embedded.check_spec(spec, report, path)


def _executor_plugins(spec: Body, path: Path, report: Report) -> None:
    for index, plugin in raw.mappings(spec.get("executorPlugins")):
        container = raw.mapping(raw.mapping(raw.mapping(plugin.get("spec")).get("sidecar")).get("container"))
        resources = raw.mapping(container.get("resources"))
        fault = ""
        if not raw.text(raw.mapping(plugin.get("metadata")).get("name")):
            fault = "executor plugin metadata name is mandatory"
        elif not raw.items(container.get("ports")):
            fault = "at least one port is mandatory"
        elif resources.get("requests") is None:
            fault = "resources requests are mandatory"
        elif resources.get("limits") is None:
            fault = "resources limits are mandatory"
        elif container.get("securityContext") is None:
            fault = "security context is mandatory"
        if fault:
            report.add("V238", (*path, "executorPlugins", index), f"spec.executorPlugins: {fault}")


def _pod_gc(spec: Body, path: Path, report: Report) -> None:
    body = raw.mapping(spec.get("podGC"))
    strategy = raw.text(body.get("strategy"))
    if strategy and strategy not in _POD_GC:
        message = f"podGC.strategy unknown strategy '{strategy}'"
        report.add("V239", (*path, "podGC", "strategy"), message, f"choose one of: {', '.join(_POD_GC)}")
    selector = raw.mapping(body.get("labelSelector"))
    for index, expression in raw.mappings(selector.get("matchExpressions")):
        where = (*path, "podGC", "labelSelector", "matchExpressions", index)
        operator, values = raw.text(expression.get("operator")), raw.items(expression.get("values"))
        if operator not in _OPERATORS:
            message = f'podGC.labelSelector invalid: "{operator}" is not a valid label selector operator'
            report.add("V239", where, message, f"choose one of: {', '.join(_OPERATORS)}")
        elif operator in ("In", "NotIn") and not values:
            report.add(
                "V239", where, "podGC.labelSelector invalid: for 'in', 'notin' operators, values set can't be empty"
            )
        elif fault := next((value for value in raw.strings(values) if not names.is_label_value(value)), ""):
            report.add(
                "V239",
                where,
                f"podGC.labelSelector invalid: values: Invalid value: {fault!r}: a valid label is required",
            )
        elif operator in ("Exists", "DoesNotExist") and values:
            report.add(
                "V239", where, "podGC.labelSelector invalid: values set must be empty for exists and does not exist"
            )
