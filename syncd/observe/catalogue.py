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
"""Label sets of a metric that has one for each cron or origin: 2,000 crons and 1,000 templates."""

WIDE_CAP: Final = 8000
"""Label sets of a metric that has several for each: of 2,000 crons, four each (outcomes and reasons, phases)."""

HISTOGRAM_CAP: Final = 300
"""A histogram costs a series per bucket."""


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
_CALL_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

C, G, H = Type.COUNTER, Type.GAUGE, Type.HISTOGRAM

METRICS: Final[dict[str, Metric]] = {
    # runs
    "syncd_runs_total": Metric(
        C,
        "Runs that have ended, by origin and phase (Succeeded, Failed, Error). In a cluster: every end that a leader saw, "
        "whoever started the run, once each, whatever is listed again.",
        (*RUN, "phase"),
        (),
        WIDE_CAP,
    ),
    "syncd_runs_active": Metric(G, "Runs that were admitted and have not ended.", RUN),
    "syncd_run_duration_seconds": Metric(
        H, "How long runs took, from admission to their end, by origin.", RUN, _RUN_BUCKETS, HISTOGRAM_CAP
    ),
    "syncd_run_last_success_timestamp_seconds": Metric(
        G, "When a run of this origin last succeeded, as Unix time. Absent until one has.", RUN
    ),
    "syncd_run_last_failure_timestamp_seconds": Metric(
        G,
        "When a run of this origin was last seen to have ended otherwise, as Unix time. Alert on this, not on the counter: "
        "a counter that begins at 1 has not increased.",
        RUN,
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
        (),
        WIDE_CAP,
    ),
    "syncd_cron_last_missed_timestamp_seconds": Metric(
        G,
        "When a slot of this cron was last found missed or failed, as Unix time. Absent until one was.",
        ("namespace", "name"),
    ),
    "syncd_cron_success_due_timestamp_seconds": Metric(
        G,
        "By when a run of this cron should have succeeded again, as Unix time: the first slot after the last success, plus "
        "`syncd.io/finish-within`. Absent while it never fires.",
        ("namespace", "name"),
    ),
    "syncd_cron_run_due_timestamp_seconds": Metric(
        G,
        "By when the oldest unfinished run of this cron should have ended, as Unix time: its slot plus "
        "`syncd.io/finish-within`. Absent while none runs.",
        ("namespace", "name"),
    ),
    "syncd_cron_late_successes_total": Metric(
        C, "Runs that succeeded later than `syncd.io/finish-within` after their slot.", ("namespace", "name")
    ),
    "syncd_cron_last_late_success_timestamp_seconds": Metric(
        G, "When a run of this cron last succeeded late, as Unix time. Absent until one did.", ("namespace", "name")
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
    "syncd_source_conflicts": Metric(
        G, "Objects of a source with fields that another manager declares: shown, not fought.", ("source",), (), 100
    ),
    "syncd_sync_drift_total": Metric(
        C, "Objects that were not as they had been applied, and were put right, by kind.", ("source", "kind"), (), 400
    ),
    "syncd_sync_last_drift_timestamp_seconds": Metric(
        G, "When an object of a source was last put right, by kind, as Unix time.", ("source", "kind"), (), 400
    ),
    # replicas and the API server
    "syncd_leader": Metric(G, "1 while this replica acts, else 0. Embedded: always 1."),
    "syncd_leader_elections_total": Metric(C, "Times that this replica began to lead."),
    "syncd_clock_skew_seconds": Metric(
        G, "How far the clock of this replica is from the API server's; positive = ahead of it."
    ),
    "syncd_kube_requests_total": Metric(
        C,
        "Requests to the API server, by verb, resource and HTTP status (or a word where there was no answer).",
        ("verb", "resource", "code"),
        (),
        1000,
    ),
    "syncd_kube_request_duration_seconds": Metric(
        H, "How long the API server took to answer, by verb.", ("verb",), _CALL_BUCKETS, 20
    ),
    "syncd_kube_watch_restarts_total": Metric(
        C, "Watches that were begun again, by kind and reason (expired, stalled, …).", ("kind", "reason"), (), 200
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
