"""A scrape of `/metrics` with 2,000 crons: how long it takes, how many bytes and series it has, and what taking them all away costs.

Each cron has fired, was skipped and has succeeded; one in ten has missed a slot and failed, one in two runs now. What the scrape
costs the daemon is the time of `Metrics.render`, for nothing else runs on the event loop meanwhile. The baseline is
prometheus-client alone: as many gauges with two labels, written by its own `generate_latest`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from bench.measure import Goal, Measured, median, say
from syncd.app.real import SystemClock
from syncd.argo import labels
from syncd.argo.manifest import Key
from syncd.cron.ledger import Outcome, Reason, Row
from syncd.observe import events
from syncd.observe.events import Event
from syncd.observe.metrics import Metrics

_TIMES: Final = 7
_NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
_HOUR: Final = timedelta(hours=1)


def measure(folder: Path, quick: bool) -> list[Measured]:
    """One entry. folder: not used, nothing is kept."""
    crons = 20 if quick else 2_000
    metrics = Metrics(SystemClock(), version="0", mode="kubernetes")
    for event in _history(crons):
        metrics(event)
    text = metrics.render()[0]
    series = sum(not line.startswith(b"#") for line in text.splitlines())
    registry = _plain(series)
    ours, theirs = [], []
    for _ in range(_TIMES):
        ours.append(_seconds(metrics.render))
        theirs.append(_seconds(lambda: generate_latest(registry)))
    removal = _seconds(lambda: [metrics(events.CronRemoved(_key(number))) for number in range(crons)])
    say(f"scrape: {series} series, {len(text)} bytes, {median(ours):.3f} s")
    figures = {
        "crons": crons,
        "series": series,
        "bytes": len(text),
        "seconds": median(ours),
        "worst_seconds": max(ours),
        "removal_seconds": removal,
    }
    baseline = {"what": f"prometheus-client writing {series} gauges", "seconds": median(theirs)}
    return [Measured("scrape", figures, baseline, median(ours) / median(theirs), Goal("ratio", at_most=0.25))]


def _history(crons: int) -> Iterator[Event]:
    yield events.LeadershipChanged(True, _NOW, "pod")
    for number in range(crons):
        cron, origin = _key(number), f"cron/job-{number:04}"
        run = Key(labels.WORKFLOW, cron.namespace, f"{cron.name}-1767225600")
        troubled, running = number % 10 == 0, number % 2 == 0
        yield events.CronArmed(cron, _NOW + _HOUR)
        yield events.CronStanding(cron, _NOW + 2 * _HOUR, _NOW + _HOUR if running else None)
        for outcome, reason in _decisions(troubled):
            yield events.SlotDecided(Row(cron, cron.name, _NOW, outcome, reason, _NOW, _NOW), 0.1)
        for phase in ("Succeeded", "Failed") if troubled else ("Succeeded",):
            yield events.RunStarted(run, f"{number}-{phase}", origin, _NOW)
            yield events.RunFinished(run, f"{number}-{phase}", origin, _NOW, phase, 42.0)
        if running:
            yield events.RunStarted(run, f"{number}", origin, _NOW)


def _decisions(troubled: bool) -> Iterable[tuple[Outcome, Reason]]:
    usual = [(Outcome.FIRED, Reason.ON_TIME), (Outcome.SKIPPED, Reason.CONCURRENCY)]
    return [*usual, (Outcome.MISSED, Reason.DOWN), (Outcome.CAUGHT_UP, Reason.GRACE)] if troubled else usual


def _key(number: int) -> Key:
    return Key(labels.CRON_WORKFLOW, f"team-{number % 20:02}", f"job-{number:04}")


def _plain(series: int) -> CollectorRegistry:
    registry = CollectorRegistry()
    gauge = Gauge("plain_gauge_seconds", "As many series.", ("namespace", "name"), registry=registry)
    for number in range(series):
        gauge.labels(f"team-{number % 20:02}", f"job-{number:05}").set(number)
    return registry


def _seconds(work: object) -> float:
    assert callable(work)
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
