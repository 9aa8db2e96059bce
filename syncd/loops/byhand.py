"""What people do with a cron by hand, on any store, whether the fire loop runs in this process or in another.

In: a store, the key of a cron, who asks. Out: the changed object, or the child that was made. Called by `loops.fire`, and by
`app` where another replica leads: nothing here needs the lease, since versions and names keep two hands apart.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from syncd.argo import crons, labels, manifest
from syncd.argo.manifest import Body, Key
from syncd.base.clock import Clock, Random, rfc3339
from syncd.base.errors import AlreadyExists, Conflict, Invalid, SyncdError
from syncd.cluster.api import Objects, Verb, Write
from syncd.cron import due, explain, firing, timetable
from syncd.cron.ledger import Outcome, Reason, Row
from syncd.loops.launch import Store


async def suspend(objects: Objects, key: Key, suspended: bool, *, by: str, now: datetime) -> Body:
    """Suspend a cron, or let it go on; who and since when is noted on it, and survives a sync. Repeating changes nothing.

    Raises NotFound, Conflict.
    """
    body = await objects.get(key)
    metadata = body.get("metadata") or {}
    if ((body.get("spec") or {}).get("suspend") is True) is suspended:
        return body
    note: str | None = None
    if labels.BY_HAND not in (metadata.get("annotations") or {}):
        note = json.dumps({"field": "spec.suspend", "who": by or "somebody", "since": rfc3339(now)})
    # a second change by hand leads back to what git says, so the note goes
    patch = {"metadata": {"annotations": {labels.BY_HAND: note}}, "spec": {"suspend": suspended}}
    version = str(metadata.get("resourceVersion", ""))
    (written,) = await objects.write([Write(Verb.PATCH, key, patch, expect=version)])
    if written.error is not None:
        raise written.error
    return written.body or {}


class Hands:
    """The same, and trigger and explain, for a process in which nothing fires. revision_of, instance: as `fire.FireLoop` has them."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        random: Random,
        *,
        revision_of: Callable[[str], str] = lambda _: "",
        instance: str = "",
    ) -> None:
        self._store = store
        self._clock = clock
        self._random = random
        self._revision_of = revision_of
        self._instance = instance

    async def suspend(self, key: Key, *, by: str) -> Body:
        """As the function."""
        return await suspend(self._store, key, True, by=by, now=self._clock.now())

    async def resume(self, key: Key, *, by: str) -> Body:
        """As the function."""
        return await suspend(self._store, key, False, by=by, now=self._clock.now())

    async def trigger(self, key: Key, *, by: str) -> Body:
        """Run a cron now; answers the child. The row first, as for a slot. Raises NotFound, Invalid, Refused, Unreachable."""
        cron = crons.parse(await self._store.get(key))
        now = self._clock.now()
        source = cron.labels.get(labels.OWNER_SOURCE, "")
        revision = (self._revision_of(source) if source else "") or cron.annotations.get(labels.REVISION, "")
        name = f"{key.name}-{self._random.suffix()}"
        body = firing.manual(cron, name, now, revision, self._instance)
        row = Row(
            cron=key,
            cron_uid=cron.uid,
            slot=now,
            outcome=Outcome.PENDING,
            reason=Reason.MANUAL,
            decided_at=now,
            until=now,
            run=name,
            message=f"by {by}" if by else "",
            revision=revision,
        )
        await self._store.record([row])
        (written,) = await self._store.write([Write(Verb.CREATE, manifest.key_of(body), body)])
        error: SyncdError | None = written.error
        if isinstance(error, AlreadyExists):
            error = Conflict(f"{error}; try again")
        if error is not None:
            closed = due.close(row, self._clock.now(), Outcome.FAILED, Reason.SUBMISSION, str(error))
            await self._store.record([closed])
            raise error
        await self._store.record([due.close(row, self._clock.now())])
        return written.body or body

    async def explain(self, key: Key, slot: datetime | None, limit: int) -> dict[str, Any]:
        """What the ledger and the schedule say. limit: how many rows to tell. Raises NotFound."""
        cron = crons.parse(await self._store.get(key))
        wanted = max(limit, 20) if slot is None else max(limit, 10_000)
        rows = [row for row in await self._store.rows(key, limit=wanted) if row.cron_uid == cron.uid]
        told = explain.explain(cron, rows, self._clock.now(), slot).to_json()
        told["rows"] = told["rows"][: max(limit, 0)]
        return dict(told)


def next_fire(body: Body, now: datetime) -> datetime | None:
    """When a cron fires next, by its schedule alone; None = never: suspended, stopped, or no schedule that can be read."""
    cron = crons.parse(body)
    if cron.suspend or cron.stopped:
        return None
    try:
        return timetable.of(cron).next(now)
    except Invalid:
        return None
