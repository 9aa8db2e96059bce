"""Argo's own tests of CronWorkflows, as tables of the corpus."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from syncd.argo import labels
from syncd.base.clock import parse_rfc3339
from syncd.base.errors import Invalid
from syncd.cron import conditions, due, timetable
from syncd.cron.due import History
from tests.cron.crons_for_tests import cron
from tests.support import conformance

CASES: list[dict[str, Any]] = conformance.load("tables/cron.json")["cases"]
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 3, 10, 10, 15, 30, tzinfo=UTC)


def of_kind(kind: str) -> Any:
    return pytest.mark.parametrize("case", [c for c in CASES if c["kind"] == kind], ids=lambda c: c["id"])


@of_kind("when")
def test_when(case: dict[str, Any]) -> None:
    text = case["last_scheduled"]
    last = None if text is None else NOW - timedelta(minutes=30) if text == "now-30m" else parse_rfc3339(text)
    assert conditions.may_fire(cron(when=case["when"]), last, NOW) is case["result"]


@of_kind("missed_run")
def test_missed_run(case: dict[str, Any]) -> None:
    spec: dict[str, Any] = {"timezone": case["timezone"], "startingDeadlineSeconds": case["starting_deadline_seconds"]}
    plain = cron(*case["schedules"], created_at=LONG_AGO, **spec)
    used = "0 * * * *" if case["schedule_just_changed"] else plain.schedule_text
    asked = cron(
        *case["schedules"],
        created_at=LONG_AGO,
        annotations={labels.LAST_USED_SCHEDULE: used},
        status={"lastScheduledTime": case["last_scheduled"]},
        **spec,
    )
    fires = [fire.slot for fire in due.due(asked, parse_rfc3339(case["now"]), History()).fires]
    assert fires == ([] if case["missed_run"] is None else [parse_rfc3339(case["missed_run"])])


@of_kind("validate")
def test_validate(case: dict[str, Any]) -> None:
    asked = cron("@daily", timezone=case["timezone"])
    asked = type(asked)(key=asked.key, schedules=tuple(case["schedules"]), timezone=case["timezone"])
    if case["valid"]:
        assert timetable.of(asked)
        return
    with pytest.raises(Invalid) as refused:
        timetable.of(asked)
    for part in case["error_contains"]:
        assert part in str(refused.value)
