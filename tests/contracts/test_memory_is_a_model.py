"""Law: whatever is written, in whatever order, both stores answer alike.

Hypothesis drives both with the same calls and compares every answer, every list and every change seen by a watch.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from syncd.argo import selectors
from syncd.argo.manifest import Key
from syncd.base.errors import SyncdError
from syncd.cluster.api import Entry, Store, Verb, Write
from syncd.cluster.embedded.store import open_store
from syncd.cluster.memory import MemoryStore
from tests.support.clocks import CountingRandom, ManualClock

KINDS = ("Workflow", "WorkflowTemplate")
keys = st.builds(Key, st.sampled_from(KINDS), st.sampled_from(["x", "y"]), st.sampled_from(["a", "b", "Bad"]))
values = st.none() | st.integers(0, 2) | st.sampled_from(["", "v"]) | st.lists(st.integers(0, 1), max_size=1)
trees = st.recursive(values, lambda inner: st.dictionaries(st.sampled_from("pq"), inner, max_size=2), max_leaves=3)
texts = st.dictionaries(st.sampled_from(["l", "m", "syncd.io/by-hand"]), st.sampled_from(["1", "2", ""]), max_size=2)
nodes = st.none() | st.dictionaries(st.sampled_from("no"), st.none() | st.fixed_dictionaries({"p": values}), max_size=2)
statuses = st.none() | st.fixed_dictionaries(
    {},
    optional={"phase": values, "nodes": nodes, "finishedAt": st.sampled_from([None, "2026-01-01T00:00:00Z", "soon"])},
)
bodies = st.fixed_dictionaries(
    {"metadata": st.fixed_dictionaries({}, optional={"labels": texts, "annotations": texts})},
    optional={"spec": trees | st.fixed_dictionaries({"suspend": st.booleans()}), "data": trees, "status": statuses},
)
patches = bodies | st.fixed_dictionaries({"metadata": st.fixed_dictionaries({"labels": st.none() | texts})})
versions = st.none() | st.integers(0, 8).map(str)
writes = st.one_of(
    st.builds(Write, st.sampled_from([Verb.CREATE, Verb.APPLY]), keys, bodies),
    st.builds(Write, st.just(Verb.PATCH), keys, patches, versions),
    st.builds(Write, st.just(Verb.DELETE), keys, expect=versions),
)
terms = st.sampled_from(["l=1", "l!=1", "l in (1,2)", "l notin (2)", "l", "!l", "m=", "l,m"])


class TwoStores(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.mkdtemp()
        self.clock = ManualClock()
        self.memory: Store = MemoryStore(self.clock, CountingRandom())
        self.embedded: Store = open_store(self.folder, clock=self.clock, random=CountingRandom())
        self.watches = [store.watch(KINDS, "1") for store in self.stores]
        self.seen = 1
        self.seqs: dict[str, int] = {}

    @property
    def stores(self) -> tuple[Store, Store]:
        return self.memory, self.embedded

    def both(self, call: Any) -> Any:
        """The one answer of both stores to `call`."""

        async def answer(coroutine: Coroutine[Any, Any, Any]) -> Any:
            try:
                async with asyncio.timeout(20):
                    return await coroutine
            except SyncdError as error:
                return type(error), str(error)

        first, second = (self.loop.run_until_complete(answer(call(store))) for store in self.stores)
        assert first == second
        return first

    @rule(batch=st.lists(writes, min_size=1, max_size=5), atomic=st.booleans())
    def write(self, batch: list[Write], atomic: bool) -> None:
        async def answers(store: Store) -> Any:
            written = await store.write(batch, atomic=atomic)
            return [(one.key, one.body, type(one.error), str(one.error)) for one in written]

        self.both(answers)

    @rule(status=st.none() | st.just({"phase": "Running"}), changed=st.dictionaries(st.sampled_from("no"), st.just({})))
    @precondition(lambda self: self.both(lambda store: store.unfinished()))
    def save(self, status: Any, changed: Any) -> None:
        (key, *_) = self.both(lambda store: store.unfinished())
        uid = self.both(lambda store: store.get(key))["metadata"]["uid"]
        seq = self.seqs[uid] = self.seqs.get(uid, 0) + 1
        entry = Entry(uid, seq, self.clock.now(), [{"n": seq}], changed, status, {"l": "1"})
        self.both(lambda store: store.save([entry]))
        self.both(lambda store: store.nodes(uid))

    @rule(kind=st.sampled_from(KINDS), space=st.none() | st.just("x"), text=terms, size=st.integers(1, 3))
    def pages(self, kind: str, space: str | None, text: str, size: int) -> None:
        after = ""
        while True:
            call = {"selector": selectors.parse(text), "limit": size, "after": after}
            page = self.both(lambda store, call=call: store.list(kind, space, **call))
            after = page.after
            if not after:
                break

    @rule()
    def reopen(self) -> None:
        """The embedded one is closed and opened again; its watch starts where the other one stands."""
        self.changes()
        self.loop.run_until_complete(self.watches[1].aclose())  # type: ignore[attr-defined]
        self.loop.run_until_complete(self.embedded.close())
        random = CountingRandom()
        random.__dict__.update(self.memory._random.__dict__)  # type: ignore[attr-defined]
        self.embedded = open_store(self.folder, clock=self.clock, random=random)
        self.watches[1] = self.embedded.watch(KINDS, str(self.seen))

    @rule(seconds=st.integers(1, 5))
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds)

    def changes(self) -> None:
        """Both watches saw the same, up to the newest version."""
        newest = int(self.both(lambda store: store.list("Workflow", limit=1)).version)
        while self.seen < newest:

            async def following(watch: Any) -> Any:
                async with asyncio.timeout(20):
                    return await anext(watch)

            first, second = (self.loop.run_until_complete(following(watch)) for watch in self.watches)
            assert first == second
            self.seen = int(first.version)

    @invariant()
    def alike(self) -> None:
        self.changes()
        for kind in KINDS:
            for item in self.both(lambda store, kind=kind: store.list(kind)).items:
                metadata = item["metadata"]
                key = Key(kind, metadata["namespace"], metadata["name"])
                self.both(lambda store, key=key: store.get(key))
        self.both(lambda store: store.unfinished())

        async def without_sizes(store: Store) -> Any:
            return [(run.key, run.uid, run.finished_at, run.phase) for run in await store.finished_runs(beyond=1)]

        self.both(without_sizes)

    def teardown(self) -> None:
        for watch in self.watches:
            self.loop.run_until_complete(watch.aclose())  # type: ignore[attr-defined]
        for store in self.stores:
            self.loop.run_until_complete(store.close())
        self.loop.close()
        shutil.rmtree(self.folder)


TwoStores.TestCase.settings = settings(
    max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
TestBothStoresAnswerAlike = TwoStores.TestCase
