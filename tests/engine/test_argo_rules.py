"""Rules of Argo's that are easy to get wrong: exit hooks, retried producers, late substitution, recursion, targets."""

from __future__ import annotations

from typing import Any

import pytest

from syncd.argo import status
from syncd.argo.manifest import Body
from syncd.engine.actions import StartTask
from tests.support.simulator import End, World, fail, succeed


def workflow(*templates: Body, **spec: Any) -> Body:
    return {"metadata": {"name": "wf"}, "spec": {"entrypoint": "main", "templates": list(templates), **spec}}


def leaf(name: str, *inputs: str, **more: Any) -> Body:
    """A container whose only argument shows its inputs."""
    shown = " ".join(f"{{{{inputs.parameters.{one}}}}}" for one in inputs)
    body: Body = {"name": name, "container": {"command": ["sh"], "args": [shown]}, **more}
    if inputs:
        body["inputs"] = {"parameters": [{"name": one} for one in inputs]}
    return body


def given(**values: Any) -> Body:
    return {"parameters": [{"name": name, "value": value} for name, value in values.items()]}


def shown(world: World, node: str) -> str:
    """What the container of a node was started with."""
    (task,) = [task for task in world.started if task.node_name == node]
    return str(task.template["container"]["args"][0])


def puts(**values: str) -> End:
    return End(outputs={"parameters": [{"name": name, "value": value} for name, value in values.items()]})


OUT = {"outputs": {"parameters": [{"name": "o", "valueFrom": {"path": "/o"}}]}}


# -- exit hooks


def test_an_exit_handler_without_arguments_gets_those_of_the_workflow() -> None:
    """Argo v4.1.2 workflow_types.go GetExitHook: `onExit: T` is called with spec.arguments."""
    world = World(
        workflow(leaf("main"), leaf("bye", "who"), onExit="bye", arguments=given(who="you")),
    ).play()
    assert world.phase == status.SUCCEEDED, world.message
    assert shown(world, "wf.onExit") == "you"


def test_a_hook_of_a_step_without_arguments_gets_those_of_the_workflow() -> None:
    """Argo v4.1.2 LifecycleHook.WithArgs."""
    step = {"name": "a", "template": "work", "hooks": {"exit": {"template": "bye"}}}
    world = World(
        workflow({"name": "main", "steps": [[step]]}, leaf("work"), leaf("bye", "who"), arguments=given(who="you")),
    ).play()
    assert world.phase == status.SUCCEEDED, world.message
    assert shown(world, "wf[0].a.onExit") == "you"


def test_on_exit_comes_before_a_hook_of_the_same_step() -> None:
    step = {"name": "a", "template": "work", "onExit": "old", "hooks": {"exit": {"template": "new"}}}
    world = World(workflow({"name": "main", "steps": [[step]]}, leaf("work"), leaf("old"), leaf("new"))).play()
    assert [task.template_name for task in world.started] == ["work", "old"]


def test_a_hook_of_a_looped_step_sees_the_item() -> None:
    """Argo expands a step with its hooks in it (steps.go expandStep)."""
    step = {
        "name": "a",
        "template": "work",
        "withItems": ["x", "y"],
        "hooks": {"exit": {"template": "bye", "arguments": given(who="{{item}}")}},
    }
    world = World(workflow({"name": "main", "steps": [[step]]}, leaf("work"), leaf("bye", "who"))).play()
    assert shown(world, "wf[0].a(0:x).onExit") == "x"
    assert shown(world, "wf[0].a(1:y).onExit") == "y"


@pytest.mark.parametrize("phase", ["ok", "bad"])
def test_an_expression_decides_whether_a_hook_runs(phase: str) -> None:
    hook = {"template": "bye", "expression": "steps['a-1'].status == 'Failed'"}
    step = {"name": "a-1", "template": phase, "hooks": {"exit": hook}, "continueOn": {"failed": True}}
    world = World(
        workflow({"name": "main", "steps": [[step]]}, leaf("ok"), leaf("bad"), leaf("bye")),
        lambda task: fail() if task.template_name == "bad" else succeed(task),
    ).play()
    assert world.phase == status.SUCCEEDED
    assert ("bye" in [task.template_name for task in world.started]) is (phase == "bad")


def test_a_step_whose_hook_cannot_be_called_fails() -> None:
    """Argo v4.1.2 steps.go executeStepGroup: the error of runOnExitNode is that of the group."""
    step = {"name": "a", "template": "work", "hooks": {"exit": {"template": "nowhere"}}}
    world = World(workflow({"name": "main", "steps": [[step]]}, leaf("work"))).play()
    assert world.phase == status.FAILED
    assert "template nowhere not found" in world.message


# -- retried producers


def test_a_retried_task_with_a_hook_is_read_as_its_last_attempt() -> None:
    """The hook hangs under the Retry node, too (Argo possiblyGetRetryChildNode)."""
    hook = {"exit": {"template": "bye"}}
    tasks = [
        {"name": "a", "template": "make", "hooks": hook},
        {
            "name": "b",
            "template": "take",
            "depends": "a",
            "arguments": given(x="{{tasks.a.outputs.parameters.o}} {{tasks.a.id}}"),
        },
    ]
    ends = iter([fail(), puts(o="made")])

    def script(task: StartTask) -> End:
        return next(ends) if task.template_name == "make" else succeed(task)

    made = leaf("make", retryStrategy={"limit": 2}, **OUT)
    world = World(
        workflow({"name": "main", "dag": {"tasks": tasks}}, made, leaf("take", "x"), leaf("bye")), script
    ).play()
    assert world.phase == status.SUCCEEDED, world.message
    assert shown(world, "wf.b") == f"made {world.machine.nodes.named('wf.a(1)').id}"  # type: ignore[union-attr]


def test_outputs_of_a_retried_composite_are_read() -> None:
    inner = {
        "name": "inner",
        "retryStrategy": {"limit": 3, "retryPolicy": "Always"},
        "steps": [[{"name": "make", "template": "make"}]],
        "outputs": {"parameters": [{"name": "o", "valueFrom": {"parameter": "{{steps.make.outputs.parameters.o}}"}}]},
    }
    main = {
        "name": "main",
        "steps": [
            [{"name": "in", "template": "inner"}],
            [{"name": "take", "template": "take", "arguments": given(x="{{steps.in.outputs.parameters.o}}")}],
        ],
    }
    ends = iter([fail(), puts(o="made")])

    def script(task: StartTask) -> End:
        return next(ends) if task.template_name == "make" else succeed(task)

    world = World(workflow(main, inner, leaf("make", **OUT), leaf("take", "x")), script).play()
    assert world.phase == status.SUCCEEDED, world.message
    assert shown(world, "wf[1].take") == "made"


# -- substitution


def test_a_parameter_of_the_workflow_may_name_another_variable() -> None:
    """Argo replaces twice, whether a template has inputs or not (common/util.go SubstituteParams)."""
    body = {"name": "main", "container": {"args": ["{{workflow.parameters.who}}"]}}
    world = World(workflow(body, arguments=given(who="{{workflow.name}}"))).play()
    assert shown(world, "wf") == "wf"


def test_labels_that_the_spec_asks_for_are_set_on_the_workflow() -> None:
    """Argo v4.1.2 operator.go updateWorkflowMetadata."""
    world = World(workflow(leaf("main"), workflowMetadata={"labels": {"who": "{{workflow.name}}"}}))
    advance = world.machine.advance(world.now, [])
    from syncd.engine.observations import Admitted

    advance = world.machine.advance(world.now, [Admitted()])
    assert advance.labels["who"] == "wf"


# -- what a task can see


def test_a_task_sees_what_it_depends_on_and_nothing_else() -> None:
    """Otherwise what it reads would hang on who happens to end first (Argo GetTaskAncestry)."""
    look = {
        "name": "c",
        "template": "take",
        "depends": "b",
        "arguments": given(x="{{=tasks['a']?.status ?? 'none'}} {{=tasks['other']?.status ?? 'none'}}"),
    }
    tasks = [
        {"name": "other", "template": "work"},
        {"name": "a", "template": "work"},
        {"name": "b", "template": "work", "depends": "a"},
        look,
    ]
    world = World(workflow({"name": "main", "dag": {"tasks": tasks}}, leaf("work"), leaf("take", "x"))).play()
    assert world.phase == status.SUCCEEDED, world.message
    assert shown(world, "wf.c") == "Succeeded none"


def test_a_hook_of_a_step_does_not_see_its_neighbours() -> None:
    """Steps of one group are added to the scope once the group has ended (Argo steps.go executeSteps)."""
    hook = {"exit": {"template": "bye", "arguments": given(x="{{=steps['b']?.status ?? 'none'}}")}}
    group = [{"name": "b", "template": "work"}, {"name": "a", "template": "work", "hooks": hook}]
    world = World(workflow({"name": "main", "steps": [group]}, leaf("work"), leaf("bye", "x"))).play()
    assert shown(world, "wf[0].a.onExit") == "none"


# -- structure


def test_a_target_that_does_not_exist_is_an_error() -> None:
    main = {
        "name": "main",
        "dag": {"target": "{{workflow.parameters.t}}", "tasks": [{"name": "a", "template": "work"}]},
    }
    world = World(workflow(main, leaf("work"), arguments=given(t="nowhere"))).play()
    assert world.phase == status.ERROR
    assert "target 'nowhere' is not defined" in world.message


def test_a_cycle_ends_in_an_error() -> None:
    tasks = [
        {"name": "z", "template": "work"},
        {"name": "a", "template": "work", "depends": "c && z"},
        {"name": "b", "template": "work", "depends": "a"},
        {"name": "c", "template": "work", "depends": "b"},
        {"name": "d", "template": "work", "depends": "c"},
    ]
    world = World(workflow({"name": "main", "dag": {"tasks": tasks}}, leaf("work"))).play()
    assert world.machine.finished
    assert world.phase == status.ERROR
    assert "cycle" in world.message


def test_recursion_ends_at_the_depth_at_which_argo_ends_it() -> None:
    main = {"name": "main", "steps": [[{"name": "a", "template": "main"}]]}
    world = World(workflow(main)).play()
    assert world.phase == status.FAILED
    steps = [node for node in world.nodes.values() if node["type"] == status.STEPS]
    assert len(steps) == 99
    (deepest,) = [node for node in world.nodes.values() if "recursion depth" in node.get("message", "")]
    assert deepest["phase"] == status.ERROR


# -- optional and absent outputs


def test_an_absent_output_without_any_default_is_a_plain_error() -> None:
    main = {
        "name": "main",
        "steps": [
            [{"name": "a", "template": "make", "when": "1 == 2"}],
            [{"name": "b", "template": "take", "arguments": given(x="{{steps.a.outputs.parameters.o}}")}],
        ],
    }
    world = World(workflow(main, leaf("make", **OUT), leaf("take", "x"))).play()
    assert world.phase in status.UNSUCCESSFUL
    assert "absent optional" in world.message


@pytest.mark.parametrize("reader", ["default of the producer", "default of the input", "fallback of an expression"])
def test_an_absent_output_is_made_good(reader: str) -> None:
    declared: Body = {"name": "o", "valueFrom": {"path": "/o"}}
    take = leaf("take", "x")
    value = "{{steps.a.outputs.parameters.o}}"
    if reader == "default of the producer":
        declared["valueFrom"]["default"] = "d"
    elif reader == "default of the input":
        take["inputs"]["parameters"][0]["default"] = "d"
    else:
        value = "{{=steps.a.outputs.parameters.o ?? 'd'}}"
    main = {
        "name": "main",
        "steps": [
            [{"name": "a", "template": "make", "when": "1 == 2"}],
            [{"name": "b", "template": "take", "arguments": given(x=value)}],
        ],
    }
    world = World(workflow(main, leaf("make", outputs={"parameters": [declared]}), take)).play()
    assert world.phase == status.SUCCEEDED, world.message
    assert shown(world, "wf[1].b") == "d"


# -- global outputs


def test_global_outputs_are_read_and_listed() -> None:
    made = leaf("make")
    made["outputs"] = {
        "parameters": [{"name": "o", "globalName": "all", "valueFrom": {"path": "/o"}}],
        "artifacts": [{"name": "f", "globalName": "file", "path": "/f"}],
    }
    take = leaf("take", "x")
    take["inputs"]["artifacts"] = [{"name": "in", "path": "/in"}]
    main = {
        "name": "main",
        "steps": [
            [{"name": "a", "template": "make"}],
            [
                {
                    "name": "b",
                    "template": "take",
                    "arguments": {
                        **given(x="{{workflow.outputs.parameters.all}}"),
                        "artifacts": [{"name": "in", "from": "{{workflow.outputs.artifacts.file}}"}],
                    },
                }
            ],
        ],
    }
    world = World(workflow(main, made, take)).play()
    assert world.phase == status.SUCCEEDED, world.message
    assert shown(world, "wf[1].b") == "o"
    (task,) = [task for task in world.started if task.template_name == "take"]
    assert task.template["inputs"]["artifacts"][0]["s3"]["key"].endswith("/f")
    assert [p["name"] for p in world.machine.workflow_status["outputs"]["parameters"]] == ["all"]
    assert [a["name"] for a in world.machine.workflow_status["outputs"]["artifacts"]] == ["file"]


# -- chance and time


def test_time_and_chance_in_expressions_are_the_same_in_a_replay() -> None:
    body = {
        "name": "main",
        "container": {"args": ["{{=sprig.randAlphaNum(8)}} {{=sprig.randAlphaNum(8)}} {{=now().Unix()}}"]},
    }
    world = World(workflow(body)).play()
    first, second, moment = shown(world, "wf").split()
    assert len(first) == len(second) == 8
    assert first != second
    assert int(moment) == int(world.machine.started_at.timestamp())  # type: ignore[union-attr]
    other = World(workflow(body)).play()
    assert shown(other, "wf") == shown(world, "wf")


def test_each_item_of_a_loop_draws_its_own_lot() -> None:
    step = {
        "name": "a",
        "template": "take",
        "withItems": [1, 2],
        "arguments": given(x="{{=sprig.randAlphaNum(8)}}{{item}}"),
    }
    world = World(workflow({"name": "main", "steps": [[step]]}, leaf("take", "x"))).play()
    assert world.phase == status.SUCCEEDED, world.message
    rows, machine = world.replayed()
    assert rows == world.rows
    assert machine.workflow_status == world.machine.workflow_status


def test_a_condition_may_ask_for_the_time() -> None:
    step = {"name": "a", "template": "work", "when": "{{=now().Year() > 2000}}"}
    world = World(workflow({"name": "main", "steps": [[step]]}, leaf("work"))).play()
    assert world.phase == status.SUCCEEDED, world.message
    assert len(world.started) == 1
