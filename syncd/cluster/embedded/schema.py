"""The tables of the store's file, and how an older file becomes one of today.

In: a connection. Out: the same file at version `LATEST`, or an error that says what to do. Called by `database`.
A migration is never edited once released; a new one is appended. The file's version is SQLite's user_version, and
application_id tells our file from any other.

    objects   one row per live object; head = metadata without what has a column of its own, as JSON
    bodies    spec, data and the rest of an object: apart, so that a status change does not rewrite them
    labels    objects by label, in the order of a list
    nodes     status.nodes of Workflows, a row each; journal and runs belong to Workflows as well (run = objects.id)
"""

from __future__ import annotations

import sqlite3
from typing import Final

from syncd.base.errors import ConfigError, Unsupported

APPLICATION_ID: Final = 0x73796E64  # "synd"

_FIRST: Final = """
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO meta VALUES ('version', 1);

CREATE TABLE objects (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used again: rows of a run cannot fall to another
    kind TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    uid TEXT NOT NULL UNIQUE,
    version INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    created TEXT NOT NULL,
    finished TEXT,                         -- Workflows: status.finishedAt, to the microsecond, UTC
    seq INTEGER DEFAULT 0,                 -- Workflows: last journal entry; NULL = trimmed
    head BLOB NOT NULL,
    status BLOB,                           -- without nodes
    UNIQUE (kind, namespace, name)
);
CREATE INDEX objects_unfinished ON objects (created, namespace, name) WHERE kind = 'Workflow' AND finished IS NULL;
CREATE INDEX objects_finished ON objects (finished, namespace, name) WHERE kind = 'Workflow' AND finished IS NOT NULL;

CREATE TABLE bodies (
    id INTEGER PRIMARY KEY,
    body BLOB NOT NULL,
    owned BLOB                             -- what the last apply set in the metadata
);

CREATE TABLE labels (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (kind, key, value, namespace, name)
) WITHOUT ROWID;

CREATE TABLE nodes (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    node_id TEXT NOT NULL,
    body BLOB NOT NULL,
    UNIQUE (run, node_id)
);

CREATE TABLE journal (
    run INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    now TEXT NOT NULL,
    observations BLOB NOT NULL,
    PRIMARY KEY (run, seq)
) WITHOUT ROWID;

CREATE TABLE runs (
    run INTEGER PRIMARY KEY,
    spec BLOB NOT NULL
);

CREATE TABLE ledger (
    cron_uid TEXT NOT NULL,
    slot TEXT NOT NULL,
    kind TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    outcome TEXT NOT NULL,
    reason TEXT NOT NULL,
    decided_at TEXT NOT NULL,
    until TEXT NOT NULL,
    count INTEGER NOT NULL,
    schedule TEXT NOT NULL,
    run TEXT NOT NULL,
    message TEXT NOT NULL,
    revision TEXT NOT NULL,
    PRIMARY KEY (cron_uid, slot)
) WITHOUT ROWID;
CREATE INDEX ledger_by_cron ON ledger (kind, namespace, name, slot);
CREATE INDEX ledger_pending ON ledger (slot) WHERE outcome = 'pending';

CREATE TABLE inventory (
    source TEXT PRIMARY KEY,
    record BLOB NOT NULL
);

CREATE TABLE quarantine (                  -- rows that could not be read, as they were found
    id INTEGER PRIMARY KEY,
    found_at TEXT NOT NULL,
    origin TEXT NOT NULL,
    name TEXT NOT NULL,
    reason TEXT NOT NULL,
    content BLOB
);
"""

MIGRATIONS: Final[tuple[str, ...]] = (_FIRST,)
LATEST: Final = len(MIGRATIONS)


def version_of(connection: sqlite3.Connection, path: str) -> int:
    """The version of the file, 0 = empty. Raises ConfigError (not our file), Unsupported (of a newer syncd)."""
    application: int = connection.execute("PRAGMA application_id").fetchone()[0]
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != APPLICATION_ID and (
        application or version or connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    ):
        raise ConfigError(f"{path} is a database, but not one of syncd; name another state directory")
    if version > LATEST:
        raise Unsupported(
            f"{path} was written by a newer syncd (format {version}, this one reads up to {LATEST}); "
            "use that syncd, or restore a backup made before the upgrade"
        )
    return version


def migrate(connection: sqlite3.Connection, path: str) -> None:
    """Bring the file to `LATEST` in one transaction; another process that does the same at the same time is waited for."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for migration in MIGRATIONS[version_of(connection, path) :]:
            for statement in _statements(migration):
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {LATEST}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _statements(script: str) -> list[str]:
    """One by one, because executescript would commit the transaction."""
    statements, pending = [], ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            statements.append(pending)
            pending = ""
    assert not pending.strip(), "a migration ends with a semicolon"
    return statements
