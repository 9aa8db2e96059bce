"""The page `docs/metrics.md`, made from the catalogue: in nothing, out Markdown. Called by `make docs` and its check."""

from __future__ import annotations

from itertools import groupby

from syncd.observe.catalogue import METRICS, Metric

_GROUPS = {"run": "Runs", "runs": "Runs", "starts": "Runs", "cron": "Schedules", "source": "Sources", "sync": "Sources"}

_HEAD = """# Metrics

Made from `syncd/observe/catalogue.py` by `make docs`; change the table there, not this page.

`GET /metrics` needs no token. Series go when their cron or source goes. Each metric keeps at most *cap* label sets; the
rest share one whose labels are all `other`, and `syncd_metrics_overflow_total` counts what went there. Counters of runs and
slots start at zero with the process; `rate()` and `increase()` know how to read that.
"""

_TAIL = """## Rules to start from

```yaml
- alert: SyncdSourceOutOfContact
  expr: syncd_source_contact_age_seconds > 600
- alert: SyncdSourceHeld
  expr: syncd_sync_held == 1
  for: 15m
- alert: NightlyReportNotSucceeded
  expr: time() - syncd_run_last_success_timestamp_seconds{kind="cron", name="nightly-report"} > 26 * 3600
- alert: SyncdSlotsMissed
  expr: increase(syncd_cron_slots_total{outcome=~"missed|failed"}[1h]) > 0
```
"""


def markdown() -> str:
    """The whole page."""
    parts = [_HEAD]
    for title, rows in groupby(METRICS.items(), key=lambda row: _group(row[0])):
        parts.append(f"## {title}\n\n| metric | type | labels | cap | meaning |\n|---|---|---|---|---|")
        parts[-1] += "".join(f"\n{_row(name, metric)}" for name, metric in rows) + "\n"
    return "\n".join([*parts, _TAIL])


def _group(name: str) -> str:
    return _GROUPS.get(name.split("_")[1], "syncd itself")


def _row(name: str, metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels) or "none"
    meaning = metric.help
    if metric.buckets:
        meaning += f" Buckets: {', '.join(f'{bound:g}' for bound in metric.buckets)}."
    return f"| `{name}` | {metric.type} | {labels} | {metric.cap if metric.labels else 1} | {meaning} |"
