"""What a schedule does where the clocks change, by annotation `syncd.io/dst`.

    both (default)   as Argo: a local time that is skipped does not fire, one that is shown twice fires twice
    skip             a skipped local time does not fire, one shown twice fires the first time only
    once             a skipped local time fires when the clocks have moved, one shown twice fires the first time only

Schedules that run in every hour go by elapsed time and are left alone, as Debian's cron does: suppressing the second
02:xx of an every-ten-minutes job would leave a hole of an hour. Called by `schedule`, where the clocks change near by,
and by `explain`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from syncd.base.errors import Invalid
from syncd.cron import civil, search
from syncd.cron.civil import Change, Zone
from syncd.cron.grammar import Fields

_ALL_HOURS: Final = (1 << 24) - 1


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
    """Whether the wall clock shows at `moment` what it has shown within the day before."""
    return any(moment < change.at + change.old - change.new for change in zone.changes(moment - civil.DAY, moment))


def effects(rule: Fields, zone: Zone, after: int, until: int) -> list[Change]:
    """The changes of the clocks in (after, until) that skip or repeat a local time which `rule` names."""
    if rule.hours == _ALL_HOURS:
        return []
    return [
        change
        for change in zone.changes(after, until - 1)
        if _asks_within(rule, change.at + min(change.old, change.new), change.at + max(change.old, change.new))
    ]


def _first_moved(rule: Fields, zone: Zone, after: int, until: int) -> int | None:
    """The first change of the clocks in (after, until) that skips a local time which `rule` asks for."""
    return next((change.at for change in effects(rule, zone, after, until) if change.new > change.old), None)


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
