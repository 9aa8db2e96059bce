"""The first moment after another that matches five fields in a zone: robfig/cron's search, with its results.

A field is searched from the year down, each without another look at the larger ones until it begins anew ("wraps").
That is what fires `45 1` at 02:45 on the day when Lord Howe's clocks go from 02:00 to 02:30: minute 0 is never seen, so
nobody looks at the hour again. One thing is different: a date that a zone skipped is passed over where robfig turns
for ever.

Source of the behaviour: robfig/cron v3.0.1 spec.go SpecSchedule.Next. Called by `dst`: for the next slot where the
clocks change on the way or near by, offsets have seconds or nothing is found within five years (everywhere else
`schedule` has croniter walk), and to count the slots of the days that cannot be multiplied.
"""

from __future__ import annotations

from syncd.cron import civil
from syncd.cron.civil import Wall, Zone
from syncd.cron.grammar import Fields

_YEARS = 5  # robfig gives up beyond


def following(rule: Fields, zone: Zone, after: int) -> int | None:
    """The first match later than `after`, seconds since 1970; None = none within five years."""
    if rule.impossible or not civil.EARLIEST <= after <= civil.LATEST:
        return None
    walk = _Walk(rule, zone, after + 1)
    last_year = walk.now.year + _YEARS
    while walk.now.year <= last_year and walk.moment <= civil.LATEST:
        if not (
            walk.month_wraps() or walk.day_wraps() or walk.hour_wraps() or walk.minute_wraps() or walk.second_wraps()
        ):
            return walk.moment
    return None


class _Walk:
    """Where the search stands. aligned: `moment` was moved, so its smaller fields are at their lowest already.

    Each method moves `moment` until its field matches; True = the field began anew before that: start over.
    """

    __slots__ = ("aligned", "moment", "now", "rule", "zone")

    def __init__(self, rule: Fields, zone: Zone, moment: int) -> None:
        self.rule, self.zone = rule, zone
        self.aligned = False
        self.moment: int
        self.now: Wall
        self._go(moment)

    def month_wraps(self) -> bool:
        while not self.rule.months >> self.now.month & 1:
            if not self.aligned:
                self._align(self.zone.moment(self.now.year, self.now.month, 1, 0))
            now = self.now
            self._go(max(self.moment + 1, self.zone.moment(now.year, now.month + 1, now.day, now.second_of_day)))
            if self.now.month == 1:
                return True
        return False

    def day_wraps(self) -> bool:
        while not self.rule.day_matches(self.now.day, self.now.weekday):
            if not self.aligned:
                self._align(self.zone.moment(self.now.year, self.now.month, self.now.day, 0))
            now, start = self.now, self.moment
            moment = self.zone.moment(now.year, now.month, now.day + 1, now.second_of_day)
            if moment <= start:  # the next date does not exist: robfig comes back here for ever
                moment = start + civil.DAY
            self._go(moment)
            # as near to midnight as the clocks of that day let it be
            if self.now.hour > 12:
                self._go(self.moment + (24 - self.now.hour) * 3600)
            elif self.now.hour:
                self._go(self.moment - self.now.hour * 3600)
            if self.now.day == 1:
                return True
        return False

    def hour_wraps(self) -> bool:
        while not self.rule.hours >> self.now.hour & 1:
            if not self.aligned:
                self._align(self.zone.moment(self.now.year, self.now.month, self.now.day, self.now.hour * 3600))
            self._go(self.moment + 3600)
            if self.now.hour == 0:
                return True
        return False

    def minute_wraps(self) -> bool:
        while not self.rule.minutes >> self.now.minute & 1:
            if not self.aligned:
                self._align(self.moment - self.moment % 60)
            self._go(self.moment + 60)
            if self.now.minute == 0:
                return True
        return False

    def second_wraps(self) -> bool:
        if not self.now.second:
            return False
        self.aligned = True
        while self.now.second:  # more than once only where local mean time ends
            self._go(self.moment + 60 - self.now.second)
        return True

    def _align(self, moment: int) -> None:
        self.aligned = True
        self._go(moment)

    def _go(self, moment: int) -> None:
        self.moment = moment
        self.now = civil.wall(moment + self.zone.offset(moment))
