"""Tidies up after schedules in a cluster: rows of the ledger that are old, or of crons that are long gone.

In: the store's ledger, how long rows are kept. Out: fewer rows. Runs are Argo's to delete (their TTL), and the history of a cron is
cut by `loops.standing`. Run by `loops.runner` while this replica leads; in embedded mode `loops.collect` does it.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Final

from syncd.base.clock import Clock
from syncd.cluster.api import Ledger

log = logging.getLogger(__name__)

EVERY: Final = timedelta(hours=1)


class TidyLoop:
    """age: of rows that go, 0 = none by age; keep: rows that each cron keeps, however old."""

    def __init__(self, ledger: Ledger, clock: Clock, age: timedelta, keep: int) -> None:
        self._ledger = ledger
        self._clock = clock
        self._age = age
        self._keep = keep

    async def run(self) -> None:
        """Tidy until cancelled."""
        while True:
            await asyncio.sleep(EVERY.total_seconds())
            await self.step()

    async def step(self) -> None:
        """Once."""
        if self._age:
            dropped = await self._ledger.prune(self._clock.now() - self._age, self._keep)
            if dropped:
                log.info("dropped %d old rows of the ledger", dropped)
