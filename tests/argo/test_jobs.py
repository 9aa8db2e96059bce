"""A batch/v1 Job as a Workflow: what Kubernetes would do with it, row by row."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from syncd.argo import jobs, labels, status
from syncd.argo.manifest import Body
from syncd.base.errors import Invalid
from syncd.engine.actions import StartTask
from tests.support.simulator import End, World, fail, succeed


def job(pod: Body | None = None, **spec: Any) -> Body:
    whole = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i", "command": ["x"]}], **(pod or {})}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "count", "namespace": "ci", "labels": {"team": "a"}},
        "spec": {"template": {"spec": whole}, **spec},
    }


def played(body: Body, script: Any = succeed) -> World:
    made = jobs.workflow_from_job(body)
    return World({**made, "metadata": {**made["metadata"]}}, script).play()


@pytest.mark.parametrize(
    ("spec", "ran", "at_once"),
    [
        ({}, 1, 1),
        ({"completions": 1}, 1, 1),
        ({"completions": 3}, 3, 1),
        ({"completions": 5, "parallelism": 2}, 5, 2),
        ({"completions": 2, "parallelism": 9}, 2, 2),
        ({"parallelism": 3}, 3, 3),
        ({"completions": 0}, 0, 0),
        ({"completions": 3, "completionMode": "Indexed"}, 3, 1),
        ({"completions": 1, "completionMode": "Indexed"}, 1, 1),
        ({"completions": None, "parallelism": None}, 1, 1),
    ],
    ids=str,
)
def test_so_many_pods_run_and_so_many_at_once(spec: Body, ran: int, at_once: int) -> None:
    world = played(job(**spec))
    assert world.phase == status.SUCCEEDED, world.message
    assert len(world.started) == ran
    assert world.most_running == at_once


@pytest.mark.parametrize("spec", [{"parallelism": 0}, {"completions": 3, "parallelism": 0}, {"suspend": True}], ids=str)
def test_a_job_that_is_paused_waits(spec: Body) -> None:
    world = played(job(**spec))
    assert not world.machine.finished
    assert not world.started


@pytest.mark.parametrize("count", [1, 3])
def test_each_pod_of_an_indexed_job_knows_its_index(count: int) -> None:
    world = played(job({"initContainers": [{"name": "i", "image": "i"}]}, completions=count, completionMode="Indexed"))
    for holder in ("container", "initContainers"):
        seen = []
        for task in world.started:
            found = task.template[holder]
            env = (found if isinstance(found, dict) else found[0])["env"]
            seen += [e["value"] for e in env if e["name"] == "JOB_COMPLETION_INDEX"]
        assert seen == [str(index) for index in range(count)]


@pytest.mark.parametrize(
    ("spec", "attempts"),
    [
        ({"backoffLimit": 0}, 1),
        ({"backoffLimit": 2}, 3),
        ({}, 7),
        ({"backoffLimit": 5, "backoffLimitPerIndex": 1, "completions": 1, "completionMode": "Indexed"}, 2),
    ],
    ids=str,
)
@pytest.mark.parametrize("policy", ["Never", "OnFailure"])
def test_a_failing_pod_is_tried_again_so_often(spec: Body, attempts: int, policy: str) -> None:
    world = played(job({"restartPolicy": policy}, **spec), lambda task: fail())
    assert world.phase == status.FAILED
    assert len(world.started) == attempts


def test_the_pauses_between_attempts_double_to_six_minutes() -> None:
    moments = []

    def script(task: StartTask) -> End:
        moments.append(world_now())
        return fail()

    made = jobs.workflow_from_job(job(backoffLimit=8))
    world = World(made, script, seconds=0.0)

    def world_now() -> Any:
        return world.now

    world.play()
    pauses = [(b - a).total_seconds() for a, b in pairwise(moments)]
    assert pauses == [10, 20, 40, 80, 160, 320, 360, 360]


def test_a_job_that_has_failed_starts_no_more_pods() -> None:
    world = played(job(completions=5, backoffLimit=0), lambda task: fail())
    assert world.phase == status.FAILED
    assert len(world.started) == 1


def test_deadlines_and_ttl_are_kept() -> None:
    made = jobs.workflow_from_job(
        job({"activeDeadlineSeconds": 5}, activeDeadlineSeconds=60, ttlSecondsAfterFinished=0)
    )
    assert made["spec"]["activeDeadlineSeconds"] == 60
    assert made["spec"]["ttlStrategy"] == {"secondsAfterCompletion": 0}
    world = World(made).play()
    assert world.started[0].active_seconds == 5


def test_further_containers_are_sidecars() -> None:
    made = jobs.workflow_from_job(job({"containers": [{"name": "a"}, {"name": "b"}, {"name": "c"}]}))
    (template,) = made["spec"]["templates"]
    assert template["container"] == {}
    assert [sidecar["name"] for sidecar in template["sidecars"]] == ["b", "c"]


def test_names_and_marks_are_kept() -> None:
    body = job({"volumes": [{"name": "v", "emptyDir": {}}], "serviceAccountName": "sa"})
    body["metadata"] |= {"annotations": {"why": "so"}, "uid": "gone", "name": "x" * 70}
    made = jobs.workflow_from_job(body)
    assert made["metadata"]["name"] == "x" * 70
    assert made["metadata"]["namespace"] == "ci"
    assert made["metadata"]["labels"] == {"team": "a", labels.JOB_NAME: "x" * 63}
    assert made["metadata"]["annotations"] == {"why": "so"}
    assert "uid" not in made["metadata"]
    assert made["spec"]["volumes"] == [{"name": "v", "emptyDir": {}}]
    assert made["spec"]["serviceAccountName"] == "sa"


def test_the_job_itself_is_not_changed() -> None:
    body = job(completions=2, completionMode="Indexed")
    before = repr(body)
    jobs.workflow_from_job(body)
    assert repr(body) == before


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"spec": None},
        {"spec": []},
        {"spec": {"template": "x"}},
        {"spec": {"template": {"spec": 5}}},
        {"spec": {"template": {"spec": {"containers": []}}}},
        {"spec": {"template": {"spec": {"containers": {"name": "c"}}}}},
        {"spec": {"template": {"spec": {"containers": ["c"]}}}},
        {"metadata": "x", "spec": {}},
        {"metadata": {"labels": "x"}, "spec": {"template": {"spec": {"containers": [5]}}}},
    ],
    ids=str,
)
def test_what_is_no_job_is_refused_in_words(body: Body) -> None:
    with pytest.raises(Invalid, match="container"):
        jobs.workflow_from_job(body)


@pytest.mark.parametrize(
    "spec",
    [
        {"completions": "x"},
        {"completions": -1},
        {"parallelism": -1},
        {"backoffLimit": "x"},
        {"backoffLimit": -3},
        {"completions": 10**12},
        {"activeDeadlineSeconds": "x"},
    ],
    ids=str,
)
def test_odd_numbers_run_nothing_wild(spec: Body) -> None:
    world = played(job(**spec))
    assert world.machine.finished
    assert len(world.started) <= 1
