"""From an error to an answer: the only place that knows status codes.

Comes in: whatever a handler raised. Goes out: `{"code": <gRPC code>, "message", "reason"}` and, for Invalid, `problems`;
Argo's clients read code and message, syncd's own read reason and problems. `application` wraps every route in it.
An error that nobody foresaw becomes 500 with an id that the log has too; its text stays in the log.
"""

from __future__ import annotations

import logging
import math
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from aiohttp import web

from syncd.base import errors
from syncd.server import wire

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_log = logging.getLogger("syncd.server")

OF_ERRORS: Final[tuple[tuple[type[errors.SyncdError], int, int], ...]] = (
    # error, HTTP status, gRPC code
    (errors.ConfigError, 400, 3),  # InvalidArgument
    (errors.Invalid, 400, 3),
    (errors.Unsupported, 501, 12),  # Unimplemented
    (errors.NotFound, 404, 5),
    (errors.AlreadyExists, 409, 6),
    (errors.Conflict, 409, 10),  # Aborted
    (errors.Expired, 410, 11),  # OutOfRange
    (errors.Refused, 403, 7),  # PermissionDenied
    (errors.Unreachable, 503, 14),  # Unavailable
    (errors.Defect, 500, 13),  # Internal
)

_OF_STATUS: Final[dict[int, int]] = {400: 3, 401: 16, 403: 7, 404: 5, 405: 12, 408: 4, 413: 8, 415: 3, 429: 8}
"""HTTP status → gRPC code, for what the web layer itself says no to."""


class Fault(Exception):
    """A no that only HTTP knows: who are you, too much, too often. headers: to send along."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})


def answer(error: BaseException) -> tuple[int, dict[str, Any], dict[str, str]]:
    """(status, body, headers) for an error. Never raises; unknown errors are logged here and show only an id."""
    if isinstance(error, Fault):
        return error.status, _body(_OF_STATUS.get(error.status, 2), str(error), "Fault"), error.headers
    if isinstance(error, web.HTTPException):
        return error.status, _body(_OF_STATUS.get(error.status, 2), _plain(error), "Fault"), _allow(error)
    for kind, status, code in OF_ERRORS:
        if isinstance(error, kind) and kind is not errors.Defect:
            body = _body(code, str(error), kind.__name__)
            headers: dict[str, str] = {}
            if isinstance(error, errors.Invalid):
                body["problems"] = [problem.to_json() for problem in error.problems]
            if isinstance(error, errors.Unreachable) and error.retry_after_seconds is not None:
                headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_seconds)))
            return status, body, headers
    mark = secrets.token_hex(4)
    _log.error("request failed, id %s", mark, exc_info=error)
    return 500, _body(13, f"internal error {mark}; the daemon's log has the details under this id", "Defect"), {}


@web.middleware
async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every error of `handler`. Set up by `application`."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise  # a redirect is no fault
        status, body, headers = answer(error)
    except ConnectionResetError:
        raise  # the client has gone: nobody to answer
    except Exception as error:  # noqa: BLE001 - the one place where every error becomes an answer
        status, body, headers = answer(error)
    return wire.answer(body, status=status, headers=headers)


def _body(code: int, message: str, reason: str) -> dict[str, Any]:
    return {"code": code, "message": message, "error": message, "reason": reason}


def _plain(error: web.HTTPException) -> str:
    if error.status == 404:
        return "no such route; GET /api/syncd/v1/status says what runs here"
    if isinstance(error, web.HTTPMethodNotAllowed):
        return f"method {error.method} is not allowed here; allowed: {', '.join(sorted(error.allowed_methods))}"
    if error.status == 413:
        return f"request body is larger than {wire.BODY_CAP_BYTES} bytes"
    return error.reason.lower() if error.reason else "request refused"


def _allow(error: web.HTTPException) -> dict[str, str]:
    if isinstance(error, web.HTTPMethodNotAllowed):
        return {"Allow": ", ".join(sorted(error.allowed_methods))}
    return {}
