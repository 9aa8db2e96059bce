"""Workflows with a status, built short: `run("hi", pod("a"), …)`."""

from __future__ import annotations

from typing import Any

from syncd.argo import status
from syncd.argo.manifest import Body

START = "2026-01-01T00:00:00Z"


def node(kind: str, name: str, *, under: str = "", phase: str = "Succeeded", at: int = 0, **more: Any) -> Body:
    """A node of the run `hi`. name: as Argo writes it, after the run's; under: likewise, its boundary."""
    full = f"hi{name}"
    shown = more.pop("shown", name.lstrip(".").rpartition(".")[2] or full)
    made: Body = {
        "id": identity(name),
        "name": full,
        "displayName": shown,
        "type": kind,
        "phase": phase,
        "startedAt": f"2026-01-01T00:00:{at:02}Z",
        "finishedAt": f"2026-01-01T00:00:{at + 2:02}Z" if phase not in ("Running", "Pending") else None,
    }
    if under or name:
        made["boundaryID"] = identity(under)
    if "children" in more:
        made["children"] = [identity(child) for child in more.pop("children")]
    return made | more


def identity(name: str) -> str:
    return status.node_id("hi", f"hi{name}")


def pod(name: str, template: str = "echo", **more: Any) -> Body:
    return node("Pod", name, templateName=template, **more)


def run(*nodes: Body, phase: str = "Succeeded", **more: Any) -> Body:
    """The Workflow `hi` with these nodes."""
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": "hi", "namespace": "default", "creationTimestamp": START, **more.pop("metadata", {})},
        "spec": {"entrypoint": "main", **more.pop("spec", {})},
        "status": {
            "phase": phase,
            "startedAt": START,
            "finishedAt": "2026-01-01T00:01:05Z" if phase in ("Succeeded", "Failed", "Error") else None,
            "progress": "1/1",
            "nodes": {made["id"]: made for made in nodes},
            **more,
        },
    }
