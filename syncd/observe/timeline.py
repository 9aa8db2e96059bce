"""What ran when, and what should have: lanes of runs and slots over a span of time.

In: Workflows as lists show them (whoever started them) and rows of the ledger. Out: a lane per origin: a cron, a template, or the
Workflows of their own. Pure, and made of what the store keeps, so it is the same after a restart and on every replica. Called by
`server.routes.timeline`; drawn by the command line.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from syncd.argo.manifest import Body
from syncd.argo.origin import origin_of, revision_of
from syncd.base.clock import parse_rfc3339, rfc3339
from syncd.cron.ledger import Row

SPANS: Final = 2000
"""Runs told of one lane, the newest; more than a screen has columns."""


@dataclass(frozen=True, slots=True)
class Span:
    """One run. phase: "" = not begun; start: when it began, or was made; end: None = it goes on."""

    name: str
    phase: str
    start: datetime
    end: datetime | None
    revision: str = ""

    def to_json(self) -> dict[str, Any]:
        """The shape of the API."""
        return {
            "name": self.name,
            "phase": self.phase,
            "start": rfc3339(self.start),
            "end": None if self.end is None else rfc3339(self.end),
            "seconds": None if self.end is None else (self.end - self.start).total_seconds(),
            "revision": self.revision,
        }


@dataclass(slots=True)
class Lane:
    """One origin. spans: in order of their start; slots: rows of the ledger in order, those that fired among them."""

    namespace: str
    origin: str
    spans: list[Span] = field(default_factory=list)
    slots: list[Row] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The shape of the API."""
        return {
            "namespace": self.namespace,
            "origin": self.origin,
            "runs": [span.to_json() for span in self.spans[-SPANS:]],
            "slots": [
                {
                    "slot": rfc3339(row.slot),
                    "until": rfc3339(row.until),
                    "count": row.count,
                    "outcome": str(row.outcome),
                    "reason": str(row.reason),
                    "run": row.run,
                    "message": row.message,
                }
                for row in self.slots[-SPANS:]
            ],
        }


def span_of(workflow: Body) -> Span | None:
    """The span of a run; None where the body tells no time at all."""
    metadata, status = workflow.get("metadata") or {}, workflow.get("status") or {}
    start = _moment(status.get("startedAt")) or _moment(metadata.get("creationTimestamp"))
    if start is None:
        return None
    phase, end = str(status.get("phase") or ""), _moment(status.get("finishedAt"))
    return Span(str(metadata.get("name") or ""), phase, start, end, revision_of(workflow))


def lanes(workflows: Iterable[Body], rows: Iterable[Row], since: datetime, until: datetime) -> list[Lane]:
    """What touches [since, until], in order of namespace and origin; Workflows of their own last.

    A run touches it that began before `until` and had not ended before `since`; a row of many slots likewise.
    """
    found: dict[tuple[str, str], Lane] = {}

    def lane(namespace: str, origin: str) -> Lane:
        return found.setdefault((namespace, origin), Lane(namespace, origin))

    for workflow in workflows:
        span = span_of(workflow)
        if span is not None and span.start <= until and (span.end is None or span.end >= since):
            lane(str(workflow["metadata"].get("namespace") or ""), origin_of(workflow)).spans.append(span)
    for row in rows:
        if row.slot <= until and row.until >= since:
            lane(row.cron.namespace, f"cron/{row.cron.name}").slots.append(row)
    for one in found.values():
        one.spans.sort(key=lambda span: (span.start, span.name))
        one.slots.sort(key=lambda row: row.slot)
    return sorted(found.values(), key=lambda one: (one.namespace, "/" not in one.origin, one.origin))


def _moment(text: Any) -> datetime | None:
    try:
        return parse_rfc3339(text) if isinstance(text, str) and text else None
    except ValueError:
        return None
