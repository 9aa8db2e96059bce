"""The series of one metric, and their lines in the text that Prometheus scrapes.

In: label values and numbers, from `metrics`. Out: text. A series keeps the beginning of its line, so a scrape only appends numbers:
prometheus-client's own metrics take some 25 µs for each series, and a scrape stands in the way of everything else on the
event loop. Series that go together (a cron's, a source's) are found by their leading labels, at the cost of those alone.
Source: Prometheus' text format 0.0.4 and OpenMetrics 1.0, which differ here in the name of a counter's family only.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from itertools import accumulate

from syncd.observe.catalogue import OTHER, RUN, Metric, Type

Labels = tuple[str, ...]


class Value:
    """A counter or a gauge."""

    __slots__ = ("_function", "_head", "value")

    def __init__(self, head: str) -> None:
        self._head = head
        self._function: Callable[[], float] | None = None
        self.value = 0.0

    def inc(self, more: float = 1.0) -> None:
        self.value += more

    def dec(self, less: float = 1.0) -> None:
        self.value -= less

    def set(self, value: float) -> None:
        self.value = float(value)

    def set_function(self, function: Callable[[], float]) -> None:
        """Ask for the value at each scrape."""
        self._function = function

    def observe(self, value: float) -> None:
        raise TypeError("only a histogram observes")

    def text(self) -> str:
        """Its line."""
        return f"{self._head} {_number(self.value if self._function is None else self._function())}\n"


class Buckets(Value):
    """A histogram. Each bucket counts what is not more than its bound and more than the one before; the text adds them up."""

    __slots__ = ("_bounds", "_counts", "_heads")

    def __init__(self, name: str, labels: str, bounds: tuple[float, ...]) -> None:
        super().__init__(f"{name}_sum{_braced(labels)}")
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        separator = "," if labels else ""
        self._heads = [f'{name}_bucket{{{labels}{separator}le="{_number(le)}"}}' for le in (*bounds, math.inf)]
        self._heads.append(f"{name}_count{_braced(labels)}")

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self.value += value

    def text(self) -> str:
        """Its lines: the buckets, the count, the sum."""
        counts = list(accumulate(self._counts))
        lines = [f"{head} {count}.0\n" for head, count in zip(self._heads, [*counts, counts[-1]], strict=True)]
        return "".join(lines) + super().text()


class Family:
    """The series of one metric: made on first use, bounded by the metric's cap, removed by their labels."""

    def __init__(self, name: str, metric: Metric, overflowed: Callable[[str], None]) -> None:
        self._name = name
        self._metric = metric
        self._overflowed = overflowed
        self._known: dict[Labels, Value] = {}
        self._width = _width(metric.labels)
        self._owned: dict[Labels, set[Labels]] = {}  # leading labels → series that have them
        if not metric.labels:
            self._known[()] = self._make(())

    def at(self, *labels: str) -> Value:
        """The series with these label values, or `other`'s where there is no more room."""
        found = self._known.get(labels)
        if found is None:
            if not self.has(*labels):
                self._overflowed(self._name)
                labels = (OTHER,) * len(self._metric.labels)
            found = self._known.get(labels)
        if found is None:
            found = self._known[labels] = self._make(labels)
            self._owned.setdefault(labels[: self._width], set()).add(labels)
        return found

    def has(self, *labels: str) -> bool:
        """Whether the series has room of its own, or would get it."""
        return labels in self._known or len(self._known) < self._metric.cap

    def remove(self, *labels: str) -> None:
        """Drop every series that begins with these label values: of a cron, a source, a run's origin, or one whole series. None:
        nothing happens."""
        if len(labels) == self._width:
            for known in self._owned.pop(labels, ()):
                del self._known[known]
        elif self._known.pop(labels, None) is not None:
            self._owned[labels[: self._width]].discard(labels)

    def clear(self) -> None:
        """Drop every series. One without labels stays."""
        if self._metric.labels:
            self._known.clear()
            self._owned.clear()

    def text(self, openmetrics: bool) -> str:
        """Its part of a scrape: what it is, and its series as they are now."""
        name, kind = self._name, self._metric.type
        if openmetrics and kind is Type.COUNTER:
            name = name.removesuffix("_total")
        meaning = self._metric.help.replace("\\", r"\\").replace("\n", r"\n")
        if openmetrics:
            meaning = meaning.replace('"', r"\"")
        head = f"# HELP {name} {meaning}\n# TYPE {name} {kind}\n"
        return head + "".join([series.text() for series in list(self._known.values())])

    def _make(self, labels: Labels) -> Value:
        written = ",".join(
            f'{name}="{_escaped(value)}"' for name, value in zip(self._metric.labels, labels, strict=True)
        )
        if self._metric.type is Type.HISTOGRAM:
            return Buckets(self._name, written, self._metric.buckets)
        return Value(f"{self._name}{_braced(written)}")


def _width(labels: Labels) -> int:
    """How many leading labels say whose a series is."""
    for owner in (RUN, ("namespace", "name"), ("source",)):
        if labels[: len(owner)] == owner:
            return len(owner)
    return len(labels)


def _braced(labels: str) -> str:
    return f"{{{labels}}}" if labels else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _number(value: float) -> str:
    """As Go reads it.

    >>> _number(0.25), _number(math.inf), _number(1767225600.0)
    ('0.25', '+Inf', '1767225600.0')
    """
    return "+Inf" if value == math.inf else repr(float(value))
