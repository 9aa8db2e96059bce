"""The one hardened door to git: `Door.run` runs a literal subcommand in a fixed environment. Called by `source.git` and
by git artifacts; blocking, so call it in a thread.

The only import of GitPython, and only of its command object with argument lists: never a shell, never `clone_from`,
never its dynamic `repo.git.*` (which turns names into options; see the advisories of 2022 to 2026).

What keeps a hostile repository or URL from doing anything but give bytes:
- subcommands come from a table; urls pass `config.urls`, refs pass `vcs.refs`, both before they get here;
- no configuration but ours (GIT_CONFIG_NOSYSTEM, GIT_CONFIG_GLOBAL), no hooks, no file system monitor, no submodules,
  no checkout (so no filters, no links, no .gitattributes), GIT_ALLOW_PROTOCOL;
- variables GIT_* of the daemon's own environment do not get through;
- no prompt; passwords are read by git's askpass from a file, for the one host that they are for, and never stand in an
  argument or a variable; ssh refuses unknown hosts;
- a process group of its own, killed whole on timeout or when it says too much; every word redacted before it is raised.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shlex
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import urlsplit

from git.cmd import Git
from git.exc import GitCommandNotFound

from syncd.base.errors import Defect, Unsupported
from syncd.config.model import Auth
from syncd.vcs.verdicts import GitFailed, Kind, sorted_out

SUBCOMMANDS: Final = frozenset(
    {"ls-remote", "fetch", "ls-tree", "diff-tree", "cat-file", "rev-parse", "status", "gc", "version"}
)

_STDERR_BYTES: Final = 64 * 1024

_CONFIG: Final = """\
# written by syncd at each start
[core]
	hooksPath = /dev/null
	fsmonitor = false
	symlinks = false
	fsync = none
	untrackedCache = false
[gc]
	auto = 0
[maintenance]
	auto = false
[fetch]
	recurseSubmodules = false
	writeCommitGraph = false
[submodule]
	recurse = false
[credential]
	helper =
[http]
	followRedirects = initial
	lowSpeedLimit = 100
	lowSpeedTime = 60
{certificates}[protocol]
	version = 2
[advice]
	detachedHead = false
[safe]
{trusted}"""

_ASKPASS: Final = """\
#!/bin/sh
# Tells git the user or password for one host only: a redirect to another gets none.
case "$1" in
*"://$SYNCD_GIT_HOST': "|*"@$SYNCD_GIT_HOST': ") ;;
*) exit 1 ;;
esac
case "$1" in
Username*)
  if [ -n "$SYNCD_GIT_USERNAME_FILE" ]; then exec head -n 1 -- "$SYNCD_GIT_USERNAME_FILE"; fi
  printf '%s\\n' "$SYNCD_GIT_USERNAME" ;;
Password*)
  if [ -n "$SYNCD_GIT_PASSWORD_FILE" ]; then exec head -n 1 -- "$SYNCD_GIT_PASSWORD_FILE"; fi
  exit 1 ;;
*) exit 1 ;;
esac
"""


class Door:
    """git, for one remote.

    home: directory of our own for its configuration, made if need be; auth: names of files, read by git at each call;
    trusted: directories of other users that may be read as repositories; url: the remote, normalised, "" = none;
    allow_file, allow_http: what `config.urls.normalise` was allowed; ssh: the program, for tests.
    """

    def __init__(
        self,
        home: Path,
        *,
        url: str = "",
        auth: Auth | None = None,
        trusted: Sequence[Path] = (),
        allow_file: bool = False,
        allow_http: bool = False,
        ssh: str = "ssh",
    ) -> None:
        self._home = home
        self._auth = auth or Auth()
        self._trusted = tuple(trusted)
        self._protocols = ":".join(["https", "ssh", *(["file"] * allow_file), *(["http"] * allow_http)])
        self._url = url
        self._ssh = ssh
        self._preparing = threading.Lock()
        self._fixed: dict[str, str] = {}  # the environment, once our files are written
        self._closed = threading.Event()

    def run(
        self,
        subcommand: str,
        *arguments: str,
        repository: Path | None = None,
        work_tree: Path | None = None,
        stdin: bytes = b"",
        timeout_seconds: float = 60.0,
        max_bytes: int = 256 * 1024 * 1024,
        sink: Callable[[bytes], None] | None = None,
    ) -> bytes:
        """Run one git command to its end; answers its stdout.

        repository: bare, of ours; work_tree: somebody's, for `status` and `rev-parse`; neither: no repository;
        sink: gets stdout piece by piece instead (then the answer is b""; what it raises ends git);
        timeout_seconds, max_bytes: killed beyond. Raises GitFailed; Unsupported where there is no git.
        """
        if subcommand not in SUBCOMMANDS:
            raise Defect(f"git {subcommand} is not in the table of vcs.door")
        if any("\0" in argument for argument in arguments):
            raise Defect(f"git {subcommand} got an argument with a zero byte")
        with self._preparing:
            if not self._fixed or not self._are_ours_there():
                self._prepare()
        environment = self._fixed if repository is None else {**self._fixed, "GIT_DIR": str(repository)}
        command = [
            *_without_inherited(environment),
            "git",
            "-c",
            "core.hooksPath=/dev/null",
            "-c",
            "core.fsmonitor=false",
        ]
        command += [subcommand, *arguments]
        collected: list[bytes] = []
        with _given(stdin) as given:
            try:
                running: Any = Git(str(work_tree or self._home)).execute(
                    command, istream=given, as_process=True, env=environment, start_new_session=True
                )
            except (OSError, GitCommandNotFound) as wrong:
                raise Unsupported(
                    f"git cannot be started ({type(wrong).__name__}); install git 2.30 or newer"
                ) from None
            watched = _Watched(running.proc, subcommand, timeout_seconds, max_bytes, self._closed)
            status, stderr = watched.to_the_end(sink or collected.append)
        if status != 0:
            raise sorted_out(subcommand, stderr)
        return b"".join(collected)

    def close(self) -> None:
        """End the git that runs, within half a second, and every later one."""
        self._closed.set()

    def _are_ours_there(self) -> bool:
        """Whether nobody took our files away: without them git would read other people's configuration."""
        return (self._home / "config").is_file() and (self._home / "askpass").is_file()

    def _environment(self) -> dict[str, str]:
        """Ours, over the daemon's; GIT_* of the daemon is taken out by `_without_inherited`."""
        auth = self._auth
        return {
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": str(self._home / "config"),
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_CEILING_DIRECTORIES": str(self._home.parent),
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": self._protocols,
            "GIT_PROTOCOL_FROM_USER": "0",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_PAGER": "cat",
            "GIT_EDITOR": ":",
            "GIT_ASKPASS": str(self._home / "askpass"),
            "SSH_ASKPASS": str(self._home / "askpass"),
            "SSH_ASKPASS_REQUIRE": "never",
            "GIT_SSH_VARIANT": "ssh",
            "GIT_SSH_COMMAND": self._ssh_command(),
            "SYNCD_GIT_HOST": urlsplit(self._url).netloc.rpartition("@")[2] if "://" in self._url else "",
            "SYNCD_GIT_USERNAME": auth.username or "x-access-token",
            "SYNCD_GIT_USERNAME_FILE": _absolute(auth.username_file),
            "SYNCD_GIT_PASSWORD_FILE": _absolute(auth.password_file),
        }

    def _ssh_command(self) -> str:
        """git hands this one to a shell, so each word is quoted; only names of files of the operator's are in it."""
        auth = self._auth
        words = [self._ssh, "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "ControlMaster=no"]
        words += ["-o", "ControlPath=none", "-o", "ClearAllForwardings=yes", "-o", "ConnectTimeout=20"]
        if auth.identity_file:
            words += ["-F", "/dev/null", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"]
            words += ["-i", _absolute(auth.identity_file)]
        if auth.known_hosts_file:
            words += ["-o", "GlobalKnownHostsFile=/dev/null"]
            words += ["-o", f'UserKnownHostsFile="{_absolute(auth.known_hosts_file)}"']
        return shlex.join(words)

    def _prepare(self) -> None:
        """Write our configuration and askpass, each whole or not at all."""
        self._home.mkdir(parents=True, exist_ok=True, mode=0o700)
        certificates = f"\tsslCAInfo = {_quoted(_absolute(self._auth.ca_file))}\n" if self._auth.ca_file else ""
        trusted = "".join(f"\tdirectory = {_quoted(str(path))}\n" for path in self._trusted)
        _replace(self._home / "config", _CONFIG.format(certificates=certificates, trusted=trusted), 0o600)
        _replace(self._home / "askpass", _ASKPASS, 0o700)
        self._fixed = self._environment()


@contextlib.contextmanager
def _given(stdin: bytes) -> Iterator[IO[bytes] | None]:
    """A file of what git is to read: no pipe, so that nobody waits for anybody; None = nothing."""
    if not stdin:
        yield None
        return
    with tempfile.TemporaryFile() as given:
        given.write(stdin)
        given.seek(0)
        yield given


def _without_inherited(ours: Mapping[str, str]) -> list[str]:
    """`env -u NAME …` where the daemon's own environment would steer git: GIT_DIR, GIT_SSL_NO_VERIFY, GIT_CONFIG_COUNT…

    GitPython adds our variables to the daemon's and has no way to leave some out.
    """
    strange = sorted(name for name in os.environ if name.startswith("GIT_") and name not in ours)
    return ["env", *(word for name in strange for word in ("-u", name))] if strange else []


class _Watched:
    """A running git: its two pipes read in one loop, until both end, the deadline passes, or it says too much."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        subcommand: str,
        timeout_seconds: float,
        max_bytes: int,
        closed: threading.Event,
    ) -> None:
        self._process = process
        self._subcommand = subcommand
        self._timeout_seconds = timeout_seconds
        self._deadline = time.monotonic() + timeout_seconds
        self._left = max_bytes
        self._closed = closed

    def to_the_end(self, sink: Callable[[bytes], None]) -> tuple[int, bytes]:
        """Exit status and the first 64 KiB of stderr."""
        process = self._process
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            with process.stdout, process.stderr, selectors.DefaultSelector() as selector:
                stderr = self._pump(selector, process.stdout, process.stderr, sink)
            return self._wait(), stderr
        finally:
            if process.returncode is None:
                self._kill()

    def _pump(
        self, selector: selectors.BaseSelector, stdout: IO[bytes], errors: IO[bytes], sink: Callable[[bytes], None]
    ) -> bytes:
        stderr = b""
        selector.register(stdout, selectors.EVENT_READ)
        selector.register(errors, selectors.EVENT_READ)
        while selector.get_map():
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise self._late()
            if self._closed.is_set():
                raise GitFailed(self._subcommand, Kind.TIMEOUT, "was stopped: syncd lets go of this repository")
            ready = selector.select(min(left, 0.5))
            if not ready and self._ended():  # a grandchild (ssh) keeps a pipe open
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                break
            for key, _ in ready:
                piece = os.read(key.fd, 1 << 18)
                if not piece:
                    selector.unregister(key.fileobj)
                elif key.fileobj is stdout:
                    self._left -= len(piece)
                    if self._left < 0:
                        raise GitFailed(self._subcommand, Kind.TOO_MUCH, "said more than is allowed, and was stopped")
                    sink(piece)
                elif len(stderr) < _STDERR_BYTES:
                    stderr += piece[: _STDERR_BYTES - len(stderr)]
        return stderr

    def _ended(self) -> bool:
        """Whether git itself has ended; it is not reaped, so that its number stays its own until the group is killed."""
        how = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self._process.pid, how) is not None

    def _wait(self) -> int:
        left = max(self._deadline - time.monotonic(), 0.1)
        _until_ended(self._process.pid, left)
        try:
            return self._process.wait(left)
        except subprocess.TimeoutExpired:
            raise self._late() from None

    def _late(self) -> GitFailed:
        words = f"no answer within {self._timeout_seconds:g} s, and was stopped"
        return GitFailed(self._subcommand, Kind.TIMEOUT, words)

    def _kill(self) -> None:
        """The whole group; it leads one of its own, and is not reaped yet, so the number is still its own."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def _until_ended(pid: int, seconds: float) -> None:
    """Return when a child has ended, or the time is over. Popen.wait sleeps between its looks, a tenth of a poll for nothing.

    Where there is no pidfd (not Linux, or no file is left), it returns at once.
    """
    try:
        fd = os.pidfd_open(pid)
    except (AttributeError, OSError):
        return
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(fd, selectors.EVENT_READ)
            selector.select(seconds)
    finally:
        os.close(fd)


def _absolute(name: str) -> str:
    return str(Path(name).expanduser().absolute()) if name else ""


def _quoted(value: str) -> str:
    """As a git configuration file wants it."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


def _replace(path: Path, text: str, mode: int) -> None:
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    temporary.replace(path)
