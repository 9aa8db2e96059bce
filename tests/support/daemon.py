"""A real daemon in a process of its own, and a client of its API. For tests that look at syncd from outside.

Comes in: a state directory and what to serve. Goes out: `Daemon`, with what it printed, its API, and the `syncd` command
pointed at it. It listens on a free port, uses the sandbox, and is ended (and waited for) when the block is left.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SYNCD = Path(sys.executable).with_name("syncd")
PATIENCE_SECONDS = 60.0


@dataclass(slots=True)
class Daemon:
    """One that runs. lines: what it has printed so far, to be read by `until`."""

    state: Path
    process: subprocess.Popen[str]
    url: str = ""
    token: str = ""
    printed: list[str] = field(default_factory=list)
    _lines: queue.Queue[str | None] = field(default_factory=queue.Queue)

    def until(self, *words: str) -> str:
        """Read on until a line has all of `words`; that line. Fails with all that was printed where none comes."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                line = None
            if line is None:
                raise AssertionError(f"the daemon did not say {words}; it said:\n" + "\n".join(self.printed))
            self.printed.append(line)
            if all(word in line for word in words):
                return line

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """A request to the API; the answer's JSON. Raises AssertionError with the error's text where it is one."""
        with self.open(method, path, body) as answer:
            return json.loads(answer.read() or b"null")

    def open(self, method: str, path: str, body: Any = None) -> Any:
        """A request to the API; the answer as it comes."""
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        try:
            return urllib.request.urlopen(request, timeout=PATIENCE_SECONDS)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()}") from None

    def syncd(self, *arguments: str, code: int = 0, stdin: str | None = None) -> str:
        """What the `syncd` command prints when it talks to this daemon."""
        return syncd(self.state, *arguments, code=code, stdin=stdin)

    def log(self, name: str, namespace: str = "default") -> list[tuple[str, str]]:
        """(pod, line) of a finished run, in order."""
        with self.open("GET", f"/api/v1/workflows/{namespace}/{name}/log") as answer:
            entries = [json.loads(line)["result"] for line in answer.read().splitlines() if line.strip()]
        return [(entry["podName"], entry["content"]) for entry in entries]


def syncd(state: Path, *arguments: str, code: int = 0, stdin: str | None = None) -> str:
    """What the `syncd` command prints over a state directory, with or without a daemon. code: which it must end with."""
    done = subprocess.run(
        [SYNCD, *arguments],
        env=environment(state),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    said = f"syncd {' '.join(arguments)}\n{done.stdout}{done.stderr}"
    assert done.returncode == code, f"exit code {done.returncode}, expected {code}: {said}"
    assert "Traceback" not in said, said
    return done.stdout


def environment(state: Path) -> dict[str, str]:
    """A clean one, so that a person's own settings do not leak into a test."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "TZ") if name in os.environ}
    return {**kept, "SYNCD_STATE": str(state), "LC_ALL": "C.UTF-8", "PYTHONUTF8": "1", "NO_COLOR": "1"}


@contextlib.contextmanager
def running(state: Path, *arguments: str | Path, ready: Sequence[str] = ()) -> Iterator[Daemon]:
    """`syncd up` with these arguments. ready: words of the line that must have come before the block begins."""
    command = [str(SYNCD), "up", *map(str, arguments), "--listen", "127.0.0.1:0", "--runtime", "sandbox"]
    process = subprocess.Popen(
        command, env=environment(state), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    daemon = Daemon(state, process)
    reader = threading.Thread(target=_read, args=(process, daemon._lines), daemon=True)
    reader.start()
    try:
        daemon.url = daemon.until("API http").split()[1]
        daemon.token = (state / "token").read_text().strip()
        if ready:
            daemon.until(*ready)
        yield daemon
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.join()


def _read(process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line.rstrip("\n"))
    process.stdout.close()
    lines.put(None)
