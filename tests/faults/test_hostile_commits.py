"""A commit made to hurt, and one that mends it: nothing of it comes into force, and every file says what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncd.base.problems import LONGEST
from syncd.config.model import Limits, Source
from tests.support.faults import OFTEN, standing, status, template
from tests.support.gitserver import Repository

HEAD = "apiVersion: argoproj.io/v1alpha1\nkind: WorkflowTemplate\nmetadata: {name: bomb}\nspec:\n"
WORD = "9" * 200_000

BOMBS: dict[str, tuple[str | bytes, str]] = {
    "aliases.yaml": (
        HEAD
        + "  a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"  {b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
        "V104",
    ),
    "circle.yaml": (HEAD + "  a: &a [*a]\n", "V104"),
    "deep.yaml": (HEAD + f"  a: {'[' * 50_000}{']' * 50_000}\n", "V105"),
    "latin.yaml": (HEAD.encode() + b"  x: \xe9\n", "V106"),
    "control.yaml": (HEAD + "  x: a\0b\n", "V106"),
    "large.yaml": (HEAD + f"  x: {'a' * 300_000}\n", "V103"),
    "word.yaml": (HEAD + f"  entrypoint: '{WORD}'\n", "V241"),
    "python.yaml": (HEAD + "  x: !!binary x\n", "V101"),
    "documents.yaml": ("---\n".join([template("d")] * 30), "V103"),
}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "repository")
    made.commit({"good.yaml": template("good")}, "first")
    return made


async def test_a_commit_of_bombs_is_held_and_told(tmp_path: Path, repository: Repository) -> None:
    source = Source(name="r", path=str(repository.path), interval=OFTEN)
    limits = Limits(file_bytes=250_000, documents=20)
    async with standing(tmp_path / "state", source, limits=limits) as daemon:
        good = await status(daemon, "r", "applied", result="applied")
        files = {name: content for name, (content, _) in BOMBS.items()}
        (repository.path / "shadow.yaml").symlink_to("/etc/shadow")
        (repository.path / "loop.yaml").symlink_to("loop.yaml")
        bad = repository.commit(files, "\x1b[31mevil\x07")
        said = await status(daemon, "r", "held", result="held", seen=f"main@sha1:{bad}")
        assert said["applied"] == good["applied"]
        problems = daemon.parts.sources.problems("r")
        found = {(problem.place.file, problem.code) for problem in problems}
        assert {(name, code) for name, (_, code) in BOMBS.items()} <= found
        assert {("shadow.yaml", "V107"), ("loop.yaml", "V107")} <= found
        assert all(len(problem.message) <= LONGEST for problem in problems)
        assert "root:" not in str(problems)
        repository.git("reset", "--hard", "--quiet", "HEAD~1")
        mended = repository.commit({"good.yaml": template("good", "again")})
        await status(daemon, "r", "mended", result="applied", applied=f"main@sha1:{mended}")


async def test_too_many_files_leave_the_last_good_revision(tmp_path: Path, repository: Repository) -> None:
    source = Source(name="r", path=str(repository.path), interval=OFTEN)
    async with standing(tmp_path / "state", source, limits=Limits(files=10)) as daemon:
        good = await status(daemon, "r", "applied", result="applied")
        repository.commit({f"f{number}.yaml": "x: 1\n" for number in range(10)})
        said = await status(daemon, "r", "too many", result="failed", reason="ConfigError")
        assert said["message"].startswith("source has 11 candidate files, the limit is 10;")
        assert said["applied"] == good["applied"]
        repository.commit({"f0.yaml": None})
        await daemon.parts.sources.sync("r", wait=True)
        await status(daemon, "r", "mended", result="applied")
