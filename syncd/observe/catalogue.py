"""Every metric of syncd: one literal table. `metrics` makes the series from it, `describe` makes `docs/metrics.md`.

A new metric is a row here and a line in `metrics.Metrics` that moves it. Names follow Prometheus' conventions: prefix,
unit as suffix, `_total` on counters. Labels are bounded: the names of crons and templates, namespaces, and words of
fixed lists; never the name of a run, a node or a person. `CAP` bounds what remains.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

CAP: Final = 3000
"""Label sets of a metric: three for each of 1,000 crons."""

HISTOGRAM_CAP: Final = 300
"""A histogram costs a series per bucket: prometheus-client writes some 45,000 series a second."""


class Type(StrEnum):
    """As Prometheus calls them."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One family. help: what it counts, as one sentence; labels: in order; buckets: upper bounds, of a histogram only;
    cap: label sets kept, beyond which all others share the one whose labels are `other`."""

    type: Type
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    cap: int = CAP


OTHER: Final = "other"

RUN: Final = ("namespace", "kind", "name")
"""Of a run's origin. kind: cron, template or workflow; name: of the cron or template, "" for a workflow of its own."""

_RUN_BUCKETS: Final = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0)
_DELAY_BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0)
_SYNC_BUCKETS: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

C, G, H = Type.COUNTER, Type.GAUGE, Type.HISTOGRAM

METRICS: Final[dict[str, Metric]] = {
    # runs
    "syncd_runs_total": Metric(
        C, "Runs that have ended, by origin and phase (Succeeded, Failed, Error).", (*RUN, "phase")
    ),
    "syncd_runs_active": Metric(G, "Runs that were admitted and have not ended.", RUN),
    "syncd_run_duration_seconds": Metric(
        H, "How long runs took, from admission to their end, by origin.", RUN, _RUN_BUCKETS, HISTOGRAM_CAP
    ),
    "syncd_run_last_success_timestamp_seconds": Metric(
        G, "When a run of this origin last succeeded, as Unix time. Absent until one has.", RUN
    ),
    "syncd_starts_held": Metric(
        G, "1 while new runs and steps are held back, by reason (disk full).", ("reason",), (), 20
    ),
    # schedules
    "syncd_cron_next_fire_timestamp_seconds": Metric(
        G,
        "When a cron fires next, as Unix time. Absent while it never fires (suspended, stopped).",
        ("namespace", "name"),
    ),
    "syncd_cron_slots_total": Metric(
        C,
        "Slots of schedules, by outcome (fired, skipped, missed, caught-up, failed) and reason, as in the ledger.",
        ("namespace", "name", "outcome", "reason"),
    ),
    "syncd_cron_fire_delay_seconds": Metric(
        H, "From the time of a slot to the creation of its Workflow, over all crons.", (), _DELAY_BUCKETS
    ),
    # sources
    "syncd_source_checks_total": Metric(
        C, "Comparisons of a source with its remote, by result (ok, error).", ("source", "result"), (), 100
    ),
    "syncd_source_contact_age_seconds": Metric(
        G,
        "Time since the remote of a source last answered, worked out at the scrape. Alert on this, not on failures: "
        "a loop that hangs does not fail.",
        ("source",),
        (),
        100,
    ),
    "syncd_source_last_contact_timestamp_seconds": Metric(
        G, "When the remote of a source last answered, as Unix time.", ("source",), (), 100
    ),
    "syncd_source_info": Metric(
        G,
        "Always 1. revision: what the source stands at; applied: what is in force.",
        ("source", "revision", "applied"),
        (),
        100,
    ),
    "syncd_sync_total": Metric(
        C, "Syncs by result (applied, unchanged, held, failed) and reason.", ("source", "result", "reason"), (), 100
    ),
    "syncd_sync_duration_seconds": Metric(
        H, "How long syncs took, from the fetch to the last write.", ("source",), _SYNC_BUCKETS, 100
    ),
    "syncd_sync_held": Metric(
        G, "1 while a source is held at its last good revision, by reason.", ("source", "reason"), (), 100
    ),
    "syncd_sync_changes_total": Metric(
        C, "Objects written by syncs, by what was done (created, updated, deleted).", ("source", "change"), (), 100
    ),
    "syncd_source_objects": Metric(G, "Objects that a source owns, by kind.", ("source", "kind"), (), 400),
    "syncd_source_problems": Metric(
        G,
        "Problems found in a source at its present revision, by severity (error, warning).",
        ("source", "severity"),
        (),
        100,
    ),
    "syncd_source_ignored_files": Metric(
        G, "Files and documents of a source that are not syncd's and were ignored.", ("source",), (), 100
    ),
    # syncd itself
    "syncd_loop_failures_total": Metric(
        C, "Times that a loop ended with an error and was started anew, by kind of error.", ("loop", "kind"), (), 200
    ),
    "syncd_metrics_overflow_total": Metric(
        C,
        "Updates that went to the series `other`, since the metric had no room for more label sets.",
        ("metric",),
        (),
        100,
    ),
    "syncd_build_info": Metric(G, "Always 1.", ("version", "python", "mode"), (), 5),
}
"""name → metric. Besides these, prometheus-client's process collector adds `process_*` (CPU, memory, open files)."""
