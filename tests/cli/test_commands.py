"""Commands against the real application: what is asked of it, what people see, how it ends."""

from __future__ import annotations

import io
import json
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from syncd.argo import labels
from syncd.argo.manifest import Body, Key
from syncd.base.errors import ConfigError
from syncd.base.problems import Place, Problem
from syncd.cli import following
from syncd.cli.client import Client, address
from syncd.cli.output import Terminal
from tests.cli.conftest import Call, Served
from tests.cli.runs import node, pod, run
from tests.server import house

HELLO = """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {generateName: hello-}
spec:
  entrypoint: main
  arguments: {parameters: [{name: message, value: hi}]}
  templates: [{name: main, container: {image: x, command: [echo]}}]
"""


def ended(name: str, phase: str = "Succeeded", **more: Any) -> dict[str, Any]:
    body = house.workflow(name, **more)
    body["metadata"].setdefault("labels", {}).update({labels.PHASE: phase, labels.COMPLETED: "true"})
    body["status"] = {"phase": phase, "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:09Z"}
    return body


def running(name: str, **more: Any) -> dict[str, Any]:
    body = house.workflow(name, **more)
    body["metadata"].setdefault("labels", {})[labels.PHASE] = "Running"
    body["status"] = {"phase": "Running", "startedAt": "2026-01-01T00:00:00Z"}
    return body


# list


def test_list_has_argos_columns(served: Served, call: Call) -> None:
    served.put(ended("old", "Failed", namespace="default"))
    served.put(running("new"))
    said = call("list")
    assert said.code == 0
    assert said.lines[0].split() == ["NAME", "STATUS", "AGE", "DURATION", "PRIORITY", "MESSAGE"]
    assert [line.split()[:2] for line in said.lines[1:]] == [["new", "Running"], ["old", "Failed"]]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("", ["a", "b"]),
        ("--running", ["a"]),
        ("--completed", ["b"]),
        ("--status Failed,Error", ["b"]),
        ("--prefix b", ["b"]),
        ("-l team=data", ["a"]),
        ("--field-selector metadata.name=a", ["a"]),
        ("--older 1s", ["b"]),
        ("-A", ["a", "c", "b"]),
        ("-n other", ["c"]),
        ("--since 1s", []),
    ],
)
def test_list_filters(words: str, names: list[str], served: Served, call: Call) -> None:
    served.put(running("a", labels={"team": "data"}))
    served.put(ended("b", "Failed"))
    served.put(running("c", namespace="other"))
    assert call("list", "-o", "name", *words.split()).out.split() == names


def test_list_of_nothing(served: Served, call: Call) -> None:
    assert call("list").out == "No workflows found\n"
    assert json.loads(call("list", "-o", "json").out) == []


def test_wide_lists_count_steps_and_show_parameters(served: Served, call: Call) -> None:
    body = run(pod(".a"), pod(".b", phase="Running"), pod(".c", phase="Pending"), phase="Running")
    body["spec"]["arguments"] = {"parameters": [{"name": "m", "value": "x" * 80}, {"name": "unset"}]}
    served.put(body)
    served.put({**ended("over"), "status": {**ended("over")["status"], "progress": "4/5"}})
    said = call("list", "-o", "wide")
    assert said.lines[0].split()[-2:] == ["P/R/C", "PARAMETERS"]
    assert [line.split()[5] for line in said.lines[1:]] == ["1/1/1", "0/0/4"]
    assert said.lines[1].endswith(f"m={'x' * 32}...{'x' * 15}")


def test_list_reads_all_pages(served: Served, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    from syncd.cli import workflows

    monkeypatch.setattr(workflows, "_PAGE", 2)
    for number in range(5):
        served.put(running(f"w{number}"))
    assert len(call("list", "-o", "name").lines) == 5


# get, watch, wait


def test_get_in_every_form(served: Served, call: Call) -> None:
    body = run(pod("", "main"))
    served.put(body)
    lines = call("get", "hi").lines
    assert lines[0] == "Name:                hi"
    assert lines[-2].split() == ["STEP", "TEMPLATE", "PODNAME", "DURATION", "MESSAGE"]
    assert lines[-1].split() == ["✔", "hi", "main", "hi", "2s"]
    assert call("get", "hi", "-o", "name").out == "hi\n"
    assert json.loads(call("get", "@latest", "-o", "json").out)["metadata"]["name"] == "hi"
    assert "  name: hi\n" in call("get", "hi", "-o", "yaml").out
    assert call("get", "hi", "-o", "short").lines[0].startswith("STEP ")
    assert "STEP" not in call("get", "hi", "--no-utf8", "-o", "name").out


def test_get_of_what_is_not_there_is_no(served: Served, call: Call) -> None:
    said = call("get", "nosuch")
    assert (said.code, said.out) == (1, "")
    assert said.err == "syncd: error: Workflow/default/nosuch not found\n"


def test_wait_says_the_verdict(served: Served, call: Call) -> None:
    served.put(ended("good"))
    served.put(ended("bad", "Failed"))
    assert call("wait", "good").out == "good Succeeded at 2026-01-01T00:00:09Z\n"
    assert call("wait", "good", "bad").code == 1
    assert call("wait", "gone").code == 1
    assert call("wait", "gone", "good", "--ignore-not-found").code == 0


def test_watch_tells_each_step_where_nobody_looks_at_a_screen(served: Served, call: Call) -> None:
    first = served.put(run(node("DAG", "", phase="Running"), pod(".a", phase="Running"), phase="Running"))
    done = run(node("DAG", ""), pod(".a"), pod(".b"), phase="Succeeded")

    def finish() -> None:
        served.do(house.patch(served.house.store, first, {"status": done["status"]}))

    later = threading.Timer(0, finish)
    later.start()
    said = call("watch", "hi")
    later.join()
    assert said.code == 0
    told = said.out.partition("Name:")[0].split("\n")
    assert [line for line in told if line][-2:] in (
        ["✔ a Succeeded", "✔ b Succeeded"],
        ["✔ b Succeeded", "✔ a Succeeded"],
    )
    assert said.lines[-3:][0].split() == ["✔", "hi"]


def test_wait_notices_that_a_run_is_deleted(served: Served, call: Call) -> None:
    served.put(running("doomed"))
    key = Key("Workflow", "default", "doomed")
    later = threading.Timer(0.05, lambda: served.do(served.house.runs.delete(key, force=False, by="test")))
    later.start()
    said = call("wait", "doomed")
    later.join()
    assert said.code == 1
    assert "doomed" in said.err


# logs


def test_logs_are_prefixed_and_filtered_by_the_daemon(served: Served, call: Call) -> None:
    body = served.put(ended("hi"))
    served.house.logs.add(
        body["metadata"]["uid"],
        house.line("one", "pod-1", second=1),
        house.line("two \x1b[2J", "pod-2", "node-2", second=2),
    )
    assert call("logs", "hi").lines == ["pod-1: one", "pod-2: two \x1b[2J"]  # a pipe gets what the step wrote
    assert call("logs", "hi", "--grep", "^o").lines == ["pod-1: one"]
    assert call("logs", "hi", "pod-2", "--no-prefix").lines == ["two \x1b[2J"]
    assert call("logs", "hi", "--tail", "1").lines == ["pod-2: two \x1b[2J"]
    assert call("logs", "hi", "--since-time", "2026-01-01T00:00:02Z").lines == ["pod-2: two \x1b[2J"]
    assert call("logs", "hi", "--timestamps").lines[0] == "pod-1: 2026-01-01T00:00:01.000000Z one"
    assert call("logs", "hi", "-f").lines == ["pod-1: one", "pod-2: two \x1b[2J"]
    assert call("logs", "hi", "--grep", "(").code == 1


def test_a_followed_log_that_breaks_off_is_no_success(
    served: Served, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following.time, "sleep", lambda _: None)
    body = served.put(running("hi"))
    uid = body["metadata"]["uid"]
    served.house.logs.add(uid, house.line("one", "pod-1"))
    served.house.logs.stopped.add(uid)  # as when the daemon goes away
    said = call("logs", "hi", "-f")
    assert (said.code, said.lines) == (3, ["pod-1: one"])
    assert "has not ended" in said.err


# submit


def test_submit_sends_the_file_with_the_options_applied(served: Served, call: Call, tmp_path: Path) -> None:
    file = tmp_path / "hello.yaml"
    file.write_text(HELLO)
    parameters = tmp_path / "p.yaml"
    parameters.write_text("message: from file\nother: 3\n")
    said = call(
        *("submit", str(file), "--name", "hi", "-p", "message=a=b", "-f", str(parameters), "-l", "team=data"),
        *("--entrypoint", "main", "--serviceaccount", "sa", "--priority", "7", "-o", "name"),
    )
    assert (said.code, said.out) == (0, "hi\n")
    _, body, by, dry_run = served.house.runs.asked[0]
    assert by == "local:alice"
    assert dry_run is False
    assert body["metadata"] == {"name": "hi", "namespace": "default", "labels": {"team": "data"}}
    assert body["spec"]["serviceAccountName"] == "sa"
    assert body["spec"]["priority"] == 7
    given = {p["name"]: p["value"] for p in body["spec"]["arguments"]["parameters"]}
    assert given == {"message": "a=b", "other": "3"}


def test_submit_from_stdin_several_documents_and_a_job(served: Served, call: Call, tmp_path: Path) -> None:
    file = tmp_path / "many.yaml"
    job = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: j}\nspec: {template: {spec: {containers: [{name: c, image: x}]}}}\n"
    file.write_text("\n---\n".join([HELLO.replace("generateName: hello-", "name: one"), job, "kind: Other\n"]))
    said = call("submit", str(file), "-n", "ci", "-o", "name")
    assert said.code == 0
    bodies = [asked[1] for asked in served.house.runs.asked]
    assert [(body["kind"], body["metadata"]["namespace"]) for body in bodies] == [("Workflow", "ci")] * 2


def test_submit_from_something_in_force(served: Served, call: Call) -> None:
    said = call(
        "submit", "--from", "workflowtemplate/build", "-p", "branch=main", "--generate-name", "b-", "-o", "name"
    )
    assert (said.code, said.out) == (0, "build-run\n")
    assert served.house.runs.asked == [
        (
            "submit_from",
            "WorkflowTemplate",
            "default",
            "build",
            {"generateName": "b-", "parameters": ["branch=main"]},
            "local:alice",
        )
    ]
    assert call("submit", "--from", "pod/x").code == 1
    assert call("submit", "--from", "nothing").code == 2


@pytest.mark.parametrize(("phase", "code"), [("Succeeded", 0), ("Failed", 1), ("Error", 1)])
def test_submit_wait_prints_the_finished_workflow(
    phase: str, code: int, served: Served, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "hello.yaml"
    file.write_text(HELLO.replace("generateName: hello-", "name: hi"))

    async def finish_at_once(body: Body, *, by: str, dry_run: bool = False) -> Body:
        return await house.put(served.house.store, ended(body["metadata"]["name"], phase))

    monkeypatch.setattr(served.house.runs, "submit", finish_at_once)
    said = call("submit", str(file), "--wait", "-o", "json")
    assert said.code == code
    assert json.loads(said.out)["status"]["phase"] == phase
    assert said.err == ""
    served.do(served.house.runs.delete(Key("Workflow", "default", "hi"), force=False, by="test"))
    assert call("submit", str(file), "--wait").lines[-1] == f"hi {phase} at 2026-01-01T00:00:09Z"


def test_a_refused_file_is_told_with_its_places(served: Served, call: Call, tmp_path: Path, monkeypatch: Any) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(HELLO)
    problem = Problem(Place("(submitted)", 1, 1), "V241", "no such template", path="spec.templates[0].name")

    async def refuse(*_: Any, **__: Any) -> Any:
        from syncd.base.errors import Invalid

        raise Invalid("the workflow is not valid: 1 problem", [problem])

    monkeypatch.setattr(served.house.runs, "submit", refuse)
    said = call("submit", str(file))
    assert said.code == 1
    assert said.err.splitlines() == [
        f"{file}:7:16: error V241: no such template",
        "syncd: error: the workflow is not valid: 1 problem",
    ]


def test_a_file_without_a_workflow_says_what_it_holds(served: Served, call: Call, tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text(
        HELLO.replace("kind: Workflow", "kind: WorkflowTemplate").replace("generateName: hello-", "name: t")
    )
    said = call("submit", str(file))
    assert said.code == 2
    assert "submit --from workflowtemplate/t" in said.err


def test_dry_runs_change_nothing(served: Served, call: Call, tmp_path: Path) -> None:
    file = tmp_path / "hello.yaml"
    file.write_text(HELLO)
    assert json.loads(call("submit", str(file), "--dry-run", "-o", "json").out)["kind"] == "Workflow"
    assert served.house.runs.asked == []
    assert "kind: Workflow" in call("submit", str(file), "--server-dry-run").out
    assert served.house.runs.asked[0][3] is True


# operations


@pytest.mark.parametrize(
    ("verb", "done"),
    [("stop", "stopped"), ("terminate", "terminated"), ("suspend", "suspended"), ("resume", "resumed")],
)
def test_operations_on_names_and_selections(verb: str, done: str, served: Served, call: Call) -> None:
    for name in ("a", "b", "c"):
        served.put(running(name, labels={"team": "data"} if name != "c" else {}))
    said = call(verb, "a", "-l", "team=data")
    assert (said.code, said.lines) == (0, [f"workflow a {done}", f"workflow b {done}"])
    assert [(asked[1].name, asked[2]) for asked in served.house.runs.asked] == [("a", verb), ("b", verb)]
    assert call(verb, "a", "--dry-run").out == f"workflow a {done} (dry-run)\n"
    assert call(verb).code == 2


def test_an_operation_that_is_refused_does_not_hide_the_others(served: Served, call: Call) -> None:
    served.put(ended("over"))
    served.put(running("on"))
    said = call("stop", "over", "on", "--message", "enough")
    assert said.code == 1
    assert said.out == "workflow on stopped\n"
    assert said.err.startswith("syncd: error: workflow over: cannot stop")
    assert served.house.runs.asked[1][3] == {"message": "enough"}


def test_retry_resubmit_and_node_set_pass_on_what_is_asked(served: Served, call: Call) -> None:
    served.put(running("a"))
    assert (
        call("retry", "a", "--restart-successful", "--node-field-selector", "displayName=x", "-o", "name").out == "a\n"
    )
    assert call("resubmit", "a", "-p", "x=1", "--memoized", "-o", "name").code == 0
    assert call("node", "set", "a", "-p", "x=1", "-m", "said", "--phase", "Succeeded").out == "workflow values set\n"
    assert [asked[2:-1] for asked in served.house.runs.asked] == [
        ("retry", {"nodeFieldSelector": "displayName=x", "restartSuccessful": True}),
        ({"memoized": True, "parameters": ["x=1"]},),
        ("set", {"message": "said", "phase": "Succeeded", "outputParameters": {"x": "1"}}),
    ]


def test_delete_by_name_and_by_description(served: Served, call: Call) -> None:
    for name in ("a", "b", "c"):
        served.put(ended(name) if name != "c" else running(name))
    assert call("delete", "a").out == "Workflow 'a' deleted\n"
    said = call("delete", "a")
    assert (said.code, said.out) == (1, "Workflow 'a' not found\n")
    assert call("delete", "--all", "--dry-run").lines == [
        "Workflow 'c' deleted (dry-run)",
        "Workflow 'b' deleted (dry-run)",
    ]
    assert call("delete", "--completed", "--older", "1s").out == "Workflow 'b' deleted\n"
    assert call("delete", "--prefix", "zz").out == "No resources found\n"
    assert call("list", "-o", "name").out == "c\n"


# crons and templates


def test_cron_commands(served: Served, call: Call) -> None:
    body = house.template(labels.CRON_WORKFLOW, "nightly")
    body["spec"] |= {"schedules": ["30 2 * * *"], "timezone": "Europe/Paris"}
    served.put(body)
    key = Key(labels.CRON_WORKFLOW, "default", "nightly")
    served.house.crons.next[key] = datetime(2030, 1, 1, tzinfo=UTC)
    said = call("cron", "list")
    assert said.lines[0].split() == ["NAME", "AGE", "LAST", "RUN", "NEXT", "RUN", "SCHEDULES", "TIMEZONE", "SUSPENDED"]
    assert said.lines[1].split()[0] == "nightly"
    assert said.lines[1].split()[-2:] == ["Europe/Paris", "false"]
    assert json.loads(call("cron", "list", "-o", "json").out)[0]["nextFire"] == "2030-01-01T00:00:00Z"
    assert "Schedules:                     30 2 * * *" in call("cron", "get", "nightly").lines
    assert json.loads(call("cron", "get", "nightly", "-o", "json").out)["kind"] == "CronWorkflow"
    assert len(call("cron", "next", "nightly", "-n", "3").out.partition("note:")[0].splitlines()) == 3
    assert call("cron", "suspend", "nightly").out == "CronWorkflow 'nightly' suspended\n"
    assert call("cron", "resume", "nightly").out == "CronWorkflow 'nightly' resumed\n"
    assert call("cron", "trigger", "nightly", "-o", "name").out == "nightly-1\n"
    assert [asked[0] for asked in served.house.crons.asked] == ["suspend", "resume", "trigger"]
    assert json.loads(call("cron", "explain", "nightly", "-o", "json").out)["limit"] == 10
    assert call("cron", "get", "nosuch").code == 1


@pytest.mark.parametrize(
    ("kind", "group"),
    [(labels.WORKFLOW_TEMPLATE, "template"), (labels.CLUSTER_WORKFLOW_TEMPLATE, "cluster-template")],
)
def test_template_commands(kind: str, group: str, served: Served, call: Call) -> None:
    served.put(house.template(kind, "build"))
    assert call(group, "list").lines == ["NAME", "build"]
    assert call(group, "list", "-o", "name").out == "build\n"
    assert call(group, "get", "build").lines[0] == "Name:                build"
    assert json.loads(call(group, "get", "build", "-o", "json").out)["kind"] == kind
    assert call(group, "get", "nosuch").code == 1


# the daemon


def test_status_sync_approve_reload(served: Served, call: Call) -> None:
    served.house.sources.known["jobs"] = [Problem(Place("a.yaml", 1, 2), "V201", "wrong")]
    assert json.loads(call("status", "-o", "json").out)["sources"][0]["name"] == "jobs"
    assert call("status", "-o", "name").out == "jobs\n"
    assert call("status", "nosuch").code == 1
    assert call("status", "--check").code == 0
    assert call("sync").lines[0].startswith("jobs")
    assert call("approve", "jobs", "abc").code == 0
    assert served.house.sources.asked == [
        ("sync", "jobs", True),
        ("approve", "jobs", "abc", "local:alice"),
        ("sync", "jobs", True),
    ]
    assert call("reload").code == 0


def test_a_wrong_token_is_refused(served: Served, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNCD_TOKEN", "x" * 30)
    assert call("list").code == 4
    monkeypatch.setenv("SYNCD_TOKEN", house.READER)
    assert call("list").code == 0
    assert call("stop", "a").code == 4


def test_a_server_that_does_not_answer(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNCD_TOKEN", "x" * 30)
    said = call("list", "--server", "http://127.0.0.1:1")
    assert said.code == 3
    assert said.err == "syncd: error: http://127.0.0.1:1 does not answer (Connection refused)\n"


def test_watch_on_a_screen_draws_anew_until_the_end(served: Served) -> None:
    body = run(pod("", "main"))
    served.put(body)
    screen = io.StringIO()
    where = address(os.environ["SYNCD_SERVER"])
    seen = following.watch(Client(where, house.WRITER), "default", "hi", Terminal(screen, colour=True, live=True))
    assert seen["status"]["phase"] == "Succeeded"
    assert screen.getvalue().startswith("\x1b[H\x1b[2J")
    assert "\x1b[32m✔\x1b[0m hi" in screen.getvalue()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://127.0.0.1:2746", "http://127.0.0.1:2746"),
        ("127.0.0.1:2746", "http://127.0.0.1:2746"),
        ("host", "http://host:2746"),
        ("https://host/base/", "https://host:443/base"),
        ("http://[::1]:80", "http://[::1]:80"),
        ("unix:/run/a.sock", "unix:/run/a.sock"),
    ],
)
def test_addresses(url: str, shown: str) -> None:
    assert str(address(url)) == shown


@pytest.mark.parametrize("url", ["ftp://h", "http://", "http://u:p@h", "http://h?x=1", "http://h:99999", "http://h#x"])
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(ConfigError, match="is no address"):
        address(url)
