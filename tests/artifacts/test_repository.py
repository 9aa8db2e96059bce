"""Which repository, which key: Argo's rules as tables."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from syncd.artifacts import repository
from syncd.artifacts.repository import Repository
from syncd.artifacts.store import Artifacts
from syncd.base.errors import Invalid, NotFound, Unreachable, Unsupported

AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
LOCAL = Repository(key_format="{{workflow.namespace}}/{{workflow.name}}/{{pod.name}}")
S3 = {"bucket": "b", "endpoint": "e"}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (None, LOCAL),
        ({}, LOCAL),
        ({"archiveLogs": True}, replace(LOCAL, archive_logs=True)),
        ({"local": {"keyFormat": "x"}}, Repository(key_format="x")),
        ({"s3": S3}, Repository("s3", S3)),
        ({"s3": {**S3, "keyPrefix": "p/"}}, Repository("s3", S3, "p/{{workflow.name}}/{{pod.name}}")),
        ({"s3": {**S3, "keyPrefix": "p", "keyFormat": "k"}}, Repository("s3", S3, "k")),
    ],
)
def test_repository_of_a_configuration(config: dict[str, Any] | None, expected: Repository) -> None:
    assert repository.repository(config) == expected


@pytest.mark.parametrize(
    "config", [{"gcs": {}}, {"azure": {}}, {"http": {"url": "x"}}, {"s3": {}}, {"s3": S3, "local": {}}]
)
def test_what_is_no_repository_here(config: dict[str, Any]) -> None:
    with pytest.raises((Unsupported, Invalid)):
        repository.repository(config)


OWN = Repository("s3", S3)


@pytest.mark.parametrize(
    ("artifact", "own", "expected"),
    [
        ({"name": "a"}, OWN, None),
        ({"name": "a", "s3": {}}, OWN, None),
        ({"name": "a", "http": {}}, OWN, None),
        ({"s3": {"key": "k"}}, OWN, ("s3", {**S3, "key": "k"})),
        ({"s3": {"key": "k"}}, Repository(), ("local", {"key": "k"})),
        ({"s3": {"bucket": "other", "key": "k"}}, OWN, ("s3", {"bucket": "other", "key": "k"})),
        ({"local": {"key": "k"}}, OWN, ("local", {"key": "k"})),
        ({"raw": {"data": ""}}, OWN, ("raw", {"data": ""})),
        ({"http": {"url": "u"}}, OWN, ("http", {"url": "u"})),
    ],
)
def test_where_an_artifact_is(artifact: dict[str, Any], own: Repository, expected: Any) -> None:
    assert repository.locate(artifact, own) == expected


@pytest.mark.parametrize(
    ("key_format", "expected"),
    [
        ("{{workflow.name}}/{{pod.name}}", "wf/pod/a.tgz"),
        ("{{ workflow.namespace }}//x/", "ns/x/a.tgz"),
        (
            "{{workflow.creationTimestamp.Y}}/{{workflow.creationTimestamp.m}}/{{workflow.creationTimestamp.s}}",
            "2026/03/1772600767/a.tgz",
        ),
        ("plain", "plain/a.tgz"),
    ],
)
def test_the_key_of_a_new_artifact(key_format: str, expected: str) -> None:
    variables = {"workflow.name": "wf", "pod.name": "pod", "workflow.namespace": "ns"}
    assert repository.new_key(Repository(key_format=key_format), variables, AT, "a.tgz") == expected


@pytest.mark.parametrize("key_format", ["{{workflow.nmae}}", "{{workflow.creationTimestamp.??}}"])
def test_an_unknown_variable_is_named(key_format: str) -> None:
    with pytest.raises(Invalid, match="unknown variables workflow"):
        repository.new_key(Repository(key_format=key_format), {"workflow.name": "wf"}, AT, "a")


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        (None, OWN),
        ({}, OWN),
        ({"archiveLogs": True}, Repository("s3", S3, archive_logs=True)),
        ({"s3": {"key": "mine"}}, Repository("s3", S3, "mine")),
        ({"s3": {"bucket": "c", "key": "mine"}}, Repository("s3", {"bucket": "c"}, "mine")),
    ],
)
def test_archive_location_of_a_template(location: Any, expected: Repository) -> None:
    assert repository.for_template(OWN, {"archiveLocation": location} if location is not None else {}) == expected


MAPS = {
    ("ns", "artifact-repositories"): {
        "metadata": {"annotations": {"workflows.argoproj.io/default-artifact-repository": "main"}},
        "data": {"main": "s3:\n  bucket: b\n  endpoint: e\n", "other": "archiveLogs: true\n", "bad": "- x"},
    },
}


def artifacts(tmp_path: Path) -> Artifacts:
    async def config_map(namespace: str, name: str) -> dict[str, Any]:
        try:
            return MAPS[namespace, name]
        except KeyError:
            raise NotFound(name) from None

    return Artifacts(
        root=tmp_path,
        default={"local": {"keyFormat": "d"}},
        config_map=config_map,
        secret=lambda *_: "",
        sleep=lambda _: None,
    )


@pytest.mark.parametrize(
    ("reference", "namespace", "expected"),
    [
        ({}, "ns", Repository("s3", S3)),
        ({}, "elsewhere", Repository(key_format="d")),
        ({"key": "other"}, "ns", replace(LOCAL, archive_logs=True)),
        ({"configMap": "artifact-repositories", "key": "main"}, "ns", Repository("s3", S3)),
    ],
)
async def test_repository_of_a_run(tmp_path: Path, reference: Any, namespace: str, expected: Repository) -> None:
    assert await artifacts(tmp_path).repository(reference, namespace) == expected


@pytest.mark.parametrize(
    ("reference", "error"),
    [({"key": "none"}, NotFound), ({"configMap": "none"}, NotFound), ({"key": "bad"}, Invalid)],
)
async def test_a_repository_that_is_named_must_be_there(tmp_path: Path, reference: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        await artifacts(tmp_path).repository(reference, "ns")


def test_what_does_not_answer_is_tried_again(tmp_path: Path) -> None:
    store = artifacts(tmp_path)
    tries: list[int] = []

    class Flaky:
        def load(self, location: Any, target: Path, access: Any) -> None:
            tries.append(1)
            target.write_text("half")
            if len(tries) < 3:
                raise Unreachable("not yet")

    store._drivers["raw"] = Flaky()  # type: ignore[assignment]
    assert store.load({"name": "a", "raw": {"data": ""}}, tmp_path / "out", "ns", Repository())
    assert len(tries) == 3
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]


async def test_open_gives_the_bytes_as_they_are_stored(tmp_path: Path) -> None:
    store = artifacts(tmp_path)
    pieces = [piece async for piece in store.open({"name": "a", "raw": {"data": "x"}}, "ns")]
    assert pieces == [b"x"]
    with pytest.raises(NotFound):
        [piece async for piece in store.open({"name": "a", "local": {"key": "none"}}, "ns")]


def test_sub_path_and_mode(tmp_path: Path) -> None:
    store = artifacts(tmp_path / "r")
    (tmp_path / "r" / "dir" / "a").mkdir(parents=True)
    (tmp_path / "r" / "dir" / "a" / "b").write_text("x")
    artifact = {"name": "n", "local": {"key": "dir"}, "subPath": "a/b", "mode": 0o6511}
    assert store.load(artifact, tmp_path / "out", "ns", Repository())
    assert (tmp_path / "out").read_text() == "x"
    assert (tmp_path / "out").stat().st_mode & 0o7777 == 0o511
    for bad in ("../x", "..", "a/../.."):
        with pytest.raises(Invalid):
            store.load({**artifact, "subPath": bad}, tmp_path / f"out-{len(bad)}", "ns", Repository())


async def test_prune_drops_what_is_old(tmp_path: Path) -> None:
    import os

    store = artifacts(tmp_path)
    (tmp_path / "a").mkdir()
    for name, at in (("a/old", 100), ("new", 10_000)):
        (tmp_path / name).write_text("x")
        os.utime(tmp_path / name, (at, at))
    assert await store.prune_local(datetime.fromtimestamp(5000, UTC)) == 1
    assert os.listdir(tmp_path) == ["new"]
