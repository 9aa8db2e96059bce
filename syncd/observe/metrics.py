"""Metrics: events in, the text of `/metrics` out. The only import of prometheus_client.

Subscribed to the bus by `app`; `render` is called by the server's route. What exists is in `catalogue`, how it is written in
`series`; here is only how events move it. prometheus-client tells of the process, and reads what a scraper accepts.

Trap: thousands of dead series (argo-workflows#13683, flux2#1479). So every family has a cap on its label sets, and the series of
a cron or source go with it.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder

from syncd.argo.manifest import Key
from syncd.base.clock import Clock
from syncd.cron.ledger import Outcome
from syncd.observe import events
from syncd.observe.catalogue import METRICS, Type
from syncd.observe.events import Event
from syncd.observe.series import Family, Labels

_OF_RUNS = (
    "syncd_runs_total",
    "syncd_run_duration_seconds",
    "syncd_run_last_success_timestamp_seconds",
    "syncd_run_last_failure_timestamp_seconds",
)
_OF_CRONS = tuple(name for name in METRICS if name.startswith("syncd_cron_") and METRICS[name].labels)
_OF_THE_LEADER = tuple(
    name
    for name, metric in METRICS.items()
    if {"namespace", "source"} & set(metric.labels) or name == "syncd_starts_held"
)


class Metrics:
    """Moves the catalogue's metrics by events. Use from one thread; `render` may be called from another."""

    def __init__(self, clock: Clock, *, version: str, mode: str = "embedded", process: bool = True) -> None:
        self._clock = clock
        self._process = CollectorRegistry()
        if process:
            ProcessCollector(registry=self._process)
        self._families = {name: Family(name, metric, self._overflow) for name, metric in METRICS.items()}
        self._of("syncd_build_info").at(version, platform.python_version(), mode).set(1)
        self._active: dict[str, Labels] = {}  # uid of a run that has not ended → its labels
        self._leaving: set[Labels] = set()  # crons that are gone while runs of theirs are not
        self._success: dict[Labels, float] = {}
        self._contact: dict[str, float] = {}
        self._has_led = False
        self._of("syncd_leader").at().set(1 if mode == "embedded" else 0)
        self._moves: Mapping[type[Any], Callable[[Any], None]] = {
            events.RunStarted: self._run_started,
            events.RunFinished: self._run_finished,
            events.RunGone: self._run_gone,
            events.StartsHeld: self._starts_held,
            events.SlotDecided: self._slot_decided,
            events.CronArmed: self._cron_armed,
            events.CronStanding: self._cron_standing,
            events.LateSuccess: self._late_success,
            events.CronRemoved: self._cron_removed,
            events.SourceChecked: self._source_checked,
            events.SourceSynced: self._source_synced,
            events.SourceRemoved: self._source_removed,
            events.DriftCorrected: self._drift_corrected,
            events.LeadershipChanged: self._leadership_changed,
            events.ClockSkew: self._clock_skew,
            events.ApiCalled: self._api_called,
            events.WatchRestarted: self._watch_restarted,
            events.LoopFailed: self._loop_failed,
        }

    def __call__(self, event: Event) -> None:
        """Hear an event: the subscriber of the bus. Kinds of events unknown here are passed over."""
        move = self._moves.get(type(event))
        if move is not None:
            move(event)

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """The exposition and its content type, as the scraper's Accept header asks: Prometheus text or OpenMetrics.

        An Accept header that prometheus-client cannot read (it raises on odd versions) is answered with plain text.
        """
        try:
            encode, content_type = choose_encoder(accept)
        except (TypeError, ValueError, LookupError):
            encode, content_type = choose_encoder("")
        openmetrics = content_type.startswith("application/openmetrics-text")
        ours = "".join([family.text(openmetrics) for family in self._families.values()])
        return ours.encode() + encode(self._process), content_type  # that one ends with what has to stand at the end

    def remember_success(self, namespace: str, origin: str, at: datetime) -> None:
        """What an earlier process saw: without it, "last success" would be blank after every restart.

        Called by `app` at the start, from the finished runs of the store. A later success is not overwritten.
        """
        self._succeeded(_origin_labels(namespace, origin), at.timestamp())

    def _of(self, name: str) -> Family:
        return self._families[name]

    def _overflow(self, name: str) -> None:
        self._of("syncd_metrics_overflow_total").at(name).inc()

    # Runs

    def _run_started(self, event: events.RunStarted) -> None:
        labels = _origin_labels(event.run.namespace, event.origin)
        if event.uid not in self._active:  # a run adopted after a restart may be announced again
            self._active[event.uid] = labels
            self._of("syncd_runs_active").at(*labels).inc()

    def _run_finished(self, event: events.RunFinished) -> None:
        labels = _origin_labels(event.run.namespace, event.origin)
        self._no_longer_active(event.uid)
        if labels in self._leaving:
            self._leave(labels)
            return
        self._of("syncd_runs_total").at(*labels, event.phase).inc()
        self._of("syncd_run_duration_seconds").at(*labels).observe(max(0.0, event.seconds))
        if event.phase == "Succeeded":
            self._succeeded(labels, event.at.timestamp())
        else:  # when it was seen, not when it ended: an end that nobody watched has to be told all the same
            self._stamp("syncd_run_last_failure_timestamp_seconds", *labels)

    def _run_gone(self, event: events.RunGone) -> None:
        self._no_longer_active(event.uid)
        labels = _origin_labels(event.run.namespace, event.origin)
        if labels in self._leaving:
            self._leave(labels)

    def _no_longer_active(self, uid: str) -> None:
        if (active := self._active.pop(uid, None)) is not None:
            self._of("syncd_runs_active").at(*active).dec()

    def _stamp(self, name: str, *labels: str) -> None:
        """Set a gauge to the present time, where there is room."""
        self._set_own(name, labels, self._clock.now().timestamp())

    def _set_own(self, name: str, labels: Labels, value: float) -> None:
        """Set a gauge. Where there is no room it is only said so: the latest time of all others is nobody's."""
        family = self._of(name)
        if family.has(*labels):
            family.at(*labels).set(value)
        else:
            self._overflow(name)

    def _succeeded(self, labels: Labels, at: float) -> None:
        family = self._of("syncd_run_last_success_timestamp_seconds")
        if family.has(*labels):  # the latest of all others would be nobody's
            self._success[labels] = max(at, self._success.get(labels, 0.0))
            family.at(*labels).set(self._success[labels])

    def _starts_held(self, event: events.StartsHeld) -> None:
        self._of("syncd_starts_held").clear()
        if event.reason:
            self._of("syncd_starts_held").at(event.reason).set(1)

    # Schedules

    def _slot_decided(self, event: events.SlotDecided) -> None:
        row = event.row
        if row.outcome is Outcome.PENDING:
            return  # it is counted when it is closed
        self._of("syncd_cron_slots_total").at(row.cron.namespace, row.cron.name, str(row.outcome), str(row.reason)).inc(
            row.count
        )
        if row.outcome in (Outcome.MISSED, Outcome.FAILED):
            self._stamp("syncd_cron_last_missed_timestamp_seconds", row.cron.namespace, row.cron.name)
        if event.delay_seconds is not None:
            self._of("syncd_cron_fire_delay_seconds").at().observe(max(0.0, event.delay_seconds))

    def _cron_armed(self, event: events.CronArmed) -> None:
        self._leaving.discard((event.cron.namespace, "cron", event.cron.name))
        self._moment("syncd_cron_next_fire_timestamp_seconds", event.cron, event.next_fire)

    def _cron_standing(self, event: events.CronStanding) -> None:
        self._moment("syncd_cron_success_due_timestamp_seconds", event.cron, event.success_due)
        self._moment("syncd_cron_run_due_timestamp_seconds", event.cron, event.run_due)

    def _moment(self, name: str, cron: Key, moment: datetime | None) -> None:
        if moment is None:
            self._of(name).remove(cron.namespace, cron.name)
        else:
            self._set_own(name, (cron.namespace, cron.name), moment.timestamp())

    def _late_success(self, event: events.LateSuccess) -> None:
        self._of("syncd_cron_late_successes_total").at(event.cron.namespace, event.cron.name).inc()
        self._stamp("syncd_cron_last_late_success_timestamp_seconds", event.cron.namespace, event.cron.name)

    def _cron_removed(self, event: events.CronRemoved) -> None:
        namespace, name = event.cron.namespace, event.cron.name
        for family in _OF_CRONS:
            self._of(family).remove(namespace, name)
        labels = (namespace, "cron", name)
        self._leaving.add(labels)
        self._leave(labels)

    def _leave(self, labels: Labels) -> None:
        """Drop the series of runs whose cron is gone; the gauge of active ones once the last of them has ended."""
        namespace, kind, name = labels
        for family in _OF_RUNS:
            self._of(family).remove(namespace, kind, name)
        self._success.pop(labels, None)
        if labels not in self._active.values():
            self._of("syncd_runs_active").remove(namespace, kind, name)
            self._leaving.discard(labels)

    # Sources

    def _source_checked(self, event: events.SourceChecked) -> None:
        source = event.source
        self._of("syncd_source_checks_total").at(source, "error" if event.error else "ok").inc()
        if source not in self._contact and self._of("syncd_source_contact_age_seconds").has(source):
            # never in contact yet: the age counts from the first try, so that an alert on it goes off
            self._contact[source] = event.at.timestamp()
            self._of("syncd_source_contact_age_seconds").at(source).set_function(lambda: self._age(source))
        if not event.error:
            self._contact[source] = event.at.timestamp()
            self._of("syncd_source_last_contact_timestamp_seconds").at(source).set(event.at.timestamp())

    def _age(self, source: str) -> float:
        since = self._contact.get(source)
        return 0.0 if since is None else max(0.0, self._clock.now().timestamp() - since)

    def _source_synced(self, event: events.SourceSynced) -> None:
        source = event.source
        self._of("syncd_sync_total").at(source, event.result, event.reason).inc()
        self._of("syncd_sync_duration_seconds").at(source).observe(max(0.0, event.seconds))
        for change, count in (("created", event.created), ("updated", event.updated), ("deleted", event.deleted)):
            if count:
                self._of("syncd_sync_changes_total").at(source, change).inc(count)
        for family in ("syncd_source_info", "syncd_sync_held", "syncd_source_objects"):
            self._of(family).remove(source)
        self._of("syncd_source_info").at(source, event.revision, event.applied_revision).set(1)
        if event.result == "held":
            self._of("syncd_sync_held").at(source, event.reason).set(1)
        for kind, count in event.objects:
            self._of("syncd_source_objects").at(source, kind).set(count)
        self._of("syncd_source_problems").at(source, "error").set(event.errors)
        self._of("syncd_source_problems").at(source, "warning").set(event.warnings)
        self._of("syncd_source_ignored_files").at(source).set(event.ignored)
        self._of("syncd_source_conflicts").at(source).set(event.conflicts)

    def _source_removed(self, event: events.SourceRemoved) -> None:
        self._contact.pop(event.source, None)
        for name, metric in METRICS.items():
            if "source" in metric.labels:
                self._of(name).remove(event.source)

    def _drift_corrected(self, event: events.DriftCorrected) -> None:
        self._of("syncd_sync_drift_total").at(event.source, event.object.kind).inc()
        self._stamp("syncd_sync_last_drift_timestamp_seconds", event.source, event.object.kind)

    # Replicas and the API server

    def _leadership_changed(self, event: events.LeadershipChanged) -> None:
        """Where another replica acts, what this one knew of crons, runs and sources is no longer true: the gauges go. The
        counters stay for the next scrape, and go when a new term begins, since what was removed meanwhile told nobody here."""
        self._of("syncd_leader").at().set(int(event.leading))
        if event.leading:
            self._of("syncd_leader_elections_total").at().inc()
        if event.leading and not self._has_led:
            self._has_led = True
            return
        for name in _OF_THE_LEADER:
            if event.leading or METRICS[name].type is Type.GAUGE:
                self._of(name).clear()
        for table in (self._active, self._leaving, self._success, self._contact):
            table.clear()

    def _clock_skew(self, event: events.ClockSkew) -> None:
        self._of("syncd_clock_skew_seconds").at().set(event.seconds)

    def _api_called(self, event: events.ApiCalled) -> None:
        self._of("syncd_kube_requests_total").at(event.verb, event.resource, event.code).inc()
        self._of("syncd_kube_request_duration_seconds").at(event.verb).observe(max(0.0, event.seconds))

    def _watch_restarted(self, event: events.WatchRestarted) -> None:
        self._of("syncd_kube_watch_restarts_total").at(event.kind, event.reason).inc()

    # syncd itself

    def _loop_failed(self, event: events.LoopFailed) -> None:
        self._of("syncd_loop_failures_total").at(event.loop, event.kind).inc()


def _origin_labels(namespace: str, origin: str) -> Labels:
    """namespace, kind and name of a run's origin.

    >>> _origin_labels("ci", "cron/nightly"), _origin_labels("ci", "workflow")
    (('ci', 'cron', 'nightly'), ('ci', 'workflow', ''))
    """
    kind, _, name = origin.partition("/")
    return namespace, kind, name
