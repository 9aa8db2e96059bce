"""The token file: made once, private, and trusted only while it is private."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from syncd.base.errors import ConfigError, NotFound
from syncd.server import tokens


def test_it_is_made_once_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "state" / "token"
    token = tokens.load_or_create(path)
    assert tokens.load_or_create(path) == tokens.load(path) == token
    assert len(token) == 43
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [p.name for p in path.parent.iterdir()] == ["token"]


def test_daemons_that_start_at_once_agree(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: tokens.load_or_create(tmp_path / "token"), range(32)))
    assert len(made) == 1


def test_no_token_is_a_normal_answer(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="the daemon makes one when it starts"):
        tokens.load(tmp_path / "token")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "token"
    tokens.load_or_create(path)
    path.chmod(mode)
    with pytest.raises(ConfigError, match="can be read by other users"):
        tokens.load_or_create(path)


@pytest.mark.parametrize("text", ["", "\n", "short", "two words and long enough", "x" * 19])
def test_a_file_without_a_token_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "token"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="holds no token"):
        tokens.load(path)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    tokens.load_or_create(tmp_path / "real")
    (tmp_path / "token").symlink_to(tmp_path / "real")
    with pytest.raises(ConfigError, match="cannot be read"):
        tokens.load(tmp_path / "token")


def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "token", 0o600)
    with pytest.raises(ConfigError, match="not a regular file"):
        tokens.load(tmp_path / "token")


def test_a_file_of_another_user_is_refused_but_root_may_read_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "token"
    token = tokens.load_or_create(path)
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(ConfigError, match="belongs to user"):
        tokens.load(path)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert tokens.load(path) == token
