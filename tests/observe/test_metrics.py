"""What `/metrics` says after which events; that it is bounded, and forgets what is gone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from syncd.argo.manifest import Key
from syncd.cron.ledger import Outcome, Reason, Row
from syncd.observe import catalogue, describe, events
from syncd.observe.catalogue import METRICS, Type
from syncd.observe.metrics import Metrics
from tests.support.clocks import ManualClock

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NIGHTLY = Key("CronWorkflow", "ci", "nightly")
RUN = Key("Workflow", "ci", "nightly-1767225600")
STARTED = events.RunStarted(RUN, "u1", "cron/nightly", NOW)
FINISHED = events.RunFinished(RUN, "u1", "cron/nightly", NOW, "Succeeded", 42.0)
SYNCED = events.SourceSynced(
    "examples",
    NOW,
    0.2,
    "applied",
    "main@sha1:b",
    "main@sha1:b",
    created=3,
    unchanged=1,
    ignored=7,
    warnings=2,
    objects=(("CronWorkflow", 1), ("WorkflowTemplate", 3)),
)
ROW = Row(NIGHTLY, "uid", NOW, Outcome.FIRED, Reason.ON_TIME, NOW, NOW)


def metrics(*heard, clock=None) -> Metrics:
    made = Metrics(clock or ManualClock(NOW), version="0.1.0", process=False)
    for event in heard:
        made(event)
    return made


def samples(made: Metrics) -> dict[tuple[str, ...], float]:
    """(name, label values in the catalogue's order…) → value of every sample, as a scraper reads them."""
    text = made.render()[0].decode()
    found = {}
    for family in text_string_to_metric_families(text):
        metric = METRICS.get(family.name) or METRICS[f"{family.name}_total"]
        for sample in family.samples:
            names = [name for name in (*metric.labels, "le") if name in sample.labels]
            assert set(names) == sample.labels.keys()
            found[sample.name, *(sample.labels[name] for name in names)] = sample.value
    return found


def test_a_run_from_start_to_end():
    during = samples(metrics(STARTED))
    assert during["syncd_runs_active", "ci", "cron", "nightly"] == 1
    after = samples(metrics(STARTED, FINISHED))
    assert after["syncd_runs_active", "ci", "cron", "nightly"] == 0
    assert after["syncd_runs_total", "ci", "cron", "nightly", "Succeeded"] == 1
    assert after["syncd_run_duration_seconds_sum", "ci", "cron", "nightly"] == 42
    assert after["syncd_run_duration_seconds_bucket", "ci", "cron", "nightly", "60.0"] == 1
    assert after["syncd_run_last_success_timestamp_seconds", "ci", "cron", "nightly"] == NOW.timestamp()


def test_a_run_announced_twice_is_active_once():
    """A run that was adopted after a restart is announced again."""
    assert samples(metrics(STARTED, STARTED))["syncd_runs_active", "ci", "cron", "nightly"] == 1
    assert samples(metrics(STARTED, STARTED, FINISHED))["syncd_runs_active", "ci", "cron", "nightly"] == 0
    assert ("syncd_runs_active", "ci", "cron", "nightly") not in samples(metrics(FINISHED))


def test_a_failure_is_no_success():
    failed = replace(FINISHED, phase="Failed")
    assert ("syncd_run_last_success_timestamp_seconds", "ci", "cron", "nightly") not in samples(metrics(failed))


def test_last_success_survives_a_restart_and_never_goes_back():
    made = metrics(FINISHED)
    made.remember_success("ci", "cron/nightly", NOW - timedelta(days=1))
    made.remember_success("ci", "template/base", NOW - timedelta(days=1))
    said = samples(made)
    assert said["syncd_run_last_success_timestamp_seconds", "ci", "cron", "nightly"] == NOW.timestamp()
    assert said["syncd_run_last_success_timestamp_seconds", "ci", "template", "base"] == NOW.timestamp() - 86400


def test_slots_by_outcome_and_reason():
    outage = replace(ROW, outcome=Outcome.MISSED, reason=Reason.DOWN, count=288)
    pending = replace(ROW, outcome=Outcome.PENDING)
    said = samples(metrics(*(events.SlotDecided(row, 0.3) for row in (pending, ROW)), events.SlotDecided(outage)))
    assert said["syncd_cron_slots_total", "ci", "nightly", "fired", "on-time"] == 1
    assert said["syncd_cron_slots_total", "ci", "nightly", "missed", "down"] == 288
    assert said["syncd_cron_fire_delay_seconds_count",] == 1


def test_next_fire_is_absent_while_a_cron_never_fires():
    armed = events.CronArmed(NIGHTLY, NOW)
    assert samples(metrics(armed))["syncd_cron_next_fire_timestamp_seconds", "ci", "nightly"] == NOW.timestamp()
    assert not _mentioning("nightly", metrics(armed, events.CronArmed(NIGHTLY, None)))


def test_series_go_with_their_cron():
    before = metrics(STARTED, FINISHED, events.CronArmed(NIGHTLY, NOW), events.SlotDecided(ROW, 0.1))
    assert _mentioning("nightly", before)
    before(events.CronRemoved(NIGHTLY))
    assert not _mentioning("nightly", before)


def test_a_run_that_outlives_its_cron_leaves_no_series():
    made = metrics(STARTED, events.CronRemoved(NIGHTLY))
    assert [name for name, *_ in _mentioning("nightly", made)] == ["syncd_runs_active"]
    made(FINISHED)
    assert not _mentioning("nightly", made)


def test_a_cron_that_comes_back_is_counted_again():
    made = metrics(STARTED, events.CronRemoved(NIGHTLY), events.CronArmed(NIGHTLY, NOW), FINISHED)
    assert samples(made)["syncd_runs_total", "ci", "cron", "nightly", "Succeeded"] == 1


STANDING = events.CronStanding(NIGHTLY, NOW + timedelta(hours=25), NOW + timedelta(hours=1))
LATE = events.LateSuccess(NIGHTLY, RUN, NOW, NOW + timedelta(hours=2))
DRIFT = events.DriftCorrected("examples", NIGHTLY, ("spec.suspend",), "kubectl-edit", NOW, NOW)


def test_what_is_expected_of_a_cron():
    said = samples(metrics(STANDING))
    assert said["syncd_cron_success_due_timestamp_seconds", "ci", "nightly"] == NOW.timestamp() + 25 * 3600
    assert said["syncd_cron_run_due_timestamp_seconds", "ci", "nightly"] == NOW.timestamp() + 3600
    assert not _mentioning("nightly", metrics(STANDING, events.CronStanding(NIGHTLY, None, None)))


def test_a_late_success():
    said = samples(metrics(LATE, clock=ManualClock(NOW + timedelta(hours=2))))
    assert said["syncd_cron_late_successes_total", "ci", "nightly"] == 1
    assert said["syncd_cron_last_late_success_timestamp_seconds", "ci", "nightly"] == NOW.timestamp() + 7200


@pytest.mark.parametrize("outcome", list(Outcome))
def test_a_missed_slot_leaves_its_time(outcome):
    """Also the very first one, whose counter begins at 1 and so has not increased."""
    said = samples(metrics(events.SlotDecided(replace(ROW, outcome=outcome)), clock=ManualClock(NOW)))
    missed = outcome in (Outcome.MISSED, Outcome.FAILED)
    stamp = NOW.timestamp() if missed else None
    assert said.get(("syncd_cron_last_missed_timestamp_seconds", "ci", "nightly")) == stamp


def test_a_failure_is_stamped_with_when_it_was_seen():
    """An end that nobody watched is told when it is found, hours later perhaps: an alert has to go off then."""
    seen = ManualClock(NOW + timedelta(hours=5))
    said = samples(metrics(STARTED, replace(FINISHED, phase="Error"), clock=seen))
    assert said["syncd_run_last_failure_timestamp_seconds", "ci", "cron", "nightly"] == NOW.timestamp() + 5 * 3600
    assert ("syncd_run_last_failure_timestamp_seconds", "ci", "cron", "nightly") not in samples(metrics(FINISHED))


def test_a_run_that_is_gone_is_not_active_and_not_counted():
    said = samples(metrics(STARTED, events.RunGone(RUN, "u1", "cron/nightly")))
    assert said["syncd_runs_active", "ci", "cron", "nightly"] == 0
    assert not [key for key in said if key[0] == "syncd_runs_total"]
    assert not _mentioning(
        "nightly", metrics(STARTED, events.CronRemoved(NIGHTLY), events.RunGone(RUN, "u1", "cron/nightly"))
    )


def test_drift_and_conflicts():
    said = samples(metrics(replace(SYNCED, conflicts=2, drifted=1), DRIFT))
    assert said["syncd_source_conflicts", "examples"] == 2
    assert said["syncd_sync_drift_total", "examples", "CronWorkflow"] == 1
    assert said["syncd_sync_last_drift_timestamp_seconds", "examples", "CronWorkflow"] == NOW.timestamp()
    assert not _mentioning("examples", metrics(SYNCED, DRIFT, events.SourceRemoved("examples")))


def test_embedded_always_leads_and_a_replica_only_when_it_is_told():
    assert samples(metrics())["syncd_leader",] == 1
    made = Metrics(ManualClock(NOW), version="0.1.0", mode="kubernetes", process=False)
    assert samples(made)["syncd_leader",] == 0
    made(events.LeadershipChanged(True, NOW, "pod-a"))
    said = samples(made)
    assert (said["syncd_leader",], said["syncd_leader_elections_total",]) == (1, 1)


def test_a_deposed_leader_takes_its_gauges_back_and_a_new_term_begins_empty():
    """Else its stale due times would alert, and what is removed in another's term would stay for ever."""
    of_a_term = (STARTED, FINISHED, STANDING, LATE, SYNCED, DRIFT, events.StartsHeld("disk full"))
    checked = events.SourceChecked("examples", NOW, 0.1)
    made = metrics(events.LeadershipChanged(True, NOW, "pod-a"), *of_a_term, checked, events.SlotDecided(ROW))
    made(events.LeadershipChanged(False, NOW, "pod-b"))
    left = {key[0] for key in samples(made) if len(key) > 2}
    assert {name for name in left if METRICS.get(name) and METRICS[name].type is Type.GAUGE} == {"syncd_build_info"}
    assert samples(made)["syncd_runs_total", "ci", "cron", "nightly", "Succeeded"] == 1
    assert samples(made)["syncd_leader",] == 0
    made(events.LeadershipChanged(True, NOW, "pod-a"))
    assert not _mentioning("nightly", made) and not _mentioning("examples", made)
    assert samples(made)["syncd_leader_elections_total",] == 2
    made(STARTED)
    assert samples(made)["syncd_runs_active", "ci", "cron", "nightly"] == 1


def test_the_api_server():
    said = samples(
        metrics(
            events.ApiCalled("list", "workflows", "200", 0.2),
            events.ApiCalled("list", "workflows", "429", 0.01),
            events.WatchRestarted("Workflow", "expired"),
            events.ClockSkew(-1.5),
        )
    )
    assert said["syncd_kube_requests_total", "list", "workflows", "429"] == 1
    assert said["syncd_kube_request_duration_seconds_count", "list"] == 2
    assert said["syncd_kube_watch_restarts_total", "Workflow", "expired"] == 1
    assert said["syncd_clock_skew_seconds",] == -1.5


def test_a_sync():
    said = samples(metrics(SYNCED))
    assert said["syncd_sync_total", "examples", "applied", ""] == 1
    assert said["syncd_source_objects", "examples", "WorkflowTemplate"] == 3
    assert said["syncd_source_problems", "examples", "warning"] == 2
    assert said["syncd_sync_changes_total", "examples", "created"] == 3
    assert said["syncd_source_info", "examples", "main@sha1:b", "main@sha1:b"] == 1


def test_the_next_sync_replaces_what_the_last_one_said():
    held = replace(SYNCED, result="held", reason="guard", revision="main@sha1:c", objects=(("CronWorkflow", 1),))
    said = samples(metrics(SYNCED, held))
    assert [key for key in said if key[0] == "syncd_source_info"] == [
        ("syncd_source_info", "examples", "main@sha1:c", "main@sha1:b")
    ]
    assert said["syncd_sync_held", "examples", "guard"] == 1
    assert ("syncd_source_objects", "examples", "WorkflowTemplate") not in said
    assert not [key for key in samples(metrics(held, SYNCED)) if key[0] == "syncd_sync_held"]


def test_the_age_of_the_last_contact_is_worked_out_at_the_scrape():
    clock = ManualClock(NOW)
    made = metrics(events.SourceChecked("examples", NOW, 0.1), clock=clock)
    clock.advance(90)
    assert samples(made)["syncd_source_contact_age_seconds", "examples"] == 90
    made(events.SourceChecked("examples", clock.now(), 0.1, error="no route"))
    assert samples(made)["syncd_source_contact_age_seconds", "examples"] == 90
    made(events.SourceChecked("examples", clock.now(), 0.1))
    assert samples(made)["syncd_source_contact_age_seconds", "examples"] == 0


def test_a_source_never_reached_ages_from_the_first_try():
    clock = ManualClock(NOW)
    made = metrics(events.SourceChecked("examples", NOW, 0.1, error="no route"), clock=clock)
    clock.advance(700)
    said = samples(made)
    assert said["syncd_source_contact_age_seconds", "examples"] == 700
    assert ("syncd_source_last_contact_timestamp_seconds", "examples") not in said


def test_series_go_with_their_source():
    made = metrics(events.SourceChecked("examples", NOW, 0.1), SYNCED, events.SourceRemoved("examples"))
    assert not _mentioning("examples", made)


def test_starts_held_and_let_go():
    assert samples(metrics(events.StartsHeld("disk full")))["syncd_starts_held", "disk full"] == 1
    assert not _mentioning("disk full", metrics(events.StartsHeld("disk full"), events.StartsHeld("")))


def test_label_sets_are_bounded_and_the_overflow_is_said():
    made = metrics()
    cap = METRICS["syncd_run_duration_seconds"].cap
    for number in range(cap + 50):
        run = Key("Workflow", "ci", f"r{number}")
        made(events.RunFinished(run, str(number), f"template/t{number}", NOW, "Succeeded", 1.0))
    said = samples(made)
    assert said["syncd_run_duration_seconds_count", "other", "other", "other"] == 50
    assert said["syncd_metrics_overflow_total", "syncd_run_duration_seconds"] == 50
    assert len([key for key in said if key[0] == "syncd_run_duration_seconds_count"]) == cap + 1


def test_room_is_given_back_when_series_go(monkeypatch):
    monkeypatch.setitem(
        METRICS, "syncd_cron_next_fire_timestamp_seconds", _capped("syncd_cron_next_fire_timestamp_seconds")
    )
    one, two = (Key("CronWorkflow", "ci", name) for name in ("one", "two"))
    made = metrics(events.CronArmed(one, NOW), events.CronRemoved(one), events.CronArmed(two, NOW))
    assert ("syncd_cron_next_fire_timestamp_seconds", "ci", "two") in samples(made)


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain"),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text"),
        ("application/openmetrics-text;version=zz", "text/plain"),
        ("garbage;;;q=x, */*", "text/plain"),
        ("\x00" * 50, "text/plain"),
    ],
)
def test_any_accept_header_is_answered(accept, content_type):
    body, said = metrics(FINISHED).render(accept)
    assert said.startswith(content_type)
    assert b"syncd_runs_total" in body
    assert b"_created" not in body


def test_every_metric_of_the_catalogue_follows_the_conventions():
    for name, metric in METRICS.items():
        assert name.startswith("syncd_")
        assert name.endswith("_total") == (metric.type is Type.COUNTER)
        assert bool(metric.buckets) == (metric.type is Type.HISTOGRAM)
        assert metric.help.endswith((".", "fail."))
        assert not {"le", "quantile", "job", "instance", "run", "node"} & set(metric.labels)


def test_the_worst_scrape_stays_small():
    """Law: caps bound the number of series, whatever happens."""
    assert describe.worst() < 55_000


def test_every_event_but_those_without_a_figure_moves_something():
    moved = set(metrics()._moves)
    assert moved == set(events.Event.__args__)


def test_the_page_lists_every_metric():
    page = describe.markdown()
    for name, metric in METRICS.items():
        assert f"| `{name}` | {metric.type} |" in page


def test_the_page_in_the_repository_is_the_one_that_the_catalogue_makes():
    """When this fails: `make docs`."""
    page = Path(__file__).parents[2] / "docs" / "metrics.md"
    assert page.read_text().endswith(describe.markdown()), "behind its banner"


def _mentioning(word, made):
    return [key for key in samples(made) if word in key]


def _capped(name):
    return replace(METRICS[name], cap=1)


def test_two_in_one_process_do_not_know_each_other():
    metrics(FINISHED)
    assert not _mentioning("nightly", metrics())
    assert catalogue.OTHER not in {name for name, *_ in samples(metrics())}
