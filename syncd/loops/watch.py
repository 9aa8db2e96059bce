"""The loop that watches runs in a cluster, where Argo's controller runs them: every Workflow, whoever started it.

In: Workflows of the store, listed and watched. Out: events `RunStarted`, `RunFinished`, `RunGone`. Made by `app` for each
term of a leader, run by `loops.runner`; in embedded mode `loops.run` tells these events itself.

What is counted, and how often:

* An end is a Workflow's uid and its `finishedAt`. This process tells each end once, whatever is listed again (an expired or
  stalled watch, a restart of the API server), and also where the run began and ended between two lists.
* A run that is retried ends again, and that end is told as well.
* An end that happened while nobody watched is told when it is later than `since`: the last sign of life of the leader before,
  which has told what came earlier. Without `since` nothing is told that ended before the first list. A leader that crashed
  may have told ends after its last sign of life: those of that renewal interval are told twice, by two processes. One that only
  lost the lease for a while knows what it has told.
* A run that was deleted is forgotten; if it had not ended, RunGone says so and nothing is counted.

Of a run that has ended its uid and a number are kept, of one that has not its key and origin; never a body.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from syncd.argo import labels, status
from syncd.argo.manifest import Body, Key, key_of
from syncd.argo.origin import origin_of, revision_of
from syncd.base.clock import Clock, parse_rfc3339
from syncd.cluster.api import Changed, Objects
from syncd.observe.events import Event, RunFinished, RunGone, RunStarted

PAGE: Final = 250  # bodies in memory at once, while listing


@dataclass(frozen=True, slots=True)
class _Active:
    """A run that has begun and not ended."""

    key: Key
    origin: str


class WatchLoop:
    """See the module. namespaces: None = all; since: asked at the first list; remember: told of successes that are not
    counted, by namespace, origin and moment, so that the last one is known after a restart; told: of an earlier term of this process."""

    def __init__(
        self,
        store: Objects,
        clock: Clock,
        publish: Callable[[Event], None],
        *,
        namespaces: Collection[str] | None = None,
        since: Callable[[], datetime | None] = lambda: None,
        remember: Callable[[str, str, datetime], None] = lambda namespace, origin, at: None,
        told: Mapping[str, int] | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._publish = publish
        self._namespaces = None if namespaces is None else tuple(namespaces)
        self._since = since
        self._remember = remember
        self._active: dict[str, _Active] = {}
        self._ended: dict[str, int] = {}  # uid → Unix second of its end
        self._former = dict(
            told or {}
        )  # the same of runs that the newest list no longer had: the watch may replay them
        self.ready = False

    @property
    def told(self) -> dict[str, int]:
        """The ends that were told, for the next loop of this process."""
        return {**self._former, **self._ended}

    @property
    def unfinished(self) -> int:
        """How many runs have begun and not ended."""
        return len(self._active)

    async def run(self) -> None:
        """Watch until cancelled. Ends with Expired or Unreachable when the watch does: `runner` calls it again."""
        version = await self.load()
        async for change in self._store.watch((labels.WORKFLOW,), version):
            self.take(change)

    async def load(self) -> str:
        """List all runs, tell what is new, forget what is gone; the version to watch from. Repeat it at any time."""
        counted_after: datetime | None = None
        if not self.ready:
            counted_after = self._since()
        seen: set[str] = set()
        version = ""
        async for bodies, page_version in self._pages():
            version = version or page_version  # the oldest: what changed since is taken twice rather than not at all
            for body in bodies:
                seen.add(_uid(body))
                self._see(body, first=not self.ready, counted_after=counted_after)
        self._former = {uid: end for uid, end in self._ended.items() if uid not in seen}
        for uid in self._former:
            del self._ended[uid]
        for uid in [uid for uid in self._active if uid not in seen]:
            self._gone(uid)
        self.ready = True
        return version

    def take(self, change: Changed) -> None:
        """What the watch brings. Other kinds and namespaces are passed over."""
        if change.key.kind != labels.WORKFLOW or not self._watches(change.key.namespace):
            return
        self._see(change.body)
        if change.kind == "DELETED":
            self._gone(_uid(change.body))
            self._ended.pop(_uid(change.body), None)

    async def _pages(self) -> AsyncIterator[tuple[list[Body], str]]:
        for namespace in (None,) if self._namespaces is None else self._namespaces:
            after = ""
            while True:
                page = await self._store.list(labels.WORKFLOW, namespace, limit=PAGE, after=after)
                yield page.items, page.version
                after = page.after
                if not after:
                    break

    def _watches(self, namespace: str) -> bool:
        return self._namespaces is None or namespace in self._namespaces

    def _see(self, body: Body, *, first: bool = False, counted_after: datetime | None = None) -> None:
        """A run stands so. first: it is found by the first list; counted_after: then its end counts only if it is later."""
        uid, state = _uid(body), body.get("status") or {}
        phase = str(state.get("phase") or "")
        if phase not in status.COMPLETED:
            self._see_unfinished(uid, body, state, phase)
            return
        ended = _moment(state.get("finishedAt")) or self._clock.now()
        active, known = self._active.pop(uid, None), self._ended.get(uid, self._former.get(uid))
        end = int(ended.timestamp())
        self._ended[uid] = end if known is None else max(known, end)
        key = key_of(body)
        origin = origin_of(body) if active is None else active.origin
        if known is not None and end <= known:
            if active is not None:  # an old view had shown it unfinished again
                self._publish(RunGone(key, uid, origin))
            elif first and phase == status.SUCCEEDED:
                self._remember(key.namespace, origin, ended)
            return
        if first and active is None and (counted_after is None or ended <= counted_after):
            if phase == status.SUCCEEDED:
                self._remember(key.namespace, origin, ended)
            return
        begun = _moment(state.get("startedAt")) or ended
        seconds = max(0.0, (ended - begun).total_seconds())
        self._publish(RunFinished(key, uid, origin, ended, phase, seconds, str(state.get("message") or "")))

    def _see_unfinished(self, uid: str, body: Body, state: Body, phase: str) -> None:
        begun = _moment(state.get("startedAt"))
        if uid in self._active or not (phase or begun):  # or no controller has taken it up yet
            return
        active = self._active[uid] = _Active(key_of(body), origin_of(body))
        self._publish(RunStarted(active.key, uid, active.origin, begun or self._clock.now(), revision_of(body)))

    def _gone(self, uid: str) -> None:
        active = self._active.pop(uid, None)
        if active is not None:
            self._publish(RunGone(active.key, uid, active.origin))


def _uid(body: Body) -> str:
    return str(body["metadata"].get("uid", ""))


def _moment(text: Any) -> datetime | None:
    try:
        return parse_rfc3339(text) if isinstance(text, str) and text else None
    except ValueError:
        return None
