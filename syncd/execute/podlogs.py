"""Logs of runs in a cluster: those of their pods, read through the API server and put together in order of time. Implements `api.Logs`.

In: a reader of pods (`cluster.kube.pods`), a run. Out: `LogLine`s. Constructed by `app`; used by `server.logreading`.

A log that has ended is merged by the kubelet's times: a pod's log is opened when the merge comes to the moment at which its container
began, so that as many are open at once as ran at once. What is still being written is followed in every pod, and put in order within
each tenth of a second. A log lives as long as its pod: once that is gone, nothing is left here. Nothing is masked: whoever may read
the pods' logs has them from `kubectl logs` as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import re
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from syncd.argo.manifest import Key
from syncd.base.clock import parse_rfc3339
from syncd.base.errors import Invalid, NotFound, SyncdError, Unreachable
from syncd.execute.api import LogLine
from syncd.execute.logfiles import LINE_BYTES

POD_BYTES: Final = 64 << 20
"""Of one pod's log, in one reading."""

TAIL_LINES: Final = 100_000
OPEN: Final = 64
"""Logs that are read at once. Past it a further pod waits for one to end, and its lines may come late."""

_GATHER_SECONDS: Final = 0.1
_TRIES: Final = 5  # to read a pod's log that breaks off, one after the other
_FRACTION: Final = re.compile(r"\.([0-9]{1,9})[0-9]*")

Moment = tuple[int, int]
"""Seconds since 1970, and nanoseconds: `datetime` would cut them."""


class Pod(Protocol):
    """As `cluster.kube.pods.Pod`."""

    @property
    def name(self) -> str: ...
    @property
    def node_id(self) -> str: ...
    @property
    def containers(self) -> Mapping[str, datetime | None]: ...
    @property
    def ended(self) -> bool: ...


class Pods(Protocol):
    """Who knows the pods: `cluster.kube.pods.KubePods`. Lines come with their time in front."""

    async def of_run(self, run: Key, uid: str) -> Sequence[Pod]: ...

    def lines(
        self,
        namespace: str,
        pod: str,
        container: str,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: datetime | None = None,
        most_bytes: int | None = None,
    ) -> AsyncGenerator[str, None]: ...


@dataclass(slots=True)
class _Place:
    """How far a pod's log was read. count: lines with the time of the last one, which a second reading brings again."""

    at: Moment = (0, 0)
    moment: datetime | None = None  # None = nothing was read
    count: int = 0
    size_bytes: int = 0

    def take(self, at: Moment, moment: datetime) -> None:
        self.count = self.count + 1 if at == self.at else 1
        self.at, self.moment = at, moment


@dataclass(slots=True)
class _Asked:
    """What one reader wants, and what it came to know. gone: of pods that went while they were read, or whose nodes are gone,
    which the API server calls the same."""

    run: Key
    uid: str
    pods: frozenset[str] | None
    container: str
    since: datetime | None
    places: dict[str, _Place] = field(default_factory=dict)
    faults: list[SyncdError] = field(default_factory=list)
    gone: list[NotFound] = field(default_factory=list)

    def place(self, pod: str) -> _Place:
        return self.places.setdefault(pod, _Place())


Line = tuple[Moment, LogLine]


class PodLogs:
    """Implements `api.Logs`. look_seconds: how often new pods are looked for; last_seconds: how long the end of a run's log is
    waited for."""

    def __init__(self, pods: Pods, look_seconds: float = 2.0, last_seconds: float = 5.0) -> None:
        self._pods = pods
        self._look_seconds = look_seconds
        self._last_seconds = last_seconds
        self._ended: deque[str] = deque(maxlen=10_000)

    async def read(
        self,
        run_uid: str,
        *,
        run: Key | None = None,
        pods: frozenset[str] | None = None,
        container: str = "main",
        follow: bool = False,
        tail: int | None = None,
        since: datetime | None = None,
    ) -> AsyncIterator[LogLine]:
        """See `api.Logs.read`. Raises NotFound where no pod is left to read from, and what reading raises."""
        if run is None:
            return
        if follow and run_uid in self._ended:
            self._ended = deque((uid for uid in self._ended if uid != run_uid), maxlen=self._ended.maxlen)
        asked = _Asked(run, run_uid, pods, container, since)
        there = await self._there(asked)
        lines: Any = self._merged(there, asked, tail)
        if tail is not None:
            last: deque[Line] = deque(maxlen=min(tail, TAIL_LINES))
            async for line in lines:
                last.append(line)
            for _, told in last:
                yield told
        else:
            async for _, told in lines:
                yield told
        if follow:
            async with contextlib.aclosing(_Following(self, asked, there).lines()) as more:
                async for told in more:
                    yield told
        if not any(place.count for place in asked.places.values()):
            self._check(there, asked)
        if asked.faults and not follow:
            raise asked.faults[0]

    def stop_following(self, run_uid: str) -> None:
        """The run has ended: followers read to the end and stop."""
        self._ended.append(run_uid)

    async def remove(self, run_uid: str) -> None:
        """They go with the pods."""

    def has_ended(self, run_uid: str) -> bool:
        """Whether `stop_following` was said."""
        return run_uid in self._ended

    @property
    def pace(self) -> tuple[float, float]:
        """(look_seconds, last_seconds)"""
        return self._look_seconds, self._last_seconds

    def opened(
        self, pod: Pod, asked: _Asked, *, follow: bool = False, tail: int | None = None
    ) -> AsyncGenerator[Line, None]:
        """What a pod's log has beyond its place. Raises what reading raises."""
        return _opened(self._pods, pod, asked, follow=follow, tail=tail)

    async def _there(self, asked: _Asked) -> list[Pod]:
        found = await self._pods.of_run(asked.run, asked.uid)
        return [pod for pod in found if asked.pods is None or pod.name in asked.pods]

    async def look(self, asked: _Asked) -> list[Pod]:
        """The pods that are wanted and there now."""
        return await self._there(asked)

    def _check(self, there: Sequence[Pod], asked: _Asked) -> None:
        """Nothing was read: say why where there is a reason. Raises NotFound."""
        if asked.gone and not asked.faults:
            raise asked.gone[0]
        if not there:
            raise NotFound(f"no pod of {asked.run} is there to read a log from")
        names = sorted({name for pod in there for name in pod.containers})
        if names and asked.container not in names:
            raise NotFound(f"no pod of {asked.run} has a container {asked.container!r}; they have {', '.join(names)}")

    async def _merged(self, there: Sequence[Pod], asked: _Asked, tail: int | None) -> AsyncGenerator[Line, None]:
        """What the pods have printed so far, in order of time. A pod that cannot be read is noted in asked.faults."""
        began = [(moment, pod) for pod in there if (moment := pod.containers.get(asked.container)) is not None]
        waiting = deque(sorted(began, key=lambda pair: (pair[0], pair[1].name)))
        numbers = itertools.count()
        heads: list[tuple[Moment, int, LogLine, AsyncGenerator[Line, None]]] = []

        async def advance(source: AsyncGenerator[Line, None], number: int) -> None:
            try:
                at, told = await anext(source)
            except StopAsyncIteration:
                return
            except NotFound as error:
                asked.gone.append(error)
                return
            except Invalid:  # not begun after all
                return
            except Unreachable as error:  # its machine; the others can be read all the same
                asked.faults.append(error)
                return
            heapq.heappush(heads, (at, number, told, source))

        try:
            while waiting or heads:
                while waiting and len(heads) < OPEN and (not heads or int(waiting[0][0].timestamp()) <= heads[0][0][0]):
                    source = self.opened(waiting.popleft()[1], asked, tail=tail)
                    await advance(source, next(numbers))
                if heads:
                    at, number, told, source = heapq.heappop(heads)
                    yield at, told
                    await advance(source, number)
        finally:
            for *_, source in heads:
                await source.aclose()


class _Following:
    """The log of a run that goes on: a task for each pod that prints, and a look at the pods now and then."""

    def __init__(self, logs: PodLogs, asked: _Asked, there: Sequence[Pod]) -> None:
        self._logs = logs
        self._asked = asked
        self._running: dict[str, asyncio.Task[None]] = {}
        self._done = {pod.name for pod in there if pod.ended and pod.name in asked.places}
        self._tries: dict[str, int] = {}
        self._found: list[Line] = []
        self._news = asyncio.Event()
        self._error: SyncdError | None = None

    async def lines(self) -> AsyncGenerator[LogLine, None]:
        """Until the run has ended and all is read."""
        look_seconds, last_seconds = self._logs.pace
        now = asyncio.get_running_loop().time
        look_at, limit = now(), float("inf")
        try:
            while True:
                if now() >= look_at:
                    over = self._logs.has_ended(self._asked.uid)
                    await self._look()
                    look_at = now() + look_seconds
                    if over and limit == float("inf"):
                        limit = now() + last_seconds
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(look_seconds, 0.5)):
                        await self._news.wait()
                if self._found:
                    await asyncio.sleep(_GATHER_SECONDS)
                self._news.clear()
                lines, self._found = sorted(self._found, key=lambda line: line[0]), []
                for _, told in lines:
                    yield told
                if self._error is not None:
                    raise self._error
                if limit == float("inf") and self._logs.has_ended(self._asked.uid):
                    look_at = now()  # what came since the last look is wanted as well
                elif not lines and not self._found and (now() > limit or (limit < float("inf") and not self._running)):
                    return
        finally:
            for task in self._running.values():
                task.cancel()
            await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _look(self) -> None:
        try:
            there = await self._logs.look(self._asked)
        except Unreachable:
            return  # the next look may be answered
        for pod in there:
            if pod.name in self._running or pod.name in self._done or len(self._running) >= OPEN:
                continue
            if pod.containers.get(self._asked.container) is not None:
                task = asyncio.create_task(self._follow(pod), name=f"log of {pod.name}")
                self._running[pod.name] = task

    async def _follow(self, pod: Pod) -> None:
        """To the end of the pod's log. Where it breaks off, the next look begins again behind what was read."""
        try:
            async with contextlib.aclosing(self._logs.opened(pod, self._asked, follow=True)) as lines:
                async for line in lines:
                    self._tries.pop(pod.name, None)
                    self._found.append(line)
                    self._news.set()
            if pod.ended:
                self._done.add(pod.name)
        except NotFound:
            self._done.add(pod.name)
        except Invalid:
            pass  # not begun; the next look tries again
        except Unreachable as error:
            self._tries[pod.name] = self._tries.get(pod.name, 0) + 1
            if self._tries[pod.name] >= _TRIES:
                self._error = error
        except SyncdError as error:
            self._error = error
        finally:
            del self._running[pod.name]
            self._news.set()


async def _opened(pods: Pods, pod: Pod, asked: _Asked, *, follow: bool, tail: int | None) -> AsyncGenerator[Line, None]:
    place = asked.place(pod.name)
    skip = place.count
    before = place.at
    since = max(filter(None, (asked.since, place.moment)), default=None)
    cap = None if follow else POD_BYTES
    most = None if cap is None else cap + 2 * LINE_BYTES  # so that it is seen that there is more
    lines = pods.lines(
        asked.run.namespace, pod.name, asked.container, follow=follow, tail=tail, since=since, most_bytes=most
    )
    async with contextlib.aclosing(lines):
        async for raw in lines:
            place.size_bytes += len(raw) + 1
            at, moment, text = stamped(raw, place.at, place.moment)
            if at < before:
                continue
            if at == before and skip:
                skip -= 1
                continue
            if asked.since is not None and moment is not None and moment < asked.since:
                continue  # the API server knows seconds
            if moment is not None:
                place.take(at, moment)
            text = text.encode()[:LINE_BYTES].decode(errors="ignore") if len(text) > LINE_BYTES // 4 else text
            yield at, LogLine(pod.name, pod.node_id, asked.container, moment, text)
            if cap is not None and place.size_bytes >= cap:
                break
    if cap is not None and place.size_bytes >= cap:
        said = f"(syncd: the log is longer than {cap >> 20} MiB; `kubectl logs {pod.name}` has the rest)"
        yield place.at, LogLine(pod.name, pod.node_id, asked.container, place.moment, said)


def stamped(raw: str, at: Moment, moment: datetime | None) -> tuple[Moment, datetime | None, str]:
    """A line without the kubelet's time, and that time. at, moment: of the line before, for one that has none.

    >>> stamped("2026-01-01T00:00:01.000000007Z hi there", (0, 0), None)[::2]
    ((1767225601, 7), 'hi there')
    """
    head, _, text = raw.partition(" ")
    try:
        found = parse_rfc3339(head)
    except ValueError:
        return at, moment, raw
    fraction = _FRACTION.search(head)
    nanoseconds = int(fraction[1].ljust(9, "0")) if fraction else 0
    return (int((found - _EPOCH) // timedelta(seconds=1)), nanoseconds), found, text.removesuffix("\r")


_EPOCH: Final = parse_rfc3339("1970-01-01T00:00:00Z")
