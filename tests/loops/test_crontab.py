"""What the fire loop remembers of crons that come from another scheduler, go back and come again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from syncd.argo import labels
from syncd.argo.manifest import Body, Key
from syncd.cluster.api import Changed
from syncd.loops.crontab import Crontab
from tests.cron.crons_for_tests import NOON, UID, at, row

KEY = Key(labels.CRON_WORKFLOW, "ci", "nightly")
OURS = {labels.INSTANCE_ID: labels.SYNCD_INSTANCE}


def tab() -> Crontab:
    return Crontab((labels.CRON_WORKFLOW,), lambda cron: cron.labels.get(labels.INSTANCE_ID) == labels.SYNCD_INSTANCE)


def cron(marks: dict[str, str], kind: str = "MODIFIED") -> Changed:
    body: Body = {
        "metadata": {"name": "nightly", "namespace": "ci", "uid": UID, "labels": marks, "resourceVersion": "1"},
        "kind": labels.CRON_WORKFLOW,
        "spec": {"schedules": ["0 * * * *"], "workflowSpec": {}},
    }
    return Changed(kind, KEY, body, "1")  # type: ignore[arg-type]


def child(name: str, kind: str = "MODIFIED", **status: Any) -> Changed:
    owner = {"kind": labels.CRON_WORKFLOW, "name": "nightly", "uid": UID, "controller": True}
    metadata = {"name": name, "namespace": "ci", "uid": f"uid-{name}", "ownerReferences": [owner]}
    metadata |= {"labels": {labels.LABEL_CRON_WORKFLOW: "nightly"}}
    body: Body = {"metadata": metadata, "kind": labels.WORKFLOW, "status": status}
    return Changed(kind, Key(labels.WORKFLOW, "ci", name), body, "1")  # type: ignore[arg-type]


def test_the_run_that_the_other_scheduler_began_is_known_when_the_cron_comes() -> None:
    """Else a Forbid would let a second one begin beside it."""
    known = tab()
    known.take(cron({}))
    known.take(child("nightly-1", phase="Running"))
    known.take(child("nightly-0", phase="Running"))
    known.take(child("nightly-0", "DELETED"))
    assert known.armed == {}
    known.take(cron(OURS))
    assert known.armed[KEY].history.active == ("nightly-1",)
    known.take(child("nightly-1", phase="Succeeded"))
    assert known.armed[KEY].history.active == ()


def test_a_cron_that_goes_and_comes_again_continues_where_it_was() -> None:
    """Else slots that have their rows would be decided again."""
    known = tab()
    known.latest = {UID: row(at("11:00"))}
    known.take(cron(OURS))
    known.take(child("nightly-1", phase="Running"))
    known.armed[KEY].latest = row(NOON)
    known.take(cron({}))
    assert (known.armed, [gone.cron.key for gone in known.removed]) == ({}, [KEY])
    known.take(child("nightly-2", phase="Running"))
    known.take(cron(OURS))
    assert known.armed[KEY].latest == row(NOON)
    assert known.armed[KEY].history.active == ("nightly-1", "nightly-2")


def test_what_others_run_is_forgotten_when_all_is_listed_again() -> None:
    known = tab()
    known.take(child("nightly-1", phase="Running"))
    known.forget_all_but(())
    known.take(cron(OURS))
    assert known.armed[KEY].children == {}


def test_a_workflow_of_no_cron_is_passed_over() -> None:
    known = tab()
    stranger = child("alone", phase="Running")
    known.take(replace(stranger, body={**stranger.body, "metadata": {"name": "alone", "namespace": "ci"}}))
    known.take(cron(OURS))
    assert known.armed[KEY].children == {}
