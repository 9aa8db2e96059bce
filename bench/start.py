"""How long `syncd --help` takes, as somebody at a terminal sees it, beside an interpreter that does nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from bench.measure import Goal, Measured, median


def measure(folder: Path, quick: bool) -> list[Measured]:
    """One entry. The goal is 60 ms; 150 ms is the limit."""
    times = 3 if quick else 15
    ours: list[float] = []
    theirs: list[float] = []
    _seconds([*program(), "--help"])  # once for nothing: the compiled modules are written, the files are in memory
    for _ in range(times):
        ours.append(_seconds([*program(), "--help"]))
        theirs.append(_seconds([sys.executable, "-c", "pass"]))
    mine = 1000 * median(ours)
    return [
        Measured(
            "help",
            {"times": times, "median_ms": mine, "limit_ms": 150, "within_limit": mine <= 150},
            {"what": "python -c pass", "median_ms": 1000 * median(theirs)},
            median(ours) / median(theirs),
            Goal("median_ms", at_most=60.0),
        )
    ]


def program() -> list[str]:
    """The installed command beside this interpreter."""
    found = Path(sys.executable).with_name("syncd")
    if not os.access(found, os.X_OK):
        raise RuntimeError(f"{found} is not there; install syncd into this environment first")
    return [str(found)]


def _seconds(words: list[str]) -> float:
    begun = time.perf_counter()
    subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begun
