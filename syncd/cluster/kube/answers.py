"""What the API server's answers mean: a status and a `Status` object in, an error of `base.errors` out. Pure.

Sorted by what the caller does next, as the tree is. The server's words are kept, shortened; of a Secret only which field was
wrong is told, since a message may quote what was in it (CVE-2025-23216). Called by `door`.
Source: Kubernetes 1.34 staging/src/k8s.io/apimachinery/pkg/api/errors/errors.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from syncd.base.errors import (
    AlreadyExists,
    Conflict,
    Expired,
    Invalid,
    NotFound,
    Refused,
    SyncdError,
    Unreachable,
    Unsupported,
)
from syncd.cluster.kube import kinds

_LONGEST: Final = 600
_MISTYPED: Final = ("failed to create typed patch object", "illegal base64 data")
"""In a 500, though it is the body of an apply that is wrong."""
_TOO_LARGE: Final = (
    "message larger than max",
    "request is too large",
    "limit is ",
    "Request entity too large",
    "too long: must have at most",
)


class FieldConflict(Conflict):
    """Another manager declares a field that was to be written. To read again does not help."""


def error_of(
    status: int, body: Any, headers: Mapping[str, str], *, what: str, kind: str = "", named: bool = False
) -> SyncdError:
    """The error that an answer of 300 or more stands for.

    body: the decoded `Status`, or text; what: `create Workflow/ci/a`, for the message; kind: asked for, "" = none;
    named: a certain object was asked for, and not a list.
    """
    said = body if isinstance(body, dict) else {}
    reason = str(said.get("reason") or "")
    raw = str(said.get("message") or (body if isinstance(body, str) else ""))
    message = _message(said, raw, kind)
    details = said.get("details") if isinstance(said.get("details"), dict) else {}
    text = f"{what}: {message}"
    match status:
        case 401:
            return Unreachable(f"{what}: the API server does not take the credentials (401); are they expired?")
        case 404:
            if not (details or {}).get("name") and "namespaces" not in raw:
                resource = kinds.RESOURCES.get(kind)
                mend = f"; {resource.mend}" if resource is not None and resource.mend else ""
                where = f"{resource.api_version} {kind}" if resource is not None else what
                if not named or not reason or "could not find the requested resource" in raw:
                    return Unsupported(f"the cluster does not serve {where}{mend}")
            return NotFound(text)
        case 409 if reason == "AlreadyExists":
            return AlreadyExists(text)
        case 409:
            causes = [c for c in (details or {}).get("causes") or [] if isinstance(c, dict)]
            if any(cause.get("reason") == "FieldManagerConflict" for cause in causes):
                return FieldConflict(f"{what}: {_conflicts(causes)}")
            return Conflict(text)
        case 410:
            return Expired(text)
        case 429 | 503 | 504:
            return Unreachable(text, _retry_after(headers, details))
        case 403:
            return Refused(text)
        case 413:
            return Invalid(f"{what}: the object is larger than the API server takes; make it smaller, or split it")
        case _ if any(words in raw for words in _TOO_LARGE) and status >= 400:
            return Invalid(
                f"{what}: the object is larger than the API server keeps (some 1.5 MiB): {message}; make it smaller, or split it"
            )
        case 400 | 405 | 406 | 415 | 422:
            refused = "denied the request" in raw or "denied request" in raw
            return (Refused if refused else Invalid)(text)
        case 500 if any(words in raw for words in _MISTYPED):
            return Invalid(text)
        case _ if status >= 500:
            return Unreachable(text, _retry_after(headers, details))
        case _:
            return Refused(f"{text} (HTTP {status})")


def _message(said: Mapping[str, Any], raw: str, kind: str) -> str:
    if kind == "Secret":
        details = said.get("details")
        causes = (details.get("causes") or []) if isinstance(details, dict) else []
        fields = ", ".join(str(c.get("field")) for c in causes if isinstance(c, dict) and c.get("field"))
        return f"{said.get('reason') or 'refused'}{f' ({fields})' if fields else ''}"
    message = " ".join(raw.split()) or "no message"
    return message if len(message) <= _LONGEST else message[: _LONGEST - 1] + "…"


def _conflicts(causes: list[Any]) -> str:
    """`conflict with "argocd" at .spec.suspend`: the server names manager, and field as a path."""
    told = [f"{cause.get('message')} at {cause.get('field')}" for cause in causes[:5]]
    more = f" and {len(causes) - 5} more" if len(causes) > 5 else ""
    return "; ".join(told) + more


def _retry_after(headers: Mapping[str, str], details: Any) -> float | None:
    text = headers.get("Retry-After", "") or str((details or {}).get("retryAfterSeconds") or "")
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if 0 <= seconds < 86_400 else None
