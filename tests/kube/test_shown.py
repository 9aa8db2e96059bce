"""What is shown of a source, from one status to the next, before the real schema."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from syncd.loops import shown
from tests.support import kubeapi
from tests.support.replicas import until

CRD = Path(__file__).parents[2] / "charts" / "syncd" / "crds"
NOW = "2026-11-28T02:43:00Z"


def test_a_source_that_has_no_objects_any_more_can_be_shown(api: kubeapi.ApiServer, namespace: str) -> None:
    """As a new leader shows it at first, or after everything was pruned: an apply of {} over some would leave null."""
    api.kubectl("apply", "--server-side", "-f", str(CRD))
    until(lambda: api.kubectl("get", "sources.syncd.io", code=None).returncode == 0, 30, "sources are served")
    path = f"/apis/syncd.io/v1alpha1/namespaces/{namespace}/sources/jobs"
    head = {"apiVersion": "syncd.io/v1alpha1", "kind": "Source", "metadata": {"name": "jobs"}}
    apply = "fieldManager=syncd&force=true"

    def show(result: str, objects: dict[str, int]) -> dict[str, Any]:
        condition = {"result": result, "objects": objects, "byHand": ["a"] if objects else [], "applied": "main@sha1:1"}
        body = {**head, "status": shown.status_of(condition, [], None, NOW, "")}
        return dict(api.call("PATCH", f"{path}/status?{apply}", body, "application/apply-patch+yaml")["status"])

    api.call("PATCH", f"{path}?{apply}", {**head, "spec": {"url": "u"}}, "application/apply-patch+yaml")
    assert show("applied", {"WorkflowTemplate": 2})["objects"] == {"WorkflowTemplate": 2}
    told = show("starting", {})
    assert shown.condition_of("jobs", {"status": told})["objects"] == {}
    assert told["byHand"] == []
    assert show("applied", {"CronWorkflow": 1})["objects"] == {"CronWorkflow": 1}
