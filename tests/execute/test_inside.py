"""Paths as a step sees them: whatever links it makes, what is opened lies within its own folders."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncd.base.errors import Invalid, NotFound
from syncd.execute import inside
from syncd.execute.inside import Tree

NAMES = st.sampled_from(["a", "b", "c", "vol", ".."])
PATHS = st.lists(NAMES, min_size=1, max_size=5).map("/".join)
LINKS = st.one_of(
    PATHS, PATHS.map(lambda p: "/" + p), st.sampled_from(["/", ".", "..", "/etc/passwd", "/proc/self/root"])
)
STEPS = st.lists(st.tuples(st.sampled_from(["file", "folder", "link"]), PATHS, LINKS), max_size=12)


def make(root: Path, steps: list[tuple[str, str, str]]) -> None:
    """Do what a step may do, each as far as it works; paths are kept within by taking only their names."""
    for kind, path, link in steps:
        target = root.joinpath(*(part for part in path.split("/") if part != ".."))
        if target == root or any(parent.is_symlink() for parent in target.parents):
            continue
        try:
            if kind == "file":
                target.write_text("x")
            elif kind == "folder":
                target.mkdir(parents=True)
            else:
                target.symlink_to(link)
        except OSError:
            continue


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, in_volume=STEPS, path=PATHS.map(lambda p: "/" + p))
def test_what_is_opened_lies_within(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[str, str, str]],
    in_volume: list[tuple[str, str, str]],
    path: str,
) -> None:
    """open_at(tree, p) is an inode of the tree or of its mounts, or an error: never anything else of the machine."""
    base = tmp_path_factory.mktemp("within")
    (base / "root").mkdir()
    (base / "volume").mkdir()
    (base / "a").write_text("outside")
    make(base / "root", steps)
    make(base / "volume", in_volume)
    tree = Tree(base / "root", {"/vol": base / "volume"})
    own = {top.stat().st_ino for top in (base / "root", base / "volume")}
    for top in (base / "root", base / "volume"):
        own |= {entry.lstat().st_ino for entry in top.rglob("*")}
    try:
        handle = inside.open_at(tree, path)
    except (NotFound, Invalid):
        pass
    else:
        assert os.fstat(handle).st_ino in own
        os.close(handle)
    with suppress(NotFound, Invalid):
        os.close(inside.make_folder(tree, path))
    assert sorted(p.name for p in base.iterdir()) == ["a", "root", "volume"]
    assert (base / "a").read_text() == "outside"
    shutil.rmtree(base)


@given(st.lists(st.sampled_from(["a", "bc", ".", "..", ""])).map(lambda parts: "/" + "/".join(parts)))
def test_normal_is_idempotent(path: str) -> None:
    """normal(normal(p)) == normal(p), and it is what the kernel makes of a path without links."""
    assert inside.normal(inside.normal(path)) == inside.normal(path) == os.path.normpath("/" + path.lstrip("/"))


@pytest.mark.parametrize("path", ["", "a", "a/b", "/a\0b", "../a"])
def test_a_path_must_be_absolute(path: str) -> None:
    with pytest.raises(Invalid):
        inside.normal(path)


def test_a_mount_hides_what_lies_under_it(tmp_path: Path) -> None:
    for name in ("root/m", "volume"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "f").write_text(name)
    tree = Tree(tmp_path / "root", {"/m": tmp_path / "volume"})
    assert inside.read_file(tree, "/m/f", 100) == b"volume"
    assert inside.read_file(tree, "/m/../m/f", 100) == b"volume"


def test_a_file_may_be_mounted(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "file").write_text("x")
    assert inside.read_file(Tree(tmp_path / "root", {"/f": tmp_path / "file"}), "/f", 100) == b"x"


def test_placing_replaces_what_is_there(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "root")
    (tmp_path / "root" / "d" / "e").mkdir(parents=True)
    (tmp_path / "root" / "d" / "e" / "old").touch()
    (tmp_path / "new").write_text("new")
    inside.place(tree, "/d/e", tmp_path / "new")
    assert (tmp_path / "root" / "d" / "e").read_text() == "new"
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "f").touch()
    inside.place(tree, "/x/y/z", tmp_path / "folder")
    assert (tmp_path / "root" / "x" / "y" / "z" / "f").exists()


def test_a_file_that_grows_over_the_cap_is_refused(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(bytes(11))
    with pytest.raises(Invalid, match="more than the 10 allowed"):
        inside.read_file(Tree(tmp_path), "/f", 10)
