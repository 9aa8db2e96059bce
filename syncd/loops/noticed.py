"""What a watch says of a source's objects: which differ from what is wanted, and when each is looked at again.

In: events that `loops.sync` has judged to tell of a difference, and the versions of its own writes. Out: the keys that are due. No
I/O; one per source, used from its event loop only.

An object that differs is put right at once. One that differs again soon after (a controller, a webhook, a script that will have it
otherwise) is put right ever more seldom, up to every `longest_seconds`: else two programs would write as fast as they can.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from syncd.argo.manifest import Key
from syncd.base import backoff
from syncd.cluster.api import Changed

FIRST_SECONDS = 1.0
"""How long after the first correction of an object the second may come."""


@dataclass(frozen=True, slots=True)
class _Correction:
    """count: in a row; at: of the last one, monotonic."""

    count: int
    at: float


class Noticed:
    """Differences that nobody has looked at yet. Moments are monotonic seconds."""

    def __init__(self, longest_seconds: float) -> None:
        self._longest = longest_seconds
        self._events: dict[Key, Changed] = {}
        self._due: dict[Key, float] = {}
        self._corrected: dict[Key, _Correction] = {}
        self._written: dict[Key, int] = {}

    def is_old(self, changed: Changed) -> bool:
        """Whether an event tells of a time before our own last write, or of that write."""
        version = _number(changed.version)
        return version is not None and version <= self._written.get(changed.key, -1)

    def add(self, changed: Changed, now: float) -> None:
        """An object differs."""
        key = changed.key
        self._events[key] = changed
        known = self._corrected.get(key)
        if known is not None and now - known.at > self._longest:
            del self._corrected[key]
            known = None
        wait = 0.0 if known is None else backoff.delay(known.count, FIRST_SECONDS, self._longest)
        self._due[key] = max(now if known is None else known.at + wait, self._due.get(key, 0.0))

    def events(self, now: float | None = None) -> list[Changed]:
        """The last event of each object that differs. now: only of those that are due; None = of all."""
        return [event for key, event in self._events.items() if now is None or self._due[key] <= now]

    def __contains__(self, key: Key) -> bool:
        return key in self._events

    def looked_at(self, seen: Iterable[Changed], but: Collection[Key]) -> None:
        """These events led to a look; what came after them stands. but: what differs still."""
        done = {event.key: event for event in seen}
        self.drop([k for k, e in self._events.items() if done.get(k) is e and k not in but])

    def drop(self, keys: Iterable[Key]) -> None:
        """These differ no more."""
        for key in keys:
            self._events.pop(key, None)
            self._due.pop(key, None)

    def due(self, now: float) -> set[Key]:
        """What is to be looked at now."""
        return {key for key, at in self._due.items() if at <= now}

    def due_in(self, now: float) -> float | None:
        """Seconds until something is due, 0 = now, None = nothing is noticed."""
        return max(0.0, min(self._due.values()) - now) if self._due else None

    def wrote(self, versions: Mapping[Key, str]) -> None:
        """Our own writes, with the resource versions that they made."""
        for key, text in versions.items():
            if (version := _number(text)) is not None:
                self._written[key] = version

    def forget(self, keys: Collection[Key]) -> None:
        """These are no longer ours."""
        self.drop(keys)
        for key in keys:
            self._written.pop(key, None)
            self._corrected.pop(key, None)

    def corrected(self, keys: Iterable[Key], now: float) -> None:
        """These were put right just now, or it was tried."""
        for key in keys:
            known = self._corrected.get(key)
            self._corrected[key] = _Correction(1 if known is None else known.count + 1, now)
            if key in self._due:
                self._due[key] = now + backoff.delay(self._corrected[key].count, FIRST_SECONDS, self._longest)


def _number(version: str) -> int | None:
    """A resource version as the number that it is in every store we know; None where it is another text."""
    return int(version) if version.isascii() and version.isdigit() and len(version) < 20 else None
