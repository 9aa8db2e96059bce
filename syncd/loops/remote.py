"""What people do with runs that Argo's controller runs: by the fields that it obeys, as Argo's own CLI does.

In: a store of a cluster. Out: patches of spec.suspend and spec.shutdown. Implements what `loops.submit` asks of its runs and
remains; constructed by `app`. Source: Argo v4.1.2 workflow/util/util.go SuspendWorkflow, ResumeWorkflow, StopWorkflow,
TerminateWorkflow.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from syncd.argo import labels, status
from syncd.argo.manifest import Body, Key
from syncd.base.errors import Conflict, Unsupported
from syncd.cluster.api import Objects


class RemoteRuns:
    """Checks what an operation asks; the patch itself is written by `loops.submit`, which keeps it in the spec anyway."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    async def operate(self, key: Key, verb: str, arguments: Mapping[str, Any], *, by: str) -> None:
        """Raises NotFound, Conflict where the run has ended, Unsupported for what needs Argo's own server."""
        if verb in ("retry", "set") or arguments.get("nodeFieldSelector"):
            word = {"set": "node set"}.get(verb, verb)
            raise Unsupported(
                f"{word} of a run in a cluster changes pods and nodes, which are Argo's: use `argo {word} {key.name} -n {key.namespace}`"
            )
        body = await self._objects.get(key)
        if _has_ended(body):
            raise Conflict(f"{key} has ended; there is nothing to {verb}")
        waiting = [node for node in _nodes(body) if node.get("type") == "Suspend" and node.get("phase") == "Running"]
        if verb == "resume" and waiting:
            raise Unsupported(
                f"{key} waits at a suspend step, whose node is Argo's: use `argo resume {key.name} -n {key.namespace}`"
            )

    async def forget(self, key: Key, uid: str = "") -> None:
        """Nothing of a run is kept here."""

    async def remove_remains(self, key: Key, uid: str) -> None:
        """Argo's controller and Kubernetes' garbage collection do it."""


def _has_ended(body: Body) -> bool:
    phase = (body.get("status") or {}).get("phase")
    return phase in (status.SUCCEEDED, status.FAILED, status.ERROR) or (
        (body["metadata"].get("labels") or {}).get(labels.COMPLETED) == "true"
    )


def _nodes(body: Body) -> list[Body]:
    nodes = (body.get("status") or {}).get("nodes")
    return [node for node in nodes.values() if isinstance(node, dict)] if isinstance(nodes, dict) else []
