"""One daemon for all tutorials: `syncd up . --path examples` over a repository that holds a copy of examples/."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import daemon as daemons
from tests.support.gitserver import Repository

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository with a commit of examples/."""
    made = Repository(tmp_path_factory.mktemp("tutorials") / "repository")
    made.write({f"examples/{path.name}": path.read_text() for path in EXAMPLES.iterdir()})
    made.git("add", ".")
    made.git("commit", "--quiet", "-m", "examples")
    return made


@pytest.fixture(scope="session")
def daemon(repository: Repository, tmp_path_factory: pytest.TempPathFactory) -> Iterator[daemons.Daemon]:
    """The daemon of the README, once the commit is in force."""
    state = tmp_path_factory.mktemp("state") / "syncd"
    with daemons.running(state, repository.path, "--path", "examples", ready=("source ", " created")) as running:
        yield running
