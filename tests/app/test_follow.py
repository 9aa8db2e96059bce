"""When the daemon reads its configuration again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import watchfiles

from syncd.app import daemon
from syncd.base.errors import ConfigError


class Reloads:
    """Stands for the daemon: counts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seen: list[str] = []

    async def reload(self) -> None:
        self.seen.append(self.path.read_text())
        if "wrong" in self.seen[-1]:
            raise ConfigError("wrong")


def replaced(path: Path, text: str) -> Callable[[], object]:
    def do() -> None:
        other = path.with_name("draft")
        other.write_text(text)
        other.replace(path)

    return do


@pytest.mark.parametrize(
    ("happens", "reloads"),
    [
        (lambda path: [(path.parent / "syncd.log").touch] * 3, []),
        (lambda path: [lambda: path.write_text("a")], []),
        (lambda path: [lambda: path.write_text("b"), (path.parent / "syncd.log").touch], ["b"]),
        (lambda path: [replaced(path, "b"), replaced(path, "a")], ["b", "a"]),
        (lambda path: [path.unlink, lambda: path.write_text("a")], []),
        (lambda path: [path.unlink, lambda: path.write_text("b")], ["b"]),
        (lambda path: [lambda: path.write_text("wrong"), lambda: path.write_text("b")], ["wrong", "b"]),
    ],
    ids=[
        "another file is written",
        "it is saved as it was",
        "it is changed, and another file written",
        "it is replaced twice",
        "it goes and comes back the same",
        "it goes and comes back changed",
        "it is wrong, then right",
    ],
)
async def test_it_is_read_again_when_it_says_something_else(tmp_path, monkeypatch, happens, reloads):
    path = tmp_path / "syncd.yaml"
    path.write_text("a")

    async def awatch(*folders: Path, **_: object) -> AsyncIterator[set[object]]:
        assert folders == (tmp_path,)
        for happening in happens(path):
            happening()
            yield set()

    monkeypatch.setattr(watchfiles, "awatch", awatch)
    stands = Reloads(path)
    await daemon._follow(stands, path)  # type: ignore[arg-type]
    assert stands.seen == reloads
