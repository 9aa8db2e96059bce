"""Sprig's dates. Called by `sprig` only. sprig v3.3.0 date.go; "Local" is UTC here, since a server's zone must not matter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from syncd.base import units
from syncd.expr import gotime, values
from syncd.expr.values import EvaluationProblem

if TYPE_CHECKING:
    from syncd.expr.run import Run

_ZERO = datetime(1, 1, 1, tzinfo=UTC)


def _moment(run: Run, at: Any) -> datetime:
    """A time, seconds since 1970, or else now."""
    if isinstance(at, datetime):
        return at
    if type(at) is int:
        try:
            return datetime.fromtimestamp(at, UTC)
        except (ValueError, OverflowError, OSError):
            raise EvaluationProblem(f"time {at} is out of range") from None
    return run.now()


def show(run: Run, layout: str, at: Any, zone: str) -> str:
    """The moment by Go's layout; an unknown zone is UTC, as in sprig."""
    try:
        target = gotime.zone(zone)
    except ValueError:
        target = UTC
    return gotime.format(layout, _moment(run, at).astimezone(target))


def ago(run: Run, at: Any) -> str:
    """How long ago, in whole seconds."""
    passed = run.now() - _moment(run, at)
    return units.go_duration(timedelta(seconds=round(passed.total_seconds())))


def modify(text: str, at: datetime) -> datetime:
    """at + the duration; unchanged where that cannot be read."""
    try:
        return at + units.parse_duration(text)
    except (ValueError, OverflowError):
        return at


def must_modify(text: str, at: datetime) -> datetime:
    """at + the duration."""
    try:
        return at + units.parse_duration(text)
    except (ValueError, OverflowError) as error:
        raise EvaluationProblem(str(error)) from None


def duration(seconds: Any) -> str:
    """Seconds as a duration: `95` → `1m35s`; what is no number is none."""
    number = 0
    if isinstance(seconds, str):
        body = seconds.removeprefix("+").removeprefix("-")
        number = int(seconds) if body.isdecimal() and body.isascii() and len(body) < 19 else 0
    elif type(seconds) is int:
        number = seconds
    return units.go_nanoseconds(values.wrap(number * 1_000_000_000))


def duration_round(run: Run, span: Any) -> str:
    """A duration in its largest unit: `2400h10m` → `3mo`."""
    nanoseconds = 0
    if isinstance(span, str):
        try:
            nanoseconds = units.parse_nanoseconds(span)
        except ValueError:
            nanoseconds = 0
    elif type(span) is int:
        nanoseconds = span
    elif isinstance(span, datetime):
        nanoseconds = (run.now() - span) // timedelta(microseconds=1) * 1000
    hour = 3600 * 10**9
    table = (
        (365 * 24 * hour, "y"),
        (30 * 24 * hour, "mo"),
        (24 * hour, "d"),
        (hour, "h"),
        (60 * 10**9, "m"),
        (10**9, "s"),
    )
    for size, unit in table:
        if abs(nanoseconds) > size:
            return f"{abs(nanoseconds) // size}{unit}"
    return "0s"


def to_date(layout: str, text: str) -> datetime:
    """The moment that the text means; Go's zero time where it means none."""
    try:
        return gotime.parse(layout, text)
    except ValueError:
        return _ZERO


def must_to_date(layout: str, text: str) -> datetime:
    """The moment that the text means."""
    try:
        return gotime.parse(layout, text)
    except ValueError as error:
        raise EvaluationProblem(str(error)) from None


def unix_epoch(at: datetime) -> str:
    """Seconds since 1970."""
    return str((at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1))
