"""Reading logs: order, times, tail, since, following, masking."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from syncd.execute import logfiles, secrets
from syncd.execute.api import LogLine
from syncd.execute.logfiles import LogFiles
from syncd.execute.secrets import Mask


class Written:
    """Logs of a run, written as steps would."""

    def __init__(self, root: Path, values: Iterable[str] = ()) -> None:
        self.run = root / "run"
        self.run.mkdir(parents=True)
        self.logs = LogFiles(root, lambda: Mask(values), poll_seconds=0.005)

    def write(self, pod: str, text: str, at: float, *, name: str = "main.log", index: bool = True) -> Path:
        path = self.run / pod / name
        path.parent.mkdir(exist_ok=True)
        with path.open("a") as file:
            file.write(text)
        os.utime(path, (at, at))
        if index:
            logfiles.add_to_index(self.run, pod, f"node-{pod}", at)
        return path

    async def read(self, **how: object) -> list[LogLine]:
        return [line async for line in self.logs.read("run", **how)]  # type: ignore[arg-type]

    async def texts(self, **how: object) -> list[str]:
        return [line.text for line in await self.read(**how)]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    return Written(tmp_path)


async def test_lines_of_all_pods_in_order_of_time(written: Written) -> None:
    written.write("b", "b1\nb2\n", 200)
    written.write("a", "a1\n", 100)
    written.write("c", "c without end", 150)
    lines = await written.read()
    assert [line.text for line in lines] == ["a1", "c without end", "b1", "b2"]
    assert lines[0] == LogLine("a", "node-a", "main", datetime.fromtimestamp(100, UTC), "a1")


async def test_some_pods_and_another_container(written: Written) -> None:
    written.write("a", "a1\n", 100)
    written.write("b", "b1\n", 100)
    written.write("b", "init\n", 90, name="one.log")
    assert await written.texts(pods=frozenset(["b"])) == ["b1"]
    assert await written.texts(container="one") == ["init"]


async def test_marks_are_the_times_of_lines(written: Written) -> None:
    path = written.write("a", "one\ntwo\nthree\nfour\n", 500)
    for size, at in ((4, 100.0), (14, 200.0)):
        logfiles.add_mark(path.parent, "main", size, at)
    assert [line.at.timestamp() for line in await written.read() if line.at] == [100, 200, 200, 500]
    assert await written.texts(since=datetime.fromtimestamp(150, UTC)) == ["two", "three", "four"]


async def test_stderr_of_its_own_is_merged_behind_stdout_of_the_same_time(written: Written) -> None:
    written.write("a", "out\n", 100)
    written.write("a", "err\n", 100, name="main.err")
    assert await written.texts() == ["out", "err"]


@pytest.mark.parametrize(
    ("tail", "expected"), [(0, []), (1, ["3"]), (2, ["2", "3"]), (9, ["1", "2", "3"]), (None, ["1", "2", "3"])]
)
async def test_tail(written: Written, tail: int | None, expected: list[str]) -> None:
    written.write("a", "1\n2\n3\n", 100)
    assert await written.texts(tail=tail) == expected


async def test_following_sees_what_is_written_later_and_stops(written: Written) -> None:
    written.write("a", "first\nhal", 100)
    seen: list[str] = []
    async for line in written.logs.read("run", follow=True):
        seen.append(line.text)
        if line.text == "first":
            written.write("a", "f\n", 110)
        elif line.text == "half":
            written.write("b", "new pod\nrest", 120)
        elif line.text == "new pod":
            written.logs.stop_following("run")
    assert seen == ["first", "half", "new pod", "rest"]


async def test_following_a_run_that_has_not_begun(tmp_path: Path) -> None:
    logs = LogFiles(tmp_path, lambda: Mask([]), poll_seconds=0.005)
    seen: list[str] = []

    async def follow() -> None:
        seen.extend([line.text async for line in logs.read("run", follow=True)])

    task = asyncio.create_task(follow())
    await asyncio.sleep(0)
    written = Written(tmp_path)
    written.write("a", "x\n", 1)
    logs.stop_following("run")
    async with asyncio.timeout(10):
        await task
    assert seen == ["x"]


async def test_a_step_that_was_started_anew_is_read_anew(written: Written) -> None:
    path = written.write("a", "a long first attempt\n", 100)
    seen: list[str] = []
    async for line in written.logs.read("run", follow=True):
        seen.append(line.text)
        if len(seen) == 1:
            path.write_text("2\n")
        else:
            written.logs.stop_following("run")
    assert seen == ["a long first attempt", "2"]


async def test_secrets_are_masked(tmp_path: Path) -> None:
    written = Written(tmp_path, ["s3cret", "line one\nline two"])
    written.write("a", "x s3cret y\nline two\nczNjcmV0\n", 100)
    assert await written.texts() == ["x ****** y", "******", "******"]


@pytest.mark.parametrize("run_uid", ["..", "../run", "/etc", "", "a/b", "x\0"])
async def test_other_files_are_not_read(written: Written, run_uid: str) -> None:
    assert [line async for line in written.logs.read(run_uid)] == []
    assert [line async for line in written.logs.read("run", container="../../x")] == []
    await written.logs.remove(run_uid)
    assert written.run.exists()


async def test_a_log_that_is_a_link_is_not_read(written: Written, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("TOP SECRET\n")
    written.write("a", "x\n", 100, name="other.log")
    (written.run / "a" / "main.log").symlink_to(tmp_path / "outside")
    assert await written.texts() == []


async def test_bytes_that_are_no_text(written: Written) -> None:
    (written.write("a", "", 100)).write_bytes(b"\xff\xfe\nok\r\n")
    assert await written.texts() == ["\ufffd\ufffd", "ok\r"]


async def test_remove(written: Written) -> None:
    written.write("a", "x\n", 100)
    await written.logs.remove("run")
    await written.logs.remove("run")
    assert await written.texts() == []


def test_masking_a_file_keeps_its_time(tmp_path: Path) -> None:
    path = tmp_path / "main.log"
    path.write_bytes(b"a s3cret\n\xff\n")
    os.utime(path, (100, 100))
    logfiles.mask_file(path, Mask(["s3cret"]))
    assert path.read_bytes() == b"a ******\n\xff\n"
    assert path.stat().st_mtime == 100


def test_short_values_are_not_masked() -> None:
    assert Mask(["abc", ""]).text("abc") == "abc"
    assert not Mask(["abc"])


def test_the_longer_secret_is_masked_whole() -> None:
    assert Mask(["pass", "password"]).text("password") == secrets.STARS


@pytest.mark.parametrize("name", ["..", "a/b", "", ".x", "a\0"])
def test_a_secrets_name_is_no_path(tmp_path: Path, name: str) -> None:
    from syncd.base.errors import SyncdError

    with pytest.raises(SyncdError):
        secrets.Directory(tmp_path).read("default", name)


def test_secrets_by_namespace_and_flat(tmp_path: Path) -> None:
    for path, text in (("ns/login/user", "ann\n"), ("login/user", "bob"), ("login/.hidden", "x")):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    directory = secrets.Directory(tmp_path)
    assert directory.read("ns", "login") == {"user": "ann"}
    assert directory.read("other", "login") == {"user": "bob"}
    assert sorted(directory.values()) == ["ann", "bob"]
    assert secrets.Directory(None).values() == []
