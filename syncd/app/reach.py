"""Says once that the API server does not answer, and once that it does again: not at every try of every loop.

In: what the door tells of each request, and the events of the bus. Out: lines of the log, and events for the journal. Made by `cluster`,
used by `replica`. What failed only because the server is away is told by a debug line.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Final

from syncd.base.clock import Clock
from syncd.base.units import human_duration
from syncd.observe.events import Event, LoopFailed, SourceSynced
from syncd.observe.journal import Journal

log = logging.getLogger(__name__)

_CALM_SECONDS: Final = 3.0
"""It answers again when nothing has failed for so long: where every second request is lost, the log is not flooded."""


class Reach:
    """Whether the API server answers. journal: that writes the events."""

    def __init__(self, clock: Clock, journal: Journal) -> None:
        self._clock = clock
        self._journal = journal
        self._since: float | None = None  # monotonic, None = it answers
        self._failed_at = 0.0

    @property
    def away(self) -> bool:
        """Whether it does not answer now."""
        return self._since is not None

    def told(self, code: int, why: str) -> None:
        """A request has ended. code: HTTP, 0 = without an answer; why: then, in words."""
        now = self._clock.monotonic()
        if code == 0 and why:
            self._failed_at = now
            if self._since is None:
                self._since = now
                log.warning("%s", why)
        elif code and self._since is not None and now - self._failed_at >= _CALM_SECONDS:
            since, self._since = self._since, None
            log.info("the API server answers again, after %s", human_duration(timedelta(seconds=now - since)))

    def hear(self, event: Event) -> None:
        """A subscriber of the bus: the journal, but for what follows from an absence that was told."""
        match event:
            case LoopFailed(kind="Unreachable") if self.away:
                log.debug("loop %s: %s", event.loop, event.message)
            case SourceSynced(result="failed", reason="Unreachable") if self.away:
                log.debug("source %s: %s", event.source, event.reason)
            case _:
                self._journal(event)
