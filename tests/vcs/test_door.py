"""The door to git: real git, hostile surroundings."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd.base.errors import ConfigError, Defect, Refused, Unreachable
from syncd.config.model import Auth
from syncd.vcs import blobs, verdicts
from syncd.vcs.door import Door
from syncd.vcs.verdicts import GitFailed, Kind
from tests.support.gitserver import GitServer, Repository, serving


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "served" / "jobs")
    made.commit({"a.yaml": "a: 1\n", "ci/b.yaml": "b: 1\n", "big.yaml": "x" * 5000})
    return made


@pytest.fixture
def server(tmp_path: Path, repository: Repository) -> Iterator[GitServer]:
    with serving(tmp_path / "served") as made:
        yield made


def door_of(tmp_path: Path, url: str = "", **options: object) -> Door:
    return Door(tmp_path / "home", url=url, allow_file=True, allow_http=True, **options)  # type: ignore[arg-type]


def ask(door: Door, url: str, **options: float) -> bytes:
    return door.run("ls-remote", "--end-of-options", url, "HEAD", **options)  # type: ignore[arg-type]


def failure(door: Door, url: str, **options: float) -> GitFailed:
    with pytest.raises(GitFailed) as caught:
        ask(door, url, **options)
    return caught.value


def test_only_subcommands_of_the_table_run(tmp_path: Path) -> None:
    for subcommand in ("clone", "config", "-c", "log", "!x"):
        with pytest.raises(Defect):
            door_of(tmp_path).run(subcommand)
    with pytest.raises(Defect):
        door_of(tmp_path).run("version", "a\0b")


def test_transports_that_run_programs_are_refused(tmp_path: Path) -> None:
    for url in (f"ext::sh -c 'touch {tmp_path}/owned'", "fd::0", "git://127.0.0.1/x"):
        assert failure(door_of(tmp_path), url).kind is Kind.REFUSED
    assert failure(door_of(tmp_path), f"--upload-pack=touch {tmp_path}/owned").kind is not Kind.TIMEOUT
    assert not (tmp_path / "owned").exists()


def test_file_and_http_only_where_the_operator_said_so(
    tmp_path: Path, repository: Repository, server: GitServer
) -> None:
    strict = Door(tmp_path / "strict")
    assert failure(strict, str(repository.path)).kind is Kind.REFUSED
    assert failure(strict, server.url("jobs/.git")).kind is Kind.REFUSED
    assert server.requests == []
    assert ask(door_of(tmp_path), server.url("jobs/.git")).endswith(b"\tHEAD\n")


def test_the_daemons_own_git_variables_do_not_get_through(
    tmp_path: Path, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    monkeypatch.setenv("GIT_TRACE", str(tmp_path / "trace"))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "url.ext::touch /tmp/x .insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "/")
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "ext")
    assert ask(door_of(tmp_path), str(repository.path)).endswith(b"\tHEAD\n")
    assert not (tmp_path / "trace").exists()


def test_the_configuration_of_a_work_tree_runs_nothing(tmp_path: Path, repository: Repository) -> None:
    marker = tmp_path / "owned"
    repository.git("config", "core.fsmonitor", f"touch {marker}; false")
    repository.git("config", "core.hooksPath", str(tmp_path))
    repository.git("config", "core.sshCommand", f"touch {marker}")
    repository.git("config", "core.pager", f"touch {marker}")
    repository.write({"new.yaml": "n: 1\n"})
    door = door_of(tmp_path, trusted=[repository.path])
    assert door.run("status", "--porcelain=v1", "-z", work_tree=repository.path) == b"?? new.yaml\0"
    assert not marker.exists()


def test_credentials_come_from_files_read_at_each_call(tmp_path: Path, server: GitServer) -> None:
    server.user, server.password = "robot", "first"
    url = server.url("jobs/.git")
    secret = tmp_path / "password"
    door = door_of(tmp_path, url, auth=Auth(username="robot", password_file=str(secret)))
    secret.write_text("first\n")
    assert ask(door, url).endswith(b"\tHEAD\n")
    server.password = "second"
    refused = failure(door, url)
    assert (refused.kind, type(refused.as_error("x"))) == (Kind.REFUSED, Refused)
    assert "first" not in str(refused)
    secret.write_text("second")
    assert ask(door, url).endswith(b"\tHEAD\n")
    secret.unlink()
    assert failure(door, url).kind is Kind.REFUSED
    assert failure(door_of(tmp_path, url), url).kind is Kind.REFUSED


def test_a_redirect_to_another_host_gets_no_credentials(tmp_path: Path, server: GitServer) -> None:
    secret = tmp_path / "password"
    secret.write_text("hunter2")
    with serving(tmp_path / "served") as other:
        other.user, other.password = "robot", "hunter2"
        server.redirect = f"http://{other.host}"
        url = server.url("jobs/.git")
        door = door_of(tmp_path, url, auth=Auth(username="robot", password_file=str(secret)))
        assert failure(door, url).kind is Kind.REFUSED
        assert other.requests
        assert not any(credentials for _, credentials in other.requests)


@pytest.mark.parametrize(
    ("status", "kind", "error"),
    [(404, Kind.NO_REPOSITORY, ConfigError), (403, Kind.REFUSED, Refused), (503, Kind.NETWORK, Unreachable)],
)
def test_http_answers_are_sorted(
    tmp_path: Path, server: GitServer, status: int, kind: Kind, error: type[Exception]
) -> None:
    server.status = status
    found = failure(door_of(tmp_path), server.url("jobs/.git"))
    assert (found.kind, type(found.as_error("jobs"))) == (kind, error)


def test_nobody_there(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert failure(door_of(tmp_path), f"http://127.0.0.1:{port}/x").kind is Kind.NETWORK
    assert failure(door_of(tmp_path), str(tmp_path / "nothing")).kind is Kind.NO_REPOSITORY


def test_a_remote_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x"
        found = failure(door_of(tmp_path, url), url, timeout_seconds=0.3)
    assert found.kind is Kind.TIMEOUT
    pipe = tmp_path / "alive"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    ssh = tmp_path / "ssh"
    ssh.write_text(f"#!/bin/sh\nexec 3>{pipe}\necho started >&3\nsleep 300 &\nwait\n")
    ssh.chmod(0o755)
    found = failure(door_of(tmp_path, ssh=str(ssh)), "ssh://git@host/x", timeout_seconds=0.5)
    assert found.kind is Kind.TIMEOUT
    os.set_blocking(reader, True)
    assert (os.read(reader, 100), os.read(reader, 100)) == (b"started\n", b"")  # the end: nobody holds it any more
    os.close(reader)


def test_a_remote_that_says_too_much_is_stopped(tmp_path: Path, repository: Repository) -> None:
    found = failure(door_of(tmp_path), str(repository.path), max_bytes=10)
    assert found.kind is Kind.TOO_MUCH


SSH = """\
#!/bin/sh
printf '%s\\n' "$@" > {log}
while [ $# -gt 1 ]; do shift; done
exec sh -c "$1"
"""


def test_ssh_refuses_unknown_hosts_and_uses_the_key(tmp_path: Path, repository: Repository) -> None:
    ssh = tmp_path / "fake ssh"
    ssh.write_text(SSH.format(log=tmp_path / "log"))
    ssh.chmod(0o755)
    url = f"ssh://git@example.org{repository.path}"
    auth = Auth(identity_file=str(tmp_path / "my key"), known_hosts_file=str(tmp_path / "known"))
    assert ask(door_of(tmp_path, url, auth=auth, ssh=str(ssh)), url).endswith(b"\tHEAD\n")
    words = (tmp_path / "log").read_text().splitlines()
    assert words[words.index("-i") + 1] == str(tmp_path / "my key")
    for option in ("BatchMode=yes", "StrictHostKeyChecking=yes", f'UserKnownHostsFile="{tmp_path}/known"'):
        assert option in words
    ssh.write_text("#!/bin/sh\necho 'Host key verification failed.' >&2\nexit 255\n")
    found = failure(door_of(tmp_path, url, auth=auth, ssh=str(ssh)), url)
    assert (found.kind, "knownHostsFile" in found.remedy) == (Kind.REFUSED, True)


def test_our_files_are_for_us_alone(tmp_path: Path) -> None:
    door_of(tmp_path).run("version")
    home = tmp_path / "home"
    assert [oct(p.stat().st_mode & 0o777) for p in (home, home / "config", home / "askpass")] == [
        "0o700",
        "0o600",
        "0o700",
    ]


def test_objects_are_read_in_one_go_and_cut_at_their_limit(tmp_path: Path, repository: Repository) -> None:
    repository.git("update-index", "--add", "--cacheinfo", f"120000,{_blob(repository, '../../etc/passwd')},out.yaml")
    repository.git("update-index", "--add", "--cacheinfo", f"120000,{_blob(repository, 'a.yaml')},in.yaml")
    repository.git("update-index", "--add", "--cacheinfo", f"120000,{_blob(repository, 'loop.yaml')},loop.yaml")
    repository.git("commit", "--quiet", "-m", "links")
    head = repository.git("rev-parse", "HEAD")
    door = door_of(tmp_path, trusted=[repository.path])
    bare = repository.path / ".git"
    found, exists = blobs.tree(door, bare, head, "", lambda path: True, timeout_seconds=10)
    assert exists
    big = found[b"big.yaml"].id
    requests = [head, big, f"{head}:in.yaml", f"{head}:out.yaml", f"{head}:loop.yaml", f"{head}:no.yaml", "0" * 40, big]
    answers = blobs.read(door, bare, requests, limit_bytes=1000, total_bytes=10_000, timeout_seconds=10)
    assert [(a.kind, a.size) for a in answers] == [
        ("commit", answers[0].size),
        ("blob", 5000),
        ("blob", 5),
        ("symlink", 16),
        ("loop", answers[4].size),
        ("missing", 0),
        ("missing", 0),
        ("blob", 5000),
    ]
    assert (answers[1].data, answers[2].data) == (b"x" * 1000, b"a: 1\n")
    with pytest.raises(GitFailed) as caught:
        blobs.read(door, bare, [big, head], limit_bytes=1000, total_bytes=999, timeout_seconds=10)
    assert caught.value.kind is Kind.TOO_MUCH


def _blob(repository: Repository, text: str) -> str:
    return repository.git("hash-object", "-w", "--stdin", stdin=text.encode())


def test_words_are_redacted() -> None:
    text = "fatal: unable to access 'https://user:hunter2@host/x': \x1b[2J\nno\n" + "y" * 1000
    found = verdicts.sorted_out("fetch", text.encode())
    assert found.words == "unable to access 'https://host/x': ?[2J"
    assert len(verdicts.redacted("y" * 1000)) == 300
