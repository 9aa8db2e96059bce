"""Remotes that fail while the daemon runs: the last good revision stays, it is said, and it mends itself."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

from syncd.config.model import Auth, Ref, Source
from tests.support import daemon as processes
from tests.support import faults
from tests.support.faults import OFTEN, standing, status, template
from tests.support.gitserver import Repository, serving

HANGING = 9


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "repository")
    made.commit({"one.yaml": template("one")}, "first")
    return made


def test_remotes_that_hang_hold_up_nobody_and_end_with_the_daemon(tmp_path: Path, repository: Repository) -> None:
    with faults.silent() as port:
        sources = "".join(
            f"- {{name: hang{number}, url: 'http://127.0.0.1:{port}/r.git', allowHttp: true, timeout: 10m}}\n"
            for number in range(HANGING)
        )
        config = tmp_path / "syncd.yaml"
        config.write_text(f"sources:\n{sources}- {{name: good, path: {repository.path}}}\n")
        with processes.running(tmp_path / "state", "-c", config, ready=("source good", "1 created")) as daemon:
            said = daemon.syncd("submit", "--from", "workflowtemplate/one", "--wait", "-o", "name")
            name = said.split()[-1].rpartition("/")[2]
            assert "Succeeded" in daemon.syncd("get", name)
            daemon.process.send_signal(signal.SIGTERM)
            daemon.until("stopped")
            assert daemon.process.wait(processes.PATIENCE_SECONDS) == 0


async def test_a_branch_that_goes_and_comes_back(tmp_path: Path, repository: Repository) -> None:
    source = Source(name="r", url=f"file://{repository.path}", ref=Ref(branch="main"), interval=OFTEN)
    async with standing(tmp_path / "state", source) as daemon:
        good = await status(daemon, "r", "applied", result="applied")
        repository.git("branch", "--move", "main", "other")
        said = await status(daemon, "r", "the branch is gone", result="failed", reason="ConfigError")
        assert said["message"] == 'the remote has no branch "main"; check `ref`'
        assert said["applied"] == good["applied"]
        await faults.until(daemon.parts.runner.complaints, "a complaint")
        repository.git("branch", "--move", "other", "main")
        second = repository.commit({"two.yaml": template("two")})
        await daemon.parts.sources.sync("r", wait=True)
        await status(daemon, "r", "it came back", result="applied", applied=f"main@sha1:{second}")
        assert daemon.parts.runner.complaints() == [], "what is well again is not complained of"


async def test_a_repository_that_is_replaced_by_another(tmp_path: Path, repository: Repository) -> None:
    bare = tmp_path / "remote.git"
    repository.git("clone", "--quiet", "--bare", ".", str(bare))
    async with standing(tmp_path / "state", Source(name="r", url=f"file://{bare}", interval=OFTEN)) as daemon:
        good = await status(daemon, "r", "applied", result="applied")
        shutil.rmtree(bare)
        said = await status(daemon, "r", "the repository is gone", result="failed")
        assert "does not appear to be a git repository" in said["message"]
        assert said["applied"] == good["applied"]
        other = Repository(tmp_path / "other")
        commit = other.commit({"one.yaml": template("one", "another")})
        other.git("clone", "--quiet", "--bare", ".", str(bare))
        await daemon.parts.sources.sync("r", wait=True)
        await status(daemon, "r", "the other history is in force", result="applied", applied=f"main@sha1:{commit}")


@pytest.mark.parametrize("left", ["nothing", "empty folder", "folder of somebody else"])
async def test_our_files_are_taken_away(
    tmp_path: Path, repository: Repository, left: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without our configuration git would read that of wherever the daemon stands."""
    trap = Repository(tmp_path / "trap")
    trap.git("config", "url.file:///nonexistent/.insteadOf", "http://")
    monkeypatch.chdir(trap.path)
    secret = tmp_path / "password"
    secret.write_text("swordfish")
    with serving(repository.path) as server:
        server.user, server.password = "ada", "swordfish"
        source = Source(
            name="r",
            url=server.url(".git"),
            allow_http=True,
            interval=OFTEN,
            auth=Auth(username="ada", password_file=str(secret)),
        )
        async with standing(tmp_path / "state", source) as daemon:
            await status(daemon, "r", "applied", result="applied")
            home = tmp_path / "state" / "git" / "r"
            shutil.rmtree(home if left != "nothing" else home.parent)
            if left != "nothing":
                home.mkdir()
            if left == "folder of somebody else":
                (home / "config").symlink_to("/etc/passwd")
            commit = repository.commit({"one.yaml": template("one", "again")})
            await status(daemon, "r", "mended", result="applied", applied=f"main@sha1:{commit}")
            assert oct((home / "config").lstat().st_mode) == "0o100600"


async def test_answers_that_are_no_git(tmp_path: Path, repository: Repository) -> None:
    with serving(repository.path) as server:
        source = Source(name="r", url=server.url(".git"), allow_http=True, interval=OFTEN)
        async with standing(tmp_path / "state", source) as daemon:
            good = await status(daemon, "r", "applied", result="applied")
            for answer, reason in ((500, "Unreachable"), (401, "Refused"), (404, "ConfigError"), (418, "Unreachable")):
                server.status = answer
                await daemon.parts.sources.sync("r", wait=True)
                said = await status(daemon, "r", f"HTTP {answer}", result="failed", reason=reason)
                assert said["applied"] == good["applied"]
                server.status = 0
                await daemon.parts.sources.sync("r", wait=True)
                await status(daemon, "r", f"well after {answer}", result="applied")
