"""One contract, every driver that can write: a directory, an S3 server."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from syncd.artifacts import api, drivers, local
from syncd.base.errors import Invalid, NotFound, Refused, Unreachable, Unsupported
from tests.support import seaweed


@dataclass
class Place:
    driver: api.Driver
    base: dict[str, Any]
    access: api.Access

    def at(self, key: str) -> dict[str, Any]:
        return {**self.base, "key": key}


def no_secret(namespace: str, name: str, key: str) -> str:
    raise NotFound(name)


def of_s3(server: seaweed.Server, tmp_path: Path) -> Place:
    values = {"access": server.access_key, "secret": server.secret_key, "wrong": "wrong"}
    base = {
        "bucket": server.bucket,
        "endpoint": server.endpoint,
        "insecure": True,
        "createBucketIfNotPresent": {},
        "accessKeySecret": {"name": "s3", "key": "access"},
        "secretKeySecret": {"name": "s3", "key": "secret"},
    }
    access = api.Access("ns", lambda namespace, name, key: values[key], api.Caps(bytes=1 << 20, files=50))
    return Place(drivers.table(tmp_path)["s3"], base, access)


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.s3)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "s3":
        return of_s3(request.getfixturevalue("server"), tmp_path)
    return Place(
        local.Local(tmp_path / "repository"), {}, api.Access("ns", no_secret, api.Caps(bytes=1 << 20, files=50))
    )


def test_a_file_comes_back(place: Place, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"\0\xffdata")
    place.driver.save(tmp_path / "in", place.at("run/pod/out.tgz"), place.access)
    place.driver.load(place.at("run/pod/out.tgz"), tmp_path / "out", place.access)
    assert (tmp_path / "out").read_bytes() == b"\0\xffdata"
    assert b"".join(place.driver.open(place.at("run/pod/out.tgz"), place.access)) == b"\0\xffdata"


def test_a_folder_comes_back(place: Place, tmp_path: Path) -> None:
    (tmp_path / "in" / "a").mkdir(parents=True)
    (tmp_path / "in" / "a" / "b").write_text("1")
    (tmp_path / "in" / "c").write_text("2")
    (tmp_path / "in" / "link").symlink_to("c")
    place.driver.save(tmp_path / "in", place.at("folder/x"), place.access)
    place.driver.load(place.at("folder/x"), tmp_path / "out", place.access)
    found = {str(p.relative_to(tmp_path / "out")): p.read_text() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert found == {"a/b": "1", "c": "2"}


def test_saving_again_replaces(place: Place, tmp_path: Path) -> None:
    for text in ("one", "two"):
        (tmp_path / "in").write_text(text)
        place.driver.save(tmp_path / "in", place.at("again"), place.access)
        (tmp_path / "in").unlink()
    assert b"".join(place.driver.open(place.at("again"), place.access)) == b"two"


def test_what_was_saved_does_not_change_with_its_source(place: Place, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("one")
    place.driver.save(tmp_path / "in", place.at("frozen"), place.access)
    (tmp_path / "in").unlink()
    (tmp_path / "in").write_text("two")
    place.driver.load(place.at("frozen"), tmp_path / "out", place.access)
    (tmp_path / "out").write_text("three")
    assert b"".join(place.driver.open(place.at("frozen"), place.access)) == b"one"


def test_an_absent_object_is_not_found(place: Place, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        place.driver.load(place.at("nowhere"), tmp_path / "out", place.access)
    with pytest.raises(NotFound):
        list(place.driver.open(place.at("nowhere"), place.access))


def test_delete_may_be_repeated(place: Place, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("x")
    place.driver.save(tmp_path / "in", place.at("gone/a"), place.access)
    for _ in range(2):
        place.driver.delete(place.at("gone/a"), place.access)
    with pytest.raises(NotFound):
        place.driver.load(place.at("gone/a"), tmp_path / "out", place.access)


def test_the_caps_hold_for_what_is_loaded(place: Place, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(bytes(2000))
    place.driver.save(tmp_path / "in", place.at("large"), place.access)
    with pytest.raises(Invalid, match=r"larger than|more than"):
        place.driver.load(place.at("large"), tmp_path / "out", replace(place.access, caps=api.Caps(bytes=1000)))


@pytest.mark.parametrize("key", ["", "/etc/passwd", "a/../../b", "..", "a//b", "a/./b", "x\0y", "a\nb", "k" * 2000])
def test_a_local_key_stays_in_the_repository(tmp_path: Path, key: str) -> None:
    driver, access = local.Local(tmp_path / "r"), api.Access("ns", no_secret)
    (tmp_path / "in").write_text("x")
    with pytest.raises(Invalid):
        driver.save(tmp_path / "in", {"key": key}, access)
    with pytest.raises(Invalid):
        driver.load({"key": key}, tmp_path / "out", access)


def test_a_local_key_through_another_artifact_is_refused(tmp_path: Path) -> None:
    driver, access = local.Local(tmp_path / "r"), api.Access("ns", no_secret)
    (tmp_path / "in").write_text("x")
    driver.save(tmp_path / "in", {"key": "a"}, access)
    with pytest.raises(Invalid, match="runs through another artifact"):
        driver.save(tmp_path / "in", {"key": "a/b"}, access)


@pytest.mark.s3
def test_wrong_credentials_are_refused_and_not_quoted(server: seaweed.Server, tmp_path: Path) -> None:
    place = of_s3(server, tmp_path)
    location = {**place.at("x"), "secretKeySecret": {"name": "s3", "key": "wrong"}}
    with pytest.raises(Refused, match="check accessKeySecret") as caught:
        place.driver.load(location, tmp_path / "out", place.access)
    assert server.access_key not in str(caught.value)


@pytest.mark.s3
def test_a_server_that_does_not_answer_is_unreachable(server: seaweed.Server, tmp_path: Path) -> None:
    place = of_s3(server, tmp_path)
    with pytest.raises(Unreachable):
        place.driver.load({**place.at("x"), "endpoint": "127.0.0.1:1"}, tmp_path / "out", place.access)


@pytest.mark.parametrize(
    ("location", "error"),
    [
        ({"key": "x"}, Invalid),
        ({"bucket": "b"}, Invalid),
        ({"bucket": "b", "key": "x", "endpoint": "ftp://h"}, Invalid),
        ({"bucket": "b", "key": "x", "endpoint": "u:p@h"}, Invalid),
        ({"bucket": "b", "key": "x", "roleARN": "arn"}, Unsupported),
    ],
)
def test_an_s3_location_that_cannot_be(tmp_path: Path, location: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        drivers.table(tmp_path)["s3"].load(location, tmp_path / "out", api.Access("ns", no_secret))


def test_raw_is_its_text(tmp_path: Path) -> None:
    driver, access = drivers.table(tmp_path)["raw"], api.Access("ns", no_secret)
    driver.load({"data": "héllo"}, tmp_path / "out", access)
    assert (tmp_path / "out").read_text() == "héllo"
    with pytest.raises(Unsupported):
        driver.save(tmp_path / "out", {"data": ""}, access)


@pytest.mark.parametrize("name", drivers.UNSUPPORTED)
def test_other_stores_say_what_to_use_instead(name: str) -> None:
    with pytest.raises(Unsupported, match="use s3"):
        drivers.kind_of({"name": "a", name: {}})
