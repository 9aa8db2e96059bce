"""What is being deleted is waited for: never written, never deleted twice, made again as soon as it is gone."""

from __future__ import annotations

import contextlib

from syncd.argo.manifest import Key
from syncd.cluster.api import Verb
from syncd.loops.terms import Options
from tests.loops.clustered import ClusterStage
from tests.loops.sourced import SOURCE, config_map, template

BASE = Key("WorkflowTemplate", "default", "base")
SETTINGS = Key("ConfigMap", "default", "settings")
FILES = {"base.yaml": template("base"), "settings.yaml": config_map("settings"), "other.yaml": config_map("other")}
HELD = {"metadata": {"finalizers": ["example.org/guard"]}}
GOING = {"metadata": {"finalizers": ["example.org/guard"], "deletionTimestamp": "2026-01-01T00:00:00Z"}}


async def stood(files=FILES, **options):
    stage = ClusterStage(files, Options(**options))
    await stage.loop.step()
    stage.store.written.clear()
    return stage


async def inventory(stage) -> set[str]:
    records = [await stage.store.inventory(name) or {} for name in await stage.store.inventories() if name != SOURCE]
    return {key for record in records for key in record["objects"]}


async def test_an_object_whose_delete_waits_for_a_finalizer_stays_in_the_inventory_until_it_is_gone():
    stage = await stood()
    await stage.by_hand(Verb.PATCH, "ConfigMap", "settings", HELD)
    del stage.source.files["settings.yaml"]
    report = await stage.loop.step()
    assert (report.result, report.deleted) == ("applied", 1)
    assert "ConfigMap/default/settings" in await inventory(stage)
    told = "ConfigMap/default/settings: being deleted; waits for finalizers: example.org/guard"
    assert stage.loop.status()["waiting"] == [told]
    stage.store.written.clear()
    for again in (False, True):
        if again:
            stage.start()
        await stage.loop.step(full=again)
        assert stage.store.written == []
        assert stage.loop.status()["waiting"] == [told]
    await stage.store.done(SETTINGS)
    await stage.loop.step()
    assert "ConfigMap/default/settings" not in await inventory(stage)
    assert (stage.loop.status()["waiting"], stage.loop.status()["objects"]["ConfigMap"]) == ([], 1)


async def test_killed_right_after_the_delete_it_is_still_known():
    stage = await stood()
    await stage.by_hand(Verb.PATCH, "ConfigMap", "settings", HELD)
    del stage.source.files["settings.yaml"]

    class Killed(BaseException):
        pass

    def guard(what):
        if what.startswith("save") and any("settings" in call for call in stage.store.calls[1:]):
            raise Killed

    stage.store.guard = guard
    with contextlib.suppress(Killed, BaseExceptionGroup):
        await stage.loop.step()
    stage.store.guard = None
    await stage.start().step()
    assert "ConfigMap/default/settings" in await inventory(stage)
    await stage.store.done(SETTINGS)
    await stage.loop.step()
    assert "ConfigMap/default/settings" not in await inventory(stage)


async def test_a_wanted_object_that_goes_is_made_again_at_the_poll_after_it_is_gone():
    stage = await stood()
    await stage.by_hand(Verb.PATCH, "WorkflowTemplate", "base", GOING)
    stage.source.files["base.yaml"] = template("base", "new")
    report = await stage.loop.step()
    assert (report.result, stage.store.written) == ("unchanged", [])
    (told,) = stage.loop.status()["waiting"]
    assert told.startswith("WorkflowTemplate/default/base: being deleted, made again once it is gone")
    stage.store.accesses.clear()
    await stage.loop.step()
    assert stage.store.accesses == ["get WorkflowTemplate/default/base"]
    await stage.store.done(BASE)
    report = await stage.loop.step()
    assert (report.created, stage.loop.status()["waiting"]) == (1, [])
    assert (await stage.live("WorkflowTemplate", "base"))["spec"]["templates"][0]["container"]["command"][1] == "new"


async def test_it_does_not_hold_the_rest_of_the_commit():
    stage = await stood()
    await stage.by_hand(Verb.PATCH, "WorkflowTemplate", "base", GOING)
    stage.source.files |= {"base.yaml": template("base", "new"), "settings.yaml": config_map("settings", "new")}
    report = await stage.loop.step()
    assert (report.result, report.updated) == ("applied", 1)
    assert stage.store.written == ["apply ConfigMap/settings"]


async def test_what_a_held_commit_has_not_touched_is_made_again_all_the_same():
    stage = await stood()
    await stage.by_hand(Verb.PATCH, "WorkflowTemplate", "base", GOING)
    stage.source.files["bad.yaml"] = "apiVersion: argoproj.io/v1alpha1\nkind: WorkflowTemplate\n  metadata: [\n"
    assert (await stage.loop.step(full=True)).result == "held"
    await stage.store.done(BASE)
    report = await stage.loop.step()
    assert (report.result, report.created) == ("held", 1)


async def test_an_object_of_others_that_goes_is_waited_for_and_then_made():
    """It moves from one owner to the other: the first has deleted it, a finalizer keeps it for a while."""
    stage = ClusterStage(FILES)
    body = {"kind": "WorkflowTemplate", "spec": {}, **GOING, "metadata": {**GOING["metadata"], "name": "base"}}
    await stage.by_hand(Verb.CREATE, "WorkflowTemplate", "base", body)
    report = await stage.loop.step()
    assert (report.result, report.created) == ("applied", 2)
    assert "WorkflowTemplate/default/base" not in await inventory(stage)
    await stage.store.done(BASE)
    assert (await stage.loop.step()).created == 1
    assert "WorkflowTemplate/default/base" in await inventory(stage)


async def test_the_preview_says_what_is_waited_for():
    stage = await stood()
    await stage.by_hand(Verb.PATCH, "WorkflowTemplate", "base", GOING)
    preview = await stage.loop.plan_preview()
    (change,) = preview["changes"]
    assert (change["verb"], change["reason"]) == (
        "keep",
        "being deleted, made again once it is gone; waits for finalizers: example.org/guard",
    )
