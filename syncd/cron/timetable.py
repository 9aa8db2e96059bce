"""All the schedules of one cron as one: the union of their slots, without repetition.

Two lines that name the same moment mean one slot, as the child's name `<cron>-<unix seconds>` means one Workflow.
Made from a CronWorkflow; asked by `due`, `explain` and `loops.fire`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from syncd.argo import labels
from syncd.argo.crons import CronWorkflow
from syncd.base.errors import Invalid
from syncd.cron import dst, schedule
from syncd.cron.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Timetable:
    """The schedules in the order of the spec."""

    schedules: tuple[Schedule, ...]

    def next(self, after: datetime) -> datetime | None:
        """The first slot later than `after`; None = never (within five years)."""
        return min((slot for s in self.schedules if (slot := s.next(after)) is not None), default=None)

    def latest(self, after: datetime, until: datetime) -> datetime | None:
        """The last slot in (after, until]; the cost does not grow with the distance."""
        return max((slot for s in self.schedules if (slot := s.latest(after, until)) is not None), default=None)

    def previous(self, after: datetime, before: datetime) -> datetime | None:
        """The last slot in (after, before)."""
        found = (s.previous(before, after) for s in self.schedules)
        return max((slot for slot in found if slot is not None and slot > after), default=None)

    def count(self, after: datetime, until: datetime) -> int:
        """How many slots lie in (after, until]. Slots that several lines share are counted once where there are few
        (exactly up to 64), else by line: an outage that long is told in round numbers anyway."""
        exact = 0
        for _ in self.between(after, until):
            exact += 1
            if exact > 64:
                return max(exact, sum(s.count(after, until) for s in self.schedules))
        return exact

    def between(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """The slots in (after, until], in order. Stop taking when it is enough."""
        slot = self.next(after)
        while slot is not None and slot <= until:
            yield slot
            slot = self.next(slot)

    def has(self, moment: datetime) -> bool:
        """Whether this moment is a slot."""
        return any(line.previous(slot_end(moment), moment) is not None for line in self.schedules)

    def line_of(self, slot: datetime) -> str:
        """The first line of the spec that has this slot; "" if none has. slot: one of the timetable's."""
        if len(self.schedules) == 1:
            return self.schedules[0].text
        for line in self.schedules:
            if line.previous(slot_end(slot), slot) is not None:
                return line.text
        return ""


def slot_end(slot: datetime) -> datetime:
    """One second later: slots are whole seconds."""
    return slot + schedule.SECOND


def of(cron: CronWorkflow) -> Timetable:
    """The timetable of a cron. Raises Invalid, naming every line that cannot be read, in Argo's words."""
    policy = dst.policy_of(cron.annotations.get(labels.DST))
    if not cron.schedules:
        raise Invalid("cron workflow must have at least one schedule")
    found: list[Schedule] = []
    complaints: list[str] = []
    try:
        schedule.parse("@daily", cron.timezone)
    except Invalid as complaint:
        raise Invalid(f'invalid timezone "{cron.timezone}": {complaint}') from None
    for text in cron.schedules:
        try:
            found.append(schedule.parse(text, cron.timezone, policy, cron.created_at))
        except Invalid as complaint:
            complaints.append(f"cron schedule {text} is malformed: {complaint}")
    if complaints:
        raise Invalid("; ".join(complaints))
    return Timetable(tuple(found))
