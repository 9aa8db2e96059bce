"""Why did my job run, or why not? A cron, its rows and the time in; sentences and fields out.

Called by `loops.fire` (for the API and `syncd cron explain`) and `syncd cron next`. The sentences are for people, the
fields say the same to programs. Times are printed on the cron's own wall clock with UTC behind it, and what happens
when the clocks change is said before it happens.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final

from syncd.argo import crons, labels
from syncd.argo.crons import CronWorkflow
from syncd.base.clock import rfc3339
from syncd.base.errors import Invalid
from syncd.cron import civil, dst, phrases, timetable
from syncd.cron.grammar import Fields
from syncd.cron.ledger import Outcome, Row
from syncd.cron.timetable import Timetable

_SECOND: Final = timedelta(seconds=1)
_AHEAD: Final = timedelta(days=400)  # how far ahead a change of the clocks is worth a word
_NOTES: Final = 2


@dataclass(frozen=True, slots=True)
class Next:
    """A slot to come. local: on the cron's wall clock, with offset; text: for people; note: "" or what the clocks do."""

    at: datetime
    local: str
    text: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """sentences: in the order to read; row: of the slot asked for, None = there is none; rows: the newest first;
    next: the coming slots, empty = it never fires; notes: on coming changes of the clocks; remedy: "" = nothing to do."""

    cron: CronWorkflow
    sentences: tuple[str, ...]
    slot: datetime | None
    row: Row | None
    rows: tuple[Row, ...]
    next: tuple[Next, ...]
    notes: tuple[str, ...] = ()
    remedy: str = ""

    def to_json(self) -> dict[str, Any]:
        """The shape of the API and of `-o json`; keys never vanish."""
        cron = self.cron
        return {
            "kind": cron.key.kind,
            "namespace": cron.key.namespace,
            "name": cron.key.name,
            "schedules": list(cron.schedules),
            "timezone": cron.timezone or "UTC",
            "suspended": cron.suspend,
            "stopped": cron.stopped,
            "concurrencyPolicy": cron.concurrency,
            "active": [str(ref.get("name", "")) for ref in cron.status.active],
            "slot": rfc3339(self.slot) if self.slot else None,
            "row": row_json(self.row) if self.row else None,
            "rows": [row_json(row) for row in self.rows],
            "next": [{"at": rfc3339(n.at), "local": n.local, "text": n.text, "note": n.note} for n in self.next],
            "notes": list(self.notes),
            "sentences": list(self.sentences),
            "remedy": self.remedy,
        }


def row_json(row: Row) -> dict[str, Any]:
    """A row as the API shows it, `words` included."""
    return {
        "slot": rfc3339(row.slot),
        "until": rfc3339(row.until),
        "count": row.count,
        "outcome": str(row.outcome),
        "reason": str(row.reason),
        "decidedAt": rfc3339(row.decided_at),
        "schedule": row.schedule,
        "run": row.run,
        "message": row.message,
        "revision": row.revision,
        "words": phrases.fate(row),
    }


def explain(
    cron: CronWorkflow, rows: Sequence[Row], now: datetime, slot: datetime | None = None, upcoming: int = 3
) -> Explanation:
    """Tell the story of a cron, or of one slot of it.

    rows: newest first, as `Ledger.rows` gives them; slot: the moment asked about, None = in general;
    upcoming: how many coming slots to list. Never raises.
    """
    try:
        table = timetable.of(cron)
    except Invalid as complaint:
        sentences = (f"{cron.key} cannot be scheduled: {complaint}",)
        return Explanation(cron, sentences, slot, None, tuple(rows), (), remedy="correct the manifest in git")
    zone: tzinfo = _zone(table)
    coming = _coming(cron, table, now, zone, upcoming)
    notes = _clock_changes(table, now, zone)
    row: Row | None = None
    if slot is None:
        story = [_rule(cron), *_state(cron), *_past(rows, zone, now)]
        row = rows[0] if rows and rows[0].outcome not in (Outcome.FIRED, Outcome.CAUGHT_UP, Outcome.PENDING) else None
        what_to_do = phrases.remedy(row) if row is not None else ""
    else:
        row = next((r for r in rows if r.slot <= slot <= r.until), None)
        if row is None:  # asked to the minute, and the row knows the second (`@every`, `cron trigger`)
            row = next((r for r in rows if slot <= r.slot < slot + timedelta(minutes=1)), None)
        story = _slot_story(cron, table, row, slot, now, zone, bool(rows))
        what_to_do = phrases.remedy(row) if row is not None else ""
    if coming:
        story.append(f"it fires next on {coming[0].text}, in {phrases.span(coming[0].at - now)}")
    elif not cron.suspend and not cron.stopped:
        story.append("it has no next time: within five years no moment matches the schedule")
    story += notes
    if what_to_do:
        story.append(what_to_do)
    return Explanation(cron, tuple(story), slot, row, tuple(rows), coming, tuple(notes), what_to_do)


def upcoming(cron: CronWorkflow, after: datetime, count: int) -> tuple[Next, ...]:
    """The next slots by the schedule alone (suspended or not). Raises Invalid where it cannot be read."""
    table = timetable.of(cron)
    return _list(table, after, _zone(table), count)


def _coming(cron: CronWorkflow, table: Timetable, now: datetime, zone: tzinfo, count: int) -> tuple[Next, ...]:
    if cron.suspend or cron.stopped:
        return ()
    return _list(table, now, zone, count)


def _list(table: Timetable, after: datetime, zone: tzinfo, count: int) -> tuple[Next, ...]:
    found: list[Next] = []
    while len(found) < count and (slot := table.next(after)) is not None:
        local = slot.astimezone(zone)
        again = any(dst.repeated(s.zone, int(slot.timestamp())) for s in table.schedules)
        note = "the clocks show this time twice; this is the second" if again else ""
        found.append(Next(slot, local.isoformat(), phrases.moment(slot, zone), note))
        after = slot
    return tuple(found)


def _rule(cron: CronWorkflow) -> str:
    lines = " and ".join(f"`{line}`" for line in cron.schedules)
    return f"{cron.key} runs at {lines} by the clocks of {cron.timezone or 'UTC (no time zone is set)'}"


def _state(cron: CronWorkflow) -> list[str]:
    """What stands in the way now."""
    found: list[str] = []
    if cron.stopped:
        found.append("it is stopped: its stopStrategy came true")
    if cron.suspend:
        found.append(f"it is suspended{_by_hand(cron)}, so it does not fire")
    active = [str(ref.get("name", "")) for ref in cron.status.active]
    if active:
        shown = ", ".join(active[:3]) + (f" and {len(active) - 3} more" if len(active) > 3 else "")
        consequence = {
            crons.FORBID: "; the next slot is skipped if that is still so (concurrencyPolicy: Forbid)",
            crons.REPLACE: "; the next slot ends it (concurrencyPolicy: Replace)",
        }.get(cron.concurrency, "")
        found.append(f"active now: {shown}{consequence}")
    found += [
        f"{condition.get('type')}: {condition.get('message', '')}"
        for condition in cron.status.conditions
        if condition.get("status") == "True" and condition.get("type") in ("SpecError", "SubmissionError")
    ]
    return found


def _by_hand(cron: CronWorkflow) -> str:
    """Who suspended it and since when, if it was by hand (decision 18)."""
    text = cron.annotations.get(labels.BY_HAND, "")
    if not text:
        return " in git"
    try:
        note = json.loads(text[:1000])
    except ValueError:
        note = None
    if not isinstance(note, dict):
        return " by hand"
    return f" by {note.get('who') or 'somebody'} since {note.get('since') or 'an unknown time'}"


def _past(rows: Sequence[Row], zone: tzinfo, now: datetime) -> list[str]:
    """The newest row, and the newest one that did run where that is another."""
    if not rows:
        return ["the ledger has no row yet: no slot has come since it was created"]
    found = [_row_sentence(rows[0], zone)]
    if rows[0].outcome not in (Outcome.FIRED, Outcome.CAUGHT_UP):
        ran = next((r for r in rows if r.outcome in (Outcome.FIRED, Outcome.CAUGHT_UP)), None)
        if ran is not None:
            found.append(f"it last ran {phrases.span(now - ran.slot)} ago: {_row_sentence(ran, zone)}")
        else:
            found.append("none of the known slots ran")
    if rows[0].until > now + timedelta(minutes=5):
        found.append(
            f"its newest row lies {phrases.span(rows[0].until - now)} ahead: the clock of this machine was wrong when it "
            "was written; nothing fires until then, so that nothing fires twice. Delete and create the cron to begin anew"
        )
    return found


def _row_sentence(row: Row, zone: tzinfo) -> str:
    words = phrases.fate(row)
    if row.count == 1:
        return f"the slot of {phrases.moment(row.slot, zone)} {words}"
    first, last = phrases.moment(row.slot, zone), phrases.moment(row.until, zone)
    return f"each of the {row.count} slots from {first} to {last} {words}"


def _slot_story(
    cron: CronWorkflow, table: Timetable, row: Row | None, slot: datetime, now: datetime, zone: tzinfo, any_rows: bool
) -> list[str]:
    """What became of one moment that somebody asks about."""
    if row is not None:
        return [_row_sentence(row, zone)]
    text = phrases.moment(slot, zone)
    is_slot = table.has(slot)
    if not is_slot:
        before, after = table.previous(slot - _AHEAD, slot), table.next(slot)
        around = [
            f"the one before is {phrases.moment(before, zone)}" if before else "",
            f"the one after is {phrases.moment(after, zone)}" if after else "",
        ]
        return [f"the schedule has no slot at {text}; " + ", ".join(part for part in around if part)]
    if slot > now:
        return [f"the slot of {text} is still to come", *_state(cron)]
    if cron.created_at is not None and slot <= cron.created_at:
        return [
            f"the slot of {text} is older than the cron, which was created on {phrases.moment(cron.created_at, zone)}"
        ]
    if now - slot < timedelta(minutes=1):
        return [f"the slot of {text} is not decided yet", *_state(cron)]
    if any_rows:
        return [
            f"the ledger has no row for the slot of {text}: it is older than what is kept, or the schedule was another"
        ]
    return [f"the ledger has no row for the slot of {text}: is the daemon running?"]


def _zone(table: Timetable) -> tzinfo:
    return table.schedules[0].zone.rules or UTC


def _clock_changes(table: Timetable, now: datetime, zone: tzinfo) -> list[str]:
    """What the coming changes of the clocks do to schedules that name an hour."""
    found: list[str] = []
    for line in table.schedules:
        if not isinstance(line.rule, Fields):
            continue
        for change in dst.effects(line.rule, line.zone, int(now.timestamp()), int((now + _AHEAD).timestamp())):
            at = datetime.fromtimestamp(change.at, UTC)
            was = civil.wall(change.at + change.old)
            will_be = civil.wall(change.at + change.new)
            if change.new > change.old:
                fires = "fires when they have moved" if line.policy is dst.Policy.ONCE else "does not fire"
                what = f"`{line.text}` is skipped by them and {fires}"
            else:
                twice = "fires twice" if line.policy is dst.Policy.BOTH else "fires the first time only"
                what = f"`{line.text}` is shown twice and {twice}"
            day = at.astimezone(zone).strftime("%a %Y-%m-%d")
            found.append(
                f"on {day} the clocks go from {was.hour:02}:{was.minute:02} to {will_be.hour:02}:{will_be.minute:02}: "
                f"{what} (annotation {labels.DST})"
            )
    return found[:_NOTES]
