"""`PATH-OR-URL#REF:FOLDER`."""

from __future__ import annotations

import pytest

from syncd.base.errors import ConfigError
from syncd.config.model import Ref, Source
from syncd.source import written


def parse(text: str, **options: object) -> Source:
    return written.parse(text, directory="/here", is_path=lambda p: p in ("odd#name", "a.b:c"), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (".", Source(name="here", path="/here")),
        ("jobs", Source(name="jobs", path="/here/jobs")),
        ("../x", Source(name="x", path="/x")),
        ("/srv/jobs/", Source(name="jobs", path="/srv/jobs")),
        ("jobs#dev", Source(name="jobs", path="/here/jobs", ref=Ref(text="dev"))),
        ("jobs#:ci/", Source(name="jobs", path="/here/jobs", folder="ci")),
        ("jobs#v1:ci/x", Source(name="jobs", path="/here/jobs", ref=Ref(text="v1"), folder="ci/x")),
        ("odd#name", Source(name="odd-name", path="/here/odd#name")),
        ("a.b:c", Source(name="c", path="/here/a.b:c")),
        ("git@h:t/r.git", Source(name="r", url="ssh://git@h/t/r.git")),
        ("git@h:t/r.git#main:ci", Source(name="r", url="ssh://git@h/t/r.git", ref=Ref(text="main"), folder="ci")),
        ("github.com:t/r", Source(name="r", url="ssh://github.com/t/r")),
        ("https://h/t/r.git#feature/x", Source(name="r", url="https://h/t/r.git", ref=Ref(text="feature/x"))),
        ("ssh://git@h:22/r#:x", Source(name="r", url="ssh://git@h:22/r", folder="x")),
        ("file:///srv/r.git", Source(name="r", url="file:///srv/r.git")),
    ],
)
def test_sources_as_people_write_them(text: str, expected: Source) -> None:
    assert parse(text) == expected


def test_ref_and_folder_may_be_given_apart() -> None:
    assert parse("jobs", ref="dev", folder="ci", name="n", worktree=True) == Source(
        name="n", path="/here/jobs", ref=Ref(text="dev"), folder="ci", worktree=True
    )
    assert parse("jobs#dev", ref="dev").ref == Ref(text="dev")


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("", {}, "PATH-OR-URL#REF:FOLDER"),
        ("a\nb", {}, "PATH-OR-URL#REF:FOLDER"),
        ("jobs#a", {"ref": "b"}, "two refs"),
        ("jobs#:a", {"folder": "b"}, "two folders"),
        ("jobs#:../x", {}, "leads out"),
        ("http://h/r", {}, "not allowed"),
        ("ext::sh -c x", {}, "control character"),
        ("https://u:hunter2@h/r", {}, "password"),
        ("https://h/r", {"worktree": True}, "--worktree needs a local path"),
        ("git@-oProxy:r", {}, "git url"),
    ],
)
def test_what_cannot_be_a_source_is_said(text: str, options: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, **options)
    assert words in str(caught.value)
    assert "hunter2" not in str(caught.value)
