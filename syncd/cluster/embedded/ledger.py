"""The rows of `cron.ledger` as rows of a table.

In: a transaction of the writer, or a reader's connection. Out: `Row` values. Called by `store`.
A row of the table that names an outcome or a reason unknown to this version is left out, and said in the log.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from syncd.argo.manifest import Key
from syncd.base.clock import parse_rfc3339, rfc3339_micro
from syncd.cluster.embedded.writer import Transaction
from syncd.cron.ledger import Outcome, Reason, Row

log = logging.getLogger(__name__)

_COLUMNS: Final = (
    "cron_uid, slot, kind, namespace, name, outcome, reason, decided_at, until, count, schedule, run, message, revision"
)
_RECORD: Final = f"""
    INSERT INTO ledger ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (cron_uid, slot) DO UPDATE SET
        kind = excluded.kind, namespace = excluded.namespace, name = excluded.name, outcome = excluded.outcome,
        reason = excluded.reason, decided_at = excluded.decided_at, until = excluded.until, count = excluded.count,
        schedule = excluded.schedule, run = excluded.run, message = excluded.message, revision = excluded.revision
    WHERE ledger.outcome = 'pending' OR excluded.outcome <> 'pending'"""  # noqa: S608 - literal columns

OF_CRON: Final = f"""
    SELECT {_COLUMNS} FROM ledger WHERE kind = ? AND namespace = ? AND name = ? AND slot >= ?
    ORDER BY slot DESC, cron_uid DESC LIMIT ?"""  # noqa: S608 - literal columns
PENDING: Final = f"SELECT {_COLUMNS} FROM ledger WHERE outcome = 'pending' ORDER BY slot, cron_uid"  # noqa: S608

# From one cron to the next by the primary key, instead of over all rows
_UIDS: Final = """
    WITH RECURSIVE crons (uid) AS (
        SELECT min(cron_uid) FROM ledger
        UNION ALL
        SELECT (SELECT min(cron_uid) FROM ledger WHERE cron_uid > uid) FROM crons WHERE uid IS NOT NULL)"""


def record(transaction: Transaction, rows: Sequence[Row]) -> None:
    """As `Ledger.record`."""
    transaction.connection.executemany(_RECORD, [_values(row) for row in rows])


def of_cron(connection: sqlite3.Connection, cron: Key, since: datetime | None, limit: int) -> list[Row]:
    """As `Ledger.rows`."""
    return _rows(
        connection.execute(
            OF_CRON,
            (cron.kind, cron.namespace, cron.name, "" if since is None else rfc3339_micro(since), max(limit, 0)),
        )
    )


def recent(connection: sqlite3.Connection, since: datetime, namespace: str | None, limit: int) -> list[Row]:
    """As `Ledger.recent`."""
    found = connection.execute(
        f"SELECT {_COLUMNS} FROM ledger"  # noqa: S608 - literal columns
        " WHERE until >= ?1 AND (?2 IS NULL OR namespace = ?2) ORDER BY slot DESC, cron_uid DESC LIMIT ?3",
        (rfc3339_micro(since), namespace, max(limit, 0)),
    )
    return _rows(found)


def latest(connection: sqlite3.Connection) -> dict[str, Row]:
    """As `Ledger.latest`."""
    found = connection.execute(
        f"{_UIDS} SELECT {_COLUMNS} FROM crons JOIN ledger ON cron_uid = uid"  # noqa: S608 - literal columns
        " AND slot = (SELECT max(slot) FROM ledger WHERE cron_uid = uid)"
    )
    return {row.cron_uid: row for row in _rows(found)}


def pending(connection: sqlite3.Connection) -> list[Row]:
    """As `Ledger.pending`."""
    return _rows(connection.execute(PENDING))


def prune(transaction: Transaction, before: datetime, keep_per_cron: int) -> int:
    """As `Ledger.prune`."""
    dropped = 0
    every = transaction.execute(f"{_UIDS} SELECT uid FROM crons WHERE uid IS NOT NULL").fetchall()  # noqa: S608
    for (uid,) in every:
        dropped += transaction.execute(
            "DELETE FROM ledger WHERE cron_uid = ?1 AND outcome <> 'pending' AND until < ?2 AND slot <="
            " (SELECT slot FROM ledger WHERE cron_uid = ?1 ORDER BY slot DESC LIMIT 1 OFFSET ?3)",
            (uid, rfc3339_micro(before), max(keep_per_cron, 0)),
        ).rowcount
    return dropped


def _values(row: Row) -> tuple[Any, ...]:
    return (
        row.cron_uid,
        rfc3339_micro(row.slot),
        row.cron.kind,
        row.cron.namespace,
        row.cron.name,
        str(row.outcome),
        str(row.reason),
        rfc3339_micro(row.decided_at),
        rfc3339_micro(row.until),
        row.count,
        row.schedule,
        row.run,
        row.message,
        row.revision,
    )


def _rows(found: Iterable[tuple[Any, ...]]) -> list[Row]:
    rows = []
    for uid, slot, kind, namespace, name, outcome, reason, decided_at, until, *rest in found:
        try:
            rows.append(
                Row(
                    Key(kind, namespace, name),
                    uid,
                    parse_rfc3339(slot),
                    Outcome(outcome),
                    Reason(reason),
                    parse_rfc3339(decided_at),
                    parse_rfc3339(until),
                    *rest,
                )
            )
        except (ValueError, TypeError) as error:
            log.warning("ledger row %s of %s/%s/%s is left out: %s", slot, kind, namespace, name, error)
    return rows
