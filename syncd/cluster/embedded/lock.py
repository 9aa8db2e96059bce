"""One acting process per state directory: a lock of the operating system on a file that names its holder.

The lock ends with the process, however it ends; what the file says is only for people. Called by `store`, `database`.
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from syncd.base.errors import Conflict, Refused

FILE: Final = "lock"


@contextmanager
def held(directory: Path) -> Iterator[None]:
    """Hold the lock of `directory`. Raises Conflict naming the holder, Refused where the file cannot be opened."""
    path = directory / FILE
    try:
        # close-on-exec: a step that outlives the daemon must not keep the next daemon out
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Refused(f"{path} cannot be opened ({error.strerror}); check its owner and its mode") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(handle, 200).decode(errors="replace").strip() or "another process"
            raise Conflict(f"{directory} is in use by {holder}; stop it or name another state directory") from None
        os.ftruncate(handle, 0)
        os.write(handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        try:
            yield
        finally:
            os.ftruncate(handle, 0)
    finally:
        os.close(handle)
