"""The logs of a run as Argo streams them: `{"content", "podName"}`, filtered, and ended when the run has ended.

Comes in: the store, the logs and what the client asked for. Goes out: entries for `stream.relay`. Called by
`routes.logs`. A step may be named by its pod, its node id, or by what people call it (display name, template).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from syncd.argo.manifest import Body, Key
from syncd.base.clock import rfc3339_micro
from syncd.base.errors import Invalid, NotFound, SyncdError, Unsupported
from syncd.cluster.api import Changed, Store
from syncd.execute.api import LogLine, Logs
from syncd.server import grep, listing, stream, wire

_MOST_TAIL: Final = 1_000_000
_LOOK_AGAIN_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for. step: "" = all; tail: None = from the beginning; since: None = any time."""

    step: str = ""
    container: str = "main"
    follow: bool = False
    tail: int | None = None
    since: datetime | None = None
    timestamps: bool = False
    matches: Callable[[str], bool] | None = None


def parse(query: Mapping[str, str], step: str, now: datetime) -> Request:
    """What a URL asks for, in Argo's words (`logOptions.follow`, `grep`, …) or without their prefix. Raises Invalid."""
    options = {name: query.get(f"logOptions.{name}", query.get(name, "")) for name in _OPTIONS}
    if query.get("selector"):
        raise Unsupported("logs by pod selector need a cluster; name the step instead")
    seconds = wire.count(options, "sinceSeconds", default=0, at_most=10**9)
    since = wire.moment(options, "sinceTime")
    tail = options["tailLines"]
    if tail in ("", "-1"):
        lines = None
    else:
        lines = wire.count(options, "tailLines", default=0, at_most=_MOST_TAIL)
    pattern = query.get("grep", "")
    container = options["container"] or "main"
    if len(container) > 253 or not container.replace("-", "").isalnum():
        raise Invalid(f"container {container[:80]!r} is malformed")
    return Request(
        step=step or query.get("podName", ""),
        container=container,
        follow=bool(options["follow"]) and wire.flag(options, "follow"),
        tail=lines,
        since=since or (now - timedelta(seconds=seconds) if seconds else None),
        timestamps=bool(options["timestamps"]) and wire.flag(options, "timestamps"),
        matches=grep.compile(pattern) if pattern else None,
    )


_OPTIONS: Final = ("container", "follow", "sinceSeconds", "sinceTime", "tailLines", "timestamps")


class Reading:
    """The entries of one log stream, as an async iterator that must be closed: a follower has a task of its own."""

    def __init__(
        self, store: Store, logs: Logs, key: Key, run: Body, asked: Request, ended: asyncio.Task[None] | None
    ) -> None:
        self._logs = logs
        self._key = key
        self._uid = run["metadata"]["uid"]
        self._asked = asked
        self._steps = _Steps(store, key, run, asked.step) if asked.step else None
        self._ended = ended
        self._entries = self._run()

    def __aiter__(self) -> Reading:
        return self

    async def __anext__(self) -> dict[str, Any]:
        return await anext(self._entries)

    async def aclose(self) -> None:
        """Stop following."""
        await self._entries.aclose()
        if self._ended is not None:
            self._ended.cancel()
            await asyncio.gather(self._ended, return_exceptions=True)

    async def _run(self) -> AsyncGenerator[dict[str, Any], None]:
        """First the step, then the tail, then grep: in the order of Argo, where the tail is cut before the server sees it."""
        asked = self._asked
        skip, tail = 0, asked.tail
        if self._steps is not None and tail is not None:
            # The logs would count the lines of all steps: count those of this one, and skip all but the last.
            total = 0
            async with contextlib.aclosing(self._lines(follow=False, tail=None)) as lines:
                async for _ in lines:
                    total += 1
            skip, tail = max(0, total - tail), None
        async with contextlib.aclosing(self._lines(follow=self._ended is not None, tail=tail)) as lines:
            async for line in lines:
                if skip:
                    skip -= 1
                elif asked.matches is None or asked.matches(line.text):
                    yield _entry(line, asked.timestamps)

    async def _lines(self, *, follow: bool, tail: int | None) -> AsyncGenerator[LogLine, None]:
        """The lines of the steps that are asked for."""
        asked = self._asked
        lines = self._logs.read(
            self._uid, run=self._key, container=asked.container, follow=follow, tail=tail, since=asked.since
        )
        try:
            async for line in lines:
                if self._steps is None or await self._steps.has(line.pod_name, line.node_id):
                    yield line
        finally:
            await stream.close(lines)


def _entry(line: LogLine, timestamps: bool) -> dict[str, Any]:
    text = line.text
    if timestamps and line.at is not None:
        text = f"{rfc3339_micro(line.at)} {text}"
    return {"content": text, "podName": line.pod_name}


async def begin(store: Store, logs: Logs, key: Key, asked: Request) -> Reading:
    """The log of a run. Raises NotFound for a run that is not there; a run without lines has an empty stream."""
    # The version before the state: no end of the run can fall between them unseen.
    version = await listing.version(store, key.kind) if asked.follow else ""
    key = await listing.resolve(store, key)
    run = await store.get(key)
    ended = None
    if asked.follow and not _has_ended(run):
        changes = store.watch({key.kind}, version)
        ended = asyncio.create_task(_stop_at_end(changes, logs, run["metadata"]["uid"]))
    return Reading(store, logs, key, run, asked, ended)


async def _stop_at_end(changes: Any, logs: Logs, uid: str) -> None:
    """Tell followers when the run has ended or was deleted. The run loop does so as well; twice does no harm."""
    try:
        async for change in changes:
            if _ends(change, uid):
                break
    except SyncdError:
        pass  # the store can no longer say: better an early end than a follower for ever
    finally:
        await stream.close(changes)
    while True:  # until the reader closes: one that has not begun to follow would miss the first
        logs.stop_following(uid)
        await asyncio.sleep(1)


def _ends(change: Changed, uid: str) -> bool:
    if (change.body.get("metadata") or {}).get("uid") != uid:
        return False
    return change.kind == "DELETED" or _has_ended(change.body)


def _has_ended(run: Body) -> bool:
    return bool((run.get("status") or {}).get("finishedAt"))


class _Steps:
    """Which pods and nodes a name means. Nodes come into being while a log is followed, so unknown ones are looked up,
    but no more than twice a second: the nodes of a run can be many."""

    def __init__(self, store: Store, key: Key, run: Body, wanted: str) -> None:
        self._store = store
        self._key = key
        self._uid = run["metadata"]["uid"]
        self._wanted = wanted
        self._known: dict[str, bool] = {}
        self._looked = float("-inf")
        self._learn((run.get("status") or {}).get("nodes") or {})

    async def has(self, pod_name: str, node_id: str) -> bool:
        """Whether a line of this pod and node is wanted."""
        if self._wanted in (pod_name, node_id):
            return True
        if node_id not in self._known:
            loop = asyncio.get_running_loop()
            await asyncio.sleep(max(0.0, self._looked + _LOOK_AGAIN_SECONDS - loop.time()))
            self._looked = loop.time()
            self._learn(await self._nodes())
            self._known.setdefault(node_id, False)
        return self._known[node_id]

    async def _nodes(self) -> Mapping[str, Any]:
        """As rows where syncd runs workflows, in the object where Argo does."""
        if found := await self._store.nodes(self._uid):
            return found
        with contextlib.suppress(NotFound):
            return (await self._store.get(self._key)).get("status", {}).get("nodes") or {}
        return {}

    def _learn(self, nodes: Mapping[str, Any]) -> None:
        for node_id, node in nodes.items():
            names = (node.get("displayName"), node.get("name"), node.get("templateName"))
            self._known[node_id] = self._wanted in names
