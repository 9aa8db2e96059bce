"""The drawing of a timeline: what each column shows, with and without colours and UTF-8."""

from __future__ import annotations

import io
from typing import Any

import pytest

from syncd.base.errors import ConfigError
from syncd.cli.commands import timeline
from syncd.cli.output import Terminal

TOLD: dict[str, Any] = {
    "since": "2026-01-01T00:00:00Z",
    "until": "2026-01-01T20:00:00Z",
    "more": False,
    "lanes": [
        {
            "namespace": "ci",
            "origin": "cron/nightly",
            "runs": [
                {"name": "a", "phase": "Succeeded", "start": "2026-01-01T01:00:00Z", "end": "2026-01-01T04:30:00Z"},
                {"name": "b", "phase": "Failed", "start": "2026-01-01T06:00:00Z", "end": "2026-01-01T06:10:00Z"},
                {"name": "c", "phase": "Running", "start": "2026-01-01T18:00:00Z", "end": None},
            ],
            "slots": [
                {"slot": "2026-01-01T08:00:00Z", "until": "2026-01-01T10:00:00Z", "count": 3, "outcome": "missed"},
                {"slot": "2026-01-01T12:00:00Z", "until": "2026-01-01T12:00:00Z", "count": 1, "outcome": "skipped"},
                {"slot": "2026-01-01T01:00:00Z", "until": "2026-01-01T01:00:00Z", "count": 1, "outcome": "fired"},
            ],
        },
        {"namespace": "ci", "origin": "workflow", "runs": [], "slots": []},
    ],
}


def lines(utf8: bool = True, colour: bool = False, namespaces: bool = False) -> list[str]:
    terminal = Terminal(io.StringIO(), colour=colour, utf8=utf8)
    return timeline.drawn(TOLD, 44, terminal, namespaces=namespaces)


def test_a_column_shows_the_worst_of_what_lies_in_it() -> None:
    drawing = lines()[1]
    assert drawing == "cron nightly  ·━━━✔·✖·!!!·○·····━●  1/3 3 missed"


def test_without_utf8_it_is_the_same() -> None:
    assert lines(utf8=False)[1] == "cron nightly  .===+.X.!!!.o.....=*  1/3 3 missed"


def test_every_lane_has_its_line_and_only_signs_that_are_drawn_are_explained() -> None:
    drawing = lines(namespaces=True)
    assert [line.split("  ")[0].strip() for line in drawing] == ["", "ci/cron nightly", "ci/workflows", ""]
    assert drawing[-1].split() == [
        "✖",
        "failed",
        "!",
        "missed",
        "●",
        "running",
        "✔",
        "succeeded",
        "━",
        "busy",
        "○",
        "skipped",
    ]


def test_colours_only_where_a_terminal_has_them() -> None:
    assert "\x1b" not in "".join(lines())
    assert "\x1b[31m✖" in "".join(lines(colour=True))


def test_nothing_is_said_in_words() -> None:
    terminal = Terminal(io.StringIO())
    (line,) = timeline.drawn({**TOLD, "lanes": []}, 80, terminal, namespaces=False)
    assert line.startswith("nothing ran, and nothing was due, since ")


@pytest.mark.parametrize("text", ["", "soon", "-1h", "0s", "99999d", "d"])
def test_a_span_that_is_none_is_said(text: str) -> None:
    with pytest.raises(ConfigError, match="--since"):
        timeline._duration(text)
