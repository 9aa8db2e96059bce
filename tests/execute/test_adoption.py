"""A daemon is killed with kill -9; the next one on the same state goes on where it stopped.

The laws: a command that may have run is never run again; an end that was reached is reported, however often;
a running step is adopted, its deadline holds while nobody is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from syncd.engine.actions import StartTask
from syncd.execute import folder, process
from syncd.execute.folder import Record, Slot, State
from tests.execute.conftest import House, shell, until

pytestmark = pytest.mark.sandbox


class Daemon:
    """`tests.execute.daemon` as a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.seen: list[dict[str, Any]] = []

    async def until(self, kind: str) -> dict[str, Any]:
        assert self._process.stdout is not None
        async with asyncio.timeout(30):
            while line := await self._process.stdout.readline():
                self.seen.append(json.loads(line))
                if self.seen[-1]["is"] == kind:
                    return self.seen[-1]
        raise AssertionError(f"the daemon ended without {kind}: {self.seen}")

    async def kill(self) -> None:
        self._process.kill()
        await self._process.wait()


@pytest.fixture
async def daemon(house: House, tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    running: list[Daemon] = []

    async def start(*tasks: StartTask) -> Daemon:
        path = tmp_path / "tasks.json"
        values = [asdict(task) for task in tasks]
        for value in values:
            value["deadline"] = value["deadline"].isoformat() if value["deadline"] else None
        path.write_text(json.dumps(values))
        words = [sys.executable, "-m", "tests.execute.daemon", str(house.state), str(path)]
        found = Daemon(await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE))
        running.append(found)
        return found

    yield start
    for one in running:
        if one._process.returncode is None:
            await one.kill()


def starts(house: House) -> int:
    """How often the command of the test wrote its line."""
    path = house.state / "volumes" / "default" / "marks" / "x"
    return len(path.read_text().splitlines()) if path.exists() else 0


def counting(text: str, **fields: Any) -> dict[str, Any]:
    """A step that first notes in a claim that it runs, and then does `text`."""
    template = shell(f"echo x >> /marks/x; {text}", **fields)
    template["container"]["volumeMounts"] = [{"name": "marks", "mountPath": "/marks"}]
    template["volumes"] = [{"name": "marks", "persistentVolumeClaim": {"claimName": "marks"}}]
    return template


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


async def written(path: Path) -> None:
    await until(lambda: path.exists() and bool(path.read_text()))


async def test_a_running_step_is_adopted_and_its_outputs_are_captured(house: House, daemon: Any) -> None:
    outputs = {
        "parameters": [{"name": "p", "valueFrom": {"path": "/out/p"}}],
        "artifacts": [{"name": "a", "path": "/out/p"}],
    }
    task = house.task(
        counting("while ! test -e /marks/go; do sleep 0.02; done; echo v > /out/p; echo done", outputs=outputs)
    )
    first = await daemon(task)
    await first.until("TaskStarted")
    await written(house.state / "volumes" / "default" / "marks" / "x")
    await first.kill()
    await house.performer.start(task)
    started = await house.started(task)
    (house.state / "volumes" / "default" / "marks" / "go").touch()
    finished = await house.finished(task)
    assert (finished.phase, finished.message, finished.exit_code) == ("Succeeded", "", 0)
    assert finished.outputs["parameters"][0]["value"] == "v"
    assert finished.outputs["artifacts"][0]["local"]["key"].endswith("/a.tgz")
    assert started.at == finished.started_at
    assert datetime.now(UTC) - finished.at < timedelta(seconds=30)
    assert await house.log(task) == ["done"]
    assert starts(house) == 1


async def test_an_end_that_nobody_saw_is_reported_and_not_run_again(house: House, daemon: Any) -> None:
    task = house.task(counting("exit 4"), capture_result=True)
    first = await daemon(task)
    await first.until("TaskFinished")
    await first.kill()
    for _ in range(2):
        performer = house.again()
        await performer.start(task)
        finished = await house.finished(task)
        house.seen.clear()
        await performer.close()
        assert (finished.phase, finished.message, finished.exit_code) == ("Failed", "main: Error (exit code 4)", 4)
        assert finished.outputs == {"result": "", "exitCode": "4"}
    assert starts(house) == 1


async def test_a_light_step_is_adopted_as_well(house: House, daemon: Any) -> None:
    task = house.task(shell("sleep 0.4; echo late"))
    first = await daemon(task)
    await first.until("TaskStarted")
    await first.kill()
    await house.performer.start(task)
    assert (await house.finished(task)).message == ""
    assert await house.log(task) == ["late"]


async def test_the_deadline_holds_while_no_daemon_is_there(house: House, daemon: Any) -> None:
    task = house.task(counting("setsid sleep 50 & sleep 50"), deadline=datetime.now(UTC) + timedelta(seconds=2.5))
    first = await daemon(task)
    await first.until("TaskStarted")
    await written(house.state / "volumes" / "default" / "marks" / "x")
    await first.kill()
    slot = Slot(house.state / "tasks" / task.task_id, "main")
    child = slot.status().child_pid
    assert child is not None and slot.held()
    gone = asyncio.Event()
    process.when_gone(child, gone.set)
    async with asyncio.timeout(20):
        await gone.wait()
    assert not slot.held()
    await house.performer.start(task)
    finished = await house.finished(task)
    assert (finished.phase, finished.message) == ("Failed", "Step exceeded its deadline")
    assert finished.at < task.deadline + timedelta(seconds=5)  # type: ignore[operator]


async def test_a_step_killed_with_its_supervisor_is_lost_and_not_run_again(house: House, daemon: Any) -> None:
    task = house.task(counting("sleep 50"))
    first = await daemon(task)
    await first.until("TaskStarted")
    await written(house.state / "volumes" / "default" / "marks" / "x")
    await first.kill()
    slot = Slot(house.state / "tasks" / task.task_id, "main")
    child = slot.status().child_pid
    assert child is not None
    outer = parent(child)
    os.kill(outer, signal.SIGKILL)
    os.kill(child, signal.SIGKILL)
    await house.performer.start(task)
    finished = await house.finished(task)
    assert (finished.phase, finished.exit_code) == ("Error", None)
    assert "task was lost" in finished.message
    assert starts(house) == 1


async def test_a_supervisor_that_dies_alone_leaves_a_step_that_is_waited_for(house: House) -> None:
    """Without its outer half nobody writes the exit code: the end is seen, how it ended is not."""
    task = house.task(shell("echo up; sleep 0.3; echo end"))
    await house.performer.start(task)
    async for _ in house.logs.read("run-1", follow=True):
        break
    job = house.performer._jobs[task.task_id]
    assert job.pid is not None
    os.kill(job.pid, signal.SIGKILL)
    finished = await house.finished(task)
    assert finished.phase == "Error" and "task was lost" in finished.message
    assert await house.log(task) == ["up", "end"]


@pytest.mark.parametrize("pause", [0.0, 0.0005, 0.001, 0.0015, 0.002, 0.003, 0.005])
async def test_a_supervisor_that_dies_while_it_sets_up_leaves_nothing_waiting(house: House, pause: float) -> None:
    """Its inner half would wait for ever to be let go, and hold the lock: every such task ends, and ends its processes."""
    task = house.task(shell("echo ran; exit 3"))
    await house.performer.start(task)
    job = house.performer._jobs[task.task_id]
    assert job.pid is not None
    await asyncio.sleep(pause)
    with contextlib.suppress(ProcessLookupError):  # it may have ended before
        os.kill(job.pid, signal.SIGKILL)
    finished = await house.finished(task)
    assert (finished.phase, finished.exit_code) in (("Error", None), ("Failed", 3))
    assert not Slot(house.state / "tasks" / task.task_id, "main").held()


async def test_the_reason_of_a_stop_outlives_the_daemon(house: House) -> None:
    task = house.task(counting("sleep 50"))
    await house.performer.start(task)
    await house.started(task)
    await house.performer.close()
    house.seen.clear()
    second = house.again()
    await second.start(task)
    await house.started(task)
    await second.stop(task.task_id, 30, "terminated by ann")
    await second.close()
    house.seen.clear()
    third = house.again()
    await third.start(task)
    assert (await house.finished(task)).message == "main: Error (exit code 143): terminated by ann"
    await third.close()


EXAMINED = {
    "nothing was written": (None, b"", False, State.FRESH),
    "the record, but no process": ("now", b"", False, State.FRESH),
    "locked, and nothing said yet": ("now", b"", True, State.ALIVE),
    "let go, and alive": ("now", b'{ "child-pid": 5 }\n', True, State.ALIVE),
    "let go, and nobody there": ("now", b'{ "child-pid": 5 }\n', False, State.LOST),
    "ended": ("now", b'{ "child-pid": 5 }\n{ "exit-code": 0 }\n', False, State.ENDED),
    "ended, and something is left of it": ("now", b'{ "child-pid": 5 }\n{ "exit-code": 0 }\n', True, State.ENDED),
    "a torn exit code": ("now", b'{ "child-pid": 5 }\n{ "exit-co', False, State.LOST),
    "of an earlier boot": ("before", b'{ "child-pid": 5 }\n', False, State.LOST),
    "of an earlier boot, status lost with it": ("before", b"", False, State.LOST),
    "of an earlier boot, ended": ("before", b'{ "exit-code": 3 }\n', False, State.ENDED),
}


@pytest.mark.parametrize(("boot", "status", "locked", "expected"), EXAMINED.values(), ids=EXAMINED.keys())
def test_what_a_folder_tells(tmp_path: Path, boot: str | None, status: bytes, locked: bool, expected: State) -> None:
    slot = Slot(tmp_path, "main")
    lock = None
    if boot is not None:
        lock = slot.claim(Record(boot, "sandbox", datetime.now(UTC)))
        assert lock is not None
        slot.status_path.write_bytes(status)
    if lock is not None and not locked:
        os.close(lock)
    assert slot.examine("now") is expected
    if lock is not None and locked:
        os.close(lock)


def test_a_record_cut_by_a_power_cut_is_of_an_earlier_boot(tmp_path: Path) -> None:
    slot = Slot(tmp_path, "main")
    slot.record_path.touch()
    assert slot.examine("now") is State.FRESH
    early = folder.booted_at() - 100
    os.utime(slot.record_path, (early, early))
    assert slot.examine("now") is State.LOST


async def test_start_may_be_repeated(house: House) -> None:
    task = house.task(counting("sleep 0.2"))
    for _ in range(3):
        await house.performer.start(task)
    await house.finished(task)
    await house.performer.start(task)
    assert [type(o).__name__ for o in house.seen] == ["TaskStarted", "TaskFinished", "TaskFinished"]
    assert starts(house) == 1


async def test_tidy_drops_what_nobody_asks_for(house: House) -> None:
    task = house.task(shell("true"))
    await house.performer.start(task)
    await house.finished(task)
    await house.performer.close()
    performer = house.again()
    await performer.tidy([task.task_id])
    assert [p.name for p in (house.state / "tasks").iterdir()] == [task.task_id]
    await performer.tidy([])
    assert list((house.state / "tasks").iterdir()) == []


async def test_a_stop_in_the_first_moment_is_a_stop(house: House) -> None:
    """TERM may come before the command: then bwrap writes no exit code, and the task is not lost for that."""
    tasks = [house.task(shell("sleep 50")) for _ in range(10)]
    for task in tasks:
        await house.performer.start(task)
        await house.performer.stop(task.task_id, 30, "enough")
    for task in tasks:
        assert (await house.finished(task)).message == "main: Error (exit code 143): enough"
