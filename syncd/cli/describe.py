"""A Workflow in words, as `argo get` prints it: the block of facts, then the tree. Pure but for the terminal's colours.

Called by `commands` (get, submit, watch, retry, resubmit). Source: Argo v4.1.2 cmd/argo/commands/common/get.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from syncd.argo import labels
from syncd.argo.manifest import Body
from syncd.base import units
from syncd.cli import output, tree
from syncd.cli.output import Terminal

_CONDITION_ICONS: Final = {"MetricsError": ("✖", output.RED), "SpecWarning": ("⚠", output.YELLOW)}
_LOCATIONS: Final = ("s3", "git", "http", "artifactory", "hdfs", "raw", "oss", "gcs", "azure", "local")


def workflow_status(workflow: Body) -> str:
    """The status that people read: the phase, and what else matters. Source: util/printer WorkflowStatus.

    >>> workflow_status({"metadata": {}, "spec": {"suspend": True}, "status": {"phase": "Running"}})
    'Running (Suspended)'
    """
    status, spec = workflow.get("status") or {}, workflow.get("spec") or {}
    phase = str(status.get("phase") or "")
    if phase == "Running" and (spec.get("suspend") or _waits(status.get("nodes") or {})):
        return "Running (Suspended)"
    if phase == "Failed" and spec.get("shutdown"):
        return "Failed (Terminated)"
    if phase in ("", "Pending"):
        return "Pending" if workflow["metadata"].get("creationTimestamp") else "Unknown"
    return phase


def _waits(nodes: Mapping[str, Body]) -> bool:
    return any(node.get("type") == "Suspend" and node.get("phase") == "Running" for node in nodes.values())


def fact(name: str, value: Any, width: int = 20) -> str:
    """One line of a block of facts."""
    return f"{name:<{width}} {output.clean(value)}".rstrip()


def header(workflow: Body, at: datetime, terminal: Terminal) -> list[str]:
    """The facts about a run, a line each."""
    metadata, spec, status = workflow["metadata"], workflow.get("spec") or {}, workflow.get("status") or {}
    stored = status.get("storedWorkflowTemplateSpec") or {}
    whole = {**stored, **spec} if spec.get("workflowTemplateRef") else spec
    account = whole.get("serviceAccountName") or (
        "unset" if spec.get("workflowTemplateRef") else "unset (will run with the default ServiceAccount)"
    )
    lines = [
        fact("Name:", metadata.get("name", "")),
        fact("Namespace:", metadata.get("namespace", "")),
        fact("ServiceAccount:", account),
        fact("Status:", workflow_status(workflow)),
    ]
    if status.get("message"):
        lines.append(fact("Message:", status["message"]))
    lines += conditions(status.get("conditions") or (), terminal)
    lines.append(fact("Created:", output.timestamp(metadata.get("creationTimestamp"), at)))
    for name, field in (("Started:", "startedAt"), ("Finished:", "finishedAt")):
        if status.get(field):
            lines.append(fact(name, output.timestamp(status[field], at)))
    if begun := output.moment(status.get("startedAt")):
        ended = output.moment(status.get("finishedAt")) or at
        lines.append(fact("Duration:", units.human_duration_long(ended - begun)))
    lines.append(fact("Progress:", status.get("progress") or ""))
    lines += provenance(metadata)
    given = (spec.get("arguments") or {}).get("parameters") or (whole.get("arguments") or {}).get("parameters") or ()
    lines += parameters("Parameters:", given)
    made = status.get("outputs") or {}
    lines += parameters("Output Parameters:", made.get("parameters") or ())
    if made.get("artifacts"):
        lines.append(fact("Output Artifacts:", ""))
        lines += [fact(f"  {a.get('name', '')}:", location(a)) for a in made["artifacts"]]
    return lines


def provenance(metadata: Body, width: int = 20) -> list[str]:
    """Which source and which commit an object comes from; nothing where it comes from none."""
    annotations = metadata.get("annotations") or {}
    source = (metadata.get("labels") or {}).get(labels.OWNER_SOURCE) or annotations.get(labels.OWNER_SOURCE)
    found = (
        ("Source:", source),
        ("Revision:", annotations.get(labels.REVISION)),
        ("Path:", annotations.get(labels.PATH)),
    )
    return [fact(name, value, width) for name, value in found if value]


def parameters(title: str, given: Any, width: int = 20) -> list[str]:
    """A block of parameters with their values; those without one are left out, as Argo does."""
    if not given:
        return []
    lines = [fact(title, "", width)]
    for parameter in given:
        value = parameter.get("value", parameter.get("default") if title.startswith("Output") else None)
        if value is not None:
            lines.append(fact(f"  {parameter.get('name', '')}:", value, width))
    return lines


def conditions(given: Any, terminal: Terminal, width: int = 20) -> list[str]:
    """The block of conditions; nothing where there are none."""
    if not given:
        return []
    lines = [fact("Conditions:", "", width)]
    for condition in given:
        kind = str(condition.get("type", ""))
        icon, colour = _CONDITION_ICONS.get(kind, ("", 0))
        told = output.clean(condition.get("message") or condition.get("status") or "")
        head = f"{icon} {kind}"
        lines.append(f"{terminal.paint(icon, colour)} {kind}{' ' * max(0, width - len(head))} {told}")
    return lines


def location(artifact: Mapping[str, Any]) -> str:
    """Where an artifact lies, in one word."""
    for kind in _LOCATIONS:
        found = artifact.get(kind)
        if isinstance(found, Mapping):
            bucket, key = (
                found.get("bucket"),
                found.get("key") or found.get("repo") or found.get("url") or found.get("path"),
            )
            if kind == "raw":
                return f"raw ({len(str(found.get('data', '')))} characters)"
            return f"{kind}://{bucket}/{key}" if bucket else str(key or kind)
    return ""


def get(
    workflow: Body,
    at: datetime,
    terminal: Terminal,
    *,
    form: str = "",
    wanted: Callable[[Body], bool] = lambda _: True,
) -> list[str]:
    """All that `get` prints of a run. form: "" | "short" | "wide"."""
    shape = form if form in tree.HEADS else ""
    drawn = tree.rows(workflow, at, form=shape, utf8=terminal.utf8, paint=terminal.paint, wanted=wanted)
    lines = output.table(drawn, gap=2) if drawn else []
    if shape == "short":
        return lines
    return [*header(workflow, at, terminal), *([""] if lines else []), *lines]
