"""Every error of the tree has one answer, and an unknown one shows nothing but an id."""

from __future__ import annotations

import logging

import pytest

from syncd.base import errors
from syncd.base.problems import Place, Problem
from syncd.server import faults
from tests.server.house import House

ANSWERS = [
    (errors.ConfigError("c"), 400, 3),
    (errors.Invalid("i"), 400, 3),
    (errors.Unsupported("u"), 501, 12),
    (errors.NotFound("n"), 404, 5),
    (errors.AlreadyExists("a"), 409, 6),
    (errors.Conflict("c"), 409, 10),
    (errors.Expired("e"), 410, 11),
    (errors.Refused("r"), 403, 7),
    (errors.Unreachable("u"), 503, 14),
]


@pytest.mark.parametrize(("error", "status", "code"), ANSWERS, ids=lambda v: type(v).__name__)
def test_each_error_has_its_status_and_code(error: errors.SyncdError, status: int, code: int) -> None:
    answered, body, _ = faults.answer(error)
    assert (answered, body["code"], body["message"], body["reason"]) == (status, code, str(error), type(error).__name__)


def test_no_error_of_the_tree_was_forgotten() -> None:
    assert {kind for kind, _, _ in faults.OF_ERRORS} == set(errors.SyncdError.__subclasses__())


def test_problems_travel_with_invalid() -> None:
    problem = Problem(Place("a.yaml", 3, 7), "V101", "entrypoint is required")
    _, body, _ = faults.answer(errors.Invalid("1 problem", [problem]))
    assert body["problems"] == [problem.to_json()]


def test_unreachable_says_when_to_come_again() -> None:
    assert faults.answer(errors.Unreachable("busy", 2.1))[2] == {"Retry-After": "3"}


@pytest.mark.parametrize("error", [ValueError("password=hunter2"), errors.Defect("x"), errors.SyncdError("y")])
def test_what_nobody_foresaw_shows_an_id_that_the_log_has(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        status, body, _ = faults.answer(error)
    (record,) = caplog.records
    assert (status, body["code"], body["reason"]) == (500, 13, "Defect")
    assert isinstance(record.args, tuple) and str(record.args[0]) in body["message"]
    assert record.exc_info and record.exc_info[1] is error
    assert "hunter2" not in str(body)


async def test_a_defect_in_a_route_is_answered_in_json(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.sources.known = None  # type: ignore[assignment]
    status, body = await house.call("GET", "/api/syncd/v1/sources")
    assert status == 500
    assert "Traceback" not in str(body) and "NoneType" not in str(body)
    assert "NoneType" in caplog.text


@pytest.mark.parametrize(
    "sent", ["{", "[1]", "1", '"x"', "null", "\x00", "NaN", '{"a":1}}', "[" * 5000, '{"a":' * 300 + "1" + "}" * 300]
)
async def test_a_body_that_is_no_object_is_the_callers_fault(house: House, sent: str) -> None:
    assert house.client is not None
    headers = {"Authorization": f"Bearer {house.doors.credentials[0].token}"}
    async with house.client.post(
        house.url + "/api/v1/workflows/default", data=sent.encode(), headers=headers
    ) as answer:
        assert answer.status == 400
        assert (await answer.json())["code"] == 3
