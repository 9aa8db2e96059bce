"""What a benchmark answers, and the little arithmetic that all of them share.

In: seconds, bytes, counts. Out: `Measured`, whose JSON is one entry of what `python -m bench` prints. Called by every benchmark.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

SIGNIFICANT: Final = 4


@dataclass(frozen=True, slots=True)
class Goal:
    """A promise about one figure. of: `ratio`, or a name in `figures`; exactly one of the bounds is set."""

    of: str
    at_most: float | None = None
    at_least: float | None = None

    def to_json(self) -> dict[str, Any]:
        """`{"of": "ratio", "at_most": 1.5}`."""
        bounds = {"at_most": self.at_most, "at_least": self.at_least}
        return {"of": self.of, **{name: bound for name, bound in bounds.items() if bound is not None}}

    def holds(self, value: float) -> bool:
        """Whether the promise is kept."""
        return (self.at_most is None or value <= self.at_most) and (self.at_least is None or value >= self.at_least)


@dataclass(frozen=True, slots=True)
class Measured:
    """One measurement. figures: ours, the unit at the end of each name; baseline: `what` it is and its own figures;
    ratio: ours to the baseline, None where the two are not of one kind."""

    name: str
    figures: dict[str, Any]
    baseline: dict[str, Any]
    ratio: float | None
    goal: Goal

    @property
    def value(self) -> float:
        """The figure that the goal is about."""
        found = self.ratio if self.goal.of == "ratio" else self.figures[self.goal.of]
        assert found is not None
        return float(found)

    def to_json(self) -> dict[str, Any]:
        """One entry of `benchmarks`."""
        return {
            "figures": rounded(self.figures),
            "baseline": rounded(self.baseline),
            "ratio": rounded(self.ratio),
            "goal": self.goal.to_json(),
            "within_goal": self.goal.holds(self.value),
        }


def rounded(value: Any) -> Any:
    """The same value with every float cut to four significant digits.

    >>> rounded({"a": 1.234567, "b": [0.000123456], "c": 3})
    {'a': 1.235, 'b': [0.0001235], 'c': 3}
    """
    if isinstance(value, float):
        return float(f"{value:.{SIGNIFICANT}g}")
    if isinstance(value, dict):
        return {name: rounded(item) for name, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return value


def median(values: Sequence[float]) -> float:
    """The middle one."""
    return float(statistics.median(values))


def percentile(values: Sequence[float], fraction: float) -> float:
    """The smallest of `values` that is not below `fraction` of them.

    >>> percentile([3.0, 1.0, 2.0], 0.5), percentile([3.0, 1.0, 2.0], 0.99)
    (2.0, 3.0)
    """
    ordered = sorted(values)
    return ordered[max(0, min(len(ordered) - 1, -(-int(fraction * 1000 * len(ordered)) // 1000) - 1))]


def seconds_of(call: Callable[[], object]) -> float:
    """How long a call takes."""
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def say(text: str) -> None:
    """Progress, for whoever watches."""
    print(text, file=sys.stderr, flush=True)


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "git": subprocess.run(["git", "--version"], capture_output=True, text=True, check=True).stdout.split()[-1],
        "load_before": os.getloadavg()[0],
    }


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
