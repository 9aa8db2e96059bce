"""Archives there and back, and archives that mean harm."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncd.artifacts import pack
from syncd.artifacts.api import Caps
from syncd.base.errors import Invalid

CAPS = Caps(bytes=1 << 20, files=100)
STRATEGIES: list[dict[str, Any] | None] = [
    None,
    {"tar": {}},
    {"tar": {"compressionLevel": 0}},
    {"zip": {}},
    {"none": {}},
]


def packed(source: Path, target: Path, archive: dict[str, Any] | None = None, caps: Caps = CAPS) -> str:
    handle = os.open(source, os.O_PATH)
    try:
        return pack.pack(handle, source.name, target, archive, caps)
    finally:
        os.close(handle)


def content(path: Path) -> Any:
    """Files and folders as a value; modes of files as well."""
    if path.is_symlink():
        return ("link", str(path.readlink()))
    if path.is_dir():
        return {entry.name: content(entry) for entry in path.iterdir()}
    return (path.read_bytes(), path.stat().st_mode & 0o700)


NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1, max_size=8).filter(
    lambda name: name not in (".", "..")
)
TREES = st.recursive(st.binary(max_size=200), lambda inner: st.dictionaries(NAMES, inner, max_size=4), max_leaves=8)


def build(tree: Any, path: Path) -> None:
    if isinstance(tree, bytes):
        path.write_bytes(tree)
        return
    path.mkdir()
    for name, inner in tree.items():
        build(inner, path / name)


@pytest.mark.parametrize("archive", STRATEGIES, ids=str)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=TREES)
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, archive: dict[str, Any] | None, tree: Any) -> None:
    """unpack(pack(x)) == x, for every strategy, file or folder."""
    folder = tmp_path_factory.mktemp("trip")
    build(tree, folder / "out")
    packed(folder / "out", folder / "packed", archive)
    pack.unpack(folder / "packed", folder / "back", archive, CAPS)
    assert content(folder / "back") == content(folder / "out")
    assert not (folder / "packed").exists()


@pytest.mark.parametrize("archive", [None, {"zip": {}}], ids=str)
def test_packing_twice_gives_the_same_bytes(tmp_path: Path, archive: dict[str, Any] | None) -> None:
    build({"a": b"1", "b": {"c": b"2"}}, tmp_path / "out")
    packed(tmp_path / "out", tmp_path / "one", archive)
    packed(tmp_path / "out", tmp_path / "two", archive)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_modes_times_and_links_survive_a_tar(tmp_path: Path) -> None:
    build({"run": b"#!", "d": {}}, tmp_path / "out")
    (tmp_path / "out" / "run").chmod(0o755)
    os.utime(tmp_path / "out" / "run", (1_000_000, 1_000_000))
    (tmp_path / "out" / "d" / "link").symlink_to("../run")
    assert packed(tmp_path / "out", tmp_path / "packed") == ".tgz"
    pack.unpack(tmp_path / "packed", tmp_path / "back", None, CAPS)
    assert (tmp_path / "back" / "run").stat().st_mtime == 1_000_000
    assert stat.S_IMODE((tmp_path / "back" / "run").stat().st_mode) == 0o755
    assert (tmp_path / "back" / "d" / "link").resolve() == tmp_path / "back" / "run"


PLAIN = {
    "text": b"hello",
    "nothing": b"",
    "gzip that is no tar": gzip.compress(b"hello"),
    "half a gzip": gzip.compress(b"x" * 5000)[:30],
    "a zip without being told": b"PK\x03\x04 and so on",
    "an uncompressed tar": b"\0" * 10240,
}


@pytest.mark.parametrize("data", PLAIN.values(), ids=PLAIN.keys())
def test_what_is_no_gzipped_tar_stays_as_it_is(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "in").write_bytes(data)
    pack.unpack(tmp_path / "in", tmp_path / "out", None, CAPS)
    assert (tmp_path / "out").read_bytes() == data


def tar(*entries: tuple[str, dict[str, Any], bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, fields, data in entries:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            for field, value in fields.items():
                setattr(entry, field, value)
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def zipped(*entries: tuple[str, int, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, mode, data in entries:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            archive.writestr(entry, data)
    return buffer.getvalue()


LINK, HARD, FIFO, DEVICE = ({"type": t} for t in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE))
HARMFUL: dict[str, Callable[[str], bytes]] = {
    "goes up": lambda out: tar(("../evil", {}, b"x")),
    "goes up later": lambda out: tar(("a/../../evil", {}, b"x")),
    "is absolute": lambda out: tar((f"{out}/evil", {}, b"x")),
    "a link out": lambda out: tar(("a", {**LINK, "linkname": "../../evil"}, b"")),
    "an absolute link": lambda out: tar(("a", {**LINK, "linkname": out}, b"")),
    "a link, then through it": lambda out: tar(
        ("a", {**LINK, "linkname": "."}, b""), ("a/evil", {}, b"x"), ("b", {}, b"")
    ),
    "a link out in two steps": lambda out: tar(
        ("d/a", {**LINK, "linkname": "../.."}, b""), ("d/a/evil", {}, b"x"), ("b", {}, b"")
    ),
    "a hard link out": lambda out: tar(("a", {**HARD, "linkname": f"{out}/victim"}, b"")),
    "a hard link up": lambda out: tar(("a", {**HARD, "linkname": "../victim"}, b"")),
    "a hard link to nothing": lambda out: tar(("a", {**HARD, "linkname": "b"}, b"")),
    "a fifo": lambda out: tar(("a", FIFO, b"")),
    "a device": lambda out: tar(("a", DEVICE, b"")),
    "a bomb": lambda out: tar(("a", {}, bytes(2 << 20))),
    "many files": lambda out: tar(*((f"d/{n}", {}, b"") for n in range(200))),
    "deep": lambda out: tar(("/".join("d" * 250) + "/x", {}, b"")),
    "a file where a folder is wanted": lambda out: tar(("a", {}, b"x"), ("a/b", {}, b"y")),
    "cut off": lambda out: tar(("a", {}, os.urandom(5000)))[:3000],
    "zip goes up": lambda out: zipped(("../evil", 0o644, b"x")),
    "zip is absolute": lambda out: zipped((f"{out}/evil", 0o644, b"x")),
    "zip with a link": lambda out: zipped(("a", stat.S_IFLNK | 0o777, b"../evil")),
    "zip bomb": lambda out: zipped(("a", 0o644, bytes(2 << 20))),
    "no zip": lambda out: b"PK no",
}


@pytest.mark.parametrize("make", HARMFUL.values(), ids=HARMFUL.keys())
def test_a_harmful_archive_is_refused_and_leaves_nothing(
    tmp_path: Path, make: Callable[[str], bytes], request: pytest.FixtureRequest
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "victim").write_text("victim")
    inside = outside / "work"
    inside.mkdir()
    data = make(str(outside))
    (inside / "in").write_bytes(data)
    archive: dict[str, Any] = {"zip": {}} if "zip" in request.node.callspec.id else {"tar": {}}
    with pytest.raises(Invalid):
        pack.unpack(inside / "in", inside / "out", archive, CAPS)
    assert sorted(p.name for p in outside.iterdir()) == ["victim", "work"]
    assert sorted(p.name for p in inside.iterdir()) == ["in"]
    assert (outside / "victim").read_text() == "victim"


def test_setuid_does_not_survive(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(tar(("a", {"mode": 0o6777}, b"x")))
    pack.unpack(tmp_path / "in", tmp_path / "out", None, CAPS)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o777


PACK_CAPS = {
    "too many files": {str(n): b"" for n in range(120)},
    "too many bytes": {"a": bytes(1 << 20), "b": b"x"},
}


@pytest.mark.parametrize("archive", STRATEGIES, ids=str)
@pytest.mark.parametrize("tree", PACK_CAPS.values(), ids=PACK_CAPS.keys())
def test_packing_stops_at_the_caps(tmp_path: Path, tree: Any, archive: dict[str, Any] | None) -> None:
    build(tree, tmp_path / "out")
    with pytest.raises(Invalid, match=r"more than 100 files|larger than"):
        packed(tmp_path / "out", tmp_path / "packed", archive)


def test_a_file_that_grows_while_it_is_packed_keeps_its_first_size(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"x" * 10)
    with path.open("rb") as file:
        exactly = pack._Exactly(file, 20)
        assert exactly.read() == b"x" * 10 + bytes(10)
