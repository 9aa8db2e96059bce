"""Argo's `fields=` filter."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.base.errors import Invalid
from syncd.server import fields

WORKFLOW: dict[str, Any] = {
    "metadata": {"name": "a", "uid": "1"},
    "spec": {"entrypoint": "main"},
    "status": {"phase": "Succeeded", "nodes": {"a": {"displayName": "a"}}},
}

CASES = [
    ("", WORKFLOW),
    ("metadata.name", {"metadata": {"name": "a"}}),
    ("status.phase,metadata.name", {"status": {"phase": "Succeeded"}, "metadata": {"name": "a"}}),
    ("metadata,metadata.name", {"metadata": WORKFLOW["metadata"]}),
    ("metadata.name,metadata", {"metadata": WORKFLOW["metadata"]}),
    ("metadata.na", {"metadata": {}}),
    ("nothing", {}),
    ("-status", {"metadata": WORKFLOW["metadata"], "spec": WORKFLOW["spec"]}),
    ("-status.nodes,metadata.uid,spec", {"metadata": {"name": "a"}, "status": {"phase": "Succeeded"}}),
    ("-nothing", WORKFLOW),
    (",", WORKFLOW),
    ("metadata.name.first", {"metadata": {"name": "a"}}),
]


@pytest.mark.parametrize(("text", "left"), CASES, ids=[c[0] or "none" for c in CASES])
def test_fields(text: str, left: dict[str, Any]) -> None:
    assert fields.parse(text).clean(WORKFLOW) == left


def test_lists_are_transparent() -> None:
    listed = {"metadata": {"continue": "x"}, "items": [WORKFLOW, WORKFLOW]}
    assert fields.parse("items.metadata.name").clean(listed) == {"items": [{"metadata": {"name": "a"}}] * 2}
    assert fields.parse("-items.status,items.spec,metadata").clean(listed) == {
        "items": [{"metadata": WORKFLOW["metadata"]}] * 2
    }


def test_a_prefix_is_cut() -> None:
    assert fields.parse("result.object.metadata.name,result.type", prefix="result.object.").clean(WORKFLOW) == {
        "metadata": {"name": "a"}
    }


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", True),
        ("status", True),
        ("status.nodes.a", True),
        ("status.phase", False),
        ("-status", False),
        ("-status.nodes", False),
        ("-status.phase", True),
        ("-spec", True),
    ],
)
def test_whether_nodes_are_worth_reading(text: str, wanted: bool) -> None:
    assert fields.parse(text).wants("status", "nodes") is wanted


def test_a_very_long_filter_is_refused() -> None:
    with pytest.raises(Invalid, match="longer than"):
        fields.parse("a." * 5000)


words = st.text(st.sampled_from("ab"), min_size=1, max_size=2)
values = st.recursive(
    st.integers(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3), max_leaves=12
)
bodies = st.dictionaries(words, values, max_size=3)
paths = st.lists(st.lists(words, min_size=1, max_size=3).map(".".join), min_size=1, max_size=4).map(",".join)


def leaves(value: Any, at: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], int]]:
    if isinstance(value, dict):
        return [leaf for word, inner in value.items() for leaf in leaves(inner, (*at, word))]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in leaves(inner, at)]
    return [(at, value)]


@given(bodies, paths)
def test_keeping_and_dropping_the_same_paths_part_the_leaves_between_them(body: dict[str, Any], text: str) -> None:
    """Law: what `-x` drops are the leaves at or below a path of x; both filters leave their input alone; cleaning twice
    is cleaning once."""
    before = repr(body)
    asked = [tuple(path.split(".")) for path in text.split(",")]
    dropped = fields.parse("-" + text)
    left = leaves(dropped.clean(body))
    assert left == [(at, v) for at, v in leaves(body) if not any(at[: len(path)] == path for path in asked)]
    for chosen in (dropped, fields.parse(text)):
        assert chosen.clean(chosen.clean(body)) == chosen.clean(body)
    below = [(at, v) for at, v in leaves(body) if any(at[: len(path)] == path for path in asked)]
    assert all(leaf in leaves(fields.parse(text).clean(body)) for leaf in below)
    assert repr(body) == before
