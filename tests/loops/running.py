"""A run loop with a store in memory and an executor without processes, for tests that hold every moment in their hands."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from syncd.argo.manifest import Body, Key
from syncd.base.errors import SyncdError
from syncd.cluster.api import Entry, Verb, Write
from syncd.cluster.memory import MemoryStore
from syncd.engine.actions import StartTask
from syncd.loops.run import RunLoop
from syncd.observe.events import Event
from tests.support.clocks import CountingRandom, ManualClock
from tests.support.fake_executor import FakeExecutor


class FaultyStore(MemoryStore):
    """A store whose saves can be made to fail, or to seem so."""

    def __init__(self, clock: ManualClock, **more: Any) -> None:
        super().__init__(clock, CountingRandom(), **more)
        self.fault: SyncdError | None = None  # None: saves work
        self.saves_anyway = False  # the fault is told after the entries were saved
        self.gate: asyncio.Event | None = None  # None: saves do not wait
        self.saved: list[Entry] = []
        self.tries = 0

    async def save(self, entries: Sequence[Entry]) -> None:
        self.tries += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.fault is None or self.saves_anyway:
            await super().save(entries)
            self.saved.extend(entries)
        if self.fault is not None:
            raise self.fault


class NoLogs:
    def __init__(self) -> None:
        self.ended: list[str] = []

    def stop_following(self, run_uid: str) -> None:
        self.ended.append(run_uid)


class House:
    """One daemon's worth of it. Another one on the same `store` and `running` is a restart."""

    def __init__(
        self,
        store: FaultyStore,
        clock: ManualClock,
        *,
        max_tasks: int = 100,
        running: dict[str, StartTask] | None = None,
        defaults: Body | None = None,
    ) -> None:
        self.store, self.clock = store, clock
        self.events: list[Event] = []
        self.logs = NoLogs()
        self.loop = RunLoop(
            store,
            clock,
            self.events.append,
            self.logs,
            max_tasks=max_tasks,
            defaults=defaults,  # type: ignore[arg-type]
        )
        self.executor = FakeExecutor(self.loop.report, clock, running)
        self.loop.attach(self.executor)

    async def create(self, body: Body, name: str = "wf") -> Key:
        key = Key("Workflow", "ci", name)
        whole = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", **body}
        whole["metadata"] = {**(body.get("metadata") or {}), "name": name, "namespace": "ci"}
        (written,) = await self.store.write([Write(Verb.CREATE, key, whole)])
        assert written.error is None, written.error
        return key

    async def delete(self, key: Key) -> None:
        (written,) = await self.store.write([Write(Verb.DELETE, key)])
        assert written.error is None

    async def status(self, key: Key) -> Body:
        return dict((await self.store.get(key)).get("status") or {})

    async def ended(self, key: Key) -> Body:
        found: Body = {}

        async def over() -> bool:
            nonlocal found
            found = await self.status(key)
            return bool(found.get("finishedAt"))

        await until(over)
        return found

    def named(self, kind: str) -> list[Any]:
        return [event for event in self.events if type(event).__name__ == kind]

    async def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.loop._wake.set()

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[House]:
        task = asyncio.create_task(self.loop.run())
        try:
            await until(lambda: self.loop.ready or task.done())
            yield self
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def until(condition: Callable[[], Any]) -> None:
    """Let the loops go on until it is so; fails rather than hangs."""
    async with asyncio.timeout(10):
        while True:
            found = condition()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return
            await asyncio.sleep(0.001)


def house(**more: Any) -> House:
    clock = ManualClock()
    return House(FaultyStore(clock), clock, **more)


def again(old: House, **more: Any) -> House:
    """The next daemon, on what the old one has left."""
    return House(old.store, old.clock, running=old.executor.running, **more)


def one(template: Body | None = None, **spec: Any) -> Body:
    """A Workflow of one step."""
    main = {"name": "main", "container": {"args": ["x"]}, **(template or {})}
    return {"spec": {"entrypoint": "main", "templates": [main], **spec}}


def loop_of(count: int, **spec: Any) -> Body:
    """A Workflow with that many steps side by side."""
    step = {"name": "a", "template": "work", "withSequence": {"count": count}}
    return {
        "spec": {
            "entrypoint": "main",
            "templates": [{"name": "main", "steps": [[step]]}, {"name": "work", "container": {"args": ["x"]}}],
            **spec,
        }
    }
