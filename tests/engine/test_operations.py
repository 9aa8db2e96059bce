"""What people ask of a run, at any moment: stop, terminate, suspend, resume, set, retry."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from syncd.argo import status
from syncd.argo.manifest import Body
from syncd.base.errors import Conflict, Invalid
from syncd.engine import operations
from syncd.engine.actions import StartTask, StopTask
from syncd.engine.observations import Admitted, Operation, TaskFinished, Tick
from tests.support.simulator import End, World, fail, succeed


def workflow(*templates: Body, **spec: Any) -> Body:
    return {"metadata": {"name": "wf"}, "spec": {"entrypoint": "main", "templates": list(templates), **spec}}


def leaf(name: str, *inputs: str, **more: Any) -> Body:
    shown = " ".join(f"{{{{inputs.parameters.{one}}}}}" for one in inputs)
    body: Body = {"name": name, "container": {"args": [shown]}, **more}
    if inputs:
        body["inputs"] = {"parameters": [{"name": one} for one in inputs]}
    return body


def steps(*groups: list[Body], name: str = "main", **more: Any) -> Body:
    return {"name": name, "steps": list(groups), **more}


def step(name: str, template: str, **more: Any) -> Body:
    return {"name": name, "template": template, **more}


def fails(*templates: str) -> Any:
    return lambda task: fail() if task.template_name in templates else succeed(task)


def hangs(task: StartTask) -> End:
    return End(hangs=True)


def again(world: World) -> list[str]:
    """Names of the nodes that a retry runs."""
    before = len(world.started)
    world.ask("retry")
    world.play()
    assert world.replayed()[0] == world.rows
    return [task.node_name for task in world.started[before:]]


def whole(world: World) -> None:
    """No row is left that the machine does not know."""
    known = {node.id for node in world.machine.nodes}
    assert set(world.nodes) == known


# -- stop and terminate


def test_terminate_after_stop_does_not_wait_for_the_grace() -> None:
    world = World(workflow(leaf("main")), hangs)
    world.feed(Admitted())
    world.ask("stop")
    advance = world.machine.advance(world.now, [Operation("terminate")])
    assert [(type(a), a.grace_seconds) for a in advance.actions if isinstance(a, StopTask)] == [(StopTask, 0.0)]
    assert world.machine.outstanding()[-1] == StopTask(
        world.started[0].task_id, "workflow shutdown with strategy:  Terminate", 0.0
    )


def test_stop_after_terminate_weakens_nothing() -> None:
    world = World(workflow(leaf("main"), leaf("bye"), onExit="bye"), hangs)
    world.feed(Admitted())
    world.ask("terminate")
    world.ask("stop")
    world.play()
    assert world.message == "Stopped with strategy 'Terminate'"
    assert [task.template_name for task in world.started] == ["main"]


def test_a_step_that_had_succeeded_before_the_stop_reached_it_has_succeeded() -> None:
    world = World(workflow(steps([step("a", "work")], [step("b", "work")]), leaf("work")), hangs)
    world.feed(Admitted())
    world.ask("stop")
    task = world.started[0]
    world.feed(TaskFinished(task.task_id, world.now, status.SUCCEEDED, "", 0, world.now))
    assert world.machine.finished
    assert world.phases() == {"wf": "Failed", "a": "Succeeded", "b": "Failed"}


@pytest.mark.parametrize("verb", ["stop", "terminate"])
@pytest.mark.parametrize("moment", ["pending", "backoff", "suspended node", "suspended run", "waiting", "exit handler"])
def test_a_run_can_be_ended_at_every_moment(verb: str, moment: str) -> None:
    bye = leaf("bye")
    world: World
    if moment == "backoff":
        work = leaf("main", retryStrategy={"limit": 3, "backoff": {"duration": "1h"}})
        world = World(workflow(work, bye, onExit="bye"), fails("main"))
        world.feed(Admitted())
        (identity,) = world.running
        world.running.clear()
        world.feed(TaskFinished(identity, world.now, status.FAILED, "no", 1))
    elif moment == "suspended node":
        world = World(workflow({"name": "main", "suspend": {}}, bye, onExit="bye"))
        world.play()
    elif moment == "suspended run":
        world = World(workflow(leaf("main"), bye, onExit="bye", suspend=True))
        world.play()
        assert not world.started
    elif moment == "waiting":
        loop = steps([step("a", "work", withItems=list(range(5)))], parallelism=2)
        world = World(workflow(loop, leaf("work"), bye, onExit="bye"), hangs)
        world.play()
    elif moment == "exit handler":
        world = World(
            workflow(leaf("main"), bye, onExit="bye"),
            lambda task: End(hangs=task.template_name == "bye"),
        )
        world.play()
        assert [task.template_name for task in world.started] == ["main", "bye"]
    else:
        world = World(workflow(leaf("main"), bye, onExit="bye"), hangs)
        world.feed(Admitted())
    before = len(world.started)
    world.ask(verb)
    world.script = succeed
    if moment == "exit handler" and verb == "stop":
        world.running = {identity: (task, End()) for identity, (task, _) in world.running.items()}
    world.play()
    assert world.machine.finished
    assert all(node["phase"] in status.FULFILLED for node in world.nodes.values())
    ran = [task.template_name for task in world.started[before:]]
    assert ran == (["bye"] if verb == "stop" and moment != "exit handler" else [])
    assert world.machine.gate.pods == 0


def test_a_run_that_is_submitted_stopped_runs_only_its_exit_handler() -> None:
    world = World(workflow(leaf("main"), leaf("bye"), onExit="bye", shutdown="Stop")).play()
    assert world.phase == status.FAILED
    assert [task.template_name for task in world.started] == ["bye"]


# -- fail fast


def test_fail_fast_leaves_no_group_behind() -> None:
    """What waits for a place in the workflow is given up, too, when its template has failed."""
    main = {
        "name": "main",
        "failFast": True,
        "dag": {"tasks": [step("a", "bad"), step("b", "work", withItems=[1, 2, 3])]},
    }
    world = World(workflow(main, leaf("bad"), leaf("work"), parallelism=1), fails("bad")).play()
    assert world.phase == status.FAILED
    assert all(node["phase"] in status.FULFILLED for node in world.nodes.values()), world.phases()
    assert len(world.started) == 1


@pytest.mark.parametrize("kind", ["steps", "dag"])
def test_fail_fast_ends_what_waits_for_a_person(kind: str) -> None:
    children = [step("ask", "ask"), step("a", "bad")]
    body: Body = {"steps": [children]} if kind == "steps" else {"dag": {"tasks": children}}
    world = World(
        workflow({"name": "main", "failFast": True, **body}, leaf("bad"), {"name": "ask", "suspend": {}}), fails("bad")
    ).play()
    assert world.phase == status.FAILED
    assert all(node["phase"] in status.FULFILLED for node in world.nodes.values()), world.phases()


# -- deadlines


def test_what_is_still_pending_at_its_timeout_is_given_up() -> None:
    world = World(workflow(leaf("main", timeout="10s")), hangs)
    world.feed(Admitted())
    assert world.wake_at == world.now + timedelta(seconds=10)
    world.play()
    assert world.phase == status.FAILED
    assert world.nodes["wf"]["message"] == "Step exceeded its deadline"


def test_what_had_ended_before_the_deadline_has_not_missed_it() -> None:
    """Its end and the deadline may be told in one breath."""
    world = World(workflow(leaf("main"), activeDeadlineSeconds=10), hangs)
    world.feed(Admitted())
    ended = world.now + timedelta(seconds=9)
    world.now += timedelta(seconds=11)
    world.feed(TaskFinished(world.started[0].task_id, ended, status.SUCCEEDED, "", 0), Tick())
    assert world.phase == status.SUCCEEDED


def test_a_deadline_may_be_a_parameter() -> None:
    work = leaf("work", "n", activeDeadlineSeconds="{{inputs.parameters.n}}")
    call = step("a", "work", arguments={"parameters": [{"name": "n", "value": 7}]})
    world = World(workflow(steps([call]), work)).play()
    assert world.started[0].active_seconds == 7


# -- suspend, resume, set


ASK = {
    "name": "ask",
    "suspend": {},
    "outputs": {"parameters": [{"name": "answer", "valueFrom": {"supplied": {}}}]},
}


def test_set_reaches_only_nodes_that_ask_for_it() -> None:
    """Two nodes match, one of them asks for no such value: refused beforehand, and harmless where it comes anyway."""
    main = steps([step("a", "ask"), step("b", "wait")])
    world = World(workflow(main, ASK, {"name": "wait", "suspend": {}})).play()
    operation = Operation(
        "set", "me", {"nodeFieldSelector": "phase=Running,type=Suspend", "outputParameters": {"answer": "1"}}
    )
    with pytest.raises(Invalid, match="answer"):
        operations.check(world.machine, operation)
    world.feed(operation)
    assert "value" not in world.by_display_name()["a"]["outputs"]["parameters"][0]


def test_a_value_that_was_set_is_read_by_the_next_step() -> None:
    take = step(
        "b", "take", arguments={"parameters": [{"name": "x", "value": "{{steps.a.outputs.parameters.answer}}"}]}
    )
    world = World(workflow(steps([step("a", "ask")], [take]), ASK, leaf("take", "x"))).play()
    world.ask("set", nodeFieldSelector="displayName=a", outputParameters={"answer": "yes"}, message="hm")
    assert world.by_display_name()["a"]["outputs"]["parameters"] == [{"name": "answer", "value": "yes"}]
    assert world.by_display_name()["a"]["message"] == "hm"
    world.ask("resume")
    world.play()
    assert world.started[0].template["container"]["args"] == ["yes"]


def test_a_message_alone_is_kept() -> None:
    world = World(workflow({"name": "main", "suspend": {}})).play()
    world.ask("set", nodeFieldSelector="name=wf", message="wait for Ann")
    assert world.nodes["wf"]["message"] == "wait for Ann"


def test_resume_without_the_values_that_are_asked_for_is_refused() -> None:
    world = World(workflow(steps([step("a", "ask")]), ASK)).play()
    with pytest.raises(Conflict, match="answer"):
        operations.check(world.machine, Operation("resume"))
    assert not world.machine.finished


def test_resume_of_a_selection_that_matches_nothing_is_refused() -> None:
    world = World(workflow({"name": "main", "suspend": {}}, suspend=False)).play()
    world.ask("suspend")
    with pytest.raises(Conflict):
        operations.check(world.machine, Operation("resume", "", {"nodeFieldSelector": "displayName=nobody"}))


# -- retry


def test_a_retry_drops_what_it_no_longer_reaches() -> None:
    """An attempt that is not made again, an item that is no longer there: their rows go."""
    loop = step(
        "a",
        "work",
        withParam="{{workflow.parameters.items}}",
        arguments={"parameters": [{"name": "x", "value": "{{item}}"}]},
    )
    world = World(
        workflow(
            steps([loop]),
            leaf("work", "x"),
            arguments={"parameters": [{"name": "items", "value": '["u", "v", "w"]'}]},
        ),
        lambda task: fail() if task.node_name.endswith("w)") else succeed(task),
    ).play()
    world.script = succeed
    world.ask("retry", parameters=['items=["u"]'])
    world.play()
    assert world.phase == status.SUCCEEDED
    assert set(world.phases()) == {"wf", "a(0:u)"}
    whole(world)
    assert world.machine.workflow_status["progress"] == "1/1"
    assert world.replayed()[0] == world.rows


def test_a_retry_with_other_parameters_runs_the_loops_around_what_failed_anew() -> None:
    """Argo v4.1.2 util.go FormulateRetryWorkflow, #15802."""
    loop = step("a", "work", withItems=["x", "y"])
    world = World(
        workflow(
            steps([step("first", "work")], [loop]),
            leaf("work"),
            arguments={"parameters": [{"name": "p", "value": "1"}]},
        ),
        lambda task: fail() if task.node_name.endswith("y)") else succeed(task),
    ).play()
    world.script = succeed
    before = len(world.started)
    world.ask("retry", parameters=["p=2"])
    world.play()
    assert [task.node_name for task in world.started[before:]] == ["wf[1].a(0:x)", "wf[1].a(1:y)"]


def test_a_retried_composite_is_begun_anew() -> None:
    inner = steps(
        [step("ok", "work")], [step("no", "bad")], name="inner", retryStrategy={"limit": 1, "retryPolicy": "Always"}
    )
    world = World(workflow(steps([step("in", "inner")]), inner, leaf("work"), leaf("bad")), fails("bad")).play()
    assert world.phase == status.FAILED
    world.script = succeed
    again(world)
    assert world.phase == status.SUCCEEDED
    whole(world)


def test_a_retry_after_a_stop_goes_on_where_it_was() -> None:
    main = steps([step("a", "work")], [step("b", "slow")], [step("c", "work")])
    world = World(
        workflow(main, leaf("work"), leaf("slow"), leaf("bye"), onExit="bye"),
        lambda task: End(hangs=task.template_name == "slow"),
    ).play()
    world.ask("stop")
    world.play()
    assert world.phase == status.FAILED
    world.script = succeed
    assert again(world) == ["wf[1].b", "wf[2].c", "wf.onExit"]
    assert world.phase == status.SUCCEEDED
    assert world.message == ""
    whole(world)


def test_a_run_can_be_retried_twice() -> None:
    main = {
        "name": "main",
        "dag": {"tasks": [step("a", "work"), step("b", "bad", depends="a"), step("c", "worse", depends="b")]},
    }
    world = World(workflow(main, leaf("work"), leaf("bad"), leaf("worse")), fails("bad", "worse")).play()
    world.script = fails("worse")
    assert again(world) == ["wf.b", "wf.c"]
    assert world.phase == status.FAILED
    world.script = succeed
    assert again(world) == ["wf.c"]
    assert world.phase == status.SUCCEEDED
    assert len({task.task_id for task in world.started}) == len(world.started)
    whole(world)


def test_a_selector_without_restart_successful_restarts_nothing_that_succeeded() -> None:
    main = steps([step("a", "work")], [step("b", "bad")])
    world = World(workflow(main, leaf("work"), leaf("bad")), fails("bad")).play()
    world.script = succeed
    before = len(world.started)
    world.ask("retry", restartSuccessful=True)
    world.play()
    assert [task.node_name for task in world.started[before:]] == ["wf[1].b"]


def test_progress_after_a_retry_counts_what_was_kept_as_it_was() -> None:
    main = steps([step("a", "flaky")], [step("b", "bad")])
    ends = iter([fail(), End()])

    def script(task: StartTask) -> End:
        if task.template_name == "flaky":
            return next(ends)
        return fail() if task.template_name == "bad" else succeed(task)

    world = World(workflow(main, leaf("flaky", retryStrategy={"limit": 2}), leaf("bad")), script).play()
    assert world.machine.workflow_status["progress"] == "1/3"
    world.script = succeed
    again(world)
    assert world.machine.workflow_status["progress"] == "2/3"
