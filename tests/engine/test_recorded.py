"""What Argo's own controller made of a workflow, and what this engine makes of it: the same nodes, edges and messages.

The recordings (watch events of Argo v4.1.2 on a real API server, pods played by a fake kubelet) lie beside the corpus.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest

from syncd.argo import status
from syncd.argo.manifest import Body, Key
from syncd.engine.actions import StartTask
from tests.support import conformance
from tests.support.simulator import End, World, fail, succeed

CASES = [
    "one-step", "failing", "retrying", "steps", "diamond", "waiting", "stopped", "terminated", "from-template", "ttl",
]  # fmt: skip


@cache
def recorded() -> dict[str, tuple[Body, Body]]:
    """Name → (as submitted, as it ended)."""
    path = conformance.conformance_dir().parent / "kube" / "recorded" / "workflows.jsonl"
    if not path.is_file():
        pytest.skip(f"no recordings at {path}")
    found: dict[str, tuple[Body, Body]] = {}
    for line in path.read_text().splitlines():
        body = json.loads(line)["object"]
        name = body["metadata"]["name"]
        found[name] = (found.get(name, (body, body))[0], body)
    return found


def world(name: str) -> World:
    submitted, _ = recorded()[name]
    failing = bool((submitted["spec"].get("podMetadata") or {}).get("annotations", {}).get("demo/fail"))

    def script(task: StartTask) -> End:
        marks = (task.template.get("metadata") or {}).get("annotations") or {}
        if failing or "demo/fail" in marks:
            return fail(3)
        if name in ("stopped", "terminated"):
            return End(hangs=True)
        return succeed(task)

    template = {
        "metadata": {"name": "base"},
        "spec": {"entrypoint": "m", "templates": [{"name": "m", "container": {}}]},
    }
    reference = submitted["spec"].get("workflowTemplateRef", {}).get("name", "base")
    objects = {Key("WorkflowTemplate", submitted["metadata"]["namespace"], reference): template}
    return World(submitted, script, objects=objects)


@pytest.mark.parametrize("name", CASES)
def test_a_run_looks_as_argo_recorded_it(name: str) -> None:
    played = world(name).play()
    if name in ("stopped", "terminated"):
        played.ask(name.removesuffix("ped").removesuffix("d"))
        played.play()
    elif name == "waiting":
        played.ask("resume")
        played.play()
    _, ended = recorded()[name]
    assert played.phase == ended["status"]["phase"]
    assert played.message == ended["status"].get("message", "")
    assert _tree(played.nodes) == _tree(ended["status"].get("nodes") or {})
    assert played.machine.workflow_status["progress"] == ended["status"]["progress"]


def _tree(nodes: dict[str, Body]) -> dict[str, Any]:
    """What two runs must share, by node name."""
    found = {}
    for identity, node in nodes.items():
        found[node["name"]] = {
            "id": identity,
            **{key: node.get(key, "") for key in ("displayName", "type", "phase", "templateName", "boundaryID")},
            "message": node.get("message", ""),
            "templateScope": node.get("templateScope", ""),
            "children": sorted(node.get("children") or []),
            "outboundNodes": sorted(node.get("outboundNodes") or []),
            "exitCode": (node.get("outputs") or {}).get("exitCode") if node["phase"] != status.FAILED else None,
            "flag": node.get("nodeFlag") or {},
        }
    return found
