"""Who owns a field: read from managedFields as API servers write them, and from anything else without a fault."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.plan import drift, owners
from tests.plan.test_compare import JSON

MORNING, NOON, NIGHT = "2026-01-01T06:00:00Z", "2026-01-01T12:00:00Z", "2026-01-01T23:00:00Z"


def entry(manager, fields, *, operation="Update", time=NOON, **more):
    return {
        "manager": manager,
        "operation": operation,
        "apiVersion": "argoproj.io/v1alpha1",
        "time": time,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
        **more,
    }


def live(*entries, spec=None, kind="WorkflowTemplate"):
    return {"kind": kind, "metadata": {"name": "x", "managedFields": list(entries)}, "spec": spec or {}}


def managers(body, path, wanted=None):
    return [owner.manager for owner in owners.of(body, path, wanted)]


STEPS = {
    "f:spec": {
        "f:atomic": {},
        "f:granular": {".": {}, "f:mine": {}},
        "f:list": {
            ".": {},
            'k:{"name":"b"}': {".": {}, "f:name": {}, "f:image": {}},
            'k:{"port":80,"protocol":"TCP"}': {"f:port": {}},
        },
        "f:set": {'v:"x"': {}, "v:5": {}},
        "f:indexed": {"i:1": {"f:a": {}}},
    },
    "f:metadata": {"f:labels": {"f:a.b/c": {}}},
}
SPEC = {
    "list": [{"name": "a"}, {"name": "b", "image": "i"}, {"port": 80, "protocol": "TCP"}],
    "set": ["y", "x", 5],
    "granular": {"mine": 1, "theirs": 2},
}


@pytest.mark.parametrize(
    ("path", "owned"),
    [
        pytest.param(("spec", "atomic"), True, id="a field"),
        pytest.param(("spec", "atomic", 3, "deep"), True, id="what is below a leaf"),
        pytest.param(("spec", "granular", "mine"), True, id="a field of a mapping"),
        pytest.param(("spec", "granular", "theirs"), False, id="another field of that mapping"),
        pytest.param(("spec", "granular"), True, id="a mapping of which a part is owned"),
        pytest.param(("spec",), True, id="all of it"),
        pytest.param(("spec", "other"), False, id="a field that nobody names"),
        pytest.param(("spec", "list", 1, "image"), True, id="a field of the item with that name"),
        pytest.param(("spec", "list", 1, "command"), False, id="another field of that item"),
        pytest.param(("spec", "list", 0, "image"), False, id="an item that is not named"),
        pytest.param(("spec", "list", 2, "port"), True, id="an item with two keys"),
        pytest.param(("spec", "list", owners.ORDER), True, id="the order of a list is the list's"),
        pytest.param(("spec", "set", 1), True, id="a text of a set"),
        pytest.param(("spec", "set", 2), True, id="a number of a set"),
        pytest.param(("spec", "set", 0), False, id="another text"),
        pytest.param(("spec", "indexed", 1, "a"), True, id="an item by its index"),
        pytest.param(("spec", "indexed", 0, "a"), False, id="another index"),
        pytest.param(("metadata", "labels", "a.b/c"), True, id="a label"),
        pytest.param(("status", "phase"), False, id="another field of the object"),
        pytest.param((), False, id="no path"),
    ],
)
def test_a_manager_owns_what_its_tree_names(path, owned):
    assert managers(live(entry("argocd", STEPS), spec=SPEC), path) == (["argocd"] if owned else [])


def test_an_index_is_that_of_what_is_wanted():
    """The difference says `list[0]` of an item that stands elsewhere in the live object."""
    body = live(entry("argocd", STEPS), spec=SPEC)
    wanted = {"spec": {"list": [{"name": "b", "image": "new"}]}}
    assert managers(body, ("spec", "list", 0, "image"), wanted) == ["argocd"]


def test_an_item_that_only_the_live_object_has_is_found_by_its_own_name():
    body = live(entry("hook", STEPS), spec={"list": [{"name": "b"}]})
    assert managers(body, ("spec", "list", 0), {"spec": {"list": [{"name": "z"}]}}) == ["hook"]
    assert managers(body, ("spec", "list", 0), {"spec": {"list": [{"name": "z"}, {"name": "b"}]}}) == []


def test_the_newest_comes_first_and_says_how_it_writes():
    fields = {"f:spec": {"f:a": {}}}
    body = live(
        entry("old", fields, time=MORNING),
        entry("new", fields, time=NIGHT, operation="Apply", subresource="scale"),
        entry("timeless", fields, time=None),
        entry("syncd", fields, time=NOON, operation="Apply"),
    )
    found = owners.of(body, ("spec", "a"))
    assert [owner.manager for owner in found] == ["new", "syncd", "old", "timeless"]
    assert (found[0].declares, found[0].subresource, found[1].is_ours, found[2].declares) == (
        True,
        "scale",
        True,
        False,
    )


def test_without_managed_fields_nobody_owns_anything():
    assert owners.of({"metadata": {}}, ("spec",)) == ()
    assert not owners.is_managed({"metadata": {"managedFields": []}})
    assert owners.is_managed(live(entry("a", {})))


GARBAGE = st.recursive(
    JSON,
    lambda inner: st.dictionaries(
        st.sampled_from(["f:spec", "f:a", "k:{", 'k:{"name":"b"}', "k:[1]", "v:", "v:[[", "i:x", "i:0", ".", "f:"]),
        inner,
    ),
    max_leaves=10,
)


@given(
    st.dictionaries(st.sampled_from(["manager", "operation", "time", "fieldsV1", "subresource"]), GARBAGE) | GARBAGE,
    st.lists(st.sampled_from(["spec", "a", "metadata", 0, 1, owners.ORDER]), max_size=5),
    GARBAGE,
    GARBAGE,
)
def test_nothing_in_a_live_body_makes_it_raise(one, path, spec, wanted):
    """Law: an answer, whatever stands there."""
    for body in (
        {"metadata": {"managedFields": [one, one]}, "spec": spec},
        {"metadata": {"managedFields": one}, "spec": spec},
        {"metadata": one, "spec": spec},
    ):
        assert isinstance(owners.of(body, tuple(path), wanted if isinstance(wanted, dict) else None), tuple)
        assert isinstance(str(drift.of(body, {"spec": wanted}, [tuple(path)])), str)
        assert isinstance(drift.conflict(body, {"spec": wanted}, [tuple(path)]), str)


def test_a_deep_tree_and_a_deep_key_cost_no_recursion():
    deep: dict = {}
    for _ in range(5000):
        deep = {"f:x": deep}
    assert owners.of(live(entry("m", {"f:spec": deep})), ("spec", *["x"] * 60))
    hostile = {"f:spec": {"f:list": {"k:" + "[" * 100_000: {}, "k:" + json.dumps({"name": "b"}): {}}}}
    assert managers(live(entry("m", hostile), spec={"list": [{"name": "b"}]}), ("spec", "list", 0)) == ["m"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([MORNING, NOON, NIGHT])), min_size=1))
def test_of_several_hands_the_last_is_told(hands):
    """Law: no manager that wrote later owns one of the fields that drifted."""
    body = live(*(entry(name, {"f:spec": {f"f:{name}": {}}}, time=time) for name, time in hands))
    told = drift.of(body, {}, [("spec", name) for name in "abc"])
    assert told.since is not None
    assert told.since.strftime("%Y-%m-%dT%H:%M:%SZ") == max(time for _, time in hands)
