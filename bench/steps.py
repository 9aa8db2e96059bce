"""Many steps of `true`, eight at once: the real run loop, executor, sandbox and store, beside a loop that only spawns.

The baseline starts the same command (the argument list that the sandbox makes) with nothing around it: `posix_spawn`,
`wait`, the next. The two take turns, so that whatever else the machine does happens to both.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any, Final

from bench.measure import Goal, Measured, median, say
from bench.parts import made
from syncd.app.parts import Parts
from syncd.argo import labels
from syncd.argo.manifest import Body, Key
from syncd.cluster.api import Verb, Write
from syncd.config.model import Config, Runtime
from syncd.execute import process
from syncd.execute.folder import Slot
from syncd.execute.runtime import DEFAULT_PATH, Launch
from syncd.execute.sandbox import Sandbox
from syncd.observe.events import Event, LoopFailed, RunFinished

PARALLELISM: Final = 8

_SILENT: Final = [
    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
    (os.POSIX_SPAWN_DUP2, 1, 2),
    (os.POSIX_SPAWN_OPEN, process.STATUS_FD, os.devnull, os.O_WRONLY, 0),
    (os.POSIX_SPAWN_OPEN, process.LOCK_FD, os.devnull, os.O_RDWR, 0),
]


def measure(folder: Path, quick: bool) -> list[Measured]:
    """The small workflow, the large one, and how the large one grows out of the small one."""
    small, large, turns = (40, 120, 1) if quick else (1_000, 10_000, 3)
    return asyncio.run(_measure(folder / "state", small, large, turns))


async def _measure(state: Path, small: int, large: int, turns: int) -> list[Measured]:
    config = Config(state=str(state), runtime=Runtime.SANDBOX, parallelism=PARALLELISM)
    async with made(state, config, act=True) as parts:
        runs = _Runs(parts)
        parts.runner.start("runs", parts.runs.run)
        bare = _Bare(parts, state)
        await runs.seconds(PARALLELISM)  # what is read from disk is in memory now
        bare.seconds(PARALLELISM)
        one = await _compare(runs, bare, small, turns)
        many = await _compare(runs, bare, large, 1)
    growth = large / small
    bare_growth = median(many[1]) / median(one[1])
    return [
        _measured(f"steps-{small}", small, *one),
        _measured(f"steps-{large}", large, *many),
        Measured(
            "steps-growth",
            {"steps": large, "seconds": median(many[0])},
            {"what": f"{small} steps", "steps": small, "seconds": median(one[0]), "bare_growth": bare_growth},
            median(many[0]) / median(one[0]),
            Goal("ratio", at_most=1.1 * growth),
        ),
    ]


async def _compare(runs: _Runs, bare: _Bare, steps: int, turns: int) -> tuple[list[float], list[float]]:
    """Seconds of ours and of the bare loop, by turns; the bare loop begins and ends."""
    ours: list[float] = []
    theirs = [await asyncio.to_thread(bare.seconds, steps)]
    for _ in range(turns):
        ours.append(await runs.seconds(steps))
        theirs.append(await asyncio.to_thread(bare.seconds, steps))
        say(f"steps: {steps} in {ours[-1]:.2f} s, bare {theirs[-2]:.2f} and {theirs[-1]:.2f} s")
    return ours, theirs


def _measured(name: str, steps: int, ours: list[float], theirs: list[float]) -> Measured:
    mine, bare = median(ours), median(theirs)
    return Measured(
        name,
        {"steps": steps, "parallelism": PARALLELISM, "seconds": mine, "per_step_ms": 1000 * mine / steps, "all": ours},
        {
            "what": "a loop of posix_spawn and wait over the same bwrap command, as many at once",
            "seconds": bare,
            "per_step_ms": 1000 * bare / steps,
            "all": theirs,
        },
        mine / bare,
        Goal("ratio", at_most=1.5),
    )


class _Bare:
    """The loop that only spawns."""

    def __init__(self, parts: Parts, state: Path) -> None:
        assert parts.executor is not None
        runtime = parts.executor._default
        assert isinstance(runtime, Sandbox)
        tmp = state / "bare"
        tmp.mkdir(mode=0o1777)
        launch = Launch("bare", "main", "", ("true",), {"PATH": DEFAULT_PATH, "HOME": "/"}, "/", "bare", tmp)
        self._argv = runtime.command(Slot(tmp, "main"), launch)
        self._environment = dict(runtime.process_environment(launch))

    def seconds(self, count: int) -> float:
        """How long `count` of them take."""
        begun = time.perf_counter()
        running: set[int] = set()
        for number in range(count):
            if number >= PARALLELISM:
                running.discard(_ended(running))
            argv = self._argv
            running.add(os.posix_spawn(argv[0], argv, self._environment, file_actions=_SILENT, setsid=True))
        while running:
            running.discard(_ended(running))
        return time.perf_counter() - begun


def _ended(running: set[int]) -> int:
    """The next of them that has ended, and well."""
    while True:
        pid, status = os.wait()
        if pid in running:
            break
    if status:
        raise RuntimeError(f"the bare command ended with {os.waitstatus_to_exitcode(status)}")
    return pid


class _Runs:
    """Workflows through the run loop, one after the other."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._numbers = iter(range(1_000_000))
        self._ended: dict[Key, asyncio.Future[RunFinished]] = {}
        parts.bus.subscribe(self._heard)

    def _heard(self, event: Event) -> None:
        if isinstance(event, RunFinished):
            self._ended[event.run].set_result(event)
        elif isinstance(event, LoopFailed):
            for waited in self._ended.values():
                if not waited.done():
                    waited.set_exception(RuntimeError(f"loop {event.loop} failed: {event.message}"))

    async def seconds(self, steps: int) -> float:
        """From just before the Workflow is written to its end, durable. Raises RuntimeError unless every step succeeded."""
        body = workflow(f"steps-{next(self._numbers)}", steps)
        key = Key(labels.WORKFLOW, "default", body["metadata"]["name"])
        self._ended[key] = asyncio.get_running_loop().create_future()
        begun = time.perf_counter()
        (written,) = await self._parts.store.write([Write(Verb.CREATE, key, body)])
        if written.error is not None:
            raise written.error
        ended = await self._ended[key]
        seconds = time.perf_counter() - begun
        nodes = await self._parts.store.nodes(ended.uid)
        done = sum(node["type"] == "Pod" and node["phase"] == "Succeeded" for node in nodes.values())
        if ended.phase != "Succeeded" or done != steps:
            raise RuntimeError(f"{key} is {ended.phase} with {done} of {steps} steps: {ended.message}")
        return seconds


def workflow(name: str, steps: int) -> Body:
    """A Workflow of so many steps of `true`."""
    loop: dict[str, Any] = {"name": "each", "template": "true", "withSequence": {"count": str(steps)}}
    return {
        "apiVersion": labels.ARGO_API,
        "kind": labels.WORKFLOW,
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "entrypoint": "main",
            "parallelism": PARALLELISM,
            "templates": [
                {"name": "main", "steps": [[loop]]},
                {"name": "true", "container": {"image": "busybox", "command": ["true"]}},
            ],
        },
    }
