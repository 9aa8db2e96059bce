"""What a ref means: names, order, annotated tags, versions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.base.errors import ConfigError
from syncd.config.model import Ref
from syncd.vcs import refs, versions
from syncd.vcs.refs import Advertised, Resolved

A, B, C, D = ("a" * 40, "b" * 40, "c" * 40, "d" * 40)
OUTPUT = f"""\
ref: refs/heads/main\tHEAD
ref: refs/heads/evil\trefs/remotes/origin/HEAD
{A}\tHEAD
{A}\trefs/heads/main
{B}\trefs/heads/dev
{C}\trefs/tags/v1.0.0
{D}\trefs/tags/v1.0.0^{{}}
{D}\trefs/tags/v1.2.0
{B}\trefs/tags/dev
{C}\trefs/pull/7/head
not a line
""".encode()


@pytest.mark.parametrize(
    ("ref", "expected"),
    [
        (Ref(), Resolved("main", A, "refs/heads/main")),
        (Ref(text="HEAD"), Resolved("main", A, "refs/heads/main")),
        (Ref(text="main"), Resolved("main", A, "refs/heads/main")),
        (Ref(branch="dev"), Resolved("dev", B, "refs/heads/dev")),
        (Ref(text="dev"), Resolved("dev", B, "refs/tags/dev")),
        (Ref(tag="v1.0.0"), Resolved("v1.0.0", D, "refs/tags/v1.0.0")),
        (Ref(semver="1.x"), Resolved("v1.2.0", D, "refs/tags/v1.2.0")),
        (Ref(semver="~1.0"), Resolved("v1.0.0", D, "refs/tags/v1.0.0")),
        (Ref(name="refs/pull/7/head"), Resolved("refs/pull/7/head", C, "refs/pull/7/head")),
        (Ref(text="refs/heads/dev"), Resolved("refs/heads/dev", B, "refs/heads/dev")),
        (Ref(commit=C), Resolved("commit", C)),
        (Ref(text=C), Resolved("commit", C)),
    ],
)
def test_a_ref_means_one_commit(ref: Ref, expected: Resolved) -> None:
    assert refs.resolve(ref, refs.parse(OUTPUT)) == expected


@pytest.mark.parametrize(
    ("ref", "words"),
    [
        (Ref(text="nope"), 'no tag or branch "nope"; check `ref`'),
        (Ref(text="abc1234"), "a commit is written in full, 40 digits"),
        (Ref(branch="v1.0.0"), 'no branch "v1.0.0"'),
        (Ref(tag="main"), 'no tag "main"'),
        (Ref(semver=">=2"), 'none of the 3 tags of the remote is a version in ">=2"'),
        (Ref(semver="latest"), "is not a range of versions"),
        (Ref(name="refs/x"), 'no ref "refs/x"'),
    ],
)
def test_what_is_not_there_is_said(ref: Ref, words: str) -> None:
    with pytest.raises(ConfigError, match=r".") as caught:
        refs.resolve(ref, refs.parse(OUTPUT))
    assert words in str(caught.value)


def test_an_empty_repository_says_so() -> None:
    with pytest.raises(ConfigError, match="no commit yet"):
        refs.resolve(Ref(), Advertised())


@pytest.mark.parametrize(
    "name",
    [
        "",
        "-x",
        "--upload-pack=x",
        "a..b",
        "a b",
        "a\nb",
        "a\x00b",
        "a~1",
        "a^",
        "a:b",
        "a?",
        "a*",
        "a[",
        "a\\b",
        "@{u}",
        "a//b",
        "/a",
        "a/",
        ".a",
        "a.",
        "a.lock",
        "a/.b",
        "@",
        "a" * 600,
        "a\x7f",
        "a\u202eb",
    ],
)
def test_hostile_names_are_refused(name: str) -> None:
    with pytest.raises(ConfigError):
        refs.check(name)


@given(st.text(max_size=30))
def test_what_is_asked_is_never_an_option(text: str) -> None:
    """Law: whatever a ref holds, the patterns for ls-remote begin with HEAD or refs/."""
    for ref in (Ref(text=text), Ref(tag=text), Ref(branch=text), Ref(name=text)):
        try:
            patterns = refs.questions(ref)
        except ConfigError:
            continue
        assert all(p == "HEAD" or p.startswith("refs/") for p in patterns)


TAGS = ["v0.9.0", "v1.0.0", "1.2.3", "v1.2.10", "v1.3.0-rc.1", "v1.3.0-rc.2", "v2.0.0", "v2", "x", "v01.0.0"]


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("*", "v2.0.0"),
        (">=1.0 <2", "v1.2.10"),
        (">=1.0, <2", "v1.2.10"),
        ("^1.2", "v1.2.10"),
        ("^0.9", "v0.9.0"),
        ("~1.2.3", "v1.2.10"),
        ("~1", "v1.2.10"),
        ("1.0.x", "v1.0.0"),
        ("1.2.3", "1.2.3"),
        ("<1", "v0.9.0"),
        (">1.2", "v2.0.0"),
        ("<=1.2.3", "1.2.3"),
        ("1.0 - 1.2", "v1.2.10"),
        ("0.9 || 1.0", "v1.0.0"),
        (">=1.3.0-rc.1 <1.3.0", "v1.3.0-rc.2"),
        (">3", None),
    ],
)
def test_the_highest_version_in_a_range(text: str, tag: str | None) -> None:
    assert versions.highest(text, [t for t in TAGS if t != "v2"]) == tag


@given(st.text(alphabet="0123456789.x*^~<>=!-, |va", max_size=20))
def test_a_range_is_read_or_refused(text: str) -> None:
    """Law: any text is a range or a ValueError."""
    try:
        found = versions.highest(text, TAGS)
    except ValueError:
        return
    assert found is None or found in TAGS
