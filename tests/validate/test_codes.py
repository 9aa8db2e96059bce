"""The table of codes: complete, used, explained."""

from __future__ import annotations

import re
from types import ModuleType

import pytest

from syncd.base.problems import Severity
from syncd.validate import describe
from syncd.validate.catalog import Catalog
from syncd.validate.codes import CODES
from syncd.validate.lint import lint
from syncd.validate.profile import Profile
from tests.validate import (
    test_arguments,
    test_calls,
    test_crons,
    test_names,
    test_references,
    test_structure,
    test_templates,
    test_variables,
)
from tests.validate.reading import problems_of, read

TABLES: tuple[ModuleType, ...] = (
    test_arguments,
    test_calls,
    test_crons,
    test_names,
    test_references,
    test_structure,
    test_templates,
    test_variables,
)

NESTED = "{name: main, steps: [[{name: s, inline: " * 18 + "{suspend: {}}" + "}]]}" * 18

ELSEWHERE = {
    "V207": f"apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {{name: a}}\nspec: {{entrypoint: main, templates: [{NESTED}]}}\n",
    "V400": "apiVersion: argoproj.io/v1alpha1\nkind: CronWorkflow\nmetadata: {name: a}\nspec:\n  schedules: []\n  workflowSpec: {}\n",
}
"""Codes whose cases are too large or too small for a table."""


def test_every_code_is_raised_by_a_case() -> None:
    """A rule that no case breaks is a rule that nobody has seen work."""
    seen: set[str] = set()
    for table in TABLES:
        for text, _ in table.CASES.values():
            manifests = read(text)
            seen |= {problem.code for problem in lint(manifests, Catalog([*manifests, *test_references.BASE]))}
    for text in ELSEWHERE.values():
        seen |= {problem.code for problem in problems_of(text)}
    assert sorted(set(CODES) - seen) == []


@pytest.mark.parametrize("code", CODES)
def test_every_code_is_explained(code: str) -> None:
    """Each row says what is wrong, what to do and shows an example; words are lower case where they end up in a message."""
    rule = CODES[code]
    assert re.fullmatch(r"V[2-9]\d\d", code)
    assert rule.title and rule.meaning.endswith((".", "…")) and rule.example
    assert rule.remedy and not rule.remedy.endswith(".")


def test_the_page_has_every_code() -> None:
    """docs/rules.md is made from the table, those of other rooms included."""
    page = describe.markdown({"V101": ("syntax", "the file is no YAML", "correct it")})
    assert all(f"| {code} |" in page for code in (*CODES, "V101"))


def test_judging_as_argo_softens_what_argo_lets_through() -> None:
    """The same problems are found; those that Argo's validator does not know are warnings."""
    text = test_structure.CASES["values of the wrong type"][0]
    strict = problems_of(text)
    lenient = problems_of(text, Profile(as_argo=True))
    assert [problem.code for problem in strict] == [problem.code for problem in lenient]
    for problem in lenient:
        rule = CODES[problem.code]
        assert problem.severity is (Severity.ERROR if rule.argo else Severity.WARNING)
