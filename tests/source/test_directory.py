"""The directory source: what it reads, what it refuses, what a save changes."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from syncd.base.errors import ConfigError
from syncd.config.model import Limits, Source
from syncd.source import opening
from syncd.source.api import Fetched
from syncd.source.directory import DirectorySource
from syncd.source.git import GitSource
from tests.support.gitserver import Repository


def source_of(root: Path, limits: Limits | None = None, **fields: object) -> DirectorySource:
    return DirectorySource(Source(name="here", path=str(root), **fields), limits)  # type: ignore[arg-type]


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


async def synced(source: DirectorySource, base: Fetched | None = None) -> Fetched:
    return await source.fetch(await source.poll(), base)


async def test_files_are_served_as_they_are(tmp_path: Path) -> None:
    write(tmp_path, {"a.yaml": "a: 1\n", "x/b.json": "{}", "readme.md": "hi", ".git/c.yaml": "c: 1\n"})
    source = source_of(tmp_path)
    first = await synced(source)
    assert first.changed == {"a.yaml": b"a: 1\n", "x/b.json": b"{}"}
    assert (first.revision.ref, first.revision.algorithm, len(first.revision.commit)) == ("worktree", "sha256", 64)
    os.utime(tmp_path / "a.yaml", ns=(1, 1))
    assert await source.poll() == first.revision
    write(tmp_path, {"a.yaml": "a: 2\n", "n.yaml": "n: 1\n"})
    (tmp_path / "x/b.json").unlink()
    second = await synced(source, first)
    assert second.revision != first.revision
    assert (second.changed, second.removed) == ({"a.yaml": b"a: 2\n", "n.yaml": b"n: 1\n"}, {"x/b.json"})
    again = await source.fetch(second.revision, None)
    assert again.changed == {"a.yaml": b"a: 2\n", "n.yaml": b"n: 1\n"}


async def test_the_revision_depends_on_content_alone(tmp_path: Path) -> None:
    """Law: two directories with the same candidates have the same revision, in whatever order they were written."""
    write(tmp_path / "1", {"a.yaml": "a", "b/c.yaml": "c", "x.txt": "1"})
    write(tmp_path / "2", {"b/c.yaml": "c", "a.yaml": "a"})
    write(tmp_path / "3", {"b/c.yaml": "a", "a.yaml": "c"})
    one, two, three = [await source_of(tmp_path / n).poll() for n in "123"]
    assert one == two != three


async def test_a_file_written_between_poll_and_fetch_is_in_the_answer(tmp_path: Path) -> None:
    write(tmp_path, {"a.yaml": "a: 1\n"})
    source = source_of(tmp_path)
    revision = await source.poll()
    write(tmp_path, {"a.yaml": "a: 22\n"})
    await source.poll()
    fetched = await source.fetch(revision, None)
    assert fetched.changed == {"a.yaml": b"a: 22\n"}
    assert fetched.revision != revision


async def test_links_stay_inside(tmp_path: Path) -> None:
    root = tmp_path / "root"
    write(tmp_path, {"secret.yaml": "password: hunter2\n", "root/a.yaml": "a: 1\n", "root/..data/m.yaml": "m: 1\n"})
    for name, target in (
        ("in.yaml", "a.yaml"),
        ("mounted.yaml", "..data/m.yaml"),
        ("out.yaml", "../secret.yaml"),
        ("absolute.yaml", "/etc/passwd"),
        ("nothing.yaml", "nope"),
        ("circle.yaml", "circle.yaml"),
        ("away", ".."),
    ):
        (root / name).symlink_to(target)
    os.mkfifo(root / "pipe.yaml")
    fetched = await synced(source_of(root))
    assert fetched.files.keys() == {"a.yaml", "in.yaml", "mounted.yaml", "..data/m.yaml"}
    assert [p.place.file for p in fetched.problems] == ["absolute.yaml", "circle.yaml", "nothing.yaml", "out.yaml"]
    assert {p.code for p in fetched.problems} == {"V107"}
    (root / "out.yaml").unlink()
    (root / "out.yaml").write_text("o: 1\n")
    assert "out.yaml" in (await synced(source_of(root))).files


async def test_limits_and_names(tmp_path: Path) -> None:
    write(tmp_path, {"a.yaml": "kind: Workflow" + " " * 100, "b.yaml": "b", "c\nd.yaml": "x", "e.json": "e" * 200})
    source = source_of(tmp_path, Limits(file_bytes=50))
    fetched = await synced(source)
    assert [(p.code, p.place.file) for p in fetched.problems] == [("V103", "a.yaml"), ("V115", "c?d.yaml")]
    assert fetched.changed == {"b.yaml": b"b"}
    assert fetched.ignored == {"e.json": "too large (200 bytes) and not ours by its looks"}
    again = await synced(source, fetched)
    assert (again.problems, dict(again.ignored), dict(again.changed)) == (fetched.problems, dict(fetched.ignored), {})
    with pytest.raises(ConfigError, match="the limit is 1"):
        await synced(source_of(tmp_path, Limits(files=1)))


async def test_folder_charts_and_selection(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"ci/a.yaml": "a", "ci/chart/Chart.yaml": "c", "ci/chart/t/x.yaml": "x", "b.yaml": "b", "ci/t.yml": "t"},
    )
    fetched = await synced(source_of(tmp_path, folder="ci", exclude=("*.yml",)))
    assert fetched.files.keys() == {"a.yaml"}
    assert fetched.ignored.keys() == {"chart/Chart.yaml", "chart/t/x.yaml"}


async def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no directory"):
        await source_of(tmp_path / "nope").poll()


async def test_a_saved_file_is_a_hint(tmp_path: Path) -> None:
    write(tmp_path, {"a.yaml": "a: 1\n"})
    source = source_of(tmp_path)
    hints = source.hints()
    waiting = asyncio.ensure_future(anext(hints))
    number = 0
    while not waiting.done():
        number += 1
        write(tmp_path, {"a.yaml": f"a: {number}\n"})
        await asyncio.wait([waiting], timeout=0.2)
    await source.close()
    assert [hint async for hint in hints] == []


async def test_hints_of_a_missing_directory_end_when_closed(tmp_path: Path) -> None:
    source = source_of(tmp_path / "nope")
    hints = source.hints()
    waiting = asyncio.ensure_future(anext(hints, None))
    await asyncio.sleep(0)
    await source.close()
    assert await waiting is None


def test_which_source_serves_a_path(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "r")
    repository.commit({"ci/a.yaml": "a"})
    (tmp_path / "plain").mkdir()

    def kind(**fields: object) -> type:
        return type(opening.opened(Source(name="x", **fields), tmp_path / "state", Limits()))  # type: ignore[arg-type]

    assert kind(path=str(repository.path)) is GitSource
    assert kind(path=str(repository.path / "ci")) is GitSource
    assert kind(path=str(repository.path), worktree=True) is DirectorySource
    assert kind(path=str(tmp_path / "plain")) is DirectorySource
    assert kind(url="https://example.org/x.git") is GitSource
