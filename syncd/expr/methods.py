"""The methods that Go's times, durations and versions have, as far as a workflow needs them. Called by `closures`.

In: a value, the name of a method, its arguments. Out: a value. A literal table per type.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final

from syncd.base import units
from syncd.expr import gotext, gotime, values
from syncd.expr.semver import Version
from syncd.expr.values import EvaluationProblem

_ZERO: Final = datetime(1, 1, 1, tzinfo=UTC)


def _nanoseconds(value: timedelta) -> int:
    return ((value.days * 86_400 + value.seconds) * 1_000_000 + value.microseconds) * 1000


def _epoch(value: datetime) -> timedelta:
    return value - datetime(1970, 1, 1, tzinfo=UTC)


_TIME: Final[dict[tuple[str, tuple[type, ...]], Callable[..., Any]]] = {
    ("Year", ()): lambda t: t.year,
    ("Month", ()): lambda t: t.month,
    ("Day", ()): lambda t: t.day,
    ("YearDay", ()): lambda t: t.timetuple().tm_yday,
    ("Weekday", ()): lambda t: t.isoweekday() % 7,
    ("Hour", ()): lambda t: t.hour,
    ("Minute", ()): lambda t: t.minute,
    ("Second", ()): lambda t: t.second,
    ("Nanosecond", ()): lambda t: t.microsecond * 1000,
    ("Unix", ()): lambda t: _epoch(t) // timedelta(seconds=1),
    ("UnixMilli", ()): lambda t: _epoch(t) // timedelta(milliseconds=1),
    ("UnixMicro", ()): lambda t: _epoch(t) // timedelta(microseconds=1),
    ("UnixNano", ()): lambda t: _nanoseconds(_epoch(t)),
    ("UTC", ()): lambda t: t.astimezone(UTC),
    ("Local", ()): lambda t: t.astimezone(UTC),
    ("IsZero", ()): lambda t: t == _ZERO,
    ("String", ()): gotext.text,
    ("Format", (str,)): lambda t, layout: gotime.format(layout, t),
    ("In", (tzinfo,)): lambda t, zone: t.astimezone(zone),
    ("Add", (timedelta,)): values.add,
    ("Sub", (datetime,)): values.subtract,
    ("AddDate", (int, int, int)): lambda t, y, m, d: _add_date(t, y, m, d),
    ("After", (datetime,)): lambda t, other: t > other,
    ("Before", (datetime,)): lambda t, other: t < other,
    ("Equal", (datetime,)): lambda t, other: t == other,
    ("Truncate", (timedelta,)): lambda t, d: t - (t - _ZERO) % d if d > timedelta(0) else t,
}

_DURATION: Final[dict[tuple[str, tuple[type, ...]], Callable[..., Any]]] = {
    ("Hours", ()): lambda d: d / timedelta(hours=1),
    ("Minutes", ()): lambda d: d / timedelta(minutes=1),
    ("Seconds", ()): lambda d: d / timedelta(seconds=1),
    ("Milliseconds", ()): lambda d: int(d / timedelta(milliseconds=1)),
    ("Microseconds", ()): lambda d: int(d / timedelta(microseconds=1)),
    ("Nanoseconds", ()): _nanoseconds,
    ("Abs", ()): abs,
    ("String", ()): units.go_duration,
    ("Round", (timedelta,)): lambda d, to: _round(d, to),
    ("Truncate", (timedelta,)): lambda d, to: d if to <= timedelta(0) else _sign(d) * (abs(d) - abs(d) % to),
}

_VERSION: Final[dict[tuple[str, tuple[type, ...]], Callable[..., Any]]] = {
    ("Major", ()): lambda v: v.major,
    ("Minor", ()): lambda v: v.minor,
    ("Patch", ()): lambda v: v.patch,
    ("Prerelease", ()): lambda v: v.prerelease,
    ("Metadata", ()): lambda v: v.metadata,
    ("String", ()): str,
    ("Compare", (Version,)): lambda v, other: (v.key() > other.key()) - (v.key() < other.key()),
    ("Equal", (Version,)): lambda v, other: v.key() == other.key(),
    ("GreaterThan", (Version,)): lambda v, other: v.key() > other.key(),
    ("LessThan", (Version,)): lambda v, other: v.key() < other.key(),
}

_TABLES: Final = ((datetime, _TIME), (timedelta, _DURATION), (Version, _VERSION))


def _add_date(t: datetime, years: int, months: int, days: int) -> datetime:
    month = t.month - 1 + months
    first = t.replace(year=t.year + years + month // 12, month=month % 12 + 1, day=1)
    return first + timedelta(days=t.day - 1 + days)


def _sign(d: timedelta) -> int:
    return -1 if d < timedelta(0) else 1


def _round(d: timedelta, to: timedelta) -> timedelta:
    """Halves go away from zero."""
    return d if to <= timedelta(0) else _sign(d) * ((abs(d) + to / 2) // to * to)


def call(receiver: Any, method: str, arguments: list[Any]) -> Any:
    """receiver.method(arguments). Raises EvaluationProblem where there is no such method, or not for these arguments."""
    if receiver is None:
        raise EvaluationProblem(f"cannot fetch {method} from <nil>")
    table = next((table for type_, table in _TABLES if isinstance(receiver, type_)), {})
    for (name, wanted), function in table.items():
        if name != method:
            continue
        if len(wanted) != len(arguments) or not all(map(isinstance, arguments, wanted)):
            break
        try:
            return function(receiver, *arguments)
        except (ValueError, OverflowError) as error:
            raise EvaluationProblem(f"{method}: time out of range: {error}") from None
    shown = ", ".join(values.go_type(argument) for argument in arguments)
    raise EvaluationProblem(f"{values.go_type(receiver)} has no method {method}({shown})")
