"""When a schedule fires: text and time zone in, moments out, exactly as Argo computes them (robfig/cron v3.0.1).

A local time that the clocks skip does not fire, one that they show twice fires twice, and a schedule that finds nothing
within five years never fires. Where robfig is odd (half-hour changes, gaps at midnight) so is this: the same slots
everywhere is worth more than a nicer rule on one day of the year. Where robfig loops for ever (a date that a zone
skipped, Samoa's 30 December 2011) the date is passed over.

Called by `timetable`, `validate` (for the complaint), `explain` and the command line's `cron next`. All moments are
aware; answers are UTC, whole seconds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from syncd.base.errors import Invalid
from syncd.cron import civil, dst, grammar, search
from syncd.cron.civil import Zone
from syncd.cron.dst import Policy
from syncd.cron.grammar import Every, Fields

_PREFIX: Final = re.compile(r"(?:CRON_TZ|TZ)=")
_FEW: Final = 64  # so many slots are walked one by one before anything cleverer is tried
_COUNTED_DAYS: Final = 1500  # a longer outage is counted by proportion: nobody needs 2,103,840 to the unit
SECOND: Final = timedelta(seconds=1)  # the grain of all slots
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A line of `spec.schedules`, understood. Made by `parse`.

    text: as written, without a time zone; policy: what to do where the clocks change (annotation syncd.io/dst);
    anchor: what `@every` counts from, seconds since 1970; None = from whatever `next` is given, as robfig does.
    """

    text: str
    zone: Zone
    rule: Fields | Every
    policy: Policy = Policy.BOTH
    anchor: int | None = None

    def next(self, after: datetime) -> datetime | None:
        """The first slot later than `after`; None = none within five years."""
        return _datetime(self._next(_seconds(after)))

    def latest(self, after: datetime, until: datetime) -> datetime | None:
        """The last slot in (after, until]. The cost does not grow with the distance."""
        start, end = _seconds(after), _seconds(until)
        if isinstance(self.rule, Every):
            base, period = self._grid(start), self.rule.seconds
            found = base + (end - base) // period * period
            return _datetime(found) if found > max(start, base) else None
        found_slot: int | None = None
        slot = self._next(start)
        for _ in range(_FEW):
            if slot is None or slot > end:
                return _datetime(found_slot)
            found_slot, slot = slot, self._next(slot)
        return _datetime(self._search(start, end))

    def previous(self, before: datetime, not_before: datetime) -> datetime | None:
        """The last slot in [not_before, before)."""
        return self.latest(not_before - timedelta(seconds=1), _ceil(before) - timedelta(seconds=1))

    def count(self, after: datetime, until: datetime) -> int:
        """How many slots lie in (after, until]. Exact up to four years, in proportion beyond."""
        start, end = _seconds(after), _seconds(until)
        if end <= start:
            return 0
        if isinstance(self.rule, Every):
            base, period = self._grid(start), self.rule.seconds
            return max(0, (end - base) // period) - max(0, (start - base) // period)
        total = 0
        slot = self._next(start)
        while slot is not None and slot <= end and total < _FEW:
            total, start, slot = total + 1, slot, self._next(slot)
        if slot is None or slot > end:
            return total
        return total + self._count_days(start, end)

    # ---- seconds since 1970 from here on

    def _grid(self, start: int) -> int:
        return start if self.anchor is None else self.anchor

    def _next(self, after: int) -> int | None:
        if isinstance(self.rule, Every):
            base, period = self._grid(after), self.rule.seconds
            found = base + (max(0, (after - base) // period) + 1) * period
            return found if found <= civil.LATEST else None
        if self.policy is Policy.BOTH or self.zone.rules is None:
            return search.following(self.rule, self.zone, after)
        return dst.following(self.rule, self.zone, after, self.policy)

    def _search(self, start: int, end: int) -> int | None:
        """The last slot in (start, end]: step back in growing strides until one is found, then halve the stride."""
        stride = 60
        while True:
            low = max(start, end - stride)
            slot = self._next(low)
            if slot is not None and slot <= end:
                break
            if low == start:
                return None
            stride *= 2
        high = end  # next(low) <= end < next(high)
        while high - low > 1:
            middle = (low + high) // 2
            candidate = self._next(middle)
            if candidate is not None and candidate <= end:
                low, slot = middle, candidate
            else:
                high = middle
        return slot

    def _count_days(self, start: int, end: int) -> int:
        """Slots in (start, end], a local day at a time: whole days without a change of the clocks are multiplied."""
        assert isinstance(self.rule, Fields)
        per_day = self.rule.minutes.bit_count() * self.rule.hours.bit_count()
        total, position = 0, start
        for _ in range(_COUNTED_DAYS):
            offset = self.zone.offset(position)
            local = position + offset
            midnight = (local // civil.DAY + 1) * civil.DAY - offset  # the next one
            if midnight - 1 >= end:
                return total + self._walk(position, end)
            # the day (midnight, midnight + 24 h) is whole when nothing happens to the clocks until its end
            if local % civil.DAY == civil.DAY - 1 and self.zone.offset(midnight + civil.DAY) == offset:
                if midnight + civil.DAY - 1 > end:
                    return total + self._walk(position, end)
                day = civil.wall(local + 1)
                if self.rule.months >> day.month & 1 and self.rule.day_matches(day.day, day.weekday):
                    total += per_day
                position = midnight + civil.DAY - 1
            else:
                total += self._walk(position, midnight - 1)
                position = midnight - 1
                if self.zone.offset(midnight + civil.DAY) != offset:
                    step = min(end, midnight + 2 * civil.DAY - 1)
                    total += self._walk(position, step)
                    position = step
            if position >= end:
                return total
        done = position - start
        return total + round(total * (end - position) / done)

    def _walk(self, after: int, until: int) -> int:
        total = 0
        slot = self._next(after)
        while slot is not None and slot <= until:
            total, slot = total + 1, self._next(slot)
        return total


def parse(text: str, timezone: str = "", policy: Policy = Policy.BOTH, anchor: datetime | None = None) -> Schedule:
    """Understand one line of `spec.schedules`.

    timezone: `spec.timezone`, "" = UTC; anchor: the CronWorkflow's creation, which `@every` counts from so that all
    replicas see the same slots. Raises Invalid: robfig's words for the text, Go's for the zone.
    Source: robfig/cron v3.0.1 parser.go Parser.Parse.

    >>> parse("30 2 * * *", "Europe/Paris").next(datetime(2026, 11, 22, tzinfo=UTC))
    datetime.datetime(2026, 11, 22, 1, 30, tzinfo=datetime.timezone.utc)
    """
    if len(text) > grammar.MAX_LENGTH:
        raise Invalid(f"schedule has {len(text)} characters; at most {grammar.MAX_LENGTH} are read")
    place = civil.zone(timezone)
    if timezone:
        text = grammar.trim(text)
    elif (prefix := _PREFIX.match(text)) is not None:
        name, space, rest = text[prefix.end() :].partition(" ")
        if not space:
            raise Invalid(f"schedule {text!r} is a time zone without a schedule behind it")
        try:
            place = civil.zone(name)
        except Invalid as complaint:
            raise Invalid(f"provided bad location {name}: {complaint}") from None
        text = grammar.trim(rest)
        if not text:
            raise Invalid("expected exactly 5 fields, found 0: []")
    elif not text:
        raise Invalid("empty spec string")
    return Schedule(text, place, grammar.parse(text), policy, None if anchor is None else _seconds(anchor))


def _seconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(seconds=1)


def _ceil(moment: datetime) -> datetime:
    return moment if not moment.microsecond else moment + timedelta(microseconds=1_000_000 - moment.microsecond)


def _datetime(moment: int | None) -> datetime | None:
    return None if moment is None else _EPOCH + timedelta(seconds=moment)
