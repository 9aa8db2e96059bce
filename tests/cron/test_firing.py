"""The child's body, as Argo makes it, and the noun it is made from."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from syncd.argo import crons, labels
from syncd.cron import children, firing
from syncd.cron.children import Child
from tests.cron.crons_for_tests import NOON, UID, cron


def test_the_child_of_a_cron_workflow() -> None:
    asked = cron(
        labels={
            "workflows.argoproj.io/creator": "ada",
            labels.INSTANCE_ID: "other",
            labels.OWNER_SOURCE: "team",
            "not": "copied",
        },
        annotations={labels.REVISION: "main@sha1:aa", "not": "copied"},
        workflowMetadata={"labels": {"a": "b"}, "annotations": {"c": "d"}},
    )
    assert firing.child(asked, NOON) == {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {
            "name": f"nightly-{int(NOON.timestamp())}",
            "namespace": "ci",
            "labels": {
                "workflows.argoproj.io/creator": "ada",
                labels.OWNER_SOURCE: "team",
                labels.INSTANCE_ID: "other",
                labels.LABEL_CRON_WORKFLOW: "nightly",
                "a": "b",
            },
            "annotations": {labels.SCHEDULED_TIME: "2026-03-10T12:00:00Z", labels.REVISION: "main@sha1:aa", "c": "d"},
            "ownerReferences": [
                {
                    "apiVersion": "argoproj.io/v1alpha1",
                    "kind": "CronWorkflow",
                    "name": "nightly",
                    "uid": UID,
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": asked.workflow_spec,
    }


def test_the_instance_id_that_keeps_argos_scheduler_away_is_not_for_the_child() -> None:
    """Decision 2: the child is for the target controller."""
    assert (
        labels.INSTANCE_ID not in firing.child(cron(labels={labels.INSTANCE_ID: "syncd"}), NOON)["metadata"]["labels"]
    )


def test_ownership_goes_by_uid_and_not_by_name() -> None:
    mine = firing.child(cron(), NOON)
    assert firing.owned_by(mine, cron())
    other = crons.parse({"kind": "CronWorkflow", "metadata": {"name": "nightly", "namespace": "ci", "uid": "else"}})
    assert not firing.owned_by(mine, other)
    assert not firing.owned_by({"metadata": {"name": mine["metadata"]["name"]}}, cron())


def test_a_cron_job_is_the_same_noun() -> None:
    body = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "say", "namespace": "ci", "uid": UID},
        "spec": {
            "schedule": "@daily",
            "timeZone": "Asia/Tokyo",
            "jobTemplate": {"metadata": {"labels": {"a": "b"}}, "spec": {"backoffLimit": 2}},
        },
    }
    parsed = crons.parse(body)
    assert (parsed.schedules, parsed.timezone, parsed.workflow_spec) == (("@daily",), "Asia/Tokyo", {})
    assert parsed.job == {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "say", "namespace": "ci", "labels": {"a": "b"}, "annotations": {}},
        "spec": {"backoffLimit": 2},
    }


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = ("schedules", "schedule", "timezone", "suspend", "startingDeadlineSeconds", "when", "stopStrategy", "workflowSpec",
         "workflowMetadata", "jobTemplate", "concurrencyPolicy", "successfulJobsHistoryLimit")  # fmt: skip


@given(
    st.sampled_from(["CronWorkflow", "CronJob"]),
    st.dictionaries(st.sampled_from(NAMES), json_values),
    st.dictionaries(st.sampled_from(["active", "phase", "succeeded", "lastScheduledTime", "conditions"]), json_values),
)
def test_any_body_is_read(kind: str, spec: dict[str, Any], status: dict[str, Any]) -> None:
    """Law: parse never raises, whatever stands in spec and status; what it made can be asked and written."""
    parsed = crons.parse({"kind": kind, "metadata": {"name": "a"}, "spec": spec, "status": status})
    assert parsed.schedule_text is not None
    assert children.patch(parsed)["status"]["succeeded"] >= 0


def child(name: str, phase: str, finished: str) -> Child:
    return Child(name, name, "1", phase, finished)


def test_the_oldest_beyond_the_limits_go_first() -> None:
    ended = [child(f"good{n}", "Succeeded", f"2026-03-10T12:00:0{n}Z") for n in range(5)]
    ended += [child("bad0", "Failed", "2026-03-10T12:00:00Z"), child("bad1", "Error", "2026-03-10T12:00:01Z")]
    running = [child("runs", "Running", "")]
    asked = cron(successfulJobsHistoryLimit=3, failedJobsHistoryLimit=1)
    assert {c.name for c in children.surplus([*ended, *running], asked)} == {"good0", "good1", "bad0"}
    assert children.surplus(running, cron(successfulJobsHistoryLimit=0, failedJobsHistoryLimit=0)) == []
