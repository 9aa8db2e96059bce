"""What people submit: every option, every kind to submit from, names that are taken, bodies that are none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from syncd.argo import labels
from syncd.argo.manifest import Body, Key
from syncd.base.errors import AlreadyExists, Conflict, Invalid, NotFound
from syncd.base.problems import Problem
from syncd.cluster.api import Entry, Verb, Write
from syncd.cluster.memory import MemoryStore
from syncd.loops.submit import SUBMITTED_BY, Submitter, apply_options
from tests.support.clocks import CountingRandom, ManualClock

MAIN = {"name": "main", "container": {"image": "i", "args": ["x"]}}
SPEC: Body = {"entrypoint": "main", "templates": [MAIN]}
WF: Body = {"metadata": {"generateName": "wf-"}, "spec": SPEC}


class Runs:
    """What the run loop was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, Any]]] = []

    async def operate(self, key: Key, verb: str, arguments: dict[str, Any], *, by: str) -> None:
        self.asked.append((key.name, verb, arguments))


class Collect:
    def __init__(self) -> None:
        self.removed: list[str] = []

    async def remove_remains(self, key: Key, uid: str) -> None:
        self.removed.append(key.name)


class House:
    def __init__(self) -> None:
        clock = ManualClock()
        self.store = MemoryStore(clock, CountingRandom())
        self.runs, self.collect = Runs(), Collect()
        self.linted: list[Body] = []
        self.submitter = Submitter(
            self.store,
            self.runs,
            self.collect,
            clock,
            CountingRandom(),
            self._lint,  # type: ignore[arg-type]
        )

    async def _lint(self, body: Body, submission: bool) -> Sequence[Problem]:
        self.linted.append(body)
        return []

    async def put(self, kind: str, name: str, body: Body, namespace: str = "ci") -> Key:
        key = Key(kind, namespace, name)
        whole = {**body, "metadata": {**(body.get("metadata") or {}), "name": name, "namespace": namespace}}
        (written,) = await self.store.write([Write(Verb.CREATE, key, whole)])
        assert written.error is None
        return key


@pytest.fixture
def it() -> House:
    return House()


# -- names


async def test_a_name_is_made_from_its_beginning(it: House) -> None:
    made = await it.submitter.submit(WF, by="ann")
    assert made["metadata"]["name"] == "wf-00001"
    assert made["metadata"]["namespace"] == "default"
    assert made["metadata"]["annotations"][SUBMITTED_BY] == "ann"
    assert made["kind"] == "Workflow"


async def test_a_made_name_that_is_taken_is_made_again(it: House) -> None:
    await it.put("Workflow", "wf-00001", {"spec": {}}, "default")
    await it.put("Workflow", "wf-00002", {"spec": {}}, "default")
    assert (await it.submitter.submit(WF, by=""))["metadata"]["name"] == "wf-00003"


async def test_when_all_made_names_are_taken_it_says_so(it: House) -> None:
    for index in range(1, 10):
        await it.put("Workflow", f"wf-{index:05}", {"spec": {}}, "default")
    with pytest.raises(Conflict, match="no free name for 'wf-'"):
        await it.submitter.submit(WF, by="")


@pytest.mark.parametrize("more", [{}, {"generateName": "wf-"}])
async def test_a_given_name_that_is_taken_is_an_error(it: House, more: Body) -> None:
    body = {**WF, "metadata": {"name": "mine", **more}}
    await it.submitter.submit(body, by="")
    with pytest.raises(AlreadyExists):
        await it.submitter.submit(body, by="")


async def test_a_made_name_fits_into_a_label(it: House) -> None:
    made = await it.submitter.submit({**WF, "metadata": {"generateName": "x" * 100 + "-"}}, by="")
    assert len(made["metadata"]["name"]) == 63


async def test_without_any_name_it_says_what_to_do(it: House) -> None:
    with pytest.raises(Invalid, match=r"neither metadata\.name nor metadata\.generateName"):
        await it.submitter.submit({"spec": SPEC}, by="")


async def test_a_dry_run_creates_nothing(it: House) -> None:
    made = await it.submitter.submit(WF, by="ann", dry_run=True)
    assert made["metadata"]["name"]
    assert (await it.store.list("Workflow")).items == []


# -- what comes along


async def test_what_a_finished_workflow_brings_along_is_left_behind(it: House) -> None:
    body = {
        "metadata": {
            "name": "again",
            "uid": "old",
            "resourceVersion": "5",
            "creationTimestamp": "2020-01-01T00:00:00Z",
            "labels": {labels.PHASE: "Succeeded", labels.COMPLETED: "true", "mine": "1"},
            "annotations": None,
        },
        "spec": SPEC,
        "status": {"phase": "Succeeded", "finishedAt": "2020-01-01T00:00:00Z"},
    }
    made = await it.submitter.submit(body, by="")
    assert made["metadata"]["uid"] != "old"
    assert made["metadata"]["labels"] == {"mine": "1"}
    assert not made.get("status")


async def test_nobody_signs_as_another_or_claims_a_source(it: House) -> None:
    marks = {SUBMITTED_BY: "boss", labels.REVISION: "main@sha1:f00", labels.PATH: "x.yaml"}
    body = {**WF, "metadata": {"generateName": "wf-", "annotations": marks, "labels": {labels.OWNER_SOURCE: "ops"}}}
    made = await it.submitter.submit(body, by="mallory")
    assert made["metadata"]["annotations"] == {SUBMITTED_BY: "mallory"}
    assert not made["metadata"]["labels"]


async def test_the_body_that_was_given_is_not_changed(it: House) -> None:
    before = repr(WF)
    await it.submitter.submit(WF, by="ann")
    assert repr(WF) == before


async def test_a_job_is_run_as_a_workflow(it: House) -> None:
    job = {
        "kind": "Job",
        "apiVersion": "batch/v1",
        "metadata": {"name": "count"},
        "spec": {"template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}},
    }
    made = await it.submitter.submit(job, by="")
    assert made["kind"] == "Workflow"
    assert made["metadata"]["labels"][labels.JOB_NAME] == "count"


@pytest.mark.parametrize(
    "body",
    [
        {"metadata": "x", "spec": SPEC},
        {"metadata": {"name": "a", "labels": "x"}, "spec": SPEC},
        {"metadata": {"name": "a", "annotations": [1]}, "spec": SPEC},
        {"kind": "Pod", "metadata": {"name": "a"}},
        {"kind": "Job", "metadata": {"name": "a"}},
        {"kind": "Job", "metadata": {"name": "a"}, "spec": {"template": 7}},
        {"metadata": None},
        {},
    ],
    ids=str,
)
async def test_what_is_no_workflow_is_refused_in_words(it: House, body: Body) -> None:
    with pytest.raises(Invalid):
        await it.submitter.submit(body, by="")


# -- options


def optioned(options: Body, **spec: Any) -> Body:
    body: Body = {"metadata": {"generateName": "wf-"}, "spec": {**SPEC, **spec}}
    apply_options(body, options)
    return body


PARAMETERS = {"arguments": {"parameters": [{"name": "a", "valueFrom": {"default": "x"}}, {"name": "b", "value": "1"}]}}


def test_parameters_take_the_place_of_values_or_are_added() -> None:
    body = optioned({"parameters": ["a=1=2", "c=", "b=x", "b=y"]}, **PARAMETERS)
    assert body["spec"]["arguments"]["parameters"] == [
        {"name": "a", "value": "1=2"},
        {"name": "b", "value": "y"},
        {"name": "c", "value": ""},
    ]


@pytest.mark.parametrize(
    ("options", "path", "expected"),
    [
        ({"name": "n"}, "metadata", {"name": "n"}),
        ({"generateName": "g-"}, "metadata", {"generateName": "g-"}),
        ({"name": "n", "generateName": "g-"}, "metadata", {"name": "n"}),
        ({"labels": "a=b, c=d"}, "metadata.labels", {"a": "b", "c": "d"}),
        ({"annotations": "a=b=c,d="}, "metadata.annotations", {"a": "b=c", "d": ""}),
        ({"entryPoint": "e"}, "spec.entrypoint", "e"),
        ({"serviceAccount": "s"}, "spec.serviceAccountName", "s"),
        ({"podPriorityClassName": "p"}, "spec.podPriorityClassName", "p"),
        ({"priority": 0}, "spec.priority", 0),
        ({"priority": "-7"}, "spec.priority", -7),
        ({"unheard": "of", "dryRun": True}, "metadata", {"generateName": "wf-"}),
    ],
    ids=str,
)
def test_an_option_changes(options: Body, path: str, expected: Any) -> None:
    found: Any = optioned(options)
    for step in path.split("."):
        found = found[step]
    assert found == expected


def test_an_artifact_gets_another_key() -> None:
    own = {
        "arguments": {
            "artifacts": [{"name": "in", "s3": {"bucket": "b", "key": "old"}}, {"name": "other", "raw": {"data": ""}}]
        }
    }
    body = optioned({"artifacts": ["in=new/key"]}, **own)
    assert body["spec"]["arguments"]["artifacts"] == [
        {"name": "in", "s3": {"bucket": "b", "key": "new/key"}},
        {"name": "other", "raw": {"data": ""}},
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"parameters": ["a"]}, "'a' is not NAME=VALUE"),
        ({"parameters": ["=a"]}, "is not NAME=VALUE"),
        ({"parameters": "a=b"}, "'a' is not NAME=VALUE"),
        ({"labels": "a"}, "labels: 'a' is not NAME=VALUE"),
        ({"labels": "a=b=c"}, "is not NAME=VALUE"),
        ({"labels": "=b"}, "is not NAME=VALUE"),
        ({"annotations": ","}, "is not NAME=VALUE"),
        ({"priority": "high"}, "priority 'high' is not a whole number"),
        ({"artifacts": ["nothing"]}, "is not NAME=KEY"),
        ({"artifacts": ["no=key"]}, "takes no artifact 'no'"),
    ],
    ids=str,
)
def test_an_option_that_makes_no_sense_is_refused_in_words(options: Body, said: str) -> None:
    with pytest.raises(Invalid) as caught:
        optioned(options)
    assert said in str(caught.value)


# -- submit from


MARKS = {
    "labels": {labels.OWNER_SOURCE: "ops"},
    "annotations": {labels.REVISION: "main@sha1:f00", labels.PATH: "t.yaml"},
}


@pytest.mark.parametrize(
    ("kind", "namespace", "label"),
    [
        ("WorkflowTemplate", "ci", labels.LABEL_WORKFLOW_TEMPLATE),
        ("ClusterWorkflowTemplate", "", labels.LABEL_CLUSTER_WORKFLOW_TEMPLATE),
    ],
)
async def test_a_template_is_run_by_reference(it: House, kind: str, namespace: str, label: str) -> None:
    spec = {**SPEC, "workflowMetadata": {"labels": {"team": "a"}, "annotations": {"why": "so"}}}
    await it.put(kind, "base", {"metadata": MARKS, "spec": spec}, namespace)
    made = await it.submitter.submit_from(kind, "ci", "base", {"parameters": ["p=1"], "labels": "x=y"}, by="ann")
    metadata = made["metadata"]
    assert metadata["name"].startswith("base-")
    assert metadata["namespace"] == "ci"
    assert metadata["labels"] == {label: "base", "team": "a", "x": "y"}
    assert metadata["annotations"] == {
        labels.REVISION: "main@sha1:f00",
        labels.PATH: "t.yaml",
        labels.OWNER_SOURCE: "ops",
        "why": "so",
        SUBMITTED_BY: "ann",
    }
    reference = {"name": "base"} | ({"clusterScope": True} if not namespace else {})
    assert made["spec"]["workflowTemplateRef"] == reference
    assert made["spec"]["arguments"]["parameters"] == [{"name": "p", "value": "1"}]


async def test_an_artifact_of_the_template_gets_another_key(it: House) -> None:
    spec = {**SPEC, "arguments": {"artifacts": [{"name": "in", "s3": {"bucket": "b", "key": "old"}}]}}
    await it.put("WorkflowTemplate", "base", {"spec": spec})
    made = await it.submitter.submit_from("WorkflowTemplate", "ci", "base", {"artifacts": ["in=new"]}, by="")
    assert made["spec"]["arguments"]["artifacts"] == [{"name": "in", "s3": {"bucket": "b", "key": "new"}}]


async def test_a_cron_is_run_with_the_time_of_now(it: House) -> None:
    cron = {"workflowMetadata": {"labels": {"team": "a"}}, "workflowSpec": SPEC, "schedules": ["@daily"]}
    await it.put("CronWorkflow", "nightly", {"spec": cron})
    made = await it.submitter.submit_from("CronWorkflow", "ci", "nightly", {}, by="")
    assert made["metadata"]["labels"] == {"team": "a", labels.LABEL_CRON_WORKFLOW: "nightly"}
    assert made["metadata"]["annotations"] == {labels.SCHEDULED_TIME: "2026-01-01T00:00:00Z"}
    assert made["spec"] == SPEC


async def test_a_cron_job_is_run_as_its_job(it: House) -> None:
    template = {"metadata": {"labels": {"team": "a"}}, "spec": {"template": {"spec": {"containers": [{"image": "i"}]}}}}
    await it.put("CronJob", "nightly", {"spec": {"jobTemplate": template, "schedule": "@daily"}})
    made = await it.submitter.submit_from("CronJob", "ci", "nightly", {}, by="")
    assert made["metadata"]["name"].startswith("nightly-")
    assert made["metadata"]["labels"][labels.CRON_JOB_NAME] == "nightly"
    assert made["metadata"]["labels"]["team"] == "a"


@pytest.mark.parametrize(
    "kind", ["WorkflowTemplate", "ClusterWorkflowTemplate", "CronWorkflow", "CronJob", "Workflow", "Job"]
)
async def test_what_is_not_there_cannot_be_run(it: House, kind: str) -> None:
    with pytest.raises(NotFound):
        await it.submitter.submit_from(kind, "ci", "nowhere", {}, by="")


async def test_other_kinds_cannot_be_run(it: House) -> None:
    await it.put("ConfigMap", "cm", {"data": {}})
    with pytest.raises(Invalid, match="ConfigMap cannot be submitted from"):
        await it.submitter.submit_from("ConfigMap", "ci", "cm", {}, by="")


# -- resubmit, operate, delete


@pytest.mark.parametrize(
    ("name", "generate_name", "expected"),
    [
        ("hello-world", None, "hello-world-"),
        ("wf-abcde", "wf-", "wf-"),
        ("nightly-1767225600", None, "nightly-1767225600-"),
    ],
)
async def test_a_run_is_submitted_again(it: House, name: str, generate_name: str | None, expected: str) -> None:
    metadata: Body = {
        "labels": {
            labels.PHASE: "Failed",
            labels.COMPLETED: "true",
            "workflows.argoproj.io/creator": "ann",
            "workflows.argoproj.io/test": "true",
            labels.LABEL_CRON_WORKFLOW: "nightly",
        },
        "annotations": {SUBMITTED_BY: "ann", labels.REVISION: "main@sha1:f00"},
    }
    if generate_name:
        metadata["generateName"] = generate_name
    spec = {**SPEC, "shutdown": "Stop", "suspend": True, **PARAMETERS}
    key = await it.put("Workflow", name, {"metadata": metadata, "spec": spec})
    made = await it.submitter.resubmit(key, {"parameters": ["b=2"]}, by="bob")
    assert made["metadata"]["generateName"] == expected
    assert made["metadata"]["labels"] == {
        "workflows.argoproj.io/test": "true",
        labels.LABEL_CRON_WORKFLOW: "nightly",
        labels.LABEL_RESUBMITTED_FROM: name,
    }
    assert made["metadata"]["annotations"] == {SUBMITTED_BY: "bob", labels.REVISION: "main@sha1:f00"}
    assert "shutdown" not in made["spec"]
    assert "suspend" not in made["spec"]
    assert made["spec"]["arguments"]["parameters"][1] == {"name": "b", "value": "2"}


async def test_a_run_is_not_submitted_again_from_its_memory(it: House) -> None:
    key = await it.put("Workflow", "wf", {"spec": SPEC})
    with pytest.raises(Invalid, match="retry"):
        await it.submitter.resubmit(key, {"memoized": True}, by="")


@pytest.mark.parametrize(
    ("verb", "arguments", "spec"),
    [
        ("suspend", {}, {"suspend": True}),
        ("resume", {}, {}),
        ("resume", {"nodeFieldSelector": "name=x"}, {"suspend": True}),
        ("stop", {}, {"shutdown": "Stop", "suspend": True}),
        ("stop", {"nodeFieldSelector": "name=x"}, {"suspend": True}),
        ("terminate", {}, {"shutdown": "Terminate", "suspend": True}),
        ("retry", {"nodeFieldSelector": "name=x"}, {}),
        ("set", {"nodeFieldSelector": "name=x", "outputParameters": {"a": "b"}}, {"suspend": True}),
    ],
)
async def test_what_argo_keeps_in_the_spec_is_seen_there(it: House, verb: str, arguments: Body, spec: Body) -> None:
    key = await it.put("Workflow", "wf", {"spec": {**SPEC, "suspend": True}})
    answer = await it.submitter.operate(key, verb, arguments, by="ann")
    assert it.runs.asked == [("wf", verb, arguments)]
    assert {k: v for k, v in answer["spec"].items() if k in ("suspend", "shutdown")} == spec


async def test_the_parameters_of_a_retry_are_seen_in_the_spec(it: House) -> None:
    key = await it.put("Workflow", "wf", {"spec": {**SPEC, **PARAMETERS}})
    answer = await it.submitter.operate(key, "retry", {"parameters": ["b=2"]}, by="ann")
    assert answer["spec"]["arguments"]["parameters"][1] == {"name": "b", "value": "2"}


async def test_a_deleted_run_takes_along_what_it_left(it: House) -> None:
    key = await it.put("Workflow", "wf", {"spec": SPEC})
    uid = (await it.store.get(key))["metadata"]["uid"]
    await it.store.save([Entry(uid, 1, ManualClock().now(), [])])
    await it.submitter.delete(key, force=False, by="ann")
    assert it.collect.removed == ["wf"]
    with pytest.raises(NotFound):
        await it.submitter.delete(key, force=False, by="ann")
