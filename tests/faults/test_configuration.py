"""A configuration that changes, goes wrong and comes right again while the daemon runs."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from pathlib import Path

import pytest

from syncd.app import common
from syncd.base.errors import ConfigError
from syncd.config import load
from syncd.config.model import Config
from tests.support.faults import standing, status, template, until

SOURCES = """\
sources:
- {{name: a, path: {folder}/a}}
- {{name: {second}, path: {folder}/b}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "one.yaml").write_text(template(name))
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "syncd.yaml").write_text(SOURCES.format(folder=tmp_path, second="b"))
    return tmp_path


def read(file: Path) -> Config:
    try:
        return load.load(file.read_bytes(), {})
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from None


async def test_only_a_change_of_content_is_a_change(folder: Path) -> None:
    """The daemon's own log may lie beside its configuration."""
    file, asked = folder / "etc" / "syncd.yaml", asyncio.Event()
    following = asyncio.create_task(common.follow(file, common.content(file), asked))
    seen = 0
    try:
        for number in range(20):
            (folder / "etc" / "log").write_text(str(number))
            os.utime(file)
            await asyncio.sleep(0.02)
            seen += asked.is_set()
        assert seen == 0
        file.write_text("sources: []\n")
        await until(asked.is_set, "a change")
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def test_a_directory_that_is_replaced_is_followed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, "_LOOK_MS", 50)
    file, asked = folder / "etc" / "syncd.yaml", asyncio.Event()
    following = asyncio.create_task(common.follow(file, common.content(file), asked))
    try:
        shutil.rmtree(folder / "etc")
        await until(asked.is_set, "that it is gone")
        asked.clear()
        (folder / "etc").mkdir()
        file.write_text("sources: []\n")
        await until(asked.is_set, "that it is back")
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def test_a_wrong_configuration_changes_nothing_and_a_right_one_everything(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = folder / "etc" / "syncd.yaml"
    config, asked = read(file), asyncio.Event()
    async with standing(folder / "state", *config.sources, reread=lambda: read(file)) as daemon:
        reloading = asyncio.create_task(common.reload_when(daemon.reload, asked))
        try:
            await status(daemon, "a", "applied", result="applied")
            loops = dict(daemon.parts.sources.loops)
            for wrong in ("sources: {", "\0", "sources: [{name: a, url: 'ext::sh -c id'}]", "- \x1b[31m: 1"):
                file.write_text(wrong)
                said = len(caplog.records)
                asked.set()
                await until(lambda said=said: len(caplog.records) > said, "a word")
                assert caplog.records[-1].getMessage().startswith("the configuration is wrong and the old one stays")
                assert caplog.records[-1].getMessage().isprintable()
            file.unlink()
            with pytest.raises(ConfigError, match="No such file"):
                await daemon.reload()
            assert daemon.parts.sources.loops == loops, "not one loop was touched"
            file.write_text(SOURCES.format(folder=folder, second="c"))
            caplog.set_level(logging.INFO)
            asked.set()
            await until(lambda: daemon.parts.sources.names() == ["a", "c"], "the new source")
            assert daemon.parts.sources.loops["a"] is loops["a"], "what did not change was not touched"
        finally:
            reloading.cancel()
            await asyncio.gather(reloading, return_exceptions=True)


async def test_reloads_at_once_are_one_after_the_other(folder: Path) -> None:
    file = folder / "etc" / "syncd.yaml"
    names = iter("cdefghij")

    def reread() -> Config:
        file.write_text(SOURCES.format(folder=folder, second=next(names)))
        return read(file)

    async with standing(folder / "state", *read(file).sources, reread=reread) as daemon:
        await asyncio.gather(*(daemon.reload() for _ in range(8)))
        assert daemon.parts.sources.names() == ["a", "j"]


async def test_tokens_come_and_go_with_a_reload(folder: Path) -> None:
    file, accepted = folder / "etc" / "syncd.yaml", folder / "tokens"
    leaked, fresh = "leaked-token-of-somebody", "fresh-token-of-somebody"
    accepted.write_text(f"{leaked}\n")
    text = SOURCES.format(folder=folder, second="b") + f"listen: {{port: 0, tokensFile: {accepted}}}\n"
    file.write_text(text)
    config = read(file)
    async with standing(folder / "state", *config.sources, reread=lambda: read(file), listen=config.listen) as daemon:
        doors = daemon._doors
        assert doors is not None
        assert doors.credential_of(leaked)
        accepted.write_text(f"{fresh}\n")
        await daemon.reload()
        assert (doors.credential_of(leaked), bool(doors.credential_of(fresh))) == (None, True)
        accepted.write_text("short\n")
        with pytest.raises(ConfigError, match="shorter than"):
            await daemon.reload()
        assert doors.credential_of(fresh), "a faulty file locks nobody out"
