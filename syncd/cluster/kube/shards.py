"""The ledger as text: the rows of many crons in a few documents of bounded size. Pure; `ledger` reads and writes them.

    document  {UID: LINES}                          the data of one ConfigMap: an entry per cron
    LINES     [kind, namespace, name, uid]          first line
              [slot, until, count, outcome, reason, decided, schedule, run, message, revision]     oldest first

Moments are Unix seconds (microseconds as a fraction). What is written is proportional to the crons that changed; what is kept
is bounded: `ROWS` a cron, and `BYTES` a document, beyond which the oldest closed rows of the longest histories go first. The
newest row of a cron and the pending ones always stay: `cron.due` continues from them.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from syncd.argo.manifest import Key
from syncd.base import ids
from syncd.cron.ledger import Outcome, Reason, Row

SHARDS: Final = 32
ROWS: Final = 20
"""Rows that a cron keeps, the newest."""
BYTES: Final = 700_000
"""Of a document: Kubernetes takes 1 MiB."""
_MESSAGE: Final = 300

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def shard_of(cron: Key) -> int:
    """The number of the document that holds a cron's rows."""
    return ids.fnv32a(str(cron)) % SHARDS


@dataclass(slots=True)
class Shard:
    """One document in memory. rows: by cron uid, in order of slots; sizes: bytes of each entry as it was last written, those
    that cannot be read among them."""

    rows: dict[str, list[Row]] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)

    def at(self, uid: str, slot: datetime) -> Row | None:
        """The row of a slot."""
        rows = self.rows.get(uid, [])
        place = bisect.bisect_left(rows, slot, key=lambda row: row.slot)
        return rows[place] if place < len(rows) and rows[place].slot == slot else None

    def put(self, added: Iterable[Row]) -> dict[str, str | None]:
        """Take rows in (as `kept`), and answer the entries to write: by uid, None = the entry goes.

        A closed row is never replaced by a pending one. No change, no entry.
        """
        touched: dict[str, None] = {}
        for row in added:
            rows = self.rows.setdefault(row.cron_uid, [])
            place = bisect.bisect_left(rows, row.slot, key=lambda one: one.slot)
            if place < len(rows) and rows[place].slot == row.slot:
                known = rows[place]
                if known == row or (row.outcome is Outcome.PENDING and known.outcome is not Outcome.PENDING):
                    continue
                rows[place] = row
            else:
                rows.insert(place, row)
            touched[row.cron_uid] = None
        return self._bounded(touched)

    def prune(self, before: datetime, keep_per_cron: int) -> tuple[int, dict[str, str | None]]:
        """Drop closed rows that ended before `before`, but the newest `keep_per_cron` of each; how many, and what to write."""
        dropped, touched = 0, dict[str, None]()
        for uid, rows in self.rows.items():
            old = rows[: len(rows) - max(keep_per_cron, 0)] if keep_per_cron < len(rows) else []
            gone = {row.slot for row in old if row.outcome is not Outcome.PENDING and row.until < before}
            if gone:
                self.rows[uid] = [row for row in rows if row.slot not in gone]
                dropped += len(gone)
                touched[uid] = None
        return dropped, self._bounded(touched)

    def _bounded(self, touched: Mapping[str, None]) -> dict[str, str | None]:
        written: dict[str, str | None] = {}
        for uid in touched:
            self.rows[uid] = _shortened(self.rows[uid], ROWS)
            self._write(uid, written)
        while sum(self.sizes.values()) > BYTES:
            longest = max(self.rows, key=lambda uid: (_spare(self.rows[uid]), self.sizes.get(uid, 0)), default="")
            if not longest or not _spare(self.rows[longest]):
                if not self._forget_oldest(written):
                    break
                continue
            rows = self.rows[longest]
            most = len(rows) // 2
            while len(shorter := _shortened(rows, most)) == len(rows):
                most //= 2  # the older half is pending
            self.rows[longest] = shorter
            self._write(longest, written)
        return written

    def _forget_oldest(self, written: dict[str, str | None]) -> bool:
        """Nothing but newest and pending rows is left: the cron that was decided longest ago is one that is gone."""
        closed = [uid for uid, rows in self.rows.items() if all(row.outcome is not Outcome.PENDING for row in rows)]
        if not closed:
            return False
        oldest = min(closed, key=lambda uid: self.rows[uid][-1].decided_at)
        self.rows[oldest] = []
        self._write(oldest, written)
        return True

    def _write(self, uid: str, written: dict[str, str | None]) -> None:
        rows = self.rows[uid]
        if not rows:
            del self.rows[uid]
            self.sizes.pop(uid, None)
            written[uid] = None
            return
        text = encode(rows)
        self.sizes[uid] = _bytes(text)
        written[uid] = text


def _spare(rows: list[Row]) -> int:
    """How many rows may go: all but the newest and those that are pending."""
    return sum(row.outcome is not Outcome.PENDING for row in rows[:-1])


def _bytes(text: str) -> int:
    return len(text.encode(errors="replace"))


def _shortened(rows: list[Row], most: int) -> list[Row]:
    """The newest rows, the pending ones among the older kept."""
    if len(rows) <= most:
        return rows
    return [row for row in rows[:-most] if row.outcome is Outcome.PENDING] + rows[-most:]


def shard_from(data: Mapping[str, Any]) -> tuple[Shard, list[str]]:
    """The document that a ConfigMap's data is, and the entries that cannot be read (they stay as they are)."""
    shard, faults = Shard(), []
    for uid, text in data.items():
        shard.sizes[uid] = _bytes(str(text))
        try:
            shard.rows[uid] = decode(text)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError):
            faults.append(uid)
    return shard, faults


def encode(rows: Iterable[Row]) -> str:
    """The entry of one cron; there is at least one row."""
    lines: list[bytes] = []
    for row in rows:
        if not lines:
            lines.append(orjson.dumps([row.cron.kind, row.cron.namespace, row.cron.name, row.cron_uid]))
        lines.append(
            orjson.dumps(
                [
                    _number(row.slot),
                    _number(row.until),
                    row.count,
                    str(row.outcome),
                    str(row.reason),
                    _number(row.decided_at),
                    row.schedule,
                    row.run,
                    row.message,
                    row.revision,
                ]
            )
        )
    return b"\n".join(lines).decode()


def decode(text: str) -> list[Row]:
    """The rows that `encode` wrote, in order of slots. Raises ValueError and its like for anything else."""
    first, *rest = text.split("\n")
    kind, namespace, name, uid = orjson.loads(first)
    cron = Key(str(kind), str(namespace), str(name))
    rows = []
    for line in rest:
        slot, until, count, outcome, reason, decided, schedule, run, message, revision = orjson.loads(line)
        row = Row(
            cron,
            str(uid),
            _moment(slot),
            Outcome(outcome),
            Reason(reason),
            _moment(decided),
            _moment(until),
            int(count),
            str(schedule),
            str(run),
            str(message),
            str(revision),
        )
        rows.append(row)
    return sorted(rows, key=lambda row: row.slot)


def _number(moment: datetime) -> int | float:
    passed = moment - _EPOCH
    seconds = passed.days * 86_400 + passed.seconds
    return seconds if not passed.microseconds else seconds + passed.microseconds / 1_000_000


def _moment(number: float) -> datetime:
    return _EPOCH + timedelta(microseconds=round(number * 1_000_000))


def kept(row: Row) -> Row:
    """The row as a document keeps it: moments in UTC, the message shortened."""
    slot, until, decided = (moment.astimezone(UTC) for moment in (row.slot, row.until, row.decided_at))
    return replace(row, slot=slot, until=until, decided_at=decided, message=row.message[:_MESSAGE])
