"""Reading objects: one, a page, the ended runs. What a selector becomes in SQL.

In: a reader's connection, inside a read transaction. Out: rows still as rows, with the store's version at that moment.
Called by `store`. A list walks an index in the order of its answer and stops at its limit, so that the first page
of 100,000 runs costs as much as that of a hundred.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import orjson

from syncd.argo import labels
from syncd.argo.manifest import Body, Key
from syncd.argo.selectors import Selector
from syncd.base.clock import parse_rfc3339, rfc3339_micro
from syncd.cluster import archive, paging
from syncd.cluster.api import FinishedRun, Page
from syncd.cluster.embedded import rows
from syncd.cluster.embedded.rows import Stored, Unreadable

FEW: Final = 2000
"""Up to so many objects with a label, starting from the label is always the better way."""

UNFINISHED: Final = """
    SELECT namespace, name FROM objects INDEXED BY objects_unfinished
    WHERE kind = 'Workflow' AND finished IS NULL ORDER BY created, namespace, name"""

Conditions = tuple[list[str], list[Any]]


def version(connection: sqlite3.Connection) -> int:
    """Of the store, in this read transaction."""
    found: int = connection.execute("SELECT value FROM meta WHERE key = 'version'").fetchone()[0]
    return found


def one(connection: sqlite3.Connection, key: Key) -> Stored | None:
    """The row of an object; None where there is none."""
    found = connection.execute(
        f"SELECT {rows.COLUMNS} FROM objects o JOIN bodies b USING (id)"  # noqa: S608 - literal columns
        " WHERE o.kind = ? AND o.namespace = ? AND o.name = ?",
        (key.kind, key.namespace, key.name),
    ).fetchone()
    return None if found is None else Stored(*found)


def page(
    connection: sqlite3.Connection,
    kind: str,
    namespace: str | None,
    selector: Selector | None,
    limit: int | None,
    after: tuple[str, str] | None,
    damaged: list[Unreadable],
) -> Page:
    """As `Objects.list`; rows that cannot be read are left out and added to `damaged`."""
    statement, parameters = _statement(connection, kind, namespace, selector, after)
    now = version(connection)
    items: list[Body] = []
    for found in connection.execute(statement, parameters):
        stored = Stored(*found)
        try:
            if selector is not None and not selector.matches(rows.labels_in(stored)):
                continue
            body = rows.body_of(stored)
        except Unreadable as unreadable:
            damaged.append(unreadable)
            continue
        if limit is not None and len(items) >= max(limit, 1):
            return Page(items, paging.encode(items[-1]), str(now))
        items.append(body)
    return Page(items, "", str(now))


def nodes(connection: sqlite3.Connection, row: int, damaged: list[Unreadable]) -> dict[str, Body]:
    """status.nodes in the order in which they were first written."""
    found: dict[str, Body] = {}
    for node_row, node_id, text in connection.execute(
        "SELECT id, node_id, body FROM nodes WHERE run = ? ORDER BY id", (row,)
    ):
        try:
            found[node_id] = orjson.loads(text)
        except ValueError as error:
            damaged.append(Unreadable(node_row, f"node {node_id}", str(error)))
    return found


def row_of_run(connection: sqlite3.Connection, run_uid: str) -> int | None:
    """objects.id of a Workflow by its uid."""
    found = connection.execute("SELECT id FROM objects WHERE uid = ? AND kind = 'Workflow'", (run_uid,)).fetchone()
    return None if found is None else found[0]


def unfinished(connection: sqlite3.Connection) -> list[Key]:
    """As `Journal.unfinished`."""
    return [Key(labels.WORKFLOW, namespace, name) for namespace, name in connection.execute(UNFINISHED)]


def finished_runs(
    connection: sqlite3.Connection,
    before: datetime | None,
    beyond: int,
    namespace: str | None,
    selector: Selector | None,
    limit: int,
) -> list[FinishedRun]:
    """As `Archive.finished_runs`."""
    label = _rarest(connection, labels.WORKFLOW, selector)
    lead = None if label is None or label[0] >= FEW else label[1:]  # few enough to be sorted
    clauses: list[str] = []
    values: list[Any] = []
    if beyond > 0:
        statement, parameters = _ended(lead, namespace, selector, True, [], [])
        oldest_kept = _nth(connection, statement, parameters, selector, beyond)
        if oldest_kept is None:
            return []
        clauses, values = ["(o.finished, o.namespace, o.name) < (?, ?, ?)"], [*oldest_kept]
    if before is not None:
        clauses, values = [*clauses, "o.finished < ?"], [*values, rfc3339_micro(before)]
    found: list[FinishedRun] = []
    if limit <= 0:
        return found
    statement, parameters = _ended(lead, namespace, selector, False, clauses, values)
    for finished, space, name, head, row, uid, status in connection.execute(statement, parameters):
        if selector is not None and not selector.matches(_labels(head)):
            continue
        key = Key(labels.WORKFLOW, space, name)
        size = _size(connection, row) + len(head) + len(status or b"")
        found.append(FinishedRun(key, uid, parse_rfc3339(finished), _phase(status), size))
        if len(found) >= limit:
            break
    return found


def _ended(
    label: tuple[str, list[str]] | None,
    namespace: str | None,
    selector: Selector | None,
    newest_first: bool,
    more: list[str],
    values: list[Any],
) -> tuple[str, list[Any]]:
    """A SELECT of ended runs in order of their end. label: to start from, None = from the index of ended runs."""
    clauses, parameters = _conditions(labels.WORKFLOW, namespace, selector)
    source = "objects o INDEXED BY objects_finished"
    if label is not None:
        source = "labels l CROSS JOIN objects o ON o.kind = l.kind AND o.namespace = l.namespace AND o.name = l.name"
        marks = ", ".join("?" * len(label[1]))
        clauses = ["l.kind = 'Workflow'", "l.key = ?", f"l.value IN ({marks})", *clauses]
        parameters = [label[0], *label[1], *parameters]
    where = " AND ".join(["o.kind = 'Workflow'", "o.finished IS NOT NULL", *clauses, *more])
    way = "DESC" if newest_first else "ASC"
    statement = (
        "SELECT o.finished, o.namespace, o.name, o.head, o.id, o.uid, o.status"  # noqa: S608 - literals
        f" FROM {source} WHERE {where} ORDER BY o.finished {way}, o.namespace {way}, o.name {way}"
    )
    return statement, [*parameters, *values]


def _nth(
    connection: sqlite3.Connection,
    statement: str,
    parameters: list[Any],
    selector: Selector | None,
    count: int,
) -> tuple[str, str, str] | None:
    """(finished, namespace, name) of the `count`-th row that the selector picks; None where there are fewer."""
    for finished, namespace, name, head, *_ in connection.execute(statement, parameters):
        count -= selector is None or selector.matches(_labels(head))
        if count == 0:
            return finished, namespace, name
    return None


def _statement(
    connection: sqlite3.Connection,
    kind: str,
    namespace: str | None,
    selector: Selector | None,
    after: tuple[str, str] | None,
) -> tuple[str, list[Any]]:
    """A SELECT in order of (namespace, name): from the rarest label where the selector names one, else from the objects."""
    clauses, parameters = _conditions(kind, namespace, selector)
    label = _rarest(connection, kind, selector)
    if label is None:
        source, lead = "objects o JOIN bodies b USING (id)", "o"
        clauses, parameters = ["o.kind = ?", *clauses], [kind, *parameters]
    else:
        source = (
            "labels l CROSS JOIN objects o ON o.kind = l.kind AND o.namespace = l.namespace AND o.name = l.name"
            " JOIN bodies b USING (id)"
        )
        lead = "l"
        _, name, values = label
        marks = ", ".join("?" * len(values))
        clauses = ["l.kind = ?", "l.key = ?", f"l.value IN ({marks})", *clauses]
        parameters = [kind, name, *values, *parameters]
        if namespace is not None:
            clauses.append("l.namespace = ?")
            parameters.append(namespace)
    order = f"{lead}.namespace, {lead}.name"
    if namespace is not None:  # constant, and SQLite walks the index only where it need not be told so
        order = f"{lead}.name"
        after = None if after is None or after[0] < namespace else after
    if after is not None and namespace is not None:
        clauses.append(f"{lead}.name > ?" if after[0] == namespace else "? IS NULL")
        parameters.append(after[1])
    elif after is not None:
        clauses.append(f"({lead}.namespace, {lead}.name) > (?, ?)")
        parameters.extend(after)
    where = " AND ".join(clauses)
    return (
        f"SELECT {rows.COLUMNS} FROM {source} WHERE {where} ORDER BY {order}",  # noqa: S608 - literals
        parameters,
    )


def _conditions(kind: str, namespace: str | None, selector: Selector | None) -> Conditions:
    """What SQL can tell of the selector (`in`, `notin`); the rest is for `Selector.matches`, which has the last word."""
    clauses: list[str] = []
    parameters: list[Any] = []
    if namespace is not None:
        clauses.append("o.namespace = ?")
        parameters.append(namespace)
    for requirement in selector.requirements if selector is not None else ():
        if requirement.operator in ("in", "notin"):
            marks = ", ".join("?" * len(requirement.values))
            negation = "NOT " if requirement.operator == "notin" else ""
            clauses.append(
                f"{negation}EXISTS (SELECT 1 FROM labels x WHERE x.kind = ? AND x.key = ? AND x.value IN ({marks})"  # noqa: S608
                " AND x.namespace = o.namespace AND x.name = o.name)"
            )
            parameters += [kind, requirement.key, *sorted(requirement.values)]
    return clauses, parameters


def _rarest(connection: sqlite3.Connection, kind: str, selector: Selector | None) -> tuple[int, str, list[str]] | None:
    """The label to start from, and about how many have it: of the `in` requirements the one that fewest objects meet; None: start from the objects.

    A requirement with several values would have to be sorted, so it qualifies only where it picks few.
    """
    best: tuple[int, str, list[str]] | None = None
    for requirement in selector.requirements if selector is not None else ():
        if requirement.operator != "in":
            continue
        values = sorted(requirement.values)
        marks = ", ".join("?" * len(values))
        count: int = connection.execute(
            f"SELECT count(*) FROM (SELECT 1 FROM labels WHERE kind = ? AND key = ? AND value IN ({marks}) LIMIT ?)",  # noqa: S608
            (kind, requirement.key, *values, FEW),
        ).fetchone()[0]
        if (count < FEW or len(values) == 1) and (best is None or count < best[0]):
            best = count, requirement.key, values
    return best


def _size(connection: sqlite3.Connection, row: int) -> int:
    """Bytes in the rows that hang on an object."""
    found: int = connection.execute(
        "SELECT (SELECT coalesce(sum(length(body)), 0) FROM nodes WHERE run = :row)"
        " + (SELECT coalesce(sum(length(observations)), 0) FROM journal WHERE run = :row)"
        " + (SELECT coalesce(sum(length(spec)), 0) FROM runs WHERE run = :row)"
        " + (SELECT coalesce(sum(length(body)), 0) FROM bodies WHERE id = :row)",
        {"row": row},
    ).fetchone()[0]
    return found


def _labels(head: bytes) -> dict[str, str]:
    try:
        return rows.labels_of({"metadata": orjson.loads(head)})
    except (ValueError, AttributeError):
        return {}  # damaged: whoever reads the object sets it aside


def _phase(status: bytes | None) -> str:
    try:
        return archive.phase(orjson.loads(status)) if status else ""
    except ValueError:
        return ""


def journal(connection: sqlite3.Connection, run_uid: str, after: int, limit: int) -> Iterator[tuple[int, str, bytes]]:
    """(seq, now, observations) of the entries behind `after`."""
    yield from connection.execute(
        "SELECT j.seq, j.now, j.observations FROM journal j JOIN objects o ON o.id = j.run"
        " WHERE o.uid = ? AND o.kind = 'Workflow' AND j.seq > ? ORDER BY j.seq LIMIT ?",
        (run_uid, after, limit),
    )
