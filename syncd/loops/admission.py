"""From a Workflow of the store to what its machine needs: everything it refers to, read from the store; and where it comes from.

In: a Workflow. Out: `engine.admit`'s run, the status of one that is refused, the origin and revision that events tell. Called
by `loops.run` and `app`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from syncd.argo import labels, status
from syncd.argo.manifest import Body, Key
from syncd.base.clock import rfc3339
from syncd.base.errors import NotFound
from syncd.cluster.api import Entry, Objects
from syncd.engine import admit


async def admitted(store: Objects, workflow: Body, defaults: Mapping[str, Any] | None) -> Body:
    """The run of `workflow`, with all that it refers to as it is now. Raises Invalid.

    `admit` wants its templates at hand: it is asked again with each that it lacked.
    """
    known: dict[Key, Body | None] = {}

    def lookup(key: Key) -> Body:
        if key not in known:
            raise _Wanted(key)
        body = known[key]
        if body is None:
            raise NotFound(f"{key} not found")
        return body

    while True:
        try:
            return admit.admit(workflow, lookup, defaults)
        except _Wanted as wanted:
            try:
                known[wanted.key] = await store.get(wanted.key)
            except NotFound:
                known[wanted.key] = None


class _Wanted(Exception):
    """`admit` needs an object that is not at hand."""

    def __init__(self, key: Key) -> None:
        super().__init__(str(key))
        self.key = key


def refusal(workflow: Body, message: str, now: datetime) -> Entry:
    """The only entry of a Workflow that cannot begin: it has failed, as in Argo."""
    ended = {
        "phase": status.FAILED,
        "message": message,
        "startedAt": rfc3339(now),
        "finishedAt": rfc3339(now),
        "progress": "0/0",
        "conditions": [{"type": "Completed", "status": "True"}],
    }
    marks = {labels.PHASE: status.FAILED, labels.COMPLETED: "true"}
    return Entry(workflow["metadata"]["uid"], 1, now, [], status=ended, labels=marks)
