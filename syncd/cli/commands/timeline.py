"""`syncd timeline`: what ran when, and what should have, drawn on one screen."""

from __future__ import annotations

import shutil
from argparse import ArgumentParser, Namespace
from datetime import datetime, timedelta
from typing import Any, Final

from syncd.base import units
from syncd.base.clock import rfc3339
from syncd.base.errors import ConfigError
from syncd.cli import arguments, output, reach
from syncd.cli.client import OWN
from syncd.cli.exits import Exit
from syncd.cli.output import Terminal

ABOUT = """Draw what ran when: a line for each cron, template, and the workflows of their own. Slots that did not fire are there, too."""
EXAMPLES = """
syncd timeline
syncd timeline --since 7d
syncd timeline -A --since 2h --width 160
syncd timeline -l team=data -o json
syncd timeline --context prod -n ci
"""

_SINCE: Final = "24h"
_LEAST_COLUMNS, _MOST_COLUMNS = 20, 400
_LABELS: Final = 7  # times written above the lines

# a column shows the worst of what lies in it: sign, sign without UTF-8, colour
_SIGNS: Final[tuple[tuple[str, str, str, int], ...]] = (
    ("failed", "✖", "X", output.RED),
    ("missed", "!", "!", output.RED),
    ("running", "●", "*", output.CYAN),
    ("succeeded", "✔", "+", output.GREEN),
    ("busy", "━", "=", output.GREEN),
    ("skipped", "○", "o", output.YELLOW),
    ("nothing", "·", ".", 0),
)
_RANK: Final = {word: rank for rank, (word, *_) in enumerate(_SIGNS)}
_OF_OUTCOME: Final = {"missed": "missed", "failed": "missed", "skipped": "skipped"}


def add(parser: ArgumentParser) -> None:
    """The options."""
    arguments.add_all_namespaces(parser)
    parser.add_argument("--since", default=_SINCE, metavar="DURATION", help=f"how far back: 90m, 24h, 7d ({_SINCE})")
    parser.add_argument(
        "--width", type=int, default=0, metavar="COLUMNS", help="of the drawing; default: the terminal's"
    )
    parser.add_argument(
        "-l", "--selector", default="", metavar="LABELS", help="only runs with these labels; no slots then"
    )
    arguments.add_output(parser, "json", "yaml")


def run(args: Namespace) -> int:
    """Run it."""
    terminal, _ = output.standard(args)
    at = output.now()
    query = {
        "namespace": reach.namespace(args),
        "since": rfc3339(at - _duration(args.since)),
        "labelSelector": args.selector,
    }
    with reach.reading(args) as client:
        told: dict[str, Any] = client.get(f"{OWN}/timeline", {name: value for name, value in query.items() if value})
    if args.output:
        terminal.say(output.as_text(told, args.output))
        return Exit.GOOD
    width = args.width or shutil.get_terminal_size((100, 24)).columns
    for line in drawn(told, width, terminal, namespaces=args.all_namespaces):
        terminal.say(line)
    return Exit.GOOD


def drawn(told: dict[str, Any], width: int, terminal: Terminal, *, namespaces: bool) -> list[str]:
    """The lines of the drawing. told: the API's answer; width: columns of the whole; namespaces: each lane says its own."""
    since, until = output.moment(told["since"]), output.moment(told["until"])
    assert since is not None
    assert until is not None
    lanes = told["lanes"]
    if not lanes:
        return [f"nothing ran, and nothing was due, since {_clock(since, until - since)}"]
    names = [output.clean(_name(lane, namespaces)) for lane in lanes]
    left = min(max(len(name) for name in names), 40)
    columns = max(_LEAST_COLUMNS, min(width - left - 12, _MOST_COLUMNS))
    lines = [f"{'':{left}}  {_ruler(since, until, columns)}"]
    for name, lane in zip(names, lanes, strict=True):
        cells = _cells(lane, since, until, columns)
        shown = name if len(name) <= left else f"{name[: left - 1]}{'…' if terminal.utf8 else '~'}"
        lines.append(f"{shown:{left}}  {_painted(cells, terminal)}  {_counts(lane)}")
    said = {word for lane in lanes for word in _cells(lane, since, until, columns)}
    legend = [_painted([word], terminal) + f" {word}" for word, *_ in _SIGNS if word in said - {"nothing"}]
    lines.append(f"{'':{left}}  {'   '.join(legend)}")
    if told.get("more"):
        lines.append("more runs than can be drawn; ask for less time, or for one namespace")
    return lines


def _duration(text: str) -> timedelta:
    try:
        found = timedelta(days=float(text[:-1])) if text.endswith("d") else units.parse_duration(text)
    except (ValueError, OverflowError):
        raise ConfigError(f"--since {text!r} is no duration; write it as 90m, 24h or 7d") from None
    if not timedelta(seconds=1) <= found <= timedelta(days=3660):
        raise ConfigError(f"--since {text!r} is not within a second and ten years")
    return found


def _name(lane: dict[str, Any], namespaces: bool) -> str:
    origin = str(lane["origin"])
    word, _, name = origin.partition("/")
    shown = f"{word} {name}" if name else "workflows"
    return f"{lane['namespace']}/{shown}" if namespaces else shown


def _cells(lane: dict[str, Any], since: datetime, until: datetime, columns: int) -> list[str]:
    """What each column shows."""
    step = (until - since) / columns
    cells = ["nothing"] * columns

    def column(moment: datetime) -> int:
        return max(0, min(columns - 1, int((moment - since) / step)))

    def mark(place: int, word: str) -> None:
        if _RANK[word] < _RANK[cells[place]]:
            cells[place] = word

    for slot in lane["slots"]:
        word = _OF_OUTCOME.get(slot["outcome"])
        first, last = output.moment(slot["slot"]), output.moment(slot["until"])
        if word is None or first is None or last is None:
            continue
        for place in range(column(max(first, since)), column(min(last, until)) + 1):
            mark(place, word)
    for span in lane["runs"]:
        start, end = output.moment(span["start"]), output.moment(span["end"])
        if start is None:
            continue
        ended_in = column(end or until)
        for place in range(column(start), ended_in):
            mark(place, "busy")
        phase = span["phase"]
        mark(ended_in, "running" if end is None else "succeeded" if phase == "Succeeded" else "failed")
    return cells


def _painted(cells: list[str], terminal: Terminal) -> str:
    found = []
    for word in cells:
        _, sign, plain, colour = _SIGNS[_RANK[word]]
        text = sign if terminal.utf8 else plain
        found.append(terminal.paint(text, colour) if colour else text)
    return "".join(found)


def _ruler(since: datetime, until: datetime, columns: int) -> str:
    """Times above the columns, as far apart as they have room."""
    span = until - since
    text = _clock(since, span)
    apart = max(len(text) + 2, columns // _LABELS)
    line = ""
    for place in range(0, columns - len(text) + 1, apart):
        line = line.ljust(place) + _clock(since + span * place / columns, span)
    return line


def _clock(moment: datetime, span: timedelta) -> str:
    local = moment.astimezone()
    if span <= timedelta(minutes=15):
        return f"{local:%H:%M:%S}"
    return f"{local:%H:%M}" if span <= timedelta(hours=26) else f"{local:%m-%d %H:%M}"


def _counts(lane: dict[str, Any]) -> str:
    ended = [span for span in lane["runs"] if span["end"] is not None]
    good = sum(span["phase"] == "Succeeded" for span in ended)
    missed = sum(slot["count"] for slot in lane["slots"] if _OF_OUTCOME.get(slot["outcome"]) == "missed")
    words = [f"{good}/{len(lane['runs'])}"] if lane["runs"] else []
    return " ".join([*words, *([f"{missed} missed"] if missed else [])])
