"""The daemon is killed at every call of the store, before and after it worked: no slot is lost and none fires twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from syncd.argo import labels
from syncd.argo.manifest import Key
from syncd.cluster.api import Verb, Write, Written
from syncd.cluster.memory import MemoryStore
from syncd.cron.ledger import Outcome, Row
from syncd.loops.fire import FireLoop
from tests.support.clocks import CountingRandom, ManualClock

NAMES = ("a", "b", "c")
MINUTES = 3


class Killed(BaseException):
    """kill -9: nobody catches it."""


class DeadlyStore(MemoryStore):
    """Kills at the call with number `at`; after: the call has worked when that happens."""

    def __init__(self, clock: ManualClock, at: int, after: bool) -> None:
        super().__init__(clock, CountingRandom())
        self.calls, self.at, self.after = 0, at, after
        self.armed = False
        self.created: Counter[str] = Counter()

    def _count(self, after: bool) -> None:
        if not self.armed:
            return
        self.calls += not after
        if self.calls == self.at and after is self.after:
            self.armed = False
            raise Killed

    async def record(self, rows: Sequence[Row]) -> None:
        self._count(False)
        await super().record(rows)
        self._count(True)

    async def write(self, writes: Sequence[Write], *, atomic: bool = False) -> Sequence[Written]:
        self._count(False)
        written = await super().write(writes, atomic=atomic)
        for write, answer in zip(writes, written, strict=True):
            if write.verb is Verb.CREATE and write.key.kind == labels.WORKFLOW and answer.error is None:
                self.created[write.key.name] += 1
        self._count(True)
        return written


async def life(at: int, after: bool) -> tuple[DeadlyStore, int]:
    """Three crons for three minutes; killed once, started again two seconds later. Answers how often it was killed."""
    clock = ManualClock(datetime(2026, 3, 10, 10, 0, 30, tzinfo=UTC))
    store = DeadlyStore(clock, at, after)
    for name in NAMES:
        spec: dict[str, Any] = {"schedules": ["* * * * *"], "workflowSpec": {}, "successfulJobsHistoryLimit": 1}
        body = {"apiVersion": labels.ARGO_API, "kind": labels.CRON_WORKFLOW, "metadata": {"name": name}, "spec": spec}
        await store.write([Write(Verb.CREATE, Key(labels.CRON_WORKFLOW, "ci", name), body)])
    store.armed = True
    killed, loop = 0, None
    for _ in range(MINUTES * 60 // 2):
        clock.advance(2)
        try:
            if loop is None:
                loop = FireLoop(store, clock, CountingRandom(), lambda _: None)
            await loop.load()
            await loop.step()
        except Killed:
            killed, loop = killed + 1, None
            continue
        await finish_all(store)
    return store, killed


async def finish_all(store: DeadlyStore) -> None:
    armed, store.armed = store.armed, False
    for body in (await store.list(labels.WORKFLOW)).items:
        if not (body.get("status") or {}).get("phase"):
            done = {"status": {"phase": "Succeeded", "finishedAt": "2026-03-10T10:00:00Z"}}
            await store.write([Write(Verb.PATCH, Key(labels.WORKFLOW, "ci", body["metadata"]["name"]), done)])
    store.armed = armed


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_no_slot_is_lost_and_none_fires_twice(after: bool) -> None:
    places = 0
    for at in range(1, 1000):
        store, killed = await life(at, after)
        if not killed:
            break
        places += 1
        assert set(store.created.values()) == {1}
        assert len(store.created) == len(NAMES) * MINUTES
        for name in NAMES:
            key = Key(labels.CRON_WORKFLOW, "ci", name)
            rows = await store.rows(key)
            assert len(rows) == MINUTES
            assert {row.outcome for row in rows} <= {Outcome.FIRED, Outcome.CAUGHT_UP}
            status = (await store.get(key))["status"]
            assert (status["active"], status["succeeded"]) == ([], MINUTES), f"killed at call {at}"
    print(f"killed at {places} places")
    assert places >= 15
