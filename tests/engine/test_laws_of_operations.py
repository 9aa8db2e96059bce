"""Whatever people ask, whenever they ask it: the run ends, nothing is left over, and a replay agrees."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.argo import status
from syncd.engine.actions import StartTask
from syncd.engine.observations import Admitted, TaskFinished, TaskStarted, Tick
from tests.engine.test_laws import workflows
from tests.support.simulator import End, World, fail, succeed

ASKED = ["suspend", "resume", "stop", "terminate", "retry"]


@st.composite
def stories(draw: st.DrawFn) -> tuple[dict[str, Any], list[Any]]:
    """A workflow and what happens to it: a task ends well or badly (by its place among those that run), time, a word."""
    workflow = draw(workflows())
    spec = workflow["spec"]
    if draw(st.booleans()):
        spec["templates"].append({"name": "ask", "suspend": draw(st.sampled_from([{}, {"duration": "30s"}]))})
        main = spec["templates"][0]
        first = main["dag"]["tasks"] if "dag" in main else main["steps"][0]
        first.append({"name": "ask", "template": "ask"})
    main = spec["templates"][0]
    if draw(st.integers(0, 3)) == 0:
        main["failFast"] = True
    if draw(st.integers(0, 3)) == 0:
        spec["activeDeadlineSeconds"] = 20
    for leaf in spec["templates"]:
        if draw(st.booleans()) and leaf.get("retryStrategy"):
            leaf["retryStrategy"]["backoff"] = {"duration": "7", "factor": 2}
    events = st.one_of(
        st.tuples(st.just("end"), st.integers(0, 5), st.booleans()),
        st.tuples(st.just("time"), st.integers(1, 15)),
        st.tuples(st.just("ask"), st.sampled_from(ASKED)),
    )
    return workflow, draw(st.lists(events, max_size=25))


def tell(story: tuple[dict[str, Any], list[Any]]) -> World:
    from datetime import timedelta

    workflow, events = story
    world = World(workflow, lambda task: End(hangs=True))
    world.feed(Admitted())
    for event in events:
        if event[0] == "time":
            world.now += timedelta(seconds=event[1])
            world.feed(Tick())
        elif event[0] == "ask":
            world.ask(event[1])
        elif world.running:
            identity = sorted(world.running)[event[1] % len(world.running)]
            task, end = world.running.pop(identity)
            end = (succeed(task) if event[2] else fail()) if end.hangs else end
            world.feed(
                TaskStarted(identity, world.now),
                TaskFinished(identity, world.now, end.phase, end.message, end.exit_code),
            )
        whole(world)
    return world


def whole(world: World) -> None:
    """What must hold at every moment."""
    machine = world.machine
    assert {a.task_id for a in machine.outstanding() if isinstance(a, StartTask)} == set(world.running)
    assert machine.gate.pods == len(world.running)
    assert set(world.nodes) == {node.id for node in machine.nodes} | {
        n.id for part in machine.kept.values() for n in part
    }
    done, _, known = machine.workflow_status["progress"].partition("/")
    assert 0 <= int(done) <= int(known)
    if machine.finished:
        assert all(node["phase"] in status.FULFILLED for node in world.nodes.values())
        assert not world.running
        assert not machine.kept


@settings(max_examples=120, deadline=None)
@given(stories())
def test_whatever_is_asked_the_run_can_be_brought_to_an_end(story: tuple[dict[str, Any], list[Any]]) -> None:
    world = tell(story)
    world.ask("resume")
    world.script = succeed
    world.running = {i: (task, succeed(task) if end.hangs else end) for i, (task, end) in world.running.items()}
    world.play()
    for _ in range(3):  # what waits for a person again and again
        if not world.machine.finished:
            world.ask("resume")
            world.play()
    if not world.machine.finished:
        world.ask("terminate")
        world.play()
    assert world.machine.finished
    whole(world)


@settings(max_examples=80, deadline=None)
@given(stories())
def test_a_replay_of_all_that_was_asked_gives_the_same_run(story: tuple[dict[str, Any], list[Any]]) -> None:
    world = tell(story)
    rows, machine = world.replayed()
    assert rows == world.rows
    assert machine.workflow_status == world.machine.workflow_status
    assert machine.outstanding() == world.machine.outstanding()


@settings(max_examples=60, deadline=None)
@given(stories())
def test_a_run_that_ended_badly_ends_well_when_it_is_retried_and_nothing_fails(
    story: tuple[dict[str, Any], list[Any]],
) -> None:
    story[0]["spec"].pop("activeDeadlineSeconds", None)
    world = tell(story)
    world.ask("terminate")
    world.play()
    if world.phase not in status.UNSUCCESSFUL:
        return
    world.script = succeed
    world.ask("retry")
    world.play()
    for _ in range(5):
        if not world.machine.finished:
            world.ask("resume")
            world.play()
    assert world.phase == status.SUCCEEDED, world.message
    whole(world)


def test_no_group_outlives_a_dag_that_fails_fast() -> None:
    """Found by the law above: the failed item has an exit handler, which the closed room refuses."""
    task = {"name": "a", "template": "ok", "withItems": [0], "continueOn": {"failed": True}, "onExit": "ok"}
    other = {"name": "b", "template": "ok"}
    templates = [
        {"name": "main", "dag": {"tasks": [task, other], "failFast": False}, "failFast": True},
        {"name": "ok", "container": {"command": ["ok"]}},
    ]
    workflow = {"metadata": {"name": "law"}, "spec": {"entrypoint": "main", "templates": templates, "parallelism": 1}}
    world = tell((workflow, [("end", 0, False)]))
    assert world.machine.finished
    phases = {node["name"]: node["phase"] for node in world.nodes.values()}
    assert phases == {"law": "Failed", "law.a": "Failed", "law.a(0:0)": "Failed"}
