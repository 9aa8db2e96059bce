"""What people see in the cluster: written when it changes, and not otherwise; questions by annotation are answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from syncd.argo.manifest import Body, Key
from syncd.base.errors import Conflict, SyncdError, Unreachable
from syncd.base.problems import Place, Problem, Severity
from syncd.cluster.api import Notice
from syncd.cron.ledger import Outcome, Reason, Row
from syncd.loops import shown
from syncd.loops.show import ShowLoop
from syncd.observe.events import DriftCorrected, SlotDecided, SourceChecked, SourceRemoved, SourceSynced
from tests.support.clocks import ManualClock

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class FakeBoard:
    """Implements `cluster.api.Board`."""

    def __init__(self) -> None:
        self.objects: dict[str, Body] = {}
        self.writes: list[str] = []
        self.notices: list[Notice] = []
        self.questions: asyncio.Queue[tuple[str, Body]] = asyncio.Queue()
        self.away: SyncdError | None = None

    async def show(self, source: str, about: Body, status: Body) -> None:
        if self.away is not None:
            raise self.away
        self.writes.append(source)
        self.objects[source] = {"spec": about, "status": status}

    async def remove(self, source: str) -> None:
        self.objects.pop(source, None)

    async def shown(self) -> Mapping[str, Body]:
        return dict(self.objects)

    async def ask(self, source: str, annotations: Mapping[str, str]) -> None:
        self.questions.put_nowait((source, {"metadata": {"annotations": dict(annotations)}}))

    async def asked(self) -> AsyncIterator[tuple[str, Body]]:
        while True:
            yield await self.questions.get()

    async def tell(self, notices: Sequence[Notice]) -> None:
        self.notices += notices


class FakeSync:
    """A sync loop as this one sees it."""

    def __init__(self, name: str = "jobs") -> None:
        self.name = name
        self.condition: dict[str, Any] = {
            "name": name,
            "url": "https://git.example/jobs",
            "result": "applied",
            "applied": "main@sha1:1",
            "seen": "main@sha1:1",
            "objects": {"WorkflowTemplate": 2},
            "contactAt": "2026-01-01T00:00:00Z",
        }
        self.found: list[Problem] = []
        self.asked: list[str] = []

    def status(self) -> dict[str, Any]:
        return dict(self.condition)

    def problems(self) -> list[Problem]:
        return self.found

    async def request_sync(self, wait: bool = True) -> dict[str, Any]:
        self.asked.append("sync")
        return self.status()

    async def approve(self, revision: str, by: str) -> dict[str, Any]:
        self.asked.append(f"approve {revision}")
        if revision == "wrong":
            raise Conflict("held at another revision")
        return self.status()


class World:
    def __init__(self) -> None:
        self.board, self.clock, self.sync = FakeBoard(), ManualClock(), FakeSync()
        self.loop = ShowLoop(
            self.board, self.clock, {"jobs": self.sync}, lambda _: ("30s", "ci"), lambda n: Key("Source", "syncd", n)
        )

    async def synced(self, result: str = "applied", **more: Any) -> None:
        self.loop.hear(SourceSynced("jobs", self.clock.now(), 0.1, result, "main@sha1:1", **more))
        await self.loop.step()

    async def checked(self, error: str = "") -> None:
        self.loop.hear(SourceChecked("jobs", self.clock.now(), 0.1, error=error))
        await self.loop.step()


def ready(body: Body) -> Body:
    return next(c for c in body["status"]["conditions"] if c["type"] == "Ready")


async def test_polls_that_find_nothing_new_write_nothing() -> None:
    world = World()
    await world.synced()
    for _ in range(100):
        world.clock.advance(2)
        world.sync.condition["contactAt"] = world.clock.now().isoformat()
        await world.checked()
    assert world.board.writes == ["jobs"]
    world.clock.advance(200)
    await world.checked()
    assert world.board.writes == ["jobs", "jobs"], "now and then the time of contact is renewed"


async def test_a_condition_keeps_the_time_of_its_change() -> None:
    world = World()
    await world.synced()
    before = ready(world.board.objects["jobs"])
    world.clock.advance(60)
    world.sync.condition |= {"seen": "main@sha1:2", "applied": "main@sha1:2"}
    await world.synced()
    after = ready(world.board.objects["jobs"])
    assert after["lastTransitionTime"] == before["lastTransitionTime"]
    assert after["message"] == "main@sha1:2 is in force"
    held = {"reason": "problems", "message": "1 error", "revision": "main@sha1:3"}
    world.sync.condition |= {"result": "held", "reason": "problems", "message": "1 error", "held": held}
    await world.synced("held", reason="problems")
    failed = ready(world.board.objects["jobs"])
    assert (failed["status"], failed["reason"]) == ("False", "Problems")
    assert failed["lastTransitionTime"] != before["lastTransitionTime"]


async def test_a_new_leader_that_knows_nothing_yet_leaves_what_is_shown() -> None:
    world = World()
    await world.synced()
    before = dict(world.board.objects["jobs"])
    world.sync.condition |= {"result": "starting", "applied": ""}
    after = World()
    after.board, after.sync = world.board, world.sync
    after.loop = ShowLoop(
        world.board, after.clock, {"jobs": world.sync}, lambda _: ("30s", "ci"), lambda n: Key("Source", "syncd", n)
    )
    running = asyncio.create_task(after.loop.run())
    await asyncio.sleep(0.05)
    assert world.board.objects["jobs"] == before
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_what_is_configured_no_longer_is_shown_no_longer() -> None:
    world = World()
    await world.board.show("old", {}, {})
    running = asyncio.create_task(world.loop.run())
    async with asyncio.timeout(5):
        while set(world.board.objects) != {"jobs"}:  # noqa: ASYNC110 - the loop is a task of its own
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    world.loop.hear(SourceRemoved("jobs"))
    await world.loop.step()
    assert world.board.objects == {}


async def test_what_cannot_be_shown_now_is_shown_later() -> None:
    world = World()
    world.board.away = Unreachable("away")
    await world.synced()
    assert world.board.objects == {}
    world.board.away = None
    await world.loop.step()
    assert "jobs" in world.board.objects


async def test_questions_are_answered_once() -> None:
    world = World()
    await world.synced()
    running = asyncio.create_task(world.loop.run())
    for _ in range(3):
        await world.board.ask("jobs", {shown.SYNC_REQUESTED: "now"})
    await world.board.ask("jobs", {shown.APPROVED: "wrong"})
    await world.board.ask("jobs", {shown.APPROVED: "main@sha1:3"})
    await world.board.ask("nobody", {shown.SYNC_REQUESTED: "now"})
    async with asyncio.timeout(5):
        while shown.handled_of(world.board.objects["jobs"]) != "now":  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert world.sync.asked == ["sync", "approve wrong", "approve main@sha1:3"]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_events_tell_what_happened_to_an_object() -> None:
    world = World()
    cron = Key("CronWorkflow", "ci", "nightly")
    row = Row(cron, "u1", NOON, Outcome.MISSED, Reason.DOWN, NOON, NOON + timedelta(hours=2), count=3)
    world.loop.hear(SlotDecided(row))
    world.loop.hear(DriftCorrected("jobs", Key("WorkflowTemplate", "ci", "a"), ("spec.x",), "kubectl-edit", NOON, NOON))
    world.loop.hear(SlotDecided(Row(cron, "u1", NOON, Outcome.FIRED, Reason.ON_TIME, NOON, NOON)))
    await world.synced(created=2, applied_revision="main@sha1:1")
    told = [(n.about.name, n.kind, n.reason, n.message) for n in world.board.notices]
    assert told == [
        ("nightly", "Warning", "SlotMissed", "3 slots from 2026-01-01T12:00:00Z until 2026-01-01T14:00:00Z: down"),
        (
            "a",
            "Warning",
            "DriftCorrected",
            "changed by kubectl-edit at 2026-01-01T12:00:00Z, and made again as source jobs says (spec.x)",
        ),
        ("jobs", "Normal", "Applied", "main@sha1:1: 2 created, 0 updated, 0 deleted"),
    ]


def test_a_condition_comes_back_as_it_went() -> None:
    sync = FakeSync()
    place = Place("a.yaml", 3, 5)
    problems = [
        Problem(place, "V601", "later", severity=Severity.WARNING, object="CronWorkflow/ci/a"),
        Problem(place, "V241", "first", object="CronWorkflow/ci/a", remedy="mend it"),
    ]
    status = shown.status_of(sync.condition, problems, None, "2026-01-01T00:00:00Z", "asked")
    body = {"spec": shown.spec_of(sync.condition, "30s", "ci"), "status": status}
    back = shown.condition_of("jobs", body)
    for field in ("name", "url", "result", "applied", "seen", "objects", "contactAt"):
        assert back[field] == sync.condition[field]
    assert shown.problems_of(body) == problems[::-1], "errors first"
    assert shown.handled_of(body) == "asked"


@pytest.mark.parametrize(
    "body", [{}, {"status": None}, {"status": {"conditions": "x", "findings": [1], "objects": []}}]
)
def test_what_a_stranger_wrote_is_read_without_a_word(body: Body) -> None:
    assert shown.condition_of("jobs", body)["result"] == "starting"
    assert shown.problems_of(body) == []
