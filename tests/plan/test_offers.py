"""Workflows and Jobs in git are offered, or run once per content, whatever crashes in between."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from syncd.argo import labels
from syncd.argo.manifest import Key, Manifest, Origin
from syncd.plan import desired, offers, settle
from syncd.plan.offers import Remembered
from syncd.plan.plan import Policy, Verb
from tests.plan.world import POLICY, SOURCE

HELLO = Key("Workflow", "default", "hello")
AT = "2026-01-01T00:00:00Z"


def workflow(content=0, *, once=False, name="hello", kind="Workflow", generate=False):
    metadata = {"generateName": name} if generate else {"name": name}
    if once:
        metadata["annotations"] = {labels.RUN: "once"}
    body = {"apiVersion": "x", "kind": kind, "metadata": metadata, "spec": {"n": content}}
    return desired.desired(Manifest(Key(kind, "default", name), body, Origin("wf.yaml", 3)))


def step(shard, wanted, *, run_all=False, crash=""):
    """One sync over a shard: (shard after, names created)."""
    want = {wanted.key: wanted} if wanted else {}
    known = settle.remembered_in(shard or {})
    plan = offers.plan(want, known, POLICY, run_all=run_all)
    if (after := settle.intended(shard, SOURCE, plan.changes, revision="r", at=AT)) is not None:
        shard = after
    if crash == "intended":
        return shard, []
    created = [change.body["metadata"]["name"] for change in plan.of(Verb.RUN)]
    if crash == "created":
        return shard, created
    bodies = {key: item.body for key, item in want.items()}
    if (after := settle.settled(shard, SOURCE, plan.changes, bodies, revision="r")) is not None:
        shard = after
    return shard, created


def test_an_offer_is_recorded_with_its_body_and_withdrawn():
    wanted = workflow()
    shard, created = step(None, wanted)
    assert created == []
    assert settle.offer_in(shard, HELLO) == wanted.body
    assert step(shard, wanted) == (shard, [])
    shard, _ = step(shard, None)
    assert settle.offer_in(shard, HELLO) is None


def test_run_once_runs_once_per_content():
    shard, first = step(None, workflow(once=True))
    assert len(first) == 1
    assert step(shard, workflow(once=True)) == (shard, [])
    shard, second = step(shard, workflow(1, once=True))
    assert len(second) == 1
    assert first != second
    shard, again = step(shard, workflow(once=True))
    assert again == []


def test_a_run_is_remembered_while_its_file_is_away():
    shard, _ = step(None, workflow(once=True))
    shard, _ = step(shard, None)
    assert settle.offer_in(shard, HELLO) is None
    assert step(shard, workflow(once=True))[1] == []


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["", "intended", "created"])), max_size=8))
def test_a_crash_never_loses_a_run_nor_gives_it_a_second_name(history):
    """Law: after a sync that is not cut short, each content so far has been created under one name of its own."""
    shard, names = None, set()
    for content, crash in history:
        shard, created = step(shard, workflow(content, once=True), crash=crash)
        names.update(created)
    for content in {content for content, _ in history}:
        shard, created = step(shard, workflow(content, once=True))
        names.update(created)
    assert names == {offers.run_name(workflow(content, once=True)) for content, _ in history}


def test_the_name_of_a_run_fits_a_label():
    assert offers.run_name(workflow(name="hello-", generate=True)).startswith("hello-")
    assert "--" not in offers.run_name(workflow(name="hello-", generate=True))
    assert len(offers.run_name(workflow(name="x" * 200))) <= 63


def test_a_run_carries_its_marks_and_no_generate_name():
    (change,) = offers.plan({HELLO: workflow(generate=True)}, {}, POLICY, run_all=True).changes
    metadata = change.body["metadata"]
    assert "generateName" not in metadata
    assert metadata["labels"][labels.OWNER_SOURCE] == SOURCE
    assert metadata["annotations"][labels.REVISION] == POLICY.revision


def test_a_job_is_made_a_workflow_before_it_runs():
    job = workflow(kind="Job", once=True)
    (change,) = offers.plan({job.key: job}, {}, POLICY, workflow_of=lambda body: {**body, "kind": "Workflow"}).changes
    assert (change.verb, change.body["kind"]) == (Verb.RUN, "Workflow")


def test_permissions_hold_for_runs_too():
    policy = Policy(SOURCE, "r", "c", namespaces=frozenset({"ci"}))
    (change,) = offers.plan({HELLO: workflow(once=True)}, {HELLO: Remembered()}, policy).changes
    assert change.verb is Verb.REFUSE
