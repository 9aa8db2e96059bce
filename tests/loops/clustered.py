"""A store in memory that does what an API server does beyond ours: finalizers, managedFields, a rehearsal that says no.

For the tests of the sync loop: what depends on nothing else of a cluster is tried here, on any machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from syncd.argo.manifest import Body, Key
from syncd.base.errors import NotFound, SyncdError
from syncd.cluster.api import Changed, Verb, Write, Written
from syncd.cluster.memory import MemoryStore
from syncd.loops.terms import Options
from tests.loops.sourced import Counting, Stage
from tests.support.clocks import ManualClock

Objection = Callable[[Write], SyncdError | None]


class Cluster(Counting):
    """objection: why a rehearsed write would be rejected; unkind: the same of the write itself; calls: the keys of each call of
    `write`."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.objection: Objection = lambda _: None
        self.unkind: Objection = lambda _: None
        self.rehearsed: list[str] = []
        self.calls: list[list[str]] = []

    async def rehearse(self, writes: Any) -> Any:
        self._enter(f"rehearse {len(writes)}")
        self.rehearsed += [f"{write.verb} {write.key.kind}/{write.key.name}" for write in writes]
        return [Written(write.key, error=self.objection(write)) for write in writes]

    async def write(self, writes: Any, *, atomic: bool = False) -> Any:
        self.calls.append([write.key.name for write in writes])
        turned = [await self._held_up(write) for write in writes]
        answers = list(await super().write(turned, atomic=atomic))
        for index, write in enumerate(writes):
            if (error := self.unkind(write)) is not None:
                answers[index] = Written(write.key, error=error)
        return answers

    async def _held_up(self, write: Write) -> Write:
        """The delete of an object with finalizers marks it, and no more."""
        if write.verb is not Verb.DELETE:
            return write
        try:
            live = await MemoryStore.get(self, write.key)
        except NotFound:
            return write
        if not live["metadata"].get("finalizers"):
            return write
        going = {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}
        return Write(Verb.PATCH, write.key, going, uid=write.uid)

    async def done(self, key: Key) -> Body:
        """The last finalizer is done: the object goes. Answers what it was last."""
        (written,) = await MemoryStore.write(self, [Write(Verb.DELETE, key)])
        assert written.body is not None
        return written.body


class ClusterStage(Stage):
    """A stage over a `Cluster`."""

    def __init__(self, files: Mapping[str, str], options: Options | None = None) -> None:
        super().__init__(files, options)
        self.store: Cluster = Cluster(self.clock)
        self.loop = self.start()

    async def changed_by(self, manager: str, kind: str, name: str, patch: Body, fields: Body, **more: Any) -> None:
        """A manager changes an object, as managedFields say. more: declares, time."""
        entry = {
            "manager": manager,
            "operation": "Apply" if more.get("declares") else "Update",
            "time": more.get("time", "2026-01-01T06:00:00Z"),
            "fieldsV1": fields,
        }
        metadata = {**(patch.get("metadata") or {}), "managedFields": [entry]}
        await self.by_hand(Verb.PATCH, kind, name, {**patch, "metadata": metadata})

    def event(self, body: Body, kind: str = "MODIFIED") -> Changed:
        """What a watch says of an object."""
        metadata = body["metadata"]
        key = Key(body["kind"], metadata.get("namespace", ""), metadata["name"])
        return Changed(kind, key, body, metadata["resourceVersion"])

    async def watch(self, kind: str, name: str) -> None:
        """The loop hears of an object as it is now."""
        try:
            body = await self.live(kind, name)
        except NotFound:
            key = Key(kind, "default", name)
            gone = {"kind": kind, "metadata": {"name": name, "namespace": "default", "resourceVersion": "999999"}}
            self.loop.noticed(Changed("DELETED", key, gone, "999999"))
            return
        self.loop.noticed(self.event(body))

    async def repaired(self) -> Any:
        """A step that does not poll, and that there was none."""
        polls = self.source.polls
        report = await self.loop.step(poll=False)
        assert self.source.polls == polls
        return report
