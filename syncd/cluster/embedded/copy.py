"""A consistent copy of the running store.

In: the store's path, a path that is not there yet. Out: one file without companions, mode 0600, or an error and no file.
Called by `store` in a thread of its own. SQLite's backup in one step reads one snapshot, and keeps no writer waiting.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from syncd.base.errors import AlreadyExists, NotFound, Refused, Unreachable
from syncd.cluster.embedded import database


def backup(path: Path, target: Path) -> None:
    """As `Store.backup`. The name is taken first, so that two backups cannot end in one file."""
    try:
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        raise AlreadyExists(f"{target} is there already; name a new file") from None
    except FileNotFoundError:
        raise NotFound(f"{target.parent} is not a folder; make it first") from None
    except PermissionError as error:
        raise Refused(f"{target} cannot be written; check the owner and the mode of its folder") from error
    except OSError as error:
        raise Unreachable(f"{target} cannot be written: {error.strerror}") from error
    partial = target.with_name(target.name + ".partial")
    try:
        try:
            os.close(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
            with (
                closing(database.connect(path, readonly=True)) as source,
                closing(sqlite3.connect(partial, isolation_level=None)) as copy,
            ):
                source.backup(copy, pages=-1)
                copy.execute("PRAGMA journal_mode = DELETE")
            with partial.open("rb+") as file:
                os.fsync(file.fileno())
            partial.replace(target)
        except sqlite3.Error as error:
            raise database.meaning(error, target) from error
        except OSError as error:
            raise Unreachable(f"{target} cannot be written: {error.strerror}") from error
    except BaseException:
        partial.unlink(missing_ok=True)
        target.unlink(missing_ok=True)
        raise
