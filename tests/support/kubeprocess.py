"""The processes of an API server for tests: started on free ports, logged to files, killed with whoever started them.

Comes in: the names of programs (see kubetools) and their flags. Goes out: whether they run, what they wrote. Used by kubeapi.
"""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support import kubetools


class Processes:
    """By the name of the program, one of each. folder: for their logs; it is cleared away if this process dies."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._reaper = _Reaper(folder)

    def start(self, name: str, *flags: str) -> None:
        with self._log_file(name).open("ab") as log:
            self._running[name] = subprocess.Popen(
                [kubetools.find(name), *flags],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the tests: these end when their fixture does
            )
        self._reaper.watch(self._running[name].pid)

    def run(self, *names: str) -> bool:
        """Whether they all do."""
        return all(name in self._running and self._running[name].poll() is None for name in names)

    def kill(self, name: str) -> None:
        """kill -9, and wait. Nothing where it does not run."""
        if (process := self._running.pop(name, None)) is not None:
            process.kill()
            process.wait()

    def kill_all(self) -> None:
        """For good: nothing can be started after this."""
        self._reaper.dismiss()
        for name in reversed(tuple(self._running)):
            self.kill(name)

    @contextmanager
    def paused(self, name: str) -> Iterator[None]:
        """Stopped in its tracks: the kernel still takes connections for it."""
        self._running[name].send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._running[name].send_signal(signal.SIGCONT)

    def pids(self) -> list[int]:
        return [process.pid for process in self._running.values()]

    def log(self, name: str) -> str:
        """What a program has written so far, over all its starts."""
        path = self._log_file(name)
        return path.read_text(errors="replace") if path.exists() else ""

    def _log_file(self, name: str) -> Path:
        return self._folder / f"{name}.log"


class _Reaper:
    """A shell that outlives this process by a moment: it kills what was started and clears the folder away.

    For the ends that run no finalizer: kill -9, a hard timeout. (PR_SET_PDEATHSIG would not do: it fires when the *thread* ends.)
    """

    def __init__(self, folder: Path) -> None:
        script = 'while read -r pid; do pids="$pids $pid"; done; kill -9 $pids; sleep 1; rm -rf "$0"'
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", script, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def watch(self, pid: int) -> None:
        assert self._shell.stdin is not None
        self._shell.stdin.write(f"{pid}\n".encode())
        self._shell.stdin.flush()

    def dismiss(self) -> None:
        self._shell.kill()
        self._shell.communicate()


def free_ports(count: int) -> list[int]:
    """Ports that are free now, all different; somebody else may take one before it is used."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
