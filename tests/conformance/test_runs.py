"""Argo's own examples and end-to-end manifests, run for real in the sandbox, against what Argo's tests assert of them.

All are submitted to one installation, side by side; then each case looks at its own run. Cases that this engine does not claim
yet, or that want what a plain machine lacks, are in EXCLUDED with the reason.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from syncd.argo.manifest import Body
from syncd.base.errors import AlreadyExists, Invalid
from syncd.base.yamltext import Document, documents
from syncd.config.model import Config, Runtime, Sandbox
from tests.support import conformance
from tests.support.installation import Installation, installation

TOOLS = Path(__file__).parent / "tools"
SECONDS = 60.0

EXCLUDED = {
    "containerSet": ["functional-container-set", "retry-workflow-template-with-retry-strategy-in-container", "container-set-"],
    "sidecars": ["signals-sidecars", "file-functional-sidecar-volumes", "pod-resources-template-override"],
    "daemon": ["daemon-", "variables-showcase", "dag-daemon"],
    "hooks other than exit": ["hooks-", "functional-workflow-lifecycle-hook", "functional-with-items-with-hooks", "life-cycle-hooks"],
    "memoize": ["functional-daglevel-memoize", "functional-step-level-memoize", "memoize-"],
    "synchronization": ["semaphore-", "synchronization-"],
    "a shell with $RANDOM": ["file-functional-dag-with-retries", "file-functional-dag-coinflip", "functional-workflow-level-error-retry-policy"],
    "ends by luck, after hundreds of attempts": ["file-functional-retry-container", "retry-container-to-completion", "retry-container"],
    "longer than a minute": ["retry-retry-backoff-2", "file-functional-parallelism-limit", "parallelism-nested", "parallelism-limit", "steps-inline", "forever"],
    "/argosay by its path": ["workflow-template-workflow-template-invalid-on-exit", "workflow-template-workflow-from-workflow-template-has-label"],
    "the words of another container runtime": ["invalid-command-invalid-command"],
    "images, quota or service accounts of a cluster": ["progress-", "functional-resource-quota", "functional-workflow-invalid-service-account", "artifact-repository-ref"],
}  # fmt: skip
"""Reason → beginnings of ids or files."""


def _reason(name: str) -> str:
    return next((why for why, heads in EXCLUDED.items() if any(name.startswith(head) for head in heads)), "")


def _local(case: dict[str, Any]) -> bool:
    return case["runnable_local"] == "yes" or "argosay" in str(case["runnable_local"])


def _cases() -> list[Any]:
    found = [
        ({**case, "folder": "e2e"}, case["id"])
        for case in conformance.load("e2e/index.json")
        if _local(case) and not case.get("actions")
    ]
    found += [
        ({**case, "folder": "examples"}, case["file"])
        for case in conformance.load("examples/index.json")
        if _local(case) and not case.get("no_test") and case.get("expected_phase") and "Workflow" in case["kinds"]
    ]
    marked = []
    for case, name in found:
        why = _reason(name)
        marks = [pytest.mark.skip(reason=f"not run here: {why}")] if why else []
        marked.append(pytest.param(case, id=name, marks=marks))
    return marked


CASES = _cases()


def _bodies(path: Path) -> list[Body]:
    return [d.value for d in documents(path.read_bytes()) if isinstance(d, Document) and isinstance(d.value, dict)]


def _common() -> list[Body]:
    """What Argo's CI applies before it runs the examples."""
    root = conformance.conformance_dir() / "examples"
    kinds = {"WorkflowTemplate", "ClusterWorkflowTemplate", "ConfigMap"}
    return [b for path in sorted(root.rglob("*.yaml")) for b in _bodies(path) if b.get("kind") in kinds]


async def _run(inst: Installation, case: dict[str, Any]) -> tuple[Body | None, str]:
    """The ended Workflow; or None, and what lint said."""
    root = conformance.conformance_dir() / case["folder"]
    needs = [body for name in case.get("needs") or () for body in _bodies(root / name)]
    bodies = _bodies(root / case["file"])
    await inst.put([*needs, *(b for b in bodies if b.get("kind") in ("WorkflowTemplate", "ClusterWorkflowTemplate"))])
    workflow = next(b for b in bodies if b.get("kind") == "Workflow")
    metadata = workflow["metadata"]
    try:
        try:
            key = await inst.submit(workflow)
        except AlreadyExists:
            metadata["generateName"] = metadata.pop("name") + "-"
            key = await inst.submit(workflow)
    except Invalid as error:
        return None, "; ".join(map(str, error.problems)) or str(error)
    return await inst.ended(key, SECONDS), ""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Id → (Workflow or None, complaint, log)."""
    wanted = [param for param in CASES if not param.marks]
    images = {f"argoproj/argosay:{version}": ("argosay",) for version in ("v1", "v2")}
    config = Config(runtime=Runtime.SANDBOX, sandbox=Sandbox(tools=(str(TOOLS),), images=images), parallelism=8)

    async def everything() -> dict[str, Any]:
        found: dict[str, Any] = {}
        async with installation(tmp_path_factory.mktemp("state"), config) as inst:
            await inst.put(_common())
            turns = asyncio.Semaphore(10)

            async def one(param: Any) -> None:
                async with turns:
                    try:
                        body, complaint = await _run(inst, param.values[0])
                        log = await inst.log(body) if body is not None else []
                        found[param.id] = (body, complaint, log)
                    except TimeoutError:
                        found[param.id] = (None, f"has not ended within {SECONDS} s", [])

            await asyncio.gather(*(one(param) for param in wanted))
        return found

    return asyncio.run(everything())


@pytest.mark.sandbox
@pytest.mark.timeout(400)
@pytest.mark.xdist_group("conformance-runs")
@pytest.mark.parametrize("case", CASES)
def test_a_workflow_ends_as_argo_asserts(case: dict[str, Any], runs: dict[str, Any]) -> None:
    asserts = case.get("asserts") or {"phase": case.get("expected_phase")}
    body, complaint, log = runs[case.get("id") or case["file"]]
    if body is None:
        # what Argo lets begin and fail, lint refuses before it begins; what Argo's client drops silently, it names
        assert complaint, case
        assert "has not ended" not in complaint, complaint
        if asserts.get("phase") == "Succeeded":
            assert "unknown field" in complaint, complaint
        return
    ended = body["status"]
    said = json.dumps(ended, indent=1)[:4000]
    if asserts.get("phase"):
        assert ended["phase"] == asserts["phase"], said
    if asserts.get("phase_in"):
        assert ended["phase"] in asserts["phase_in"], said
    if "message" in asserts:
        assert ended.get("message", "") == asserts["message"], said
    for text in _texts(asserts.get("message_contains")):
        assert text in ended.get("message", ""), said
    if "progress" in asserts:
        assert ended["progress"] == asserts["progress"], said
    nodes = list(ended.get("nodes", {}).values())
    if "node_count" in asserts:
        assert len(nodes) == asserts["node_count"], said
    for wanted in asserts.get("nodes") or ():
        _check_node(nodes, wanted, body["metadata"]["name"])
    expected = case.get("expected") or {}
    for text in _texts(asserts.get("log_contains")) + _texts(expected.get("log_contains")):
        assert any(text in line for line in log), log[:50]
    for name, phase in (expected.get("nodes") or {}).items() if isinstance(expected.get("nodes"), dict) else ():
        if isinstance(phase, str):
            assert any(n["displayName"] == name and n["phase"] == phase for n in nodes), (name, said)


def _texts(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())


def _check_node(nodes: list[Body], wanted: dict[str, Any], workflow: str) -> None:
    """What the corpus asserts of one node, as far as it is of this engine."""
    chosen = nodes
    selector = wanted.get("selector") or {}
    if "go" in selector:
        return  # written in Go, not in words
    if "displayName" in wanted:
        chosen = [n for n in chosen if n["displayName"] == wanted["displayName"]]
    for key in ("name", "type", "phase"):
        if key in selector:
            value = str(selector[key]).replace("{{workflow.name}}", workflow)
            chosen = [n for n in chosen if n[key] == value]
    if "name_contains" in selector:
        chosen = [n for n in chosen if selector["name_contains"] in n["name"]]
    if "displayName_suffix" in selector:
        chosen = [n for n in chosen if n["displayName"].endswith(selector["displayName_suffix"])]
    if "displayName_is_workflow_name_plus" in selector:
        chosen = [n for n in chosen if n["displayName"] == workflow + selector["displayName_is_workflow_name_plus"]]
    if wanted.get("absent"):
        assert not chosen, (wanted, [n["name"] for n in chosen])
        return
    assert chosen, (wanted, [n["name"] for n in nodes])
    node = chosen[0]
    assert "phase" not in wanted or node["phase"] == wanted["phase"], (wanted, node)
    assert "phase_in" not in wanted or node["phase"] in wanted["phase_in"], (wanted, node)
    assert "type" not in wanted or node["type"] == wanted["type"], (wanted, node)
    assert "message" not in wanted or node.get("message", "") == wanted["message"], (wanted, node)
    for text in _texts(wanted.get("message_contains")):
        assert text in node.get("message", ""), (wanted, node)
    parameters = (node.get("inputs") or {}).get("parameters") or []
    for index, value in (wanted.get("inputs_parameters_by_index") or {}).items():
        assert str(parameters[int(index)]["value"]) == str(value), (wanted, node)
    if "inputs_parameters_count" in wanted:
        assert len(parameters) == wanted["inputs_parameters_count"], (wanted, node)
