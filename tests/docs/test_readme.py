"""The README's first commit, typed as it is printed: every command is run, every line that it shows is held against what comes.

Numbers that differ from day to day (commits, times, ports, random names) are written alike on both sides before they are compared.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import daemon as daemons
from tests.support.gitserver import ENVIRONMENT

README = Path(__file__).resolve().parents[2] / "README.md"

CHANGING = (
    (r"\b[0-9a-f]{40}\b", "COMMIT"),
    (r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?Z?)?( [+-]\d{4})?", "TIME"),
    (r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun)\b", "DAY"),
    (r"127\.0\.0\.1:\d+", "ADDRESS"),
    (r"code=\S+", "code=CODE"),
    (r"\bhello-[a-z0-9]{5}\b", "RUN"),
    (r"(~|/)\S*/(state|my-jobs|syncd)\b", "PATH"),
    (r"\d+\.\d+ s\b", "SPAN"),
    (r"\b(\d+(\.\d+)?[smhd])+\b( ago)?|\bnow\b", "SPAN"),
    (r" {2,}", "  "),
)


def alike(line: str) -> str:
    """A line without what changes."""
    for pattern, word in CHANGING:
        line = re.sub(pattern, word, line)
    return line.rstrip()


@dataclass(frozen=True, slots=True)
class Step:
    """command: "" = lines that the first terminal shows; shown: the lines of the README."""

    command: str
    shown: tuple[str, ...]


def steps(text: str) -> Iterator[Step]:
    """The commands and answers of a page, in order; a here-document belongs to its command."""
    for kind, block in re.findall(r"```(console|text)\n(.*?)```", text, re.DOTALL):
        if kind == "text":
            yield Step("", tuple(block.splitlines()))
            continue
        command, shown, until = "", [], ""
        for line in block.splitlines():
            if until:
                command += f"\n{line}"
                until = "" if line == until else until
            elif line.startswith("$ "):
                if command:
                    yield Step(command, tuple(shown))
                command, shown = line[2:], []
                found = re.search(r"<<'(\w+)'", line)
                until = found[1] if found else ""
            else:
                shown.append(line)
        yield Step(command, tuple(shown))


@pytest.mark.sandbox
def test_the_first_commit_goes_as_it_is_printed(tmp_path: Path) -> None:
    first = README.read_text().partition("## The first commit of your own")[2].partition("## In a cluster")[0]
    here, state = tmp_path / "syncd", tmp_path / "home" / ".local" / "state" / "syncd"
    here.mkdir()
    environment = {
        **daemons.environment(state),
        **ENVIRONMENT,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    daemon: daemons.Daemon | None = None
    with ExitStack() as stack:
        for step in steps(first):
            if step.command.startswith("export PATH="):
                continue  # .venv of the clone; here it is the one that runs the tests
            if step.command == "syncd up .":
                daemon = stack.enter_context(daemons.running(state, here))
                wait_for(daemon, step.shown)
            elif not step.command:
                assert daemon is not None
                wait_for(daemon, step.shown)
            else:
                code, printed, here = typed(step.command, here, environment)
                assert [alike(line) for line in step.shown] == [alike(line) for line in printed], step.command
                assert code == (1 if "--check" in step.command else 0), (step.command, printed)


def typed(command: str, here: Path, environment: dict[str, str]) -> tuple[int, list[str], Path]:
    """Run a command in a shell; (exit code, what it printed, the directory that it ended in)."""
    done = subprocess.run(
        ["sh", "-c", f"{command}\ncode=$?; pwd; exit $code"],
        cwd=here,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    *printed, here_now = (
        (done.stdout + done.stderr).splitlines() if not done.stderr else (done.stderr + done.stdout).splitlines()
    )
    return done.returncode, printed, Path(here_now)


def wait_for(daemon: daemons.Daemon, shown: tuple[str, ...]) -> None:
    """Every line comes from the daemon, in whatever order."""
    missing = {alike(line) for line in shown} - {alike(line) for line in daemon.printed}
    while missing:
        line = alike(daemon.until(""))
        missing.discard(line)


def test_what_is_alike_and_what_is_not() -> None:
    """The rules above hide what changes, and nothing else."""
    assert (
        alike("source a  main@sha1:" + "0" * 40 + "  1 created   0.52 s")
        == "source a  main@sha1:COMMIT  1 created  SPAN"
    )
    assert alike("hello.yaml:9:5: error V241") != alike("hello.yaml:8:5: error V241")
    assert alike("held (problems)") != alike("held (guard)")
