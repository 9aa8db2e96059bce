"""What may be expected of a cron: by when a run should have succeeded again, by when one that runs should have ended.

In: a cron, what is known of its runs, its rows. Out: moments, for the metrics that alerts look at. Called by
`loops.expecting`. Nothing here depends on the present time: a due time stands until a success, a slot or a change moves it,
and an alert compares it with the clock.

A success is expected of every slot that may fire, within `syncd.io/finish-within`. Slots that somebody ruled out (suspended,
stopped, `when` is false, a schedule that was replaced) excuse the time up to them. Slots that were missed, refused, or
skipped because an earlier run did not end do not: nobody wanted that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from syncd.argo import labels
from syncd.argo.crons import CronWorkflow
from syncd.base.clock import parse_rfc3339
from syncd.base.errors import Invalid
from syncd.base.units import parse_duration
from syncd.cron import timetable
from syncd.cron.children import SUCCEEDED, Child
from syncd.cron.ledger import Outcome, Reason, Row

DEFAULT: Final = timedelta(hours=1)

_EXCUSES: Final = frozenset({Reason.SUSPENDED, Reason.STOPPED, Reason.WHEN, Reason.REPLACED_SCHEDULE})
_FIRED: Final = frozenset({Outcome.PENDING, Outcome.FIRED, Outcome.CAUGHT_UP})
_DIGITS: Final = range(9, 12)  # of a slot in a child's name: 1973 to 5138; a random suffix has five characters
_SECOND: Final = timedelta(seconds=1)


def finish_within(cron: CronWorkflow, default: timedelta = DEFAULT) -> timedelta:
    """How long after its slot a run of this cron may succeed. default: where the annotation is not there or not positive,
    or cannot be read."""
    try:
        within = parse_duration(cron.annotations.get(labels.FINISH_WITHIN, ""))
    except ValueError:
        return default
    return within if within > timedelta(0) else default


def success_due(cron: CronWorkflow, since: datetime, within: timedelta) -> datetime | None:
    """By when a run should have succeeded: `within` after the first slot later than `since`. None: it never fires.

    since: up to when nothing (more) is expected, see `since_at_start`; a success moves it to the moment of that success.
    """
    if cron.suspend or cron.stopped:
        return None
    try:
        slot = timetable.of(cron).next(since)
    except Invalid:
        return None
    return None if slot is None else slot + within


def run_due(oldest: datetime | None, within: timedelta) -> datetime | None:
    """By when the run of the oldest slot should have ended. oldest: that slot, of those unfinished; None = none runs."""
    return None if oldest is None else oldest + within


def is_late(slot: datetime, finished_at: datetime, within: timedelta) -> bool:
    """Whether a run that succeeded at `finished_at` did so later than it should."""
    return finished_at - slot > within


def excused(row: Row) -> datetime | None:
    """Up to when this row rules out that anything is expected; None = it does not."""
    return row.until if row.outcome is Outcome.SKIPPED and row.reason in _EXCUSES else None


def since_at_start(cron: CronWorkflow, children: Iterable[Child], latest: Row | None, now: datetime) -> datetime:
    """From when on successes are expected, as far as a process that has just begun can tell.

    children: those that are still there; latest: the newest row. Where the last success is no longer among the children
    (history limits, TTL), it was before the oldest one that is there and did not succeed, or it is the newest slot that
    fired. The run of the newest slot, while it goes on, gets its time: an excuse before it may be behind it in the ledger.
    """
    moments = [cron.created_at or now]
    succeeded: list[datetime] = []
    others: list[datetime] = []
    running: set[datetime] = set()
    for child in children:
        if child.phase == SUCCEEDED:
            succeeded.append(finished(child, now))
        elif (slot := slot_of_name(cron.key.name, child.name)) is not None:
            others.append(slot - _SECOND)
            if not child.ended:
                running.add(slot)
    moments += succeeded
    fired = latest.slot if latest is not None and latest.outcome in _FIRED else cron.status.last_scheduled_time
    if not succeeded and cron.status.succeeded and fired is not None:
        moments.append(min([fired, *others]))
    if latest is not None:
        if (until := excused(latest)) is not None:
            moments.append(until)
        if latest.slot in running:
            moments.append(latest.slot - _SECOND)
    return max(moments)


def finished(child: Child, otherwise: datetime) -> datetime:
    """When a child ended. otherwise: where its status does not say."""
    return _moment(child.finished_at) or otherwise


def slot_of(body: Mapping[str, Any], cron_name: str) -> datetime | None:
    """The slot that a child was made for: as annotated (a manual one's is when it was asked for), else by its name, else
    when it was created; None = it says nothing."""
    metadata = body.get("metadata") or {}
    noted = (metadata.get("annotations") or {}).get(labels.SCHEDULED_TIME)
    name = slot_of_name(cron_name, str(metadata.get("name", "")))
    return _moment(noted) or name or _moment(metadata.get("creationTimestamp"))


def slot_of_name(cron_name: str, name: str) -> datetime | None:
    """The slot in a child's name, the reverse of `firing.child_name`; None = it has none (started by hand).

    >>> slot_of_name("nightly", "nightly-1795311000"), slot_of_name("nightly", "nightly-x7k2p")
    (datetime.datetime(2026, 11, 22, 1, 30, tzinfo=datetime.timezone.utc), None)
    """
    digits = name.removeprefix(f"{cron_name}-")
    if digits == name or len(digits) not in _DIGITS or not (digits.isascii() and digits.isdigit()):
        return None
    return _EPOCH + timedelta(seconds=int(digits))


_EPOCH: Final = parse_rfc3339("1970-01-01T00:00:00Z")


def _moment(text: Any) -> datetime | None:
    try:
        return parse_rfc3339(text) if isinstance(text, str) and text else None
    except ValueError:
        return None
