"""What `perform` asks of the thing that runs a container: the sandbox, or podman and docker.

A runtime turns a `Launch` into an argument list, and can find, read and end what was started from it, also when an
earlier daemon started it. It starts nothing itself: `process.spawn` does, the same way for all.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from syncd.execute.folder import Slot, State

DEFAULT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Bind:
    """A file or folder of the machine that is seen inside. target: absolute, inside."""

    source: Path
    target: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Overlay:
    """A read-only folder of the system made writable for one container: `upper` takes what it writes."""

    target: str
    lower: Path
    upper: Path
    work: Path


@dataclass(frozen=True, slots=True)
class Launch:
    """One container, ready to run.

    argv: may be empty only where the runtime knows the image's entrypoint; own_command: its first word is the template's
    `command`, not an argument of that entrypoint; own_variables: names that the template sets; placed: paths inside of
    input artifacts, which lie below `root`; workdir: "" = the runtime's default;
    root: the folder that becomes `/` of a sandbox (outputs are read from it later), None = an empty one in memory;
    tmp: the folder that becomes /tmp where `root` is None;
    overlays: system folders (`/usr`) that this container may write to, with the place of what it writes;
    limit_seconds: until TERM, None = no deadline; kill_after_seconds: from TERM to KILL.
    """

    task_id: str
    label: str
    image: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    workdir: str
    hostname: str
    tmp: Path
    root: Path | None = None
    binds: tuple[Bind, ...] = ()
    overlays: tuple[Overlay, ...] = ()
    placed: tuple[str, ...] = ()
    own_command: bool = True
    own_variables: frozenset[str] = frozenset()
    limit_seconds: float | None = None
    kill_after_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a container ended. code: its exit code, None = its command never ran, and `fault` says why;
    at: when, where the engine knows it."""

    code: int | None
    fault: str = ""
    at: datetime | None = None


class Runtime(Protocol):
    """All methods are quick and block, or say otherwise; none raises for a container that is gone."""

    @property
    def name(self) -> str:
        """`sandbox`, `podman`, `docker`: kept in the record, and the host of TaskStarted."""

    @property
    def slow(self) -> bool:
        """Whether `ended`, `signal` and `clean` run programs, and so belong in a thread."""

    def note(self, image: str) -> str:
        """What a person should know about how `image` is run here; "" = nothing."""

    def entrypoint(self, image: str) -> tuple[str, ...] | None:
        """The command of an image that sets none; () = the engine knows it; None = nobody does."""

    def command(self, slot: Slot, launch: Launch) -> list[str]:
        """What to spawn. Raises Unsupported, Invalid."""

    def process_environment(self, launch: Launch) -> Mapping[str, str]:
        """The environment of what is spawned."""

    def examine(self, slot: Slot, boot: str) -> State:
        """What became of a container that an earlier daemon may have started. boot: id of the present boot."""

    def alive(self, slot: Slot) -> bool:
        """Whether its command may still run."""

    def ended(self, slot: Slot, code: int | None, log: Path) -> Ended | None:
        """How it ended. code: of the spawned process, None = it was not our child. None: it is not known (lost)."""

    def watched(self, slot: Slot) -> int | None:
        """The process to wait for when the container was started by an earlier daemon; None = ask `Slot.held`."""

    def listens(self, slot: Slot) -> bool:
        """Whether the command has begun, so that a TERM reaches it. Never true for one that has ended."""

    def release(self, slot: Slot) -> bool:
        """End a container that waits for ever to be let go, because what set it up was killed; whether there was one."""

    def signal(self, slot: Slot, number: int) -> None:
        """Send TERM to the command and its process group, or KILL everything inside."""

    def sweep(self, slot: Slot) -> None:
        """The command has ended: end what it left behind."""

    def export(self, slot: Slot, path: str, archive: Path) -> bool:
        """Write what lies at `path` of an ended container as a tar; False: nothing does, or it is in our folders as it is."""

    def clean(self, slot: Slot) -> None:
        """The task is forgotten: drop what the engine keeps of it."""


def tail(path: Path, size: int) -> str:
    """The last `size` bytes of a file as text; "" where there is none."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return ""
    try:
        end = os.fstat(fd).st_size
        return os.pread(fd, size, max(0, end - size)).decode(errors="replace")
    finally:
        os.close(fd)
