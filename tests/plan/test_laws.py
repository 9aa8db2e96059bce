"""The laws of `plan.plan`, over every combination of desired, live and inventory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from syncd.argo import labels
from syncd.plan import plan as planning
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
def test_by_hand_suspend_survives(world):
    """Law: what a person suspended is still suspended after the plan, unless the object goes."""
    want, there, owned, policy = world
    after, _ = apply(planning.plan(want, there, owned, policy), there, owned)
    for key, body in there.items():
        if planning.by_hand(body) and key in after:
            assert after[key]["spec"]["suspend"] is True
