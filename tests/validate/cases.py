"""How the tables of cases in this folder are judged: `line:column code words` for each problem, in the order of the file."""

from __future__ import annotations

from syncd.argo.manifest import Manifest
from syncd.base.problems import Problem
from syncd.validate.profile import DEFAULT, Profile
from tests.validate.reading import problems_of


def check(
    text: str, expected: list[str], profile: Profile = DEFAULT, beside: tuple[Manifest, ...] = ()
) -> list[Problem]:
    """Every problem is expected, and every expected one is there; its words are those that the message begins with."""
    problems = problems_of(text, profile, beside)
    actual = [f"{p.place.line}:{p.place.column} {p.code} {p.message}" for p in problems]
    assert len(expected) == len(actual), "\n".join(actual)
    for wanted, told in zip(expected, actual, strict=True):
        assert told.startswith(wanted), "\n".join(actual)
    assert all(p.place.file == "flow.yaml" and p.remedy for p in problems), "every problem says where, and what to do"
    return problems
