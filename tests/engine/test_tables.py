"""The engine's small decisions against Argo's own tables: depends, loops, sequences."""

from __future__ import annotations

from typing import Any

import pytest

from syncd.argo import status
from syncd.engine import depends, fanout
from syncd.engine.nodes import Node
from syncd.expr import tags
from syncd.expr.environment import Variables
from tests.support import conformance
from tests.support.simulator import BEGIN


def cases(table: str, *kinds: str) -> list[Any]:
    return [
        pytest.param(case, id=case["id"])
        for case in conformance.load(f"tables/{table}.json")["cases"]
        if not kinds or case.get("kind") in kinds
    ]


def _finder(tasks: list[dict[str, Any]]) -> Any:
    known = {task["name"]: task for task in tasks}
    return known.get


@pytest.mark.parametrize("case", cases("depends", "expand"))
def test_a_bare_name_is_expanded(case: dict[str, Any]) -> None:
    found = depends.logic({"depends": case["depends"]}, _finder(case["tasks"]))
    assert found.expression == case["expanded"]
    if "dependencies_found" in case:
        assert sorted(found.dependencies) == sorted(case["dependencies_found"])
    for name, kind in case.get("dependency_kinds", {}).items():
        assert found.dependencies[name] == kind


@pytest.mark.parametrize("case", cases("depends", "logic"))
def test_dependencies_are_a_conjunction(case: dict[str, Any]) -> None:
    assert depends.logic({"dependencies": case["dependencies"]}, _finder(case["tasks"])).expression == case["logic"]


@pytest.mark.parametrize("case", cases("depends", "validate_results"))
def test_results_that_do_not_exist_are_found(case: dict[str, Any]) -> None:
    assert (not depends.unknown_results(case["depends"])) is case["valid"]


@pytest.mark.parametrize(
    "case", [c for c in cases("depends", "evaluate") if not c.values[0]["nodes"].get("A", {}).get("daemoned")]
)
def test_a_task_goes_on_when_its_dependencies_have_ended(case: dict[str, Any]) -> None:
    tasks = {task["name"]: task for task in case["tasks"]}
    found = depends.logic(tasks[case["task"]], tasks.get)
    results = {}
    proceed = True
    for name in found.dependencies:
        given = case["nodes"].get(name)
        if given is None or given["phase"] not in status.FULFILLED:
            proceed = False
            continue
        node = Node(name, name, name, given.get("type", status.POD), given["phase"], BEGIN, 1)
        children = given.get("children")
        phases = [case["nodes"][child]["phase"] for child in children] if children is not None else None
        results[name] = depends.results_of(node, phases)
    assert proceed is case["proceed"]
    if proceed:
        assert depends.holds(found.expression, results) is case["execute"]


@pytest.mark.parametrize("case", cases("sequence"))
def test_a_sequence_has_argos_items(case: dict[str, Any]) -> None:
    assert fanout.sequence(case["sequence"]) == case["items"]


@pytest.mark.parametrize("case", [c for c in cases("with_items") if c.values[0]["kind"] != "names_only"])
def test_a_loop_is_named_and_valued_as_argo_does(case: dict[str, Any]) -> None:
    step = {key: case[key] for key in ("withItems", "withParam") if key in case}
    items = fanout.items(step)
    if "names" in case:
        assert [fanout.name(case["name"], i, item) for i, item in enumerate(items)] == case["names"]
    values = [
        tags.substitute(case.get("argument", "{{item}}"), Variables(fanout.variables(item)), allow_unresolved=False)
        for item in items
    ]
    if "values" in case:
        assert values == case["values"]
    if "first_value" in case:
        assert values[0] == case["first_value"]
    assert len(items) == case.get("count", len(items))
