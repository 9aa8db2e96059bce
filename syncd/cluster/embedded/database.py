"""Opening the store's file, and what SQLite's errors mean.

In: a folder. Out: connections with the settings that the promises of the store rest on. Called by `store`, `writer`.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Final

from syncd.base.errors import ConfigError, Defect, NotFound, Refused, SyncdError, Unreachable, Unsupported
from syncd.cluster.embedded import lock, schema

FILE: Final = "syncd.db"
BUSY_SECONDS: Final = 5.0

_CACHE_KIB: Final = 4096
_WAL_LIMIT_BYTES: Final = 64 << 20

_MEANING: Final[dict[int, tuple[type[SyncdError], str]]] = {
    sqlite3.SQLITE_FULL: (Unreachable, "disk full: {path} cannot grow; free some space, nothing saved is lost"),
    sqlite3.SQLITE_IOERR: (Unreachable, "disk error at {path}: {error}; see whether the disk is full or failing"),
    sqlite3.SQLITE_BUSY: (Unreachable, "{path} is locked by another process; retry, or stop it"),
    sqlite3.SQLITE_LOCKED: (Unreachable, "{path} is locked by another process; retry, or stop it"),
    sqlite3.SQLITE_CORRUPT: (Unreachable, "{path} is damaged ({error}); stop syncd and restore a backup"),
    sqlite3.SQLITE_NOTADB: (ConfigError, "{path} is not a database; restore a backup or name another state directory"),
    sqlite3.SQLITE_READONLY: (Refused, "{path} cannot be written to; check its owner, its mode and the file system"),
    sqlite3.SQLITE_PERM: (Refused, "{path} cannot be opened; check its owner and its mode"),
    sqlite3.SQLITE_CANTOPEN: (Refused, "{path} cannot be opened; check its owner and its mode"),
    sqlite3.SQLITE_TOOBIG: (Unreachable, "a row for {path} is too large for the database"),
}
"""Primary result code → what the caller does next. Anything else is our bug."""


def meaning(error: sqlite3.Error, path: Path) -> SyncdError:
    """The error of our tree for one of SQLite's; Defect where it can only be a bug of ours."""
    code = getattr(error, "sqlite_errorcode", None)
    kind, text = _MEANING.get((code or 0) & 0xFF, (None, ""))
    return Defect(f"{path}: {error}") if kind is None else kind(text.format(path=path, error=error))


def prepare(directory: Path, *, readonly: bool) -> Path:
    """Make folder and file where they are missing (0700, 0600), bring the file to today's schema; answers its path.

    Raises ConfigError, Unsupported, Refused, Unreachable; for readonly NotFound where there is no store yet.
    """
    path = directory / FILE
    if readonly:
        if not path.is_file():
            raise NotFound(f"no store in {directory}; start syncd there first, or name another state directory")
    else:
        _make(directory, path)
    try:
        connection = connect(path, readonly=readonly)
        try:
            version = schema.version_of(connection, str(path))
            if version == schema.LATEST:
                return path
            if readonly:
                raise Unsupported(
                    f"{path} has the format {version} of an older syncd; start the daemon once to upgrade it"
                )
            with lock.held(directory):
                schema.migrate(connection, str(path))
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise meaning(error, path) from error
    return path


def connect(path: Path, *, readonly: bool) -> sqlite3.Connection:
    """A connection in autocommit mode: whoever uses it says BEGIN. May be closed by another thread than the user's.

    readonly: by query_only rather than mode=ro, which cannot open a WAL file that nobody else has open.
    """
    connection = sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    try:
        if readonly:
            connection.execute("PRAGMA query_only = ON")
        else:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # heeded only while the file is empty
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")  # durable when a write returns, also over a power cut
            connection.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT_BYTES}")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    except BaseException:
        connection.close()
        raise
    return connection


def _make(directory: Path, path: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except PermissionError as error:
        raise Refused(f"state directory {directory} cannot be written to; check its owner and its mode") from error
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise ConfigError(f"state directory {directory} is not a folder; name another") from error
    except OSError as error:
        raise Unreachable(f"state directory {directory} cannot be made: {error.strerror}") from error
