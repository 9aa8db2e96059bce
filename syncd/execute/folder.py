"""The folder of a task on disk, and what it tells after a crash.

    <state>/tasks/<task_id>/
        main.json      the record: boot id, runtime, start
        main.lock      empty; held by flock while anything of the container is alive
        main.status    what bwrap writes with --json-status-fd: {"child-pid": …} before the command is let go,
                       {"exit-code": …} at its end
        init-0.json, init-0.status, …   the same for init containers, which run before main
        stopped        why somebody ended the task
        tmp/ or root/  the step's /tmp, or its whole root where it has files to hand over
        volumes/, inputs/, script

`Slot` is one container's files. Whether it is alive is asked of the kernel: the lock is taken before the spawn and
inherited by the sandbox's first process, so it is free when, and only when, that process is gone. While it is held, the
pid in `main.status` cannot have been given to another process, which is why no start time has to be compared; a record
of another boot is dead whatever the pid says. The lock is a file of its own, and never a folder: a step can reach what
its pid 1 holds open through /proc/1/fd, and must find nothing there but an empty file.
Written by `perform`, read by `perform` after a restart of the daemon.
"""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import orjson

from syncd.base.clock import parse_rfc3339, rfc3339_micro

VERSION: Final = 1
"""Of the record and of the layout: what a later syncd must be able to adopt."""

_STATUS_CAP: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Status:
    """What the status file says. child_pid: None = the command was never let go; exit_code: None = it has not ended."""

    child_pid: int | None = None
    pid_namespace: int | None = None
    exit_code: int | None = None


class State(StrEnum):
    """What became of a container, as far as its files and the kernel know."""

    FRESH = "fresh"  # its command never ran
    ALIVE = "alive"
    ENDED = "ended"  # the exit code is known
    LOST = "lost"  # it may have run, and nobody knows how it ended


@dataclass(frozen=True, slots=True)
class Record:
    """What `main.json` holds. at: when it was spawned, aware UTC; runtime: `sandbox`, `podman`, `docker`."""

    boot: str
    runtime: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Slot:
    """The files of one container of a task. label: `main` or `init-<n>`."""

    folder: Path
    label: str

    @property
    def record_path(self) -> Path:
        """The record."""
        return self.folder / f"{self.label}.json"

    @property
    def lock_path(self) -> Path:
        """The lock."""
        return self.folder / f"{self.label}.lock"

    @property
    def status_path(self) -> Path:
        """Where bwrap writes to."""
        return self.folder / f"{self.label}.status"

    def claim(self, record: Record) -> int | None:
        """Take the lock and write the record: the open file that the sandbox inherits. None: it is alive already."""
        fd = os.open(self.lock_path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        value = {"version": VERSION, "boot": record.boot, "runtime": record.runtime, "at": rfc3339_micro(record.at)}
        self.record_path.write_bytes(orjson.dumps(value))
        return fd

    def held(self) -> bool:
        """Whether anything of the container is alive."""
        try:
            fd = os.open(self.lock_path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    def status(self) -> Status:
        """What the status file says now; a torn last line is not read."""
        try:
            fd = os.open(self.status_path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return Status()
        try:
            text = os.read(fd, _STATUS_CAP)
        finally:
            os.close(fd)
        return parse_status(text)

    def ended_at(self) -> datetime:
        """When the exit code was written; only where there is one."""
        return datetime.fromtimestamp(self.status_path.stat().st_mtime, UTC)

    def record(self) -> Record | None:
        """What was written before the spawn; None = nothing readable."""
        try:
            value = orjson.loads(self.record_path.read_bytes())
            return Record(str(value["boot"]), str(value["runtime"]), parse_rfc3339(value["at"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def examine(self, boot: str) -> State:
        """What became of the container, asked after a restart. boot: the id of the present boot.

        A record of an earlier boot without an exit code is LOST even where the status file is empty: after a power
        cut the file may have lost what the command did not.
        """
        try:
            written = self.record_path.stat()
        except FileNotFoundError:
            return State.FRESH
        status = self.status()
        if status.exit_code is not None:
            return State.ENDED
        record = self.record()
        earlier_boot = record.boot != boot if record is not None else written.st_mtime < booted_at()
        if earlier_boot:
            return State.LOST
        if self.held():
            return State.ALIVE
        status = self.status()  # it may have ended between the two looks
        if status.exit_code is not None:
            return State.ENDED
        return State.FRESH if status.child_pid is None else State.LOST


def parse_status(text: bytes) -> Status:
    """The status that bwrap's lines spell; fields of a newer bwrap are passed over.

    >>> parse_status(b'{ "child-pid": 7, "pid-namespace": 9 }\\n{ "exit-code": 3 }\\n')
    Status(child_pid=7, pid_namespace=9, exit_code=3)
    """
    found: dict[str, Any] = {}
    for line in text.split(b"\n"):
        try:
            value = orjson.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            found.update(value)

    def number(name: str) -> int | None:
        value = found.get(name)
        return value if isinstance(value, int) else None

    return Status(number("child-pid"), number("pid-namespace"), number("exit-code"))


def boot_id() -> str:
    """The kernel's id of the present boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def booted_at() -> float:
    """When the machine was booted, unix seconds."""
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith("btime "):
            return float(line.split()[1])
    return 0.0
