"""Time and randomness as arguments: protocols only. The real ones are made in `app`, the manual ones in `tests/support`.

Every time in syncd is aware and UTC; text at the API is RFC 3339 with second precision, as Kubernetes writes it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where loops get the time from."""

    def now(self) -> datetime:
        """Wall clock: aware, UTC. May jump either way."""

    def monotonic(self) -> float:
        """Seconds that never go back; only differences mean anything."""


class Random(Protocol):
    """Where loops get randomness from (jitter, generated names, uids)."""

    def suffix(self, length: int = 5) -> str:
        """Random lower-case letters and digits without vowels, as Kubernetes' generateName appends."""

    def uid(self) -> str:
        """A new random UUID, text form."""

    def jitter(self) -> float:
        """Uniform in [0, 1)."""


def rfc3339(moment: datetime) -> str:
    """Kubernetes' text of a moment, whole seconds.

    >>> rfc3339(datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC))
    '2026-01-02T03:04:05Z'
    """
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc3339_micro(moment: datetime) -> str:
    """Like `rfc3339` with microseconds, as Kubernetes' MicroTime.

    >>> rfc3339_micro(datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC))
    '2026-01-02T03:04:05.000678Z'
    """
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_rfc3339(text: str) -> datetime:
    """The moment that RFC 3339 text names; aware, UTC. Raises ValueError for anything else, a naive time included."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"time {text!r} has no zone")
    return moment.astimezone(UTC)
