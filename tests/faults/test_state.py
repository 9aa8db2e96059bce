"""A state directory that is not as it should be: said in one line, and nothing of it is lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from syncd.config.model import Source
from tests.support.daemon import syncd
from tests.support.faults import OFTEN, standing, status, template
from tests.support.gitserver import Repository


@pytest.mark.parametrize("name", ["etc", "tasks", "logs"])
async def test_a_file_where_a_folder_belongs(tmp_path: Path, name: str) -> None:
    (tmp_path / "hello.yaml").write_text(
        "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {generateName: hello-}\nspec: {entrypoint: main, "
        "templates: [{name: main, container: {image: busybox, command: [echo, hello]}}]}\n"
    )
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    (state / name).write_text("precious")
    syncd(state, "up", "--listen", "127.0.0.1:0", "--runtime", "sandbox", code=3)
    if name == "tasks":  # without a daemon it is said as well
        syncd(state, "submit", "--wait", str(tmp_path / "hello.yaml"), code=3)
    assert (state / name).read_text() == "precious"


async def test_the_folder_of_mirrors_is_taken_away_and_comes_back(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    repository.commit({"one.yaml": template("one")})
    state = tmp_path / "state"
    source = Source(name="r", url=f"file://{repository.path}", interval=OFTEN)
    async with standing(state, source) as daemon:
        good = await status(daemon, "r", "applied", result="applied")
        shutil.rmtree(state / "git")
        (state / "git").write_text("a file where a folder belongs")
        said = await status(daemon, "r", "no place", result="failed", reason="Unreachable")
        assert "the state directory cannot be used: " in said["message"]
        assert said["applied"] == good["applied"]
        (state / "git").unlink()
        commit = repository.commit({"one.yaml": template("one", "again")})
        await daemon.parts.sources.sync("r", wait=True)
        await status(daemon, "r", "mended", result="applied", applied=f"main@sha1:{commit}")
