"""Go's time layouts: parsing and formatting moments by example (`2006-01-02 15:04:05`). Called by `builtins`, `sprig`, `methods`.

In: a layout, and a text or an aware datetime. Out: an aware datetime, or text. Go 1.24 time/format.go.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

RFC3339: Final = "2006-01-02T15:04:05Z07:00"

USUAL_LAYOUTS: Final = (
    "2006-01-02",
    "15:04:05",
    "2006-01-02 15:04:05",
    RFC3339,
    "02 Jan 06 15:04 MST",
    "Monday, 02-Jan-06 15:04:05 MST",
    "Mon, 02 Jan 2006 15:04:05 MST",
)
"""What expr-lang's `date` tries, in this order."""

_MONTHS: Final = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_DAYS: Final = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]

_PART: Final = re.compile(
    r"January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|2006|__2|_2006|_2|-07:00:00|-07:00|-070000|-0700|-07|Z07:00:00|Z07:00"
    r"|Z070000|Z0700|Z07|002|01|02|03|04|05|06|15|PM|pm|[.,]0+(?![0-9])|[.,]9+(?![0-9])|1|2|3|4|5"
)


@lru_cache(maxsize=256)
def _parts(layout: str) -> tuple[tuple[bool, str], ...]:
    """The layout cut into (is it a part, text)."""
    result: list[tuple[bool, str]] = []
    done = 0
    for found in _PART.finditer(layout):
        if found.start() > done:
            result.append((False, layout[done : found.start()]))
        if found[0] == "_2006":
            result += [(False, "_"), (True, "2006")]
        else:
            result.append((True, found[0]))
        done = found.end()
    if done < len(layout):
        result.append((False, layout[done:]))
    return tuple(result)


def zone(name: str) -> tzinfo:
    """The zone of that name; "" and "UTC" are UTC, and "Local" too, since a server's own zone must not matter.

    Raises ValueError for an unknown one.
    """
    if name in ("", "UTC", "Local"):
        return UTC
    if len(name) > 100 or not re.fullmatch(r"[A-Za-z0-9_+\-/]+", name) or ".." in name or name.startswith("/"):
        raise ValueError(f"unknown time zone {name[:100]}")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError, ValueError):
        raise ValueError(f"unknown time zone {name[:100]}") from None


def _offset(value: datetime, colon: bool, seconds: bool = False, minutes: bool = True) -> str:
    offset = value.utcoffset() or timedelta(0)
    total = int(offset.total_seconds())
    sign, total = ("-", -total) if total < 0 else ("+", total)
    pieces = [f"{total // 3600:02d}"]
    if minutes:
        pieces.append(f"{total // 60 % 60:02d}")
    if seconds:
        pieces.append(f"{total % 60:02d}")
    return sign + (":" if colon else "").join(pieces)


def format(layout: str, value: datetime) -> str:  # noqa: A001  # Go's word
    """The moment as the layout shows it.

    >>> format("Mon Jan _2 15:04:05.000 2006", datetime(2024, 1, 2, 3, 4, 5, 678901, tzinfo=UTC))
    'Tue Jan  2 03:04:05.678 2024'
    """
    return "".join(_show(text, value) if part else text for part, text in _parts(layout))


def _show(part: str, t: datetime) -> str:
    hour = t.hour % 12 or 12
    simple = {
        "January": _MONTHS[t.month - 1],
        "Jan": _MONTHS[t.month - 1][:3],
        "01": f"{t.month:02d}",
        "1": str(t.month),
        "Monday": _DAYS[t.weekday()],
        "Mon": _DAYS[t.weekday()][:3],
        "02": f"{t.day:02d}",
        "_2": f"{t.day:2d}",
        "2": str(t.day),
        "002": f"{t.timetuple().tm_yday:03d}",
        "__2": f"{t.timetuple().tm_yday:3d}",
        "15": f"{t.hour:02d}",
        "03": f"{hour:02d}",
        "3": str(hour),
        "04": f"{t.minute:02d}",
        "4": str(t.minute),
        "05": f"{t.second:02d}",
        "5": str(t.second),
        "2006": f"{t.year:04d}",
        "06": f"{t.year % 100:02d}",
        "PM": "AM" if t.hour < 12 else "PM",
        "pm": "am" if t.hour < 12 else "pm",
        "MST": t.tzname() or _offset(t, colon=False),
    }
    if part in simple:
        return simple[part]
    if part[0] in ".,":
        digits = f"{t.microsecond:06d}".ljust(len(part) - 1, "0")[: len(part) - 1]
        if part[1] == "9":
            digits = digits.rstrip("0")
            return part[0] + digits if digits else ""
        return part[0] + digits
    if part[0] == "Z" and not t.utcoffset():
        return "Z"
    return _offset(t, ":" in part, seconds=len(part.replace(":", "")) == 7, minutes=len(part) > 3)


_PATTERNS: Final = {
    "January": "(" + "|".join(_MONTHS) + ")",
    "Jan": "(" + "|".join(m[:3] for m in _MONTHS) + ")",
    "Monday": "(" + "|".join(_DAYS) + ")",
    "Mon": "(" + "|".join(d[:3] for d in _DAYS) + ")",
    "2006": "([0-9]{4})",
    "06": "([0-9]{2})",
    "01": "([0-9]{2})",
    "1": "([0-9]{1,2})",
    "02": "([0-9]{2})",
    "_2": " ?([0-9]{1,2})",
    "2": "([0-9]{1,2})",
    "002": "([0-9]{3})",
    "__2": " {0,2}([0-9]{1,3})",
    "15": "([0-9]{1,2})",
    "03": "([0-9]{2})",
    "3": "([0-9]{1,2})",
    "04": "([0-9]{2})",
    "4": "([0-9]{1,2})",
    "05": r"([0-9]{2}(?:[.,][0-9]{1,9})?)",
    "5": r"([0-9]{1,2}(?:[.,][0-9]{1,9})?)",
    "PM": "(AM|PM)",
    "pm": "(am|pm)",
    "MST": "([A-Z]{3,5}|[+-][0-9]{2}(?:[0-9]{2})?)",
}


@lru_cache(maxsize=256)
def _pattern(layout: str) -> tuple[re.Pattern[str], tuple[str, ...]]:
    pieces: list[str] = []
    names: list[str] = []
    parts = _parts(layout)
    for index, (is_part, text) in enumerate(parts):
        if not is_part:
            pieces.append(re.escape(text))
            continue
        names.append(text)
        if text[0] in ".,":
            pieces.append(f"([.,][0-9]{{{len(text) - 1}}})" if text[1] == "0" else "([.,][0-9]{1,9})?")
        elif text[0] in "-Z" and text not in _PATTERNS:
            body = "[0-9]{2}" + (":" if ":" in text else "") + "[0-9]{2}" if len(text) > 3 else "[0-9]{2}"
            if len(text.replace(":", "")) == 7:
                body += (":" if ":" in text else "") + "[0-9]{2}"
            pieces.append(f"(Z|[+-]{body})" if text[0] == "Z" else f"([+-]{body})")
        else:
            fraction_follows = index + 1 < len(parts) and parts[index + 1][0] and parts[index + 1][1][0] in ".,"
            pattern = _PATTERNS[text]
            pieces.append("([0-9]{1,2})" if fraction_follows and text in ("05", "5") else pattern)
    return re.compile("".join(pieces), re.IGNORECASE | re.ASCII), tuple(names)


def parse(layout: str, text: str, default_zone: tzinfo | None = None) -> datetime:
    """The moment that the text means by the layout; without a zone in the text it is in `default_zone`, None = UTC.

    Raises ValueError. Years before 1 (Go's default year is 0) become year 1.

    >>> parse("2006-01-02 15:04", "2024-02-03 04:05").isoformat()
    '2024-02-03T04:05:00+00:00'
    """
    pattern, names = _pattern(layout)
    found = pattern.fullmatch(text) if len(text) <= 200 else None
    if found is None:
        raise ValueError(f'parsing time "{text[:100]}" as "{layout[:100]}": cannot parse')
    given = {name: value for name, value in zip(names, found.groups(), strict=True) if value is not None}
    try:
        return _moment(given, default_zone or UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f'parsing time "{text[:100]}": {error}') from None


def _moment(given: dict[str, str], at: tzinfo) -> datetime:
    year, month, day, hour, minute, second, micro = 1, 1, 1, 0, 0, 0, 0
    day_of_year: int | None = None
    afternoon: bool | None = None
    for name, value in given.items():
        match name:
            case "2006":
                year = int(value) or 1
            case "06":
                year = int(value) + (1900 if int(value) >= 69 else 2000)
            case "January" | "Jan":
                month = [m[:3].lower() for m in _MONTHS].index(value[:3].lower()) + 1
            case "01" | "1":
                month = int(value)
            case "02" | "_2" | "2":
                day = int(value)
            case "002" | "__2":
                day_of_year = int(value)
            case "15" | "03" | "3":
                hour = int(value)
            case "04" | "4":
                minute = int(value)
            case "05" | "5":
                whole, _, fraction = value.replace(",", ".").partition(".")
                second = int(whole)
                if fraction:
                    micro = int(fraction.ljust(6, "0")[:6])
            case "PM" | "pm":
                afternoon = value.lower() == "pm"
            case "MST" | "Monday" | "Mon":
                pass  # an abbreviation names no zone; Go makes one up with offset 0, unless it is a number
            case _ if name[0] in ".,":
                micro = int(value[1:].ljust(6, "0")[:6])
            case _:
                at = _fixed(value)
        if name == "MST" and value[0] in "+-":
            at = _fixed(value)
    if afternoon is not None:
        if not 0 < hour <= 12:
            raise ValueError("hour out of range")
        hour = hour % 12 + (12 if afternoon else 0)
    moment = datetime(year, month, day, hour, minute, second, micro, at)
    return moment if day_of_year is None else moment + timedelta(days=day_of_year - 1)


def _fixed(offset: str) -> tzinfo:
    if offset in "Zz":
        return UTC
    digits = offset[1:].replace(":", "").ljust(6, "0")
    delta = timedelta(hours=int(digits[:2]), minutes=int(digits[2:4]), seconds=int(digits[4:6]))
    return timezone(-delta if offset[0] == "-" else delta) if delta else UTC
