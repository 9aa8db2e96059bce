"""Room on the disk that is kept for the store: a file of nothing, given up when the disk is full.

Else a step that fills the disk could not even be recorded as ended, and so never be cleaned away: the disk would stay full
until a person comes. In: the state directory. Out: a little room, once. Called by `writer`, in its thread.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path
from typing import Final

FILE: Final = "reserve"
SIZE_BYTES: Final = 4 << 20
_AFTERWARDS_BYTES: Final = 3 * SIZE_BYTES
"""What must be free besides before the room is taken."""


class Reserve:
    """The file `<state>/reserve`. Never raises: without it the store is as good as the disk lets it be."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE
        self._kept = False

    def keep(self) -> None:
        """Take the room, if it is not taken and there is plenty."""
        if self._kept:
            return
        try:
            if self._path.is_file() and self._path.stat().st_size == SIZE_BYTES:
                self._kept = True
                return
            if shutil.disk_usage(self._path.parent).free < SIZE_BYTES + _AFTERWARDS_BYTES:
                return
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(handle, 0, SIZE_BYTES)
            finally:
                os.close(handle)
            self._kept = True
        except OSError:
            self._give_up()

    def spend(self, error: sqlite3.Error) -> bool:
        """Give the room up where `error` may come of a full disk; whether there was any."""
        code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
        if not self._kept or code not in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN):
            return False
        return self._give_up()

    def _give_up(self) -> bool:
        self._kept = False
        try:
            self._path.unlink()
        except OSError:
            return False
        return True
