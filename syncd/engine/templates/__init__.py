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


def launch(machine: Machine, invocation: Invocation, bound: Body, scope: str) -> None:
    """Start a call whose template is bound: as a retry node where a strategy is in force, else as what it is."""
    if not invocation.attempt and machine.retry_strategy(bound) is not None:
        RetryFrame(machine, invocation, bound, scope).begin()
        return
    kind = template.kind(bound)
    frame = _FRAMES.get(kind)
    if frame is not None:
        frame(machine, invocation, bound, scope).begin()
    elif kind:
        machine.broken(
            invocation,
            f"templates of type {kind} are not run by the embedded engine yet; run this workflow in a cluster",
        )
    else:
        machine.broken(invocation, f"Template '{bound.get('name', '')}' missing specification")
