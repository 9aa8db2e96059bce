"""When a schedule fires: text and time zone in, moments out, exactly as Argo computes them (robfig/cron v3.0.1).

A local time that the clocks skip does not fire, one that they show twice fires twice, and a schedule that finds nothing
within five years never fires. Where robfig is odd (half-hour changes, gaps at midnight) so is this: the same slots
everywhere is worth more than a nicer rule on one day of the year. Where robfig loops for ever (a date that a zone
skipped, Samoa's 30 December 2011) the date is passed over.

Who finds a slot: `grammar` reads the text; croniter walks the clock on the wall, from and to naive local times, on the
fields that `grammar` has spelled out; its answer is taken where the clocks do not change near by (`calm_next`). What
is left is `dst` over `search`: gaps, overlaps, odd zones, and giving up. Only here is croniter imported; why so, and
what it is not asked: docs/decisions/0001-croniter-behind-robfig.md.

Called by `timetable`, `validate` (for the complaint), `explain` and the command line's `cron next`. All moments are
aware; answers are UTC, whole seconds.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from croniter import CroniterBadDateError, croniter

from syncd.base.errors import Invalid
from syncd.cron import civil, dst, grammar
from syncd.cron.civil import Zone
from syncd.cron.dst import Policy
from syncd.cron.grammar import Every, Fields

_PREFIX: Final = re.compile(r"(?:CRON_TZ|TZ)=")
_FEW: Final = 64  # so many slots are walked one by one before anything cleverer is tried
_COUNTED_DAYS: Final = 1500  # a longer outage is counted by proportion: nobody needs 2,103,840 to the unit
_YEARS: Final = 5  # robfig gives up beyond
_DECADE: Final = 3660 * civil.DAY  # so far from the ends of what datetime can hold croniter does not overflow
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
        if end <= start:
            return None
        slot = calm_latest(self.rule, self.zone, end)
        if slot is None:
            slot = self._search(start, end)
        return _datetime(slot) if slot is not None and slot > start else None

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
        calm = calm_next(self.rule, self.zone, after)
        return calm if calm is not None else dst.following(self.rule, self.zone, after, self.policy)

    def _search(self, start: int, end: int) -> int | None:
        """The last slot in (start, end]: step back in growing strides until one is found, then halve what is left."""
        slot = self._next(start)
        if slot is None or slot > end:
            return None
        first, high, stride = slot, end, civil.DAY
        while end - stride > start:
            slot = self._next(end - stride)
            if slot is not None and slot <= end:
                break
            high, stride = end - stride, stride * 8
        else:
            slot = first
        while (later := self._next(slot)) is not None and later <= end:
            slot = later
            while high - slot > 1:  # slot <= end < next(high)
                middle = (slot + high) // 2
                candidate = self._next(middle)
                if candidate is not None and candidate <= end:
                    slot = candidate
                    break
                high = middle
            else:
                return slot
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
        """Slots in (after, until] one by one: a few days, most of them with a change of the clocks."""
        assert isinstance(self.rule, Fields)
        total = 0
        slot = dst.following(self.rule, self.zone, after, self.policy)
        while slot is not None and slot <= until:
            total, slot = total + 1, dst.following(self.rule, self.zone, slot, self.policy)
        return total


def calm_next(rule: Fields, zone: Zone, after: int) -> int | None:
    """The first slot later than `after` (seconds since 1970), if croniter can tell: None = ask `dst.following`.

    It can where the clocks do not change from where robfig's search begins (the midnight before, or the first of the
    month when that is not meant) until the slot, and a day around; there no policy of `dst` says anything either.
    """
    offset = zone.offset(after)
    if not _walkable(rule, offset, after):
        return None
    local = after + offset
    try:
        found = int(_walker(rule).get_next(float, start_time=float(local)))
    except CroniterBadDateError:
        return None
    start = civil.wall(local + 1)
    if civil.wall(found).year > start.year + _YEARS:
        return None
    begin = after - start.second_of_day
    if not rule.months >> start.month & 1:
        begin -= (start.day - 1) * civil.DAY
    return None if zone.changes(begin - civil.DAY, found - offset + civil.DAY) else found - offset


def calm_latest(rule: Fields, zone: Zone, until: int) -> int | None:
    """The last slot not later than `until`, if croniter can tell, on the same condition as `calm_next`."""
    offset = zone.offset(until)
    if not _walkable(rule, offset, until):
        return None
    try:
        found = int(_walker(rule).get_prev(float, start_time=float(until + offset + 1)))
    except CroniterBadDateError:
        return None
    begin = found - civil.wall(found).second_of_day - offset
    return None if zone.changes(begin - civil.DAY, until + civil.DAY) else found - offset


def _walkable(rule: Fields, offset: int, moment: int) -> bool:
    """Not in local mean time: where an offset has seconds, robfig's minutes begin in the middle of ours."""
    within = civil.EARLIEST + _DECADE <= moment <= civil.LATEST - _DECADE
    return within and not offset % 60 and not rule.impossible


def _walker(rule: Fields) -> Any:
    """A croniter of one's own: it remembers where it stands, and nothing of the kind may be shared."""
    return copy.copy(_understood(rule))


@lru_cache(maxsize=1024)
def _understood(rule: Fields) -> Any:
    return croniter(rule.explicit, 0.0, max_years_between_matches=_YEARS)


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
