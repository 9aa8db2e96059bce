"""One file per template type; `launch` is the table that starts the right one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncd.argo import template
from syncd.argo.manifest import Body
from syncd.engine.frames import Frame, Invocation
from syncd.engine.templates.dag import DagFrame
from syncd.engine.templates.leaf import LeafFrame
from syncd.engine.templates.retry import RetryFrame
from syncd.engine.templates.steps import StepsFrame
from syncd.engine.templates.suspend import SuspendFrame

if TYPE_CHECKING:
    from syncd.engine.machine import Machine

_FRAMES: dict[str, type[Frame]] = {
    "container": LeafFrame,
    "script": LeafFrame,
    "steps": StepsFrame,
    "dag": DagFrame,
    "suspend": SuspendFrame,
}

_NOT_YET = {"synchronization": "mutexes and semaphores are", "daemon": "daemon steps are"}
"""Fields of a template that may not be passed over: a lock not taken is worse than a step not run."""


def launch(machine: Machine, invocation: Invocation, bound: Body, scope: str) -> None:
    """Start a call whose template is bound: as a retry node where a strategy is in force, else as what it is."""
    if not invocation.attempt and machine.retry_strategy(bound) is not None:
        RetryFrame(machine, invocation, bound, scope).begin()
        return
    unable = next((field for field, word in _NOT_YET.items() if bound.get(field)), "")
    if unable:
        machine.broken(
            invocation, f"{_NOT_YET[unable]} not run by the embedded engine yet; run this workflow in a cluster"
        )
        return
    kind = template.kind(bound)
    frame = _FRAMES.get(kind)
    missing = _missing_volume(machine, bound) if frame is LeafFrame else ""
    if missing:
        machine.broken(invocation, f"volume '{missing}' not found in workflow spec")
    elif frame is not None:
        frame(machine, invocation, bound, scope).begin()
    elif kind:
        machine.broken(
            invocation,
            f"templates of type {kind} are not run by the embedded engine yet; run this workflow in a cluster",
        )
    else:
        machine.broken(invocation, f"Template '{bound.get('name', '')}' missing specification")


def _missing_volume(machine: Machine, bound: Body) -> str:
    """The first volume that a container mounts and nobody declares; "" = there is none. Source: Argo workflowpod.go."""
    mounts = [
        str(mount.get("name"))
        for container in (bound.get("container"), bound.get("script"), *(bound.get("initContainers") or ()))
        for mount in (container or {}).get("volumeMounts") or ()
    ]
    if not mounts:
        return ""
    known = {str(v.get("name")) for v in (*(machine.spec.get("volumes") or ()), *(bound.get("volumes") or ()))}
    known |= {str((c.get("metadata") or {}).get("name")) for c in machine.spec.get("volumeClaimTemplates") or ()}
    return next((name for name in mounts if name not in known), "")
