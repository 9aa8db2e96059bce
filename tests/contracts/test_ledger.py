"""The ledger: one row per slot, closed rows stay closed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

from syncd.argo.manifest import Key
from syncd.cluster.api import Store
from syncd.cron.ledger import Outcome, Reason, Row

NIGHTLY = Key("CronWorkflow", "ci", "nightly")
HOURLY = Key("CronWorkflow", "ci", "hourly")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def row(hours: int = 0, outcome: Outcome = Outcome.FIRED, cron: Key = NIGHTLY, uid: str = "u1") -> Row:
    slot = NOON + timedelta(hours=hours)
    return Row(cron, uid, slot, outcome, Reason.ON_TIME, slot, slot, schedule="0 * * * *", run=f"{cron.name}-{hours}")


async def test_rows_are_answered_as_recorded_newest_first(store: Store) -> None:
    long = replace(
        row(2, Outcome.MISSED),
        until=NOON + timedelta(days=3),
        count=70,
        reason=Reason.DOWN,
        message="nobody was there",
        revision="main@sha1:00",
        decided_at=NOON + timedelta(days=3, microseconds=17),
    )
    await store.record([row(0), long, row(1)])
    assert await store.rows(NIGHTLY) == [long, row(1), row(0)]
    assert await store.rows(NIGHTLY, limit=1) == [long]
    assert await store.rows(NIGHTLY, limit=0) == []
    assert await store.rows(NIGHTLY, since=NOON + timedelta(hours=1)) == [long, row(1)]
    assert await store.rows(HOURLY) == []


async def test_an_empty_ledger(store: Store) -> None:
    await store.record([])
    assert (await store.rows(NIGHTLY), dict(await store.latest()), await store.pending()) == ([], {}, [])
    assert await store.prune(NOON, 0) == 0


async def test_any_zone_names_the_same_slot(store: Store) -> None:
    elsewhere = row().slot.astimezone(timezone(timedelta(hours=5)))
    await store.record([row(outcome=Outcome.PENDING)])
    await store.record([replace(row(), slot=elsewhere)])
    assert await store.rows(NIGHTLY) == [row()]
    assert await store.rows(NIGHTLY, since=elsewhere) == [row()]


async def test_a_closed_row_is_never_pending_again(store: Store) -> None:
    await store.record([row(outcome=Outcome.PENDING)])
    await store.record([row(outcome=Outcome.FIRED)])
    await store.record([row(outcome=Outcome.PENDING)])
    assert await store.rows(NIGHTLY) == [row(outcome=Outcome.FIRED)]
    await store.record([row(outcome=Outcome.FAILED)])
    assert await store.rows(NIGHTLY) == [row(outcome=Outcome.FAILED)]


async def test_pending_rows_oldest_first(store: Store) -> None:
    await store.record([row(3, Outcome.PENDING), row(1, Outcome.PENDING, HOURLY, "u2"), row(2)])
    assert await store.pending() == [row(1, Outcome.PENDING, HOURLY, "u2"), row(3, Outcome.PENDING)]


async def test_latest_has_one_row_per_uid(store: Store) -> None:
    """A cron that was deleted and made anew has another uid, and a ledger of its own."""
    rows = [row(0), row(5), row(3), row(1, uid="u0"), row(9, cron=HOURLY, uid="u2"), row(8, cron=HOURLY, uid="u2")]
    await store.record(rows)
    expected = {"u1": row(5), "u0": row(1, uid="u0"), "u2": row(9, cron=HOURLY, uid="u2")}
    assert dict(await store.latest()) == expected
    assert [one.cron_uid for one in await store.rows(NIGHTLY)] == ["u1", "u1", "u0", "u1"]


async def test_recent_rows_are_of_all_crons_newest_first(store: Store) -> None:
    elsewhere = Key("CronWorkflow", "other", "weekly")
    long = replace(row(0, Outcome.MISSED), until=NOON + timedelta(hours=9), count=10)
    await store.record(
        [long, row(1, cron=HOURLY, uid="u2"), row(4, cron=elsewhere, uid="u3"), row(3, cron=HOURLY, uid="u2")]
    )
    since = NOON + timedelta(hours=2)
    assert [(r.cron.name, r.slot.hour) for r in await store.recent(since)] == [
        ("weekly", 16),
        ("hourly", 15),
        ("nightly", 12),
    ]
    assert [r.cron.name for r in await store.recent(since, namespace="ci")] == ["hourly", "nightly"]
    assert [r.cron.name for r in await store.recent(since, limit=1)] == ["weekly"]
    assert await store.recent(NOON + timedelta(days=9)) == []


async def test_prune_keeps_the_newest_the_young_and_the_pending(store: Store) -> None:
    rows = [row(hour) for hour in range(6)] + [row(-1, Outcome.PENDING), row(0, cron=HOURLY, uid="u2")]
    await store.record(rows)
    assert await store.prune(NOON + timedelta(hours=4), 1) == 4  # 0 to 3 of the nightly; the hourly keeps its only one
    assert [one.slot.hour for one in await store.rows(NIGHTLY)] == [17, 16, 11]
    assert await store.rows(HOURLY) == [row(0, cron=HOURLY, uid="u2")]
    assert await store.prune(NOON + timedelta(hours=9), 3) == 0
    assert await store.prune(NOON + timedelta(hours=9), 0) == 3
    assert await store.rows(NIGHTLY) == [row(-1, Outcome.PENDING)]


async def test_prune_looks_at_the_end_of_a_long_row(store: Store) -> None:
    await store.record([replace(row(0), until=NOON + timedelta(hours=8), count=9)])
    assert await store.prune(NOON + timedelta(hours=8), 0) == 0
    assert await store.prune(NOON + timedelta(hours=9), 0) == 1
