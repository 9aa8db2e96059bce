"""Objects: what each verb does, in what order a list is, and what it says when it cannot."""

from __future__ import annotations

import re

import pytest

from syncd.argo import selectors
from syncd.argo.manifest import Key
from syncd.base.errors import AlreadyExists, Conflict, Expired, Invalid, NotFound, Unreachable
from syncd.cluster.api import Store, Verb, Write
from tests.support.clocks import ManualClock
from tests.support.objects import body, create, delete, do, errors, template, workflow

BASE = template("base")


async def test_a_created_object_has_what_the_server_sets(store: Store) -> None:
    made = await create(store, BASE, body(labels={"a": "b"}, spec={"x": 1}))
    assert made["apiVersion"] == "argoproj.io/v1alpha1"
    assert made["kind"] == "WorkflowTemplate"
    metadata = made["metadata"]
    assert (metadata["name"], metadata["namespace"]) == ("base", "ci")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", metadata["creationTimestamp"])
    assert metadata["generation"] == 1
    assert metadata["uid"]
    assert metadata["labels"] == {"a": "b"}
    assert await store.get(BASE) == made


@pytest.mark.ours("the test's clock")
async def test_an_object_is_created_now(store: Store, clock: ManualClock) -> None:
    clock.advance(90)
    assert (await create(store, BASE))["metadata"]["creationTimestamp"] == "2026-01-01T00:01:30Z"


async def test_the_server_does_not_believe_what_it_sets_itself(store: Store) -> None:
    given = {
        "metadata": {
            "uid": "mine",
            "resourceVersion": "77",
            "generation": 9,
            "creationTimestamp": "2000-01-01T00:00:00Z",
        },
        "spec": {},
    }
    metadata = (await create(store, BASE, given))["metadata"]
    assert metadata["uid"] != "mine"
    assert metadata["resourceVersion"] != "77"
    assert metadata["generation"] == 1
    assert metadata["creationTimestamp"] > "2000-01-01T00:00:00Z"


async def test_a_taken_name_is_a_lock(store: Store) -> None:
    first = await create(store, BASE, {"spec": {"x": 1}})
    with pytest.raises(AlreadyExists, match="WorkflowTemplate/ci/base"):
        await create(store, BASE, {"spec": {"x": 2}})
    assert await store.get(BASE) == first
    await delete(store, BASE)
    assert (await create(store, BASE))["metadata"]["uid"] != first["metadata"]["uid"]


async def test_a_generated_name_is_made_up(store: Store) -> None:
    asked = Key("Workflow", "ci", "hello-")
    writes = [Write(Verb.CREATE, asked, {"metadata": {"generateName": "hello-"}, "spec": {}}) for _ in range(2)]
    one, two = await store.write(writes)
    assert one.key != two.key
    assert one.key.name.startswith("hello-")
    assert one.body is not None
    assert one.body["metadata"]["name"] == one.key.name
    assert (await store.get(two.key))["metadata"]["generateName"] == "hello-"


@pytest.mark.parametrize(
    ("key", "given"),
    [
        pytest.param(Key("Workflow", "ci", "Upper"), {}, id="upper case"),
        pytest.param(Key("Workflow", "ci", "a/b"), {}, id="slash"),
        pytest.param(Key("Workflow", "ci", "../x"), {}, id="path"),
        pytest.param(Key("Workflow", "ci", ""), {}, id="no name"),
        pytest.param(Key("Workflow", "ci", "a" * 254), {}, id="too long"),
        pytest.param(Key("Workflow", "ci", "a\n"), {}, id="line end"),
        pytest.param(Key("Workflow", "", "a"), {}, id="no namespace"),
        pytest.param(Key("ClusterWorkflowTemplate", "ci", "a"), {}, id="a namespace where there is none"),
        pytest.param(Key("", "ci", "a"), {}, id="no kind"),
        pytest.param(workflow("a"), None, id="no body"),
        pytest.param(workflow("a"), {"kind": "CronWorkflow"}, id="another kind"),
        pytest.param(workflow("a"), {"metadata": {"name": "b"}}, id="another name"),
        pytest.param(workflow("a"), {"metadata": {"namespace": "x"}}, id="another namespace"),
        pytest.param(workflow("a"), {"metadata": []}, id="metadata is a list"),
        pytest.param(workflow("a"), {"metadata": {"labels": {"a": 1}}}, id="a label that is a number"),
        pytest.param(workflow("a"), {"metadata": {"annotations": ["a"]}}, id="annotations are a list"),
        pytest.param(workflow("a"), {"spec": {1: 2}}, id="a key that is a number"),
        pytest.param(workflow("a"), {"spec": "\ud800"}, id="half a character"),
        pytest.param(workflow("a"), {"spec": 1 << 70}, id="a number too large"),
        pytest.param(workflow("a"), {"spec": "x" * (9 << 20)}, id="too large"),
    ],
)
@pytest.mark.parametrize("verb", [Verb.CREATE, Verb.APPLY])
async def test_what_is_not_an_object_is_refused(store: Store, verb: Verb, key: Key, given: dict | None) -> None:
    written = await store.write([Write(verb, key, given), Write(Verb.CREATE, workflow("fine"), {"spec": {}})])
    assert errors(written) == [Invalid, None]


@pytest.mark.parametrize("status", ["done", [], {"nodes": []}, {"nodes": {"n": 1}}])
async def test_a_workflow_has_a_status_that_is_a_mapping(store: Store, status: object) -> None:
    await create(store, BASE)
    await create(store, workflow("a"))
    writes = [
        Write(Verb.CREATE, workflow("b"), {"spec": {}, "status": status}),
        Write(Verb.PATCH, workflow("a"), {"status": status}),
    ]
    assert errors(await store.write(writes)) == [Invalid, Invalid]


async def test_a_body_that_is_too_deep_is_refused(store: Store) -> None:
    deep: dict = {}
    for _ in range(2000):
        deep = {"a": deep}
    assert errors(await store.write([Write(Verb.CREATE, BASE, {"spec": deep})])) == [Invalid]


async def test_missing_objects_are_a_normal_answer(store: Store) -> None:
    with pytest.raises(NotFound, match="WorkflowTemplate/ci/base"):
        await store.get(BASE)
    written = await store.write([Write(Verb.DELETE, BASE), Write(Verb.PATCH, BASE, {"spec": {}})])
    assert errors(written) == [NotFound, NotFound]
    assert await store.write([]) == []
    page = await store.list("WorkflowTemplate")
    assert (page.items, page.after) == ([], "")


async def test_delete_removes(store: Store) -> None:
    await create(store, BASE)
    await delete(store, BASE)
    with pytest.raises(NotFound):
        await store.get(BASE)


@pytest.mark.ours("a server answers a Status")
async def test_delete_answers_what_was_there(store: Store) -> None:
    made = await create(store, BASE)
    assert await do(store, Verb.DELETE, BASE) == made


async def test_preconditions(store: Store) -> None:
    made = (await create(store, BASE, {"spec": {"x": 1}}))["metadata"]
    writes = [
        Write(Verb.PATCH, BASE, {"spec": {"x": 2}}, expect="1"),
        Write(Verb.APPLY, BASE, {"spec": {"x": 2}}, uid="other"),
        Write(Verb.DELETE, BASE, uid="other"),
        Write(Verb.PATCH, BASE, {"spec": {"x": 3}}, expect=made["resourceVersion"], uid=made["uid"]),
        Write(Verb.PATCH, BASE, {"spec": {"x": 4}}, expect=made["resourceVersion"]),
        Write(Verb.PATCH, BASE, {"metadata": {"uid": "other"}}),
        Write(Verb.APPLY, template("gone"), {"spec": {}}, uid=made["uid"]),
    ]
    assert errors(await store.write(writes)) == [Conflict, Conflict, Conflict, None, Conflict, Conflict, Conflict]
    assert (await store.get(BASE))["spec"] == {"x": 3}


async def test_generation_counts_changes_of_the_spec(store: Store) -> None:
    async def generation(patch: dict) -> int:
        return (await do(store, Verb.PATCH, BASE, patch))["metadata"]["generation"]

    await create(store, BASE, {"spec": {"x": 1}})
    assert await generation({"status": {"phase": "Running"}}) == 1
    assert await generation({"metadata": {"labels": {"a": "b"}}}) == 1
    assert await generation({"spec": {"x": 2}}) == 2
    assert await generation({"spec": {"x": 2}}) == 2


async def test_a_write_that_changes_nothing_changes_no_version(store: Store) -> None:
    made = await do(store, Verb.APPLY, BASE, body(labels={"a": "b"}, spec={"x": 1}))
    assert await do(store, Verb.APPLY, BASE, body(labels={"a": "b"}, spec={"x": 1})) == made
    assert await do(store, Verb.PATCH, BASE, {"spec": {"x": 1}}) == made
    assert (await store.list("WorkflowTemplate")).version == made["metadata"]["resourceVersion"]


async def test_patch_is_a_merge_patch(store: Store) -> None:
    await create(store, BASE, body(labels={"a": "1", "b": "2"}, spec={"x": {"y": 1, "z": [1]}}, status={"s": 1}))
    patch = {"metadata": {"labels": {"a": None, "c": "3"}}, "spec": {"x": {"z": [2]}}, "status": None}
    after = await do(store, Verb.PATCH, BASE, patch)
    assert after["metadata"]["labels"] == {"b": "2", "c": "3"}
    assert after["spec"] == {"x": {"y": 1, "z": [2]}}
    assert "status" not in after
    assert await store.get(BASE) == after


async def test_a_patch_cannot_change_what_an_object_is(store: Store) -> None:
    made = await create(store, BASE)
    patch = {"kind": None, "apiVersion": None, "metadata": {"creationTimestamp": None, "generation": 99, "name": None}}
    assert await do(store, Verb.PATCH, BASE, patch) == made
    written = await store.write(
        [Write(Verb.PATCH, BASE, {"metadata": {"name": "x"}}), Write(Verb.PATCH, BASE, {"kind": "Secret"})]
    )
    assert errors(written) == [Invalid, Invalid]


async def test_apply_creates_and_drops_a_given_status(store: Store) -> None:
    made = await do(store, Verb.APPLY, BASE, {"spec": {"x": 1}, "status": {"phase": "Succeeded"}})
    assert made["spec"] == {"x": 1}
    assert "status" not in made


async def test_apply_undoes_what_others_did_to_the_spec_and_keeps_the_status(store: Store) -> None:
    key = workflow("run")
    await do(store, Verb.APPLY, key, {"spec": {"x": 1, "y": 1}})
    await do(store, Verb.PATCH, key, {"spec": {"x": 2, "z": 3}, "status": {"phase": "Running"}})
    after = await do(store, Verb.APPLY, key, {"spec": {"x": 1}})
    assert after["spec"] == {"x": 1}
    assert after["status"] == {"phase": "Running"}


async def test_apply_removes_only_labels_and_annotations_that_it_set(store: Store) -> None:
    await do(store, Verb.APPLY, BASE, body(labels={"mine": "1", "both": "1"}, annotations={"old": "1"}, spec={}))
    foreign = {"labels": {"theirs": "2", "both": "2"}, "annotations": {"note": "2"}}
    await do(store, Verb.PATCH, BASE, {"metadata": foreign})
    after = await do(store, Verb.APPLY, BASE, body(labels={"both": "3"}, spec={}))
    assert after["metadata"]["labels"] == {"theirs": "2", "both": "3"}
    assert after["metadata"]["annotations"] == {"note": "2"}
    last = await do(store, Verb.APPLY, BASE, body(spec={}))
    assert last["metadata"]["labels"] == {"theirs": "2"}


async def test_apply_adopts_what_was_created_without_removing_anything(store: Store) -> None:
    await create(store, BASE, body(labels={"theirs": "1"}, spec={"x": 1}))
    after = await do(store, Verb.APPLY, BASE, body(labels={"mine": "1"}, spec={"x": 2}))
    assert after["metadata"]["labels"] == {"theirs": "1", "mine": "1"}
    assert after["spec"] == {"x": 2}


async def test_declare_creates_and_owns(store: Store) -> None:
    made = await do(store, Verb.DECLARE, BASE, body(labels={"a": "1", "b": "1"}, spec={"x": 1, "y": 1}))
    assert made["spec"] == {"x": 1, "y": 1}
    written = await store.write([Write(Verb.DECLARE, BASE, body(labels={"c": "1"}, spec={"z": 1}))])
    assert errors(written) == [AlreadyExists]
    assert (await store.get(BASE))["metadata"]["labels"] == {"a": "1", "b": "1"}
    after = await do(store, Verb.APPLY, BASE, body(labels={"a": "1"}, spec={"x": 1}))
    assert (after["metadata"]["labels"], after["spec"]) == ({"a": "1"}, {"x": 1})


async def test_declare_may_be_sent_again(store: Store) -> None:
    """Its answer may have been lost: the second one finds the name taken, and takes nothing away."""
    made = await do(store, Verb.DECLARE, BASE, body(labels={"a": "1"}, spec={"x": 1}))
    again = await store.write([Write(Verb.DECLARE, BASE, body(labels={"a": "1"}, spec={"x": 1}))])
    assert errors(again) == [AlreadyExists]
    assert await store.get(BASE) == made


async def test_declare_leaves_what_another_made_as_it_is(store: Store) -> None:
    made = await create(store, BASE, body(labels={"a": "1"}, spec={"x": 1}))
    written = await store.write([Write(Verb.DECLARE, BASE, body(labels={"b": "1"}, spec={"x": 1, "y": 2}))])
    assert errors(written) == [AlreadyExists]
    assert await store.get(BASE) == made


async def test_a_rehearsal_writes_nothing(store: Store) -> None:
    await create(store, template("there"), {"spec": {"x": 1}})
    writes = [
        Write(Verb.DECLARE, BASE, {"spec": {"x": 1}}),
        Write(Verb.APPLY, template("there"), {"spec": {"x": 2}}),
        Write(Verb.DELETE, template("there")),
    ]
    assert errors(await store.rehearse(writes)) == [None, None, None]
    assert [item["spec"] for item in (await store.list("WorkflowTemplate")).items] == [{"x": 1}]
    assert await store.rehearse([]) == []


async def test_a_suspension_by_hand_survives_an_apply_until_it_is_taken_back(store: Store) -> None:
    cron = Key("CronWorkflow", "ci", "nightly")
    declared = {"spec": {"schedule": "0 0 * * *"}}
    await do(store, Verb.APPLY, cron, declared)
    by_hand = {"metadata": {"annotations": {"syncd.io/by-hand": "ann since today"}}, "spec": {"suspend": True}}
    await do(store, Verb.PATCH, cron, by_hand)
    after = await do(store, Verb.APPLY, cron, {"spec": {"schedule": "1 0 * * *", "suspend": False}})
    assert after["spec"] == {"schedule": "1 0 * * *", "suspend": True}
    await do(store, Verb.PATCH, cron, {"spec": {"suspend": None}})
    after = await do(store, Verb.APPLY, cron, {"spec": {"schedule": "1 0 * * *", "suspend": True}})
    assert after["spec"] == {"schedule": "1 0 * * *"}
    await do(store, Verb.PATCH, cron, {"spec": {"suspend": True}})
    after = await do(store, Verb.APPLY, cron, {"spec": {"schedule": "1 0 * * *", "suspend": False}})
    assert after["spec"] == {"schedule": "1 0 * * *", "suspend": True}
    await do(store, Verb.PATCH, cron, {"metadata": {"annotations": {"syncd.io/by-hand": None}}})
    assert (await do(store, Verb.APPLY, cron, declared))["spec"] == declared["spec"]


async def test_an_error_stops_only_its_own_write(store: Store) -> None:
    writes = [
        Write(Verb.CREATE, template("a"), {"spec": {}}),
        Write(Verb.CREATE, template("a"), {"spec": {}}),
        Write(Verb.CREATE, template("b"), {"spec": {}}),
    ]
    written = await store.write(writes)
    assert errors(written) == [None, AlreadyExists, None]
    assert [one.key.name for one in written] == ["a", "a", "b"]
    assert len((await store.list("WorkflowTemplate")).items) == 2


@pytest.mark.ours("a cluster has no transactions")
async def test_atomic_is_all_or_none(store: Store) -> None:
    await create(store, BASE, {"spec": {"x": 1}})
    before = await store.list("WorkflowTemplate")
    writes = [
        Write(Verb.PATCH, BASE, {"spec": {"x": 2}}),
        Write(Verb.CREATE, template("new"), {"spec": {}}),
        Write(Verb.DELETE, template("gone")),
        Write(Verb.CREATE, template("later"), {"spec": {}}),
    ]
    written = await store.write(writes, atomic=True)
    assert errors(written) == [Conflict, Conflict, NotFound, Conflict]
    assert str(written[3].error) == "not tried"
    assert await store.list("WorkflowTemplate") == before
    assert errors(await store.write(writes[:2], atomic=True)) == [None, None]
    assert [item["metadata"]["name"] for item in (await store.list("WorkflowTemplate")).items] == ["base", "new"]


async def test_writes_of_one_call_see_each_other(store: Store) -> None:
    writes = [
        Write(Verb.CREATE, BASE, {"spec": {"x": 1}}),
        Write(Verb.PATCH, BASE, {"spec": {"y": 2}}),
        Write(Verb.DELETE, BASE),
        Write(Verb.CREATE, BASE, {"spec": {"z": 3}}),
    ]
    assert errors(await store.write(writes)) == [None] * 4
    assert (await store.get(BASE))["spec"] == {"z": 3}


async def names(store: Store, text: str, **where: object) -> list[str]:
    page = await store.list("WorkflowTemplate", selector=selectors.parse(text), **where)  # type: ignore[arg-type]
    return [item["metadata"]["name"] for item in page.items]


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("", ["a", "b", "c", "d"]),
        ("app=web", ["a", "b"]),
        ("app==web,tier=1", ["a"]),
        ("app!=web", ["c", "d"]),
        ("app in (web,db)", ["a", "b", "c"]),
        ("app notin (web,db)", ["d"]),
        ("tier", ["a", "b"]),
        ("!tier", ["c", "d"]),
        ("!app", ["d"]),
        ("app=web,tier notin (1)", ["b"]),
        ("app=nothing", []),
        ("empty=", ["c"]),
    ],
)
async def test_selectors(store: Store, selector: str, expected: list[str]) -> None:
    of = {
        "a": {"app": "web", "tier": "1"},
        "b": {"app": "web", "tier": "2"},
        "c": {"app": "db", "empty": ""},
        "d": None,
    }
    await store.write([Write(Verb.CREATE, template(name), body(labels=labels, spec={})) for name, labels in of.items()])
    await create(store, template("z", "other"), body(labels={"app": "web"}, spec={}))
    assert await names(store, selector, namespace="ci") == expected
    assert await names(store, selector, namespace="nowhere") == []


async def test_selectors_follow_labels_as_they_change(store: Store) -> None:
    await create(store, BASE, body(labels={"app": "web"}, spec={}))
    await do(store, Verb.PATCH, BASE, {"metadata": {"labels": {"app": "db"}}})
    assert (await names(store, "app=web"), await names(store, "app=db")) == ([], ["base"])
    await delete(store, BASE)
    assert await names(store, "app=db") == []
    await create(store, BASE)
    assert await names(store, "app=db") == []


async def test_lists_are_in_order_and_of_one_kind(store: Store) -> None:
    keys = [template("b", "x"), template("a", "y"), template("a", "x"), workflow("c", "x"), template("a.b", "x")]
    await store.write([Write(Verb.CREATE, key, {"spec": {}}) for key in keys])
    await create(store, Key("ClusterWorkflowTemplate", "", "wide"))
    page = await store.list("WorkflowTemplate")
    assert [(item["metadata"]["namespace"], item["metadata"]["name"]) for item in page.items] == [
        ("x", "a"),
        ("x", "a.b"),
        ("x", "b"),
        ("y", "a"),
    ]
    (wide,) = (await store.list("ClusterWorkflowTemplate")).items
    assert "namespace" not in wide["metadata"]


@pytest.mark.parametrize("selector", [None, selectors.parse("app=web"), selectors.parse("app")])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 6])
async def test_pages_join_to_the_whole_list(store: Store, size: int, selector: selectors.Selector | None) -> None:
    for space in ("x", "y"):
        await store.write(
            [Write(Verb.CREATE, template(f"t{n}", space), body(labels={"app": "web"}, spec={})) for n in range(3)]
        )
    whole = (await store.list("WorkflowTemplate", selector=selector)).items
    pages, after = [], ""
    while True:
        page = await store.list("WorkflowTemplate", selector=selector, limit=size, after=after)
        pages.append(page.items)
        after = page.after
        if not after:
            break
    assert [item for items in pages for item in items] == whole
    assert len(pages) == -(-6 // size)  # no empty page at the end


async def test_paging_while_objects_come_and_go(store: Store) -> None:
    """What stays is listed once, in its place, whatever happens to the others between two pages."""
    await store.write([Write(Verb.CREATE, template(name), {"spec": {}}) for name in ("b", "d", "f", "h")])
    page = await store.list("WorkflowTemplate", limit=2)
    await delete(store, template("d"))
    await store.write([Write(Verb.CREATE, template(name), {"spec": {}}) for name in ("a", "e")])
    rest = await store.list("WorkflowTemplate", limit=10, after=page.after)
    names = [item["metadata"]["name"] for item in page.items + rest.items]
    assert names == sorted(set(names))
    assert {"b", "f", "h"} <= set(names) <= {"b", "d", "e", "f", "h"}


async def test_a_page_token_that_is_not_ours_is_expired(store: Store) -> None:
    for token in ("nonsense!", "YQ", "\N{SNOWMAN}"):
        with pytest.raises(Expired, match="list again"):
            await store.list("WorkflowTemplate", after=token)


async def test_nodes_are_answered_by_get_and_left_out_of_lists(store: Store) -> None:
    key = workflow("run")
    status = {"phase": "Running", "nodes": {"n1": {"id": "n1"}, "n2": {"id": "n2", "phase": "Pending"}}}
    made = await create(store, key, {"spec": {}, "status": status})
    assert made["status"] == {"phase": "Running"}
    assert (await store.get(key))["status"] == status
    (listed,) = (await store.list("Workflow")).items
    assert listed == made
    patch = {"status": {"nodes": {"n1": None, "n2": {"phase": "Running"}, "n3": {"id": "n3"}}}}
    after = await do(store, Verb.PATCH, key, patch)
    assert after["metadata"]["resourceVersion"] != made["metadata"]["resourceVersion"]
    assert (await store.get(key))["status"]["nodes"] == {"n2": {"id": "n2", "phase": "Running"}, "n3": {"id": "n3"}}
    assert await do(store, Verb.PATCH, key, {"status": {"nodes": {"n2": {"phase": "Running"}}}}) == after
    await do(store, Verb.PATCH, key, {"status": None})
    assert "status" not in await store.get(key)


async def test_a_workflow_made_anew_does_not_inherit_nodes(store: Store) -> None:
    key = workflow("run")
    await create(store, key, {"spec": {}, "status": {"nodes": {"n": {"id": "n"}}}})
    await delete(store, key)
    await create(store, key)
    assert "status" not in await store.get(key)


async def test_other_kinds_keep_nodes_in_their_status(store: Store) -> None:
    cron = Key("CronWorkflow", "ci", "c")
    await create(store, cron, {"spec": {}, "status": {"nodes": {"n": 1}}})
    assert (await store.list("CronWorkflow")).items[0]["status"] == {"nodes": {"n": 1}}


async def test_what_was_handed_in_may_change_afterwards(store: Store) -> None:
    given = body(labels={"a": "b"}, spec={"x": [1]})
    await create(store, BASE, given)
    given["spec"]["x"].append(2)
    given["metadata"]["labels"]["a"] = "c"
    live = await store.get(BASE)
    assert (live["spec"], live["metadata"]["labels"]) == ({"x": [1]}, {"a": "b"})


async def test_a_closed_store_answers_nothing(store: Store) -> None:
    await create(store, BASE)
    await store.close()
    await store.close()
    with pytest.raises(Unreachable, match="closed"):
        await store.get(BASE)
    with pytest.raises(Unreachable, match="closed"):
        await store.list("Workflow")
    with pytest.raises(Unreachable, match="closed"):
        await store.write([Write(Verb.DELETE, BASE)])
    with pytest.raises(Unreachable, match="closed"):
        await store.latest()
