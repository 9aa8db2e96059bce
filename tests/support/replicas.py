"""Replicas of a cluster's daemon as processes, for tests that kill, freeze and mislead them.

Comes in: a kubeconfig and what the configuration says. Goes out: `Replica`: its log, its URL, signals. Everything is killed with the
test. `skew_seconds` gives one a wall clock that is wrong, as a machine without NTP has; `silence_seconds` makes it take a watch
without a byte for stalled so soon (80 s otherwise).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_MAIN = """
import sys, datetime
from syncd.app import real
from syncd.cluster.kube.channel import Pulse
skew = datetime.timedelta(seconds=float(sys.argv.pop(1)))
if silence := float(sys.argv.pop(1)):
    Pulse.__init__.__defaults__ = (silence, Pulse().lasts_seconds)
now = real.SystemClock.now
real.SystemClock.now = lambda self: now(self) + skew
from syncd.cli.main import main
sys.exit(main())
"""

LEASE = {"duration": "3s", "renewDeadline": "2s", "retry": "500ms"}
"""Quick, so that tests are; takeover within 3 s + 5 s."""


class Replica:
    """One `syncd run -c FILE` with mode: kubernetes."""

    def __init__(
        self,
        folder: Path,
        name: str,
        config: Mapping[str, Any],
        skew_seconds: float = 0.0,
        silence_seconds: float = 0.0,
    ) -> None:
        self.name = name
        self.folder = folder / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.state = self.folder / "state"
        self.file = self.folder / "syncd.yaml"
        self.file.write_text(json.dumps(dict(config)))
        self._log = self.folder / "log"
        self._skew_seconds = skew_seconds
        self._silence_seconds = silence_seconds  # 0 = as it is
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Replica:
        """Start it, not waiting for anything."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SYNCD_")}
        (self.state / "daemon.json").unlink(missing_ok=True)
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    _MAIN,
                    str(self._skew_seconds),
                    str(self._silence_seconds),
                    "run",
                    "-c",
                    str(self.file),
                    "--state",
                    str(self.state),
                ],
                stdout=log,
                stderr=log,
                env=environment,
            )
        return self

    @property
    def log(self) -> str:
        """Everything it has logged, over all its starts."""
        return self._log.read_text() if self._log.exists() else ""

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def url(self) -> str:
        """Where it listens. Waits for that."""
        told = until(lambda: _json(self.state / "daemon.json"), 90, lambda: f"{self.name} listens; log:\n{self.log}")
        return str(told["url"])

    def token(self) -> str:
        return (self.state / "token").read_text().strip()

    def get(self, path: str, *, token: bool = True) -> tuple[int, str]:
        """Status and body of a GET; 0 where nothing answers."""
        request = urllib.request.Request(f"{self.url()}{path}")
        if token:
            request.add_header("Authorization", f"Bearer {self.token()}")
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def status(self) -> dict[str, Any]:
        """What /api/syncd/v1/status tells."""
        code, text = self.get("/api/syncd/v1/status")
        return json.loads(text) if code == 200 else {}

    def metrics(self) -> dict[str, float]:
        """Every sample of /metrics, by `name{labels}` as written."""
        _, text = self.get("/metrics", token=False)
        lines = (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, value in lines}

    def leads(self) -> bool:
        return bool(self.alive and self.status().get("leading"))

    def send(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(number)

    def kill(self) -> None:
        """kill -9, and wait for its end."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def freeze(self) -> None:
        self.send(signal.SIGSTOP)

    def thaw(self) -> None:
        self.send(signal.SIGCONT)

    def stop(self, seconds: float = 20) -> int:
        """SIGTERM, and the exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(seconds)


@contextmanager
def replicas(
    folder: Path, names: str, config: Mapping[str, Any], *, silence_seconds: float = 0.0, **skews: float
) -> Iterator[list[Replica]]:
    """Started replicas, one for each letter of `names`. silence_seconds: of a watch, 0 = as it is; skews: seconds by name."""
    made = [Replica(folder, name, config, skews.get(name, 0.0), silence_seconds) for name in names]
    try:
        for replica in made:
            replica.start()
        yield made
    finally:
        for replica in made:
            if replica.alive:
                replica.thaw()
                replica.kill()


def config_of(kubeconfig: Path, namespace: str, *, lease: Mapping[str, str] = LEASE, **more: Any) -> dict[str, Any]:
    """A configuration for tests: any free port, a quick lease, objects of one namespace."""
    cluster = {
        "kubeconfig": str(kubeconfig),
        "namespace": namespace,
        "namespaces": [namespace],
        "lease": dict(lease),
        **more.pop("kubernetes", {}),
    }
    return {
        "mode": "kubernetes",
        "kubernetes": cluster,
        "listen": {"host": "127.0.0.1", "port": 0},
        "log": {"format": "text", "level": "debug"},
        **more,
    }


def until(check: Callable[[], Any], seconds: float, what: str | Callable[[], str]) -> Any:
    """The first answer of `check` that is true. Fails with `what` after so long."""
    limit = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() > limit:
            raise AssertionError(f"not within {seconds:g} s: {what() if callable(what) else what}")
        time.sleep(0.05)


def leader(of: list[Replica], seconds: float = 90) -> Replica:
    """The one that leads; waits for it."""
    found: Replica = until(
        lambda: next((replica for replica in of if replica.leads()), None),
        seconds,
        lambda: "one leads; logs:\n" + "\n".join(f"--- {r.name}\n{r.log[-2000:]}" for r in of),
    )
    return found


def _json(path: Path) -> dict[str, Any] | None:
    try:
        told: dict[str, Any] = json.loads(path.read_text())
        return told
    except (OSError, ValueError):
        return None
