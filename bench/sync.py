"""The sync loop on a git repository of 10,000 manifests: a poll that finds nothing, and one changed file until it is applied.

The baselines are what git alone takes in the same moments: `git ls-remote`, and `git fetch` of the same commit into a clone. Both
are plain git commands started the leanest way there is from Python. Ours and git's take turns.
"""

from __future__ import annotations

import asyncio
import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Final

from bench import manifests
from bench.measure import Goal, Measured, median, say
from bench.parts import made
from bench.repository import Repository, git
from syncd.app import daemon
from syncd.config.model import Config, Runtime
from syncd.config.model import Source as SourceConfig
from syncd.loops.sync import SyncLoop

_PATIENCE: Final = timedelta(hours=1)
"""So that no full comparison falls due between two measurements."""


def measure(folder: Path, quick: bool) -> list[Measured]:
    """A poll and a change."""
    count, polls, changes = (100, 5, 3) if quick else (10_000, 100, 25)
    repository = Repository(folder / "repository.git")
    repository.commit(manifests.many(count))
    clone = folder / "clone.git"
    git("clone", "--quiet", "--bare", "--depth=1", repository.url, str(clone))
    return asyncio.run(_measure(folder, repository, clone, count, polls, changes))


async def _measure(
    folder: Path, repository: Repository, clone: Path, count: int, polls: int, changes: int
) -> list[Measured]:
    source = SourceConfig(name="bench", url=repository.url)
    config = Config(state=str(folder / "state"), runtime=Runtime.SANDBOX, sources=(source,), drift_interval=_PATIENCE)
    async with made(folder / "state", config, act=False) as parts:
        loop = daemon.sync_loop(parts, source, config, retired=frozenset())
        begun = time.perf_counter()
        first = await loop.step()
        say(f"sync: first sync of {count} manifests in {time.perf_counter() - begun:.1f} s: {first.result}")
        if first.result != "applied" or first.created != count:
            raise RuntimeError(f"the first sync is {first}")
        measured = [
            await _polls(loop, repository, count, polls),
            await _changes(loop, repository, clone, count, changes),
        ]
        await loop.close()
    return measured


async def _polls(loop: SyncLoop, repository: Repository, count: int, times: int) -> Measured:
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(times):
        theirs.append(await asyncio.to_thread(_git, "ls-remote", "--quiet", repository.url, "HEAD"))
        begun = time.perf_counter()
        await loop.step()
        ours.append(time.perf_counter() - begun)
    return Measured(
        "poll",
        {"manifests": count, "times": times, "median_ms": 1000 * median(ours)},
        {"what": "git ls-remote --quiet URL HEAD", "median_ms": 1000 * median(theirs)},
        median(ours) / median(theirs),
        Goal("ratio", at_most=1.5),
    )


async def _changes(loop: SyncLoop, repository: Repository, clone: Path, count: int, times: int) -> Measured:
    ours: list[float] = []
    theirs: list[float] = []
    for turn in range(times):
        number = 10 * (turn * 37 % (count // 10))  # of a template that others refer to
        text = manifests.template(number, mark=f"change {turn}")
        await asyncio.to_thread(repository.commit, {manifests.path_of(number): text})
        fetch = ("-C", str(clone), "fetch", "--quiet", "--depth=1", repository.url, "+refs/heads/main:refs/heads/main")
        theirs.append(await asyncio.to_thread(_git, *fetch))
        begun = time.perf_counter()
        report = await loop.step()
        ours.append(time.perf_counter() - begun)
        if (report.result, report.updated) != ("applied", 1):
            raise RuntimeError(f"the change was not applied: {report}")
    return Measured(
        "change",
        {"manifests": count, "times": times, "median_ms": 1000 * median(ours), "worst_ms": 1000 * max(ours)},
        {"what": "git fetch --depth=1 of the same commit into a clone", "median_ms": 1000 * median(theirs)},
        median(ours) / median(theirs),
        Goal("ratio", at_most=5.0),
    )


def _git(*words: str) -> float:
    """Seconds of one git command, started by `posix_spawn` with its output thrown away."""
    files = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
    ]
    environment = {"PATH": os.environ.get("PATH", os.defpath), "GIT_CONFIG_GLOBAL": os.devnull}
    begun = time.perf_counter()
    pid = os.posix_spawnp("git", ["git", *words], environment, file_actions=files)
    _, status = os.waitpid(pid, 0)
    seconds = time.perf_counter() - begun
    if status:
        raise RuntimeError(f"git {words[0]} ended with {os.waitstatus_to_exitcode(status)}")
    return seconds
