"""The text of a schedule, read exactly as Argo reads it: robfig/cron v3.0.1 ParseStandard, its forms and its complaints.

In: `30 2 * * mon-fri`, `@daily`, `@every 1h30m`. Out: `Fields` (a set of bits per field) or `Every` (a period).
A time zone in front of the text is `schedule.parse`'s business, which is the only caller.
Descriptors and names are not extended: what Argo refuses is refused, so that a schedule means the same in both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from syncd.base.errors import Invalid

MAX_LENGTH: Final = 1000
"""Characters. Longer text is refused unread: a repository is hostile until proved otherwise."""

SPACE: Final = "\t\n\v\f\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""What Go's unicode.IsSpace knows; Python's str.split() also splits at \\x1c..\\x1f."""

_NOT_SPACE: Final = re.compile(f"[^{SPACE}]+")

_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1
    )
}
_WEEKDAYS: Final = {name: number for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}

# (lowest, highest, names), in the order of the text: minute, hour, day of month, month, day of week
_BOUNDS: Final[tuple[tuple[int, int, dict[str, int]], ...]] = (
    (0, 59, {}),
    (0, 23, {}),
    (1, 31, {}),
    (1, 12, _MONTHS),
    (0, 6, _WEEKDAYS),
)

_DESCRIPTORS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


@dataclass(frozen=True, slots=True)
class Fields:
    """Five sets of numbers, bit n = the number n. day_star, weekday_star: that field was `*` or `?` (step 1).

    A star in either day field means that both must match; none, that either may: robfig's rule, and Vixie's.
    """

    minutes: int
    hours: int
    days: int
    months: int
    weekdays: int
    day_star: bool
    weekday_star: bool

    def day_matches(self, day: int, weekday: int) -> bool:
        """Whether a day of the month (1..31) that is this weekday (0 = Sunday) is meant."""
        by_day = bool(self.days >> day & 1)
        by_weekday = bool(self.weekdays >> weekday & 1)
        if self.day_star or self.weekday_star:
            return by_day and by_weekday
        return by_day or by_weekday

    @property
    def impossible(self) -> bool:
        """Whether some field is empty (`,` is read as no number at all), so that no moment can match."""
        either = not (self.day_star or self.weekday_star)
        no_day = not (self.days or (either and self.weekdays)) or not (self.weekdays or (either and self.days))
        return no_day or not (self.minutes and self.hours and self.months)

    @property
    def explicit(self) -> str:
        """The same five fields without names, ranges and steps, which every reader of cron reads alike.

        A day field that decides nothing is `*`, one that does never is: so "both days, or either" is no question any
        more. Not for what is `impossible`.

        >>> parse("*/20 9-11 ? jan sun/5").explicit
        '0,20,40 9,10,11 * 1 0,5'
        """
        days = "*" if self.day_star or not self.days else _numbers(self.days)
        weekdays = "*" if self.weekday_star or not self.weekdays else _numbers(self.weekdays)
        return f"{_numbers(self.minutes)} {_numbers(self.hours)} {days} {_numbers(self.months)} {weekdays}"


@dataclass(frozen=True, slots=True)
class Every:
    """`@every DURATION`, in whole seconds, at least one."""

    seconds: int


@lru_cache(maxsize=4096)
def parse(text: str) -> Fields | Every:
    """What `text` (without a time zone) says. Raises Invalid with robfig's own words.

    >>> parse("@every 1500ms")
    Every(seconds=1)
    >>> parse("0 9 * * 7")
    Traceback (most recent call last):
    syncd.base.errors.Invalid: end of range (7) above maximum (6): 7
    """
    if len(text) > MAX_LENGTH:
        raise Invalid(f"schedule has {len(text)} characters; at most {MAX_LENGTH} are read")
    if not text:
        raise Invalid("empty spec string")
    if text.startswith("@"):
        return _descriptor(text)
    words = _NOT_SPACE.findall(text)
    if len(words) != len(_BOUNDS):
        raise Invalid(f"expected exactly 5 fields, found {len(words)}: [{' '.join(words)}]")
    (minutes, _), (hours, _), (days, day_star), (months, _), (weekdays, weekday_star) = (
        _field(word, *bounds) for word, bounds in zip(words, _BOUNDS, strict=True)
    )
    return Fields(minutes, hours, days, months, weekdays, day_star, weekday_star)


def trim(text: str) -> str:
    """Without white space at both ends, as Go's strings.TrimSpace."""
    first = _NOT_SPACE.search(text)
    return "" if first is None else re.sub(f"[{SPACE}]+\\Z", "", text[first.start() :])


def _numbers(bits: int) -> str:
    return ",".join(str(number) for number in range(bits.bit_length()) if bits >> number & 1)


def _descriptor(text: str) -> Fields | Every:
    if (fields := _DESCRIPTORS.get(text)) is not None:
        return parse(fields)
    every = "@every "
    if not text.startswith(every):
        raise Invalid(f"unrecognized descriptor: {text}")
    try:
        nanoseconds = go_duration_nanoseconds(text[len(every) :])
    except Invalid as complaint:
        raise Invalid(f"failed to parse duration {text}: {complaint}") from None
    return Every(max(1, nanoseconds // 1_000_000_000))


def _field(text: str, low: int, high: int, names: dict[str, int]) -> tuple[int, bool]:
    """The bits of a comma-separated list, and whether one of its parts was a star."""
    bits, star = 0, False
    for part in text.split(","):
        if part:  # empty parts are passed over, as strings.FieldsFunc does
            more, is_star = _range(part, low, high, names)
            bits |= more
            star = star or is_star
    return bits, star


def _range(text: str, low: int, high: int, names: dict[str, int]) -> tuple[int, bool]:
    """The bits of `*`, `n`, `n-m`, each with an optional `/step`."""
    bounds, *steps = text.split("/")
    first, *rest = bounds.split("-")
    star = first in ("*", "?")
    if star:
        start, end = low, high  # whatever follows a hyphen is not even read: robfig takes `*-5` for `*`
    else:
        start = end = _number_or_name(first, names)
        if len(rest) == 1:
            end = _number_or_name(rest[0], names)
        elif rest:
            raise Invalid(f"too many hyphens: {text}")
    step = 1
    if len(steps) == 1:
        step = _number(steps[0])
        if not rest:
            end = high  # `5/15` means `5-59/15`
        star = star and step <= 1
    elif steps:
        raise Invalid(f"too many slashes: {text}")
    if start < low:
        raise Invalid(f"beginning of range ({start}) below minimum ({low}): {text}")
    if end > high:
        raise Invalid(f"end of range ({end}) above maximum ({high}): {text}")
    if start > end:
        raise Invalid(f"beginning of range ({start}) beyond end of range ({end}): {text}")
    if step == 0:
        raise Invalid(f"step of range should be a positive number: {text}")
    bits = 0
    for number in range(start, end + 1, step):
        bits |= 1 << number
    return bits, star


def _number_or_name(text: str, names: dict[str, int]) -> int:
    if (number := names.get(text.lower())) is not None:
        return number
    return _number(text)


def _number(text: str) -> int:
    """As strconv.Atoi: a sign and ASCII digits, within 64 bits."""
    if re.fullmatch(r"[+-]?[0-9]+", text) is None:
        raise Invalid(f"failed to parse int from {text}: strconv.Atoi: parsing {_quoted(text)}: invalid syntax")
    number = int(text)
    if not -(1 << 63) <= number < 1 << 63:
        raise Invalid(f"failed to parse int from {text}: strconv.Atoi: parsing {_quoted(text)}: value out of range")
    if number < 0:
        raise Invalid(f"negative number ({number}) not allowed: {text}")
    return number


_ESCAPES: Final = {"\\": "\\\\", '"': '\\"', "\a": "\\a", "\b": "\\b", "\v": "\\v", "\f": "\\f"}


def _quoted(text: str) -> str:
    """As Go's strconv.Quote, for the words that can stand in a field (no white space)."""
    shown = ""
    for character in text:
        if character in _ESCAPES:
            shown += _ESCAPES[character]
        elif character.isprintable():
            shown += character
        elif character < "\x80":
            shown += f"\\x{ord(character):02x}"
        else:
            shown += f"\\u{ord(character):04x}" if ord(character) < 0x10000 else f"\\U{ord(character):08x}"
    return f'"{shown}"'


_UNITS: Final = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # U+00B5, the micro sign
    "μs": 1_000,  # U+03BC, the Greek letter
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_PART: Final = re.compile(r"([0-9]*)(\.[0-9]*)?([^0-9.]*)")


def go_duration_nanoseconds(text: str) -> int:
    """Go's time.ParseDuration, in nanoseconds, with its complaints (Invalid).

    >>> go_duration_nanoseconds("1h30m")
    5400000000000
    """
    invalid = f"time: invalid duration {_quoted(text)}"
    rest, negative = text, False
    if rest[:1] in ("-", "+"):
        negative, rest = rest[0] == "-", rest[1:]
    if rest == "0":
        return 0
    if not rest:
        raise Invalid(invalid)
    total = 0
    while rest:
        part = _PART.match(rest)
        assert part is not None  # every group may be empty
        whole, fraction, unit = part[1], part[2] or "", part[3]
        if not whole and fraction in ("", "."):
            raise Invalid(invalid)
        if not unit:
            raise Invalid(f"time: missing unit in duration {_quoted(text)}")
        if (factor := _UNITS.get(unit)) is None:
            raise Invalid(f"time: unknown unit {_quoted(unit)} in duration {_quoted(text)}")
        total += int(whole or "0") * factor + int((fraction[1:] or "0")[:18]) * factor // 10 ** len(fraction[1:][:18])
        if total > 1 << 63 or (total == 1 << 63 and not negative):
            raise Invalid(invalid)
        rest = rest[part.end() :]
    return -total if negative else total
