"""The catalogue of variables: every name that a tag or an expression may use, with its type, scopes and meaning.

One literal table, read by `validate` (is this name known here?) and by the generated documentation.
After Argo v4.1.2 util/variables/keys; a step in angle brackets stands for one that the user chooses.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

WORKFLOW = "workflow"  # anywhere in a workflow
EXIT = "exit"  # exit handlers and workflow hooks
TEMPLATE = "template"  # the body of any template
POD = "pod"  # the body of a template that runs a process
STEPS = "steps"  # the body of a steps template, behind the node that is named
DAG = "dag"  # the body of a dag template, behind the node that is named
LOOP = "loop"  # within withItems, withParam, withSequence
RETRY = "retry"  # within a template that has a retryStrategy
METRIC = "metric"  # metrics of a template
WORKFLOW_METRIC = "workflow-metric"  # metrics of the workflow
HTTP = "http"  # successCondition of an http template
CRON = "cron"  # when and stopStrategy of a CronWorkflow

SCOPES: Final = frozenset([WORKFLOW, EXIT, TEMPLATE, POD, STEPS, DAG, LOOP, RETRY, METRIC, WORKFLOW_METRIC, HTTP, CRON])


@dataclass(frozen=True, slots=True)
class Variable:
    """name: dotted, with <steps> to choose; type: string, json, map, int, time or artifact; scopes: where it is known."""

    name: str
    type: str
    scopes: frozenset[str]
    meaning: str


def _v(name: str, type_: str, scopes: str, meaning: str) -> Variable:
    return Variable(name, type_, frozenset(scopes.split()), meaning)


def _node(root: str, scope: str) -> tuple[Variable, ...]:
    word = "step" if root == "steps" else "task"
    at = f"{root}.<name>"
    return (
        _v(f"{at}.id", "string", scope, f"node id of the {word}"),
        _v(f"{at}.ip", "string", scope, f"address of the {word}, while it runs as a daemon"),
        _v(f"{at}.status", "string", scope, f"phase of the {word}"),
        _v(f"{at}.exitCode", "string", scope, f"exit code of the {word}"),
        _v(f"{at}.startedAt", "string", scope, f"when the {word} began, RFC 3339"),
        _v(f"{at}.finishedAt", "string", scope, f"when the {word} ended, RFC 3339"),
        _v(f"{at}.hostNodeName", "string", scope, f"machine that the {word} ran on"),
        _v(f"{at}.outputs.result", "string", scope, f"standard output of the {word}; of a loop a JSON list of them"),
        _v(f"{at}.outputs.parameters", "json", scope, "of a loop: JSON list of the outputs of each of its members"),
        _v(f"{at}.outputs.parameters.<name>", "string", scope, "output parameter; of a loop a JSON list of them"),
        _v(f"{at}.outputs.artifacts.<name>", "artifact", scope, "output artifact"),
    )


CATALOGUE: Final[tuple[Variable, ...]] = (
    _v("workflow.name", "string", "workflow", "name of the workflow"),
    _v("workflow.namespace", "string", "workflow", "its namespace"),
    _v("workflow.uid", "string", "workflow", "its uid; good for names that must not clash"),
    _v("workflow.mainEntrypoint", "string", "workflow", "template that it began with"),
    _v("workflow.serviceAccountName", "string", "workflow", "service account that it runs as"),
    _v("workflow.priority", "string", "workflow", "spec.priority; unknown where that is not set"),
    _v("workflow.creationTimestamp", "string", "workflow", "when it was made, RFC 3339"),
    _v("workflow.creationTimestamp.RFC3339", "string", "workflow", "when it was made, RFC 3339"),
    _v("workflow.creationTimestamp.s", "string", "workflow", "when it was made, in seconds since 1970"),
    _v("workflow.creationTimestamp.<format>", "string", "workflow", "when it was made, by one letter of strftime"),
    _v("workflow.scheduledTime", "string", "workflow", "slot of the CronWorkflow that made it; unknown otherwise"),
    _v("workflow.parameters", "json", "workflow", "all parameters as a JSON list"),
    _v("workflow.parameters.json", "json", "workflow", "all parameters as a JSON list"),
    _v("workflow.parameters.<name>", "string", "workflow", "parameter of spec.arguments"),
    _v("workflow.labels", "json", "workflow", "all labels as a JSON object (deprecated, use workflow.labels.json)"),
    _v("workflow.labels.json", "json", "workflow", "all labels as a JSON object"),
    _v("workflow.labels.<name>", "string", "workflow", "label of the workflow"),
    _v(
        "workflow.annotations",
        "json",
        "workflow",
        "all annotations as a JSON object (deprecated, use …annotations.json)",
    ),
    _v("workflow.annotations.json", "json", "workflow", "all annotations as a JSON object"),
    _v("workflow.annotations.<name>", "string", "workflow", "annotation of the workflow"),
    _v("workflow.outputs.parameters.<name>", "string", "workflow", "output parameter that a node gave a globalName"),
    _v("workflow.outputs.artifacts.<name>", "artifact", "workflow", "output artifact that a node gave a globalName"),
    _v("workflow.status", "string", "exit workflow-metric", "phase of the workflow"),
    _v("workflow.duration", "string", "workflow", "seconds since it began, with a fraction"),
    _v("workflow.failures", "json", "exit", "JSON list of the nodes that failed, quoted once more"),
    _v("inputs.parameters", "json", "template", "all input parameters as a JSON list"),
    _v("inputs.parameters.<name>", "string", "template metric", "input parameter of this template"),
    _v("inputs.artifacts.<name>", "artifact", "template", "input artifact of this template"),
    _v("inputs.artifacts.<name>.path", "string", "pod", "where the input artifact lies"),
    _v("outputs.artifacts.<name>.path", "string", "pod", "where the output artifact is taken from"),
    _v("outputs.parameters.<name>.path", "string", "pod", "where the output parameter is taken from"),
    _v("node.name", "string", "template", "full name of the node"),
    _v("pod.name", "string", "pod", "name of the pod, or of what stands for it"),
    _v("steps.name", "string", "steps", "name of the current step"),
    _v("tasks.name", "string", "dag", "name of the current task"),
    *_node("steps", "steps"),
    *_node("tasks", "dag"),
    _v("item", "string", "loop", "current item; a map or a list as JSON"),
    _v("item.<key>", "string", "loop", "member of the current item, where that is a map"),
    _v("retries", "string", "retry metric", "how many attempts were made before this one, from 0"),
    _v("lastRetry.exitCode", "string", "retry", "exit code of the attempt before; 0 at the first"),
    _v("lastRetry.status", "string", "retry", "phase of the attempt before; empty at the first"),
    _v("lastRetry.duration", "string", "retry", "seconds that the attempt before took; 0 at the first"),
    _v("lastRetry.message", "string", "retry", "message of the attempt before; empty at the first"),
    _v("status", "string", "metric", "phase of the node"),
    _v("duration", "string", "metric", "seconds that the node took"),
    _v("exitCode", "string", "metric", "exit code of the node"),
    _v("resourcesDuration.<resource>", "string", "metric", "seconds of cpu or memory that the node used"),
    _v("outputs.result", "string", "metric", "standard output of the node"),
    _v("outputs.parameters.<name>", "string", "metric", "output parameter of the node"),
    _v("request.method", "string", "http", "method of the request"),
    _v("request.url", "string", "http", "address of the request"),
    _v("request.body", "string", "http", "body of the request"),
    _v("request.headers", "map", "http", "headers of the request"),
    _v("request.headers.<name>", "string", "http", "header of the request"),
    _v("response.statusCode", "int", "http", "status of the response"),
    _v("response.body", "string", "http", "body of the response"),
    _v("response.headers", "map", "http", "headers of the response"),
    _v("response.headers.<name>", "string", "http", "header of the response"),
    _v("cronworkflow.name", "string", "cron", "name of the CronWorkflow"),
    _v("cronworkflow.namespace", "string", "cron", "its namespace"),
    _v("cronworkflow.labels", "map", "cron", "its labels"),
    _v("cronworkflow.labels.json", "json", "cron", "its labels as a JSON object"),
    _v("cronworkflow.labels.<name>", "string", "cron", "one of its labels"),
    _v("cronworkflow.annotations", "map", "cron", "its annotations"),
    _v("cronworkflow.annotations.json", "json", "cron", "its annotations as a JSON object"),
    _v("cronworkflow.annotations.<name>", "string", "cron", "one of its annotations"),
    _v("cronworkflow.lastScheduledTime", "time", "cron", "the slot that fired last; nil before the first"),
    _v("cronworkflow.failed", "int", "cron", "how many of its workflows have failed"),
    _v("cronworkflow.succeeded", "int", "cron", "how many of its workflows have succeeded"),
)

_OPEN_ENDED: Final = frozenset(
    [
        "workflow.parameters.<name>",
        "workflow.labels.<name>",
        "workflow.annotations.<name>",
        "item.<key>",
        "request.headers.<name>",
        "response.headers.<name>",
        "cronworkflow.labels.<name>",
        "cronworkflow.annotations.<name>",
        "inputs.parameters.<name>",
        "workflow.outputs.parameters.<name>",
        "workflow.outputs.artifacts.<name>",
        "outputs.parameters.<name>",
    ]
)
"""Names whose last step may itself hold dots (label keys do; parameter names may)."""


def find(name: str) -> tuple[Variable, ...]:
    """The rows of the catalogue that the name fits, those with a fixed name first.

    >>> [v.name for v in find("steps.build.outputs.parameters.x")]
    ['steps.<name>.outputs.parameters.<name>']
    """
    return _find(name) if len(name) <= 300 else ()


@lru_cache(maxsize=4096)
def _find(name: str) -> tuple[Variable, ...]:
    steps = name.split(".")
    rows = [row for row in CATALOGUE if _fits(row.name, steps)]
    return tuple(sorted(rows, key=lambda row: row.name.count("<")))


def _fits(pattern: str, steps: list[str]) -> bool:
    wanted = pattern.split(".")
    if len(steps) > len(wanted) and pattern in _OPEN_ENDED:
        steps = [*steps[: len(wanted) - 1], ".".join(steps[len(wanted) - 1 :])]
    if len(steps) != len(wanted) or "" in steps:
        return False
    return all(w == s or w[0] == "<" for w, s in zip(wanted, steps, strict=True))


def in_scope(name: str, scopes: frozenset[str]) -> bool:
    """Whether a variable of that name can be known in one of the scopes. Whether it is there is another question.

    >>> in_scope("item.os", frozenset([LOOP])), in_scope("item.os", frozenset([TEMPLATE]))
    (True, False)
    """
    return any(not row.scopes.isdisjoint(scopes) for row in find(name))


def roots() -> frozenset[str]:
    """The first steps of all names: what a tag that is meant for syncd begins with."""
    return frozenset(row.name.partition(".")[0] for row in CATALOGUE)
