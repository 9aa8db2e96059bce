"""How lines look, which events get one, and that no secret or forged line gets through."""

from __future__ import annotations

import io
import json
import logging
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.argo.manifest import Key
from syncd.cron.ledger import Outcome, Reason, Row
from syncd.observe import events, journal

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CRON = Key("CronWorkflow", "ci", "nightly")
SYNCED = events.SourceSynced("examples", NOW, 0.21, "applied", "main@sha1:b", "main@sha1:b", created=3, unchanged=1)
ROW = Row(CRON, "uid", NOW, Outcome.FIRED, Reason.ON_TIME, NOW, NOW)


@pytest.fixture
def stream():
    """A stream that the log goes to; what was set up before comes back."""
    root, level = logging.getLogger(), logging.getLogger("syncd").level
    before, before_level = list(root.handlers), root.level
    yield io.StringIO()
    for handler in [h for h in root.handlers if h not in before]:
        root.removeHandler(handler)
    root.setLevel(before_level)
    logging.getLogger("syncd").setLevel(level)


def logged(stream, form, *args, log="syncd.test", level=logging.INFO, redactor=None, **more):
    journal.configure(stream, form=form, level="debug", redactor=redactor)
    logging.getLogger(log).log(level, *args, **more)
    return stream.getvalue()


def test_json_is_one_object_a_line(stream):
    text = logged(stream, "auto", "hello %s\nsecond", "world", extra={"source": "examples", "count": 3})
    said = json.loads(text)
    assert text.count("\n") == 1
    assert said["time"].endswith("Z")
    assert {name: said[name] for name in ("level", "logger", "message", "source", "count")} == {
        "level": "info",
        "logger": "syncd.test",
        "message": "hello world\nsecond",
        "source": "examples",
        "count": 3,
    }


def test_a_terminal_gets_text(stream):
    stream.isatty = lambda: True
    assert logged(stream, "auto", "hello")[9:] == "hello\n"
    assert logged(stream, "auto", "bad", level=logging.ERROR).splitlines()[-1][9:] == "error: bad"


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.parametrize(
    "secret",
    [
        "cloning https://ada:s3cr3t-pw@git.example/x.git",
        "cloning https://s3cr3t-pw@git.example/x.git",
        "Authorization: Bearer s3cr3t-pw",
        "authorization: s3cr3t-pw",
        "{'Authorization': 'Basic s3cr3t-pw'}",
        "-----BEGIN OPENSSH PRIVATE KEY-----\ns3cr3t-pw\n-----END OPENSSH PRIVATE KEY-----",
        "-----BEGIN RSA PRIVATE KEY-----\ns3cr3t-pw cut",
        "the token is s3cr3t-pw/registered",
        "the token is s3cr3t-pw%2Fregistered",
    ],
)
def test_no_secret_gets_through(stream, form, secret):
    redactor = journal.Redactor(["s3cr3t-pw/registered"])
    try:
        raise ValueError(secret)
    except ValueError:
        text = logged(stream, form, "%s", secret, extra={"url": secret}, exc_info=True, redactor=redactor)
    assert "s3cr3t-pw" not in text
    assert journal.MASK in text


def test_plain_urls_and_words_stay():
    text = "fetch https://git.example/x.git@main from ssh://host:22/x, mail ada@example.org"
    assert journal.Redactor(["a", "12345"])(text) == text


def test_a_commit_message_can_neither_forge_a_line_nor_repaint_the_terminal(stream):
    text = logged(stream, "text", "subject: %s", "x\n12:00:00 forged\x1b[2J\r\u202e")
    assert "\x1b" not in text
    assert "\r" not in text
    assert "\u202e" not in text
    assert text.splitlines()[1].startswith("    ")


@given(st.text(), st.sampled_from([journal.JsonLines, journal.HumanText]))
def test_no_text_breaks_a_line(text, form):
    """Law: any text gives a line that can be written as UTF-8; JSON gives it back, capped, on one line."""
    record = logging.makeLogRecord({"msg": "%s", "args": (text,), "levelno": logging.INFO, "levelname": "INFO"})
    line = form(journal.Redactor()).format(record)
    line.encode()
    if form is journal.JsonLines:
        assert "\n" not in line
        assert isinstance(json.loads(line)["message"], str)


def test_lone_surrogates_and_wrong_formats_cost_no_line(stream):
    # formatted here and not logged: what collects logs of tests may not carry a lone surrogate
    lone = logging.makeLogRecord({"msg": "%s", "args": ("\udcff",), "levelno": logging.INFO})
    assert "\\udcff" in journal.HumanText(journal.Redactor()).format(lone)
    wrong = logging.makeLogRecord({"msg": "no %d", "args": ("number",), "levelno": logging.INFO})
    assert "no %d" in journal.HumanText(journal.Redactor()).format(wrong)


def test_long_messages_are_capped(stream):
    assert len(logged(stream, "json", "x" * 100_000)) < journal.LINE_LIMIT + 200


def test_configuring_twice_does_not_double_the_lines(stream):
    journal.configure(stream, form="json")
    assert logged(stream, "json", "once").count("\n") == 1


def test_libraries_stay_quiet(stream):
    assert logged(stream, "json", "chatter", log="some.library") == ""


@pytest.mark.parametrize("wrong", [{"form": "xml"}, {"level": "loud"}])
def test_unknown_words_are_refused(stream, wrong):
    with pytest.raises(ValueError, match="is not known"):
        journal.configure(stream, **wrong)


@pytest.mark.parametrize(
    ("event", "level", "text"),
    [
        (SYNCED, "INFO", "source examples main@sha1:b: 3 created, 1 unchanged  0.21 s"),
        (
            replace(SYNCED, result="held", reason="problems", errors=4, applied_revision="main@sha1:a"),
            "WARNING",
            "source examples main@sha1:b held: problems, 4 errors; main@sha1:a stays in force",
        ),
        (events.SourceChecked("examples", NOW, 0.1, error="no route"), "DEBUG", "source examples: no route"),
        (events.SourceChecked("examples", NOW, 0.1), None, ""),
        (events.SlotDecided(ROW), "INFO", "cron ci/nightly: slot 2026-01-01T00:00:00Z fired (on-time)"),
        (events.SlotDecided(replace(ROW, outcome=Outcome.PENDING)), None, ""),
        (
            events.SlotDecided(replace(ROW, outcome=Outcome.MISSED, reason=Reason.DOWN, count=3)),
            "WARNING",
            "cron ci/nightly: slot 2026-01-01T00:00:00Z and 2 more until 2026-01-01T00:00:00Z missed (down)",
        ),
        (
            events.RunFinished(Key("Workflow", "ci", "r"), "u", "workflow", NOW, "Failed", 2.5, "child failed"),
            "WARNING",
            "run ci/r: Failed after 2.5 s: child failed",
        ),
        (events.StartsHeld("disk full"), "ERROR", "new starts are held back: disk full"),
        (
            events.LoopFailed("sync examples", "Unreachable", NOW, "no route", 4.2),
            "WARNING",
            "loop sync examples: no route; again in 4 s",
        ),
    ],
)
def test_events_become_lines(event, level, text, caplog):
    with caplog.at_level(logging.DEBUG, "syncd"):
        journal.Journal()(event)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == ([(level, text)] if level else [])
