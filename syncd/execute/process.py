"""Starting a process without an interpreter in between, and learning that it has ended.

In: argument list, environment, files. Out: a pid, and a call on the event loop when the process is gone.
`os.posix_spawn` costs 0.3 ms where asyncio's subprocess costs 2: no fork of the daemon's memory, no pipe, no thread.
Called by `perform`; nothing here knows what is run.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

STATUS_FD: Final = 3
LOCK_FD: Final = 4

_RESET: Final = [s for s in signal.valid_signals() if s not in (signal.SIGKILL, signal.SIGSTOP)]
_WRITE: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW


@dataclass(frozen=True, slots=True)
class Files:
    """What a process writes to. stderr == stdout: one file for both, in order of writing."""

    stdout: Path
    stderr: Path
    status: Path


def spawn(argv: list[str], environment: Mapping[str, str], files: Files, lock: int) -> int:
    """Start `argv` in a session of its own and return its pid.

    It gets /dev/null to read, the log files (begun anew) to write, the status file as fd 3 and `lock` as fd 4, and
    nothing else of the daemon's. Raises OSError where argv[0] cannot be run.
    The lock is put in its place first: the opened files could otherwise land on its number.
    """
    actions: list[tuple[int, ...] | tuple[int, int, str, int, int]] = [
        (os.POSIX_SPAWN_DUP2, lock, LOCK_FD),
        (os.POSIX_SPAWN_OPEN, STATUS_FD, str(files.status), _WRITE | os.O_TRUNC, 0o600),
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(files.stdout), _WRITE | os.O_TRUNC, 0o600),
    ]
    if files.stderr == files.stdout:
        actions.append((os.POSIX_SPAWN_DUP2, 1, 2))
    else:
        actions.append((os.POSIX_SPAWN_OPEN, 2, str(files.stderr), _WRITE | os.O_TRUNC, 0o600))
    return os.posix_spawn(
        argv[0], argv, environment, file_actions=actions, setsid=True, setsigmask=(), setsigdef=_RESET
    )


def seal() -> None:
    """Keep what this process was itself given at its start (a shell's pipes, a supervisor's sockets) from every child.

    Python's own files are closed on exec as it is; inherited ones are not. Called once, before the first `spawn`.
    """
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - descriptors, not files
        fd = int(name)
        if fd > 2:
            with suppress(OSError):
                os.set_inheritable(fd, False)


def when_gone(pid: int, call: Callable[[], None]) -> Callable[[], None]:
    """Call `call` once, on the running loop, when process `pid` has ended. Returns what cancels it.

    Works for children and for processes of an earlier daemon alike. ProcessLookupError: there is no such process.
    """
    loop = asyncio.get_running_loop()
    fd = os.pidfd_open(pid)

    def cancel() -> None:
        nonlocal fd
        if fd >= 0:
            loop.remove_reader(fd)
            os.close(fd)
            fd = -1

    def ready() -> None:
        cancel()
        call()

    loop.add_reader(fd, ready)
    return cancel


def reap(pid: int) -> int | None:
    """The exit code of a child that has ended, -n for one killed by signal n; None: not ours, or still running."""
    try:
        found, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None
    if not found:
        return None
    return os.waitstatus_to_exitcode(status)
