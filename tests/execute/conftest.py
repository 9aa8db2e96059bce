"""A performer over a real sandbox in a folder of its own, and tasks to give to it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from syncd.artifacts.store import Artifacts
from syncd.base.errors import NotFound, Unsupported
from syncd.engine.actions import StartTask
from syncd.engine.observations import TaskFinished, TaskProgress, TaskStarted
from syncd.execute import etc, logfiles, perform, sandbox, secrets
from syncd.execute.job import Options
from syncd.execute.perform import Performer
from syncd.execute.runtime import Runtime


class WallClock:
    """The machine's clock: files of real processes carry its times."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


@dataclass
class House:
    """A state directory with an executor; `again()` is a second daemon on the same state."""

    state: Path
    sandbox: sandbox.Sandbox
    etc: Path
    config_maps: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    seen: list[TaskStarted | TaskFinished | TaskProgress] = field(default_factory=list)
    repository: dict[str, Any] | None = None
    options: Options = field(
        default_factory=lambda: Options(
            kill_after_seconds=0.3, sample_seconds=0.05, poll_seconds=0.01, last_words_seconds=0.4
        )
    )

    def __post_init__(self) -> None:
        self._changed = asyncio.Event()
        self.runtimes: dict[str, Runtime] = {"sandbox": self.sandbox}
        self.default = "sandbox"
        self._numbers = itertools.count(1)
        self.performer = self.again()

    def again(self) -> Performer:
        directory = secrets.Directory(self.state / "secrets")
        self.artifacts = Artifacts(
            root=self.state / "artifacts",
            default=self.repository,
            config_map=self.config_map,
            secret=directory.value,
        )
        self.logs = logfiles.LogFiles(self.state / "logs", lambda: secrets.Mask(directory.values()), 0.01)
        return perform.Performer(
            state=self.state,
            runtimes=self.runtimes,
            default=self.default,
            artifacts=self.artifacts,
            secrets=directory,
            config_map=self.config_map,
            report=self.report,
            clock=WallClock(),
            path=self.sandbox.path,
            etc_folder=self.etc,
            options=self.options,
        )

    async def config_map(self, namespace: str, name: str) -> dict[str, Any]:
        try:
            return self.config_maps[namespace, name]
        except KeyError:
            raise NotFound(f"configmap {namespace}/{name} not found") from None

    def report(self, observation: TaskStarted | TaskFinished | TaskProgress) -> None:
        self.seen.append(observation)
        self._changed.set()

    def task(self, template: dict[str, Any], **fields: Any) -> StartTask:
        number = next(self._numbers)
        values: dict[str, Any] = {
            "task_id": f"run-1.node-{number}.0",
            "run_uid": "run-1",
            "run_name": "wf",
            "namespace": "default",
            "node_id": f"wf-{number}",
            "node_name": f"wf[0].step{number}",
            "pod_name": f"wf-step-{number}",
            "template_name": "step",
            "template": template,
        }
        return StartTask(**{**values, **fields})

    async def finished(self, task: StartTask) -> TaskFinished:
        """The end of a task, once it is reported."""
        return await self._first(TaskFinished, task)

    async def started(self, task: StartTask) -> TaskStarted:
        return await self._first(TaskStarted, task)

    async def progressed(self, task: StartTask) -> TaskProgress:
        return await self._first(TaskProgress, task)

    async def _first(self, kind: Any, task: StartTask) -> Any:
        async with asyncio.timeout(30):
            while True:
                for observation in self.seen:
                    if isinstance(observation, kind) and observation.task_id == task.task_id:
                        return observation
                self._changed.clear()
                await self._changed.wait()

    async def run(self, template: dict[str, Any], **fields: Any) -> TaskFinished:
        task = self.task(template, **fields)
        await self.performer.start(task)
        return await self.finished(task)

    async def log(self, task: StartTask, container: str = "main") -> list[str]:
        return [
            line.text
            async for line in self.logs.read(task.run_uid, pods=frozenset([task.pod_name]), container=container)
        ]


async def until(holds: Callable[[], bool]) -> None:
    """Until something is so that another process makes so: it has no event to wait for."""
    async with asyncio.timeout(30):
        while not await asyncio.to_thread(holds):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def shell(text: str, **fields: Any) -> dict[str, Any]:
    """A template that runs a line of sh."""
    return {"name": "step", "container": {"image": "alpine", "command": ["sh", "-c"], "args": [text]}, **fields}


@pytest.fixture(scope="session")
def proved(tmp_path_factory: pytest.TempPathFactory) -> tuple[sandbox.Sandbox, Path]:
    folder = etc.write(tmp_path_factory.mktemp("etc") / "etc")
    try:
        return sandbox.prove(sandbox.View(folder)), folder
    except Unsupported as error:
        pytest.skip(f"no sandbox on this machine: {error}")


@pytest.fixture
async def house(tmp_path: Path, proved: tuple[sandbox.Sandbox, Path]) -> Any:
    found = House(tmp_path / "state", *proved)
    yield found
    await found.performer.close()
