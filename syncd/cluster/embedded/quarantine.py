"""Rows that cannot be read are set aside, so that one of them does not stop all the others.

(dagu #2375: one record damaged by a power cut kept every schedule from running.)
In: what a reader could not read. Out: the row in table `quarantine`, the name free again, a warning in the log.
Called by `objects` within a write, by `store` after a read. The rows of a run (nodes, journal) stay where they are.
"""

from __future__ import annotations

import logging
from datetime import datetime

import orjson

from syncd.base.clock import rfc3339_micro
from syncd.cluster import feed
from syncd.cluster.embedded import rows
from syncd.cluster.embedded.writer import Transaction

log = logging.getLogger(__name__)


def take_object(transaction: Transaction, unreadable: rows.Unreadable, now: datetime) -> None:
    """Set an object aside, unless it was written anew or set aside by another in the meantime."""
    found = transaction.execute(
        f"SELECT {rows.COLUMNS} FROM objects o JOIN bodies b USING (id) WHERE o.id = ?",  # noqa: S608 - literal
        (unreadable.row,),
    ).fetchone()
    if found is None:
        return
    stored = rows.Stored(*found)
    try:
        rows.body_of(stored)
    except rows.Unreadable:
        content = orjson.dumps([_text(part) for part in (stored.head, stored.status, stored.body)])
        _put(transaction, "objects", unreadable, now, content)
        transaction.version += 1
        for table, column in (("objects", "id"), ("bodies", "id")):
            transaction.execute(f"DELETE FROM {table} WHERE {column} = ?", (stored.id,))  # noqa: S608 - literal names
        transaction.execute(
            "DELETE FROM labels WHERE kind = ? AND namespace = ? AND name = ?",
            (stored.kind, stored.namespace, stored.name),
        )
        transaction.shared.drop(stored.id)
        dead = rows.tombstone(stored)
        transaction.changes.append(feed.Change(transaction.version, feed.DELETED, stored.key, dead, 300))


def take_node(transaction: Transaction, unreadable: rows.Unreadable, now: datetime) -> None:
    """Set one row of status.nodes aside. unreadable.row: nodes.id."""
    found = transaction.execute("SELECT body FROM nodes WHERE id = ?", (unreadable.row,)).fetchone()
    if found is not None:
        _put(transaction, "nodes", unreadable, now, _text(found[0]).encode())
        transaction.execute("DELETE FROM nodes WHERE id = ?", (unreadable.row,))


def _put(transaction: Transaction, origin: str, unreadable: rows.Unreadable, now: datetime, content: bytes) -> None:
    log.warning("%s could not be read and is set aside in table quarantine: %s", unreadable.key, unreadable.reason)
    transaction.execute(
        "INSERT INTO quarantine (found_at, origin, name, reason, content) VALUES (?, ?, ?, ?, ?)",
        (rfc3339_micro(now), origin, unreadable.key, unreadable.reason, content),
    )


def _text(part: bytes | str | None) -> str:
    return part.decode(errors="replace") if isinstance(part, bytes) else str(part)
