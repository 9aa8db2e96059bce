"""Why an object gets the fate it gets: a row per story."""

from __future__ import annotations

from dataclasses import replace

import pytest

from syncd.argo import labels
from syncd.argo.manifest import Key
from syncd.plan import faults
from syncd.plan import plan as planning
from syncd.plan.plan import Policy, Verb
from tests.plan.world import IGNORE, POLICY, SOURCE, by_hand, going, live, managed, wanted

CRON = Key("CronWorkflow", "default", "nightly")
BASE = Key("WorkflowTemplate", "default", "base")
SECRET = Key("Secret", "default", "token")


def fate(want, there, *, owned=True, policy=POLICY):
    (key,) = {*(w.key for w in [want] if w), *([_key(there)] if there else [])} or {BASE}
    (change,) = planning.plan(
        {key: want} if want else {}, {key: there} if there else {}, {key} if owned else frozenset(), policy
    ).changes
    return change


def _key(body):
    return Key(body["kind"], body["metadata"].get("namespace", ""), body["metadata"]["name"])


@pytest.mark.parametrize(
    ("want", "there", "owned", "verb", "reason"),
    [
        pytest.param(wanted(BASE), None, False, Verb.CREATE, "new", id="an object not there is new"),
        pytest.param(wanted(BASE), None, True, Verb.CREATE, "missing: made again", id="one deleted by hand comes back"),
        pytest.param(wanted(BASE), live(BASE), True, Verb.KEEP, "unchanged", id="the same is kept"),
        pytest.param(
            wanted(BASE), live(BASE), False, Verb.KEEP, "unchanged", id="ours by label though not in the inventory"
        ),
        pytest.param(wanted(BASE, 1), live(BASE), True, Verb.UPDATE, "spec changed", id="a commit changes the spec"),
        pytest.param(
            wanted(BASE), live(BASE, 1, said=0), True, Verb.UPDATE, "drifted: changed by hand", id="a person did"
        ),
        pytest.param(
            wanted(BASE, prune=False),
            live(BASE),
            True,
            Verb.UPDATE,
            "labels or annotations changed",
            id="a commit changes an annotation",
        ),
        pytest.param(
            wanted(BASE, file="b.yaml"), live(BASE), True, Verb.UPDATE, "moved from a.yaml", id="a file was renamed"
        ),
        pytest.param(wanted(BASE, line=40), live(BASE), True, Verb.KEEP, "unchanged", id="a line number moved"),
        pytest.param(None, live(BASE), True, Verb.DELETE, "removed from the source", id="a file was deleted"),
        pytest.param(
            None, None, True, Verb.FORGET, "removed from the source, and gone already", id="gone from both sides"
        ),
        pytest.param(
            None,
            live(BASE, source="other"),
            True,
            Verb.FORGET,
            "now owned by source other",
            id="moved to another source",
        ),
        pytest.param(
            None,
            live(BASE, prune=False),
            True,
            Verb.KEEP,
            "removed from the source; stays: syncd.io/prune is disabled",
            id="a survivor",
        ),
        pytest.param(
            wanted(CRON),
            by_hand(live(CRON)),
            True,
            Verb.KEEP,
            "kept as it is: changed by hand by ada since 2026-01-01T00:00:00Z",
            id="suspended by hand",
        ),
        pytest.param(
            wanted(BASE),
            managed(live(BASE, 1, said=0), "kubectl-edit", {"f:spec": {"f:templates": {}}}),
            True,
            Verb.UPDATE,
            "drifted: changed by kubectl-edit since 2026-01-01T06:00:00Z",
            id="somebody whom the server knows did",
        ),
        pytest.param(
            wanted(BASE),
            managed(live(BASE, 1, said=0), "syncd", {"f:spec": {"f:templates": {}}}),
            True,
            Verb.UPDATE,
            "drifted: changed by hand",
            id="syncd did, for a person who does not hold it any more",
        ),
        pytest.param(
            wanted(BASE),
            going(live(BASE, 1)),
            True,
            Verb.KEEP,
            "being deleted, made again once it is gone",
            id="a wanted object goes",
        ),
        pytest.param(
            None,
            going(live(BASE), "a/b", "c/d"),
            True,
            Verb.KEEP,
            "being deleted; waits for finalizers: a/b, c/d",
            id="an unwanted object goes",
        ),
        pytest.param(
            wanted(BASE),
            going(live(BASE, source="other"), "a/b"),
            False,
            Verb.KEEP,
            "being deleted, made again once it is gone; waits for finalizers: a/b",
            id="an object of others in the way goes",
        ),
    ],
)
def test_fate(want, there, owned, verb, reason):
    change = fate(want, there, owned=owned)
    assert (verb, reason) == (change.verb, change.reason)


@pytest.mark.parametrize(
    ("want", "there", "policy", "code"),
    [
        pytest.param(wanted(BASE), live(BASE, source="other"), POLICY, faults.OWNED_BY_SOURCE, id="another source's"),
        pytest.param(wanted(BASE), live(BASE, source=None), POLICY, faults.NOT_OURS, id="a person's"),
        pytest.param(
            wanted(BASE),
            None,
            Policy(SOURCE, "r", "c", namespaces=frozenset({"ci"})),
            faults.NAMESPACE_NOT_ALLOWED,
            id="a namespace that is not allowed",
        ),
        pytest.param(
            wanted(BASE),
            None,
            Policy(SOURCE, "r", "c", kinds=frozenset({"CronWorkflow"})),
            faults.KIND_NOT_ALLOWED,
            id="a kind that is not allowed",
        ),
        pytest.param(wanted(SECRET), None, POLICY, faults.KIND_NOT_ALLOWED, id="a Secret without permission"),
        pytest.param(
            wanted(BASE),
            None,
            Policy(SOURCE, "r", "c", reserved=frozenset({Key(BASE.kind, BASE.namespace, BASE.name[:2])})),
            faults.RESERVED,
            id="a name of syncd's own records",
        ),
    ],
)
def test_refusals_carry_their_code(want, there, policy, code):
    change = fate(want, there, policy=policy)
    assert (Verb.REFUSE, code, None) == (change.verb, change.code, change.body)
    assert code in faults.CODES


DECLARED = managed(live(CRON, suspend=True, said=0), "argocd", {"f:spec": {"f:suspend": {}}}, declares=True)


@pytest.mark.parametrize(
    ("want", "there", "drifted"),
    [
        pytest.param(wanted(CRON), DECLARED, True, id="after it was applied"),
        pytest.param(wanted(CRON, 1), DECLARED, False, id="of which a commit wants another part"),
        pytest.param(wanted(CRON, suspend=False), DECLARED, False, id="which a commit wants otherwise"),
    ],
)
def test_what_another_tool_declares_is_shown_and_not_fought(want, there, drifted):
    change = fate(want, there)
    assert (change.verb, change.code, change.body) == (Verb.REFUSE, faults.DECLARED_BY_OTHERS, None)
    assert change.reason == "spec.suspend is declared by argocd since 2026-01-01T06:00:00Z; git says otherwise"
    assert (change.drift is not None) == drifted
    assert "spec.suspend" in [difference.path for difference in change.diff]


def test_what_another_tool_declares_as_git_has_it_is_nothing():
    there = managed(live(CRON), "argocd", {"f:spec": {}}, declares=True)
    assert fate(wanted(CRON), there).verb is Verb.KEEP


def test_an_ignored_field_is_no_conflict_and_is_written_as_it_is():
    policy = replace(POLICY, ignore=IGNORE)
    assert fate(wanted(CRON), DECLARED, policy=policy).verb is Verb.KEEP
    change = fate(wanted(CRON, 1), DECLARED, policy=policy)
    assert (change.verb, change.body["spec"]["suspend"]) == (Verb.UPDATE, True)
    assert change.expect == "7"
    made = fate(wanted(CRON, suspend=False), None, policy=policy)
    assert (made.body["spec"]["suspend"], made.expect) == (False, "")


OURS = {"f:spec": {"f:entrypoint": {}, "f:templates": {}}}


@pytest.mark.parametrize(
    ("there", "drifts"),
    [
        pytest.param({"entrypoint": "main", "templates": "changed"}, False, id="a value in a form of the server's own"),
        pytest.param({"entrypoint": "main", "templates": [], "more": 1}, False, id="a default"),
        pytest.param({"entrypoint": "main"}, False, id="a field that we own, and that the server does not show"),
        pytest.param({"templates": []}, True, id="a field that somebody has removed"),
    ],
)
def test_what_the_server_made_of_what_was_applied_is_no_drift(there, drifts):
    """Nobody but our own apply owns the field, or nobody at all."""
    want = wanted(BASE)
    body = managed(
        live(BASE), "syncd", OURS if "entrypoint" in there else {"f:spec": {"f:templates": {}}}, declares=True
    )
    change = fate(want, {**body, "spec": there})
    assert (change.verb is Verb.UPDATE) == drifts
    if drifts:
        assert change.drift.fields == ("spec.entrypoint",)


def test_a_default_added_is_not_shown_among_the_differences_of_a_commit():
    body = managed(live(BASE), "syncd", OURS, declares=True)
    change = fate(wanted(BASE, 1), {**body, "spec": {**body["spec"], "more": 1}})
    assert [difference.path for difference in change.diff] == ["spec.templates[0].n"]


def test_drift_names_its_fields():
    there = managed(live(BASE, 1, said=0), "kubectl-edit", {"f:spec": {"f:templates": {}}})
    change = fate(wanted(BASE), there)
    assert change.drift.fields == ("spec.templates[0].n",)
    assert (change.to_json()["by"], change.to_json()["since"]) == ("kubectl-edit", "2026-01-01T06:00:00Z")
    assert fate(wanted(BASE, 1), live(BASE)).drift is None


def test_a_delete_says_what_may_hold_it_up():
    there = live(BASE)
    there["metadata"]["finalizers"] = ["a/b"]
    assert fate(None, there).finalizers == ("a/b",)


SYNCD = replace(POLICY, instance=labels.SYNCD_INSTANCE)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        pytest.param(None, "", id="none"),
        pytest.param("blue", "blue", id="one"),
        pytest.param("syncd", "", id="ours, pasted from a cluster"),
    ],
)
def test_a_cron_that_syncd_fires_hides_from_argo_and_remembers_the_instance_id_of_git(given, kept):
    change = fate(wanted(CRON, instance=given), None, owned=False, policy=SYNCD)
    assert change.body["metadata"]["labels"][labels.INSTANCE_ID] == "syncd"
    assert change.body["metadata"]["annotations"][labels.CHILD_INSTANCE_ID] == kept
    assert change.digest == wanted(CRON, instance=given).digest
    assert fate(wanted(CRON, instance=given), change.body, policy=SYNCD).verb is Verb.KEEP


def test_a_change_of_the_scheduler_is_no_drift():
    syncd = fate(wanted(CRON), live(CRON), policy=SYNCD)
    assert (syncd.verb, syncd.reason, syncd.drift) == (Verb.UPDATE, "fired by syncd from now on", None)
    assert [str(one) for one in syncd.diff] == [f'+ metadata.labels.{labels.INSTANCE_ID}: "syncd"']
    argo = fate(wanted(CRON), syncd.body)
    assert (argo.verb, argo.reason, argo.drift) == (Verb.UPDATE, "no longer fired by syncd", None)
    assert labels.INSTANCE_ID not in argo.body["metadata"]["labels"]
    assert argo.body["metadata"]["annotations"][labels.REVISION] == "main@sha1:" + "a" * 40


def test_other_kinds_bear_no_mark_of_a_scheduler():
    for key in (BASE, Key("CronJob", "default", "nightly")):
        change = fate(wanted(key, instance="blue"), None, owned=False, policy=SYNCD)
        assert change.body["metadata"]["labels"][labels.INSTANCE_ID] == "blue"
        assert labels.CHILD_INSTANCE_ID not in change.body["metadata"]["annotations"]


def test_an_unchanged_object_keeps_the_revision_that_changed_it_last():
    """Decision 14: drift is repaired without pretending that a commit did it."""
    repaired = fate(wanted(BASE), live(BASE, 1, said=0))
    assert repaired.body["metadata"]["annotations"][labels.REVISION] == "main@sha1:" + "a" * 40
    changed = fate(wanted(BASE, 1, line=9), live(BASE))
    assert changed.body["metadata"]["annotations"][labels.REVISION] == POLICY.revision
    assert changed.body["metadata"]["annotations"][labels.PATH] == "a.yaml:9"
    assert changed.body["metadata"]["labels"] == {labels.OWNER_SOURCE: SOURCE, labels.SHORT_SHA: "b" * 12}


def test_a_changed_spec_does_not_end_what_a_person_suspended():
    change = fate(wanted(CRON, 1, suspend=False), by_hand(live(CRON)))
    assert change.verb is Verb.UPDATE
    assert [difference.path for difference in change.diff] == ["spec.templates[0].n"]


def test_a_secret_in_plain_text_is_wanted_as_the_server_shows_it():
    from syncd.plan import desired

    item = {"kind": "Secret", "metadata": {"name": "x"}, "data": {"a": "b2xk", "b": "Yg=="}, "stringData": {"a": "new"}}
    made = desired.cleaned(item)
    assert made["data"] == {"a": "bmV3", "b": "Yg=="}
    assert "stringData" not in made
    assert item["stringData"] == {"a": "new"}
    odd = {"kind": "Secret", "metadata": {"name": "x"}, "stringData": {"a": 5}}
    assert desired.cleaned(odd)["stringData"] == {"a": 5}


def test_a_hand_made_suspend_without_a_note_is_drift():
    there = live(CRON)
    there["spec"] = {**there["spec"], "suspend": True}
    change = fate(wanted(CRON), there)
    assert (change.verb, change.reason) == (Verb.UPDATE, "drifted: changed by hand")
    assert [(d.op, d.path, d.before, d.after) for d in change.diff] == [("remove", "spec.suspend", "true", "")]


def test_marks_written_in_git_are_not_believed():
    want = wanted(BASE)
    item = want.body | {
        "metadata": want.body["metadata"]
        | {
            "labels": {labels.OWNER_SOURCE: "victim", "team": "data"},
            "annotations": {labels.DIGEST: "x", labels.BY_HAND: "{}"},
            "uid": "u",
            "resourceVersion": "1",
        },
        "status": {"phase": "x"},
    }
    from syncd.plan import desired

    assert desired.cleaned(item) == {**want.body, "metadata": {**want.body["metadata"], "labels": {"team": "data"}}}


@pytest.mark.parametrize("note", ["", "{", "[]", '{"who": 5}', "null", '"x"', "[" * 5000], ids=repr)
def test_a_spoiled_note_never_raises(note):
    there = live(CRON)
    there["metadata"]["annotations"] = {**there["metadata"]["annotations"], labels.BY_HAND: note}
    assert planning.by_hand(there) in ("", " by somebody", " by 5")
