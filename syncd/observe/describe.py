"""The page `docs/metrics.md`, made from the catalogue: in nothing, out Markdown. Called by `make docs` and its check."""

from __future__ import annotations

from itertools import groupby

from syncd.observe.catalogue import METRICS, Metric

_GROUPS = {"run": "Runs", "runs": "Runs", "starts": "Runs", "cron": "Schedules", "source": "Sources", "sync": "Sources"}
_GROUPS |= dict.fromkeys(("leader", "clock", "kube"), "Replicas and the API server")

_HEAD = """# Metrics

Made from `syncd/observe/catalogue.py` by `make docs`; change the table there, not this page.

`GET /metrics` needs no token. Series go when their cron or source goes. Each metric keeps at most *cap* label sets; the
rest share one whose labels are all `other`, and `syncd_metrics_overflow_total` counts what went there. All caps together
bound a scrape to {worst} series. Counters of runs and slots start at zero with the process; `rate()` and `increase()` know
how to read that.
"""

_TAIL = """## In several replicas

Each replica is scraped. Series with a `namespace` or `source` label tell what the leader decides and sees: only the leader has
them, a deposed one takes its gauges back, and a new leader begins its counters at zero. So sum or max over the replicas
(`sum by (namespace, name) (increase(…))`), and let the scrape keep these labels (`honorLabels: true` in a ServiceMonitor).
`syncd_leader`, `syncd_clock_skew_seconds` and `syncd_kube_*` are each replica's own.

## What a count of runs means

A run's end is counted once by the process that sees it, however often the list is fetched again (a restart of the API server, a
watch that expired or stalled); a run that is retried ends twice. An end while no leader watched is counted by the next
one, if it is later than the last sign of life of the one before. What ended earlier was counted then.

## Rules

`charts/syncd/rules/syncd.yaml` is a file of rules for Prometheus, with a test of each in `tests/alerts/`. They look at times
(`…_timestamp_seconds`) rather than at `increase()` of counters: a counter that begins at 1 has not increased, so the first
missed slot or failed run would alert nobody.
"""


def markdown() -> str:
    """The whole page."""
    parts = [_HEAD.format(worst=f"{worst():,}")]
    for title, rows in groupby(METRICS.items(), key=lambda row: _group(row[0])):
        parts.append(f"## {title}\n\n| metric | type | labels | cap | meaning |\n|---|---|---|---|---|")
        parts[-1] += "".join(f"\n{_row(name, metric)}" for name, metric in rows) + "\n"
    return "\n".join([*parts, _TAIL])


def worst() -> int:
    """The series of a scrape in which every metric is full. A histogram has one for each bucket, one for +Inf, count and sum."""
    return sum((m.cap if m.labels else 1) * (len(m.buckets) + 3 if m.buckets else 1) for m in METRICS.values())


def _group(name: str) -> str:
    return _GROUPS.get(name.split("_")[1], "syncd itself")


def _row(name: str, metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels) or "none"
    meaning = metric.help
    if metric.buckets:
        meaning += f" Buckets: {', '.join(f'{bound:g}' for bound in metric.buckets)}."
    return f"| `{name}` | {metric.type} | {labels} | {metric.cap if metric.labels else 1} | {meaning} |"
