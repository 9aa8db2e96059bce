"""A source and a workspace in memory, and a stage with a store, for the tests of the sync loop."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from syncd.argo import labels
from syncd.argo.manifest import Body, Key
from syncd.base.errors import NotFound, SyncdError
from syncd.base.problems import Problem
from syncd.cluster.api import Verb, Write
from syncd.cluster.memory import MemoryStore
from syncd.loops.sync import SyncLoop
from syncd.loops.terms import Options
from syncd.source.api import Fetched, Revision
from syncd.validate.workspace import Workspace
from tests.support.clocks import CountingRandom, ManualClock

SOURCE = "examples"


class Files:
    """A source whose files a test sets. Implements `source.api.Source`; the difference to the base is a real one."""

    def __init__(self, files: Mapping[str, str], name: str = SOURCE) -> None:
        self.name = name
        self.files = dict(files)
        self.failure: SyncdError | None = None
        self.fetch_failure: SyncdError | None = None
        self.refused: tuple[Problem, ...] = ()
        self.ignored: dict[str, str] = {}
        self.polls = 0
        self.read: list[str] = []
        self.hint = asyncio.Event()
        self.polled = asyncio.Event()

    async def poll(self) -> Revision:
        self.polls += 1
        self.polled.set()
        if self.failure is not None:
            raise self.failure
        return self.revision

    @property
    def revision(self) -> Revision:
        text = repr(sorted(self.files.items())) + repr(self.refused)
        return Revision("main", hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())

    async def fetch(self, revision: Revision, base: Fetched | None) -> Fetched:
        if self.fetch_failure is not None:
            raise self.fetch_failure
        assert revision == self.revision
        known = {} if base is None else base.files
        ids = {
            path: hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest() for path, text in self.files.items()
        }
        changed = {path: self.files[path].encode() for path, identity in ids.items() if known.get(path) != identity}
        self.read += changed
        return Fetched(
            revision,
            ids,
            changed,
            frozenset(known.keys() - ids.keys()),
            self.refused,
            author="ada",
            subject="a change",
            ignored=self.ignored,
        )

    async def hints(self) -> AsyncIterator[None]:
        while True:
            await self.hint.wait()
            self.hint.clear()
            yield

    def describe(self) -> str:
        return "https://git.example/x#main"

    async def close(self) -> None:
        pass


class Counting(MemoryStore):
    """A store that notes every access, and fails or stops on demand."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock, CountingRandom())
        self.accesses: list[str] = []
        self.written: list[str] = []
        self.guard: Callable[[str], None] | None = None

    def _enter(self, what: str) -> None:
        self.accesses.append(what)
        if self.guard is not None:
            self.guard(what)

    async def get(self, key: Key) -> Body:
        self._enter(f"get {key}")
        return await super().get(key)

    async def list(self, kind: str, namespace: str | None = None, **more: Any) -> Any:
        self._enter(f"list {kind}")
        return await super().list(kind, namespace, **more)

    async def write(self, writes: Any, *, atomic: bool = False) -> Any:
        self._enter(f"write {len(writes)}")
        before = {write.key: await self._version_of(write.key) for write in writes}
        answers = await super().write(writes, atomic=atomic)
        for write, answer in zip(writes, answers, strict=True):
            if answer.error is None and await self._version_of(write.key) != before[write.key]:
                self.written.append(f"{write.verb} {write.key.kind}/{write.key.name}")
        return answers

    async def _version_of(self, key: Key) -> str:
        try:
            return (await super().get(key))["metadata"]["resourceVersion"]
        except NotFound:
            return ""

    async def save_inventory(self, source: str, record: Body) -> None:
        self._enter(f"save {source}")
        await super().save_inventory(source, record)

    async def inventory(self, source: str) -> Body | None:
        self._enter(f"inventory {source}")
        return await super().inventory(source)


class Stage:
    """A source, a store that outlives the loop, and what the loop said."""

    def __init__(self, files: Mapping[str, str], options: Options | None = None) -> None:
        self.clock = ManualClock()
        self.store = Counting(self.clock)
        self.source = Files(files)
        self.events: list[Any] = []
        self.options = options or Options()
        self.loop = self.start()

    def start(self, source: Files | None = None, options: Options | None = None) -> SyncLoop:
        """The loop of a new process over the same store."""
        self.loop = SyncLoop(
            source or self.source,
            self.store,
            self.clock,
            CountingRandom(),
            self.events.append,
            options or self.options,
            Workspace(),
        )
        return self.loop

    async def names(self, *kinds: str) -> list[str]:
        """Kind/name of everything live."""
        return [
            f"{body['kind']}/{body['metadata']['name']}"
            for kind in kinds or labels.API_VERSION_OF
            for body in (await MemoryStore.list(self.store, kind)).items
        ]

    async def live(self, kind: str, name: str, namespace: str = "default") -> Body:
        return await MemoryStore.get(
            self.store, Key(kind, namespace if kind != "ClusterWorkflowTemplate" else "", name)
        )

    async def by_hand(self, verb: Verb, kind: str, name: str, body: Body | None = None) -> None:
        """A person changes an object behind the loop's back."""
        (written,) = await MemoryStore.write(self.store, [Write(verb, Key(kind, "default", name), body)])
        assert written.error is None
        self.store.written.clear()

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def template(name: str, text: str = "hello", *, refers: str = "", extra: str = "") -> str:
    """A WorkflowTemplate; refers: the name of another whose template it calls."""
    call = (
        f"""
  - name: call
    steps:
    - - name: one
        templateRef: {{name: {refers}, template: main}}"""
        if refers
        else ""
    )
    return f"""apiVersion: argoproj.io/v1alpha1
kind: WorkflowTemplate
metadata:
  name: {name}{extra}
spec:
  entrypoint: main
  templates:
  - name: main
    container: {{image: busybox, command: [echo, "{text}"]}}{call}
"""


def cron(name: str, schedule: str = "0 2 * * *", template_name: str = "base") -> str:
    return f"""apiVersion: argoproj.io/v1alpha1
kind: CronWorkflow
metadata: {{name: {name}}}
spec:
  schedules: ["{schedule}"]
  workflowSpec:
    workflowTemplateRef: {{name: {template_name}}}
"""


def workflow(name: str, text: str = "hello", *, once: bool = False) -> str:
    note = "\n  annotations: {syncd.io/run: once}" if once else ""
    return f"""apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata:
  name: {name}{note}
spec:
  entrypoint: main
  templates:
  - name: main
    container: {{image: busybox, command: [echo, "{text}"]}}
"""


def config_map(name: str, value: str = "x") -> str:
    return f'apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{key: "{value}"}}\n'
