"""What an apply leaves of others, and how it is taken away."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.cluster import verbs
from syncd.cluster.kube import surplus

APPLIED = {"spec": {"a": 1, "m": {"x": 1}, "l": [{"name": "one"}], "e": {}}}


@pytest.mark.parametrize(
    ("live", "expected"),
    [
        pytest.param({"spec": APPLIED["spec"]}, None, id="nothing more"),
        pytest.param({"spec": {"a": 2, "m": {"x": 3}}}, None, id="other values are not surplus"),
        pytest.param({"spec": {**APPLIED["spec"], "b": 1}}, {"spec": {"b": None}}, id="a field"),
        pytest.param({"spec": {"m": {"x": 1, "y": {"z": 1}}}}, {"spec": {"m": {"y": None}}}, id="a mapping"),
        pytest.param({"spec": {"e": {"z": 1}}}, {"spec": {"e": {"z": None}}}, id="in an empty mapping"),
        pytest.param({"data": {"z": 1}}, {"data": None}, id="a whole section"),
        pytest.param({"spec": {"z": None}}, None, id="a null is nothing"),
        pytest.param({"metadata": {"labels": {"z": "1"}}, "status": {"z": 1}}, None, id="metadata and status stay"),
        pytest.param(
            {"spec": {"l": [{"name": "one"}, {"name": "two"}]}}, {"spec": {"l": [{"name": "one"}]}}, id="item"
        ),
        pytest.param({"spec": {"l": [{"name": "one", "z": 1}]}}, {"spec": {"l": [{"name": "one"}]}}, id="in an item"),
        pytest.param({"spec": {"l": [{"name": "two"}]}}, None, id="another item"),
    ],
)
def test_patch(live: dict[str, Any], expected: object) -> None:
    assert surplus.patch("WorkflowTemplate", APPLIED, live) == expected


def test_what_a_server_fills_in_stays() -> None:
    container = {"name": "a", "image": "b"}
    live_container = {**container, "imagePullPolicy": "Always", "terminationMessagePath": "/dev/termination-log"}

    def cron_job(one: dict[str, Any], **more: Any) -> dict[str, Any]:
        return {"spec": {"jobTemplate": {"spec": {"template": {"spec": {"containers": [one], **more}}}}}}

    applied = cron_job(container)
    assert surplus.patch("CronJob", applied, cron_job(live_container, dnsPolicy="ClusterFirst")) is None
    by_hand = cron_job({**live_container, "tty": True})
    assert surplus.patch("CronJob", applied, by_hand) == applied


def test_what_nobody_else_owns_stays() -> None:
    """The server filled it in, or made it of what was sent: `stringData` becomes data that our own apply owns."""

    def entry(manager: str, operation: str, fields: dict[str, Any]) -> dict[str, Any]:
        return {"manager": manager, "operation": operation, "fieldsV1": fields}

    live = {
        "metadata": {
            "managedFields": [
                entry("syncd", "Apply", {"f:spec": {"f:a": {}}, "f:data": {"f:k": {}}}),
                entry("kubectl-edit", "Update", {"f:spec": {"f:z": {}}}),
            ]
        },
        "spec": {"a": 1, "z": 1, "filled": {"in": 1}},
        "data": {"k": "dg=="},
    }
    assert surplus.patch("Secret", {"spec": {"a": 1}}, live) == {"spec": {"z": None}}


values = st.none() | st.integers(0, 2) | st.text("ab", max_size=2)
trees = st.recursive(
    values, lambda inner: st.dictionaries(st.sampled_from("pqr"), inner) | st.lists(inner, max_size=2), max_leaves=6
)
specs = st.dictionaries(st.sampled_from("pqr"), trees, min_size=1)


@given(specs, specs)
def test_law_after_the_patch_nothing_is_left(applied: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Others' fields beside what was applied: patched away, and a second patch finds nothing."""
    live = {"spec": verbs.merge_patch(theirs, applied)}
    patch = surplus.patch("WorkflowTemplate", {"spec": applied}, live)
    after = verbs.merge_patch(live, patch or {})
    assert surplus.patch("WorkflowTemplate", {"spec": applied}, after) is None
