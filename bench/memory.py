"""The memory of a daemon that has nothing to do: `syncd run`, a process of its own, with 1,000 templates and 1,000 crons from git.

It is read when the source is applied and the process has come to rest, from /proc. The baseline is the same daemon without a source.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from bench import manifests
from bench.measure import Goal, Measured, say
from bench.repository import Repository
from bench.start import program

_MB: Final = 1_000_000
_PATIENCE_SECONDS: Final = 180.0
_REST_SHARE: Final = 0.05
"""Of one core: less than that is rest."""


def measure(folder: Path, quick: bool) -> list[Measured]:
    """One entry. The goal of 150 MB is of the resident set."""
    each, rest_seconds = (20, 0.5) if quick else (1_000, 3.0)
    repository = Repository(folder / "repository.git")
    files = {f"templates/{n}.yaml": manifests.template(n, f"job-{n - 1}" if n % 3 else "") for n in range(each)}
    files |= {f"crons/{n}.yaml": manifests.cron(n, f"job-{n}" if n % 4 else "") for n in range(each)}
    repository.commit(files)
    empty = _resident(folder / "empty", "", 0, rest_seconds)
    full = _resident(folder / "full", f"sources: [{{name: bench, url: '{repository.url}'}}]\n", 2 * each, rest_seconds)
    return [
        Measured(
            "memory",
            {"templates": each, "crons": each, **{f"{name}_mb": size / _MB for name, size in full.items()}},
            {
                "what": "the same daemon without a source",
                **{f"{name}_mb": size / _MB for name, size in empty.items()},
            },
            full["resident"] / empty["resident"],
            Goal("resident_mb", at_most=150.0),
        )
    ]


def _resident(state: Path, sources: str, objects: int, rest_seconds: float) -> Mapping[str, int]:
    """Bytes: resident now, at most so far, and what is the process's alone."""
    state.mkdir(mode=0o700)
    config = state / "syncd.yaml"
    config.write_text(f"state: {state}\nruntime: sandbox\nlisten: {{port: 0}}\n{sources}")
    with daemon(state, config) as pid:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while metric(state, "syncd_source_objects") < objects:
            wait(pid, deadline, f"{objects} objects")
        while not rests(pid, rest_seconds):
            wait(pid, deadline, "rest")
        found = sizes(pid)
    say(f"memory: {objects} objects: {found['VmRSS'] / _MB:.0f} MB, at most {found['VmHWM'] / _MB:.0f} MB")
    return {"resident": found["VmRSS"], "peak": found["VmHWM"], "anonymous": found["RssAnon"]}


def sizes(pid: int) -> Mapping[str, int]:
    """What /proc says of a process's memory, in bytes: VmRSS, VmHWM (its peak), RssAnon, …"""
    status = Path(f"/proc/{pid}/status").read_text()
    found = dict(line.split(":", 1) for line in status.splitlines() if line.startswith(("Vm", "Rss")))
    return {name: int(value.split()[0]) * 1024 for name, value in found.items()}


@contextlib.contextmanager
def daemon(state: Path, config: Path) -> Iterator[int]:
    """A running daemon; ended by SIGTERM."""
    with (state / "said").open("w") as said:
        process = subprocess.Popen(
            [*program(), "run", "-c", str(config)], stdin=subprocess.DEVNULL, stdout=said, stderr=said
        )
        try:
            yield process.pid
        except BaseException:
            say((state / "said").read_text()[-4000:])
            raise
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def url(state: Path) -> str:
    """Of the running daemon. Raises OSError or ValueError before it listens."""
    return str(json.loads((state / "daemon.json").read_text())["url"])


def metric(state: Path, name: str) -> int:
    """The sum of a metric's series; -1 while the daemon does not answer, 0 where it has no such series."""
    try:
        with urllib.request.urlopen(f"{url(state)}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
    except (OSError, ValueError, urllib.error.URLError):
        return -1
    return sum(int(float(line.split()[-1])) for line in lines if line.startswith((f"{name}{{", f"{name} ")))


def wait(pid: int, deadline: float, awaited: str, seconds: float = 0.1) -> None:
    """Sleep a while. Raises RuntimeError where the daemon has ended, or the deadline (monotonic) is over."""
    if time.monotonic() > deadline:
        raise RuntimeError(f"the daemon did not come to {awaited} within {_PATIENCE_SECONDS:g} s")
    if _ticks(pid) is None:
        raise RuntimeError("the daemon has ended")
    time.sleep(seconds)


def rests(pid: int, seconds: float) -> bool:
    """Whether it used next to no processor time for a while."""
    before = _ticks(pid)
    time.sleep(seconds)
    after = _ticks(pid)
    if before is None or after is None:
        return False
    return after - before <= _REST_SHARE * seconds * os.sysconf("SC_CLK_TCK")


def _ticks(pid: int) -> int | None:
    """Processor time used so far; None = it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return None
    return None if fields[0] == "Z" else int(fields[11]) + int(fields[12])
