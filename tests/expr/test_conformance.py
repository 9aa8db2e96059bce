"""Argo's own tables of cases for tags, expressions and `when` come out as in Argo."""

from __future__ import annotations

from typing import Any

import pytest

from syncd.base.errors import Invalid
from syncd.expr import evaluate, tags, when
from syncd.expr.environment import Variables
from tests.support import conformance


def _rows(table: str) -> dict[str, dict[str, Any]]:
    return {case["id"]: case for case in conformance.load(f"tables/{table}.json")["cases"]}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per row; where the corpus is missing, one that is skipped with its reason."""
    table = metafunc.function.__name__.removeprefix("test_").partition("__")[0]
    try:
        ids = list(_rows(table))
    except pytest.skip.Exception:
        ids = ["corpus"]
    metafunc.parametrize("row", ids)


def test_template__tags_are_replaced_as_argo_replaces_them(row: str) -> None:
    case = _rows("template")[row]
    allow = case["allow_unresolved"] is not False
    strict = tuple(case.get("strict", ()))
    env = Variables(case["env"])
    if "expected" not in case:
        with pytest.raises(tags.Unresolved) as caught:
            tags.substitute(case["template"], env, allow_unresolved=allow, strict=strict)
        if "error" in case:
            assert str(caught.value) == case["error"]
        assert case.get("error_contains", "") in str(caught.value)
        if "terminal" in case:
            assert caught.value.terminal is case["terminal"]
        return
    value = case["template"]
    for expected in case.get("passes", [case["expected"]]):
        value = tags.substitute(value, env, allow_unresolved=allow, strict=strict)
        assert value == expected


def test_expr__names_and_truth_are_as_in_argo(row: str) -> None:
    case = _rows("expr")[row]
    env = Variables(case.get("env", {}))
    program = evaluate.compile(case["expression"])
    match case["kind"]:
        case "identifiers":
            assert list(program.required) == case["required"]
        case "late_binding_missing":
            assert bool(tags.LATE & set(program.missing(env))) is case["missing"]
        case "missing_vars":
            assert program.missing(env) == case["missing"]
        case "eval_bool" if case.get("error"):
            with pytest.raises(Invalid):
                evaluate.truth(case["expression"], env)
        case "eval_bool":
            assert evaluate.truth(case["expression"], env) is case["result"]
        case kind:
            raise AssertionError(f"the table has a kind of case that this test does not know: {kind}")


def test_when__conditions_come_out_as_in_argo(row: str) -> None:
    case = _rows("when")[row]
    assert when.evaluate(case["expression"]) is case["result"]
    assert when.check(case["expression"]) is None


def test_depends__expanded_expressions_can_be_evaluated(row: str) -> None:
    case = _rows("depends")[row]
    if "expanded" not in case:
        return
    source = case["expanded"].replace("-", "_")
    program = evaluate.compile(source)
    assert program.identifiers == {name.replace("-", "_") for name in case["dependencies_found"]}
    states = ["Succeeded", "Failed", "Errored", "Skipped", "Omitted", "Daemoned", "AnySucceeded", "AllFailed"]
    for succeeded in (True, False):
        values = {f"{root}.{state}": succeeded for root in program.identifiers for state in states}
        assert program.run(Variables(values)) in (True, False)
