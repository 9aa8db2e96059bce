"""The routes of Argo's server, as its CLI and SDKs call them: paths with holes, bodies without a Content-Type, only 200."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
import yarl

from syncd.argo import labels
from syncd.argo.manifest import Key
from tests.server.house import House, patch, put, template, workflow

RUN = Key(labels.WORKFLOW, "default", "hello")


async def test_about(house: House) -> None:
    assert set((await house.call("GET", "/api/v1/info"))[1]) == {
        "managedNamespace",
        "links",
        "columns",
        "modals",
        "navColor",
    }
    _, version = await house.call("GET", "/api/v1/version")
    fields = "version buildDate gitCommit gitTag gitTreeState goVersion compiler platform"
    assert set(version) == set(fields.split()) and version["version"] == "0.1.0"


async def test_create_then_get(house: House) -> None:
    """As `argo submit FILE` does."""
    body = workflow("hello")
    del body["metadata"]["namespace"], body["kind"], body["apiVersion"]
    status, made = await house.call("POST", "/api/v1/workflows/default", {"namespace": "default", "workflow": body})
    assert (status, made["kind"], made["apiVersion"]) == (200, "Workflow", "argoproj.io/v1alpha1")
    assert made["metadata"]["namespace"] == "default" and made["metadata"]["uid"]
    assert await house.call("GET", "/api/v1/workflows/default/hello") == (200, made)
    assert house.runs.asked[0][2:] == ("local", False)


@pytest.mark.parametrize("sent", [{"serverDryRun": True}, {"createOptions": {"dryRun": ["All"]}}])
async def test_a_dry_run_creates_nothing(house: House, sent: dict[str, Any]) -> None:
    status, _ = await house.call("POST", "/api/v1/workflows/default", {"workflow": workflow("hello"), **sent})
    assert (status, house.runs.asked[0][3]) == (200, True)
    assert (await house.call("GET", "/api/v1/workflows/default/hello"))[0] == 404


async def test_an_exported_run_can_be_submitted_again(house: House) -> None:
    """Its status and identity are the old run's, and must not make the new one look finished."""
    old = workflow("hello", uid="old", resourceVersion="7", creationTimestamp="2020-01-01T00:00:00Z")
    old["status"] = {"phase": "Succeeded", "finishedAt": "2020-01-01T00:00:00Z", "nodes": {}}
    status, made = await house.call("POST", "/api/v1/workflows/default", {"workflow": old})
    assert (status, house.runs.asked[0][1]) == (200, workflow("hello"))
    assert made["metadata"]["uid"] != "old"


async def test_a_second_one_of_the_same_name_is_a_conflict(house: House) -> None:
    for expected in (200, 409):
        status, said = await house.call("POST", "/api/v1/workflows/default", {"workflow": workflow("hello")})
        assert status == expected
    assert said["code"] == 6


BAD_BODIES: list[tuple[dict[str, Any], str]] = [
    ({}, "no object `workflow`"),
    ({"workflow": "x"}, "no object `workflow`"),
    ({"workflow": workflow("hello", "other")}, "but the path says"),
    ({"workflow": {"kind": "CronWorkflow"}}, "but this route takes a Workflow"),
    ({"workflow": {"metadata": []}}, "must be an object"),
    ({"workflow": {"metadata": {"namespace": "../etc"}}}, "malformed"),
    ({"workflow": workflow("hello"), "serverDryRun": "maybe"}, "must be true or false"),
    ({"workflow": workflow("hello"), "createOptions": []}, "must be an object"),
]


@pytest.mark.parametrize(("sent", "message"), BAD_BODIES, ids=[b[1] for b in BAD_BODIES])
async def test_a_malformed_create_is_the_callers_fault(house: House, sent: dict[str, Any], message: str) -> None:
    status, said = await house.call("POST", "/api/v1/workflows/default", sent)
    assert status == 400 and message in said["message"]
    assert house.runs.asked == []


async def test_the_namespace_may_come_from_the_object_alone(house: House) -> None:
    status, made = await house.call("POST", "/api/v1/workflows/", {"workflow": workflow("hello", "ci")})
    assert (status, made["metadata"]["namespace"]) == (200, "ci")


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("workflowtemplate", "WorkflowTemplate"),
        ("WorkflowTemplate", "WorkflowTemplate"),
        ("wftmpl", "WorkflowTemplate"),
        ("cwft", "ClusterWorkflowTemplate"),
        ("clusterworkflowtemplates", "ClusterWorkflowTemplate"),
        ("cwf", "CronWorkflow"),
        ("cronworkflow", "CronWorkflow"),
        ("workflow", "Workflow"),
        ("job", "Job"),
    ],
)
async def test_submit_from(house: House, word: str, kind: str) -> None:
    options = {"parameters": ["message=hi"], "labels": "a=b"}
    sent = {"resourceKind": word, "resourceName": "base", "submitOptions": options}
    status, made = await house.call("POST", "/api/v1/workflows/ci/submit", sent)
    assert (status, made["metadata"]["name"]) == (200, "base-run")
    assert house.runs.asked == [("submit_from", kind, "ci", "base", options, "local")]


@pytest.mark.parametrize(
    "sent",
    [
        {"resourceKind": "pod", "resourceName": "x"},
        {"resourceKind": "cron"},
        {"resourceKind": "cron", "resourceName": 7},
        {"resourceKind": "cron", "resourceName": "x", "submitOptions": {"parameters": "a=b"}},
        {"resourceKind": "cron", "resourceName": "x", "submitOptions": [1]},
    ],
)
async def test_a_malformed_submit_is_the_callers_fault(house: House, sent: dict[str, Any]) -> None:
    assert (await house.call("POST", "/api/v1/workflows/ci/submit", sent))[0] == 400
    assert house.runs.asked == []


OPERATIONS: list[tuple[str, dict[str, Any] | None, dict[str, Any]]] = [
    ("suspend", None, {}),
    ("suspend", {"name": "hello", "namespace": "default"}, {}),
    ("resume", {"nodeFieldSelector": "displayName=approve"}, {"nodeFieldSelector": "displayName=approve"}),
    ("stop", {"message": "enough", "nodeFieldSelector": ""}, {"message": "enough"}),
    ("terminate", {}, {}),
    ("retry", {"restartSuccessful": True, "parameters": ["a=b"]}, {"restartSuccessful": True, "parameters": ["a=b"]}),
    ("retry", {"restartSuccessful": False, "parameters": None}, {}),
    (
        "set",
        {"phase": "Succeeded", "outputParameters": '{"a":"b"}'},
        {"phase": "Succeeded", "outputParameters": {"a": "b"}},
    ),
    ("set", {"outputParameters": {"a": "b"}}, {"outputParameters": {"a": "b"}}),
]


@pytest.mark.parametrize(("verb", "sent", "arguments"), OPERATIONS)
async def test_operations(house: House, verb: str, sent: dict[str, Any] | None, arguments: dict[str, Any]) -> None:
    await put(house.store, workflow("hello"))
    status, body = await house.call("PUT", f"/api/v1/workflows/default/hello/{verb}", sent)
    assert (status, body["metadata"]["name"]) == (200, "hello")
    assert house.runs.asked == [("operate", RUN, verb, arguments, "local")]


@pytest.mark.parametrize(
    "sent", [{"outputParameters": "["}, {"outputParameters": {"a": 1}}, {"message": 1}, {"parameters": [1]}]
)
async def test_malformed_arguments_are_the_callers_fault(house: House, sent: dict[str, Any]) -> None:
    await put(house.store, workflow("hello"))
    assert (await house.call("PUT", "/api/v1/workflows/default/hello/set", sent))[0] == 400


async def test_latest_works_with_every_verb(house: House) -> None:
    await put(house.store, workflow("hello"))
    assert (await house.call("PUT", "/api/v1/workflows/default/@latest/stop"))[0] == 200
    assert (await house.call("PUT", "/api/v1/workflows/default/@latest/resubmit", {"memoized": True}))[0] == 200
    assert (await house.call("DELETE", "/api/v1/workflows/default/@latest?force=true"))[0] == 200
    assert house.runs.asked[1:] == [("resubmit", RUN, {"memoized": True}, "local"), ("delete", RUN, True, "local")]


async def test_an_operation_on_what_has_ended_is_a_conflict(house: House) -> None:
    made = await put(house.store, workflow("hello"))
    await patch(house.store, made, {"status": {"finishedAt": "2026-01-01T00:00:00Z"}})
    status, said = await house.call("PUT", "/api/v1/workflows/default/hello/stop")
    assert (status, said["code"], said["reason"]) == (409, 10, "Conflict")


async def test_delete_answers_an_empty_object(house: House) -> None:
    await put(house.store, workflow("hello"))
    assert await house.call("DELETE", "/api/v1/workflows/default/hello") == (200, {})
    assert (await house.call("DELETE", "/api/v1/workflows/default/hello"))[0] == 404


async def test_get_has_nodes_fields_and_minds_the_uid(house: House) -> None:
    made = await put(house.store, workflow("hello"))
    await patch(house.store, made, {"status": {"phase": "Running", "nodes": {"hello": {"id": "hello"}}}})
    path = "/api/v1/workflows/default/hello"
    assert (await house.call("GET", path))[1]["status"]["nodes"] == {"hello": {"id": "hello"}}
    assert await house.call("GET", path + "?fields=status.phase") == (200, {"status": {"phase": "Running"}})
    assert (await house.call("GET", path + "?uid=" + made["metadata"]["uid"]))[0] == 200
    assert (await house.call("GET", path + "?uid=other"))[0] == 404


async def test_lint_answers_the_object_or_all_problems(house: House) -> None:
    good = workflow("hello")
    assert await house.call("POST", "/api/v1/workflows/default/lint", {"workflow": good}) == (200, good)
    bad = {**good, "spec": {}}
    status, said = await house.call("POST", "/api/v1/workflows/default/lint", {"workflow": bad})
    assert (status, said["code"], [p["code"] for p in said["problems"]]) == (400, 3, ["V101", "V102"])
    assert said["message"] == "spec.entrypoint is required (spec); no templates"


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/workflows/default/%2e%2e%2fetc",
        "/api/v1/workflows/default/UPPER",
        "/api/v1/workflows/De_fault/x",
        "/api/v1/workflows/default/a%00b",
        "/api/v1/workflows//hello",
        "/artifacts/default/hello/%2e%2e/x",
        "/artifacts/default/hello/n/%2e%2e%2fx",
        "/api/syncd/v1/sources/%2e%2e%2fx",
        "/api/syncd/v1/crons/default/a%2fb/ledger",
        "/api/v1/workflows/default/hello/%0a/log",
    ],
)
async def test_names_are_checked_after_decoding(house: House, path: str) -> None:
    await artifacts(house)
    assert house.client is not None
    url = yarl.URL(house.url + path, encoded=True)
    headers = {"Authorization": house.doors.credentials[0].token}
    async with house.client.get(url, headers=headers) as answer:
        assert answer.status in (400, 404)
        assert "malformed" in (await answer.text()) or "empty" in (await answer.text())


KINDS = [
    (labels.WORKFLOW_TEMPLATE, "/api/v1/workflow-templates/default", "template"),
    (labels.CLUSTER_WORKFLOW_TEMPLATE, "/api/v1/cluster-workflow-templates", "template"),
    (labels.CRON_WORKFLOW, "/api/v1/cron-workflows/default", "cronWorkflow"),
]


@pytest.mark.parametrize(("kind", "path", "field"), KINDS, ids=[k[0] for k in KINDS])
async def test_the_life_of_a_definition(house: House, kind: str, path: str, field: str) -> None:
    body = template(kind, "base")
    status, made = await house.call("POST", path, {field: body})
    assert (status, made["kind"]) == (200, kind)
    assert (await house.call("POST", path, {field: body}))[0] == 409
    assert await house.call("GET", f"{path}/base") == (200, made)
    assert (await house.call("GET", path))[1]["items"] == [made]

    changed = {**made, "spec": {**made["spec"], "entrypoint": "other"}}
    status, updated = await house.call("PUT", f"{path}/base", {field: changed})
    assert (status, updated["spec"]["entrypoint"]) == (200, "other")
    status, said = await house.call("PUT", f"{path}/base", {field: changed})
    assert (status, said["code"]) == (409, 10)  # the resource version is an old one now

    assert (await house.call("POST", f"{path}/lint", {field: body}))[0] == 200
    bad = {**body, "spec": {}}
    for method, where in (("POST", path), ("POST", f"{path}/lint"), ("PUT", f"{path}/base")):
        status, said = await house.call(method, where, {field: bad})
        assert (status, len(said["problems"])) == (400, 2), where

    assert await house.call("DELETE", f"{path}/base") == (200, {})
    for method in ("GET", "DELETE"):
        assert (await house.call(method, f"{path}/base"))[0] == 404
    assert (await house.call("PUT", f"{path}/base", {field: body}))[0] == 404


@pytest.mark.parametrize(("kind", "path", "field"), KINDS, ids=[k[0] for k in KINDS])
async def test_what_a_source_owns_is_changed_in_git(house: House, kind: str, path: str, field: str) -> None:
    owned = template(
        kind, "base", labels={labels.OWNER_SOURCE: "examples"}, annotations={labels.PATH: "jobs/base.yaml:1"}
    )
    await put(house.store, owned)
    mine = template(kind, "base")
    for method, sent in (("PUT", {field: mine}), ("DELETE", None)):
        status, said = await house.call(method, f"{path}/base", sent)
        assert (status, said["code"]) == (403, 7)
        assert "source 'examples' (jobs/base.yaml:1)" in said["message"]


async def test_nobody_gives_an_object_to_a_source_by_hand(house: House) -> None:
    body = template(labels.WORKFLOW_TEMPLATE, "base", labels={labels.OWNER_SOURCE: "examples"})
    status, said = await house.call("POST", "/api/v1/workflow-templates/default", {"template": body})
    assert status == 400 and "only a sync sets it" in said["message"]


async def test_an_update_under_another_name_is_refused(house: House) -> None:
    await put(house.store, template(labels.WORKFLOW_TEMPLATE, "base"))
    sent = {"template": template(labels.WORKFLOW_TEMPLATE, "other")}
    assert (await house.call("PUT", "/api/v1/workflow-templates/default/base", sent))[0] == 400


@pytest.mark.parametrize("name", ["", None, "A", "../x", 7])
async def test_a_definition_needs_a_name(house: House, name: Any) -> None:
    body = template(labels.WORKFLOW_TEMPLATE, "base")
    body["metadata"]["name"] = name
    assert (await house.call("POST", "/api/v1/workflow-templates/default", {"template": body}))[0] == 400


async def test_crons_are_suspended_and_resumed(house: House) -> None:
    key = Key(labels.CRON_WORKFLOW, "default", "nightly")
    for verb in ("suspend", "resume"):
        assert (await house.call("PUT", f"/api/v1/cron-workflows/default/nightly/{verb}"))[0] == 200
    assert house.crons.asked == [("suspend", key, "local"), ("resume", key, "local")]


async def artifacts(house: House) -> str:
    made = await put(house.store, workflow("hello"))
    node = {"id": "hello", "outputs": {"artifacts": [{"name": "out"}]}, "inputs": {"artifacts": [{"name": "in"}]}}
    await patch(house.store, made, {"status": {"nodes": {"hello": node}}})
    house.artifacts.content = {"out": b"<script>", "in": b"in"}
    return str(made["metadata"]["uid"])


async def test_artifacts_under_all_of_their_paths(house: House) -> None:
    uid = await artifacts(house)
    for path, content in [
        ("/artifacts/default/hello/hello/out", "<script>"),
        ("/artifacts/default/@latest/hello/out", "<script>"),
        ("/input-artifacts/default/hello/hello/in", "in"),
        (f"/artifacts-by-uid/{uid}/hello/out", "<script>"),
        (f"/input-artifacts-by-uid/{uid}/hello/in", "in"),
        ("/artifact-files/default/workflows/hello/hello/outputs/out", "<script>"),
        ("/artifact-files/default/workflows/hello/hello/inputs/in", "in"),
        (f"/artifact-files/default/archived-workflows/{uid}/hello/outputs/out", "<script>"),
    ]:
        assert await house.call("GET", path) == (200, content), path
        assert house.last.headers["Content-Type"] == "application/octet-stream"
        assert house.last.headers["Content-Disposition"].startswith("attachment; filename=")
        assert house.last.headers["Content-Security-Policy"].startswith("sandbox")


async def test_artifacts_that_are_not_there(house: House) -> None:
    await artifacts(house)
    for path in (
        "/artifacts/default/hello/hello/in",
        "/artifacts/default/hello/other/out",
        "/artifacts/default/other/hello/out",
        "/artifacts-by-uid/nobody/hello/out",
    ):
        status, said = await house.call("GET", path)
        assert (status, said["code"]) == (404, 5), path
    assert (await house.call("GET", "/artifact-files/default/workflows/hello/hello/other/out"))[0] == 400


async def test_an_artifact_that_breaks_off_does_not_look_whole(house: House, caplog: pytest.LogCaptureFixture) -> None:
    await artifacts(house)
    house.artifacts.broken = True
    with pytest.raises(aiohttp.ClientPayloadError):
        await house.call("GET", "/artifacts/default/hello/hello/out")
