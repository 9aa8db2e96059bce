"""What counts as a difference, how it reads, and what never shows."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.plan import compare

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)


def template(spec, kind="WorkflowTemplate", **metadata):
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": kind, "metadata": {"name": "x", **metadata}, "spec": spec}


def shown(wanted, live, **more):
    return [str(difference) for difference in compare.differences(wanted, live, **more)]


@pytest.mark.parametrize(
    ("wanted", "live", "expected"),
    [
        pytest.param({"a": 1}, {"a": 2}, ["~ spec.a: 2 -> 1"], id="a changed value"),
        pytest.param({"a": {"b": "x"}}, {"a": {}}, ['+ spec.a.b: "x"'], id="an added field"),
        pytest.param({}, {"a": [1, 2]}, ["- spec.a: [1, 2]"], id="a removed field"),
        pytest.param({"a": None}, {}, [], id="null is absent"),
        pytest.param({"suspend": {}}, {}, ["+ spec.suspend: {}"], id="an empty mapping is something"),
        pytest.param({"a": [1]}, {"a": [1, 2]}, ["- spec.a[1]: 2"], id="a list of scalars, by index"),
        pytest.param(
            {"templates": [{"name": "new"}, {"name": "old", "n": 1}]},
            {"templates": [{"name": "old", "n": 1}]},
            ['+ spec.templates[0]: {"name": "new"}'],
            id="an insertion into a list of named items is one difference",
        ),
        pytest.param(
            {"t": [{"name": "a"}, {"name": "b"}]},
            {"t": [{"name": "b"}, {"name": "a"}]},
            ['~ spec.t.(order): ["b", "a"] -> ["a", "b"]'],
            id="a new order is a difference",
        ),
        pytest.param(
            {"t": [{"name": "a"}, {"name": "a"}]},
            {"t": [{"name": "a"}]},
            ['+ spec.t[1]: {"name": "a"}'],
            id="a name given twice goes by index",
        ),
    ],
)
def test_differences_read(wanted, live, expected):
    assert expected == shown(template(wanted), template(live))


def test_others_labels_and_status_are_not_compared():
    live = template({}, labels={"team": "x", "other": "y"}, uid="u") | {"status": {"phase": "Active"}}
    assert shown(template({}, labels={"team": "x"}), live) == []
    assert shown(template({}, labels={"team": "z"}), live) == ['~ metadata.labels.team: "x" -> "z"']


def test_what_a_server_fills_in_is_no_difference():
    pod = {"containers": [{"name": "main", "image": "a"}]}
    filled = {
        "containers": [{"name": "main", "image": "a", "imagePullPolicy": "Always", "resources": {}}],
        "dnsPolicy": "ClusterFirst",
    }
    cron = {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": {"spec": pod}}}}
    live = {
        "schedule": "* * * * *",
        "suspend": False,
        "concurrencyPolicy": "Allow",
        "jobTemplate": {"spec": {"template": {"spec": filled}}},
    }
    assert shown(template(cron, "CronJob"), template(live, "CronJob")) == []
    assert shown(template(cron, "CronJob"), template({**live, "suspend": True}, "CronJob")) == ["- spec.suspend: true"]


def test_no_value_of_a_secret_is_ever_shown():
    wanted = {"kind": "Secret", "metadata": {"annotations": {"a": "hunter2"}}, "data": {"p": "hunter2"}}
    live = {"kind": "Secret", "metadata": {}, "data": {"p": "hunter3"}, "stringData": {"q": "hunter4"}}
    text = " ".join(shown(wanted, live))
    assert "hunter" not in text
    assert "data.p" in text


def test_shown_text_is_capped_in_number_and_length():
    wanted = template({f"f{n}": "x" * 10_000 for n in range(500)})
    found = compare.differences(wanted, template({}))
    assert len(found) == compare.LIMIT + 1
    assert max(len(str(difference)) for difference in found) < compare.TEXT_LIMIT + 60


def test_the_paths_are_those_of_the_differences_all_of_them():
    wanted, live = template({f"f{n:03}": n for n in range(99)}), template({})
    assert len(compare.paths(wanted, live)) == 99
    assert compare.paths(template({"t": [{"name": "a", "n": 1}]}), template({"t": [{"name": "a"}]})) == (
        ("spec", "t", 0, "n"),
    )


@given(JSON)
def test_nothing_differs_from_itself(value):
    """Law: reflexive."""
    assert compare.differences(template({"v": value}), template({"v": copy.deepcopy(value)})) == ()


@given(JSON, JSON)
def test_same_says_what_differences_says(one, other):
    """Law: `same` is `differences` without text; and both sides see a difference, or none does."""
    a, b = template({"v": one}), template({"v": other})
    assert compare.same(a, b) == (compare.differences(a, b) == ())
    assert compare.same(a, b) == compare.same(b, a)
