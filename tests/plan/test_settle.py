"""The inventory knows every object before it exists, and forgets it only after it is gone."""

from __future__ import annotations

import pytest
from hypothesis import given

from syncd.argo.manifest import Key
from syncd.plan import plan as planning
from syncd.plan import settle
from syncd.plan.plan import Verb
from tests.plan.world import KEYS, SOURCE, apply, worlds

AT = "2026-01-01T00:00:00Z"


def shard_of(keys):
    return {"format": 1, "source": SOURCE, "objects": {settle.key_text(key): 1 for key in keys}, "workflows": {}}


@given(worlds())
def test_before_a_plan_is_applied_the_inventory_knows_all_it_may_leave_behind(world):
    """Law: after the intention and any prefix of the writes, each live object of ours that we wrote is in the record."""
    want, there, owned, policy = world
    plan = planning.plan(want, there, owned, policy)
    before = shard_of(owned)
    intended = settle.intended(before, SOURCE, plan.changes, revision="r", at=AT) or before
    known = settle.owned_in(intended)
    for cut in range(len(plan.changes) + 1):
        part = planning.Plan(plan.changes[:cut])
        after, _ = apply(part, there, owned)
        written = {change.key for change in part.of(Verb.CREATE, Verb.UPDATE)}
        assert written & after.keys() <= known
        assert owned <= known


@given(worlds())
def test_a_crash_anywhere_ends_in_the_same_world(world):
    """Law: intention, any prefix of the writes, then planned and applied anew, is as applied at once."""
    want, there, owned, policy = world
    plan = planning.plan(want, there, owned, policy)
    whole, _ = apply(plan, there, owned)
    known = frozenset(
        settle.owned_in(settle.intended(shard_of(owned), SOURCE, plan.changes, revision="r", at=AT) or shard_of(owned))
    )
    for cut in range(len(plan.changes) + 1):
        crashed, _ = apply(planning.Plan(plan.changes[:cut]), there, owned)
        again = planning.plan(want, crashed, known, policy)
        recovered, _ = apply(again, crashed, known)
        assert recovered.keys() == whole.keys()
        assert [body.get("spec") for body in recovered.values()] == [recovered[key].get("spec") for key in recovered]
        assert {key: body.get("spec") for key, body in recovered.items()} == {
            key: body.get("spec") for key, body in whole.items()
        }


@given(worlds())
def test_settled_is_what_remains(world):
    """Law: after settling, the record holds what `apply` says is owned."""
    want, there, owned, policy = world
    plan = planning.plan(want, there, owned, policy)
    _, remaining = apply(plan, there, owned)
    shard = settle.intended(shard_of(owned), SOURCE, plan.changes, revision="r", at=AT) or shard_of(owned)
    shard = settle.settled(shard, SOURCE, plan.changes, {}, revision="r") or shard
    ours_by_label = {change.key for change in plan.of(Verb.KEEP) if not change.waits}
    assert settle.owned_in(shard) == remaining | ours_by_label


def test_keys_survive_the_record():
    for key in KEYS:
        assert settle.key_from(settle.key_text(key)) == key
    for spoiled in ("", "x", "a/b", "a/b/c/d", "//x", "Kind/ns/"):
        assert settle.key_from(spoiled) is None


@pytest.mark.parametrize("spoiled", [{}, {"objects": []}, {"objects": None, "workflows": {"x": 1}}, {"workflows": [1]}])
def test_a_spoiled_record_is_read_as_far_as_it_goes(spoiled):
    assert settle.owned_in(spoiled) == set()
    assert settle.remembered_in(spoiled) == {}


def test_the_head_changes_only_when_the_revision_does():
    head = settle.head_after(None, SOURCE, revision="r1", commit="c1", at=AT)
    assert settle.head_after(head, SOURCE, revision="r1", commit="c1", at="later") is None
    approved = settle.head_approved(head, SOURCE, revision="r2", by="ada", at=AT)
    assert (settle.approved_in(approved), approved["revision"]) == ("r2", "r1")
    used = settle.head_after(approved, SOURCE, revision="r2", commit="c2", at=AT)
    assert settle.approved_in(used) == ""


def test_shards_and_heads_are_told_apart():
    name = settle.shard_name(SOURCE, Key("ConfigMap", "default", "a"))
    assert not settle.is_head(name)
    assert (settle.source_of(name), settle.is_head(SOURCE)) == (SOURCE, True)
