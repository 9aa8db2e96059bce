"""The checks of `syncd doctor`, each on one thing: the state directory and the configuration in, a verdict out."""

from __future__ import annotations

import os
import platform
import re
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from syncd.base.errors import SyncdError, Unsupported
from syncd.cli import reach
from syncd.config.model import Config, Runtime
from syncd.server import tokens


@dataclass(frozen=True, slots=True)
class Answer:
    """verdict: good, note (works, but) or bad (does not work); remedy: what to do, "" = nothing."""

    subject: str
    verdict: str
    finding: str
    remedy: str = ""


_GIT: Final = ((2, 43, 7), (2, 44, 4), (2, 45, 4), (2, 46, 4), (2, 47, 3), (2, 48, 2), (2, 49, 1), (2, 50, 1))
"""The first versions of each line without CVE-2025-48384 (a submodule's path ends in a carriage return: code is run)."""


def python(state: Path, config: Config) -> Answer:
    """The interpreter."""
    version = platform.python_version()
    if sys.version_info < (3, 11, 4):
        return Answer(
            "python", "bad", version, "syncd needs Python 3.11.4 or newer: its tar filters are safe from there on"
        )
    return Answer("python", "good", version)


def git(state: Path, config: Config) -> Answer:
    """The git program."""
    try:
        program = shutil.which("git") or "git"
        done = subprocess.run([program, "version"], capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return Answer("git", "bad", "not found", "install git 2.43.7 or newer; plain directories work without it")
    text = done.stdout.decode(errors="replace").strip().removeprefix("git version ")
    match = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    if done.returncode or match is None:
        return Answer("git", "bad", text or "does not answer", "look what `git version` says")
    version = (int(match[1]), int(match[2]), int(match[3] or 0))
    return Answer("git", *git_verdict(version, text))


def git_verdict(version: tuple[int, int, int], text: str) -> tuple[str, str, str]:
    """(verdict, finding, remedy) for a version of git.

    >>> git_verdict((2, 47, 2), "2.47.2")[0], git_verdict((2, 47, 3), "2.47.3")[0], git_verdict((3, 0, 0), "3.0.0")[0]
    ('note', 'good', 'good')
    """
    fixed = next((row for row in _GIT if row[:2] == version[:2]), None)
    if (version < fixed) if fixed is not None else version < _GIT[0]:
        remedy = f"update git{f' to {fixed[0]}.{fixed[1]}.{fixed[2]}' if fixed else ''}; your distribution may have fixed it already"
        return "note", f"{text} has CVE-2025-48384 (syncd never fetches submodules, other programs may)", remedy
    return "good", text, ""


def sandbox(state: Path, config: Config) -> Answer:
    """Whether bubblewrap can run a step."""
    from syncd.execute import etc
    from syncd.execute import sandbox as room

    try:
        with tempfile.TemporaryDirectory(prefix="syncd-doctor-") as folder:
            view = room.View(etc=etc.write(Path(folder) / "etc"), network=config.sandbox.network)
            room.prove(view)
    except SyncdError as fault:
        needed = config.runtime is Runtime.SANDBOX
        return Answer("sandbox", "bad" if needed else "note", *_split(str(fault)))
    return Answer("sandbox", "good", "bubblewrap runs a command")


def engine(state: Path, config: Config) -> Answer:
    """Whether podman or docker can run a step."""
    from syncd.execute import container

    try:
        found = container.prove(config.container.engine)
    except Unsupported as fault:
        needed = config.runtime is Runtime.CONTAINER
        return Answer("container", "bad" if needed else "note", *_split(str(fault)))
    return Answer("container", "good", f"{found.name} runs a container")


def steps(found: list[Answer]) -> Answer:
    """Whether there is any way to run a step, after `sandbox` and `engine` have looked."""
    if any(answer.verdict == "good" for answer in found if answer.subject in ("sandbox", "container")):
        return Answer("steps", "good", "can be run")
    return Answer("steps", "bad", "neither a sandbox nor a container engine works", "see above")


def look(state: Path, config: Config) -> Iterator[Answer]:
    """Every check, in the order of the table, each as soon as it is known."""
    found: list[Answer] = []
    for check in CHECKS:
        found.append(check(state, config))
        yield found[-1]
        if check is engine:
            yield steps(found)


def directory(state: Path, config: Config) -> Answer:
    """The state directory: ours, private, writable."""
    subject = "state"
    if not state.exists():
        parent = next(p for p in state.parents if p.exists())
        if os.access(parent, os.W_OK):
            return Answer(subject, "good", f"{state} will be made at the first start")
        return Answer(
            subject, "bad", f"{state} cannot be made in {parent}", "name another one with --state or $SYNCD_STATE"
        )
    facts = state.stat()
    if not stat.S_ISDIR(facts.st_mode):
        return Answer(subject, "bad", f"{state} is no directory", "name another one with --state or $SYNCD_STATE")
    if facts.st_uid != os.geteuid():
        return Answer(
            subject, "bad", f"{state} belongs to user {facts.st_uid}", "run as its owner, or name another one"
        )
    if facts.st_mode & 0o022:
        return Answer(subject, "bad", f"others may write to {state}", f"chmod go-w {state}")
    if not os.access(state, os.W_OK | os.X_OK):
        return Answer(subject, "bad", f"{state} cannot be written to", f"chmod u+rwx {state}")
    try:
        tokens.load(state / "token")
    except SyncdError as fault:
        if (state / "token").exists():
            return Answer(subject, "bad", *_split(str(fault)))
    return Answer(subject, "good", str(state))


def disk(state: Path, config: Config) -> Answer:
    """Room for runs, logs and artifacts."""
    there = next(p for p in (state, *state.parents) if p.exists())
    free = shutil.disk_usage(there).free
    said = f"{free / 2**30:.1f} GiB free at {there}"
    if free < config.disk_reserve:
        return Answer("disk", "bad", said, "below diskReserve no step is started; make room, or set a smaller reserve")
    return Answer("disk", "good" if free > 4 * config.disk_reserve else "note", said)


def zones(state: Path, config: Config) -> Answer:
    """The time zone data."""
    import zoneinfo

    try:
        zoneinfo.ZoneInfo("Europe/Paris")
    except zoneinfo.ZoneInfoNotFoundError:
        return Answer("time zones", "bad", "no data", "pip install tzdata, or install the system's tzdata")
    return Answer("time zones", "good", f"{len(zoneinfo.available_timezones())} zones")


def daemon(state: Path, config: Config) -> Answer:
    """The daemon, or whether its port is free for one."""
    try:
        url = reach.daemon_url(state)
    except SyncdError as fault:
        return Answer("daemon", "bad", *_split(str(fault)))
    if url:
        return Answer("daemon", "good", f"runs at {url}")
    listen = config.listen
    if listen.port == 0:
        return Answer("daemon", "good", "does not run")
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((listen.host, listen.port))
        except OSError as fault:
            said = f"does not run, and {listen.host}:{listen.port} is not free ({fault.strerror})"
            return Answer(
                "daemon", "bad", said, "end what listens there, or choose another port: listen.port, --listen"
            )
    return Answer("daemon", "good", f"does not run; {listen.host}:{listen.port} is free for it")


def _split(message: str) -> tuple[str, str]:
    finding, _, remedy = message.partition("; ")
    return finding, remedy


CHECKS: Final[tuple[Callable[[Path, Config], Answer], ...]] = (
    python,
    git,
    sandbox,
    engine,
    directory,
    disk,
    zones,
    daemon,
)
