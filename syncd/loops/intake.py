"""From a revision to judged manifests: fetch, decode, lint, each proportional to what changed.

In: a source and a workspace. Out: manifests by key, all problems, what was ignored, and the keys that are pending: touched since
they were last applied. Used by `loops.sync` and by nothing else; remembers between calls what a difference needs.

Decode and lint run in a thread: a first load of 10,000 manifests takes seconds, and the event loop has crons to fire meanwhile.
While that thread works, nobody else looks at the workspace; what the API shows are the snapshots `problems` and `ignored`.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from syncd.argo.manifest import Body, Key, Manifest
from syncd.base.problems import Problem, Severity
from syncd.cluster.api import Objects
from syncd.loops import comparison
from syncd.plan import order
from syncd.plan import plan as planning
from syncd.plan.desired import RUNNABLE
from syncd.source import decode
from syncd.source.api import Fetched, Revision, Source

LOOKED_UP = 500
"""Templates of others that are asked for at once."""


class Workspace(Protocol):
    """What of `validate.workspace.Workspace` is needed here."""

    touched: set[Key]

    def update(
        self,
        changed: Mapping[str, Sequence[Manifest]],
        removed: Iterable[str] = (),
        decode_problems: Mapping[str, Sequence[Problem]] | None = None,
    ) -> None: ...

    def live_changed(self, objects: Mapping[Key, Body | None]) -> None: ...

    def problems(self) -> list[Problem]: ...

    def manifests(self) -> Mapping[Key, Manifest]: ...


class Intake:
    """What a source stands at, read and judged.

    fetched: the last revision taken in, without its content, None = none yet; pending: keys whose fate at that revision
    has not been carried out; problems: all, in order of their places; ignored: (path, why); reading: a thread works on the
    workspace, and `manifests` must not be looked at.
    """

    def __init__(self, source: Source, objects: Objects, workspace: Workspace, options: decode.Options) -> None:
        self._source = source
        self._objects = objects
        self._workspace = workspace
        self._options = options
        self._decoded: dict[str, tuple[Problem, ...]] = {}  # by file
        self._ignored: dict[str, tuple[tuple[str, str], ...]] = {}
        self._foreign: dict[Key, str] = {}  # templates of others that the source refers to → their versions
        self._stopping = False
        self.reading = False  # a thread works on the workspace: nobody else may look
        self.fetched: Fetched | None = None
        self.pending: set[Key] = set()
        self.problems: list[Problem] = []
        self.ignored: list[tuple[str, str]] = []

    @property
    def revision(self) -> str:
        """What was taken in, "" = nothing yet."""
        return "" if self.fetched is None else str(self.fetched.revision)

    @property
    def manifests(self) -> Mapping[Key, Manifest]:
        """All that could be read, those with errors included."""
        return self._workspace.manifests()

    async def take(self, revision: Revision) -> None:
        """Stand at `revision`. Errors of the source pass through, and leave everything as it was.

        After any other failure the same difference is read again, which changes nothing that is right already.
        """
        fetched = await self._source.fetch(revision, self.fetched)
        self._stopping = False
        try:
            await self._in_thread(self._read, fetched)
        except asyncio.CancelledError:
            self._stopping = True  # the thread cannot be interrupted, but it can be told
            raise
        self.fetched = dataclasses.replace(fetched, changed={})
        self._judged()
        await self.look_around()
        found = (entry for entries in self._ignored.values() for entry in entries)
        self.ignored = sorted([*found, *fetched.ignored.items()])

    async def _in_thread(self, work: Callable[[Any], None], what: Any) -> None:
        self.reading = True
        try:
            await asyncio.to_thread(work, what)
        except Exception:
            self.reading = False
            raise
        self.reading = False  # not after a cancellation: the thread goes on

    def _read(self, fetched: Fetched) -> None:
        """Decode what changed and lint what that touches. In a thread."""
        options = dataclasses.replace(self._options, revision=str(fetched.revision))
        changed: dict[str, Sequence[Manifest]] = {}
        for path in (*fetched.removed, *fetched.changed):
            self._decoded.pop(path, None)
            self._ignored.pop(path, None)
        for path, data in fetched.changed.items():
            if self._stopping:
                return
            decoded = decode.decode(path, data, options)
            changed[path] = decoded.manifests
            if decoded.problems:
                self._decoded[path] = decoded.problems
            if decoded.ignored:
                self._ignored[path] = decoded.ignored
        self._workspace.update(changed, fetched.removed, self._decoded)

    def _judged(self) -> None:
        """Take over what the workspace has just found."""
        refused = () if self.fetched is None else self.fetched.problems
        self.pending |= self._workspace.touched
        self.problems = sorted([*self._workspace.problems(), *refused])

    async def look_around(self, *, refresh: bool = False) -> bool:
        """Ask the store for the templates of others (another source, a person) that objects with errors refer to.

        refresh: also for those that were found before. Answers whether that changed anything. Without an error and
        without refresh the store is not asked.
        """
        manifests = self.manifests
        named = {problem.object for problem in self.errors()}
        wanting = [m for key, m in manifests.items() if str(key) in named] if named else []
        referred = {key for item in wanting for key in order.references(item.body, item.key.namespace)}
        asked = set(sorted(key for key in referred if key not in manifests)[:LOOKED_UP])
        if refresh:
            asked |= self._foreign.keys()
        if not asked:
            return False
        live = await comparison.found(self._objects, asked)
        others = {key: body for key, body in live.items() if planning.owner_of(body) != self._source.name}
        changed = {key: others.get(key) for key in asked if _version(others.get(key)) != self._foreign.get(key, "")}
        if not changed:
            return False
        await self._in_thread(self._workspace.live_changed, changed)
        for key, body in changed.items():
            if body is None:
                del self._foreign[key]
            else:
                self._foreign[key] = _version(body)
        self._judged()
        self.pending -= changed.keys()
        return True

    def unreadable(self) -> list[str]:
        """Files that hold, or may hold, an object that could not be read: nothing says that it is gone."""
        refused = () if self.fetched is None else self.fetched.problems
        found = [*refused, *(problem for problems in self._decoded.values() for problem in problems)]
        return sorted({problem.place.file for problem in found if problem.severity is Severity.ERROR})

    def errors(self) -> list[Problem]:
        """The problems that hold a source back."""
        return [problem for problem in self.problems if problem.severity is Severity.ERROR]

    def broken(self) -> frozenset[Key]:
        """The pending objects with an error, and the pending ones that refer to them: what `atomic: object` leaves alone."""
        manifests = self.manifests
        named = {problem.object for problem in self.errors()}
        if not named:
            return frozenset()
        wrong = frozenset(key for key in manifests if str(key) in named)
        pending = {key: manifests[key].body for key in self.pending if key in manifests}
        return order.closure(wrong, pending)

    def objects(self) -> int:
        """How many objects the source wants applied."""
        return sum(key.kind not in RUNNABLE for key in self.manifests)


def _version(body: Body | None) -> str:
    """The resource version; "" = no such object."""
    return "" if body is None else str(body["metadata"].get("resourceVersion", "?"))
