"""How a source is, as the API and `syncd status` show it: one value, replaced as a whole, JSON at its edge.

Made by `loops.sync` after every step; read by `server` at any time, hence frozen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from syncd.base.clock import rfc3339
from syncd.base.problems import Problem, Severity
from syncd.loops.intake import Intake
from syncd.loops.inventory import Records
from syncd.observe.events import SourceSynced


@dataclass(frozen=True, slots=True)
class Condition:
    """One source at one moment.

    result: starting | applied | unchanged | held | failed | suspended; reason: one word, "" where all is well;
    message: for people; since: when result and reason became so; seen: the revision that the remote stands at;
    applied: the one in force; held: reason and revision while it is held; contact_at: when the remote last answered.
    Moments are aware; None = not yet.
    """

    name: str
    url: str
    result: str = "starting"
    reason: str = ""
    message: str = ""
    since: datetime | None = None
    ref: str = ""
    seen: str = ""
    applied: str = ""
    applied_at: str = ""
    contact_at: datetime | None = None
    synced_at: datetime | None = None
    next_poll: datetime | None = None
    author: str = ""
    subject: str = ""
    uncommitted: int = 0
    errors: int = 0
    warnings: int = 0
    ignored: int = 0
    files: int = 0
    offered: int = 0
    refused: int = 0
    objects: dict[str, int] = field(default_factory=dict)
    by_hand: tuple[str, ...] = ()
    held: dict[str, str] | None = None
    last: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The shape of the API: camelCase, RFC 3339 or null for moments; keys never vanish."""
        value = asdict(self)
        errors, warnings = value.pop("errors"), value.pop("warnings")
        value["problems"] = {"error": errors, "warning": warnings}
        value["by_hand"] = list(self.by_hand)
        return {_camel(name): rfc3339(item) if isinstance(item, datetime) else item for name, item in value.items()}


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What one step of the loop did. moved: the source stands at another revision than before; the rest as `SourceSynced`'s."""

    result: str
    reason: str = ""
    message: str = ""
    revision: str = ""
    applied_revision: str = ""
    moved: bool = False
    created: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    offered: int = 0
    started: int = 0
    seconds: float = 0.0


def stated(
    old: Condition,
    said: tuple[str, str, str],
    now: datetime,
    *,
    taken: Intake,
    records: Records,
    problems: Sequence[Problem],
    refused: int,
    by_hand: Sequence[str],
) -> Condition:
    """The condition after `old`. said: result, reason, message; `since` moves only with result and reason."""
    result, reason, message = said
    moved = old.since is None or (old.result, old.reason) != (result, reason)
    errors = sum(problem.severity is Severity.ERROR for problem in problems)
    fetched = taken.fetched
    return replace(
        old,
        result=result,
        reason=reason,
        message=message,
        since=now if moved else old.since,
        applied=records.revision,
        applied_at=records.applied_at,
        author="" if fetched is None else fetched.author,
        subject="" if fetched is None else fetched.subject,
        uncommitted=0 if fetched is None else fetched.uncommitted,
        files=0 if fetched is None else len(fetched.files),
        errors=errors,
        warnings=len(problems) - errors,
        ignored=len(taken.ignored),
        offered=sum(bool(one.digest) for one in records.remembered.values()),
        refused=refused,
        objects=dict(sorted(Counter(key.kind for key in records.owned).items())),
        by_hand=tuple(by_hand),
        held={"reason": reason, "message": message, "revision": taken.revision} if result == "held" else None,
    )


def synced(condition: Condition, report: SyncReport, at: datetime) -> SourceSynced:
    """The event that tells of a step."""
    return SourceSynced(
        condition.name,
        at,
        report.seconds,
        report.result,
        report.revision,
        report.applied_revision,
        report.reason,
        created=report.created,
        updated=report.updated,
        deleted=report.deleted,
        unchanged=report.unchanged,
        ignored=condition.ignored,
        errors=condition.errors,
        warnings=condition.warnings,
        objects=tuple(condition.objects.items()),
        offered=condition.offered,
    )


def first_line(error: BaseException) -> str:
    """The message without what follows its first line; the name of the class where there is none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:500]


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
