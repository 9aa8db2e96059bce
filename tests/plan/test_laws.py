"""The laws of `plan.plan`, over every combination of desired, live and inventory."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from syncd.argo import labels
from syncd.plan import compare, drift, faults, owners
from syncd.plan import plan as planning
from syncd.plan.desired import marks
from syncd.plan.plan import Verb
from tests.plan.world import KEYS, SOURCE, apply, worlds


@given(worlds())
def test_a_plan_applied_and_planned_again_gives_only_keep(world):
    """Law: plan(apply(plan)) keeps; what was refused stays refused."""
    want, there, owned, policy = world
    first = planning.plan(want, there, owned, policy)
    there, owned = apply(first, there, owned)
    second = planning.plan(want, there, owned, policy)
    assert {change.verb for change in second.changes} <= {Verb.KEEP, Verb.REFUSE}
    refused = {change.key for change in first.of(Verb.REFUSE)}
    assert {change.key for change in second.of(Verb.REFUSE)} == refused


@given(worlds())
def test_never_touches_what_the_source_does_not_own(world):
    """Law: a live object is written or deleted only when its label names this source, or a retired one it takes over."""
    want, there, owned, policy = world
    for change in planning.plan(want, there, owned, policy).changes:
        if change.key not in there or change.verb not in (Verb.UPDATE, Verb.DELETE):
            continue
        owner = there[change.key]["metadata"].get("labels", {}).get(labels.OWNER_SOURCE)
        allowed = {SOURCE} if change.verb is Verb.DELETE else {SOURCE, *policy.retired}
        assert owner in allowed


@given(worlds())
def test_deletes_only_what_inventory_and_label_both_say_is_ours(world):
    """Law: no delete without the inventory, none of a survivor, none while deletes are off, none of a wanted object."""
    want, there, owned, policy = world
    for change in planning.plan(want, there, owned, policy).of(Verb.DELETE):
        metadata = there[change.key]["metadata"]
        assert change.key in owned
        assert change.key not in want
        assert metadata["labels"][labels.OWNER_SOURCE] == SOURCE
        assert (metadata.get("annotations") or {}).get(labels.PRUNE) != "disabled"
        assert change.uid == metadata["uid"]
        assert not policy.no_deletes


@given(worlds(), st.sets(st.sampled_from(KEYS)))
def test_the_plan_of_a_subset_is_the_subset_of_the_plan(world, keys):
    """Law: plan restricted to `keys` is the plan of the restriction, so one change costs one comparison."""
    want, there, owned, policy = world
    whole = {change.key: change for change in planning.plan(want, there, owned, policy).changes}
    part = planning.plan(
        {key: value for key, value in want.items() if key in keys},
        {key: value for key, value in there.items() if key in keys},
        owned & keys,
        policy,
    )
    assert {change.key: change for change in part.changes} == {k: v for k, v in whole.items() if k in keys}


@given(worlds())
def test_every_key_has_exactly_one_change(world):
    """Law: desired and inventory are covered, nothing else is mentioned."""
    want, there, owned, policy = world
    keys = [change.key for change in planning.plan(want, there, owned, policy).changes]
    assert sorted(keys) == sorted(want.keys() | owned)


@given(worlds(), st.randoms())
def test_the_order_of_the_input_does_not_matter(world, random):
    """Law: the same plan, change by change, whatever the order of the mappings."""
    want, there, owned, policy = world
    shuffled = list(want.items())
    random.shuffle(shuffled)
    assert planning.plan(dict(shuffled), there, owned, policy) == planning.plan(want, there, owned, policy)


@given(worlds())
def test_what_is_being_deleted_is_left_alone(world):
    """Law: never written, never deleted again, and never forgotten while it is there and ours."""
    want, there, owned, policy = world
    for change in planning.plan(want, there, owned, policy).changes:
        if planning.is_going(there.get(change.key, {})):
            assert change.verb in (Verb.KEEP, Verb.FORGET, Verb.REFUSE)
            assert change.waits == (change.verb is Verb.KEEP)
            if change.verb is Verb.FORGET:
                assert planning.owner_of(there[change.key]) != SOURCE


@given(worlds())
def test_ignored_fields_keep_the_value_they_have(world):
    """Law: whatever else is written, they are after it what they were before it; and alone they are no reason to write."""
    want, there, owned, policy = world
    after, _ = apply(planning.plan(want, there, owned, policy), there, owned)
    for key in there.keys() & after.keys():
        for path in policy.ignore.get(key.kind, ()):
            assert owners.value_at(after[key], path) == owners.value_at(there[key], path)


@given(worlds())
def test_no_field_that_another_manager_declares_is_written(world):
    """Law: an update changes none of them; the object is refused as a whole, with who and since when."""
    want, there, owned, policy = world
    for change in planning.plan(want, there, owned, policy).changes:
        declared = drift.conflict(
            there.get(change.key, {}),
            change.body or {},
            compare.paths(change.body, there[change.key]) if change.body and change.key in there else (),
        )
        assert not (change.verb is Verb.UPDATE and declared)
        if change.code == faults.DECLARED_BY_OTHERS:
            assert "argocd since 2026-01-01T06:00:00Z" in change.reason


@given(worlds())
def test_a_change_of_scheduler_and_back_ends_where_it_began(world):
    """Law: argo → syncd → argo leaves no mark, and each way is one plan; what git says of the instance id is never lost."""
    want, there, owned, policy = world
    policy = replace(policy, ignore={})
    argo, syncd = replace(policy, instance=""), replace(policy, instance=labels.SYNCD_INSTANCE)
    there, owned = apply(planning.plan(want, there, owned, argo), there, owned)
    moved, _ = apply(planning.plan(want, there, owned, syncd), there, owned)
    again, _ = apply(planning.plan(want, moved, owned, argo), moved, owned)
    for key, item in want.items():
        if key.kind != "CronWorkflow" or key not in there or planning.owner_of(there[key]) != SOURCE:
            continue
        fate = planning.plan({key: item}, there, owned & {key}, syncd).changes[0]
        if fate.verb in (Verb.REFUSE, Verb.KEEP):
            continue
        given = item.body["metadata"].get("labels", {}).get(labels.INSTANCE_ID)
        assert marks(moved[key])[0][labels.INSTANCE_ID] == labels.SYNCD_INSTANCE
        assert marks(moved[key])[1][labels.CHILD_INSTANCE_ID] == (given or "")
        assert marks(again[key])[0].get(labels.INSTANCE_ID) == given
        assert labels.CHILD_INSTANCE_ID not in marks(again[key])[1]
        assert marks(again[key])[1][labels.DIGEST] == marks(moved[key])[1][labels.DIGEST]


@given(worlds())
def test_by_hand_suspend_survives(world):
    """Law: what a person suspended is still suspended after the plan, unless the object goes."""
    want, there, owned, policy = world
    after, _ = apply(planning.plan(want, there, owned, policy), there, owned)
    for key, body in there.items():
        if planning.by_hand(body) and key in after:
            assert after[key]["spec"]["suspend"] is True
