"""Runs the benchmarks, each group in a process of its own, and prints one JSON object on stdout; progress goes to stderr.

    python -m bench [--kube] [--only NAME…] [--quick] [--json FILE]

Those of a cluster (`make bench-kube`) want the programs of `make kube-tools`; the others want nothing.

Exit codes: 0 everything was measured (whether or not a goal was met: read `within_goal`), 1 something could not be measured, 2 the
call is wrong.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from bench import measure

GROUPS: Final = {
    "steps": "bench.steps",
    "crons": "bench.crons",
    "sync": "bench.sync",
    "load": "bench.load",
    "memory": "bench.memory",
    "help": "bench.start",
    "scrape": "bench.scrape",
}
"""Name of the group → module with `measure(folder, quick)`."""

KUBE_GROUPS: Final = {
    "kube-sync": "bench.kube_sync",
    "kube-crons": "bench.kube_crons",
    "kube-memory": "bench.kube_memory",
}
"""The same for those on a real Kubernetes API server."""

ALIASES: Final = {"poll": "sync", "change": "sync"}

PATIENCE_SECONDS: Final = 3600.0
"""For one group. Nothing takes nearly as long; a machine that stands still must not hold up a build for ever."""


def main(words: list[str] | None = None) -> int:
    """The command line; answers the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure what is hot; JSON on stdout.")
    known = [*GROUPS, *KUBE_GROUPS, *ALIASES]
    parser.add_argument("--kube", action="store_true", help="those on a Kubernetes API server, instead of all others")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=known, default=[], help=", ".join(known))
    parser.add_argument("--quick", action="store_true", help="tiny sizes: to see that it works, not how fast it is")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the object to a file as well")
    parser.add_argument("--within", choices=[*GROUPS, *KUBE_GROUPS], help=argparse.SUPPRESS)
    given = parser.parse_args(words)
    if given.within:
        print(json.dumps(here(given.within, given.quick)))
        return 0
    told: dict[str, Any] = {"machine": measure.machine(), "quick": given.quick, "benchmarks": {}}
    chosen = {ALIASES.get(name, name) for name in given.only} or set(KUBE_GROUPS if given.kube else GROUPS)
    failed: dict[str, str] = {}
    for group in (*GROUPS, *KUBE_GROUPS):
        if group in chosen:
            _in_a_process(group, given.quick, told["benchmarks"], failed)
    told["machine"]["load_after"] = os.getloadavg()[0]
    told["failed"] = failed
    told["within_goals"] = not failed and all(one["within_goal"] for one in told["benchmarks"].values())
    text = json.dumps(told, indent=2)
    print(text)
    if given.json:
        given.json.write_text(text + "\n")
    return 1 if failed else 0


def here(group: str, quick: bool) -> dict[str, Any]:
    """Run one group in this process, whose collector is set as `app.daemon.serve` sets the daemon's: name → entry."""
    gc.set_threshold(100_000, 50, 1000)
    with tempfile.TemporaryDirectory(prefix="syncd-bench-") as folder:
        found = importlib.import_module({**GROUPS, **KUBE_GROUPS}[group]).measure(Path(folder), quick)
    return {one.name: one.to_json() for one in found}


def _in_a_process(group: str, quick: bool, found: dict[str, Any], failed: dict[str, str]) -> None:
    """Run one group where nothing of another one is in memory."""
    measure.say(f"{group}: begins")
    words = [sys.executable, "-m", "bench", "--within", group, *(["--quick"] if quick else [])]
    try:
        done = subprocess.run(words, stdout=subprocess.PIPE, check=False, timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        failed[group] = f"did not end within {PATIENCE_SECONDS:g} s"
        return
    if done.returncode:
        failed[group] = f"ended with {done.returncode}; what it said is on stderr"
        return
    entries = json.loads(done.stdout)
    found.update(entries)
    for name, entry in entries.items():
        goal = entry["goal"]
        value = entry["ratio"] if goal["of"] == "ratio" else entry["figures"][goal["of"]]
        bound = f"at most {goal['at_most']:g}" if "at_most" in goal else f"at least {goal['at_least']:g}"
        verdict = "good" if entry["within_goal"] else "MISSED"
        measure.say(f"{name}: {goal['of']} {value:g} ({bound}): {verdict}")


if __name__ == "__main__":
    sys.exit(main())
