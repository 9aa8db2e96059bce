"""Objects as rows: what a Write does, in SQL. What it does to a body is in `cluster.verbs`.

In: a transaction of the writer, and Writes. Out: `Written` values, changes for the feed. Called by `store`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from syncd.argo import labels
from syncd.argo.manifest import Body, Key
from syncd.base.clock import Clock, Random, rfc3339_micro
from syncd.base.errors import AlreadyExists, Conflict, NotFound, SyncdError
from syncd.cluster import archive, feed, verbs
from syncd.cluster.api import Verb, Write, Written
from syncd.cluster.embedded import quarantine, rows
from syncd.cluster.embedded.rows import Stored
from syncd.cluster.embedded.writer import Transaction

_ONE = f"""SELECT {rows.COLUMNS}, b.owned FROM objects o JOIN bodies b USING (id)
           WHERE o.kind = ? AND o.namespace = ? AND o.name = ?"""  # noqa: S608 - literal columns


class _Void(Exception):
    def __init__(self, written: list[Written]) -> None:
        super().__init__()
        self.written = written


def write(
    transaction: Transaction, writes: Sequence[Write], *, atomic: bool, clock: Clock, random: Random
) -> list[Written]:
    """As `Objects.write`."""
    if not atomic:
        return _each(transaction, writes, clock, random, stop=False)
    try:
        return transaction.attempt(lambda inner: _each(inner, writes, clock, random, stop=True))
    except _Void as void:
        return void.written


def _each(
    transaction: Transaction, writes: Sequence[Write], clock: Clock, random: Random, *, stop: bool
) -> list[Written]:
    written: list[Written] = []
    for position, one in enumerate(writes):
        try:
            written.append(_one(transaction, one, clock, random))
        except SyncdError as error:
            # Nothing is written before the last check of a single Write, so there is nothing to take back
            written.append(Written(one.key, error=error))
            if stop:
                raise _Void(
                    [
                        Written(other.key, error=error if at == position else Conflict("not tried"))
                        for at, other in enumerate(writes)
                    ]
                ) from error
    return written


def _one(transaction: Transaction, write: Write, clock: Clock, random: Random) -> Written:
    if write.verb in (Verb.CREATE, Verb.DECLARE):
        return _create(transaction, write, clock, random)
    live = _live(transaction, write.key, clock)
    if live is None:
        if write.verb is not Verb.APPLY:
            raise NotFound(f"{write.key} not found")
        if (write.expect, write.uid) != (None, None):
            raise Conflict(f"{write.key} was deleted; read again")
        return _create(transaction, write, clock, random)
    stored, before, owned = live
    verbs.check_expected(write.key, before["metadata"], write.expect, write.uid)
    if write.verb is Verb.DELETE:
        _delete(transaction, stored, before)
        return Written(write.key, before)
    given = verbs.checked(write.key, write.body)
    touched = False
    if write.verb is Verb.PATCH:
        after, nodes = verbs.patched(write.key, before, given)
        touched = _patch_nodes(transaction, stored.id, nodes)
    else:
        after = verbs.applied(write.key, before, given, owned)
        if (owns := verbs.owned_by(given)) != owned:
            transaction.execute("UPDATE bodies SET owned = ? WHERE id = ?", (_owned_text(owns), stored.id))
    revised = verbs.revised(before, after, transaction.version + 1, touched=touched)
    if revised is None:
        return Written(write.key, before)
    _update(transaction, stored, before, revised)
    return Written(write.key, revised)


def _live(transaction: Transaction, key: Key, clock: Clock) -> tuple[Stored, Body, verbs.Owned] | None:
    """The object as it is; None where there is none, or where its row could not be read and is now in quarantine."""
    found = transaction.execute(_ONE, (key.kind, key.namespace, key.name)).fetchone()
    if found is None:
        return None
    stored = Stored(*found[:-1])
    try:
        return stored, rows.body_of(stored), _owned(found[-1])
    except rows.Unreadable as unreadable:
        quarantine.take_object(transaction, unreadable, clock.now())
        return None


def _create(transaction: Transaction, write: Write, clock: Clock, random: Random) -> Written:
    body = verbs.checked(write.key, write.body)
    key = verbs.generated(write.key, body, random.suffix)
    if write.verb is not Verb.APPLY and _live(transaction, key, clock) is not None:
        raise AlreadyExists(f"{key} already exists")
    owned = None
    if write.verb in (Verb.APPLY, Verb.DECLARE):
        body = {name: value for name, value in body.items() if name != "status"}
        owned = _owned_text(verbs.owned_by(body))
    fresh, nodes = verbs.created(key, body, uid=random.uid(), version=transaction.version + 1, now=clock.now())
    transaction.version += 1
    metadata = fresh["metadata"]
    head, rest, status = rows.head_of(fresh), rows.rest_of(fresh), _status_text(fresh)
    row = transaction.execute(
        "INSERT INTO objects (kind, namespace, name, uid, version, generation, created, finished, head, status)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            key.kind,
            key.namespace,
            key.name,
            metadata["uid"],
            transaction.version,
            metadata["generation"],
            metadata["creationTimestamp"],
            finished_text(key.kind, fresh.get("status")),
            head,
            status,
        ),
    ).lastrowid
    assert row is not None
    transaction.execute("INSERT INTO bodies (id, body, owned) VALUES (?, ?, ?)", (row, rest, owned))
    relabel(transaction, key, {}, rows.labels_of(fresh))
    _patch_nodes(transaction, row, nodes)
    stored = Stored(
        row,
        key.kind,
        key.namespace,
        key.name,
        metadata["uid"],
        transaction.version,
        metadata["generation"],
        metadata["creationTimestamp"],
        head,
        status,
        rest,
    )
    note(transaction, feed.ADDED, stored)
    return Written(key, fresh)


def _update(transaction: Transaction, stored: Stored, before: Body, after: Body) -> None:
    """Write what differs; `after` has the new version."""
    transaction.version += 1
    metadata = after["metadata"]
    head, status, rest = rows.head_of(after), _status_text(after), rows.rest_of(after)
    transaction.execute(
        "UPDATE objects SET version = ?, generation = ?, finished = ?, head = ?, status = ? WHERE id = ?",
        (
            transaction.version,
            metadata["generation"],
            finished_text(stored.kind, after.get("status")),
            head,
            status,
            stored.id,
        ),
    )
    if rest != stored.body:
        transaction.execute("UPDATE bodies SET body = ? WHERE id = ?", (rest, stored.id))
        transaction.shared.drop(stored.id)
    relabel(transaction, stored.key, rows.labels_of(before), rows.labels_of(after))
    now = Stored(
        stored.id,
        stored.kind,
        stored.namespace,
        stored.name,
        stored.uid,
        transaction.version,
        metadata["generation"],
        stored.created,
        head,
        status,
        rest,
    )
    note(transaction, feed.MODIFIED, now)


def _delete(transaction: Transaction, stored: Stored, before: Body) -> None:
    """The object and all that hangs on it."""
    transaction.version += 1
    relabel(transaction, stored.key, rows.labels_of(before), {})
    _drop(transaction, stored)
    transaction.execute("DELETE FROM nodes WHERE run = ?", (stored.id,))
    transaction.execute("DELETE FROM journal WHERE run = ?", (stored.id,))
    transaction.execute("DELETE FROM runs WHERE run = ?", (stored.id,))
    note(transaction, feed.DELETED, stored)


def _drop(transaction: Transaction, stored: Stored) -> None:
    """The object's own two rows."""
    transaction.execute("DELETE FROM objects WHERE id = ?", (stored.id,))
    transaction.execute("DELETE FROM bodies WHERE id = ?", (stored.id,))
    transaction.shared.drop(stored.id)


def note(transaction: Transaction, kind: str, stored: Stored, *, shared: bool = False) -> None:
    """Tell the feed, once the transaction is durable. shared: the body's bytes are kept elsewhere as well."""
    size = len(stored.head) + len(stored.status or b"") + (0 if shared else len(stored.body)) + 200
    transaction.changes.append(feed.Change(transaction.version, kind, stored.key, stored, size))


def relabel(transaction: Transaction, key: Key, before: dict[str, str], after: dict[str, str]) -> None:
    """Keep the index of labels true."""
    if before == after:
        return
    gone = [(key.kind, *item, key.namespace, key.name) for item in before.items() - after.items()]
    fresh = [(key.kind, *item, key.namespace, key.name) for item in after.items() - before.items()]
    transaction.connection.executemany(
        "DELETE FROM labels WHERE kind = ? AND key = ? AND value = ? AND namespace = ? AND name = ?", gone
    )
    transaction.connection.executemany("INSERT OR REPLACE INTO labels VALUES (?, ?, ?, ?, ?)", fresh)


def finished_text(kind: str, status: Any) -> str | None:
    """The column `finished`: when a Workflow ended; None while it has not, and for other kinds."""
    moment = archive.finished_at(status) if kind == labels.WORKFLOW else None
    return None if moment is None else rfc3339_micro(moment)


def _patch_nodes(transaction: Transaction, row: int, change: verbs.Nodes) -> bool:
    """Answers whether any node is different now."""
    touched = False
    if change.drop:
        touched = transaction.execute("DELETE FROM nodes WHERE run = ?", (row,)).rowcount > 0
    for node_id, patch in (change.patch or {}).items():
        if patch is None:
            gone = transaction.execute("DELETE FROM nodes WHERE run = ? AND node_id = ?", (row, node_id))
            touched |= gone.rowcount > 0
            continue
        found = transaction.execute("SELECT body FROM nodes WHERE run = ? AND node_id = ?", (row, node_id)).fetchone()
        try:
            before = orjson.loads(found[0]) if found else None
        except ValueError:
            before = None  # damaged: the patch is all that is known of it now
        after = verbs.merge_patch(before, patch)
        if after != before:
            touched = True
            put_node(transaction, row, node_id, orjson.dumps(after))
    return touched


def put_node(transaction: Transaction, row: int, node_id: str, node: bytes) -> None:
    """Write or replace one row of status.nodes."""
    transaction.execute(
        "INSERT INTO nodes (run, node_id, body) VALUES (?, ?, ?)"
        " ON CONFLICT (run, node_id) DO UPDATE SET body = excluded.body",
        (row, node_id, node),
    )


def _status_text(body: Body) -> bytes | None:
    return orjson.dumps(body["status"]) if "status" in body else None


def _owned_text(owned: verbs.Owned) -> bytes:
    return orjson.dumps([sorted(owned.labels), sorted(owned.annotations)])


def _owned(text: bytes | None) -> verbs.Owned:
    """Of a damaged record nothing is known, hence nothing is removed because of it."""
    try:
        of_labels, of_annotations = orjson.loads(text) if text else ((), ())
        return verbs.Owned(frozenset(of_labels), frozenset(of_annotations))
    except (ValueError, TypeError):
        return verbs.Owned()
