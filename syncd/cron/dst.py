"""What a schedule does where the clocks change, by annotation `syncd.io/dst`.

    both (default)   as Argo: a local time that is skipped does not fire, one that is shown twice fires twice
    skip             a skipped local time does not fire, one shown twice fires the first time only
    once             a skipped local time fires when the clocks have moved, one shown twice fires the first time only

Schedules that run in every hour go by elapsed time and are left alone, as Debian's cron does: suppressing the second
02:xx of an every-ten-minutes job would leave a hole of an hour. Called by `schedule`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from syncd.base.errors import Invalid
from syncd.cron import civil, search
from syncd.cron.civil import Zone
from syncd.cron.grammar import Fields

_ALL_HOURS: Final = (1 << 24) - 1
_PROBE: Final = 6 * 3600  # no zone changes its clocks back and forth within so short a time


class Policy(StrEnum):
    """The annotation's values."""

    SKIP = "skip"
    ONCE = "once"
    BOTH = "both"


def policy_of(text: str | None) -> Policy:
    """The policy that an annotation asks for; none = both. Raises Invalid."""
    try:
        return Policy(text) if text else Policy.BOTH
    except ValueError:
        raise Invalid(f"annotation syncd.io/dst is {text!r}; write skip, once or both") from None


def following(rule: Fields, zone: Zone, after: int, policy: Policy) -> int | None:
    """The first slot later than `after` under `policy`; None = none within five years."""
    slot = search.following(rule, zone, after)
    if policy is Policy.BOTH or zone.rules is None or rule.hours == _ALL_HOURS:
        return slot
    while slot is not None and repeated(zone, slot):
        slot = search.following(rule, zone, slot)
    if policy is Policy.ONCE:
        moved = _first_moved(rule, zone, after, slot if slot is not None else after + 366 * civil.DAY)
        if moved is not None:
            return moved
    return slot


def repeated(zone: Zone, moment: int) -> bool:
    """Whether the wall clock shows at `moment` what it has shown shortly before."""
    before, now = zone.offset(moment - _PROBE), zone.offset(moment)
    if before <= now:
        return False
    change = change_between(zone, moment - _PROBE, moment)
    return moment < change + (before - now)


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the clocks: seconds since 1970, offsets before and after in seconds."""

    at: int
    old: int
    new: int


def effects(rule: Fields, zone: Zone, after: int, until: int) -> list[Change]:
    """The changes of the clocks in (after, until) that skip or repeat a local time which `rule` names."""
    found: list[Change] = []
    if zone.rules is None or rule.hours == _ALL_HOURS:
        return found
    low = after
    while low < until:
        high = min(until, low + civil.DAY)
        old, new = zone.offset(low), zone.offset(high)
        if old != new:
            change = change_between(zone, low, high)
            shown = (change + min(old, new), change + max(old, new))
            if _asks_within(rule, *shown):
                found.append(Change(change, old, new))
        low = high
    return found


def change_between(zone: Zone, low: int, high: int) -> int:
    """The first moment of the new offset, given that the offsets at `low` and `high` differ."""
    old = zone.offset(low)
    while high - low > 1:
        middle = (low + high) // 2
        if zone.offset(middle) == old:
            low = middle
        else:
            high = middle
    return high


def _first_moved(rule: Fields, zone: Zone, after: int, until: int) -> int | None:
    """The first change of the clocks in (after, until) that skips a local time which `rule` asks for."""
    low = after
    while low < until:
        high = min(until, low + _PROBE)
        old, new = zone.offset(low), zone.offset(high)
        if new > old:
            change = change_between(zone, low, high)
            if after < change < until and _asks_within(rule, change + old, change + new):
                return change
        low = high
    return None


def _asks_within(rule: Fields, start: int, end: int) -> bool:
    """Whether a whole minute in the local times [start, end) matches."""
    for local in range(-(-start // 60) * 60, end, 60):
        shown = civil.wall(local)
        if (
            rule.minutes >> shown.minute & 1
            and rule.hours >> shown.hour & 1
            and rule.months >> shown.month & 1
            and rule.day_matches(shown.day, shown.weekday)
        ):
            return True
    return False
