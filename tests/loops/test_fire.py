"""The fire loop on a store in memory: what is created, what the ledger says, what the cron's object shows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from syncd.argo import labels
from syncd.argo.manifest import Body, Key
from syncd.base.errors import Conflict, Invalid, NotFound, SyncdError, Unreachable
from syncd.cluster.api import Store, Verb, Write, Written
from syncd.cluster.embedded.store import open_store
from syncd.cluster.memory import MemoryStore
from syncd.cron.ledger import Outcome, Reason, Row
from syncd.loops.fire import FireLoop
from syncd.observe.events import CronArmed, CronRemoved, Event, SlotDecided
from tests.support.clocks import CountingRandom, ManualClock

START = datetime(2026, 3, 10, 10, 0, 30, tzinfo=UTC)
KEY = Key(labels.CRON_WORKFLOW, "ci", "tick")


class FlakyStore:
    """A store that can be told not to answer: `down` names what does not work: record, close or create."""

    def __init__(self, inner: Store) -> None:
        self.inner = inner
        self.down: set[str] = set()
        self.refusal: SyncdError | None = None
        self.records = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def record(self, rows: Sequence[Row]) -> None:
        if "record" in self.down or ("close" in self.down and any(r.outcome is not Outcome.PENDING for r in rows)):
            raise Unreachable("the ledger does not answer")
        self.records += 1
        await self.inner.record(rows)

    async def write(self, writes: Sequence[Write], *, atomic: bool = False) -> Sequence[Written]:
        if any(write.verb is Verb.CREATE for write in writes):
            if "create" in self.down:
                raise Unreachable("the store does not answer")
            if self.refusal is not None:
                return [Written(write.key, error=self.refusal) for write in writes]
        return await self.inner.write(writes, atomic=atomic)


class Events(list[Event]):
    """What was published; `until` waits for one that fits, now or later."""

    def __init__(self) -> None:
        super().__init__()
        self._news = asyncio.Event()

    def append(self, event: Event) -> None:
        super().append(event)
        self._news.set()

    async def until(self, fits: Callable[[Event], bool]) -> None:
        async with asyncio.timeout(10):
            while not any(map(fits, self)):
                self._news.clear()
                await self._news.wait()


class World:
    """A store, a clock and a fire loop; `tick` moves time and lets the loop do its pass."""

    def __init__(self, store: Store, clock: ManualClock) -> None:
        self.clock = clock
        self.random = CountingRandom()
        self.store = FlakyStore(store)
        self.events = Events()
        self.held = ""
        self.loop = self.new_loop()

    def new_loop(self) -> FireLoop:
        store: Any = self.store
        return FireLoop(store, self.clock, self.random, self.events.append, held=lambda: self.held)

    async def restart(self) -> None:
        """The daemon is killed and started again: nothing of its memory is left."""
        self.loop = self.new_loop()
        await self.look()

    async def look(self) -> None:
        """What the watch would bring, and one pass."""
        await self.loop.load()
        await self.loop.step()

    async def tick(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await self.loop.step()

    async def apply(
        self, name: str = "tick", schedule: str = "* * * * *", kind: str = labels.CRON_WORKFLOW, **spec: Any
    ) -> Key:
        key = Key(kind, "ci", name)
        metadata = {"name": name, "namespace": "ci", **spec.pop("metadata", {})}
        body = {
            "apiVersion": labels.API_VERSION_OF[kind],
            "kind": kind,
            "metadata": metadata,
            "spec": {
                "schedules": [schedule],
                "workflowSpec": {"entrypoint": "main", "templates": [{"name": "main", "suspend": {}}]},
                **spec,
            },
        }
        await self.write(Verb.APPLY, key, body)
        await self.look()
        return key

    async def write(self, verb: Verb, key: Key, body: Body | None = None) -> Body:
        (written,) = await self.store.write([Write(verb, key, body)])
        assert written.error is None
        return written.body or {}

    async def runs(self) -> list[str]:
        return [body["metadata"]["name"] for body in (await self.store.list(labels.WORKFLOW)).items]

    async def rows(self, key: Key = KEY) -> list[tuple[str, Outcome, Reason]]:
        rows = await self.store.rows(key)
        return [(f"{row.slot:%H:%M}", row.outcome, row.reason) for row in reversed(rows)]

    async def status(self, key: Key = KEY) -> Body:
        return dict((await self.store.get(key)).get("status") or {})

    async def finish(self, name: str, phase: str = "Succeeded") -> None:
        finished = self.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        await self.write(
            Verb.PATCH, Key(labels.WORKFLOW, "ci", name), {"status": {"phase": phase, "finishedAt": finished}}
        )
        await self.look()

    async def settle(self, seconds: float, step: float = 1.0) -> None:
        for _ in range(int(seconds / step)):
            await self.tick(step)


@pytest.fixture(params=["memory", "embedded"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    clock = ManualClock(START)
    store: Store
    if request.param == "memory":
        store = MemoryStore(clock, CountingRandom())
    else:
        store = open_store(tmp_path / "state", clock=clock, random=CountingRandom())
    yield World(store, clock)
    await store.close()


def unix(clock: str) -> int:
    hour, minute = (int(part) for part in clock.split(":"))
    return int(datetime(2026, 3, 10, hour, minute, tzinfo=UTC).timestamp())


async def test_fires_on_time_and_says_so_everywhere(world: World) -> None:
    await world.apply()
    assert world.loop.next_fires() == [(KEY, datetime(2026, 3, 10, 10, 1, tzinfo=UTC))]
    await world.tick(29)
    assert await world.runs() == []
    await world.tick(1)
    name = f"tick-{unix('10:01')}"
    assert await world.runs() == [name]
    assert await world.rows() == [("10:01", Outcome.FIRED, Reason.ON_TIME)]
    status = await world.status()
    assert [ref["name"] for ref in status["active"]] == [name]
    assert (status["lastScheduledTime"], status["phase"]) == ("2026-03-10T10:01:00Z", "Active")
    decided = [event for event in world.events if isinstance(event, SlotDecided)]
    assert [(event.row.run, event.delay_seconds) for event in decided] == [(name, 0.0)]
    assert CronArmed(KEY, datetime(2026, 3, 10, 10, 2, tzinfo=UTC)) in world.events
    annotations = (await world.store.get(KEY))["metadata"]["annotations"]
    assert annotations[labels.LAST_USED_SCHEDULE] == "* * * * *"


async def test_the_child_knows_its_cron_its_slot_and_its_commit(world: World) -> None:
    mine = {
        "labels": {labels.OWNER_SOURCE: "team", labels.SHORT_SHA: "0123456789ab"},
        "annotations": {labels.REVISION: "main@sha1:" + "01" * 20, labels.PATH: "crons.yaml:3"},
    }
    await world.apply(
        metadata=mine, workflowMetadata={"labels": {"a": "b"}, "annotations": {"c": "d"}, "finalizers": ["e"]}
    )
    await world.tick(30)
    body = await world.store.get(Key(labels.WORKFLOW, "ci", f"tick-{unix('10:01')}"))
    metadata = body["metadata"]
    assert metadata["labels"] == {
        **mine["labels"],
        labels.LABEL_CRON_WORKFLOW: "tick",
        "a": "b",
        labels.SHORT_SHA: "010101010101",
    }
    assert metadata["annotations"] == {**mine["annotations"], labels.SCHEDULED_TIME: "2026-03-10T10:01:00Z", "c": "d"}
    assert metadata["finalizers"] == ["e"]
    (owner,) = metadata["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("CronWorkflow", "tick", True)
    assert owner["uid"] == (await world.store.get(KEY))["metadata"]["uid"]


async def test_all_crons_that_are_due_share_one_record(world: World) -> None:
    for number in range(100):
        await world.write(Verb.APPLY, Key(labels.CRON_WORKFLOW, "ci", f"c{number}"), {
            "apiVersion": labels.ARGO_API, "kind": labels.CRON_WORKFLOW, "metadata": {"name": f"c{number}", "namespace": "ci"},
            "spec": {"schedules": ["* * * * *"], "workflowSpec": {}},
        })  # fmt: skip
    await world.look()
    before = world.store.records
    await world.tick(30)
    assert len(await world.runs()) == 100
    assert world.store.records - before == 2  # pending, closed


async def test_a_crash_between_row_and_child_is_made_good(world: World) -> None:
    await world.apply()
    world.store.down = {"create"}
    await world.tick(30)
    assert await world.rows() == [("10:01", Outcome.PENDING, Reason.ON_TIME)]
    world.store.down = set()
    world.clock.advance(10)
    await world.restart()
    assert await world.runs() == [f"tick-{unix('10:01')}"]
    assert await world.rows() == [("10:01", Outcome.FIRED, Reason.ON_TIME)]


async def test_a_crash_between_child_and_closing_adopts_the_child(world: World) -> None:
    await world.apply()
    world.store.down = {"close"}
    await world.tick(30)
    assert await world.rows() == [("10:01", Outcome.PENDING, Reason.ON_TIME)]
    world.store.down = set()
    world.clock.advance(3600)
    await world.restart()
    assert (await world.rows())[0] == ("10:01", Outcome.FIRED, Reason.ON_TIME)
    assert (await world.runs()).count(f"tick-{unix('10:01')}") == 1


async def test_a_ledger_that_is_away_after_the_child_was_created_is_told_later(world: World) -> None:
    await world.apply()
    world.store.down = {"close"}
    await world.tick(30)
    await world.settle(5)
    world.store.down = set()
    await world.settle(10)
    assert await world.rows() == [("10:01", Outcome.FIRED, Reason.ON_TIME)]
    assert [e.row.run for e in world.events if isinstance(e, SlotDecided)] == [f"tick-{unix('10:01')}"]


async def test_a_pending_row_that_is_too_old_is_missed(world: World) -> None:
    await world.apply()
    world.store.down = {"create"}
    await world.tick(30)
    world.store.down = set()
    world.clock.advance(3600)
    await world.restart()
    assert (await world.rows())[0] == ("10:01", Outcome.MISSED, Reason.TOO_LATE)
    assert f"tick-{unix('10:01')}" not in await world.runs()


async def test_a_store_that_does_not_answer_is_asked_again_until_the_grace_is_over(world: World) -> None:
    await world.apply(schedule="1 10 * * *")
    world.store.down = {"create"}
    await world.settle(60)
    assert await world.rows() == [("10:01", Outcome.PENDING, Reason.ON_TIME)]
    world.store.down = set()
    await world.settle(20)
    assert await world.rows() == [("10:01", Outcome.FIRED, Reason.ON_TIME)]


async def test_nothing_is_created_without_a_durable_row(world: World) -> None:
    await world.apply()
    world.store.down = {"record"}
    await world.settle(35)
    assert await world.runs() == []
    world.store.down = set()
    await world.settle(20)
    assert await world.runs() == [f"tick-{unix('10:01')}"]
    assert await world.rows() == [("10:01", Outcome.CAUGHT_UP, Reason.GRACE)]


async def test_a_name_that_somebody_else_has_is_not_ours(world: World) -> None:
    await world.apply()
    name = f"tick-{unix('10:01')}"
    stranger = {
        "apiVersion": labels.ARGO_API,
        "kind": "Workflow",
        "metadata": {"name": name, "namespace": "ci"},
        "spec": {},
    }
    await world.write(Verb.CREATE, Key(labels.WORKFLOW, "ci", name), stranger)
    await world.tick(30)
    assert await world.rows() == [("10:01", Outcome.FAILED, Reason.NAME_TAKEN)]


async def test_a_clock_that_goes_back_fires_nothing_twice(world: World) -> None:
    await world.apply()
    await world.settle(120)
    fired = await world.runs()
    for name in fired:
        await world.write(Verb.DELETE, Key(labels.WORKFLOW, "ci", name))
    world.clock.set(START)
    await world.settle(85)
    assert await world.runs() == []
    await world.restart()
    assert await world.runs() == []
    await world.settle(70)
    assert await world.runs() == [f"tick-{unix('10:03')}"]


async def test_children_are_counted_and_history_is_cut(world: World) -> None:
    await world.apply(successfulJobsHistoryLimit=2, failedJobsHistoryLimit=0)
    for _ in range(5):
        await world.tick(60)
        (active,) = (await world.status())["active"]
        await world.finish(active["name"])
    assert len(await world.runs()) == 2
    status = await world.status()
    assert (status["succeeded"], status["failed"], status["active"]) == (5, 0, [])
    await world.tick(60)
    (active,) = (await world.status())["active"]
    await world.finish(active["name"], "Failed")
    assert len(await world.runs()) == 2
    assert (await world.status())["failed"] == 1


async def test_a_child_that_ended_while_the_daemon_was_down_is_counted_once(world: World) -> None:
    await world.apply()
    await world.tick(30)
    await world.write(
        Verb.PATCH,
        Key(labels.WORKFLOW, "ci", f"tick-{unix('10:01')}"),
        {"status": {"phase": "Failed", "finishedAt": "2026-03-10T10:01:10Z"}},
    )
    await world.restart()
    await world.restart()
    assert (await world.status())["failed"] == 1
    assert (await world.status())["active"] == []


async def test_forbid_skips_while_a_run_is_active(world: World) -> None:
    await world.apply(concurrencyPolicy="Forbid")
    await world.tick(30)
    await world.tick(60)
    await world.finish(f"tick-{unix('10:01')}")
    await world.tick(60)
    assert [(slot, outcome) for slot, outcome, _ in await world.rows()] == [
        ("10:01", Outcome.FIRED),
        ("10:02", Outcome.SKIPPED),
        ("10:03", Outcome.FIRED),
    ]


async def test_replace_terminates_what_runs(world: World) -> None:
    await world.apply(concurrencyPolicy="Replace")
    await world.tick(30)
    await world.tick(60)
    first = await world.store.get(Key(labels.WORKFLOW, "ci", f"tick-{unix('10:01')}"))
    assert first["spec"]["shutdown"] == "Terminate"
    assert len(await world.runs()) == 2


async def test_replace_asks_the_engine_where_there_is_one(world: World) -> None:
    ended: list[str] = []

    async def terminate(key: Key) -> None:
        ended.append(key.name)
        raise Conflict("it has ended already")

    store: Any = world.store
    world.loop = FireLoop(store, world.clock, world.random, world.events.append, terminate=terminate)
    await world.apply(concurrencyPolicy="Replace")
    await world.tick(30)
    await world.tick(60)
    assert ended == [f"tick-{unix('10:01')}"]
    assert len(await world.runs()) == 2


async def test_a_cron_that_another_scheduler_fires_is_left_alone(world: World) -> None:
    store: Any = world.store
    mine = FireLoop(store, world.clock, world.random, world.events.append, accepts=lambda cron: not cron.labels)
    world.loop = mine
    await world.apply(metadata={"labels": {"a": "b"}})
    await world.tick(60)
    assert (await world.runs(), mine.next_fires()) == ([], [])


async def test_a_cron_job_runs_its_job_as_a_workflow(world: World) -> None:
    key = Key(labels.CRON_JOB, "ci", "say")
    container = {"name": "main", "image": "busybox", "command": ["true"]}
    body = {
        "apiVersion": "batch/v1",
        "kind": labels.CRON_JOB,
        "metadata": {"name": "say", "namespace": "ci"},
        "spec": {
            "schedule": "* * * * *",
            "jobTemplate": {"spec": {"template": {"spec": {"containers": [container], "restartPolicy": "Never"}}}},
        },
    }
    await world.write(Verb.APPLY, key, body)
    await world.look()
    await world.tick(30)
    child = await world.store.get(Key(labels.WORKFLOW, "ci", f"say-{unix('10:01')}"))
    assert child["metadata"]["ownerReferences"][0]["kind"] == "CronJob"
    assert child["metadata"]["labels"][labels.CRON_JOB_NAME] == "say"
    assert child["spec"]["templates"]
    status = await world.status(key)
    assert (status["lastScheduleTime"], len(status["active"])) == ("2026-03-10T10:01:00Z", 1)
    await world.finish(f"say-{unix('10:01')}")
    assert (await world.status(key))["active"] == []


async def test_a_queue_goes_on_when_a_run_ends(world: World) -> None:
    notes = {"annotations": {labels.CATCH_UP: "all"}}
    await world.apply(concurrencyPolicy="Forbid", metadata=notes)
    world.clock.advance(150)
    await world.loop.step()
    assert await world.runs() == [f"tick-{unix('10:01')}"]
    await world.finish(f"tick-{unix('10:01')}")
    assert f"tick-{unix('10:02')}" in await world.runs()
    await world.finish(f"tick-{unix('10:02')}")
    assert f"tick-{unix('10:03')}" in await world.runs()
    assert [slot for slot, _, _ in await world.rows()] == ["10:01", "10:02", "10:03"]


async def test_the_stop_strategy_ends_a_cron_and_a_person_begins_it_anew(world: World) -> None:
    await world.apply(stopStrategy={"expression": "cronworkflow.succeeded >= 1"})
    await world.tick(30)
    await world.finish(f"tick-{unix('10:01')}")
    body = await world.store.get(KEY)
    assert body["status"]["phase"] == "Stopped"
    assert body["metadata"]["labels"][labels.CRON_COMPLETED] == "true"
    await world.tick(60)
    assert (await world.rows())[-1] == ("10:02", Outcome.SKIPPED, Reason.STOPPED)
    assert world.loop.next_fire(KEY) is None
    patch = {
        "metadata": {"labels": {labels.CRON_COMPLETED: None}},
        "status": {"phase": "Active"},
        "spec": {"stopStrategy": None},
    }
    await world.write(Verb.PATCH, KEY, patch)
    await world.look()
    await world.tick(60)
    assert (await world.rows())[-1][1] is Outcome.FIRED


async def test_a_changed_schedule_fires_nothing_of_the_past(world: World) -> None:
    await world.apply(schedule="0 * * * *", startingDeadlineSeconds=3600)
    await world.tick(1800)
    await world.apply(schedule="15 * * * *", startingDeadlineSeconds=3600)
    assert await world.runs() == []
    assert world.loop.next_fire(KEY) == datetime(2026, 3, 10, 11, 15, tzinfo=UTC)


async def test_slots_before_a_change_are_decided_by_the_old_schedule(world: World) -> None:
    await world.apply(schedule="1 * * * *")
    world.clock.advance(31)
    await world.apply(schedule="30 * * * *")
    assert await world.rows() == [("10:01", Outcome.FIRED, Reason.ON_TIME)]


async def test_suspend_and_resume_by_hand(world: World) -> None:
    await world.apply()
    body = await world.loop.suspend(KEY, by="ada")
    note = json.loads(body["metadata"]["annotations"][labels.BY_HAND])
    assert note == {"field": "spec.suspend", "who": "ada", "since": "2026-03-10T10:00:30Z"}
    await world.look()
    await world.settle(120)
    assert await world.runs() == []
    (row,) = await world.store.rows(KEY)
    assert (row.outcome, row.reason, row.count) == (Outcome.SKIPPED, Reason.SUSPENDED, 2)
    body = await world.loop.resume(KEY, by="ada")
    assert labels.BY_HAND not in body["metadata"]["annotations"]
    await world.look()
    assert await world.runs() == []
    await world.tick(30)
    assert await world.runs() == [f"tick-{unix('10:03')}"]


async def test_trigger_runs_now_and_keeps_the_schedule(world: World) -> None:
    await world.apply(suspend=True)
    child = await world.loop.trigger(KEY, by="ada")
    assert child["metadata"]["name"].startswith("tick-")
    assert child["metadata"]["annotations"][labels.SCHEDULED_TIME] == "2026-03-10T10:00:30Z"
    ((_, outcome, reason),) = await world.rows()
    assert (outcome, reason) == (Outcome.FIRED, Reason.MANUAL)
    assert (await world.status())["active"][0]["name"] == child["metadata"]["name"]
    with pytest.raises(NotFound):
        await world.loop.trigger(Key(labels.CRON_WORKFLOW, "ci", "nobody"), by="ada")


async def test_a_manual_run_does_not_hide_a_missed_slot_from_a_restart(world: World) -> None:
    await world.apply(startingDeadlineSeconds=3600)
    await world.tick(30)
    world.clock.advance(20)
    await world.loop.trigger(KEY, by="ada")
    world.clock.advance(60)
    await world.restart()
    assert [(slot, outcome) for slot, outcome, reason in await world.rows() if reason is not Reason.MANUAL] == [
        ("10:01", Outcome.FIRED),
        ("10:02", Outcome.CAUGHT_UP),
    ]


async def test_held_starts_lose_nothing_within_the_grace(world: World) -> None:
    await world.apply(schedule="1 10 * * *")
    world.held = "the disk is full"
    await world.settle(60)
    assert await world.runs() == []
    world.held = ""
    await world.settle(2)
    assert await world.rows() == [("10:01", Outcome.FIRED, Reason.ON_TIME)]


async def test_held_starts_are_missed_after_the_grace(world: World) -> None:
    await world.apply(schedule="1 10 * * *")
    world.held = "the disk is full"
    await world.settle(100)
    assert await world.rows() == [("10:01", Outcome.MISSED, Reason.DISK_FULL)]


async def test_a_deleted_cron_is_forgotten(world: World) -> None:
    await world.apply()
    world.store.down = {"create"}
    await world.tick(30)
    world.store.down = set()
    await world.write(Verb.DELETE, KEY)
    await world.look()
    await world.tick(60)
    assert await world.runs() == []
    assert CronRemoved(KEY) in world.events
    assert await world.rows() == [("10:01", Outcome.FAILED, Reason.SUBMISSION)]


async def test_a_cron_made_anew_has_a_new_ledger(world: World) -> None:
    await world.apply()
    await world.tick(30)
    await world.write(Verb.DELETE, KEY)
    await world.apply()
    await world.tick(60)
    assert len({row.cron_uid for row in await world.store.rows(KEY)}) == 2


async def test_a_cron_that_cannot_be_read_says_so_and_stops_nobody(world: World) -> None:
    await world.apply(name="bad", schedule="61 * * * *")
    await world.apply()
    await world.tick(30)
    assert len(await world.runs()) == 1
    (condition,) = (await world.status(Key(labels.CRON_WORKFLOW, "ci", "bad")))["conditions"]
    assert condition["type"] == "SpecError"
    assert condition["message"] == "cron schedule 61 * * * * is malformed: end of range (61) above maximum (59): 61"


async def test_a_refused_child_is_a_submission_error(world: World) -> None:
    await world.apply()
    world.store.refusal = Invalid("label a is not valid")
    await world.tick(30)
    assert await world.rows() == [("10:01", Outcome.FAILED, Reason.SUBMISSION)]
    status = await world.status()
    assert status["failed"] == 1
    assert status["conditions"] == [
        {"type": "SubmissionError", "status": "True", "message": "Failed to submit Workflow: label a is not valid"}
    ]


async def test_explain_answers_as_json(world: World) -> None:
    await world.apply()
    await world.tick(30)
    told = await world.loop.explain(KEY, datetime(2026, 3, 10, 10, 1, tzinfo=UTC))
    assert told["row"]["outcome"] == "fired"
    assert told["sentences"][0] == f"the slot of Tue 2026-03-10 10:01 UTC fired on time as tick-{unix('10:01')}"


async def test_the_loop_follows_the_watch_and_sleeps_until_the_next_slot(world: World) -> None:
    task = asyncio.create_task(world.loop.run())
    try:
        await world.write(Verb.APPLY, KEY, {
            "apiVersion": labels.ARGO_API, "kind": labels.CRON_WORKFLOW, "metadata": {"name": "tick", "namespace": "ci"},
            "spec": {"schedules": ["* * * * *"], "workflowSpec": {}},
        })  # fmt: skip
        await world.events.until(lambda event: isinstance(event, CronArmed))
        world.clock.advance(30)
        await world.write(Verb.PATCH, KEY, {"metadata": {"labels": {"wake": "up"}}})  # any news wakes the loop
        await world.events.until(lambda event: isinstance(event, SlotDecided))
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await world.runs() == [f"tick-{unix('10:01')}"]
    assert world.loop.wake_at() == datetime(2026, 3, 10, 10, 2, tzinfo=UTC)


async def test_a_store_that_says_when_to_come_back_is_not_asked_before(world: World) -> None:
    await world.apply()
    world.store.refusal = Unreachable("too many requests", 7.0)
    await world.tick(30)
    assert world.loop.wake_at() == datetime(2026, 3, 10, 10, 1, 7, tzinfo=UTC)
    world.store.refusal = None
    await world.tick(6.9)
    assert await world.runs() == []
    await world.tick(0.1)
    assert len(await world.runs()) == 1


async def test_a_store_that_asks_for_more_time_than_is_left_is_asked_in_the_last_moment(world: World) -> None:
    """The grace is 60 s: later, the slot would be lost for sure."""
    await world.apply()
    world.store.refusal = Unreachable("too many requests", 300.0)
    await world.tick(30)
    world.store.refusal = None
    await world.tick(60)
    fired = [("10:01", Outcome.FIRED, Reason.ON_TIME), ("10:02", Outcome.FIRED, Reason.ON_TIME)]
    assert await world.rows() == fired


async def test_after_an_outage_the_oldest_slots_are_created_first(world: World) -> None:
    """Whatever crons they are of: two that caught up several slots each are mixed by time."""
    notes = {"annotations": {labels.CATCH_UP: "all"}}
    await world.apply("a", "*/2 * * * *", metadata=notes)
    await world.apply("b", "1-59/2 * * * *", metadata=notes)
    version = (await world.store.list(labels.WORKFLOW)).version
    await world.tick(300)
    made = (await world.store.list(labels.WORKFLOW)).items
    new = [body["metadata"] for body in made if int(body["metadata"]["resourceVersion"]) > int(version)]
    assert len(new) == 5
    in_order = sorted(new, key=lambda metadata: int(metadata["resourceVersion"]))
    slots = [metadata["annotations"][labels.SCHEDULED_TIME] for metadata in in_order]
    assert slots == sorted(slots)
    assert {metadata["name"].partition("-")[0] for metadata in new} == {"a", "b"}
