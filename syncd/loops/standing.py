"""What a cron's object shows: its status, written back, and its history, cut.

In: the crons that `loops.crontab` has marked. Out: patches of their status, deletions of Workflows beyond the limits.
Constructed and called by `loops.fire` only, under its lock.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from syncd.argo import labels
from syncd.argo.crons import STOPPED, CronWorkflow
from syncd.argo.manifest import Key
from syncd.base.errors import Conflict, Invalid, NotFound, Unreachable
from syncd.cluster.api import Objects, Verb, Write, Written
from syncd.cron import children, conditions
from syncd.loops.crontab import Armed, Crontab, version_of
from syncd.loops.launch import BATCH

Terminate = Callable[[Key], Awaitable[object]]
"""Ends a run: `loops.run`'s in embedded mode. May raise NotFound and Conflict: then it has ended."""


class Standing:
    """Writes what is marked, and only that. terminate: None = by spec.shutdown, which Argo's controller obeys."""

    def __init__(self, store: Objects, tab: Crontab, terminate: Terminate | None) -> None:
        self._store = store
        self._tab = tab
        self._terminate = terminate
        self._ending: list[Key] = []

    def end(self, namespace: str, names: Sequence[str]) -> None:
        """Terminate these runs at the next `end_replaced`."""
        self._ending += [Key(labels.WORKFLOW, namespace, name) for name in names]

    async def end_replaced(self) -> None:
        """Do it. A run that is gone or has ended needs no ending. Raises Unreachable; what is left stays noted."""
        while self._ending:
            key = self._ending[0]
            with suppress(NotFound, Conflict):
                await (self._shut_down(key) if self._terminate is None else self._terminate(key))
            self._ending.pop(0)

    async def _shut_down(self, key: Key) -> None:
        (written,) = await self._store.write([Write(Verb.PATCH, key, {"spec": {"shutdown": "Terminate"}})])
        if written.error is not None:
            raise written.error

    async def write_back(self, now: datetime, keep: Collection[str]) -> None:
        """Cut histories, then write the status of every cron that changed, a batch at a time.

        keep: names of children that must not be deleted yet. Raises Unreachable; what is left stays marked.
        """
        failed: Unreachable | None = None
        await self._cut_histories(keep)
        keys = list(self._tab.dirty)
        for start in range(0, len(keys), BATCH):
            batch = [self._tab.armed[key] for key in keys[start : start + BATCH] if key in self._tab.armed]
            for armed in batch:
                self._stop_where_done(armed, now)
                active = children.references(armed.children.values(), armed.cron.key.namespace)
                armed.cron = replace(armed.cron, status=replace(armed.cron.status, active=active))
            written = await self._write(
                [Write(Verb.PATCH, a.cron.key, children.patch(a.cron), uid=a.cron.uid) for a in batch]
            )
            for armed, answer in zip(batch, written, strict=True):
                if isinstance(answer.error, Unreachable):
                    failed = answer.error
                    continue
                self._tab.dirty.pop(armed.cron.key, None)  # gone or refused: the watch will say
                if answer.body is not None:
                    armed.awaiting = version_of(answer.body)
        if failed is not None:
            raise failed

    def _stop_where_done(self, armed: Armed, now: datetime) -> None:
        """Argo asks for the stop strategy when a child ends, and not only at the next slot."""
        cron = armed.cron
        if cron.stopped or not cron.stop_expression:
            return
        with suppress(Invalid):  # said at the next slot
            if conditions.stops(cron, cron.status.last_scheduled_time, now):
                armed.cron = stopped(cron)
                self._tab.touched[cron.key] = None

    async def _cut_histories(self, keep: Collection[str]) -> None:
        keys, self._tab.surplus = list(self._tab.surplus), {}
        writes: list[Write] = []
        for armed in (self._tab.armed[key] for key in keys if key in self._tab.armed):
            for child in children.surplus(armed.children.values(), armed.cron):
                if child.name not in keep:  # its name is still the lock
                    key = Key(labels.WORKFLOW, armed.cron.key.namespace, child.name)
                    writes.append(Write(Verb.DELETE, key, uid=child.uid))
        try:
            await self._write(writes)
        except Unreachable:
            self._tab.surplus.update(dict.fromkeys(keys))
            raise

    async def _write(self, writes: Sequence[Write]) -> list[Written]:
        written: list[Written] = []
        for start in range(0, len(writes), BATCH):
            written += await self._store.write(writes[start : start + BATCH])
        return written


def stopped(cron: CronWorkflow) -> CronWorkflow:
    """The cron as its stop strategy leaves it. Source: Argo v4.1.2 workflow/cron/operator.go setAsCompleted."""
    tags = {**cron.labels, labels.CRON_COMPLETED: "true"}
    return replace(cron, labels=tags, status=replace(cron.status, phase=STOPPED))
