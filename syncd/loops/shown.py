"""A source's condition as Kubernetes shows it, and back: the `spec` and `status` of a Source object (syncd.io/v1alpha1).

In: a condition as the API tells it (`condition.Condition.to_json`) and its problems. Out: the status with Kubernetes conditions, and
from such a status the condition again, for the replicas and commands that do not sync themselves. Pure; used by `loops.show` and
`app`. The conditions follow those of Flux, whose users know them: Ready, Held, Reachable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from syncd.argo.manifest import Body
from syncd.base.errors import Conflict
from syncd.base.problems import Place, Problem, Severity
from syncd.plan import guard

FINDINGS: Final = 50
"""Problems that a status tells, the errors first: an object of the cluster is small."""
_MESSAGE: Final = 1000
SYNC_REQUESTED: Final = "syncd.io/sync"  # annotation by a person: any new text asks for a sync
APPROVED: Final = "syncd.io/approve"  # annotation by a person: the held revision that may happen

_READY: Final = ("applied", "unchanged")


def spec_of(condition: Mapping[str, Any], interval: str, folder: str) -> Body:
    """What the configuration says of a source, for people: nothing reads it back."""
    said = {"url": condition.get("url"), "ref": condition.get("ref"), "folder": folder, "interval": interval}
    return {name: value for name, value in said.items() if value}


def status_of(
    condition: Mapping[str, Any], problems: Sequence[Problem], before: Mapping[str, Any] | None, now: str, handled: str
) -> Body:
    """The status. before: as it was shown last, for the times of conditions; now: RFC 3339; handled: the request for a sync that
    this one answers, "" = none."""
    held = condition.get("held")
    shown = sorted(problems, key=lambda problem: problem.severity is not Severity.ERROR)[:FINDINGS]
    status: Body = {
        "observedRevision": condition.get("seen") or None,
        "appliedRevision": condition.get("applied") or None,
        "lastContactTime": condition.get("contactAt"),
        "lastAppliedTime": condition.get("appliedAt") or None,
        "lastHandledSync": handled or None,
        "result": condition.get("result"),
        "reason": condition.get("reason") or None,
        "message": str(condition.get("message") or "")[:_MESSAGE] or None,
        "author": condition.get("author") or None,
        "subject": str(condition.get("subject") or "")[:200] or None,
        "files": condition.get("files") or 0,
        "objects": dict(condition.get("objects") or {}) or None,  # {} applied over some is null, which the CRD refuses
        "offered": condition.get("offered") or 0,
        "problems": dict(condition.get("problems") or {}),
        "conflicts": condition.get("conflicts") or 0,
        "byHand": list(condition.get("byHand") or [])[:FINDINGS],
        "held": {**held, "message": str(held.get("message") or "")[:_MESSAGE]} if isinstance(held, Mapping) else None,
        "findings": [_finding(problem) for problem in shown],
        "conditions": _conditions(condition, before, now),
    }
    return {name: value for name, value in status.items() if value is not None}


def condition_of(name: str, body: Body) -> dict[str, Any]:
    """The condition that a Source object shows, in the shape of the API. Never raises: what is missing is empty."""
    spec, status = _mapping(body.get("spec")), _mapping(body.get("status"))
    problems = _mapping(status.get("problems"))
    return {
        "name": name,
        "url": str(spec.get("url") or ""),
        "ref": str(spec.get("ref") or ""),
        "result": str(status.get("result") or "starting"),
        "reason": str(status.get("reason") or ""),
        "message": str(status.get("message") or ""),
        "since": next(
            (c.get("lastTransitionTime") for c in _list(status.get("conditions")) if c.get("type") == "Ready"), None
        ),
        "seen": str(status.get("observedRevision") or ""),
        "applied": str(status.get("appliedRevision") or ""),
        "appliedAt": str(status.get("lastAppliedTime") or ""),
        "contactAt": status.get("lastContactTime"),
        "author": str(status.get("author") or ""),
        "subject": str(status.get("subject") or ""),
        "files": _count(status.get("files")),
        "objects": _mapping(status.get("objects")),
        "offered": _count(status.get("offered")),
        "problems": {"error": _count(problems.get("error")), "warning": _count(problems.get("warning"))},
        "conflicts": _count(status.get("conflicts")),
        "byHand": [str(text) for text in status.get("byHand") or [] if isinstance(text, str)],
        "held": _mapping(status.get("held")) or None,
    }


def problems_of(body: Body) -> list[Problem]:
    """The problems that a Source object tells."""
    found = []
    for item in _list(_mapping(body.get("status")).get("findings")):
        severity = Severity.WARNING if item.get("severity") == str(Severity.WARNING) else Severity.ERROR
        place = Place(str(item.get("file") or ""), _count(item.get("line")), _count(item.get("column")))
        found.append(
            Problem(
                place,
                str(item.get("code") or ""),
                str(item.get("message") or ""),
                severity=severity,
                object=str(item.get("object") or ""),
                remedy=str(item.get("remedy") or ""),
            )
        )
    return found


def handled_of(body: Mapping[str, Any]) -> str:
    """The request for a sync that the status answers."""
    return str(_mapping(body.get("status")).get("lastHandledSync") or "")


def check_approval(condition: Mapping[str, Any], revision: str) -> None:
    """Raises Conflict unless a source is held by the guard at this revision: `sync.SyncLoop.approve` says the same."""
    name, held = condition.get("name"), condition.get("held")
    if not held:
        raise Conflict(f"source {name} is not held; there is nothing to approve")
    if held.get("reason") != "guard":
        raise Conflict(f"source {name} is held by {held.get('reason')}, which cannot be approved; see its problems")
    if not guard.approves(revision, str(held.get("revision") or "")):
        raise Conflict(f"source {name} is held at {held.get('revision')}, not at {revision}; read its plan again")


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two statuses tell the same, but for when the remote last answered."""
    return {**one, "lastContactTime": None} == {**other, "lastContactTime": None}


def _conditions(condition: Mapping[str, Any], before: Mapping[str, Any] | None, now: str) -> list[Body]:
    result, reason = str(condition.get("result") or ""), str(condition.get("reason") or "")
    message = str(condition.get("message") or "")[:_MESSAGE]
    applied = str(condition.get("applied") or "")
    held = condition.get("held")
    unreachable = result == "failed" and reason == "Unreachable" and not condition.get("contactAt")
    known = "Unknown" if result == "starting" else None
    wanted = [
        (
            "Ready",
            known or ("True" if result in _READY else "False"),
            reason or result,
            message or f"{applied} is in force",
        ),
        (
            "Held",
            "True" if held else "False",
            (str(held.get("reason") or "") if isinstance(held, Mapping) else "") or "NotHeld",
            message if held else "nothing holds a newer revision back",
        ),
        (
            "Reachable",
            known or ("False" if unreachable else "True"),
            "Unreachable" if unreachable else "Answered",
            message if unreachable else "the remote answered",
        ),
    ]
    old = {item.get("type"): item for item in _list((before or {}).get("conditions"))}
    made = []
    for kind, status, why, said in wanted:
        previous = old.get(kind) or {}
        since = previous.get("lastTransitionTime") if previous.get("status") == status else None
        made.append(
            {
                "type": kind,
                "status": status,
                "reason": _camel(why),
                "message": said,
                "lastTransitionTime": since or now,
            }
        )
    return made


def _camel(words: str) -> str:
    """A reason as Kubernetes wants it: one CamelCase word.

    >>> _camel("not-written"), _camel("applied")
    ('NotWritten', 'Applied')
    """
    return "".join(part[:1].upper() + part[1:] for part in words.replace("_", "-").split("-")) or "Unknown"


def _finding(problem: Problem) -> Body:
    told = problem.to_json()
    said: Body = {
        "severity": str(problem.severity),
        "code": problem.code,
        "file": problem.place.file,
        "line": problem.place.line,
        "column": problem.place.column,
        "object": problem.object,
        "message": str(told.get("message") or "")[:_MESSAGE],
        "remedy": problem.remedy[:_MESSAGE],
    }
    return {name: value for name, value in said.items() if value not in ("", 0)}


def _mapping(value: Any) -> Body:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Body]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0
