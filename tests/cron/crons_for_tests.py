"""Crons, schedules and moments to test with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from syncd.argo import crons, labels
from syncd.argo.crons import CronWorkflow
from syncd.argo.manifest import Key
from syncd.cron.ledger import Outcome, Reason, Row

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
CREATED = datetime(2026, 3, 10, 10, 0, tzinfo=UTC)
UID = "11111111-0000-4000-8000-000000000001"


def cron(*schedules: str, created_at: datetime = CREATED, name: str = "nightly", **spec: Any) -> CronWorkflow:
    """A CronWorkflow as the store would hand it out. spec: more of its spec; annotations, labels, status: so named."""
    metadata = {
        "name": name,
        "namespace": "ci",
        "uid": UID,
        "creationTimestamp": created_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "annotations": spec.pop("annotations", {}),
        "labels": spec.pop("labels", {}),
    }
    status = spec.pop("status", {})
    kind = spec.pop("kind", labels.CRON_WORKFLOW)
    return crons.parse(
        {
            "apiVersion": labels.ARGO_API,
            "kind": kind,
            "metadata": metadata,
            "spec": {
                "schedules": list(schedules or ("0 * * * *",)),
                "workflowSpec": {"entrypoint": "main", "templates": [{"name": "main", "suspend": {}}]},
                **spec,
            },
            "status": status,
        }
    )


def row(slot: datetime, outcome: Outcome = Outcome.FIRED, reason: Reason = Reason.ON_TIME, **more: Any) -> Row:
    """A row of `cron()`."""
    fields: dict[str, Any] = {"decided_at": slot, "until": slot, "run": f"nightly-{int(slot.timestamp())}", **more}
    return Row(Key(labels.CRON_WORKFLOW, "ci", "nightly"), UID, slot, outcome, reason, **fields)


def at(clock: str, day: int = 10) -> datetime:
    """`at("12:00:03")` on the day of NOON."""
    hour, minute, *second = (int(part) for part in clock.split(":"))
    return datetime(2026, 3, day, hour, minute, *second, tzinfo=UTC)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    pair = st.tuples(number, number).map(sorted)
    one = st.one_of(
        st.just("*"),
        number.map(str),
        pair.map(lambda p: f"{p[0]}-{p[1]}"),
        st.integers(1, high).map(lambda s: f"*/{s}"),
        st.tuples(pair, st.integers(1, 9)).map(lambda p: f"{p[0][0]}-{p[0][1]}/{p[1]}"),
    )
    return st.one_of(st.just("*"), st.lists(one, min_size=1, max_size=3).map(",".join))


texts = st.tuples(field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 6)).map(" ".join)
moments = st.integers(0, 4_000_000_000).map(lambda s: datetime.fromtimestamp(s, UTC))
