"""What is in force because it was committed: the nightly cron, the Job, and a run that waits for a person."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from tests.examples import drawn
from tests.examples.conftest import EXAMPLES
from tests.support.daemon import Daemon
from tests.support.gitserver import Repository

pytestmark = pytest.mark.sandbox


def test_the_whalesay_job_is_offered_and_runs(daemon: Daemon) -> None:
    """A Job of the repository is no run; `submit --from` makes one of it, with the ConfigMap mounted as a program."""
    said = daemon.syncd("submit", "--log", "--from", "job/whalesay")
    assert "< This is a Kubernetes Job! >" in said
    assert r"\____\_" in said
    name = re.findall(r"^(whalesay-\w+) Succeeded", said, re.MULTILINE)[-1]
    run = drawn.read(daemon.syncd("get", name))
    assert run.rows == ("✔ NAME(0) · pod",)
    assert run.facts["Source"] == "examples"


def test_every_run_knows_its_commit(daemon: Daemon, repository: Repository) -> None:
    name = json.loads(daemon.syncd("submit", "--wait", "-o", "json", "--from", "workflowtemplate/report"))["metadata"][
        "name"
    ]
    run = drawn.read(daemon.syncd("get", name))
    assert f"main@sha1:{repository.git('rev-parse', 'HEAD')}" == run.facts["Revision"]
    assert run.facts["Path"] == "nightly-report.yaml:3"


def test_the_nightly_cron_knows_its_next_nights(daemon: Daemon) -> None:
    """Half past two in Paris, whatever the machine's own zone."""
    listed = daemon.syncd("cron", "list")
    assert "nightly-report" in listed
    assert "30 2 * * *" in listed
    coming = [
        datetime.fromisoformat(at)
        for at in json.loads(daemon.syncd("cron", "next", "nightly-report", "-n", "3", "-o", "json"))
    ]
    assert len(coming) == 3
    assert coming == sorted(coming)
    for at in coming:
        assert at > datetime.now(UTC)
        assert (at.astimezone(ZoneInfo("Europe/Paris")).hour, at.astimezone(ZoneInfo("Europe/Paris")).minute) == (2, 30)


def test_the_nightly_cron_is_triggered_by_hand_and_says_so(daemon: Daemon) -> None:
    said = daemon.syncd("cron", "trigger", "nightly-report")
    name = re.search(r"nightly-report-\w+", said)
    assert name, said
    daemon.syncd("wait", name[0])
    body = daemon.call("GET", f"/api/v1/workflows/default/{name[0]}")
    at = body["metadata"]["annotations"]["workflows.argoproj.io/scheduled-time"]
    expected = [f"{word} {at}" for word in ("extract", "transform", "load")]
    assert expected == [line for _, line in daemon.log(name[0])]
    assert name[0] in daemon.syncd("cron", "explain", "nightly-report")


def test_a_run_waits_for_a_person(daemon: Daemon) -> None:
    name = daemon.syncd("submit", "-o", "name", str(EXAMPLES / "suspend.yaml")).strip().rpartition("/")[2]
    with daemon.open(
        "GET", f"/api/v1/workflow-events/default?listOptions.fieldSelector=metadata.name={name}"
    ) as events:
        for line in events:
            event = json.loads(line)["result"] if line.strip() else {}
            nodes = event.get("object", {}).get("status", {}).get("nodes", {})
            if any(node["type"] == "Suspend" and node["phase"] == "Running" for node in nodes.values()):
                break
    run = drawn.read(daemon.syncd("get", name))
    assert run.facts["Status"] == "Running (Suspended)"
    assert run.rows == ("● NAME · suspend", "├───✔ build · whalesay", "└───ǁ approve · approve")
    daemon.syncd("resume", name)
    daemon.syncd("wait", name)
    run = drawn.read(daemon.syncd("get", name))
    assert run.facts["Status"] == "Succeeded"
    assert run.rows[-1] == "└───✔ release · whalesay"
