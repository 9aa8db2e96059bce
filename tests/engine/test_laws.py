"""The laws of the machine, on workflows made up at random."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.argo import status
from syncd.engine.actions import StartTask
from syncd.engine.machine import Machine
from syncd.engine.observations import Admitted, TaskFinished, TaskStarted, Tick
from tests.support.simulator import BEGIN, End, World, fail, succeed

NAMES = "abcdefgh"


@st.composite
def workflows(draw: st.DrawFn) -> dict[str, Any]:
    """A DAG or steps of leaves that fail or not, with loops, retries, conditions and an exit handler."""
    leaves: list[dict[str, Any]] = []
    for name in ("ok", "bad"):
        leaf: dict[str, Any] = {"name": name, "container": {"command": [name]}}
        if draw(st.booleans()):
            leaf["retryStrategy"] = {"limit": draw(st.integers(0, 2))}
        leaves.append(leaf)
    inner = {"name": "inner", "steps": [[{"name": "x", "template": "ok"}], [{"name": "y", "template": "bad"}]]}

    def child(name: str) -> dict[str, Any]:
        made: dict[str, Any] = {"name": name, "template": draw(st.sampled_from(["ok", "bad", "inner", "ok", "ok"]))}
        if draw(st.integers(0, 3)) == 0:
            made["withItems"] = list(range(draw(st.integers(0, 3))))
        if draw(st.integers(0, 4)) == 0:
            made["when"] = draw(st.sampled_from(["1 == 1", "1 == 2"]))
        if draw(st.integers(0, 4)) == 0:
            made["continueOn"] = {"failed": True}
        if draw(st.integers(0, 5)) == 0:
            made["onExit"] = "ok"
        return made

    count = draw(st.integers(1, 6))
    main: dict[str, Any] = {"name": "main"}
    if draw(st.booleans()):
        tasks = []
        for index in range(count):
            task = child(NAMES[index])
            before = draw(st.lists(st.sampled_from(NAMES[:index]), unique=True, max_size=3)) if index else []
            if before and draw(st.booleans()) and "continueOn" not in task:
                results = ["", ".Succeeded", ".Failed", ".Omitted"]
                task["depends"] = draw(st.sampled_from([" && ", " || "])).join(
                    name + draw(st.sampled_from(results)) for name in before
                )
            elif before:
                task["dependencies"] = before
            tasks.append(task)
        if any("depends" in task for task in tasks):
            for task in tasks:
                task.pop("continueOn", None)
                if "dependencies" in task:
                    task["depends"] = " && ".join(task.pop("dependencies"))
        main["dag"] = {"tasks": tasks, "failFast": draw(st.booleans())}
    else:
        main["steps"] = [
            [child(f"{NAMES[index]}{i}") for i in range(draw(st.integers(1, 2)))] for index in range(count)
        ]
    if draw(st.booleans()):
        main["parallelism"] = draw(st.integers(1, 3))
    spec: dict[str, Any] = {"entrypoint": "main", "templates": [main, inner, *leaves]}
    if draw(st.booleans()):
        spec["parallelism"] = draw(st.integers(1, 3))
    if draw(st.booleans()):
        spec["onExit"] = "ok"
    return {"metadata": {"name": "law"}, "spec": spec}


def script(task: StartTask) -> End:
    return fail() if task.template_name == "bad" else succeed(task)


laws = settings(max_examples=100, deadline=None)


@laws
@given(workflows())
def test_every_workflow_ends_and_every_node_is_fulfilled(workflow: dict[str, Any]) -> None:
    world = World(workflow, script).play()
    assert world.machine.finished
    assert not world.running
    assert world.machine.gate.pods == 0
    assert all(node["phase"] in status.FULFILLED for node in world.nodes.values())


@laws
@given(workflows())
def test_replaying_the_journal_gives_the_same_rows(workflow: dict[str, Any]) -> None:
    world = World(workflow, script).play()
    rows, machine = world.replayed()
    assert rows == world.rows
    assert machine.workflow_status == world.machine.workflow_status
    assert machine.outstanding() == []


@laws
@given(workflows(), st.integers(0, 30))
def test_a_replay_cut_short_asks_for_what_had_not_ended(workflow: dict[str, Any], cut: int) -> None:
    world = World(workflow, script).play()
    from syncd.engine.observations import decode

    machine = Machine(world.workflow, world.run)
    started: dict[str, StartTask] = {}
    ended: set[str] = set()
    for now, observations in world.journal[: cut + 1]:
        seen = [decode(o) for o in observations]
        for action in machine.advance(now, seen).actions:
            if isinstance(action, StartTask):
                started[action.task_id] = action
        ended.update(o.task_id for o in seen if isinstance(o, TaskFinished))
    assert {a.task_id for a in machine.outstanding()} == started.keys() - ended


@laws
@given(workflows())
def test_a_repeated_observation_changes_nothing(workflow: dict[str, Any]) -> None:
    world = World(workflow, script).play()
    from syncd.engine.observations import decode

    machine = Machine(world.workflow, world.run)
    for now, observations in world.journal:
        seen = [decode(o) for o in observations]
        machine.advance(now, seen)
        again = machine.advance(now, seen)
        assert not again.actions
        assert not again.nodes
        assert again.status is None


@laws
@given(workflows(), st.randoms(use_true_random=False))
def test_the_order_in_which_tasks_end_does_not_change_the_verdict(
    workflow: dict[str, Any], source: random.Random
) -> None:
    expected = World(workflow, script).play()
    world = World(workflow, script)
    world.feed(Admitted())
    while not world.machine.finished:
        if world.running:
            identity = source.choice(sorted(world.running))
            _, end = world.running.pop(identity)
            world.feed(
                TaskStarted(identity, BEGIN), TaskFinished(identity, BEGIN, end.phase, end.message, end.exit_code)
            )
        else:
            assert world.wake_at is not None
            world.now = world.wake_at
            world.feed(Tick())
    assert world.phase == expected.phase
    assert world.phases() == expected.phases()


@laws
@given(workflows())
def test_parallelism_is_never_exceeded(workflow: dict[str, Any]) -> None:
    world = World(workflow, script).play()
    limit = workflow["spec"].get("parallelism")
    if limit is not None:
        assert world.most_running <= limit


@laws
@given(workflows())
def test_without_news_nothing_happens(workflow: dict[str, Any]) -> None:
    world = World(workflow, script)
    world.feed(Admitted())
    advance = world.machine.advance(world.now, [])
    assert not advance


@laws
@given(workflows())
def test_a_retried_run_keeps_what_succeeded_and_ends_well_once_nothing_fails(workflow: dict[str, Any]) -> None:
    world = World(workflow, script).play()
    if world.phase == status.SUCCEEDED:
        return
    world.script = succeed
    world.ask("retry")
    world.play()
    assert world.phase == status.SUCCEEDED
    rows, _ = world.replayed()
    assert rows == world.rows
    assert all(
        node["phase"] not in status.UNSUCCESSFUL or node.get("nodeFlag", {}).get("retried")
        for node in world.nodes.values()
    )


@laws
@given(workflows(), st.integers(0, 6), st.sampled_from(["stop", "terminate"]))
def test_a_stopped_run_ends_and_starts_nothing_but_exit_handlers(
    workflow: dict[str, Any], after: int, verb: str
) -> None:
    world = World(workflow, lambda task: End(hangs=len(world.started) >= after))
    world.play()
    if world.machine.finished:
        return
    before = len(world.started)
    world.ask(verb)
    world.script = succeed
    # an exit handler that already runs is left to end by itself
    world.running = {i: (task, End() if end.hangs else end) for i, (task, end) in world.running.items()}
    world.play()
    assert world.machine.finished
    assert not world.running
    later = [task.node_name for task in world.started[before:]]
    assert all(verb == "stop" and ".onExit" in name for name in later)
