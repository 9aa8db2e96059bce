"""The git source against real repositories: what it serves, how it mends itself, what it refuses."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from syncd.base.errors import ConfigError, Refused, Unreachable
from syncd.config.model import Auth, Limits, Ref, Source
from syncd.source.api import Fetched
from syncd.source.git import GitSource
from tests.support.gitserver import GitServer, Repository, serving


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "served" / "jobs")
    made.commit({"a.yaml": "a: 1\n", "ci/b.yml": "b: 1\n", "ci/c.json": "{}", "readme.md": "hi"}, "first one\n\nmore")
    return made


@pytest.fixture
def server(tmp_path: Path, repository: Repository) -> Iterator[GitServer]:
    with serving(tmp_path / "served") as made:
        yield made


def source_of(tmp_path: Path, url: str, limits: Limits | None = None, **fields: object) -> GitSource:
    place = {"path": url} if url.startswith("/") and not fields.pop("as_url", False) else {"url": url}
    configured = Source(name="jobs", allow_http=True, timeout=timedelta(seconds=20), **place, **fields)  # type: ignore[arg-type]
    return GitSource(configured, tmp_path / "state" / "git" / "jobs", limits)


async def synced(source: GitSource, base: Fetched | None = None) -> Fetched:
    return await source.fetch(await source.poll(), base)


async def test_the_first_fetch_brings_everything(tmp_path: Path, repository: Repository) -> None:
    head = repository.git("rev-parse", "HEAD")
    source = source_of(tmp_path, str(repository.path))
    fetched = await synced(source)
    assert str(fetched.revision) == f"main@sha1:{head}"
    assert fetched.changed == {"a.yaml": b"a: 1\n", "ci/b.yml": b"b: 1\n", "ci/c.json": b"{}"}
    assert fetched.files.keys() == fetched.changed.keys()
    assert (fetched.author, fetched.subject, fetched.uncommitted) == ("Ada", "first one", 0)
    assert (fetched.removed, fetched.problems, fetched.ignored) == (frozenset(), (), {})


async def test_the_next_fetch_brings_the_difference(tmp_path: Path, repository: Repository) -> None:
    source = source_of(tmp_path, str(repository.path))
    first = await synced(source)
    repository.commit({"a.yaml": "a: 2\n", "ci/b.yml": None, "new/d.yaml": "d: 1\n", "readme.md": "ho"})
    second = await synced(source, first)
    assert second.changed == {"a.yaml": b"a: 2\n", "new/d.yaml": b"d: 1\n"}
    assert second.removed == {"ci/b.yml"}
    assert second.files.keys() == {"a.yaml", "ci/c.json", "new/d.yaml"}
    assert second.files["ci/c.json"] == first.files["ci/c.json"]
    repository.git("mv", "new/d.yaml", "new/e.yaml")
    third = await synced(source, (repository.commit(), second)[1])
    assert (dict(third.changed), third.removed) == ({"new/e.yaml": b"d: 1\n"}, {"new/d.yaml"})


async def test_an_unchanged_remote_has_an_unchanged_revision(tmp_path: Path, repository: Repository) -> None:
    source = source_of(tmp_path, str(repository.path))
    first = await synced(source)
    assert await source.poll() == first.revision
    again = await source.fetch(first.revision, first)
    assert (dict(again.changed), again.files) == ({}, first.files)


async def test_folder_include_and_exclude(tmp_path: Path, repository: Repository) -> None:
    fetched = await synced(source_of(tmp_path, str(repository.path), folder="ci"))
    assert fetched.files.keys() == {"b.yml", "c.json"}
    fetched = await synced(source_of(tmp_path, str(repository.path / "ci"), exclude=("*.json",)))
    assert fetched.files.keys() == {"b.yml"}
    fetched = await synced(source_of(tmp_path, str(repository.path), include=("*.md", "a.*")))
    assert fetched.files.keys() == {"readme.md", "a.yaml"}
    with pytest.raises(ConfigError, match=r'there is no folder "nope" at main@sha1'):
        await synced(source_of(tmp_path, str(repository.path), folder="nope"))


async def test_a_folder_that_vanishes_is_an_error_and_never_an_empty_source(
    tmp_path: Path, repository: Repository
) -> None:
    source = source_of(tmp_path, str(repository.path), folder="ci")
    first = await synced(source)
    repository.commit({"ci/b.yml": None, "ci/c.json": None})
    with pytest.raises(ConfigError, match="there is no folder"):
        await synced(source, first)


async def test_branches_tags_and_commits(tmp_path: Path, repository: Repository) -> None:
    first = repository.git("rev-parse", "HEAD")
    repository.git("tag", "-m", "annotated", "v1.0.0")
    repository.git("checkout", "--quiet", "-b", "feature/x")
    second = repository.commit({"x.yaml": "x: 1\n"})
    repository.git("checkout", "--quiet", "main")
    repository.commit({"m.yaml": "m: 1\n"})
    for ref, shown, commit in (
        (Ref(text="feature/x"), "feature/x", second),
        (Ref(tag="v1.0.0"), "v1.0.0", first),
        (Ref(semver="^1"), "v1.0.0", first),
        (Ref(commit=first), "commit", first),
        (Ref(text=first), "commit", first),
        (Ref(name="refs/heads/feature/x"), "refs/heads/feature/x", second),
    ):
        fetched = await synced(source_of(tmp_path, str(repository.path), ref=ref))
        assert str(fetched.revision) == f"{shown}@sha1:{commit}"
        assert ("x.yaml" in fetched.files) == (commit == second)
    for ref, words in (
        (Ref(branch="no"), 'no branch "no"'),
        (Ref(commit="0" * 40), "is in none of the remote's branches"),
    ):
        with pytest.raises(ConfigError, match=words):
            await synced(source_of(tmp_path, str(repository.path), ref=ref))


async def test_a_commit_behind_the_tips_of_an_old_server_is_found(tmp_path: Path, repository: Repository) -> None:
    """Protocol 0 hands out only what it names; the commit is looked for in what it does hand out."""
    first = repository.git("rev-parse", "HEAD")
    repository.commit({"a.yaml": "a: 2\n"})
    source = source_of(tmp_path, str(repository.path), ref=Ref(commit=first))
    await source.poll()
    home = tmp_path / "state" / "git" / "jobs"
    source._door.run("version")
    (home / "config").write_text((home / "config").read_text().replace("version = 2", "version = 0"))
    fetched = await synced(source)
    assert fetched.changed["a.yaml"] == b"a: 1\n"


async def test_force_push_moved_tag_and_switched_branch(tmp_path: Path, repository: Repository) -> None:
    source, tagged = (source_of(tmp_path / n, str(repository.path), ref=Ref(text=n)) for n in ("main", "v1"))
    repository.git("tag", "v1")
    base, tag_base = await synced(source), await synced(tagged)
    repository.git("checkout", "--quiet", "--orphan", "other")
    forced = repository.commit({"a.yaml": "a: forced\n", "ci/c.json": None})
    repository.git("branch", "--force", "main", forced)
    repository.git("tag", "--force", "v1", forced)
    for one, before in ((source, base), (tagged, tag_base)):
        fetched = await synced(one, before)
        assert fetched.revision.commit == forced
        assert (dict(fetched.changed), fetched.removed) == ({"a.yaml": b"a: forced\n"}, {"ci/c.json"})
    switched = await synced(source_of(tmp_path / "main", str(repository.path), ref=Ref(text="other")), None)
    assert switched.revision.ref == "other"


async def test_the_default_branch_is_the_remotes(tmp_path: Path, repository: Repository) -> None:
    source = source_of(tmp_path, str(repository.path))
    assert (await source.poll()).ref == "main"
    repository.git("checkout", "--quiet", "-b", "dev")
    assert (await source.poll()).ref == "dev"
    repository.git("checkout", "--quiet", "--detach")
    assert (await source.poll()).ref == "HEAD"


async def test_a_restart_keeps_the_mirror(tmp_path: Path, repository: Repository, server: GitServer) -> None:
    url = server.url("jobs/.git")
    first = await synced(source_of(tmp_path, url))
    server.requests.clear()
    again = source_of(tmp_path, url)
    second = await again.fetch(first.revision, None)
    assert second.changed == first.changed
    assert server.requests == []


DAMAGE = {
    "a lock left behind": lambda mirror: [(mirror / "shallow.lock").touch(), (mirror / "config.lock").touch()],
    "a lock on our ref": lambda mirror: (mirror / "refs/syncd/head.lock").touch(),
    "HEAD gone": lambda mirror: (mirror / "HEAD").unlink(),
    "HEAD garbage": lambda mirror: (mirror / "HEAD").write_text("garbage"),
    "config garbage": lambda mirror: (mirror / "config").write_text("[[["),
    "config is no text": lambda mirror: (mirror / "config").write_bytes(b"\xff\xfe"),
    "objects gone": lambda mirror: shutil.rmtree(mirror / "objects"),
    "objects emptied": lambda mirror: [p.unlink() for p in (mirror / "objects").rglob("*") if p.is_file()],
    "objects cut short": lambda mirror: [_cut(p) for p in (mirror / "objects").rglob("*") if p.is_file()],
    "one object gone": lambda mirror: next(p for p in sorted((mirror / "objects").rglob("*")) if p.is_file()).unlink(),
    "refs gone": lambda mirror: shutil.rmtree(mirror / "refs"),
    "everything gone": lambda mirror: shutil.rmtree(mirror),
    "shallow garbage": lambda mirror: (mirror / "shallow").write_text("x\n"),
    "the mark of the commit lies": lambda mirror: (mirror / "syncd-commit").write_text("0" * 40),
    "a file where the mirror was": lambda mirror: [shutil.rmtree(mirror), mirror.touch()],
}


def _cut(path: Path) -> None:
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:7])


@pytest.mark.parametrize("restart", [False, True], ids=["running", "restarted"])
@pytest.mark.parametrize("damage", DAMAGE)
async def test_a_broken_mirror_is_mended(tmp_path: Path, repository: Repository, damage: str, restart: bool) -> None:
    source = source_of(tmp_path, str(repository.path))
    first = await synced(source)
    (mirror,) = (tmp_path / "state").rglob("*.git")
    DAMAGE[damage](mirror)
    if restart:
        again = source_of(tmp_path, str(repository.path))
        assert (await synced(again)).changed == first.changed
    repository.commit({"a.yaml": "a: 2\n"})
    assert dict((await synced(source, first)).changed) == {"a.yaml": b"a: 2\n"}


async def test_another_url_starts_a_new_mirror(tmp_path: Path, repository: Repository) -> None:
    await synced(source_of(tmp_path, str(repository.path)))
    other = Repository(tmp_path / "other")
    other.commit({"o.yaml": "o: 1\n"})
    assert (await synced(source_of(tmp_path, str(other.path)))).files.keys() == {"o.yaml"}
    assert len(list((tmp_path / "state").rglob("*.git"))) == 1


async def test_sha256_repositories(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "r", object_format="sha256")
    commit = repository.commit({"a.yaml": "a: 1\n"})
    fetched = await synced(source_of(tmp_path, str(repository.path)))
    assert str(fetched.revision) == f"main@sha256:{commit}"
    assert fetched.changed == {"a.yaml": b"a: 1\n"}


async def test_over_http_with_a_password_from_a_file(tmp_path: Path, repository: Repository, server: GitServer) -> None:
    server.user, server.password = "robot", "hunter2"
    secret = tmp_path / "secret"
    secret.write_text("hunter2\n")
    url = f"http://robot@{server.host}/jobs/.git"
    source = source_of(tmp_path, url, auth=Auth(password_file=str(secret)))
    assert (await synced(source)).files.keys() == {"a.yaml", "ci/b.yml", "ci/c.json"}
    assert source.describe() == f"http://{server.host}/jobs/.git"
    secret.write_text("wrong")
    with pytest.raises(Refused) as caught:
        await source.poll()
    assert "passwordFile" in str(caught.value)
    assert "robot" not in str(caught.value)
    state = "".join(p.read_text(errors="replace") for p in (tmp_path / "state").rglob("*") if p.is_file())
    assert "hunter2" not in state


async def test_a_remote_that_fails_changes_nothing(tmp_path: Path, repository: Repository, server: GitServer) -> None:
    source = source_of(tmp_path, server.url("jobs/.git"))
    first = await synced(source)
    commit = repository.commit({"a.yaml": "a: 2\n"})
    revision = await source.poll()
    for status, error in ((503, Unreachable), (404, ConfigError), (403, Refused)):
        server.status = status
        with pytest.raises(error):
            await source.poll()
        with pytest.raises(error):
            await source.fetch(revision, first)
    server.status = 0
    assert revision.commit == commit
    assert dict((await source.fetch(revision, first)).changed) == {"a.yaml": b"a: 2\n"}


async def test_nobody_there_is_unreachable(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/x"
    with pytest.raises(Unreachable):
        await source_of(tmp_path, url).poll()


async def test_a_path_that_is_no_repository_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no git repository"):
        await source_of(tmp_path, str(tmp_path / "nothing")).poll()
    Repository(tmp_path / "empty")
    with pytest.raises(ConfigError, match="no commit yet"):
        await source_of(tmp_path, str(tmp_path / "empty")).poll()


async def test_links_stay_inside_the_repository(tmp_path: Path, repository: Repository) -> None:
    (tmp_path / "secret.yaml").write_text("password: hunter2\n")
    for name, target in (
        ("in.yaml", "a.yaml"),
        ("ci/up.yaml", "../a.yaml"),
        ("out.yaml", "../../secret.yaml"),
        ("absolute.yaml", "/etc/passwd"),
        ("nothing.yaml", "nope.yaml"),
        ("circle.yaml", "circle.yaml"),
        ("folder.yaml", "ci"),
        ("through.yaml", "a.yaml/b"),
    ):
        (repository.path / name).symlink_to(target)
    repository.commit()
    source = source_of(tmp_path, str(repository.path))
    fetched = await synced(source)
    assert fetched.changed["in.yaml"] == fetched.changed["ci/up.yaml"] == b"a: 1\n"
    assert {p.place.file: p.message for p in fetched.problems} == {
        "absolute.yaml": "link that leads out of the repository",
        "circle.yaml": "link that leads in a circle",
        "folder.yaml": "link to a folder, which is not followed",
        "nothing.yaml": "link to nothing",
        "out.yaml": "link that leads out of the repository",
        "through.yaml": "link through a file as if it were a folder",
    }
    assert {p.code for p in fetched.problems} == {"V107"}
    assert not any(b"hunter2" in data or b"root:" in data for data in fetched.changed.values())
    repository.commit({"a.yaml": "a: 2\n"})
    second = await synced(source, fetched)
    assert second.changed == {"a.yaml": b"a: 2\n", "in.yaml": b"a: 2\n", "ci/up.yaml": b"a: 2\n"}
    assert second.problems == fetched.problems


async def test_submodules_are_left_alone(tmp_path: Path, repository: Repository) -> None:
    sub = Repository(tmp_path / "sub")
    commit = sub.commit({"s.yaml": "s: 1\n"})
    repository.write({".gitmodules": f'[submodule "x.yaml"]\n\tpath = x.yaml\n\turl = {sub.path}\n'})
    repository.git("add", "--all", ".")
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{commit},x.yaml")
    repository.git("commit", "--quiet", "-m", "sub")
    fetched = await synced(source_of(tmp_path, str(repository.path)))
    assert "x.yaml" not in fetched.files


async def test_charts_and_kustomizations_come_and_go(tmp_path: Path, repository: Repository) -> None:
    source = source_of(tmp_path, str(repository.path))
    first = await synced(source)
    repository.commit({"ci/Chart.yaml": "name: c\n", "kustomization.yaml": "patches:\n- path: a.yaml\n"})
    second = await synced(source, first)
    assert second.files.keys() == set()
    assert second.removed == {"a.yaml", "ci/b.yml", "ci/c.json"}
    assert second.ignored["ci/b.yml"] == "below ci/Chart.yaml: Helm charts are not rendered"
    assert second.ignored["a.yaml"] == "a patch of kustomization.yaml: kustomizations are not rendered"
    repository.commit({"ci/Chart.yaml": None, "kustomization.yaml": "resources: [a.yaml]\n"})
    third = await synced(source, second)
    assert third.files == first.files
    assert third.changed == first.changed
    assert dict(third.ignored) == {"kustomization.yaml": "a kustomization: not rendered"}


async def test_limits_of_size_and_number(tmp_path: Path, repository: Repository) -> None:
    ours = "apiVersion: argoproj.io/v1alpha1\n" + "#" * 200
    repository.commit({"big.yaml": ours, "data.json": '{"a": "' + "x" * 200 + '"}'})
    source = source_of(tmp_path, str(repository.path), Limits(file_bytes=100))
    fetched = await synced(source)
    (problem,) = fetched.problems
    assert (problem.code, problem.place.file) == ("V103", "big.yaml")
    assert fetched.ignored == {"data.json": "too large (209 bytes) and not ours by its looks"}
    assert fetched.changed.keys() == {"a.yaml", "ci/b.yml", "ci/c.json"}
    repository.commit({"a.yaml": "a: 2\n"})
    second = await synced(source, fetched)
    assert (second.problems, dict(second.ignored)) == (fetched.problems, dict(fetched.ignored))
    repository.commit({"big.yaml": "a: 1\n"})
    assert (await synced(source, second)).problems == ()
    with pytest.raises(ConfigError, match="source has 5 candidate files, the limit is 4"):
        await synced(source_of(tmp_path, str(repository.path), Limits(files=4)))
    with pytest.raises(Unreachable, match="larger than is allowed"):
        await synced(source_of(tmp_path, str(repository.path), Limits(source_bytes=20)))


async def test_names_that_cannot_be_shown_are_refused(tmp_path: Path, repository: Repository) -> None:
    blob = repository.git("hash-object", "-w", "--stdin", stdin=b"x: 1\n")
    for name in (b"new\nline.yaml", b"\xff.yaml", "\u202eright.yaml".encode()):
        line = b"100644 " + blob.encode() + b"\t" + name + b"\0"
        repository.git("update-index", "-z", "--index-info", stdin=line)
    repository.git("commit", "--quiet", "-m", "names")
    fetched = await synced(source_of(tmp_path, str(repository.path)))
    assert sorted(p.place.file for p in fetched.problems) == ["?right.yaml", "new?line.yaml", "\ufffd.yaml"]
    assert {p.code for p in fetched.problems} == {"V115"}
    assert len(fetched.files) == 3


async def test_what_is_not_committed_is_counted_and_not_served(tmp_path: Path, repository: Repository) -> None:
    repository.write({"a.yaml": "a: dirty\n", "ci/new.yaml": "n: 1\n", "notes.txt": "x", "ci/b.yml": None})
    (repository.path / ".gitignore").write_text("skipped.yaml\n")
    repository.write({"skipped.yaml": "s: 1\n"})
    fetched = await synced(source_of(tmp_path, str(repository.path)))
    assert (fetched.uncommitted, fetched.changed["a.yaml"]) == (3, b"a: 1\n")
    assert (await synced(source_of(tmp_path, str(repository.path / "ci")))).uncommitted == 2


async def test_a_linked_work_tree_and_a_bare_repository(tmp_path: Path, repository: Repository) -> None:
    repository.git("worktree", "add", "--quiet", "-b", "side", str(tmp_path / "side"))
    side = await synced(source_of(tmp_path / "1", str(tmp_path / "side" / "ci")))
    assert (side.revision.ref, side.files.keys()) == ("side", {"b.yml", "c.json"})
    repository.git("clone", "--quiet", "--bare", ".", str(tmp_path / "bare.git"))
    bare = await synced(source_of(tmp_path / "2", str(tmp_path / "bare.git"), folder="ci"))
    assert (bare.revision.ref, bare.files.keys(), bare.uncommitted) == ("main", {"b.yml", "c.json"}, 0)
    by_url = await synced(source_of(tmp_path / "3", f"file://{tmp_path}/bare.git"))
    assert by_url.files.keys() == {"a.yaml", "ci/b.yml", "ci/c.json"}


async def test_a_commit_in_a_local_repository_is_a_hint(tmp_path: Path, repository: Repository) -> None:
    source = source_of(tmp_path, str(repository.path))
    hints = source.hints()
    waiting = asyncio.ensure_future(anext(hints))
    while not waiting.done():
        repository.commit({"a.yaml": repository.git("rev-parse", "HEAD")})
        await asyncio.wait([waiting], timeout=0.2)
    await source.close()
    assert [hint async for hint in hints] == []


async def test_a_remote_never_hints_and_closes(tmp_path: Path, server: GitServer) -> None:
    source = source_of(tmp_path, server.url("jobs/.git"))
    await source.close()
    assert [hint async for hint in source.hints()] == []


async def test_mirrors_are_tidied_without_harm(
    tmp_path: Path, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("syncd.source.mirror._TIDY_AFTER", 2)
    source = source_of(tmp_path, str(repository.path))
    fetched: Fetched | None = None
    for number in range(5):
        repository.commit({"a.yaml": f"a: {number}\n"})
        fetched = await synced(source, fetched)
        assert fetched.changed["a.yaml"] == f"a: {number}\n".encode()
        assert (len(fetched.changed) == 1) == (number > 0)
