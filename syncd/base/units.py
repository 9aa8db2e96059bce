"""Durations and quantities as people write them in Argo and Kubernetes.

In: text. Out: timedelta, Decimal, or text again. Called by `argo`, `engine`, `validate`, `config` and `cli`.
A timedelta counts microseconds where Go counts nanoseconds: what is finer is cut off toward zero.
"""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal, InvalidOperation

_NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # U+00B5, micro sign
    "μs": 1_000,  # U+03BC, Greek letter mu
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_PART = re.compile(r"([0-9]*)(\.[0-9]*)?([^0-9.]*)")
_LIMIT = 1 << 63
_LONGEST = 128  # characters of a duration or a quantity that anybody could mean

_SUFFIXES = {
    "n": Decimal(10) ** -9,
    "u": Decimal(10) ** -6,
    "m": Decimal(10) ** -3,
    "": Decimal(1),
    "k": Decimal(10) ** 3,
    "M": Decimal(10) ** 6,
    "G": Decimal(10) ** 9,
    "T": Decimal(10) ** 12,
    "P": Decimal(10) ** 15,
    "E": Decimal(10) ** 18,
    "Ki": Decimal(2) ** 10,
    "Mi": Decimal(2) ** 20,
    "Gi": Decimal(2) ** 30,
    "Ti": Decimal(2) ** 40,
    "Pi": Decimal(2) ** 50,
    "Ei": Decimal(2) ** 60,
}
_QUANTITY = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(?:([eE][+-]?[0-9]{1,4})|([A-Za-z]{0,2}))", re.ASCII)


def parse_duration(text: str) -> timedelta:
    """The duration that Go's time.ParseDuration reads. Raises ValueError with Go's message for anything else.

    >>> parse_duration("1h30m"), parse_duration("-1.5h"), parse_duration("0")
    (datetime.timedelta(seconds=5400), datetime.timedelta(days=-1, seconds=81000), datetime.timedelta(0))
    """
    return timedelta(microseconds=int(parse_nanoseconds(text) / 1000))


def parse_nanoseconds(text: str) -> int:
    """Like `parse_duration`, as Go's own number of nanoseconds."""
    quoted = go_quote(text)
    rest = text
    if len(text) > _LONGEST:
        raise ValueError(f"time: invalid duration {go_quote(text[:_LONGEST] + '…')}")
    sign = 1
    if rest[:1] in ("-", "+"):
        sign = -1 if rest[0] == "-" else 1
        rest = rest[1:]
    if rest == "0":
        return 0
    if not rest:
        raise ValueError(f"time: invalid duration {quoted}")
    total = 0
    while rest:
        part = _PART.match(rest)
        whole, fraction, unit = (part[1], part[2] or "", part[3]) if part else ("", "", "")
        if not (whole or len(fraction) > 1) or not (whole + fraction).isascii():
            raise ValueError(f"time: invalid duration {quoted}")
        if not unit:
            raise ValueError(f"time: missing unit in duration {quoted}")
        if unit not in _NANOSECONDS:
            raise ValueError(f"time: unknown unit {go_quote(unit)} in duration {quoted}")
        scale = _NANOSECONDS[unit]
        total += int(whole or "0") * scale
        if len(fraction) > 1:
            total += int(fraction[1:]) * scale // 10 ** (len(fraction) - 1)
        if total > _LIMIT or (total == _LIMIT and sign > 0):
            raise ValueError(f"time: invalid duration {quoted}")
        rest = rest[len(whole) + len(fraction) + len(unit) :]
    return sign * total


def parse_duration_or_seconds(text: str) -> timedelta:
    """Argo's way: a bare whole number is seconds, else Go's duration (v4.1.2 v1alpha1/utils.go ParseStringToDuration).

    Raises ValueError. Argo knows no days here: `1d` is refused.

    >>> parse_duration_or_seconds("20"), parse_duration_or_seconds("2m")
    (datetime.timedelta(seconds=20), datetime.timedelta(seconds=120))
    """
    if re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        seconds = int(text)
        if abs(seconds) * 1_000_000_000 >= _LIMIT:
            raise ValueError(f"unable to parse {text} as a duration: out of range")
        return timedelta(seconds=seconds)
    try:
        return parse_duration(text)
    except ValueError as error:
        raise ValueError(f"unable to parse {text[:_LONGEST]} as a duration: {error}") from None


def go_duration(duration: timedelta) -> str:
    """Go's Duration.String().

    >>> [go_duration(timedelta(seconds=s)) for s in (0, 5400, 2.5, 0.1, -61, 0.000001)]
    ['0s', '1h30m0s', '2.5s', '100ms', '-1m1s', '1µs']
    """
    micro = (duration.days * 86_400 + duration.seconds) * 1_000_000 + duration.microseconds
    return go_nanoseconds(micro * 1000)


def go_nanoseconds(nanoseconds: int) -> str:
    """Like `go_duration`, of Go's own number of nanoseconds."""
    if nanoseconds == 0:
        return "0s"
    sign, rest = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    for unit in ("ns", "µs", "ms"):
        if rest < 1000 * _NANOSECONDS[unit]:
            return sign + _decimal(rest, _NANOSECONDS[unit]) + unit
    minutes, rest = divmod(rest, _NANOSECONDS["m"])
    text = _decimal(rest, _NANOSECONDS["s"]) + "s"
    if minutes:
        hours, minutes = divmod(minutes, 60)
        text = f"{minutes}m{text}"
        if hours:
            text = f"{hours}h{text}"
    return sign + text


def _decimal(value: int, scale: int) -> str:
    """value/scale without trailing zeros."""
    whole, rest = divmod(value, scale)
    if not rest:
        return str(whole)
    digits = len(str(scale)) - 1
    return f"{whole}.{rest:0{digits}d}".rstrip("0")


def human_duration(duration: timedelta) -> str:
    """Argo's short form: one unit, cut off (v4.1.2 util/humanize RelativeDurationShort).

    >>> [human_duration(timedelta(seconds=s)) for s in (0.5, 1.5, 10, 60, 3 * 3600, 2 * 86400, 20 * 86400)]
    ['0s', '1s', '10s', '1m', '3h', '2d', '20d']
    """
    seconds = int(abs(duration).total_seconds())
    for limit, unit, scale in ((60, "s", 1), (3600, "m", 60), (86_400, "h", 3600)):
        if seconds < limit:
            return f"{seconds // scale}{unit}"
    return f"{seconds // 86_400}d"


def human_duration_long(duration: timedelta) -> str:
    """Argo's long form with up to two units, as `argo get` prints it (v4.1.2 util/humanize Duration).

    >>> [human_duration_long(timedelta(seconds=s)) for s in (0, 1, 59, 60, 125, 3661, 90000)]
    ['0 seconds', '1 second', '59 seconds', '1 minute 0 seconds', '2 minutes 5 seconds', '1 hour 1 minutes', '1 day 1 hours']
    """
    seconds = int(abs(duration).total_seconds())
    if seconds < 60:
        return _truncated(seconds)
    if seconds < 3600:
        return f"{_truncated(seconds)} {seconds % 60} seconds"
    if seconds < 86_400:
        return f"{_truncated(seconds)} {seconds // 60 % 60} minutes"
    return f"{_truncated(seconds)} {seconds // 3600 % 24} hours"


_DAY = 86_400
_MAGNITUDES = (
    (60, "second", 1),
    (3600, "minute", 60),
    (_DAY, "hour", 3600),
    (7 * _DAY, "day", _DAY),
    (30 * _DAY, "week", 7 * _DAY),
    (360 * _DAY, "month", 30 * _DAY),
    (540 * _DAY, "year", 360 * _DAY),
    (720 * _DAY, "year", 270 * _DAY),  # from a year and a half on it says "2 years"
)


def _truncated(seconds: int) -> str:
    for limit, unit, scale in (*_MAGNITUDES, (None, "year", 360 * _DAY)):
        if limit is None or seconds < limit:
            count = seconds // scale
            return f"{count} {unit}" + ("" if count == 1 else "s")
    raise AssertionError("the last row has no limit")


def parse_quantity(text: str) -> Decimal:
    """A Kubernetes quantity (`500m`, `1.5Gi`, `1e3`). Raises ValueError.

    >>> parse_quantity("500m"), parse_quantity("1.5Ki"), parse_quantity("12E")
    (Decimal('0.500'), Decimal('1536.0'), Decimal('12000000000000000000'))
    """
    found = _QUANTITY.fullmatch(text) if len(text) <= _LONGEST else None
    if found is not None:
        number, exponent, suffix = found.groups()
        try:
            if exponent:
                return Decimal(number + exponent)
            if (suffix or "") in _SUFFIXES:
                return Decimal(number) * _SUFFIXES[suffix or ""]
        except InvalidOperation:
            pass
    raise ValueError(
        f"quantity {text[:_LONGEST]!r} is not a number with one of the suffixes n u m k M G T P E Ki Mi Gi Ti Pi Ei"
    )


def go_quote(text: str) -> str:
    """Go's %q for the plain texts that occur in its messages.

    >>> go_quote('a"b')
    '"a\\\\"b"'
    """
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t") + '"'
