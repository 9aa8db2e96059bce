"""Containers by podman or docker, through their command line: the image is run as it is. Implements `Runtime`.

In: a `runtime.Launch`. Out: an argument list for the engine's client, and what the engine knows afterwards.

The client (`podman run`, attached) is the process that `perform` starts and waits for: it writes the log as it comes and
outlives the daemon, as bwrap does. The container is named after the task and kept until the task is forgotten, so the
engine can always be asked how it ended, whoever was there. A deadline is `timeout` in front of the client, and podman's
own `--timeout` behind it; docker has none, so there a container that is deaf to TERM is ended by the next daemon.
Values of the environment are handed to the client as its own (`--env NAME`), where `ps` does not show them.
"""

from __future__ import annotations

import io
import os
import platform
import re
import shutil
import signal as signals
import struct
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson

from syncd.base.clock import parse_rfc3339
from syncd.base.errors import Invalid, Unreachable, Unsupported
from syncd.execute import runtime
from syncd.execute.folder import Slot, State

_ENGINES: Final = ("podman", "docker")
_PROOF_IMAGE: Final = "localhost/syncd-proof:1"
_PROOF_CODE: Final = 42
_TIMEOUT: Final = 60.0
_PULL_TIMEOUT: Final = 3600.0
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OURS: Final = (
    "PATH",
    "HOME",
    "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS",
    "TMPDIR",
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_CONFIG",
    "DOCKER_CERT_PATH",
    "DOCKER_TLS_VERIFY",
    "CONTAINER_HOST",
    "CONTAINERS_CONF",
    "CONTAINERS_STORAGE_CONF",
    "REGISTRY_AUTH_FILE",
)
"""Variables of the daemon that the client needs; a step's own of these names are given by value."""

_BY_TIMEOUT: Final = 124
_BY_ENGINE: Final = 125

_FROM_BASE: Final = ("PATH", "HOME")
"""Variables that the image knows better than we do; set only where the template sets them."""

_CODES: Final[Mapping[str, tuple[int, bytes]]] = {
    "x86_64": (62, bytes.fromhex("bf2a000000b83c0000000f05")),  # mov edi, 42; mov eax, 60; syscall
    "aarch64": (183, bytes.fromhex("400580d2a80b80d2010000d4")),  # mov x0, 42; mov x8, 93; svc 0
}


class Container:
    """Implements `runtime.Runtime` over the client `program`. options: words for every call, before the subcommand."""

    slow = True

    def __init__(self, program: str, options: tuple[str, ...] = ()) -> None:
        self._program = program
        self._options = options
        self.name = "docker" if Path(program).name.startswith("docker") else "podman"

    @property
    def program(self) -> str:
        """The engine's program."""
        return self._program

    def note(self, image: str) -> str:
        """Nothing: the image is run."""
        return ""

    def entrypoint(self, image: str) -> tuple[str, ...] | None:
        """The engine knows."""
        return ()

    def command(self, slot: Slot, launch: runtime.Launch) -> list[str]:
        """`podman run …`."""
        if not launch.image or launch.image.startswith("-"):
            raise Invalid(f"{launch.image!r} is not the name of an image; set `image`")
        words = [
            self._program,
            *self._options,
            "run",
            "--name",
            _name(slot),
            "--label",
            f"syncd.io/task={launch.task_id}",
        ]
        words += ("--hostname", launch.hostname, "--pull", "missing", "--log-driver", "none")
        words += ("--security-opt", "no-new-privileges", "--security-opt", "label=disable")
        for bind in (*_placed(launch), *launch.binds, runtime.Bind(launch.tmp, "/var/run/argo")):
            if ":" in bind.target or "," in bind.target:
                raise Invalid(f"mountPath {bind.target!r} may not hold ':' or ','")
            words += ("--volume", f"{bind.source}:{bind.target}" + ":ro" * bind.read_only)
        for name, value in self._variables(launch).items():
            hidden = _PLAIN.fullmatch(name) and name not in _OURS
            words += ("--env", name if hidden else f"{name}={value}")
        if launch.workdir not in ("", "/"):
            words += ("--workdir", launch.workdir)
        arguments = list(launch.argv)
        if launch.own_command and arguments:
            words += ("--entrypoint", arguments.pop(0))
        if launch.limit_seconds is None:
            return [*words, launch.image, *arguments]
        limit = max(0.001, launch.limit_seconds)
        if self.name == "podman":
            words += ("--timeout", str(int(limit + launch.kill_after_seconds) + 2))
        front = [shutil.which("timeout") or "timeout", "-k", f"{launch.kill_after_seconds:g}", f"{limit:.3f}"]
        return [*front, *words, launch.image, *arguments]

    def process_environment(self, launch: runtime.Launch) -> Mapping[str, str]:
        """What the client needs of ours, and the step's own."""
        return {**self._variables(launch), **{name: os.environ[name] for name in _OURS if name in os.environ}}

    def examine(self, slot: Slot, boot: str) -> State:
        """The engine's answer; a container that was made and never started is made again."""
        if slot.record() is None:
            return State.FRESH
        if slot.held():
            return State.ALIVE
        state = self._state(slot)
        if state is None:
            return State.FRESH
        status = str(state.get("Status", ""))
        if status in ("created", "configured", "initialized"):
            self.clean(slot)
            return State.FRESH
        return State.ENDED if status in ("exited", "dead", "stopped") else State.ALIVE

    def alive(self, slot: Slot) -> bool:
        """Whether the client or the container runs."""
        return slot.held() or bool((self._state(slot) or {}).get("Running"))

    def ended(self, slot: Slot, code: int | None, log: Path) -> runtime.Ended | None:
        """0 from the client is 0; for everything else the engine is asked."""
        if code == 0:
            return runtime.Ended(0)
        code = None if code is None or code < 0 else code  # a client that was killed knows nothing
        state = self._state(slot)
        text = runtime.tail(log, 4096).strip().rpartition("\n")[2]
        if state is None:
            return runtime.Ended(None, f"{self.name} did not make the container: {text}") if code is not None else None
        if code == _BY_ENGINE and text.startswith(("Error: ", "docker: ")):
            return runtime.Ended(None, f"{self.name} did not start the container: {text}")
        if state.get("Running"):
            if code is None:
                return None
            self.signal(slot, signals.SIGKILL)  # the client was ended by the deadline, what it ran was not
            return runtime.Ended(code)
        if code == _BY_TIMEOUT:
            return runtime.Ended(code)
        if str(state.get("Status")) in ("created", "configured", "initialized"):
            return runtime.Ended(None, f"{self.name} did not start the container: {state.get('Error') or text}")
        fault = "OOMKilled" if state.get("OOMKilled") else ""
        return runtime.Ended(int(state.get("ExitCode", 0)), fault, _moment(state.get("FinishedAt")))

    def watched(self, slot: Slot) -> int | None:
        """Nobody: `alive` is asked."""
        return None

    def listens(self, slot: Slot) -> bool:
        """Whether the container runs."""
        return bool((self._state(slot) or {}).get("Running"))

    def release(self, slot: Slot) -> bool:
        """The engine sees to that."""
        return False

    def signal(self, slot: Slot, number: int) -> None:
        """By the engine, to the container's first process."""
        self._run("kill", "--signal", signals.Signals(number).name, _name(slot))

    def sweep(self, slot: Slot) -> None:
        """Nothing is left: the container has ended."""

    def export(self, slot: Slot, path: str, archive: Path) -> bool:
        """By the engine's `cp`."""
        with archive.open("wb") as file:
            words = [self._program, *self._options, "cp", f"{_name(slot)}:{path}", "-"]
            try:
                done = subprocess.run(words, stdout=file, stderr=subprocess.DEVNULL, timeout=_PULL_TIMEOUT, check=False)
            except (OSError, subprocess.TimeoutExpired) as error:
                raise Unreachable(f"{self.name} cp: {error}") from error
        return done.returncode == 0

    def clean(self, slot: Slot) -> None:
        """Remove the container."""
        self._run("rm", "--force", "--volumes", _name(slot))

    def _variables(self, launch: runtime.Launch) -> dict[str, str]:
        found = {k: v for k, v in launch.environment.items() if k not in _FROM_BASE or k in launch.own_variables}
        return {**found, "ARGO_PROGRESS_FILE": "/var/run/argo/.argo-progress"}

    def _state(self, slot: Slot) -> dict[str, Any] | None:
        """The engine's `.State` of the container; None = there is none. Raises Unreachable where it does not answer."""
        done = self._run("inspect", "--type", "container", "--format", "{{json .State}}", _name(slot))
        if done.returncode:
            text = done.stderr.decode(errors="replace").lower()
            if "no such" in text or "not found" in text:
                return None
            raise Unreachable(f"{self.name} does not answer: {text.strip()[:300]}")
        value = orjson.loads(done.stdout)
        return value if isinstance(value, dict) else None

    def _run(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(
                [self._program, *self._options, *words],
                capture_output=True,
                stdin=subprocess.DEVNULL,
                timeout=_TIMEOUT,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unreachable(f"{self.name} {words[0]}: {error}") from error


def prove(engine: str = "") -> Container:
    """An engine that has started a container here. engine: a name or path, "" = the first that works.

    Blocks for a second or so; pulls nothing: the image is made of one program of 132 bytes. Raises Unsupported with
    what each engine said.
    """
    faults = []
    for name in (engine,) if engine else _ENGINES:
        program = shutil.which(name)
        if program is None:
            faults.append(f"{name} is not installed")
            continue
        found = Container(program)
        try:
            _prove(found)
        except Unsupported as error:
            faults.append(f"{name}: {error}")
        else:
            return found
    raise Unsupported(
        f"no container engine starts a container: {'; '.join(faults)}; use runtime: sandbox, or repair it"
    )


def _prove(found: Container) -> None:
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder, "proof.tar")
        data = proof_program()
        with tarfile.open(archive, "w") as tar:
            entry = tarfile.TarInfo("proof")
            entry.size, entry.mode = len(data), 0o755
            tar.addfile(entry, io.BytesIO(data))
        try:
            done = found._run("image", "inspect", _PROOF_IMAGE)
            if done.returncode:
                done = found._run("import", str(archive), _PROOF_IMAGE)
            if done.returncode == 0:
                done = found._run("run", "--rm", "--network", "none", "--entrypoint", "/proof", _PROOF_IMAGE)
        except Unreachable as error:
            raise Unsupported(str(error)) from error
    if done.returncode != _PROOF_CODE:
        raise Unsupported(done.stderr.decode(errors="replace").strip()[-300:] or f"ended with {done.returncode}")


def proof_program() -> bytes:
    """An ELF program for this machine that exits with 42, needing nothing. Raises Unsupported elsewhere."""
    machine = platform.machine()
    if machine not in _CODES:
        raise Unsupported(f"no proof for a {machine}")
    number, code = _CODES[machine]
    base, head = 0x400000, 64 + 56
    size = head + len(code)
    elf = b"\x7fELF\x02\x01\x01" + bytes(9)
    elf += struct.pack("<HHIQQQIHHHHHH", 2, number, 1, base + head, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    elf += struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, size, size, 0x1000)
    return elf + code


def _moment(value: object) -> datetime | None:
    """An engine's time, which may have nanoseconds; None = it has none."""
    try:
        return parse_rfc3339(re.sub(r"(\.\d{6})\d+", r"\1", str(value)))
    except ValueError:
        return None


def _name(slot: Slot) -> str:
    """The container's name: the task's id, which is safe, and the label."""
    return f"syncd-{slot.folder.name}-{slot.label}"


def _placed(launch: runtime.Launch) -> list[runtime.Bind]:
    """Input artifacts, which staging has put below the task's root, each at its own path."""
    if launch.root is None:
        return []
    found = []
    for path in launch.placed:
        source = launch.root.joinpath(*path.split("/")[1:])
        if source.exists():
            found.append(runtime.Bind(source, path))
    return found
