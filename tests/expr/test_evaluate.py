"""Evaluation of expressions: what Argo's users write, the limits, and what must not depend on time or chance."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.base.errors import Invalid
from syncd.expr import evaluate, regex
from syncd.expr.environment import MISSING, Impurity, Variables, knows
from syncd.expr.evaluate import EvaluationProblem, SyntaxProblem

_WORDS = st.lists(
    st.sampled_from(
        [
            "a",
            "m.k",
            "m['l']",
            "1",
            "2.5",
            "'x'",
            '"y"',
            "true",
            "nil",
            "(",
            ")",
            "[",
            "]",
            "{",
            "}",
            ",",
            ".",
            "?.",
            "??",
            "?",
            ":",
            ";",
            "+",
            "-",
            "*",
            "/",
            "**",
            "==",
            "<",
            "&&",
            "||",
            "!",
            "not",
            "in",
            "|",
            "#",
            "..",
            "let",
            "=",
            "if",
            "else",
            "filter",
            "map",
            "len",
            "sprig.int",
            "toJSON",
            "matches",
            "`r`",
            "\\",
            "'",
            '"',
            "\x00",
            "é",
            "9e9",
            "0x",
            "#",
            "}",
            "{{",
            "//",
            "/*",
        ]
    ),
    max_size=25,
).map(" ".join)


@given(st.text(max_size=60) | _WORDS)
def test_any_text_parses_or_is_a_syntax_problem(source: str) -> None:
    """Law: reading raises nothing but SyntaxProblem, whose position lies in the text."""
    try:
        evaluate.compile(source)
    except SyntaxProblem as problem:
        assert 0 <= problem.position <= len(source)
        assert "\n" not in str(problem).replace(source, "")


@settings(max_examples=300)
@given(_WORDS)
def test_any_program_ends_in_a_value_or_a_problem(source: str) -> None:
    """Law: running raises nothing but Invalid, and ends."""
    env = Variables({"a": "x", "m.k": "v", "m.l": [1, "2", {"b": None}]})
    with contextlib.suppress(Invalid):
        evaluate.compile(source).run(env, steps=5_000)


@pytest.mark.parametrize(
    "source",
    [
        "map(1..2000, map(1..2000, # * 2))",
        "filter(1..99999, any(1..99999, # < 0))",
        "reduce(1..90000, #acc + string(#), '')",
        "repeat(repeat('abcdefgh', 1000), 100000)",
        "1..9223372036854775807",
        "sprig.until(1000000000)",
        "sprig.repeat(1000000000, 'x')",
        "sprig.indent(1000000, 'a\\na\\na\\na\\na\\na')",
        "replace(repeat('a', 100000), 'a', repeat('b', 100000))",
        "reduce(1..80, #acc + #acc, 'xxxxxxxx')",
        "reduce(1..80, [#acc, #acc], 1) | toJSON()",
        "repeat('a', 60000) matches '(a|aa)+$b'",
        "uniq(1..90000)",
        "map(1..90000, [1..90000])",
    ],
)
def test_the_step_limit_always_ends(source: str) -> None:
    with pytest.raises(EvaluationProblem):
        evaluate.evaluate(source, Variables({}))


@pytest.mark.parametrize(
    "source", ["(" * 5000, "[" * 5000, "!" * 5000 + "a", "-" * 5000 + "1", "a" + ".b" * 5000, "a ? " * 500]
)
def test_deep_nesting_is_a_syntax_problem(source: str) -> None:
    with pytest.raises(SyntaxProblem):
        evaluate.compile(source)


def test_a_thousand_dependencies_do_not_nest() -> None:
    source = " && ".join(f"(t{n}.Succeeded || t{n}.Skipped || t{n}.Daemoned)" for n in range(500))
    values = {
        f"t{n}.{state}": state == "Succeeded" for n in range(500) for state in ("Succeeded", "Skipped", "Daemoned")
    }
    assert evaluate.truth(source, Variables(values)) is True


def test_dotted_names_are_seen_as_nested_maps() -> None:
    env = Variables({"a": "hidden", "a.b": "1", "a.c-d.e": "2", "item": {"os": {"name": "x"}}})
    assert evaluate.evaluate("a", env) == {"b": "1", "c-d": {"e": "2"}}
    assert evaluate.evaluate("a['c-d'].e", env) == "2"
    assert evaluate.evaluate("item.os.name", env) == "x"
    assert evaluate.evaluate("a.nothing", env) is None
    assert evaluate.evaluate("'b' in a", env) is True
    assert evaluate.evaluate("keys(a)", env) == ["b", "c-d"]


def test_an_environment_falls_back_to_its_parent() -> None:
    env = Variables({"x.a": "own"}, Variables({"x.a": "parent", "x.b": "2", "y": "3"}))
    assert evaluate.evaluate("[x.a, x.b, y]", env) == ["own", "2", "3"]
    assert sorted(env.under("x")) == ["x.a", "x.b"]
    assert sorted(env.under("")) == ["x.a", "x.b", "y"]
    assert env.lookup("z") is MISSING


@given(st.dictionaries(st.sampled_from(["a", "a.b", "a.b.c", "a-b", "ab", "a.bc", "b"]), st.text(max_size=3)))
def test_under_gives_exactly_the_names_below(values: dict[str, str]) -> None:
    """Law: `under(p)` is p itself and what begins with p and a dot."""
    env = Variables(values)
    for prefix in ("a", "a.b", "b", "z"):
        assert sorted(env.under(prefix)) == sorted(n for n in values if n == prefix or n.startswith(prefix + "."))


def test_a_missing_name_is_named() -> None:
    with pytest.raises(EvaluationProblem, match=r"^foo is missing$"):
        evaluate.evaluate("true || foo.bar == 1", Variables({}))


def test_what_is_compared_to_another_type_is_a_fault_where_argo_knows_the_types() -> None:
    assert evaluate.evaluate("lastRetry.exitCode == 1", Variables({"lastRetry.exitCode": "1"})) is False
    with pytest.raises(EvaluationProblem, match="mismatched types string and int"):
        evaluate.evaluate("retries == 1", Variables({"retries": "1"}))


def test_truth_wants_a_boolean() -> None:
    with pytest.raises(EvaluationProblem, match=r"^unable to cast expression result 'x' to bool$"):
        evaluate.truth("'x'", Variables({}))


@pytest.mark.parametrize(
    ("source", "paths", "unknown"),
    [
        ("tasks.a.outputs.result == 'x'", {"tasks.a.outputs.result"}, set()),
        ("item?.os ?? workflow.name", {"item.os", "workflow.name"}, set()),
        ("steps['a-b'].status", {"steps.a-b.status"}, set()),
        ("let x = a.b; x.c + d", {"a.b", "d"}, set()),
        ("map(list, .name + #.x)", {"list"}, set()),
        ("asInt(retries) + nofunc(1)", {"retries"}, {"nofunc"}),
        ("sprig.nothing(a) + sprig.trim(b)", {"a", "b"}, {"sprig.nothing"}),
        ("a[b].c", {"a", "b"}, set()),
        ("now().Unix() + start.Unix()", {"start"}, set()),
    ],
)
def test_names_of_an_expression(source: str, paths: set[str], unknown: set[str]) -> None:
    program = evaluate.compile(source)
    assert program.paths == paths
    assert program.unknown == unknown


def test_time_and_chance_come_from_outside() -> None:
    for source in ("now()", "sprig.now()", "sprig.uuidv4()", "sprig.randAlphaNum(5)", "sprig.date('2006', nil)"):
        with pytest.raises(EvaluationProblem, match=r"ha(s|ve) no value here"):
            evaluate.evaluate(source, Variables({}))
    impurity = Impurity(datetime(2026, 1, 2, tzinfo=UTC), b"seed")
    source = "[now().Year(), sprig.uuidv4(), sprig.randAlphaNum(8), sprig.shuffle('abcdef'), sprig.randInt(1, 100)]"
    first = evaluate.evaluate(source, Variables({}), impurity=impurity)
    assert first == evaluate.evaluate(source, Variables({}), impurity=impurity)
    assert first[0] == 2026
    other = evaluate.evaluate(source, Variables({}), impurity=Impurity(impurity.now, b"other"))
    assert other[1] != first[1]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ('$.employees[?(@.name=="Baris")].age', [43.0]),
        ("$.employees[?(@.age>42 && @.age<44)].age", [43.0]),
        ("$.employees[0:1]", [{"name": "Baris", "age": 43.0}]),
        ("$.employees[*].name", ["Baris", "Mo", "Jai"]),
        ("$.employees[-1].name", "Jai"),
        ("$['employees'][0]['name']", "Baris"),
        ("$..age", [43.0, 42.0, 44.0]),
        ("$.employees[0,2].age", [43.0, 44.0]),
        ("$.employees[(@.length-1)].age", 44.0),
        ("$.employees.length", 3.0),
    ],
)
def test_jsonpath(path: str, expected: Any) -> None:
    data = '{"employees": [{"name":"Baris","age":43},{"name":"Mo","age":42},{"name":"Jai","age":44}]}'
    assert evaluate.evaluate("jsonpath(data, path)", Variables({"data": data, "path": path})) == expected


@pytest.mark.parametrize(
    "path", ["", "$.x", "$[", "$[?(", "employees", "$.employees[9]", "$[?(@.a ==)]", "$" + ".a" * 5000]
)
def test_a_jsonpath_that_leads_nowhere_is_a_problem(path: str) -> None:
    with pytest.raises(EvaluationProblem):
        evaluate.evaluate("jsonpath(data, path)", Variables({"data": '{"employees": []}', "path": path}))


@settings(max_examples=200)
@given(st.text(alphabet="ab|()*+?[]^$.\\{},1-:iPQdwE<>=!", max_size=14), st.text(alphabet="ab1\n", max_size=12))
def test_any_pattern_ends_in_an_answer_or_a_problem(pattern: str, text: str) -> None:
    """Law: no pattern takes for ever, and both engines agree on where the first match is."""
    budget = [200_000]

    def spend(steps: int) -> None:
        budget[0] -= steps
        assert budget[0] > 0

    try:
        compiled = regex.compile(pattern)
    except EvaluationProblem:
        return
    found = compiled.find(text, 0, spend)
    slow = regex.Pattern(pattern)
    slow.use_threads_only()
    assert slow.find(text, 0, spend) == found


def test_names_through_json_values_are_known() -> None:
    env = Variables({"item": {"a": {"b": None}}, "x.y": "1"})
    assert [knows(env, name) for name in ("item.a.b", "item.a.c", "x", "x.y", "x.z", "y")] == [
        True,
        False,
        True,
        True,
        False,
        False,
    ]
