"""Tags are found and replaced; what is not there is left, or said to be missing."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.base.errors import Invalid
from syncd.expr import tags
from syncd.expr.environment import MISSING, Variables

_plain = st.text(max_size=20).filter(lambda text: "{{" not in text)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _plain,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_plain, inner, max_size=4),
    max_leaves=20,
)
_anything = st.recursive(
    st.none()
    | st.integers()
    | st.lists(st.sampled_from(["{{", "}}", "a", "=", " ", "x.y", "'", '"', "1 +", "é", "\\"])).map("".join),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["k", "{{a}}", "{{x.y}}z"]), inner, max_size=4)
    ),
    max_leaves=12,
)


class _Unasked:
    """An environment that must not be asked."""

    def lookup(self, name: str) -> object:
        raise AssertionError(name)

    def under(self, prefix: str) -> list[str]:
        raise AssertionError(prefix)


@given(_json)
def test_without_tags_substitution_is_identity(value: Any) -> None:
    """Law: a value without tags comes back as the very same object, and the environment is not asked."""
    compiled = tags.compile(value)
    assert compiled.is_constant
    assert compiled.names == frozenset()
    assert compiled.render(_Unasked(), allow_unresolved=False) is value


@given(_anything)
def test_lenient_substitution_of_unknown_names_changes_nothing(value: Any) -> None:
    """Law: with nothing known and everything allowed, only expressions without variables change anything."""
    if any(isinstance(t, str) and t.startswith("=") for t in _raw_tags(value)):
        return
    assert tags.substitute(value, Variables({}), allow_unresolved=True) is value


@given(_anything)
def test_substitution_raises_nothing_but_invalid(value: Any) -> None:
    """Law: whatever the text, the answer is a JSON value or Invalid; the input is not changed."""
    before = json.dumps(value)
    try:
        result = tags.substitute(value, Variables({"a": "1", "x.y": "2"}), allow_unresolved=False)
    except Invalid:
        return
    finally:
        assert json.dumps(value) == before
    json.dumps(result)


@given(st.text(max_size=30), st.text(max_size=10))
def test_replaced_text_is_not_looked_at_again(value: str, tail: str) -> None:
    """Law: a value comes out as it is, even where it looks like a tag, together with what surrounds it."""
    tail = tail.replace("{", "").replace("}", "")
    env = Variables({"a": "{{b}}" + value, "b": "never"})
    assert tags.substitute("{{a}}" + tail, env, allow_unresolved=False) == "{{b}}" + value + tail


@given(st.text())
def test_an_expression_gives_a_string_back_unchanged(value: str) -> None:
    """Law: no character of a value is lost or escaped on its way through an expression."""
    assert tags.substitute("<{{=a}}>", Variables({"a": value}), allow_unresolved=False) == f"<{value}>"


@given(st.lists(st.sampled_from(["{{", "}}", "{", "a", " ", "=", "b.c"]), max_size=12).map("".join))
def test_found_tags_stand_where_they_say(text: str) -> None:
    """Law: every tag found begins with braces, ends with braces, and holds its text; they do not overlap."""
    end = 0
    for tag in tags.find(text):
        assert end <= tag.start < tag.end <= len(text)
        assert text[tag.start : tag.start + 2] == "{{"
        assert text[tag.end - 2 : tag.end] == "}}"
        inner = text[tag.start + 2 : tag.end - 2]
        assert tag.text == (inner.removeprefix("=") if tag.is_expression else inner).strip()
        end = tag.end


def _raw_tags(value: Any) -> list[str]:
    if isinstance(value, str):
        return [piece.partition("}}")[0] for piece in value.split("{{")[1:]]
    if isinstance(value, dict):
        return [t for k, v in value.items() for t in _raw_tags(k) + _raw_tags(v)]
    return [t for item in value for t in _raw_tags(item)] if isinstance(value, list) else []


def test_only_what_changes_is_made_anew() -> None:
    value = {"a": {"keep": [1, 2]}, "b": ["x", "{{v}}"], "{{v}}-key": "c"}
    result = tags.substitute(value, Variables({"v": "1"}), allow_unresolved=False)
    assert result == {"a": {"keep": [1, 2]}, "b": ["x", "1"], "1-key": "c"}
    assert result["a"] is value["a"]


def test_a_compiled_value_is_rendered_many_times() -> None:
    compiled = tags.compile({"args": ["{{item}}", "{{=asInt(item) + 1}}", "{{workflow.name}}"]})
    assert compiled.names == {"item", "workflow.name"}
    for n in range(3):
        env = Variables({"item": str(n)}, Variables({"workflow.name": "w"}))
        assert compiled.render(env, allow_unresolved=False) == {"args": [str(n), str(n + 1), "w"]}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", "text"),
        (5, "5"),
        (1.5, "1.5"),
        (True, "true"),
        ([1, "<"], '[1,"<"]'),
        ({"b": 1, "a": 2}, '{"a":2,"b":1}'),
    ],
)
def test_a_simple_tag_shows_any_value(value: object, expected: str) -> None:
    assert tags.substitute("{{v}}", Variables({"v": value}), allow_unresolved=False) == expected


def test_a_moment_is_shown_as_kubernetes_writes_it() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert tags.substitute("{{t}}", Variables({"t": moment}), allow_unresolved=False) == "2026-01-02T03:04:05Z"
    assert tags.substitute("{{=t.Year()}}", Variables({"t": moment}), allow_unresolved=False) == "2026"


@pytest.mark.parametrize(
    ("text", "message", "terminal"),
    [
        ("{{x}}", "failed to resolve {{x}}", False),
        ("{{ x }}", "failed to resolve {{ x }}", False),
        ("{{=x.y}}", "failed to evaluate expression: x is missing", False),
        ("{{=1 +}}", "failed to evaluate expression: unexpected token EOF (1:3)", True),
        ("{{=none}}", 'failed to evaluate expression "none"', True),
        (
            "{{none}}",
            "unable to substitute {{none}}: output is an absent optional (skipped/omitted node with no default)",
            True,
        ),
    ],
)
def test_what_has_no_value_is_said_in_argos_words(text: str, message: str, terminal: bool) -> None:
    with pytest.raises(tags.Unresolved) as caught:
        tags.substitute(text, Variables({"none": None}), allow_unresolved=False)
    assert str(caught.value) == message
    assert caught.value.terminal is terminal


@pytest.mark.parametrize(
    ("text", "left"),
    [("{{tasks.a.x}}", False), ("{{tasks}}", False), ("{{tasksA.x}}", True), ("{{tasks.a.outputs.artifacts.b}}", True)],
)
def test_strict_prefixes_are_whole_steps_and_spare_artifacts(text: str, left: bool) -> None:
    def run() -> Any:
        return tags.substitute(text, Variables({}), allow_unresolved=True, strict=("tasks",))

    if left:
        assert run() == text
    else:
        with pytest.raises(tags.Unresolved):
            run()


@pytest.mark.parametrize("name", sorted(tags.LATE))
def test_late_variables_are_waited_for(name: str) -> None:
    text = f"{{{{={name} == 'x' ? 'a' : 'b'}}}}"
    assert tags.substitute(text, Variables({}), allow_unresolved=True) == text
    assert tags.substitute(text, Variables({name: "x"}), allow_unresolved=True) == "a"


def test_references_are_all_names_of_a_value() -> None:
    value = {"{{k}}": ["{{a.b}}", {"x": "{{=c.d + e['f-g']}} {{outer.{{inner}}}}"}], "y": "{{=broken(}}"}
    assert set(tags.references(value)) == {"k", "a.b", "c.d", "e.f-g", "inner"}


def test_a_text_cannot_grow_without_end() -> None:
    env = Variables({"a": "x" * 1_000_000})
    with pytest.raises(tags.Unresolved) as caught:
        tags.substitute("{{a}}" * 50, env, allow_unresolved=True)
    assert caught.value.terminal


def test_a_value_cannot_be_nested_without_end() -> None:
    value: Any = "{{a}}"
    for _ in range(5_000):
        value = [value]
    with pytest.raises(Invalid):
        tags.substitute(value, Variables({"a": "1"}), allow_unresolved=True)


def test_missing_is_not_a_value() -> None:
    assert Variables({"a": None}).lookup("a") is None
    assert Variables({}).lookup("a") is MISSING
