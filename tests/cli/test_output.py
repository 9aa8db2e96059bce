"""Tables, times in words, and texts that a terminal must not obey."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.base import yamltext
from syncd.base.errors import ConfigError
from syncd.cli import describe, output, yamlwrite
from tests.cli.runs import run

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ago", "words"),
    [
        (timedelta(0), "now"),
        (timedelta(seconds=1), "1 second ago"),
        (timedelta(seconds=59), "59 seconds ago"),
        (timedelta(seconds=60), "1 minute ago"),
        (timedelta(minutes=59), "59 minutes ago"),
        (timedelta(hours=1), "1 hour ago"),
        (timedelta(hours=23), "23 hours ago"),
        (timedelta(days=1), "1 day ago"),
        (timedelta(days=6), "6 days ago"),
        (timedelta(days=7), "1 week ago"),
        (timedelta(days=20), "2 weeks ago"),
        (timedelta(days=30), "1 month ago"),
        (timedelta(days=90), "3 months ago"),
        (timedelta(days=3600), "10 years ago"),
        (-timedelta(hours=3), "3 hours from now"),
    ],
)
def test_how_long_ago(ago: timedelta, words: str) -> None:
    assert output.relative(NOON - ago, NOON) == words


@pytest.mark.parametrize(
    ("text", "seconds"), [("10m", 600), ("3h", 10800), ("1h30m", 5400), ("2d", 172800), ("90", 90), ("0", 0)]
)
def test_spans_of_time(text: str, seconds: int) -> None:
    assert output.duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "x", "-5m", "1w", "5 m", "9" * 30 + "d"])
def test_what_is_no_span_of_time(text: str) -> None:
    with pytest.raises(ConfigError, match="is not a span of time; write 10m, 3h, 1h30m or 2d"):
        output.duration(text)


@given(st.text())
def test_clean_text_has_no_control_character(text: str) -> None:
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in output.clean(text))


@given(st.text(alphabet=st.sampled_from("\x1b[]0123;mJHA\x07\x9b\\?h x"), max_size=40))
def test_harmless_lines_keep_at_most_colours(text: str) -> None:
    plain = output.harmless(text, colour=False)
    coloured = output._ESCAPES.sub("", output.harmless(text, colour=True))
    for line in (plain, coloured):
        assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in line.replace("\t", ""))


def test_colours_of_a_log_line_stay_where_there_are_colours() -> None:
    line = "\x1b[31mred\x1b[0m \x1b[2Jgone\x1b]0;title\x07"
    assert output.harmless(line, colour=True) == "\x1b[31mred\x1b[0m gone"
    assert output.harmless(line, colour=False) == "red gone"


class _Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "env", "no_color", "coloured"),
    [
        (_Screen(), {}, False, True),
        (_Screen(), {}, True, False),
        (_Screen(), {"NO_COLOR": "1"}, False, False),
        (_Screen(), {"TERM": "dumb"}, False, False),
        (io.StringIO(), {}, False, False),
        (io.StringIO(), {"CLICOLOR_FORCE": "1"}, False, True),
        (io.StringIO(), {"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, False, False),
    ],
)
def test_colours_only_where_somebody_wants_them(
    stream: io.StringIO, env: dict[str, str], no_color: bool, coloured: bool
) -> None:
    assert output.terminal(stream, no_color=no_color, env=env).colour is coloured


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), _json, max_size=5))
def test_yaml_that_is_written_reads_back_the_same(value: dict[str, Any]) -> None:
    (found,) = list(yamltext.documents(yamlwrite.dump(value)))
    assert isinstance(found, yamltext.Document)
    assert found.value == value


@pytest.mark.parametrize(
    "text",
    ["yes", "NO", "~", "null", "1.0", "0x1f", "12:30", "- a", "a: b", "#c", "&a", "*a", "!t", "a\nb", "a\nb\n", "a\n\n",
     " a\nb", "\n", "a\tb", "é\u2028x", "\x85", "\ufeff", "2026-01-01", "=", "<<", "| x", "a #b", "a ", ""],
)  # fmt: skip
def test_odd_texts_survive_as_yaml(text: str) -> None:
    for value in ({"a": text}, {"a": [text, {"b": text}]}, {text: 1}):
        (found,) = list(yamltext.documents(yamlwrite.dump(value)))
        assert isinstance(found, yamltext.Document)
        assert found.value == value


def test_the_facts_about_a_run() -> None:
    body = run(
        metadata={
            "labels": {"syncd.io/source": "jobs"},
            "annotations": {"syncd.io/revision": "main@sha1:abc", "syncd.io/path": "a.yaml:3"},
        },
        spec={"arguments": {"parameters": [{"name": "message", "value": "a\x1b[2Jb"}, {"name": "unset"}]}},
        message="all\nwell",
        conditions=[{"type": "Completed", "status": "True"}, {"type": "SpecWarning", "message": "old field"}],
        outputs={
            "parameters": [{"name": "sum", "value": "3"}],
            "artifacts": [{"name": "log", "s3": {"bucket": "b", "key": "k/x.tgz"}}],
        },
    )
    lines = describe.header(body, datetime(2026, 1, 1, 1, tzinfo=UTC), output.Terminal(io.StringIO()))
    created = datetime(2026, 1, 1, tzinfo=UTC).astimezone().strftime("%a %b %d %H:%M:%S %z")
    finished = datetime(2026, 1, 1, 0, 1, 5, tzinfo=UTC).astimezone().strftime("%a %b %d %H:%M:%S %z")
    assert lines == [
        "Name:                hi",
        "Namespace:           default",
        "ServiceAccount:      unset (will run with the default ServiceAccount)",
        "Status:              Succeeded",
        "Message:             all well",
        "Conditions:",
        " Completed           True",
        "⚠ SpecWarning        old field",
        f"Created:             {created} (1 hour ago)",
        f"Started:             {created} (1 hour ago)",
        f"Finished:            {finished} (58 minutes ago)",
        "Duration:            1 minute 5 seconds",
        "Progress:            1/1",
        "Source:              jobs",
        "Revision:            main@sha1:abc",
        "Path:                a.yaml:3",
        "Parameters:",
        "  message:           a\\x1b[2Jb",
        "Output Parameters:",
        "  sum:               3",
        "Output Artifacts:",
        "  log:               s3://b/k/x.tgz",
    ]


@pytest.mark.parametrize(
    ("phase", "spec", "nodes", "words"),
    [
        ("Running", {}, {}, "Running"),
        ("Running", {"suspend": True}, {}, "Running (Suspended)"),
        ("Running", {}, {"a": {"type": "Suspend", "phase": "Running"}}, "Running (Suspended)"),
        ("Failed", {"shutdown": "Stop"}, {}, "Failed (Terminated)"),
        ("Failed", {}, {}, "Failed"),
        ("", {}, {}, "Pending"),
        ("Succeeded", {}, {}, "Succeeded"),
    ],
)
def test_status_in_words(phase: str, spec: dict[str, Any], nodes: dict[str, Any], words: str) -> None:
    body = run(phase=phase, spec=spec)
    body["status"]["nodes"] = nodes
    assert describe.workflow_status(body) == words
