"""What `syncd up` says to a person."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import pytest

from syncd.argo.manifest import Key
from syncd.observe import events
from syncd.observe.words import Words
from tests.support.clocks import ManualClock

AT = datetime(2026, 1, 1, tzinfo=UTC)


def checked(error: str = "") -> events.SourceChecked:
    return events.SourceChecked("r", AT, 0.1, error=error)


def failed(loop: str, message: str) -> events.LoopFailed:
    return events.LoopFailed(loop, "Unreachable", AT, message, 1.0)


@pytest.mark.parametrize(
    ("told", "lines"),
    [
        ([checked(), checked()], []),
        ([checked("no route"), failed("sync r", "no route"), checked("no route")], ["source r  no route"]),
        (
            [checked("no route"), checked(), checked("no route")],
            ["source r  no route", "source r  answers again", "source r  no route"],
        ),
        ([checked(), failed("sync r", "disk full")], ["source r  disk full"]),
        (
            [failed("runs", "damaged"), failed("runs", "damaged"), failed("fire", "damaged")],
            ["runs  damaged", "fire  damaged"],
        ),
    ],
)
def test_what_fails_is_said_once_and_so_is_that_it_is_well_again(told: list[Any], lines: list[str]) -> None:
    stream = io.StringIO()
    words = Words(stream, ManualClock())
    for event in told:
        words(event)
    assert stream.getvalue().splitlines() == lines


def test_a_step_cannot_repaint_the_terminal_or_forge_a_line() -> None:
    stream = io.StringIO()
    hostile = "\x1b[2J\x1b]0;title\x07 \u202eevil\nsource r  all is well"
    run = Key("Workflow", "default", "x")
    words = Words(stream, ManualClock())
    words(events.RunFinished(run, "uid", origin="workflow", phase="Failed", at=AT, seconds=1.0, message=hostile))
    first, second = stream.getvalue().splitlines()
    assert first.isprintable()
    assert second == "    source r  all is well"


def test_nobody_listens_any_more() -> None:
    class Closed(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError

    Words(Closed(), ManualClock()).begin("1", "/state", "sandbox", "http://x", "http://x/login")
