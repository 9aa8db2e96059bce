"""What an answer of the API server is among our errors, and what its message may not hold."""

from __future__ import annotations

from typing import Any

import pytest

from syncd.base import errors
from syncd.cluster.kube import answers


def status(reason: str = "", message: str = "words", **details: Any) -> dict[str, Any]:
    return {"kind": "Status", "reason": reason, "message": message, "details": details}


CONFLICT = {"reason": "FieldManagerConflict", "message": 'conflict with "argocd"', "field": ".spec.suspend"}


@pytest.mark.parametrize(
    ("code", "body", "named", "expected", "words"),
    [
        pytest.param(401, status(), True, errors.Unreachable, "credentials", id="credentials"),
        pytest.param(403, status("Forbidden"), True, errors.Refused, "words", id="forbidden"),
        pytest.param(404, status("NotFound", name="a"), True, errors.NotFound, "words", id="no such object"),
        pytest.param(404, "404 page not found", True, errors.Unsupported, "install Argo", id="no such API"),
        pytest.param(404, status("NotFound"), False, errors.Unsupported, "install Argo", id="no such kind"),
        pytest.param(
            404, status("NotFound", 'namespaces "x" not found', name="x"), False, errors.NotFound, '"x"', id="namespace"
        ),
        pytest.param(409, status("AlreadyExists"), True, errors.AlreadyExists, "words", id="taken"),
        pytest.param(409, status("Conflict"), True, errors.Conflict, "words", id="changed"),
        pytest.param(
            409, status("Conflict", causes=[CONFLICT]), True, answers.FieldConflict, '"argocd" at .spec', id="owned"
        ),
        pytest.param(410, status("Expired"), True, errors.Expired, "words", id="too old"),
        pytest.param(413, "too large", True, errors.Invalid, "smaller", id="too large for the server"),
        pytest.param(
            500, status(message="etcdserver: request is too large"), True, errors.Invalid, "smaller", id="etcd"
        ),
        pytest.param(422, status("Invalid"), True, errors.Invalid, "words", id="schema"),
        pytest.param(400, status("BadRequest"), True, errors.Invalid, "words", id="bad request"),
        pytest.param(
            400, status(message='webhook "x" denied the request: no'), True, errors.Refused, "no", id="webhook"
        ),
        pytest.param(
            422,
            status(message="ValidatingAdmissionPolicy 'x' denied request: no"),
            True,
            errors.Refused,
            "no",
            id="policy",
        ),
        pytest.param(429, status("TooManyRequests"), True, errors.Unreachable, "words", id="too many"),
        pytest.param(500, "", True, errors.Unreachable, "no message", id="internal"),
        pytest.param(
            500,
            status("InternalError", "failed to create typed patch object (ci/a): .spec: expected map"),
            True,
            errors.Invalid,
            "expected map",
            id="an apply of the wrong type",
        ),
        pytest.param(503, None, True, errors.Unreachable, "no message", id="unavailable"),
        pytest.param(301, "", True, errors.Refused, "HTTP 301", id="elsewhere"),
    ],
)
def test_errors(code: int, body: Any, named: bool, expected: type[Exception], words: str) -> None:
    error = answers.error_of(code, body, {}, what="get Workflow/ci/a", kind="Workflow", named=named)
    assert type(error) is expected
    assert words in str(error)
    assert code == 404 or "get Workflow/ci/a" in str(error)


@pytest.mark.parametrize(
    ("headers", "details", "expected"),
    [
        ({"Retry-After": "3"}, {}, 3.0),
        ({}, {"retryAfterSeconds": 2}, 2.0),
        ({"Retry-After": "soon"}, {}, None),
        ({}, {}, None),
    ],
)
def test_when_to_come_again(headers: dict[str, str], details: dict[str, Any], expected: float | None) -> None:
    error = answers.error_of(429, status(**details), headers, what="x")
    assert isinstance(error, errors.Unreachable)
    assert error.retry_after_seconds == expected


@pytest.mark.parametrize("code", [400, 401, 403, 404, 409, 410, 413, 422, 429, 500, 503])
def test_a_secret_is_not_quoted(code: int) -> None:
    cause = {"field": "data[password]", "message": "Invalid value: hunter2", "reason": "FieldValueInvalid"}
    body = status("Invalid", "Secret is invalid: hunter2", name="s", causes=[cause])
    for answer in (body, "hunter2"):
        said = str(answers.error_of(code, answer, {}, what="create Secret/ci/s", kind="Secret", named=True))
        assert "hunter2" not in said
    assert code != 422 or "data[password]" in str(answers.error_of(code, body, {}, what="x", kind="Secret"))


def test_a_message_is_one_short_line() -> None:
    error = answers.error_of(500, status(message="a\n b " * 1000), {}, what="x")
    assert len(str(error)) < 700
    assert "\n" not in str(error)
