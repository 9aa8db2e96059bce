"""The git driver against real git behind a real server."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from syncd.artifacts import api
from syncd.artifacts.git import Git
from syncd.base.errors import Invalid, NotFound, Refused, SyncdError, Unsupported
from tests.support import gitserver
from tests.support.gitserver import ENVIRONMENT, GitServer, Repository

ACCESS = api.Access("ns", lambda namespace, name, key: {"user": "ann", "password": "pa55word", "no": "wrong"}[key])


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[GitServer, Repository]]:
    repository = Repository(tmp_path / "srv" / "repo")
    repository.commit({"VERSION": "1\n", "bin/run": "#!/bin/sh\n", "dir/a": "a"}, "one")
    (repository.path / "bin" / "run").chmod(0o755)
    (repository.path / "link").symlink_to("dir/a")
    (repository.path / "out").symlink_to("/etc/passwd")
    repository.commit({}, "two")
    repository.git("tag", "-a", "-m", "release", "v1")
    repository.git("checkout", "--quiet", "-b", "dev")
    repository.commit({"VERSION": "2\n"}, "three")
    repository.git("checkout", "--quiet", "main")
    with gitserver.serving(tmp_path / "srv") as server:
        yield server, repository


def load(served: tuple[GitServer, Repository], target: Path, **more: Any) -> Path:
    Git().load({"repo": served[0].url("repo/.git"), **more}, target, ACCESS)
    return target


def git(path: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", *words], cwd=path, env=ENVIRONMENT, capture_output=True, text=True, timeout=30, check=True
    )
    return done.stdout.strip()


def test_a_clone_is_a_work_tree_that_git_finds_clean(served: Any, tmp_path: Path) -> None:
    out = load(served, tmp_path / "out")
    assert (out / "VERSION").read_text() == "1\n"
    assert (out / "bin" / "run").stat().st_mode & 0o111
    assert str((out / "link").readlink()) == "dir/a"
    assert git(out, "status", "--porcelain", "--branch") == "## main"
    assert git(out, "log", "--format=%s").split() == ["two", "one"]
    assert git(out, "describe", "--tags") == "v1"
    assert "pa55word" not in (out / ".git" / "config").read_text()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "srv"]


@pytest.mark.parametrize(
    ("more", "version"),
    [
        ({"revision": "dev"}, "2\n"),
        ({"revision": "v1"}, "1\n"),
        ({"revision": "refs/heads/dev"}, "2\n"),
        ({"branch": "dev"}, "2\n"),
        ({"branch": "dev", "singleBranch": True}, "2\n"),
        ({"branch": "dev", "singleBranch": True, "depth": 1}, "2\n"),
        ({"depth": 1, "revision": "dev"}, "2\n"),
        ({"fetch": ["refs/heads/*:refs/extra/*"]}, "1\n"),
    ],
    ids=str,
)
def test_revisions(served: Any, tmp_path: Path, more: dict[str, Any], version: str) -> None:
    out = load(served, tmp_path / "out", **more)
    assert (out / "VERSION").read_text() == version
    assert git(out, "status", "--porcelain") == ""


def test_a_commit_in_full_or_short(served: Any, tmp_path: Path) -> None:
    commit = served[1].git("rev-parse", "main~1")
    for number, revision in enumerate((commit, commit[:8])):
        out = load(served, tmp_path / f"out{number}", revision=revision)
        assert git(out, "rev-parse", "HEAD") == commit
        assert not (out / "link").exists()


def test_credentials(served: Any, tmp_path: Path) -> None:
    served[0].user, served[0].password = "ann", "pa55word"
    secret = {"usernameSecret": {"name": "s", "key": "user"}, "passwordSecret": {"name": "s", "key": "password"}}
    load(served, tmp_path / "out", **secret)
    with pytest.raises(Refused) as caught:
        load(served, tmp_path / "out2", **{**secret, "passwordSecret": {"name": "s", "key": "no"}})
    assert "wrong" not in str(caught.value)


@pytest.mark.parametrize(
    "repo", ["", "file:///srv/repo", "/etc", "ext::sh -c id", "-oProxyCommand=x", "ssh://-x/y", "ftp://h/x"]
)
def test_addresses_that_are_not_for_manifests(tmp_path: Path, repo: str) -> None:
    with pytest.raises(Invalid):
        Git().load({"repo": repo}, tmp_path / "out", ACCESS)


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"revision": "nope"}, NotFound),
        ({"revision": "--upload-pack=x"}, NotFound),
        ({"revision": "deadbeef"}, NotFound),
        ({"branch": "nope"}, NotFound),
        ({"singleBranch": True}, Invalid),
        ({"fetch": ["--upload-pack=touch /tmp/x"]}, Invalid),
        ({"insecureSkipTLS": True}, Unsupported),
    ],
    ids=str,
)
def test_what_cannot_be_cloned(served: Any, tmp_path: Path, more: dict[str, Any], error: type[SyncdError]) -> None:
    with pytest.raises(error):
        load(served, tmp_path / "out", **more)


def test_submodules_must_be_declined(served: Any, tmp_path: Path) -> None:
    repository = served[1]
    commit = repository.git("rev-parse", "HEAD")
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{commit},sub")
    repository.git("commit", "--quiet", "--no-gpg-sign", "-m", "sub")
    with pytest.raises(Unsupported, match="disableSubmodules"):
        load(served, tmp_path / "out")
    assert (load(served, tmp_path / "out2", disableSubmodules=True) / "VERSION").exists()


def test_the_caps_hold(served: Any, tmp_path: Path) -> None:
    for caps in (api.Caps(files=2), api.Caps(bytes=3)):
        access = api.Access("ns", ACCESS.secret, caps)
        with pytest.raises(SyncdError):
            Git().load({"repo": served[0].url("repo/.git")}, tmp_path / f"out{caps.files}", access)


def test_no_output_and_no_stream(tmp_path: Path) -> None:
    with pytest.raises(Unsupported):
        Git().save(tmp_path, {}, ACCESS)
    with pytest.raises(Invalid):
        Git().open({}, ACCESS)
