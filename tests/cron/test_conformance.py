"""Argo's own answers: every public case of the corpus."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from syncd.base.clock import parse_rfc3339, rfc3339
from syncd.base.errors import Invalid
from syncd.cron import schedule
from tests.support import conformance

CASES: list[dict[str, Any]] = conformance.load("cron/next_fire.json")["cases"]


def fires(text: str, timezone: str, after: datetime, count: int) -> list[str]:
    line = schedule.parse(text, timezone)
    found: list[str] = []
    moment = line.next(after)
    while moment is not None and len(found) < count:
        found.append(rfc3339(moment))
        moment = line.next(moment)
    return found


@pytest.mark.parametrize(
    "case", [c for c in CASES if c["verdict"] == "valid" and not c.get("robfig_hangs")], ids=lambda c: c["id"]
)
def test_fires_when_argo_fires(case: dict[str, Any]) -> None:
    expected = case["expected_next"]
    assert fires(case["expr"], case["timezone"], parse_rfc3339(case["after"]), len(expected) or 5) == expected


@pytest.mark.parametrize("case", [c for c in CASES if c["verdict"] == "invalid"], ids=lambda c: c["id"])
def test_refuses_in_argos_words(case: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refused:
        schedule.parse(case["expr"], case["timezone"])
    assert str(refused.value) == case["error"]


@pytest.mark.parametrize("case", [c for c in CASES if c.get("robfig_hangs")], ids=lambda c: c["id"])
def test_ends_where_robfig_turns_for_ever(case: dict[str, Any]) -> None:
    found = fires(case["expr"], case["timezone"], parse_rfc3339(case["after"]), 5)
    assert len(found) == 5
    assert found == sorted(set(found))
