"""What is referred to is written first, and deleted last."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from syncd.argo.manifest import Key
from syncd.plan import order
from syncd.plan import plan as planning
from syncd.plan.plan import Verb
from tests.plan.world import KEYS, POLICY, live, wanted

NAMES = ("a", "b", "c", "d", "e")


def template(name: str, refers: set[str]) -> dict:
    tasks = [{"name": other, "templateRef": {"name": other, "template": "main"}} for other in sorted(refers)]
    return {"kind": "WorkflowTemplate", "spec": {"templates": [{"name": "main", "dag": {"tasks": tasks}}]}}


graphs = st.dictionaries(st.sampled_from(NAMES), st.sets(st.sampled_from(NAMES)), min_size=1)


@given(graphs)
def test_order_is_a_permutation_even_with_cycles(graph):
    """Law: every key once."""
    bodies = {Key("WorkflowTemplate", "ns", name): template(name, refers) for name, refers in graph.items()}
    assert sorted(order.sort(bodies)) == sorted(bodies)


@given(graphs)
def test_what_is_referred_to_comes_first(graph):
    """Law: without cycles (names refer only to smaller ones), a reference always points backwards."""
    acyclic = {name: {other for other in refers if other > name} for name, refers in graph.items()}
    bodies = {Key("WorkflowTemplate", "ns", name): template(name, refers) for name, refers in acyclic.items()}
    place = {key.name: index for index, key in enumerate(order.sort(bodies))}
    for name, refers in acyclic.items():
        assert all(place[other] < place[name] for other in refers if other in place)


@given(graphs)
def test_within_a_stage_nothing_refers_to_anything(graph):
    """Law: so the writes of a stage may be made at once; the stages in order are the order."""
    acyclic = {name: {other for other in refers if other > name} for name, refers in graph.items()}
    bodies = {Key("WorkflowTemplate", "ns", name): template(name, refers) for name, refers in acyclic.items()}
    bodies[Key("CronWorkflow", "ns", "a")] = template("a", {"a"})
    stages = order.stages(bodies)
    for stage in stages:
        assert len({key.kind for key in stage}) == 1
        for key in stage:
            assert not order.references(bodies[key], "ns") & set(stage)
    assert [key for stage in stages for key in stage] == order.sort(bodies)


def test_kinds_go_in_order_and_deletes_backwards():
    """ConfigMaps before templates before crons; deletes after all writes, the other way round."""
    created = planning.plan({key: wanted(key) for key in KEYS}, {}, frozenset(), POLICY)
    kinds = [change.key.kind for change in created.changes]
    assert kinds == sorted(kinds, key=order.RANK.__getitem__)
    deleted = planning.plan({}, {key: live(key) for key in KEYS}, frozenset(KEYS), POLICY)
    kinds = [change.key.kind for change in deleted.of(Verb.DELETE)]
    assert kinds == sorted(kinds, key=order.RANK.__getitem__, reverse=True)


def test_references_are_found_wherever_they_stand():
    spec = {
        "workflowSpec": {"workflowTemplateRef": {"name": "whole"}},
        "templates": [
            {"steps": [[{"templateRef": {"name": "shared", "clusterScope": True}}]]},
            {"dag": {"tasks": [{"hooks": {"exit": {"templateRef": {"name": "hook"}}}}]}},
            {"templateRef": "not a mapping", "workflowTemplateRef": {"name": 5}},
        ],
    }
    assert {str(key) for key in order.references({"spec": spec}, "ns")} == {
        "WorkflowTemplate/ns/whole",
        "ClusterWorkflowTemplate/shared",
        "WorkflowTemplate/ns/hook",
    }


def test_a_deep_body_and_a_long_chain_cost_no_recursion():
    deep: dict = {}
    for _ in range(5000):
        deep = {"x": deep}
    assert order.references({"spec": deep}, "ns") == frozenset()
    chain = {Key("WorkflowTemplate", "ns", f"t{n:05}"): template("", {f"t{n + 1:05}"}) for n in range(3000)}
    assert order.sort(chain)[0].name == "t02999"


def test_closure_follows_references_backwards():
    bodies = {
        Key("WorkflowTemplate", "ns", name): template(name, refers)
        for name, refers in {"a": {"b"}, "b": {"c"}, "d": {"e"}}.items()
    }
    broken = frozenset({Key("WorkflowTemplate", "ns", "c")})
    assert {key.name for key in order.closure(broken, bodies)} == {"a", "b", "c"}
