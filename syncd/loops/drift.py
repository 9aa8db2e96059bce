"""Hears of changes that others make to what sources declare, so that they are corrected at once and not at the next full look.

In: a watch of the kinds that are applied. Out: `SyncLoop.noticed` of every source, which decides for itself, without asking anybody,
whether the change concerns it. Only where others can write (a cluster); run by `loops.runner` while this replica leads.
ConfigMaps and Secrets are not watched: a cluster is full of others'. They are compared at every drift interval.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from syncd.argo import labels
from syncd.base.errors import Refused, Unsupported
from syncd.cluster.api import Changed, Objects

KINDS: Final = (labels.WORKFLOW_TEMPLATE, labels.CRON_WORKFLOW, labels.CLUSTER_WORKFLOW_TEMPLATE)


class Noticing(Protocol):
    """What is asked of a sync loop."""

    def noticed(self, changed: Changed) -> None: ...


class DriftLoop:
    """loops: the sync loops by name; they come and go."""

    def __init__(self, objects: Objects, loops: Mapping[str, Noticing]) -> None:
        self._objects = objects
        self._loops = loops

    async def run(self) -> None:
        """Watch until cancelled. Ends with Expired or Unreachable when the watch does: what was missed meanwhile is found by the
        next full comparison."""
        kinds, version = [], ""
        for kind in KINDS:
            try:
                page = await self._objects.list(kind, limit=1)
            except (Refused, Unsupported):
                continue  # not ours to read: no source can have put one there
            kinds.append(kind)
            version = version or page.version
        if not kinds:
            return
        async for changed in self._objects.watch(kinds, version):
            for loop in list(self._loops.values()):
                loop.noticed(changed)
