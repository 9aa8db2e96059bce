"""A daemon to be killed: runs the tasks of a JSON list on a state directory and prints what it is told, a line each.

python -m tests.execute.daemon STATE TASKS.json
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path

from syncd.base.clock import parse_rfc3339
from syncd.engine.actions import StartTask
from syncd.engine.observations import TaskFinished, TaskProgress, TaskStarted, encode
from syncd.execute import etc, sandbox
from tests.execute.conftest import House


async def main(state: Path, tasks: list[StartTask]) -> None:
    folder = etc.write(state / "etc")
    house = House(state, sandbox.prove(sandbox.View(folder)), folder)
    ended: set[str] = set()
    over = asyncio.Event()

    def report(observation: TaskStarted | TaskFinished | TaskProgress) -> None:
        print(json.dumps(encode(observation)), flush=True)
        if isinstance(observation, TaskFinished):
            ended.add(observation.task_id)
            if len(ended) == len(tasks):
                over.set()

    house.performer._report = report
    for task in tasks:
        await house.performer.start(task)
    await over.wait()
    await house.performer.close()


def read(path: Path) -> list[StartTask]:
    tasks = []
    for value in json.loads(path.read_text()):
        deadline = value.pop("deadline", None)
        task = StartTask(**value)
        tasks.append(replace(task, deadline=parse_rfc3339(deadline)) if deadline else task)
    return tasks


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), read(Path(sys.argv[2]))))
