"""The command line on its own: real files, a real store, real steps in the sandbox, and a real daemon."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from syncd.cli import reach
from tests.cli.conftest import Call

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

FAILS = """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: fails}
spec:
  entrypoint: main
  templates: [{name: main, container: {image: busybox, command: [sh, -c, "echo no; exit 3"]}}]
"""


@pytest.fixture
def sandbox(tmp_path: Path) -> None:
    """Skips, saying why, where no step can be run in a sandbox."""
    from syncd.base.errors import Unsupported
    from syncd.execute import etc
    from syncd.execute import sandbox as room

    try:
        room.prove(room.View(etc=etc.write(tmp_path / "etc")))
    except Unsupported as reason:
        pytest.skip(str(reason))


@pytest.fixture(autouse=True)
def in_the_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNCD_RUNTIME", "sandbox")


def test_reading_where_nothing_is_yet(call: Call) -> None:
    said = call("list")
    assert said.code == 1
    assert "start a daemon with `syncd up`" in said.err


@pytest.mark.parametrize(
    "words", ["stop x", "delete x", "sync", "approve a b", "cron trigger x", "reload", "submit a.yaml"]
)
def test_changes_want_a_daemon(words: str, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.yaml").write_text(FAILS)
    monkeypatch.chdir(tmp_path)
    said = call(*words.split())
    assert said.code == 3
    assert "syncd up" in said.err
    assert not (tmp_path / "state").exists()


@pytest.mark.sandbox
def test_a_workflow_runs_in_this_process_and_is_read_afterwards(sandbox: None, call: Call, tmp_path: Path) -> None:
    said = call("submit", "--watch", str(EXAMPLES / "hello-world.yaml"), "--name", "hi")
    assert said.code == 0, said.err
    assert said.lines[-1].split()[:3] == ["✔", "hi", "hello"]
    assert call("list", "-o", "name").out == "hi\n"
    assert call("logs", "hi").out == "hi: hello world\n"
    assert call("wait", "hi").code == 0
    assert call("status").out.startswith("no daemon is running")
    assert call("stop", "hi").code == 3

    (tmp_path / "fails.yaml").write_text(FAILS)
    said = call("submit", "--log", str(tmp_path / "fails.yaml"))
    assert said.code == 1
    assert "fails: no\n" in said.out
    told = json.loads(call("get", "fails", "-o", "json").out)
    assert told["status"]["phase"] == "Failed"

    said = call("submit", "--wait", "-o", "json", str(EXAMPLES / "parameters.yaml"), "-p", "message=tick")
    assert said.code == 0
    assert json.loads(said.out)["status"]["nodes"]


@pytest.mark.sandbox
def test_a_file_with_errors_runs_nothing(sandbox: None, call: Call, tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(FAILS.replace("entrypoint: main", "entrypoint: nope"))
    said = call("submit", "--wait", str(file))
    assert said.code == 1
    assert f"{file}:5:" in said.err
    assert call("list").out == "No workflows found\n"


@pytest.mark.sandbox
def test_up_serves_the_command_line_until_a_signal(sandbox: None, call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "jobs"
    folder.mkdir()
    (folder / "hello.yaml").write_text((EXAMPLES / "hello-world.yaml").read_text())
    (folder / "nightly.yaml").write_text((EXAMPLES / "nightly-report.yaml").read_text())
    with subprocess.Popen(
        [sys.executable, "-m", "syncd.cli.main", "up", str(folder), "--listen", "127.0.0.1:0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as daemon:
        try:
            assert daemon.stdout is not None
            told = []
            for line in daemon.stdout:
                told.append(line)
                if line.startswith("source jobs"):
                    break
            assert told[-1].startswith("source jobs"), "".join(told)
            status = json.loads(call("status", "-o", "json").out)
            assert status["sources"][0]["result"] == "applied"
            assert call("cron", "list", "-o", "name").out == "nightly-report\n"
            assert call("submit", "--from", "workflow/hello-world-", "--wait").code == 0
            assert call("plan", "jobs").code == 0
            assert call("sync", "jobs").code == 0
            backup = tmp_path / "copy.db"
            assert call("backup", str(backup)).code == 0
            assert backup.stat().st_size > 0
            assert call("token").out.strip() == (tmp_path / "state" / "token").read_text().strip()
        finally:
            daemon.send_signal(signal.SIGINT)
            rest = daemon.stdout.read() if daemon.stdout else ""
        assert daemon.wait(30) == 0, rest
        assert "stopped" in rest
    assert call("cron", "next", "nightly-report", "-n", "1").code == 0
    assert call("sync").code == 3


def test_a_daemon_that_died_is_not_believed(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    assert reach.daemon_url(state) == ""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait(30)
    for told in (
        {"pid": dead.pid, "url": "http://127.0.0.1:9"},
        {"pid": os.getpid(), "url": "http://127.0.0.1:1"},  # alive, but nobody listens there
        {"pid": "x", "url": 3},
        [],
    ):
        (state / "daemon.json").write_text(json.dumps(told))
        assert reach.daemon_url(state) == ""
    (state / "daemon.json").write_text("{")
    assert reach.daemon_url(state) == ""


@pytest.mark.parametrize(
    ("given", "env", "path"),
    [
        ("/a", {"SYNCD_STATE": "/b"}, "/a"),
        ("", {"SYNCD_STATE": "/b", "XDG_STATE_HOME": "/c"}, "/b"),
        ("", {"XDG_STATE_HOME": "/c"}, "/c/syncd"),
        ("", {}, str(Path.home() / ".local/state/syncd")),
    ],
)
def test_where_state_lies_is_what_the_daemon_thinks(given: str, env: dict[str, str], path: str) -> None:
    from syncd import app

    assert reach.state_directory(given, env) == app.state_directory(given, env) == Path(path)


def test_doctor_looks_at_everything(call: Call, tmp_path: Path) -> None:
    told = json.loads(call("doctor", "-o", "json").out)
    assert [row["subject"] for row in told] == [
        "python",
        "git",
        "sandbox",
        "container",
        "steps",
        "state",
        "disk",
        "time zones",
        "daemon",
    ]
    assert {row["verdict"] for row in told} <= {"good", "note", "bad"}
    (tmp_path / "state").mkdir(mode=0o777)
    (tmp_path / "state").chmod(0o777)
    said = call("doctor")
    assert said.code == 1
    assert f"✖ state: others may write to {tmp_path / 'state'}" in said.lines


@pytest.mark.sandbox
def test_ctrl_c_ends_what_nobody_else_would_go_on_with(sandbox: None, call: Call) -> None:
    words = ["submit", "--watch", str(EXAMPLES / "suspend.yaml"), "--name", "held"]
    with subprocess.Popen(
        [sys.executable, "-m", "syncd.cli.main", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        told = []
        for line in process.stdout:
            told.append(line)
            if "approve" in line:
                process.send_signal(signal.SIGINT)
                break
        assert told[-1] == "● approve Running\n", "".join(told)
        said = process.stderr.read()
        assert process.wait(30) == 130
    assert said == "syncd: interrupted: ending held; Ctrl-C once more leaves it to the next daemon\n\n"
    assert "Failed (Terminated)" in call("list").out
