"""`syncd submit FILE` with no daemon: the workflow runs in the command's own process, which ends with its verdict."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.examples import drawn
from tests.examples.conftest import EXAMPLES
from tests.support.daemon import syncd

pytestmark = pytest.mark.sandbox


def test_watch_draws_the_tree_and_ends_well(tmp_path: Path) -> None:
    run = drawn.read(syncd(tmp_path / "state", "submit", "--watch", str(EXAMPLES / "hello-world.yaml")))
    assert run.rows == ("✔ NAME · hello",)


def test_log_prints_what_the_steps_print(tmp_path: Path) -> None:
    said = syncd(tmp_path / "state", "submit", "--log", str(EXAMPLES / "parameters.yaml"), "-p", "message=good morning")
    assert "good morning" in said


def test_a_failed_run_is_the_exit_code_and_can_be_read_afterwards(tmp_path: Path) -> None:
    """`-o json` is Argo's object and nothing else; reading verbs work on the store."""
    file = str(EXAMPLES / "exit-handler.yaml")
    body = json.loads(syncd(tmp_path / "state", "submit", "--wait", "-o", "json", file, code=1))
    assert body["status"]["phase"] == "Failed"
    assert "Failed" in syncd(tmp_path / "state", "list")
    assert "boohoo!" in syncd(tmp_path / "state", "logs", body["metadata"]["name"])
