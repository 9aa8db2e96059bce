"""What holds a commit, and that meanwhile everything in force stays as it is."""

from __future__ import annotations

import asyncio

import pytest

from syncd.base.errors import Conflict, Refused, Unreachable
from syncd.base.problems import Place, Problem
from syncd.cluster.api import Verb
from syncd.loops.terms import Options
from syncd.observe.events import SourceChecked, SourceSynced
from tests.loops.sourced import Stage, config_map, cron, template

FILES = {
    "base.yaml": template("base"),
    "caller.yaml": template("caller", refers="base"),
    "cron.yaml": cron("nightly"),
    "settings.yaml": config_map("settings"),
}
BROKEN = template("base").replace("container:", "kontainer:")
UNREADABLE = "apiVersion: argoproj.io/v1alpha1\nkind: WorkflowTemplate\n  metadata: [\n"


async def stood(files=FILES, **options):
    """A stage on which the files are in force."""
    stage = Stage(files, Options(**options))
    await stage.loop.step()
    stage.store.written.clear()
    return stage


async def test_one_error_holds_the_whole_commit():
    stage = await stood()
    before = str(stage.source.revision)
    stage.source.files |= {"base.yaml": BROKEN, "settings.yaml": config_map("settings", "new"), "bad.yaml": UNREADABLE}
    del stage.source.files["cron.yaml"]
    report = await stage.loop.step()
    assert (report.result, report.reason) == ("held", "problems")
    assert stage.store.written == []
    status = stage.loop.status()
    assert status["applied"] == before
    assert status["held"]["revision"] == status["seen"] == str(stage.source.revision)
    assert status["problems"]["error"] >= 2
    assert {problem.place.file for problem in stage.loop.problems()} >= {"base.yaml", "bad.yaml"}
    (synced,) = stage.of(SourceSynced)[1:]
    assert (synced.result, synced.reason, synced.applied_revision) == ("held", "problems", before)


async def test_fixing_it_applies_all_that_was_held():
    stage = await stood()
    stage.source.files |= {"base.yaml": BROKEN, "settings.yaml": config_map("settings", "new")}
    await stage.loop.step()
    stage.source.files["base.yaml"] = template("base", "fixed")
    report = await stage.loop.step()
    assert (report.result, report.updated) == ("applied", 2)
    assert stage.loop.status()["held"] is None


async def test_held_over_several_commits_nothing_is_forgotten():
    stage = await stood()
    stage.source.files["bad.yaml"] = UNREADABLE
    await stage.loop.step()
    stage.source.files["settings.yaml"] = config_map("settings", "new")
    await stage.loop.step()
    del stage.source.files["cron.yaml"]
    await stage.loop.step()
    assert stage.store.written == []
    del stage.source.files["bad.yaml"]
    report = await stage.loop.step()
    assert (report.updated, report.deleted) == (1, 1)


async def test_a_restart_while_held_changes_nothing_and_forgets_nothing():
    stage = await stood()
    before = str(stage.source.revision)
    stage.source.files |= {"bad.yaml": UNREADABLE, "settings.yaml": config_map("settings", "new")}
    del stage.source.files["cron.yaml"]
    await stage.loop.step()
    report = await stage.start().step()
    assert (report.result, stage.store.written) == ("held", [])
    assert stage.loop.status()["applied"] == before
    del stage.source.files["bad.yaml"]
    report = await stage.loop.step()
    assert (report.updated, report.deleted) == (1, 1)


async def test_drift_is_still_undone_while_held():
    stage = await stood()
    before = str(stage.source.revision)
    stage.source.files["base.yaml"] = BROKEN
    await stage.loop.step()
    await stage.by_hand(Verb.DELETE, "ConfigMap", "settings")
    await stage.by_hand(Verb.DELETE, "WorkflowTemplate", "base")
    report = await stage.loop.step(full=True)
    assert (report.result, report.created) == ("held", 1)
    restored = await stage.live("ConfigMap", "settings")
    assert restored["metadata"]["annotations"]["syncd.io/revision"] == before


async def test_a_held_poll_without_a_change_costs_nothing_and_says_nothing():
    stage = await stood()
    stage.source.files["bad.yaml"] = UNREADABLE
    await stage.loop.step()
    told = len(stage.of(SourceSynced))
    stage.store.accesses.clear()
    assert (await stage.loop.step()).result == "held"
    assert stage.store.accesses == []
    assert len(stage.of(SourceSynced)) == told


# atomic: object


async def test_by_object_the_good_ones_are_applied_and_the_rest_stay():
    stage = await stood(atomic=False)
    stage.source.files |= {
        "base.yaml": BROKEN,
        "caller.yaml": template("caller", "new", refers="base"),
        "settings.yaml": config_map("settings", "new"),
        "more.yaml": template("more"),
    }
    report = await stage.loop.step()
    assert (report.result, report.reason) == ("applied", "problems")
    assert sorted(stage.store.written) == ["apply ConfigMap/settings", "declare WorkflowTemplate/more"]
    stage.source.files["base.yaml"] = template("base", "fixed")
    report = await stage.loop.step()
    assert (report.updated, report.reason) == (2, "")


async def test_by_object_a_new_one_that_refers_to_a_broken_one_is_not_made():
    stage = await stood({"settings.yaml": config_map("settings")}, atomic=False)
    stage.source.files |= {"base.yaml": BROKEN, "caller.yaml": FILES["caller.yaml"], "cron.yaml": FILES["cron.yaml"]}
    await stage.loop.step()
    assert await stage.names() == ["ConfigMap/settings"]


async def test_by_object_one_that_refers_to_a_broken_one_waits_though_it_is_right_itself():
    """The template that it calls is as it should be; another field of the object is not."""
    stage = await stood(atomic=False)
    spoiled = template("base", "new") + "  bogus: 1\n"
    stage.source.files |= {"base.yaml": spoiled, "caller.yaml": template("caller", "new", refers="base")}
    await stage.loop.step()
    assert {problem.object for problem in stage.loop.problems()} == {"WorkflowTemplate/default/base"}
    assert stage.store.written == []
    stage.source.files["base.yaml"] = template("base", "new")
    assert (await stage.loop.step()).updated == 2


async def test_by_object_nothing_is_deleted_while_a_file_cannot_be_read():
    """The object may have moved into that file."""
    stage = await stood(atomic=False)
    stage.source.files["cron2.yaml"] = UNREADABLE
    del stage.source.files["cron.yaml"]
    await stage.loop.step()
    assert "CronWorkflow/nightly" in await stage.names()
    del stage.source.files["cron2.yaml"]
    await stage.loop.step()
    assert "CronWorkflow/nightly" not in await stage.names()


async def test_by_object_a_file_the_source_refuses_keeps_its_objects():
    stage = await stood(atomic=False)
    del stage.source.files["cron.yaml"]
    stage.source.refused = (Problem(Place("cron.yaml"), "V107", "the link leads out of the source"),)
    await stage.loop.step()
    assert "CronWorkflow/nightly" in await stage.names()
    assert [problem.code for problem in stage.loop.problems()] == ["V107"]


# The guard


async def test_a_source_that_turns_empty_is_held_until_its_revision_is_approved():
    stage = await stood()
    stage.source.files = {}
    report = await stage.loop.step()
    assert (report.result, report.reason) == ("held", "guard")
    assert len(await stage.names()) == 4
    preview = await stage.loop.plan_preview()
    assert (preview["counts"]["delete"], preview["held"]["reason"]) == (4, "guard")
    with pytest.raises(Conflict, match="held at"):
        await stage.loop.approve("main@sha1:0000000", "ada")
    await stage.loop.approve(stage.source.revision.commit[:10], "ada")
    report = await stage.loop.step()
    assert (report.result, report.deleted) == ("applied", 4)
    assert await stage.names() == []
    with pytest.raises(Conflict, match="not held"):
        await stage.loop.approve(str(stage.source.revision), "ada")


async def test_an_approval_survives_a_restart_but_not_the_next_commit():
    stage = await stood()
    stage.source.files = {"settings.yaml": FILES["settings.yaml"]}
    await stage.loop.step()
    await stage.loop.approve(str(stage.source.revision), "ada")
    stage.source.files["more.yaml"] = config_map("more")
    assert (await stage.start().step()).result == "held"
    del stage.source.files["more.yaml"]
    assert (await stage.start().step()).deleted == 3


async def test_held_by_the_guard_nothing_at_all_is_applied():
    stage = await stood()
    stage.source.files = {"settings.yaml": config_map("settings", "new"), "more.yaml": config_map("more")}
    assert (await stage.loop.step()).reason == "guard"
    assert stage.store.written == []
    stage.source.files |= FILES
    assert (await stage.loop.step()).result == "applied"


# Sources and stores that fail


async def test_a_source_that_cannot_be_reached_leaves_everything_in_force():
    stage = await stood()
    stage.source.failure = Unreachable("no route to git.example")
    with pytest.raises(Unreachable):
        await stage.loop.step()
    status = stage.loop.status()
    assert (status["result"], status["reason"], status["message"]) == (
        "failed",
        "Unreachable",
        "no route to git.example",
    )
    assert stage.of(SourceChecked)[-1].error == "no route to git.example"
    stage.source.failure = None
    stage.store.accesses.clear()
    await stage.loop.step()
    assert (stage.loop.status()["result"], stage.store.accesses) == ("applied", [])


async def test_a_source_that_cannot_be_reached_at_the_start_shows_what_is_in_force():
    stage = await stood()
    stage.source.failure = Refused("the password was refused")
    with pytest.raises(Refused):
        await stage.start().step()
    status = stage.loop.status()
    assert status["applied"] == str(stage.source.revision)
    assert status["objects"]["WorkflowTemplate"] == 2
    assert stage.store.written == []


async def test_a_fetch_that_fails_is_tried_again():
    stage = await stood()
    stage.source.files["settings.yaml"] = config_map("settings", "new")
    stage.source.fetch_failure = Unreachable("connection reset")
    with pytest.raises(Unreachable):
        await stage.loop.step()
    assert stage.of(SourceSynced)[-1].result == "failed"
    stage.source.fetch_failure = None
    assert (await stage.loop.step()).updated == 1


async def test_who_waits_for_a_sync_is_told_of_its_failure():
    stage = await stood()
    stage.source.failure = Unreachable("no route")
    asked = asyncio.create_task(stage.loop.request_sync())
    await asyncio.sleep(0)
    with pytest.raises(Unreachable):
        await stage.loop.step()
    assert (await asked)["message"] == "no route"


async def test_a_store_that_fails_is_tried_again_without_a_new_commit():
    stage = await stood()
    stage.source.files["settings.yaml"] = config_map("settings", "new")

    def fail(what):
        if what.startswith("write"):
            raise Unreachable("disk full")

    stage.store.guard = fail
    with pytest.raises(Unreachable, match="disk full"):
        await stage.loop.step()
    assert stage.loop.status()["message"] == "disk full"
    stage.store.guard = None
    assert (await stage.loop.step()).updated == 1


async def test_an_object_that_the_store_refuses_stops_no_other():
    name = "x" * 300
    stage = await stood(atomic=False)
    stage.source.files |= {"long.yaml": config_map(name)}
    stage.source.files["settings.yaml"] = config_map("settings", "new")
    report = await stage.loop.step()
    assert "apply ConfigMap/settings" in stage.store.written
    assert report.reason in ("not-written", "problems")
    assert stage.loop.problems()
