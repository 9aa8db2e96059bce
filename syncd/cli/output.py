"""What people see: a terminal with or without colours, tables as Argo's, times in words, objects as JSON or YAML.

Comes in: texts and JSON values. Goes out: lines on a stream. Called by every command. Texts of runs and repositories are
hostile: control characters are made visible before they reach a terminal.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TextIO

from syncd.base import units
from syncd.base.clock import parse_rfc3339
from syncd.base.errors import ConfigError

BOLD, RED, GREEN, YELLOW, BLUE, MAGENTA, CYAN, WHITE = 1, 31, 32, 33, 34, 35, 36, 37
POD_COLOURS: Final = (GREEN, YELLOW, BLUE, MAGENTA, CYAN, WHITE)
FORMS: Final = ("json", "yaml", "name", "wide")

_ESCAPES: Final = re.compile(r"\x1b\[[0-9;]*m")
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_HARMFUL: Final = re.compile(
    r"\x1b(?!\[[0-9;]{0,32}m)(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])?|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f]"
)


@dataclass(frozen=True, slots=True)
class Terminal:
    """Where a command speaks. colour: paint; utf8: draw with box characters and icons; live: a person looks at a screen."""

    stream: TextIO
    colour: bool = False
    utf8: bool = True
    live: bool = False

    def say(self, line: str = "") -> None:
        """One line, at once."""
        print(line, file=self.stream, flush=True)

    def write(self, text: str) -> None:
        """As it is."""
        self.stream.write(text)
        self.stream.flush()

    def paint(self, text: str, *codes: int) -> str:
        """`text` in these ANSI colours, where there are any."""
        if not self.colour or not text or not codes:
            return text
        return f"\x1b[{';'.join(map(str, codes))}m{text}\x1b[0m"


def terminal(stream: TextIO, *, no_color: bool = False, no_utf8: bool = False, env: Mapping[str, str]) -> Terminal:
    """The terminal on `stream`: colours only where a person looks, and neither NO_COLOR nor TERM=dumb says no."""
    live = stream.isatty()
    plain = no_color or bool(env.get("NO_COLOR")) or env.get("TERM") == "dumb"
    coloured = not plain and (live or bool(env.get("CLICOLOR_FORCE")))
    return Terminal(stream, coloured, not no_utf8 and _writes_utf8(stream), live)


def _writes_utf8(stream: TextIO) -> bool:
    try:
        "┬✔".encode(getattr(stream, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def clean(text: Any) -> str:
    """A text of a run or a repository in one line without control characters.

    >>> clean("a\\nb\\x1b[2J")
    'a b\\\\x1b[2J'
    """
    flat = str(text).replace("\r\n", " ").replace("\n", " ").replace("\t", " ")
    return _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", flat)


def harmless(line: str, *, colour: bool) -> str:
    """A log line for a screen: its colours stay where colours are wanted, everything else that moves a cursor goes."""
    line = _HARMFUL.sub("", line)
    return line if colour else _ESCAPES.sub("", line)


def table(rows: Sequence[Sequence[str]], gap: int = 3) -> list[str]:
    """Rows as lines with aligned columns; colours do not count, the last cell is never padded.

    >>> table([["NAME", "AGE"], ["hello", "3s"]])
    ['NAME    AGE', 'hello   3s']
    """
    widths: list[int] = []
    for row in rows:
        for index, cell in enumerate(row):
            width = len(cell) if "\x1b" not in cell else len(_ESCAPES.sub("", cell))
            if index == len(widths):
                widths.append(width)
            elif width > widths[index]:
                widths[index] = width
    lines = []
    for row in rows:
        line = ""
        for cell, width in zip(row, widths, strict=False):
            shown = len(cell) if "\x1b" not in cell else len(_ESCAPES.sub("", cell))
            line += cell + " " * (width - shown + gap)
        lines.append(line.rstrip())
    return lines


def as_text(value: Any, form: str) -> str:
    """`value` as `json` (indented) or `yaml`, without the last line break."""
    if form == "yaml":
        from syncd.cli import yamlwrite

        return yamlwrite.dump(value).removesuffix("\n")
    return json.dumps(value, indent=2, ensure_ascii=False)


def check_form(form: str, allowed: Iterable[str] = FORMS) -> str:
    """The output format that was asked for, "" = the usual one. Raises ConfigError."""
    if form and form not in allowed:
        raise ConfigError(f"output format {form!r} is unknown; use one of {', '.join(allowed)}")
    return form


def now() -> datetime:
    """The wall clock, UTC."""
    return datetime.now(UTC)


def moment(text: Any) -> datetime | None:
    """The moment that a field of an object names; None where it names none."""
    try:
        return parse_rfc3339(text) if isinstance(text, str) and text else None
    except (ValueError, OverflowError):
        return None


def age(text: Any, at: datetime) -> str:
    """How long ago the moment in `text` was, in Argo's short form; "N/A" where there is none."""
    found = moment(text)
    return "N/A" if found is None else units.human_duration(at - found)


def span(start: Any, finish: Any, at: datetime) -> str:
    """From one moment to another, or to now, in Argo's short form."""
    begun = moment(start)
    if begun is None:
        return "0s"
    return units.human_duration((moment(finish) or at) - begun)


_MAGNITUDES: Final = (
    (1, "now", 1),
    (2, "1 second {}", 1),
    (60, "{n} seconds {}", 1),
    (120, "1 minute {}", 1),
    (3600, "{n} minutes {}", 60),
    (7200, "1 hour {}", 1),
    (86_400, "{n} hours {}", 3600),
    (172_800, "1 day {}", 1),
    (604_800, "{n} days {}", 86_400),
    (1_209_600, "1 week {}", 1),
    (2_592_000, "{n} weeks {}", 604_800),
    (5_184_000, "1 month {}", 1),
    (31_104_000, "{n} months {}", 2_592_000),
    (46_656_000, "1 year {}", 1),
    (62_208_000, "2 years {}", 1),
)


def relative(at: datetime, seen: datetime) -> str:
    """How far `at` is from `seen` in words. Source: go-humanize's Time, which `argo get` prints.

    >>> relative(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 3, 5, tzinfo=UTC))
    '3 minutes ago'
    """
    seconds = int(abs((seen - at).total_seconds()))
    word = "ago" if at <= seen else "from now"
    for limit, form, scale in _MAGNITUDES:
        if seconds < limit:
            return form.format(word, n=seconds // scale)
    return f"{seconds // 31_104_000} years {word}"


def timestamp(text: Any, seen: datetime) -> str:
    """A moment as `argo get` prints it, by the clocks of this machine: `Mon Jan 02 15:04:05 -0700 (3 minutes ago)`."""
    found = moment(text)
    if found is None:
        return ""
    return f"{found.astimezone().strftime('%a %b %d %H:%M:%S %z')} ({relative(found, seen)})"


def duration(text: str) -> timedelta:
    """A span of time on the command line: `10m`, `3h`, `1h30m`, `2d`, or seconds. Raises ConfigError.

    >>> duration("1d"), duration("90")
    (datetime.timedelta(days=1), datetime.timedelta(seconds=90))
    """
    days = re.fullmatch(r"([0-9]{1,6})d", text)
    try:
        found = timedelta(days=int(days[1])) if days else units.parse_duration_or_seconds(text)
        if found < timedelta(0):
            raise ValueError
    except (ValueError, OverflowError):
        raise ConfigError(f"{text[:40]!r} is not a span of time; write 10m, 3h, 1h30m or 2d") from None
    return found


def standard(args: Any) -> tuple[Terminal, Terminal]:
    """(stdout, stderr) as the options of a command want them."""
    plain, ascii_only = bool(getattr(args, "no_color", False)), bool(getattr(args, "no_utf8", False))
    return (
        terminal(sys.stdout, no_color=plain, no_utf8=ascii_only, env=os.environ),
        terminal(sys.stderr, no_color=plain, no_utf8=ascii_only, env=os.environ),
    )
