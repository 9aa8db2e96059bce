"""The run loop: save, then act; nothing is lost, nothing is done twice, nobody waits for ever."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest

from syncd.argo import labels
from syncd.argo.manifest import Key
from syncd.base.errors import Conflict, Defect, Invalid, NotFound, Unreachable
from syncd.cluster.api import Verb, Write
from syncd.engine.machine import Machine
from syncd.engine.observations import TaskFinished
from tests.loops.running import FaultyStore, House, again, house, loop_of, one, until
from tests.support.clocks import ManualClock


async def test_a_workflow_runs_and_its_task_is_forgotten_once_the_end_is_durable() -> None:
    async with house().open() as it:
        key = await it.create(one())
        await until(lambda: it.executor.running)
        it.executor.end_all()
        assert (await it.ended(key))["phase"] == "Succeeded"
        await until(lambda: it.executor.forgotten)
        assert [type(event).__name__ for event in it.events] == ["RunStarted", "RunFinished"]
        assert it.loop.unfinished == 0


# -- a store that fails


async def test_while_nothing_can_be_saved_nothing_is_started() -> None:
    it = house()
    it.store.fault = Unreachable("disk full")
    async with it.open():
        key = await it.create(one())
        await until(lambda: it.store.tries > 1)
        assert not it.executor.started
        assert not it.events
        it.store.fault = None
        await until(lambda: it.executor.running)
        it.executor.end_all()
        await it.ended(key)
        assert [entry.seq for entry in it.store.saved] == sorted(entry.seq for entry in it.store.saved)


async def test_what_happens_while_a_save_fails_is_taken_in_afterwards_in_order() -> None:
    async with house().open() as it:
        key = await it.create(loop_of(3))
        await until(lambda: len(it.executor.running) == 3)
        it.store.fault = Unreachable("disk full")
        first, second, third = it.executor.running
        it.executor.end(first)
        tries = it.store.tries
        await until(lambda: it.store.tries > tries)
        it.executor.end(second)
        it.executor.end(third)
        it.store.fault = None
        assert (await it.ended(key))["progress"] == "3/3"


async def test_a_step_does_not_hang_on_a_store_that_fails_for_good() -> None:
    """A daemon that stops takes one last step."""
    it = house()
    async with it.open():
        await it.create(one())
        await until(lambda: it.executor.running)
        it.store.fault = Unreachable("gone")
        it.executor.end_all()
        await until(lambda: it.loop._unsaved)
    async with asyncio.timeout(5):
        await it.loop.step()


async def test_a_save_that_seemed_to_fail_is_found_to_be_done() -> None:
    """The commit went through and its answer was lost: the entry is not taken for another's."""
    async with house().open() as it:
        key = await it.create(one())
        await until(lambda: it.executor.running)
        it.store.fault, it.store.saves_anyway = Unreachable("who knows"), True
        it.executor.end_all()
        await until(lambda: it.loop._unsaved)
        it.store.fault = None
        await until(lambda: it.loop.unfinished == 0)
        assert (await it.status(key))["phase"] == "Succeeded"
        assert len(it.named("RunFinished")) == 1


async def test_a_run_that_can_never_be_saved_is_ended_and_the_others_go_on() -> None:
    async with house().open() as it:
        bad = await it.create(one(), "bad")
        good = await it.create(one(), "good")
        await until(lambda: len(it.executor.running) == 2)
        for task_id, task in list(it.executor.running.items()):
            it.executor.end(task_id, parameters=[{"name": "x", "value": {1, 2}}] if task.run_name == "bad" else [])
        assert (await it.ended(good))["phase"] == "Succeeded"
        ended = await it.ended(bad)
        assert ended["phase"] == "Error"
        assert "a defect of syncd" in ended["message"]
        assert it.loop.unfinished == 0


# -- deleted Workflows


async def test_a_workflow_that_is_deleted_in_the_middle_of_a_batch_takes_nobody_along() -> None:
    async with house().open() as it:
        gone = await it.create(loop_of(2), "gone")
        stays = await it.create(one(), "stays")
        await until(lambda: len(it.executor.running) == 3)
        it.store.gate = asyncio.Event()
        ids = {task.run_name: task_id for task_id, task in it.executor.running.items()}
        it.executor.end(ids["gone"])
        it.executor.end(ids["stays"])
        tries = it.store.tries
        await until(lambda: it.store.tries > tries)
        await it.delete(gone)
        it.store.gate.set()
        it.store.gate = None
        assert (await it.ended(stays))["phase"] == "Succeeded"
        await until(lambda: not it.executor.running)  # the other task of the one that is gone was stopped
        assert it.loop.unfinished == 0


async def test_a_workflow_that_is_deleted_while_it_is_saved_starts_nothing() -> None:
    async with house().open() as it:
        it.store.gate = asyncio.Event()
        key = await it.create(loop_of(3))
        await until(lambda: it.store.tries)
        await it.loop.forget(key)
        it.store.gate.set()
        it.store.gate = None
        await it.delete(key)
        other = await it.create(one(), "other")
        await until(lambda: it.executor.running)
        assert [task.run_name for task in it.executor.started] == ["other"]
        it.executor.end_all()
        await it.ended(other)


async def test_deleting_a_run_that_waits_empties_the_queue() -> None:
    async with house(max_tasks=1).open() as it:
        key = await it.create(loop_of(50))
        await until(lambda: it.executor.running)
        await it.delete(key)
        await until(lambda: it.loop.unfinished == 0)
        await until(lambda: not it.executor.running)
        assert len(it.executor.started) == 1
        assert len(it.loop._starts) == 0
        (finished,) = it.named("RunFinished")
        assert finished.message == "the workflow was deleted"


async def test_the_end_of_an_old_namesake_does_not_end_the_new_run() -> None:
    async with house().open() as it:
        key = await it.create(one())
        await until(lambda: it.executor.running)
        await it.loop.forget(key, "another uid")
        assert it.loop.unfinished == 1


async def test_a_watch_that_fell_behind_learns_what_was_made_and_what_was_deleted() -> None:
    clock = ManualClock()
    it = House(FaultyStore(clock, history=4), clock)
    async with it.open():
        gone = await it.create(one(), "gone")
        await until(lambda: it.executor.running)
        await it.delete(gone)
        for index in range(20):  # all of it before the watch has its turn
            await it.create(one(), f"new-{index}")
        await until(lambda: len(it.executor.running) == 20)
        assert "gone" not in {task.run_name for task in it.executor.running.values()}
        assert it.loop.unfinished == 20


# -- operations


async def test_two_retries_at_once_run_it_once() -> None:
    async with house().open() as it:
        key = await it.create(one())
        await until(lambda: it.executor.running)
        it.executor.end_all("Failed", 1)
        await it.ended(key)
        await until(lambda: it.loop.unfinished == 0)
        both = await asyncio.gather(
            it.loop.operate(key, "retry", {}, by="a"), it.loop.operate(key, "retry", {}, by="b"), return_exceptions=True
        )
        assert all(isinstance(one, dict | Conflict) for one in both)
        await until(lambda: it.executor.running)
        assert not (await it.status(key)).get("finishedAt")
        assert (await it.store.get(key))["metadata"]["labels"][labels.COMPLETED] == "false"
        it.executor.end_all()
        assert (await it.ended(key))["phase"] == "Succeeded"
        kinds = [type(event).__name__ for event in it.events]
        assert kinds == ["RunStarted", "RunFinished", "RunStarted", "RunFinished"]
        assert it.loop.unfinished == 0


async def test_a_retry_that_comes_while_the_end_is_being_saved_is_not_lost() -> None:
    async with house().open() as it:
        key = await it.create(one())
        await until(lambda: it.executor.running)
        it.store.gate = asyncio.Event()
        tries = it.store.tries
        it.executor.end_all("Failed", 1)
        await until(lambda: it.store.tries > tries)
        retried = asyncio.create_task(it.loop.operate(key, "retry", {}, by="me"))
        await until(lambda: any(run.inbox for run in it.loop._runs.values()))
        it.store.gate.set()
        it.store.gate = None
        await retried
        await until(lambda: it.executor.running)
        it.executor.end_all()
        assert (await it.ended(key))["phase"] == "Succeeded"


async def test_a_stop_that_comes_while_the_end_is_being_saved_is_answered() -> None:
    async with house().open() as it:
        key = await it.create(one())
        await until(lambda: it.executor.running)
        it.store.gate = asyncio.Event()
        it.executor.end_all()
        stopped = asyncio.create_task(it.loop.operate(key, "stop", {}, by="me"))
        await until(lambda: any(run.inbox for run in it.loop._runs.values()) or stopped.done())
        it.store.gate.set()
        it.store.gate = None
        async with asyncio.timeout(5):
            await asyncio.wait([stopped])
        stopped.exception()
        assert (await it.ended(key))["phase"] == "Succeeded"
        await until(lambda: it.loop.unfinished == 0)


async def test_a_run_can_be_stopped_in_the_moment_in_which_it_is_made() -> None:
    async with house().open() as it:
        key = await it.create(one())
        await it.loop.operate(key, "stop", {}, by="me")
        assert (await it.ended(key))["phase"] == "Failed"
        await until(lambda: it.loop.unfinished == 0)
        assert not it.executor.running


async def test_stopping_what_waits_costs_what_waits() -> None:
    """Ten thousand that have not been started: each is found at once."""
    async with house(max_tasks=1).open() as it:
        key = await it.create(loop_of(3000))
        await until(lambda: it.executor.running)
        await it.loop.operate(key, "stop", {}, by="me")
        assert (await it.ended(key))["phase"] == "Failed"
        assert len(it.executor.started) == 1
        nodes = (await it.status(key))["nodes"]
        assert len(nodes) == 3002
        assert all(node["phase"] == "Failed" for node in nodes.values())


async def test_nothing_is_started_while_starts_are_held() -> None:
    async with house().open() as it:
        it.loop.hold("disk full")
        held = await it.create(loop_of(2), "held")
        await until(lambda: len(it.loop._starts) == 2)
        stopped = await it.create(one(), "stopped")
        await until(lambda: len(it.loop._starts) == 3)
        await it.loop.operate(stopped, "terminate", {}, by="me")
        assert (await it.ended(stopped))["phase"] == "Failed"
        assert not it.executor.started
        it.loop.hold("")
        await until(lambda: len(it.executor.running) == 2)
        it.executor.end_all()
        assert (await it.ended(held))["phase"] == "Succeeded"


async def test_before_a_restart_has_taken_up_its_runs_none_of_them_is_touched() -> None:
    it = house()
    async with it.open():
        key = await it.create(one())
        await until(lambda: it.executor.running)
    new = again(it)
    with pytest.raises(Unreachable):
        await new.loop.operate(key, "stop", {}, by="me")
    with pytest.raises(NotFound):
        await new.loop.operate(Key("Workflow", "ci", "nowhere"), "stop", {}, by="me")


# -- refused runs


FROM = {"spec": {"workflowTemplateRef": {"name": "base"}}}
BASE = Key("WorkflowTemplate", "ci", "base")


async def put_base(it: House) -> None:
    body: dict[str, Any] = {"metadata": {"name": "base", "namespace": "ci"}, **one()}
    await it.store.write([Write(Verb.CREATE, BASE, body)])


async def test_a_run_that_was_refused_can_be_retried_once_it_has_what_it_lacked() -> None:
    async with house().open() as it:
        key = await it.create(FROM)
        refused = await it.ended(key)
        assert refused["message"] == "invalid spec: WorkflowTemplate 'base' not found"
        with pytest.raises(Invalid, match="base"):
            await it.loop.operate(key, "retry", {}, by="me")
        with pytest.raises(Conflict):
            await it.loop.operate(key, "stop", {}, by="me")
        await put_base(it)
        await it.loop.operate(key, "retry", {}, by="me")
        assert not (await it.status(key)).get("finishedAt")
        await until(lambda: it.executor.running)
    new = again(it)
    async with new.open():
        await until(lambda: new.executor.started)
        new.executor.end_all("Failed", 1)
        await new.ended(key)
        await new.loop.operate(key, "retry", {}, by="me")
        await until(lambda: new.executor.running)
        new.executor.end_all()
        assert (await new.ended(key))["phase"] == "Succeeded"


async def test_a_workflow_that_breaks_admission_is_refused_and_stops_nobody() -> None:
    async with house().open() as it:
        bad = await it.create({"spec": {"entrypoint": "main", "templates": 5}}, "bad")
        odd = await it.create(
            {"spec": {"entrypoint": "main", "arguments": 7, "templates": [5, {"name": "main"}]}}, "odd"
        )
        good = await it.create(one(), "good")
        await until(lambda: it.executor.running)
        it.executor.end_all()
        assert (await it.ended(good))["phase"] == "Succeeded"
        for key in (bad, odd):
            assert (await it.ended(key))["phase"] in ("Failed", "Error")


# -- defects


async def test_a_run_that_hits_a_defect_is_ended_and_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Machine._observe

    def observe(self: Machine, observation: Any) -> None:
        if isinstance(observation, TaskFinished) and self.name == "bad":
            raise ZeroDivisionError("so it goes")
        plain(self, observation)

    monkeypatch.setattr(Machine, "_observe", observe)
    async with house().open() as it:
        bad = await it.create(loop_of(2), "bad")
        good = await it.create(one(), "good")
        await until(lambda: len(it.executor.running) == 3)
        first = next(task_id for task_id, task in it.executor.running.items() if task.run_name == "bad")
        it.executor.end(first)
        ended = await it.ended(bad)
        assert ended["phase"] == "Error"
        assert "ZeroDivisionError" in ended["message"]
        await until(lambda: len(it.executor.running) == 1)  # the other task of the broken run was stopped
        it.executor.end_all()
        assert (await it.ended(good))["phase"] == "Succeeded"
        with pytest.raises(Defect):
            await it.loop.operate(bad, "retry", {}, by="me")


async def test_an_executor_that_raises_fails_the_step_and_stops_nobody() -> None:
    async with house().open() as it:
        it.executor.raises = OSError("no more processes")
        bad = await it.create(one(), "bad")
        ended = await it.ended(bad)
        assert ended["phase"] == "Error"
        it.executor.raises = None
        good = await it.create(one(), "good")
        await until(lambda: it.executor.running)
        it.executor.end_all()
        assert (await it.ended(good))["phase"] == "Succeeded"


async def test_tasks_of_runs_that_nobody_knows_are_forgotten() -> None:
    async with house().open() as it:
        it.loop.report(TaskFinished("some-uid.1.1", it.clock.now(), "Succeeded"))
        it.loop.report(TaskFinished("nonsense", it.clock.now(), "Succeeded"))
        await until(lambda: it.executor.forgotten == ["some-uid.1.1", "nonsense"])


# -- restarts


async def test_a_restart_adopts_what_runs_and_starts_what_waited() -> None:
    it = house(max_tasks=2)
    async with it.open():
        key = await it.create(loop_of(4))
        await until(lambda: len(it.executor.running) == 2)
    new = again(it, max_tasks=2)
    async with new.open():
        await until(lambda: len(new.executor.started) == 2)
        assert not new.executor.ran  # adopted
        assert new.executor.tidied is not None
        assert len(new.executor.tidied) == 4
        for _ in range(2):
            await until(lambda: len(new.executor.running) == 2)
            new.executor.end_all()
        assert (await new.ended(key))["phase"] == "Succeeded"
        assert len(new.executor.ran) == 2


async def test_a_stop_that_a_crash_cut_short_is_carried_out_after_the_restart() -> None:
    """What ran goes on running without a daemon: it must be found and ended; what had never begun must not begin."""
    it = house(max_tasks=1)
    async with it.open():
        key = await it.create(loop_of(3))
        await until(lambda: it.executor.running)
        it.executor.stubborn = True
        it.store.gate = asyncio.Event()
        stop = asyncio.create_task(it.loop.operate(key, "stop", {}, by="me"))
        tries = it.store.tries
        await until(lambda: it.store.tries > tries)
        it.loop._starts.executor = None  # the crash: durable, and not acted upon
        it.store.gate.set()
        it.store.gate = None
        await until(lambda: len(it.store.saved) > 1 or stop.done())
        it.store.fault = Unreachable("dead")
    stop.cancel()
    it.store.fault = None
    new = again(it, max_tasks=1)
    async with new.open():
        ended = await new.ended(key)
        assert ended["phase"] == "Failed"
        assert not new.executor.running
        assert not new.executor.ran
        assert len(new.executor.stopped) == 1


async def test_a_deadline_that_passed_while_nobody_was_there_is_kept() -> None:
    it = house()
    async with it.open():
        key = await it.create(one(activeDeadlineSeconds=60))
        await until(lambda: it.executor.running)
    it.clock.advance(3600)
    new = again(it)
    async with new.open():
        ended = await new.ended(key)
        assert ended["phase"] == "Failed"
        assert not new.executor.running


async def test_a_timer_wakes_the_loop() -> None:
    async with house().open() as it:
        key = await it.create(one(activeDeadlineSeconds=60))
        await until(lambda: it.executor.running)
        await it.pass_time(61)
        assert (await it.ended(key))["phase"] == "Failed"


# -- memory


async def test_runs_that_have_ended_leave_nothing_behind() -> None:
    async with house().open() as it:
        key = await it.create(one({"retryStrategy": {"limit": 1}}, activeDeadlineSeconds=10**6))
        await until(lambda: it.executor.running)
        (run,) = it.loop._runs.values()
        machine = weakref.ref(run.machine)
        del run
        it.executor.end_all()
        await it.ended(key)
        await until(lambda: it.loop.unfinished == 0)
        it.executor.started.clear()
        gc.collect()
        assert machine() is None
        assert not it.loop._waiters
        assert not it.loop._dirty
        assert not it.loop._by_key


async def test_alarms_of_runs_that_have_ended_do_not_pile_up() -> None:
    async with house().open() as it:
        for batch in range(4):
            keys = [await it.create(one(activeDeadlineSeconds=10**6), f"wf-{batch}-{index}") for index in range(400)]
            ended: set[Key] = set()
            while len(ended) < len(keys):
                await until(lambda: it.executor.running or it.loop.unfinished == 0)
                it.executor.end_all()
                ended.update(keys if it.loop.unfinished == 0 else ())
        assert len(it.loop._timers) < 1500
