"""What is others' to write keeps the value it has, whatever else is written."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.plan import sparing
from syncd.plan.owners import value_at

NAMES = st.sampled_from(["a", "b", "c"])
TREES = st.recursive(
    st.integers(0, 3) | st.none(),
    lambda inner: (
        st.dictionaries(NAMES, inner, max_size=3)
        | st.lists(inner, max_size=3)
        | st.lists(st.fixed_dictionaries({"name": NAMES, "v": inner}), max_size=3, unique_by=lambda item: item["name"])
    ),
    max_leaves=8,
)
BODIES = st.dictionaries(NAMES, TREES, max_size=3)
PATHS = st.tuples(NAMES, *[NAMES | st.integers(0, 2)] * 2) | st.tuples(NAMES, NAMES) | st.tuples(NAMES)


@pytest.mark.parametrize(
    ("wanted", "live", "path", "expected"),
    [
        pytest.param({"a": 1}, {"a": 2}, ("a",), {"a": 2}, id="the live value"),
        pytest.param({"a": 1}, {}, ("a",), {}, id="left out where live has none"),
        pytest.param({}, {"a": 2}, ("a",), {"a": 2}, id="one that only live has"),
        pytest.param({}, {"a": {"b": 1, "c": 2}}, ("a", "b"), {"a": {"b": 1}}, id="with what holds it"),
        pytest.param({"a": {"b": 1}}, {}, ("a", "b"), {}, id="without what held it alone"),
        pytest.param({"a": {"b": 1, "c": 2}}, {}, ("a", "b"), {"a": {"c": 2}}, id="what stands beside it stays"),
        pytest.param({"a": 5}, {"a": {"b": 1}}, ("a", "b"), {"a": 5}, id="where git wants no mapping, git is right"),
        pytest.param(
            {"t": [{"name": "new"}, {"name": "old", "n": 1}]},
            {"t": [{"name": "old", "n": 2}]},
            ("t", 1, "n"),
            {"t": [{"name": "new"}, {"name": "old", "n": 2}]},
            id="an item is found by its name",
        ),
        pytest.param(
            {"t": [{"name": "new", "n": 1}]},
            {"t": [{"name": "old", "n": 2}]},
            ("t", 0, "n"),
            {"t": [{"name": "new", "n": 1}]},
            id="a new item is git's",
        ),
        pytest.param({"t": [1, 2]}, {"t": [7, 8]}, ("t", 1), {"t": [1, 8]}, id="without names by the index"),
        pytest.param({"t": [1]}, {"t": [7, 8]}, ("t", 1), {"t": [1]}, id="an index that git has not"),
        pytest.param({"a": 1}, {"a": 2}, (), {"a": 1}, id="no path"),
    ],
)
def test_spared(wanted, live, path, expected):
    assert sparing.spared({"spec": wanted}, {"spec": live}, [("spec", *path)] if path else [()]) in (
        {"spec": expected},
        *([{}] if not expected else []),
    )


@given(BODIES, BODIES, st.lists(PATHS, max_size=3))
def test_sparing_twice_is_sparing_once(wanted, live, paths):
    """Law: idempotent; and neither body is changed."""
    before = copy.deepcopy((wanted, live))
    once = sparing.spared(wanted, live, paths)
    assert sparing.spared(once, live, paths) == once
    assert (wanted, live) == before


@given(BODIES, PATHS)
def test_what_is_as_it_is_stays_the_very_same(body, path):
    """Law: sparing against itself is nothing."""
    assert sparing.spared(body, copy.deepcopy(body), [path]) == body


@given(BODIES, BODIES, st.tuples(NAMES, NAMES))
def test_the_place_has_the_live_value_wherever_git_leaves_room_for_it(wanted, live, path):
    """Law: after sparing, the place says what it says live, unless git has something there that holds no fields."""
    spared = sparing.spared(wanted, live, [path])
    if wanted.get(path[0]) is None or isinstance(wanted[path[0]], dict):
        assert value_at(spared, path) == value_at(live, path)
    others = {name: value for name, value in wanted.items() if name != path[0]}
    assert {name: value for name, value in spared.items() if name != path[0]} == others
