"""What a hostile manifest or a hostile step can do to the machine: nothing worse than an end of its own run."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from syncd.argo import status
from syncd.argo.manifest import Body
from syncd.base.errors import Invalid
from syncd.engine import attempts, fanout, machine
from syncd.engine.actions import StopTask
from syncd.engine.observations import Admitted, TaskFinished, TaskProgress
from tests.support.simulator import BEGIN, End, World, fail, succeed


def workflow(*templates: Body, **spec: Any) -> Body:
    return {"metadata": {"name": "wf"}, "spec": {"entrypoint": "main", "templates": list(templates), **spec}}


MAKE_AND_LOOP = {
    "name": "main",
    "steps": [
        [{"name": "make", "template": "work"}],
        [{"name": "use", "template": "work", "withParam": "{{steps.make.outputs.result}}"}],
    ],
}
WORK = {"name": "work", "container": {"args": ["x"]}}


@pytest.mark.parametrize(
    "result",
    [
        "[" * 100_000,
        "[" * 700 + "]" * 700,
        '["\\ud800"]',
        '[{"\\udfff": 1}]',
        "[1e999]",
        "[" + "9" * 5000 + "]",
        "[null]",
        "\x00",
        "{}",
    ],
    ids=["deep", "nested", "surrogate", "key", "infinite", "long", "null", "zero", "mapping"],
)
def test_a_result_to_loop_over_may_hold_anything(result: str) -> None:
    world = World(workflow(MAKE_AND_LOOP, WORK), lambda task: End(outputs={"result": result})).play()
    assert world.machine.finished
    str(world.nodes).encode()


@pytest.mark.parametrize("result", ["[" * 100_000, '"\\ud800"', "NaN"])
def test_a_result_to_gather_may_hold_anything(result: str) -> None:
    main = {
        "name": "main",
        "steps": [
            [{"name": "make", "template": "work", "withItems": [1, 2]}],
            [
                {
                    "name": "use",
                    "template": "show",
                    "arguments": {"parameters": [{"name": "x", "value": "{{steps.make.outputs.result}}"}]},
                }
            ],
        ],
    }
    show = {
        "name": "show",
        "inputs": {"parameters": [{"name": "x"}]},
        "container": {"args": ["{{inputs.parameters.x}}"]},
    }
    world = World(workflow(main, WORK, show), lambda task: End(outputs={"result": result})).play()
    assert world.phase == status.SUCCEEDED
    str(world.nodes).encode()


@pytest.mark.parametrize("progress", ["²/³", "1/" + "9" * 6000, "-1/2", "3/2", "1/2/3", "", "a/b", "٣/٤"])
def test_progress_that_is_none_is_passed_over(progress: str) -> None:
    world = World(workflow({**WORK, "name": "main"}), lambda task: End(hangs=True))
    world.feed(Admitted())
    world.feed(TaskProgress(world.started[0].task_id, progress))
    assert world.machine.workflow_status["progress"] == "0/1"


@pytest.mark.parametrize(
    "more",
    [
        {"timeout": "junk"},
        {"pendingTimeout": "junk"},
        {"pendingTimeout": "99999999h"},
        {"timeout": "2000000h"},
        {"activeDeadlineSeconds": "junk"},
        {"activeDeadlineSeconds": 10**30},
        {"retryStrategy": {"limit": 1, "backoff": {"duration": "junk"}}},
        {"retryStrategy": {"limit": 1, "backoff": {"duration": "1", "maxDuration": "2000000h"}}},
        {"retryStrategy": {"limit": "junk"}},
        {"retryStrategy": {"expression": "("}},
    ],
    ids=str,
)
def test_a_limit_that_cannot_be_read_ends_the_step(more: Body) -> None:
    world = World(workflow({**WORK, "name": "main", **more}), lambda task: fail()).play()
    assert world.machine.finished
    assert world.phase in status.UNSUCCESSFUL
    assert world.machine.gate.pods == 0
    assert not world.running


@pytest.mark.parametrize("seconds", [10**18, 10**40, -5, 0, "junk"])
def test_a_deadline_of_the_workflow_may_be_any_number(seconds: Any) -> None:
    world = World(workflow({**WORK, "name": "main"}, activeDeadlineSeconds=seconds)).play()
    assert world.machine.finished


@pytest.mark.parametrize("duration", ["2000000h", "-1h", "junk", "99999999999999999999"])
def test_a_suspension_may_be_of_any_length(duration: str) -> None:
    world = World(workflow({"name": "main", "suspend": {"duration": duration}}))
    world.feed(Admitted())


def test_a_pause_grows_no_further_than_it_can_be_told() -> None:
    backoff = {"duration": "1s", "factor": 10, "cap": "1m"}
    assert attempts.pause_before(backoff, 1000) == timedelta(minutes=1)
    assert attempts.pause_before({"duration": "1s", "factor": 2_000_000_000}, 10**9) > timedelta(days=365)


def test_attempts_that_end_at_once_do_not_spin() -> None:
    """A retried call that cannot even start would be tried again for ever, within one step of the machine."""
    broken = {
        **WORK,
        "name": "main",
        "retryStrategy": {"retryPolicy": "Always"},
        "container": {"volumeMounts": [{"name": "no"}]},
    }
    world = World(workflow(broken))
    world.feed(Admitted())
    assert len(world.machine.nodes) < 50
    assert world.wake_at is not None
    assert world.wake_at > world.now


def test_a_workflow_that_grows_without_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two calls of itself per level, a hundred levels: more nodes than atoms. Argo stops it by the size of an object."""
    monkeypatch.setattr(machine, "MAX_NODES", 500)
    main = {
        "name": "main",
        "steps": [[{"name": "hold", "template": "work"}, {"name": "a", "template": "tree"}]],
    }
    tree = {"name": "tree", "steps": [[{"name": "a", "template": "tree"}, {"name": "b", "template": "tree"}]]}
    world = World(workflow(main, tree, WORK), lambda task: End(hangs=True))
    world.feed(Admitted())
    assert world.phase == status.ERROR
    assert "more than 500 nodes" in world.message
    assert all(node["phase"] in status.FULFILLED for node in world.nodes.values())
    assert world.machine.outstanding() == []
    rows, _ = world.replayed()
    assert rows == world.rows


def test_what_runs_in_an_overgrown_workflow_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "MAX_NODES", 500)
    main = {
        "name": "main",
        "steps": [
            [{"name": "hold", "template": "work"}],
            [{"name": "a", "template": "work", "withSequence": {"count": 600}}],
        ],
    }
    world = World(
        workflow(main, WORK), lambda task: succeed(task) if task.node_name.endswith("hold") else End(hangs=True)
    )
    world.feed(Admitted())
    (task,) = world.started
    advance = world.machine.advance(world.now, [TaskFinished(task.task_id, BEGIN, status.SUCCEEDED, "", 0)])
    stopped = {a.task_id for a in advance.actions if isinstance(a, StopTask)}
    begun = {a.task_id for a in advance.actions if not isinstance(a, StopTask)}
    assert begun <= stopped


def test_a_format_of_a_sequence_may_ask_for_anything() -> None:
    for text in ("%" + "9" * 5000 + "d", "%٣d", "%99999d", "%s", "%", "%%", "%c"):
        try:
            fanout.sequence({"count": 2, "format": text})
        except Invalid:
            continue
