"""Runs: journal entries, node rows and the status of a Workflow, saved together.

In: a transaction of the writer, and entries. Out: rows, and one change per entry for the feed. Called by `store`.
The cost is that of the entry: neither the other nodes nor the spec of the workflow are read or written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from syncd.argo import labels
from syncd.argo.manifest import Key
from syncd.base.clock import rfc3339_micro
from syncd.base.errors import Defect, NotFound
from syncd.cluster import archive, feed
from syncd.cluster.api import Entry
from syncd.cluster.embedded import objects
from syncd.cluster.embedded.rows import Stored
from syncd.cluster.embedded.writer import Transaction

_RUN = """SELECT id, namespace, name, generation, created, finished, seq, head, status
          FROM objects WHERE uid = ? AND kind = 'Workflow'"""


def save(transaction: Transaction, entries: Sequence[Entry]) -> None:
    """As `Journal.save`: the caller's savepoint makes it all or none."""
    for entry in entries:
        _save_one(transaction, entry)


def _save_one(transaction: Transaction, entry: Entry) -> None:
    found = transaction.execute(_RUN, (entry.run_uid,)).fetchone()
    if found is None:
        raise NotFound(f"run {entry.run_uid} not found: its Workflow was deleted")
    row, namespace, name, generation, created, finished, last, head, status = found
    key = Key(labels.WORKFLOW, namespace, name)
    archive.check_seq(key, last, entry.seq)
    transaction.execute(
        "INSERT INTO journal (run, seq, now, observations) VALUES (?, ?, ?, ?)",
        (row, entry.seq, rfc3339_micro(entry.now), _json(key, list(entry.observations))),
    )
    for node_id, node in entry.nodes.items():
        objects.put_node(transaction, row, node_id, _json(key, node))
    if entry.spec is not None:
        transaction.execute(
            "INSERT INTO runs (run, spec) VALUES (?, ?) ON CONFLICT (run) DO UPDATE SET spec = excluded.spec",
            (row, _json(key, entry.spec)),
        )
    changed = bool(entry.nodes)
    if entry.status is not None:
        given = {name: value for name, value in entry.status.items() if name != "nodes"}
        text = _json(key, given)
        if text != status:
            status, finished, changed = text, objects.finished_text(labels.WORKFLOW, given), True
    if entry.labels:
        metadata = orjson.loads(head)
        before = metadata.get("labels") or {}
        after = {**before, **entry.labels}
        if after != before:
            head, changed = _json(key, {**metadata, "labels": after}), True
            objects.relabel(transaction, key, before, after)
    if not changed:
        transaction.execute("UPDATE objects SET seq = ? WHERE id = ?", (entry.seq, row))
        return
    transaction.version += 1
    transaction.execute(
        "UPDATE objects SET version = ?, seq = ?, finished = ?, head = ?, status = ? WHERE id = ?",
        (transaction.version, entry.seq, finished, head, status, row),
    )
    stored = Stored(
        row,
        labels.WORKFLOW,
        namespace,
        name,
        entry.run_uid,
        transaction.version,
        generation,
        created,
        head,
        status,
        _body(transaction, row),
    )
    objects.note(transaction, feed.MODIFIED, stored, shared=True)


def _body(transaction: Transaction, row: int) -> bytes:
    """The bytes of spec and the like, shared by all events of a run."""
    body = transaction.shared.get(row)
    if body is None:
        body = transaction.execute("SELECT body FROM bodies WHERE id = ?", (row,)).fetchone()[0]
        transaction.shared.put(row, body)
    return body


def trim(transaction: Transaction, run_uids: Sequence[str]) -> None:
    """As `Journal.trim`."""
    for uid in run_uids:
        found = transaction.execute(
            "UPDATE objects SET seq = NULL WHERE uid = ? AND kind = 'Workflow' AND finished IS NOT NULL RETURNING id",
            (uid,),
        ).fetchone()
        if found is not None:
            transaction.execute("DELETE FROM journal WHERE run = ?", found)


def _json(run: Key, value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise Defect(f"{run}: a journal entry is not JSON: {error}") from error
