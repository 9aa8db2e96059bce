"""The words for a row of the ledger, and for moments and spans: what `explain` and the command line say aloud.

In: rows, moments, time zones. Out: parts of sentences for people, without a full stop. Called by `explain`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from syncd.cron.ledger import Outcome, Reason, Row

# What a reason means; {run}, {late}, {message} are filled in. Said after "the slot of …".
_WORDS: Final[dict[tuple[Outcome, Reason], str]] = {
    (Outcome.PENDING, Reason.MANUAL): "was triggered by hand; {run} is being created",
    (Outcome.FIRED, Reason.ON_TIME): "fired on time as {run}",
    (Outcome.FIRED, Reason.MANUAL): "was triggered by hand{by} as {run}",
    (
        Outcome.CAUGHT_UP,
        Reason.GRACE,
    ): "fired {late} late as {run}: syncd was away at the time, but back within the grace",
    (
        Outcome.CAUGHT_UP,
        Reason.STARTING_DEADLINE,
    ): "fired {late} late as {run}: syncd was away at the time, and startingDeadlineSeconds allows that delay",
    (
        Outcome.CAUGHT_UP,
        Reason.CATCH_UP,
    ): "fired {late} late as {run}: syncd was away at the time, and syncd.io/catch-up asks to make up for it",
    (Outcome.SKIPPED, Reason.SUSPENDED): "did not fire: the cron was suspended",
    (Outcome.SKIPPED, Reason.CONCURRENCY): "did not fire: {message}",
    (Outcome.SKIPPED, Reason.WHEN): "did not fire: {message}",
    (Outcome.FAILED, Reason.WHEN): "did not fire: {message}",
    (Outcome.SKIPPED, Reason.STOPPED): "did not fire: the cron's stopStrategy has ended it",
    (Outcome.FAILED, Reason.STOPPED): "did not fire: {message}",
    (
        Outcome.SKIPPED,
        Reason.REPLACED_SCHEDULE,
    ): "did not fire: the schedules were changed after it, and slots before a change are not made up for",
    (
        Outcome.MISSED,
        Reason.DOWN,
    ): "was missed: syncd was not running at the time, and nothing asks to make up for it{note}",
    (Outcome.MISSED, Reason.TOO_LATE): "was missed: when syncd came to it, it was too late{note}",
    (Outcome.MISSED, Reason.DISK_FULL): "was missed: the disk was full, and starts were held back{note}",
    (Outcome.FAILED, Reason.SUBMISSION): "did not become a run: {message}",
    (Outcome.FAILED, Reason.NAME_TAKEN): "did not become a run: {message}",
    (Outcome.FAILED, Reason.DISK_FULL): "did not become a run: the disk is full{note}",
}

_REMEDIES: Final[dict[tuple[Outcome, Reason], str]] = {
    (Outcome.SKIPPED, Reason.SUSPENDED): "`syncd cron resume {name}` lets it fire again",
    (Outcome.SKIPPED, Reason.CONCURRENCY): "concurrencyPolicy Allow or Replace would have started it; "
    "`syncd list` shows what is active",
    (
        Outcome.SKIPPED,
        Reason.STOPPED,
    ): "remove the label cronworkflows.argoproj.io/completed and the status phase to begin anew",
    (Outcome.MISSED, Reason.DOWN): "startingDeadlineSeconds, or the annotation syncd.io/catch-up: latest, "
    "would have run it when syncd was back",
    (Outcome.MISSED, Reason.TOO_LATE): "a larger startingDeadlineSeconds would have allowed it",
    (Outcome.FAILED, Reason.NAME_TAKEN): "rename or delete the object that has the name",
    (Outcome.FAILED, Reason.WHEN): "correct spec.when in git",
    (Outcome.FAILED, Reason.STOPPED): "correct spec.stopStrategy.expression in git",
    (Outcome.FAILED, Reason.SUBMISSION): "correct the manifest in git; `syncd cron trigger {name}` tries it at once",
}


def fate(row: Row) -> str:
    """What became of the slot of a row, as the second half of a sentence; for every outcome and reason there is one."""
    words = _WORDS.get((row.outcome, row.reason))
    if words is None:
        if row.outcome is Outcome.PENDING:
            words = "is being fired as {run}; the run is not known to exist yet{note}"
        else:
            words = f"{row.outcome} ({row.reason}){{note}}"
    return words.format(
        run=row.run or "a run",
        late=span(row.decided_at - row.slot),
        message=row.message or str(row.reason),
        note=f" ({row.message})" if row.message else "",
        by=f" {row.message}" if row.message else "",
    )


def remedy(row: Row) -> str:
    """What to do about it; "" = nothing is wrong."""
    return _REMEDIES.get((row.outcome, row.reason), "").format(name=row.cron.name)


def moment(at: datetime, zone: tzinfo) -> str:
    """A moment for people, on the wall clock of `zone`, with UTC behind it where that is another.

    >>> from zoneinfo import ZoneInfo
    >>> moment(datetime(2026, 11, 22, 1, 30, tzinfo=UTC), ZoneInfo("Europe/Paris"))
    'Sun 2026-11-22 02:30 CET (01:30 UTC)'
    >>> moment(datetime(2026, 11, 22, 1, 30, tzinfo=UTC), UTC)
    'Sun 2026-11-22 01:30 UTC'
    """
    local = at.astimezone(zone)
    clock = "%H:%M:%S" if at.second else "%H:%M"
    text = local.strftime(f"%a %Y-%m-%d {clock} ") + (local.tzname() or "")
    if not local.utcoffset():
        return text
    utc = at.astimezone(UTC)
    day = "" if utc.date() == local.date() else utc.strftime("%Y-%m-%d ")
    return f"{text} ({day}{utc.strftime(clock)} UTC)"


def span(length: timedelta) -> str:
    """A span of time in its two largest units.

    >>> span(timedelta(hours=5, minutes=12, seconds=3))
    '5 h 12 m'
    """
    seconds = max(0, int(length.total_seconds()))
    units = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))
    for index, (size, name) in enumerate(units):
        if seconds >= size:
            whole, rest = divmod(seconds, size)
            text = f"{whole} {name}"
            if index + 1 < len(units) and (smaller := rest // units[index + 1][0]):
                text += f" {smaller} {units[index + 1][1]}"
            return text
    return "0 s"
