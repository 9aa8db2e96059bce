"""From a commit to what is in force: what is applied, what it costs, and what is said about it."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from syncd.argo import labels
from syncd.argo.manifest import Key
from syncd.base.errors import Conflict, Unreachable
from syncd.cluster.api import Verb
from syncd.loops.terms import Options
from syncd.observe.events import SourceChecked, SourceSynced
from syncd.source import decode
from tests.loops.sourced import SOURCE, Files, Stage, config_map, cron, template, workflow

FILES = {
    "base.yaml": template("base"),
    "caller.yaml": template("caller", refers="base"),
    "cron.yaml": cron("nightly"),
    "settings.yaml": config_map("settings"),
    "hello.yaml": workflow("hello"),
    "ci.yaml": "jobs: {}\n",
}


async def test_a_first_sync_applies_everything_and_says_so():
    stage = Stage(FILES)
    report = await stage.loop.step()
    assert (report.result, report.created, report.offered) == ("applied", 4, 1)
    assert await stage.names() == [
        "WorkflowTemplate/base",
        "WorkflowTemplate/caller",
        "CronWorkflow/nightly",
        "ConfigMap/settings",
    ]
    status = stage.loop.status()
    assert status["result"] == "applied"
    assert status["applied"] == status["seen"] == str(stage.source.revision)
    assert status["objects"] == {"ConfigMap": 1, "CronWorkflow": 1, "WorkflowTemplate": 2}
    assert (status["offered"], status["ignored"], status["author"]) == (1, 1, "ada")
    assert stage.loop.ignored() == [("ci.yaml", "no apiVersion")]
    (synced,) = stage.of(SourceSynced)
    assert (synced.result, synced.created, synced.offered, synced.objects) == (
        "applied",
        4,
        1,
        (("ConfigMap", 1), ("CronWorkflow", 1), ("WorkflowTemplate", 2)),
    )


async def test_objects_carry_their_owner_and_the_revision_that_changed_them():
    stage = Stage(FILES)
    await stage.loop.step()
    first = str(stage.source.revision)
    stage.source.files["base.yaml"] = template("base", "bonjour")
    await stage.loop.step()
    base, caller = [await stage.live("WorkflowTemplate", name) for name in ("base", "caller")]
    assert base["metadata"]["annotations"][labels.REVISION] == str(stage.source.revision)
    assert caller["metadata"]["annotations"][labels.REVISION] == first
    assert base["metadata"]["annotations"][labels.PATH] == "base.yaml:1"
    assert base["metadata"]["labels"][labels.OWNER_SOURCE] == SOURCE


async def test_what_is_referred_to_is_written_first():
    stage = Stage(FILES)
    await stage.loop.step()
    order = [entry.partition("/")[2] for entry in stage.store.written if entry.startswith("declare")]
    assert order == ["settings", "base", "caller", "nightly"]


async def test_a_poll_that_finds_nothing_new_touches_no_store():
    stage = Stage(FILES)
    await stage.loop.step()
    stage.store.accesses.clear()
    told = len(stage.of(SourceSynced))
    report = await stage.loop.step()
    assert stage.store.accesses == []
    assert report.result == "applied"
    assert len(stage.of(SourceSynced)) == told
    assert [event.moved for event in stage.of(SourceChecked)] == [True, False]


async def test_one_changed_file_costs_one_decode_one_read_one_write():
    files = {f"t{number:03}.yaml": template(f"t{number:03}") for number in range(300)}
    stage = Stage(files)
    await stage.loop.step()
    stage.store.accesses.clear()
    stage.store.written.clear()
    stage.source.read.clear()
    stage.source.files["t007.yaml"] = template("t007", "changed")
    report = await stage.loop.step()
    assert (report.updated, report.unchanged) == (1, 299)
    assert stage.source.read == ["t007.yaml"]
    assert stage.store.written == ["apply WorkflowTemplate/t007"]
    assert stage.store.accesses == ["get WorkflowTemplate/default/t007", "write 1", f"save {SOURCE}"]


async def test_a_commit_that_changes_no_manifest_changes_only_the_revision():
    stage = Stage(FILES)
    await stage.loop.step()
    stage.store.accesses.clear()
    stage.source.files["README.yaml"] = "# nothing\n"
    report = await stage.loop.step()
    assert (report.result, report.moved) == ("unchanged", True)
    assert stage.store.accesses == [f"save {SOURCE}"]
    assert stage.loop.status()["applied"] == str(stage.source.revision)


async def test_a_restart_with_everything_in_place_writes_nothing():
    stage = Stage(FILES)
    await stage.loop.step()
    stage.store.accesses.clear()
    stage.store.written.clear()
    report = await stage.start().step()
    assert (report.result, report.unchanged) == ("unchanged", 4)
    assert stage.store.written == []
    assert not [access for access in stage.store.accesses if access.startswith(("save", "write"))]


async def test_a_change_missed_while_down_is_made_at_the_start():
    stage = Stage(FILES)
    await stage.loop.step()
    stage.source.files["base.yaml"] = template("base", "bonjour")
    del stage.source.files["settings.yaml"]
    report = await stage.start().step()
    assert (report.updated, report.deleted) == (1, 1)
    assert "ConfigMap/settings" not in await stage.names()


async def test_a_removed_file_removes_its_object_and_a_survivor_stays():
    stage = Stage({**FILES, "kept.yaml": template("kept", extra="\n  annotations: {syncd.io/prune: disabled}")})
    await stage.loop.step()
    del stage.source.files["caller.yaml"], stage.source.files["kept.yaml"]
    report = await stage.loop.step()
    assert report.deleted == 1
    assert "WorkflowTemplate/kept" in await stage.names()
    assert "WorkflowTemplate/caller" not in await stage.names()
    await stage.loop.step(full=True)
    assert stage.loop.status()["objects"]["WorkflowTemplate"] == 2


async def test_pruning_can_be_off():
    stage = Stage(FILES, Options(prune=False))
    await stage.loop.step()
    del stage.source.files["caller.yaml"]
    await stage.loop.step()
    assert "WorkflowTemplate/caller" in await stage.names()


async def test_a_label_taken_away_in_git_goes_and_a_persons_label_stays():
    stage = Stage({"base.yaml": template("base", extra="\n  labels: {team: data}")})
    await stage.loop.step()
    await stage.by_hand(Verb.PATCH, "WorkflowTemplate", "base", {"metadata": {"labels": {"mine": "x"}}})
    stage.source.files["base.yaml"] = template("base")
    await stage.loop.step()
    assert (await stage.live("WorkflowTemplate", "base"))["metadata"]["labels"].keys() == {
        labels.OWNER_SOURCE,
        labels.SHORT_SHA,
        "mine",
    }


# Drift


async def test_drift_is_undone_at_the_next_comparison_and_not_before():
    stage = Stage(FILES)
    await stage.loop.step()
    await stage.by_hand(Verb.PATCH, "WorkflowTemplate", "base", {"spec": {"entrypoint": "other"}})
    await stage.by_hand(Verb.DELETE, "ConfigMap", "settings")
    await stage.loop.step()
    assert stage.store.written == []
    stage.clock.advance(601)
    report = await stage.loop.step()
    assert (report.created, report.updated) == (1, 1)
    assert (await stage.live("WorkflowTemplate", "base"))["spec"]["entrypoint"] == "main"


async def test_what_is_suspended_by_hand_stays_so_and_is_shown():
    stage = Stage(FILES)
    await stage.loop.step()
    note = '{"field": "spec.suspend", "who": "ada", "since": "2026-01-01T00:00:00Z"}'
    patch = {"metadata": {"annotations": {labels.BY_HAND: note}}, "spec": {"suspend": True}}
    await stage.by_hand(Verb.PATCH, "CronWorkflow", "nightly", patch)
    stage.source.files["cron.yaml"] = cron("nightly", "0 3 * * *")
    await stage.loop.step(full=True)
    live = await stage.live("CronWorkflow", "nightly")
    assert (live["spec"]["suspend"], live["spec"]["schedules"]) == (True, ["0 3 * * *"])
    await stage.loop.step(full=True)
    (shown,) = stage.loop.status()["byHand"]
    assert shown.endswith("changed by hand by ada since 2026-01-01T00:00:00Z")
    await stage.by_hand(
        Verb.PATCH,
        "CronWorkflow",
        "nightly",
        {"metadata": {"annotations": {labels.BY_HAND: None}}, "spec": {"suspend": None}},
    )
    await stage.loop.step(full=True)
    assert stage.loop.status()["byHand"] == []


async def test_a_person_who_asks_gets_a_full_comparison():
    stage = Stage(FILES)
    await stage.loop.step()
    await stage.by_hand(Verb.DELETE, "ConfigMap", "settings")
    asked = asyncio.create_task(stage.loop.request_sync())
    await asyncio.sleep(0)
    await stage.loop.step()
    assert (await asked)["last"]["created"] == 1


# Whose objects


async def test_objects_of_others_are_refused_and_hold_the_commit():
    stage = Stage({"base.yaml": template("base"), "other.yaml": template("other")})
    await stage.by_hand(
        Verb.CREATE, "WorkflowTemplate", "base", {"kind": "WorkflowTemplate", "metadata": {"name": "base"}, "spec": {}}
    )
    report = await stage.loop.step()
    assert (report.result, report.reason) == ("held", "refused")
    assert await stage.names() == ["WorkflowTemplate/base"]
    (problem,) = stage.loop.problems()
    assert (problem.code, problem.place.file, problem.object) == ("V802", "base.yaml", "WorkflowTemplate/default/base")
    with pytest.raises(Conflict, match="cannot be approved"):
        await stage.loop.approve(str(stage.source.revision), "ada")
    await stage.by_hand(Verb.DELETE, "WorkflowTemplate", "base")
    assert (await stage.loop.step(full=True)).result == "applied"
    assert stage.loop.problems() == []


async def test_two_sources_never_take_from_each_other():
    stage = Stage({"base.yaml": template("base")})
    await stage.loop.step()
    other = Files({"base.yaml": template("base", "mine"), "more.yaml": template("more")}, "other")
    loose = stage.start(other, Options(atomic=False))
    report = await loose.step()
    assert (report.created, report.reason, loose.status()["refused"]) == (1, "refused", 1)
    assert (await stage.live("WorkflowTemplate", "base"))["metadata"]["labels"][labels.OWNER_SOURCE] == SOURCE
    other.files = {"more.yaml": template("more")}
    await loose.step()
    assert "WorkflowTemplate/base" in await stage.names()


async def test_objects_of_a_source_no_longer_configured_can_be_taken_over():
    stage = Stage({"base.yaml": template("base")})
    await stage.loop.step()
    renamed = stage.start(Files(stage.source.files, "renamed"), Options(retired=frozenset({SOURCE})))
    assert (await renamed.step()).updated == 1
    assert (await stage.live("WorkflowTemplate", "base"))["metadata"]["labels"][labels.OWNER_SOURCE] == "renamed"
    gone = stage.start(Files({}, SOURCE))
    await gone.step()
    assert await stage.names() == ["WorkflowTemplate/base"]


async def test_templates_of_another_source_are_found_when_they_come():
    """Two sources that start together: the one that refers to the other's templates waits for them."""
    stage = Stage({"caller.yaml": template("caller", refers="base")})
    assert (await stage.loop.step()).result == "held"
    other = stage.start(Files({"base.yaml": template("base")}, "other"))
    await other.step()
    caller = stage.start()
    assert (await caller.step()).result == "applied"
    assert caller.problems() == []


async def test_a_held_source_looks_again_for_what_it_lacks():
    stage = Stage({"caller.yaml": template("caller", refers="base")})
    caller = stage.loop
    assert (await caller.step()).result == "held"
    stage.store.accesses.clear()
    assert (await caller.step()).result == "held"
    assert stage.store.accesses == ["get WorkflowTemplate/default/base"]
    await stage.start(Files({"base.yaml": template("base")}, "other")).step()
    assert (await caller.step()).result == "applied"


async def test_ones_own_object_that_a_commit_removes_resolves_no_reference():
    stage = Stage(FILES)
    await stage.loop.step()
    del stage.source.files["base.yaml"]
    assert (await stage.loop.step()).reason == "problems"


async def test_namespaces_that_are_not_allowed_are_not_written():
    stage = Stage(FILES, Options(decode=decode.Options(namespaces=frozenset({"ci"}))))
    report = await stage.loop.step()
    assert report.result == "held"
    assert await stage.names() == []


# Workflows and Jobs


async def test_a_workflow_is_offered_and_not_run():
    from syncd.loops import inventory

    stage = Stage(FILES)
    await stage.loop.step()
    key = Key("Workflow", "default", "hello")
    source, body = await inventory.offered(stage.store, key)
    assert (source, body["spec"]["entrypoint"]) == (SOURCE, "main")
    assert body["metadata"]["annotations"][labels.REVISION] == str(stage.source.revision)
    assert body["metadata"]["labels"][labels.OWNER_SOURCE] == SOURCE
    assert await inventory.offers(stage.store) == [(SOURCE, key)]
    del stage.source.files["hello.yaml"]
    await stage.loop.step()
    assert await inventory.offered(stage.store, key) is None
    assert await inventory.offered(stage.store, Key("Job", "x", "y")) is None


async def test_run_once_runs_once_per_content_even_after_its_run_is_gone():
    stage = Stage({"hello.yaml": workflow("hello", once=True)})
    assert (await stage.loop.step()).started == 1
    (first,) = await stage.names("Workflow")
    await stage.by_hand(Verb.DELETE, *first.split("/"))
    assert (await stage.start().step()).started == 0
    assert await stage.names("Workflow") == []
    stage.source.files["hello.yaml"] = workflow("hello", "bonjour", once=True)
    assert (await stage.loop.step()).started == 1
    (second,) = await stage.names("Workflow")
    assert first != second


async def test_a_source_may_run_all_its_workflows():
    stage = Stage(FILES, Options(run_all=True))
    assert (await stage.loop.step()).started == 1


# When to look


async def test_hints_and_requests_wake_the_loop():
    stage = Stage(FILES, Options(interval=timedelta(days=1)))
    task = asyncio.create_task(stage.loop.run())
    try:
        async with asyncio.timeout(20):
            await stage.loop.request_sync()
            stage.source.polled.clear()
            stage.source.hint.set()
            await stage.source.polled.wait()
            polls = stage.source.polls
            status = await stage.loop.request_sync()
            assert stage.source.polls > polls
            assert status["result"] == "applied"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_the_preview_shows_differences_and_changes_nothing():
    stage = Stage(FILES)
    with pytest.raises(Unreachable, match="not been read yet"):
        await stage.loop.plan_preview()
    await stage.loop.step()
    await stage.by_hand(Verb.PATCH, "WorkflowTemplate", "base", {"spec": {"entrypoint": "other"}})
    preview = await stage.loop.plan_preview()
    assert preview["counts"]["update"] == 1
    (change,) = preview["changes"]
    assert (change["verb"], change["reason"]) == ("update", "drifted: changed by hand")
    assert change["diff"] == [{"op": "replace", "path": "spec.entrypoint", "before": '"other"', "after": '"main"'}]
    assert stage.store.written == []


async def test_a_suspended_source_is_neither_polled_nor_applied():
    stage = Stage(FILES, Options(suspended=True))
    assert (await stage.loop.step()).result == "suspended"
    assert (stage.source.polls, await stage.names()) == (0, [])


async def test_many_objects_are_compared_in_pages():
    files = {f"t{number:03}.yaml": template(f"t{number:03}") for number in range(450)}
    stage = Stage(files)
    assert (await stage.loop.step()).created == 450
    await stage.by_hand(Verb.DELETE, "WorkflowTemplate", "t449")
    report = await stage.loop.step(full=True)
    assert (report.created, report.unchanged) == (1, 449)
