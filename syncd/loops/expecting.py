"""What is expected of each cron, kept up to date and told when it changes.

In: what `loops.crontab` hears of crons and their children, and the rows that were decided. Out: events `CronStanding` and
`LateSuccess`. The arithmetic is `cron.expectation`'s. A child that begins or ends costs the logarithm of how many run; a
schedule is asked only when the moment to ask from has moved.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from syncd.argo import labels
from syncd.argo.crons import CronWorkflow
from syncd.argo.manifest import Key
from syncd.cron import expectation
from syncd.cron.children import SUCCEEDED, Child
from syncd.cron.ledger import Row
from syncd.observe.events import CronStanding, Event, LateSuccess


@dataclass(slots=True)
class Expected:
    """Of one cron. since: up to when nothing more is expected, None = not worked out yet; excused: by the rows decided here,
    up to when; told: what was published last; asked, due: the latest answer of `success_due`, and to what question.

    succeeded: children to look at, with their slot (None = unknown) and whether nobody has judged them before.
    """

    since: datetime | None = None
    excused: datetime | None = None
    told: tuple[datetime | None, datetime | None] = (None, None)
    asked: tuple[object, ...] = ()
    due: datetime | None = None
    succeeded: list[tuple[Child, datetime | None, bool]] = field(default_factory=list)
    _running: dict[str, datetime] = field(default_factory=dict)  # name of an unfinished child → its slot
    _by_slot: list[tuple[datetime, str]] = field(default_factory=list)  # a heap; what has ended goes when it is on top

    def begun(self, name: str, slot: datetime | None) -> bool:
        """A child is unfinished. slot: None = not known (yet). Answers whether that is news."""
        if slot is None or name in self._running:
            return False
        self._running[name] = slot
        heapq.heappush(self._by_slot, (slot, name))
        return True

    def ended(self, child: Child, slot: datetime | None, *, first_seen: bool) -> None:
        """A child has ended. first_seen: no earlier process has seen that."""
        slot = self._running.pop(child.name, slot)
        if child.phase == SUCCEEDED:
            self.succeeded.append((child, slot, first_seen))

    def gone(self, name: str) -> None:
        """A child is not there any more."""
        self._running.pop(name, None)

    def excuse(self, until: datetime) -> None:
        """Nothing is expected of the time up to `until`."""
        self.excused = until if self.excused is None else max(self.excused, until)

    def oldest(self) -> datetime | None:
        """The slot of the oldest child that is unfinished; None = there is none."""
        while self._by_slot:
            slot, name = self._by_slot[0]
            if self._running.get(name) == slot:
                return slot
            heapq.heappop(self._by_slot)
        return None


class Expecting:
    """Tells what is expected. default: of a cron that does not say itself within what time it should finish."""

    def __init__(self, publish: Callable[[Event], None], now: Callable[[], datetime], default: timedelta) -> None:
        self._publish = publish
        self._now = now
        self._default = default

    def tell(self, cron: CronWorkflow, expected: Expected, known: Mapping[str, Child], latest: Row | None) -> None:
        """Publish what has changed. known: the cron's children; latest: its newest row; both for the first time only."""
        within = expectation.finish_within(cron, self._default)
        since = expected.since or expectation.since_at_start(cron, known.values(), latest, self._now())
        for child, slot, first_seen in expected.succeeded:
            at = expectation.finished(child, self._now())
            since = max(since, at)
            if first_seen and slot is not None and expectation.is_late(slot, at, within):
                self._publish(LateSuccess(cron.key, Key(labels.WORKFLOW, cron.key.namespace, child.name), slot, at))
        expected.succeeded.clear()
        expected.since = max(since, expected.excused or since)
        asked = (
            expected.since,
            within,
            cron.schedule_text,
            cron.annotations.get(labels.DST),
            cron.suspend,
            cron.stopped,
        )
        if asked != expected.asked:
            expected.asked = asked
            expected.due = expectation.success_due(cron, expected.since, within)
        standing = (expected.due, expectation.run_due(expected.oldest(), within))
        if standing != expected.told:
            expected.told = standing
            self._publish(CronStanding(cron.key, *standing))
