"""The status of a Workflow as Argo's clients read it: phases, node types, names and ids, and how node rows become `status.nodes`.

Nodes are kept as rows (`cluster.api.Journal`): each row is Argo's NodeStatus plus two private fields, `~parents` (ids of the
nodes it hangs under) and `~order` (when it was made). A row with `~gone` is a node that a manual retry dropped. `assemble` turns rows into Argo's map, with `children` and the progress
of composite nodes filled in: so that a new child never rewrites its parent's row.
Source: Argo v4.1.2 pkg/apis/workflow/v1alpha1/workflow_types.go, workflow/util/pod_name.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from syncd.argo.manifest import Body
from syncd.base.ids import fnv32a

PENDING: Final = "Pending"
RUNNING: Final = "Running"
SUCCEEDED: Final = "Succeeded"
SKIPPED: Final = "Skipped"
FAILED: Final = "Failed"
ERROR: Final = "Error"
OMITTED: Final = "Omitted"

FULFILLED: Final = frozenset({SUCCEEDED, SKIPPED, FAILED, ERROR, OMITTED})
COMPLETED: Final = frozenset({SUCCEEDED, FAILED, ERROR})
UNSUCCESSFUL: Final = frozenset({FAILED, ERROR})

POD: Final = "Pod"
STEPS: Final = "Steps"
STEP_GROUP: Final = "StepGroup"
DAG: Final = "DAG"
TASK_GROUP: Final = "TaskGroup"
RETRY: Final = "Retry"
SKIPPED_TYPE: Final = "Skipped"
SUSPEND: Final = "Suspend"

COUNTED: Final = frozenset({POD, SUSPEND})
"""Nodes that make up a workflow's progress."""

PARENTS: Final = "~parents"
ORDER: Final = "~order"
GONE: Final = "~gone"

MAX_POD_NAME_PREFIX: Final = 253 - 10 - 1  # Kubernetes' name limit less the longest 32-bit hash less the hyphen


def node_id(workflow_name: str, node_name: str) -> str:
    """The id of the node called `node_name`.

    >>> node_id("hello", "hello")
    'hello'
    >>> node_id("hello", "hello[0].a").startswith("hello-")
    True
    """
    if node_name == workflow_name:
        return workflow_name
    return f"{workflow_name}-{fnv32a(node_name)}"


def pod_name(workflow_name: str, node_name: str, template_name: str) -> str:
    """The name of the pod of a node, version v2 of Argo's pod names."""
    if node_name == workflow_name:
        return workflow_name
    prefix = f"{workflow_name}-{template_name}" if template_name else workflow_name
    return f"{prefix[: MAX_POD_NAME_PREFIX - 1]}-{fnv32a(node_name)}"


def assemble(rows: Mapping[str, Body]) -> dict[str, Body]:
    """Argo's `status.nodes` from node rows by id, in any order.

    Children are listed in the order they were made. A row whose parent is not there (a damaged store) is kept.
    """
    ordered = sorted(rows.items(), key=lambda item: item[1].get(ORDER, 0))
    nodes: dict[str, Body] = {}
    children: dict[str, list[str]] = {}
    for identity, row in ordered:
        if row.get(GONE):
            continue
        node = {name: value for name, value in row.items() if not name.startswith("~")}
        nodes[identity] = node
        for parent in row.get(PARENTS, ()):
            children.setdefault(parent, []).append(identity)
    for parent, ids in children.items():
        if parent in nodes:
            nodes[parent]["children"] = list(dict.fromkeys(ids))
    _fill_progress(nodes)
    return nodes


def _fill_progress(nodes: dict[str, Body]) -> None:
    """The progress of a composite node counts the pods below its boundary: `done/all`.

    Every pod counts once for each boundary around it (boundaryID chain): depth times pods, as many steps as the tree is deep.
    """
    totals: dict[str, list[int]] = {}
    for node in nodes.values():
        if node.get("type") not in COUNTED:
            continue
        progress = node.setdefault("progress", "1/1" if node.get("phase") in FULFILLED else "0/1")
        done, _, whole = progress.partition("/")
        seen = set()
        boundary = node.get("boundaryID", "")
        while boundary and boundary in nodes and boundary not in seen:
            seen.add(boundary)
            total = totals.setdefault(boundary, [0, 0])
            total[0] += int(done)
            total[1] += int(whole)
            boundary = nodes[boundary].get("boundaryID", "")
    for identity, (done_count, count) in totals.items():
        nodes[identity]["progress"] = f"{done_count}/{count}"


def parameter(items: Any, name: str) -> Mapping[str, Any] | None:
    """The parameter or artifact called `name` in Argo's list of them; None where it is not."""
    for item in items or ():
        if item.get("name") == name:
            found: Mapping[str, Any] = item
            return found
    return None
