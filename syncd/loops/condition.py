"""How a source is, as the API and `syncd status` show it: one value, replaced as a whole, JSON at its edge.

Made by `loops.sync` after every step; read by `server` at any time, hence frozen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from syncd.base.clock import rfc3339
from syncd.base.problems import Problem, Severity
from syncd.loops.apply import Outcome
from syncd.loops.findings import Findings
from syncd.loops.intake import Intake
from syncd.loops.inventory import Records
from syncd.observe.events import SourceSynced
from syncd.plan.plan import Verb


@dataclass(frozen=True, slots=True)
class Condition:
    """One source at one moment.

    result: starting | applied | unchanged | held | failed | suspended; reason: one word, "" where all is well;
    message: for people; since: when result and reason became so; seen: the revision that the remote stands at;
    applied: the one in force; held: reason and revision while it is held; contact_at: when the remote last answered;
    refused: objects that are not written, conflicts: those of them of which another manager declares a field; waiting: what is
    being deleted, and why it is there still. Moments are aware; None = not yet.
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
    conflicts: int = 0
    objects: dict[str, int] = field(default_factory=dict)
    by_hand: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    held: dict[str, str] | None = None
    last: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The shape of the API: camelCase, RFC 3339 or null for moments; keys never vanish."""
        value = asdict(self)
        errors, warnings = value.pop("errors"), value.pop("warnings")
        value["problems"] = {"error": errors, "warning": warnings}
        value["by_hand"], value["waiting"] = list(self.by_hand), list(self.waiting)
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
    drifted: int = 0
    seconds: float = 0.0

    def counts(self) -> dict[str, Any]:
        """What `Condition.last` tells of it."""
        return {name: getattr(self, name) for name in _COUNTED}


_COUNTED: Final = (
    "result",
    "revision",
    "created",
    "updated",
    "deleted",
    "unchanged",
    "offered",
    "started",
    "drifted",
    "seconds",
)


def reported(outcome: Outcome, records: Records, revision: str, drifted: int) -> SyncReport:
    """What an apply did, counted. drifted: objects that were put right."""
    counts = {verb: outcome.count(verb) for verb in Verb}
    created, updated, deleted = counts[Verb.CREATE], counts[Verb.UPDATE], counts[Verb.DELETE]
    told = created + updated + deleted + counts[Verb.OFFER] + counts[Verb.RUN] + counts[Verb.WITHDRAW]
    return SyncReport(
        "applied" if told else "unchanged",
        revision=revision,
        applied_revision=records.revision,
        created=created,
        updated=updated,
        deleted=deleted,
        unchanged=max(0, len(records.owned) - created - updated),
        offered=counts[Verb.OFFER] + counts[Verb.RUN],
        started=counts[Verb.RUN],
        drifted=drifted,
    )


def stated(
    old: Condition,
    said: tuple[str, str, str],
    now: datetime,
    *,
    taken: Intake,
    records: Records,
    problems: Sequence[Problem],
    findings: Findings,
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
        refused=len(findings.refused),
        conflicts=findings.conflicts,
        objects=dict(sorted(Counter(key.kind for key in records.owned).items())),
        by_hand=tuple(sorted(findings.hands.values())),
        waiting=tuple(sorted(findings.waiting.values())),
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
        conflicts=condition.conflicts,
        drifted=report.drifted,
    )


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
