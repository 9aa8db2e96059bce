"""Where templates, defaults and values come from: other objects, defaults, ConfigMaps."""

from __future__ import annotations

from typing import Any

import pytest

from syncd.argo import status
from syncd.argo.manifest import Body, Key
from syncd.base.errors import Invalid, NotFound
from syncd.engine import admit, merge
from tests.support.simulator import World

WORK = {"name": "work", "container": {"args": ["own"]}}


def workflow(*templates: Body, **spec: Any) -> Body:
    return {"metadata": {"name": "wf"}, "spec": {"entrypoint": "main", "templates": list(templates), **spec}}


def refer(name: str, template: str, **more: Any) -> Body:
    return {"name": "a", "templateRef": {"name": name, "template": template, **more}}


def says(text: str, name: str = "work") -> Body:
    return {"name": name, "container": {"args": [text]}}


def template(name: str, *templates: Body, namespace: str = "default", **spec: Any) -> dict[Key, Body]:
    kind = "WorkflowTemplate" if namespace else "ClusterWorkflowTemplate"
    return {Key(kind, namespace, name): {"metadata": {"name": name}, "spec": {"templates": list(templates), **spec}}}


def told(world: World) -> list[str]:
    return [str(task.template["container"]["args"][0]) for task in world.started]


def test_a_name_inside_a_referred_template_is_looked_up_there() -> None:
    inner = {"name": "inner", "steps": [[{"name": "b", "template": "work"}]]}
    world = World(
        workflow({"name": "main", "steps": [[refer("lib", "inner")]]}, WORK),
        objects=template("lib", inner, says("library")),
    ).play()
    assert world.phase == status.SUCCEEDED, world.message
    assert told(world) == ["library"]


def test_a_cluster_template_and_one_of_the_namespace_may_have_one_name() -> None:
    steps = [[refer("lib", "work")], [refer("lib", "work", clusterScope=True)]]
    objects = template("lib", says("namespaced")) | template("lib", says("cluster"), namespace="")
    world = World(workflow({"name": "main", "steps": steps}), objects=objects).play()
    assert told(world) == ["namespaced", "cluster"]


def test_a_cluster_template_refers_into_the_namespace_of_the_run() -> None:
    inner = {"name": "inner", "steps": [[refer("lib", "work")]]}
    objects = template("lib", says("namespaced")) | template("all", inner, namespace="")
    world = World(
        workflow({"name": "main", "steps": [[refer("all", "inner", clusterScope=True)]]}), objects=objects
    ).play()
    assert told(world) == ["namespaced"]


def test_a_template_of_another_namespace_is_not_seen() -> None:
    with pytest.raises(Invalid, match="'lib' not found"):
        World(
            workflow({"name": "main", "steps": [[refer("lib", "work")]]}),
            objects=template("lib", says("x"), namespace="other"),
        )


def test_everything_that_is_missing_is_told_at_once() -> None:
    with pytest.raises(Invalid) as caught:
        World(workflow({"name": "main", "steps": [[refer("one", "x")], [refer("two", "y")]]}))
    assert "'one'" in str(caught.value)
    assert "'two'" in str(caught.value)


@pytest.mark.parametrize(
    "holder",
    [
        {"hooks": {"exit": {"templateRef": {"name": "lib", "template": "work"}}}},
        {"inline": {"steps": [[refer("lib", "work")]]}},
    ],
    ids=["hook", "inline"],
)
def test_references_are_found_wherever_they_stand(holder: Body) -> None:
    step = {"name": "s", "template": "work", **holder}
    if "inline" in holder:
        del step["template"]
    world = World(workflow({"name": "main", "steps": [[step]]}, WORK), objects=template("lib", says("library"))).play()
    assert "library" in told(world)


def test_a_run_of_a_workflow_template_has_its_spec_under_the_own_one() -> None:
    objects = template(
        "base", says("{{workflow.parameters.a}} {{workflow.parameters.b}}", "main"), entrypoint="main",
        arguments={"parameters": [{"name": "a", "value": "base"}, {"name": "b", "value": "base"}]},
    )  # fmt: skip
    body = {
        "metadata": {"name": "wf"},
        "spec": {
            "workflowTemplateRef": {"name": "base"},
            "arguments": {"parameters": [{"name": "b", "value": "own"}]},
        },
    }
    assert told(World(body, objects=objects).play()) == ["base own"]


def test_defaults_lie_below_everything() -> None:
    defaults = {
        "spec": {
            "parallelism": 3,
            "serviceAccountName": "d",
            "arguments": {"parameters": [{"name": "p", "value": "d"}]},
        }
    }
    base = {"metadata": {}, "spec": {"serviceAccountName": "base", "templates": []}}

    def lookup(key: Key) -> Body:
        return base

    found = admit.admit(
        {"metadata": {"name": "wf"}, "spec": {"workflowTemplateRef": {"name": "b"}, "parallelism": 5}}, lookup, defaults
    )["spec"]
    assert found["parallelism"] == 5
    assert found["serviceAccountName"] == "base"
    assert found["arguments"] == {"parameters": [{"name": "p", "value": "d"}]}


def test_the_own_exit_handler_takes_the_place_of_that_of_the_template() -> None:
    """`hooks` and `onExit` are two ways to say one thing: the lower one must not come back by the other name."""
    assert merge.workflow_spec({"onExit": "a"}, {"onExit": "b"})["onExit"] == "b"


# -- template defaults


def test_template_defaults_lie_under_each_template() -> None:
    defaults = {"timeout": "1m", "container": {"image": "default", "env": [{"name": "A", "value": "1"}]}}
    own = {"name": "work", "container": {"args": ["own"], "env": [{"name": "B", "value": "2"}]}}
    world = World(
        workflow({"name": "main", "steps": [[{"name": "a", "template": "work"}]]}, own, templateDefaults=defaults)
    )
    world.play()
    (task,) = world.started
    assert task.template["timeout"] == "1m"
    assert task.template["container"]["image"] == "default"
    assert {e["name"] for e in task.template["container"]["env"]} == {"A", "B"}
    assert task.deadline is not None


def test_defaults_of_another_type_of_template_do_not_count() -> None:
    merged = merge.template_defaults({"container": {"image": "x"}}, {"name": "s", "script": {"source": "y"}})
    assert "container" not in merged


def test_an_inline_template_has_the_defaults_too() -> None:
    step = {"name": "a", "inline": {"container": {"args": ["x"]}}}
    world = World(
        workflow({"name": "main", "steps": [[step]]}, templateDefaults={"container": {"image": "default"}})
    ).play()
    assert world.started[0].template["container"]["image"] == "default"


# -- ConfigMaps


def config_map(name: str, **data: Any) -> dict[Key, Body]:
    return {Key("ConfigMap", "default", name): {"metadata": {"name": name}, "data": data}}


def source(name: str, key: str, **more: Any) -> Body:
    return {"valueFrom": {"configMapKeyRef": {"name": name, "key": key}, **more}}


SHOW = {"name": "main", "inputs": {"parameters": [{"name": "p"}]}, "container": {"args": ["{{inputs.parameters.p}}"]}}


@pytest.mark.parametrize(
    ("parameter", "objects", "expected"),
    [
        (source("cm", "k"), config_map("cm", k="v"), "v"),
        (source("cm", "k", default="d"), config_map("cm", k="v"), "v"),
        (source("cm", "k", default="d"), config_map("cm", other="v"), "d"),
        (source("cm", "k", default="d"), {}, "d"),
        (source("cm", "n"), config_map("cm", n=5), "5"),
        (source("{{workflow.parameters.which}}", "k"), config_map("chosen", k="v"), "v"),
        (source("{{workflow.name}}", "k"), config_map("wf", k="v"), "v"),
        (source("{{workflow.namespace}}-cm", "{{workflow.parameters.key}}"), config_map("default-cm", k="v"), "v"),
    ],
    ids=[
        "value",
        "value before default",
        "no key",
        "no map",
        "number",
        "named by a parameter",
        "by the run",
        "key too",
    ],
)
def test_an_input_may_come_from_a_config_map(parameter: Body, objects: dict[Key, Body], expected: str) -> None:
    body = {**SHOW, "inputs": {"parameters": [{"name": "p", **parameter}]}}
    given = {"parameters": [{"name": "which", "value": "chosen"}, {"name": "key", "value": "k"}]}
    world = World(workflow(body, arguments=given), objects=objects).play()
    assert world.phase == status.SUCCEEDED, world.message
    assert told(world) == [expected]


@pytest.mark.parametrize("objects", [{}, config_map("cm", other="v")], ids=["no map", "no key"])
def test_a_config_map_that_is_missing_is_named(objects: dict[Key, Body]) -> None:
    body = {**SHOW, "inputs": {"parameters": [{"name": "p", **source("cm", "k")}]}}
    world = World(workflow(body), objects=objects).play()
    assert world.phase == status.ERROR
    assert "inputs.parameters.p" in world.message
    assert "cm" in world.message


def test_an_argument_of_the_workflow_may_come_from_a_config_map() -> None:
    world = World(
        workflow(
            says("{{workflow.parameters.p}}", "main"), arguments={"parameters": [{"name": "p", **source("cm", "k")}]}
        ),
        objects=config_map("cm", k="v"),
    ).play()
    assert told(world) == ["v"]


def test_a_config_map_as_it_was_at_admission_stays() -> None:
    held = config_map("cm", k="v")
    world = World(workflow({**SHOW, "inputs": {"parameters": [{"name": "p", **source("cm", "k")}]}}), objects=held)
    held.clear()
    assert told(world.play()) == ["v"]


# -- enum


@pytest.mark.parametrize(("value", "good"), [("a", True), ("c", False)])
def test_an_argument_must_be_one_of_its_enum(value: str, good: bool) -> None:
    parameter = {"name": "p", "enum": ["a", "b"], "value": value}
    world = World(workflow(says("x", "main"), arguments={"parameters": [parameter]})).play()
    assert (world.phase == status.SUCCEEDED) is good
    assert good or "enum" in world.message


def test_not_found_is_what_the_store_says() -> None:
    def lookup(key: Key) -> Body:
        raise NotFound("no")

    with pytest.raises(Invalid):
        admit.admit({"metadata": {"name": "wf"}, "spec": {"workflowTemplateRef": {"name": "b"}}}, lookup)


def test_labels_as_they_were_at_admission_stay() -> None:
    """A replay reads the Workflow as it is now, with the phase among its labels."""
    from syncd.engine.machine import Machine
    from syncd.engine.observations import decode

    world = World(workflow(says("{{workflow.labels.json}} {{workflow.annotations.json}}", "main"))).play()
    later = {
        **world.workflow,
        "metadata": {**world.workflow["metadata"], "labels": {"who": "else"}, "annotations": {"a": "b"}},
    }
    machine = Machine(later, world.run)
    now, observations = world.journal[0]
    (task,) = machine.advance(now, [decode(o) for o in observations]).actions
    assert task == world.started[0]
    assert told(world) == ["{} {}"]
