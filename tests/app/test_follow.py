"""When the daemon reads its configuration again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from syncd.app import common


def replaced(path: Path, text: str) -> Callable[[], object]:
    def do() -> None:
        other = path.with_name("draft")
        other.write_text(text)
        other.replace(path)

    return do


@pytest.mark.parametrize(
    ("happens", "asked"),
    [
        (lambda path: [(path.parent / "syncd.log").touch] * 3, [False, False, False]),
        (lambda path: [lambda: path.write_text("a")], [False]),
        (lambda path: [lambda: path.write_text("b"), (path.parent / "syncd.log").touch], [True, False]),
        (lambda path: [replaced(path, "b"), replaced(path, "a")], [True, True]),
        (
            lambda path: [path.unlink, (path.parent / "syncd.log").touch, lambda: path.write_text("a")],
            [True, False, True],
        ),
    ],
    ids=[
        "another file is written",
        "it is saved as it was",
        "it is changed, and another file written",
        "it is replaced twice",
        "it goes, which is said once, and comes back",
    ],
)
async def test_it_is_read_again_when_it_says_something_else(tmp_path, monkeypatch, happens, asked):
    path = tmp_path / "syncd.yaml"
    path.write_text("a")
    wanted = asyncio.Event()
    seen: list[bool] = []

    async def moments(folder: Path) -> AsyncIterator[None]:
        assert folder == tmp_path
        for happening in happens(path):
            happening()
            yield
            seen.append(wanted.is_set())
            wanted.clear()

    monkeypatch.setattr(common, "_moments", moments)
    await common.follow(path, common.content(path), wanted)
    assert seen == asked
