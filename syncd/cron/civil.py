"""Local time as Go's time package computes it: seconds since 1970 in, the fields of a clock on the wall out, and back.

robfig/cron's answers around a change of the clocks follow from what Go's time.Date does with a local time that does
not exist or exists twice, so exactly that is done here. Integers all through: no datetime is made per step.
Where the clocks of a zone change is found by looking at every day once. `schedule`, `search`, `dst` and `explain` call.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from syncd.base.errors import Invalid

DAY: Final = 86_400
_EPOCH: Final = date(1970, 1, 1).toordinal()

EARLIEST: Final = int(datetime(2, 1, 1, tzinfo=UTC).timestamp())
LATEST: Final = int(datetime(9998, 12, 31, tzinfo=UTC).timestamp())
"""Within a year of what datetime can hold in any zone: outside, no schedule answers."""

_STRETCH: Final = 180 * DAY  # what is looked through, and remembered, at once


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the clocks: seconds since 1970, offsets before and after in seconds."""

    at: int
    old: int
    new: int


@dataclass(frozen=True, slots=True)
class Zone:
    """A time zone. rules: None = UTC, which costs nothing to ask."""

    name: str
    rules: ZoneInfo | None

    def offset(self, moment: int) -> int:
        """Seconds east of UTC at `moment`, seconds since 1970."""
        if self.rules is None:
            return 0
        delta = datetime.fromtimestamp(moment, self.rules).utcoffset()
        return 0 if delta is None else delta.days * DAY + delta.seconds

    def changes(self, after: int, until: int) -> list[Change]:
        """The changes of the clocks in (after, until], in order. Times beyond EARLIEST and LATEST are not looked at."""
        if self.rules is None:
            return []
        stretches = range(max(after, EARLIEST) // _STRETCH, min(until, LATEST) // _STRETCH + 1)
        return [c for number in stretches for c in _changes(self, number) if after < c.at <= until]

    def moment(self, year: int, month: int, day: int, second_of_day: int) -> int:
        """Go's time.Date: month may be 13 and day one past the month's end; a local time that does not exist
        is moved by the change of the clocks, one that exists twice is either (Source: Go 1.26 time.Date)."""
        if month > 12:
            year, month = year + 1, month - 12
        local = (date(year, month, 1).toordinal() - _EPOCH + day - 1) * DAY + second_of_day
        guess = self.offset(local)
        # Go asks once more only where the guess was not UTC itself
        return local - self.offset(local - guess) if guess else local


@lru_cache(maxsize=8192)
def _changes(zone: Zone, number: int) -> tuple[Change, ...]:
    """The changes in the stretch [number, number + 1), each found from the two days' offsets around it.

    No zone of tzdata changes its clocks twice within a day: the least is four (Freetown in 1939).
    """
    found: list[Change] = []
    start = number * _STRETCH - 1
    old = zone.offset(start)
    for low in range(start, start + _STRETCH, DAY):
        new = zone.offset(low + DAY)
        if new != old:
            before, at = low, low + DAY
            while at - before > 1:
                middle = (before + at) // 2
                before, at = (middle, at) if zone.offset(middle) == old else (before, middle)
            found.append(Change(at, old, new))
        old = new
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Wall:
    """What a clock on the wall shows. weekday: 0 = Sunday."""

    year: int
    month: int
    day: int
    weekday: int
    hour: int
    minute: int
    second: int

    @property
    def second_of_day(self) -> int:
        return self.hour * 3600 + self.minute * 60 + self.second


def wall(local: int) -> Wall:
    """The wall clock at `local` = moment + offset, seconds.

    >>> wall(0)
    Wall(year=1970, month=1, day=1, weekday=4, hour=0, minute=0, second=0)
    """
    days, second = divmod(local, DAY)
    day = date.fromordinal(days + _EPOCH)
    minute, second = divmod(second, 60)
    hour, minute = divmod(minute, 60)
    return Wall(day.year, day.month, day.day, (days + 4) % 7, hour, minute, second)


def zone(name: str) -> Zone:
    """The zone called `name`; "" and `UTC` are UTC. Raises Invalid in Go's words where there is none.

    >>> zone("Mars/Phobos")
    Traceback (most recent call last):
    syncd.base.errors.Invalid: unknown time zone Mars/Phobos
    """
    if name in ("", "UTC", "Local"):  # syncd's local zone is UTC, on purpose: every replica must agree
        return Zone("UTC", None)
    if ".." in name or name[0] in "/\\" or "\0" in name:
        raise Invalid("time: invalid location name")
    if len(name) > 100:
        raise Invalid(f"unknown time zone {name[:100]}…")
    try:
        return Zone(name, ZoneInfo(name))
    except (KeyError, ValueError, OSError):  # not there; not a zone; a folder such as `America`
        raise Invalid(f"unknown time zone {name}") from None
