"""Time and randomness that tests hold in their hands."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class ManualClock:
    """A clock that stands still until it is moved. Implements `base.clock.Clock`."""

    def __init__(self, now: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = now
        self._monotonic = 0.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Both clocks go on."""
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds

    def set(self, now: datetime) -> None:
        """The wall clock jumps; the monotonic one does not notice."""
        self._now = now


class CountingRandom:
    """Suffixes and uids that count. Implements `base.clock.Random`."""

    def __init__(self) -> None:
        self._count = 0

    def suffix(self, length: int = 5) -> str:
        self._count += 1
        return f"{self._count:0{length}d}"

    def uid(self) -> str:
        self._count += 1
        return f"00000000-0000-4000-8000-{self._count:012d}"

    def jitter(self) -> float:
        return 0.5
