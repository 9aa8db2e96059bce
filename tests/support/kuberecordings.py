"""What Argo's workflow-controller does to a Workflow, as recorded, told again of another one. Pure.

Comes in: a Workflow, the name of a recorded case (`../shared/kube/recorded/workflows.jsonl`, Argo v4.1.2), when it was taken
up and how long it takes. Goes out: the object as it is after each of Argo's writes. Used by kubeargo, and by tests that want
finished Workflows without waiting for them. Names, node ids and times are the new Workflow's; the rest is the recording's.
"""

from __future__ import annotations

import copy
import json
import secrets
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from tests.support.conformance import conformance_dir

SUCCEEDS, FAILS, HANGS = "one-step", "failing", "too-long"
"""The cases of one pod. More: retrying, steps, diamond, waiting, invalid, from-template."""

COMPLETED = "workflows.argoproj.io/completed"
PHASE = "workflows.argoproj.io/phase"
TEMPLATE = "workflows.argoproj.io/workflow-template"
_ENDED = [{"status": "False", "type": "PodRunning"}, {"status": "True", "type": "Completed"}]
_KWOK = "podSpecPatch"  # the recorder's own: it put pods on kwok's node


@lru_cache(maxsize=1)
def cases() -> Mapping[str, list[dict[str, Any]]]:
    """The recorded objects by name, in order: as it was created, then as Argo wrote it. Skips the test without recordings."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    path = conformance_dir().parent / "kube" / "recorded" / "workflows.jsonl"
    for line in path.read_text().splitlines():
        event = json.loads(line)
        if event["object"]["kind"] == "Workflow" and event["type"] != "DELETED":
            found[event["object"]["metadata"]["name"]].append(event["object"])
    return found


def writes(workflow: Mapping[str, Any], case: str, taken_at: datetime, seconds: float) -> list[dict[str, Any]]:
    """The Workflow after each of Argo's writes, the first at `taken_at`, the last (unless it hangs) `seconds` later.

    workflow: as it is in the API. Raises KeyError for a case that was not recorded.
    Writes that a person made in the recording (`argo stop`) are left out.
    """
    recorded = [each for each in cases()[case][1:] if "shutdown" not in each["spec"]]
    retold = _Retelling(workflow, case, recorded, taken_at, seconds)
    trace = secrets.token_hex(16)
    result = []
    for each in recorded:
        written = dict(workflow)
        metadata = written["metadata"] = dict(written["metadata"])
        metadata["labels"] = {**metadata.get("labels", {}), **_argos(each["metadata"].get("labels", {}))}
        if reference := workflow["spec"].get("workflowTemplateRef"):
            metadata["labels"][TEMPLATE] = reference["name"]
        if annotations := _argos(each["metadata"].get("annotations", {})):
            annotations["workflows.argoproj.io/trace-id"] = trace
            metadata["annotations"] = {**metadata.get("annotations", {}), **annotations}
        written["spec"] = as_argo_writes(workflow["spec"])
        written["status"] = retold.status(each["status"])
        result.append(written)
    return result


def ended(workflow: Mapping[str, Any], case: str, taken_at: datetime, seconds: float) -> dict[str, Any]:
    """The Workflow as it is in the end; Argo's CRDs have no status subresource, so it can be created like this."""
    return writes(workflow, case, taken_at, seconds)[-1]


def stopped(workflow: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The Workflow after Argo has obeyed its spec.shutdown (Stop or Terminate), as in the cases `stopped`, `terminated`.

    Recorded of a single pod. Of steps and tasks above pods Argo says which child failed; here they just fail.
    """
    written = copy.deepcopy(dict(workflow))
    strategy, at = workflow["spec"]["shutdown"], _text(now)
    metadata = written["metadata"]
    metadata["labels"] = {**metadata.get("labels", {}), COMPLETED: "true", PHASE: "Failed"}
    status = written["status"] = {"startedAt": at, "progress": "0/0", **(written.get("status") or {})}
    status["startedAt"] = status["startedAt"] or at
    status |= {
        "phase": "Failed",
        "finishedAt": at,
        "conditions": _ENDED,
        "message": f"Stopped with strategy '{strategy}'",
    }
    for node in status.get("nodes", {}).values():
        if node["finishedAt"] is None:
            node |= {"phase": "Failed", "finishedAt": at}
            if node["type"] == "Pod":
                node["message"] = f"workflow shutdown with strategy:  {strategy}"
    return written


def as_argo_writes(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A spec after it went through Argo's Go structs: what is empty and not `omitempty` is there, as recorded.

    So a Workflow in git is never equal to the one in the cluster once Argo has seen it.
    """
    written = copy.deepcopy(dict(spec))
    written.setdefault("arguments", {})
    for template in written.get("templates", []):
        for name in ("inputs", "outputs", "metadata"):
            template.setdefault(name, {})
        for name in {"container", "script"} & template.keys():
            template[name] = {"name": "", "resources": {}, **template[name]}
        groups = [*template.get("steps", []), template.get("dag", {}).get("tasks", [])]
        for step in (each for group in groups for each in group):
            step.setdefault("arguments", {})
    return written


class _Retelling:
    """A recorded status with the names and times of another Workflow."""

    def __init__(
        self,
        workflow: Mapping[str, Any],
        case: str,
        recorded: list[dict[str, Any]],
        taken_at: datetime,
        seconds: float,
    ) -> None:
        self._case, self._name = case, workflow["metadata"]["name"]
        self._entrypoint = workflow["spec"].get("entrypoint")
        self._taken_at = taken_at
        self._began = _moment(recorded[0]["status"]["startedAt"])
        finished = recorded[-1]["status"]["finishedAt"]
        took = (_moment(finished) - self._began).total_seconds() if finished else 0.0
        self._scale = seconds / took if took else 0.0
        self._ids = self._renumbered(recorded)

    def status(self, recorded: Mapping[str, Any]) -> dict[str, Any]:
        status = copy.deepcopy(dict(recorded))
        self._retime(status)
        if (spec := status.get("storedWorkflowTemplateSpec")) is not None:
            spec.pop(_KWOK, None)
        if "nodes" in status:
            nodes = [self._node(node) for node in status["nodes"].values()]
            status["nodes"] = {node["id"]: node for node in nodes}
        return status

    def _node(self, node: dict[str, Any]) -> dict[str, Any]:
        self._retime(node)
        old = node["name"]
        if node["displayName"] == old:
            node["displayName"] = self._renamed(old)
        node["name"] = self._renamed(old)
        node["id"] = node_id(self._name, node["name"])
        node["templateScope"] = node["templateScope"].replace(f"local/{self._case}", f"local/{self._name}")
        if old == self._case and self._entrypoint:
            node["templateName"] = self._entrypoint
        ids = self._ids
        if "boundaryID" in node:
            node["boundaryID"] = ids[node["boundaryID"]]
        if "children" in node:
            node["children"] = [ids[child] for child in node["children"]]
        return node

    def _renumbered(self, recorded: list[dict[str, Any]]) -> dict[str, str]:
        """Of every node of the case: the recorded id → ours. Argo names a child before it makes it: such a one keeps its id."""
        nodes = [node for each in recorded for node in each["status"].get("nodes", {}).values()]
        children = {child: child for node in nodes for child in node.get("children", [])}
        return children | {node["id"]: node_id(self._name, self._renamed(node["name"])) for node in nodes}

    def _renamed(self, name: str) -> str:
        return f"{self._name}{name[len(self._case) :]}"

    def _retime(self, timed: dict[str, Any]) -> None:
        for name in {"startedAt", "finishedAt"} & timed.keys():
            if timed[name] is not None:
                later = (_moment(timed[name]) - self._began).total_seconds() * self._scale
                timed[name] = _text(self._taken_at + timedelta(seconds=later))


def node_id(workflow: str, node: str) -> str:
    """As Argo v4.1.2 pkg/apis/workflow/v1alpha1/workflow_types.go NodeID: FNV-1a of 32 bits.

    >>> node_id("retrying", "retrying(0)")
    'retrying-1362398234'
    """
    if workflow == node:
        return workflow
    digest = 0x811C9DC5
    for byte in node.encode():
        digest = (digest ^ byte) * 0x01000193 & 0xFFFFFFFF
    return f"{workflow}-{digest}"


def _argos(labels: Mapping[str, str]) -> dict[str, str]:
    """Argo's own labels or annotations, without those that tell of the recorded Workflow."""
    others = ("workflows.argoproj.io/cron-workflow", "workflows.argoproj.io/scheduled-time", TEMPLATE)
    return {name: value for name, value in labels.items() if name.startswith("workflows.") and name not in others}


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _text(moment: datetime) -> str:
    """Whole seconds, as Kubernetes writes times."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
