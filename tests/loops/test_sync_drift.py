"""What is changed beside git: who did it, that it is put right as soon as a watch says so, and at what cost."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from syncd.argo import labels
from syncd.argo.manifest import Key
from syncd.base.errors import ConfigError, Refused, Unreachable
from syncd.cluster.api import Changed, Verb
from syncd.cluster.memory import MemoryStore
from syncd.config import model
from syncd.loops import terms
from syncd.loops.terms import Options
from syncd.observe.events import DriftCorrected, SourceSynced
from tests.loops.clustered import ClusterStage
from tests.loops.sourced import SOURCE, config_map, cron, template, workflow

FILES = {
    "base.yaml": template("base"),
    "cron.yaml": cron("nightly"),
    "settings.yaml": config_map("settings"),
    "hello.yaml": workflow("hello"),
}
OTHER = {"spec": {"entrypoint": "other"}}
ENTRYPOINT = {"f:spec": {"f:entrypoint": {}}}


async def stood(files=FILES, **options):
    stage = ClusterStage(files, Options(**options))
    await stage.loop.step()
    stage.store.written.clear()
    stage.store.accesses.clear()
    stage.events.clear()
    return stage


async def entrypoint(stage) -> str:
    return (await stage.live("WorkflowTemplate", "base"))["spec"]["entrypoint"]


# Who


async def test_drift_is_told_with_its_fields_and_who_changed_them_and_when():
    stage = await stood()
    await stage.changed_by("kubectl-edit", "WorkflowTemplate", "base", OTHER, ENTRYPOINT)
    report = await stage.loop.step(full=True)
    assert (report.updated, report.drifted) == (1, 1)
    (told,) = stage.of(DriftCorrected)
    since = datetime(2026, 1, 1, 6, tzinfo=UTC)
    key = Key("WorkflowTemplate", "default", "base")
    assert told == DriftCorrected(SOURCE, key, ("spec.entrypoint",), "kubectl-edit", since, stage.clock.now())
    assert [event.drifted for event in stage.of(SourceSynced)] == [1]
    assert stage.loop.status()["last"]["drifted"] == 1


async def test_what_was_deleted_by_hand_and_made_again_is_drift_by_nobody_knows_whom():
    stage = await stood()
    await stage.by_hand(Verb.DELETE, "ConfigMap", "settings")
    await stage.loop.step(full=True)
    (told,) = stage.of(DriftCorrected)
    assert (told.object.name, told.fields, told.by, told.since) == ("settings", (), "", None)


async def test_so_is_what_changed_while_no_syncd_ran():
    stage = await stood()
    await stage.by_hand(Verb.DELETE, "ConfigMap", "settings")
    await stage.changed_by("kubectl-edit", "WorkflowTemplate", "base", OTHER, ENTRYPOINT)
    await stage.start().step()
    assert sorted(told.by for told in stage.of(DriftCorrected)) == ["", "kubectl-edit"]


async def test_a_commit_is_no_drift_nor_is_a_create_that_a_crash_cut_off():
    stage = await stood()
    stage.source.files |= {"base.yaml": template("base", "new"), "more.yaml": config_map("more")}

    def guard(what):
        if what.startswith("write"):
            raise Unreachable("cut off")

    stage.store.guard = guard
    with pytest.raises(Unreachable):
        await stage.loop.step()
    stage.store.guard = None
    report = await stage.start().step()
    assert (report.created, report.updated, report.drifted, stage.of(DriftCorrected)) == (1, 1, 0, [])


# Conflicts


async def test_what_another_tool_declares_is_left_alone_and_told():
    stage = await stood()
    await stage.changed_by("argocd", "WorkflowTemplate", "base", OTHER, ENTRYPOINT, declares=True)
    await stage.by_hand(Verb.DELETE, "ConfigMap", "settings")
    report = await stage.loop.step(full=True)
    assert (report.result, report.reason, report.created, report.updated) == ("applied", "refused", 1, 0)
    assert await entrypoint(stage) == "other"
    (problem,) = stage.loop.problems()
    assert (problem.code, problem.place.file) == ("V806", "base.yaml")
    assert problem.message.startswith("spec.entrypoint is declared by argocd since 2026-01-01T06:00:00Z")
    status = stage.loop.status()
    assert (status["conflicts"], status["refused"], status["reason"]) == (1, 1, "refused")
    assert stage.of(SourceSynced)[-1].conflicts == 1


async def test_a_conflict_on_an_untouched_object_holds_no_commit_nor_does_a_restart_make_it():
    stage = await stood()
    await stage.changed_by("argocd", "WorkflowTemplate", "base", OTHER, ENTRYPOINT, declares=True)
    await stage.loop.step(full=True)
    stage.source.files["settings.yaml"] = config_map("settings", "new")
    report = await stage.loop.step()
    assert (report.result, report.updated, report.reason) == ("applied", 1, "refused")
    assert stage.loop.status()["conflicts"] == 1
    report = await stage.start().step()
    assert (report.result, report.reason, stage.loop.status()["conflicts"]) == ("unchanged", "refused", 1)
    assert stage.loop.status()["applied"] == str(stage.source.revision)


async def test_a_conflict_on_an_object_that_the_commit_touches_holds_it():
    stage = await stood()
    await stage.changed_by("argocd", "WorkflowTemplate", "base", OTHER, ENTRYPOINT, declares=True)
    stage.source.files |= {"base.yaml": template("base", "new"), "settings.yaml": config_map("settings", "new")}
    report = await stage.loop.step()
    assert (report.result, report.reason, stage.store.written) == ("held", "refused", [])
    await stage.changed_by("kubectl-edit", "WorkflowTemplate", "base", {}, ENTRYPOINT)
    await stage.watch("WorkflowTemplate", "base")
    assert (await stage.repaired()).updated == 2
    assert (stage.loop.problems(), stage.loop.status()["conflicts"]) == ([], 0)


async def test_a_conflict_ends_when_the_other_lets_go_and_costs_nothing_until_then():
    stage = await stood()
    await stage.changed_by("argocd", "WorkflowTemplate", "base", OTHER, ENTRYPOINT, declares=True)
    await stage.loop.step(full=True)
    stage.store.accesses.clear()
    await stage.watch("WorkflowTemplate", "base")
    await stage.repaired()
    assert stage.store.accesses == []
    await stage.changed_by("kubectl-edit", "WorkflowTemplate", "base", {}, ENTRYPOINT)
    await stage.watch("WorkflowTemplate", "base")
    await stage.repaired()
    assert (await entrypoint(stage), stage.loop.status()["conflicts"]) == ("main", 0)


# Ignored


async def test_an_ignored_field_is_neither_put_right_nor_lost():
    ignore = {"WorkflowTemplate": (("spec", "entrypoint"),), "ConfigMap": (("metadata", "labels", "team"),)}
    stage = await stood(ignore=ignore)
    assert await entrypoint(stage) == "main"
    await stage.by_hand(Verb.PATCH, "WorkflowTemplate", "base", OTHER)
    await stage.by_hand(Verb.PATCH, "ConfigMap", "settings", {"metadata": {"labels": {"team": "blue"}}})
    assert (await stage.loop.step(full=True)).result == "unchanged"
    stage.source.files |= {
        "base.yaml": template("base", "new"),
        "settings.yaml": config_map("settings", "new").replace(
            "{name: settings}", "{name: settings, labels: {team: red}}"
        ),
    }
    assert (await stage.loop.step()).updated == 2
    assert await entrypoint(stage) == "other"
    assert (await stage.live("ConfigMap", "settings"))["metadata"]["labels"]["team"] == "blue"
    await stage.by_hand(Verb.PATCH, "WorkflowTemplate", "base", {"spec": {"entrypoint": None}})
    stage.source.files["base.yaml"] = template("base", "newer")
    await stage.loop.step()
    assert "entrypoint" not in (await stage.live("WorkflowTemplate", "base"))["spec"]
    assert (await stage.loop.step(full=True)).result == "unchanged"


async def test_an_ignored_field_that_moves_while_we_write_is_read_again():
    stage = await stood(ignore={"WorkflowTemplate": (("spec", "entrypoint"),)})
    await stage.by_hand(Verb.PATCH, "WorkflowTemplate", "base", OTHER)
    stage.source.files["base.yaml"] = template("base", "new")
    key = Key("WorkflowTemplate", "default", "base")
    moved = []

    def guard(what):
        if what.startswith("write") and not moved:
            from syncd.cluster.api import Write

            moved.append(stage.store._write_one(Write(Verb.PATCH, key, {"spec": {"entrypoint": "third"}}), []))

    stage.store.guard = guard
    with pytest.raises(Exception, match="planned again"):
        await stage.loop.step()
    assert (await stage.loop.step()).updated == 1
    assert await entrypoint(stage) == "third"


def test_the_configuration_says_what_is_ignored_and_who_fires():
    source = model.Source(name="jobs", path="/a", ignore={"CronWorkflow": ("spec.suspend",)})
    cluster = model.Config(mode=model.Mode.KUBERNETES)
    made = terms.options(source, cluster)
    assert made.ignore == {"CronWorkflow": (("spec", "suspend"),)}
    assert (made.instance, made.batch) == (labels.SYNCD_INSTANCE, 500)
    argo = model.Config(mode=model.Mode.KUBERNETES, schedule=model.Schedule(scheduler=model.Scheduler.ARGO))
    assert terms.options(source, argo).instance == ""
    embedded = terms.options(source, model.Config())
    assert (embedded.instance, embedded.batch) == ("", 100)
    policy = terms.policy(made, "jobs", "main@sha1:1", "1", "", [])
    assert (policy.ignore, policy.instance) == (made.ignore, "syncd")


def test_a_kind_that_is_none_of_ours_cannot_be_ignored():
    source = model.Source(name="jobs", path="/a", ignore={"CronWorkfow": ("spec.suspend", "status.x")})
    with pytest.raises(ConfigError) as caught:
        terms.options(source, model.Config())
    assert str(caught.value).splitlines() == [
        'source jobs: ignore: no such kind "CronWorkfow"; did you mean CronWorkflow',
        'source jobs: ignore.CronWorkfow: "status.x": status is never compared',
    ]


async def test_a_change_of_scheduler_marks_the_crons_and_back():
    stage = await stood()
    await stage.start(options=Options(instance=labels.SYNCD_INSTANCE)).step()
    live = await stage.live("CronWorkflow", "nightly")
    assert live["metadata"]["labels"][labels.INSTANCE_ID] == "syncd"
    stage.store.written.clear()
    assert (await stage.loop.step(full=True)).result == "unchanged"
    stage.source.files["settings.yaml"] = config_map("settings", "new")
    await stage.loop.step()
    assert stage.store.written == ["apply ConfigMap/settings"]
    await stage.start(options=Options()).step()
    live = await stage.live("CronWorkflow", "nightly")
    assert labels.INSTANCE_ID not in live["metadata"]["labels"]
    assert labels.CHILD_INSTANCE_ID not in live["metadata"]["annotations"]
    assert stage.of(DriftCorrected) == []


# Watched


async def test_our_own_writes_and_changes_of_status_cost_nothing():
    """300 objects made, then changed, and the watch tells of all of it, and of their statuses."""
    files = {f"c{n:03}.yaml": cron(f"c{n:03}", template_name="base") for n in range(299)} | {
        "base.yaml": template("base")
    }
    stage = ClusterStage(files)
    version = (await stage.store.list("CronWorkflow")).version
    watching = stage.store.watch(["CronWorkflow", "WorkflowTemplate"], version)
    heard: list[Changed] = []

    async def hear() -> None:
        async for changed in watching:
            heard.append(changed)
            stage.loop.noticed(changed)

    task = asyncio.create_task(hear())
    await asyncio.sleep(0)
    await stage.loop.step()
    stage.source.files = {name: text.replace("0 2 * * *", "0 3 * * *") for name, text in files.items()}
    await stage.loop.step()
    for n in range(299):
        patch = {"status": {"active": [{"name": f"c{n:03}-1"}]}}
        await stage.by_hand(Verb.PATCH, "CronWorkflow", f"c{n:03}", patch)
    await asyncio.sleep(0.05)
    assert len(heard) == 300 + 299 + 299
    stage.store.accesses.clear()
    for changed in heard:  # and once more, late
        stage.loop.noticed(changed)
    assert not stage.loop._upkeep.noticed.due(stage.clock.monotonic())
    await stage.repaired()
    await stage.loop.step()
    assert stage.store.accesses == []
    task.cancel()


async def test_a_change_by_hand_is_put_right_without_a_poll():
    stage = await stood(interval=timedelta(days=1))
    await stage.changed_by("kubectl-edit", "WorkflowTemplate", "base", OTHER, ENTRYPOINT)
    await stage.watch("WorkflowTemplate", "base")
    report = await stage.repaired()
    assert (report.result, report.updated, report.drifted) == ("applied", 1, 1)
    assert stage.store.accesses == ["get WorkflowTemplate/default/base", "write 1"]
    assert [told.by for told in stage.of(DriftCorrected)] == ["kubectl-edit"]
    assert [event.drifted for event in stage.of(SourceSynced)] == [1]


async def test_so_is_a_delete():
    stage = await stood()
    await stage.by_hand(Verb.DELETE, "ConfigMap", "settings")
    await stage.watch("ConfigMap", "settings")
    assert (await stage.repaired()).created == 1


async def test_the_running_loop_wakes_for_it_and_does_so_while_the_source_is_away():
    stage = await stood(interval=timedelta(days=1), files=FILES)
    task = asyncio.create_task(stage.loop.run())
    try:
        async with asyncio.timeout(20):
            await stage.loop.request_sync()
            stage.source.failure = Unreachable("no route")
            await stage.by_hand(Verb.PATCH, "WorkflowTemplate", "base", OTHER)
            await stage.watch("WorkflowTemplate", "base")
            while await entrypoint(stage) != "main":  # noqa: ASYNC110 - what is looked at has no event
                await asyncio.sleep(0.01)
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_while_held_only_what_the_commit_has_not_touched_is_put_right():
    stage = await stood()
    stage.source.files |= {
        "bad.yaml": "kind: [\napiVersion: argoproj.io/v1alpha1\n",
        "settings.yaml": config_map("settings", "new"),
    }
    assert (await stage.loop.step()).result == "held"
    for kind, name, patch in (
        ("WorkflowTemplate", "base", OTHER),
        ("ConfigMap", "settings", {"data": {"key": "by hand"}}),
    ):
        await stage.by_hand(Verb.PATCH, kind, name, patch)
        await stage.watch(kind, name)
    report = await stage.repaired()
    assert (report.result, report.reason, report.updated) == ("held", "problems", 1)
    assert await entrypoint(stage) == "main"
    assert (await stage.live("ConfigMap", "settings"))["data"] == {"key": "by hand"}


async def test_an_object_in_no_inventory_is_none_of_our_business():
    stage = await stood()
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "stray",
            "namespace": "default",
            "resourceVersion": "99",
            "labels": {labels.OWNER_SOURCE: SOURCE},
        },
    }
    stage.loop.noticed(Changed("ADDED", Key("ConfigMap", "default", "stray"), body, "99"))
    await stage.repaired()
    assert stage.store.accesses == []


async def test_what_a_person_suspends_is_shown_at_once_and_costs_nothing():
    stage = await stood()
    note = '{"field": "spec.suspend", "who": "ada", "since": "2026-01-01T00:00:00Z"}'
    patch = {"metadata": {"annotations": {labels.BY_HAND: note}}, "spec": {"suspend": True}}
    await stage.by_hand(Verb.PATCH, "CronWorkflow", "nightly", patch)
    await stage.watch("CronWorkflow", "nightly")
    assert len(stage.loop.status()["byHand"]) == 1
    undo = {"metadata": {"annotations": {labels.BY_HAND: None}}, "spec": {"suspend": None}}
    await stage.by_hand(Verb.PATCH, "CronWorkflow", "nightly", undo)
    await stage.watch("CronWorkflow", "nightly")
    assert stage.loop.status()["byHand"] == []
    await stage.repaired()
    assert stage.store.accesses == []


async def test_two_that_will_have_it_otherwise_do_not_fight_as_fast_as_they_can():
    """A controller sets the field again whenever we have put it right: seven corrections in two minutes, ever more seldom."""
    stage = await stood(drift_interval=timedelta(minutes=10))
    moments = []
    for second in range(120):
        if await entrypoint(stage) == "main":
            await stage.by_hand(Verb.PATCH, "WorkflowTemplate", "base", OTHER)
            await stage.watch("WorkflowTemplate", "base")
        if stage.loop._upkeep.noticed.due(stage.clock.monotonic()):
            moments.append(second)
            await stage.repaired()
        stage.clock.advance(1)
    assert moments == [0, 1, 3, 7, 15, 31, 63]
    assert len(stage.of(DriftCorrected)) == 7


async def test_what_the_store_does_not_take_is_told_and_tried_again_ever_more_seldom():
    stage = await stood()
    stage.store.unkind = lambda write: Refused("frozen") if write.key.name == "base" else None
    await stage.by_hand(Verb.PATCH, "WorkflowTemplate", "base", OTHER)
    await stage.watch("WorkflowTemplate", "base")
    report = await stage.repaired()
    assert (report.result, report.reason, report.drifted) == ("unchanged", "rejected", 0)
    assert [problem.code for problem in stage.loop.problems()] == ["V805"]
    assert not stage.loop._upkeep.noticed.due(stage.clock.monotonic())
    stage.clock.advance(1.5)
    assert stage.loop._upkeep.noticed.due(stage.clock.monotonic())
    stage.store.unkind = lambda _: None


async def test_a_store_that_is_away_is_not_asked_as_fast_as_it_can_refuse():
    stage = await stood()
    await stage.by_hand(Verb.PATCH, "WorkflowTemplate", "base", OTHER)
    await stage.watch("WorkflowTemplate", "base")

    def guard(what):
        raise Unreachable("no route")

    stage.store.guard = guard
    with pytest.raises(Unreachable):
        await stage.loop.step(poll=False)
    assert not stage.loop._upkeep.noticed.due(stage.clock.monotonic())
    stage.store.guard = None
    stage.clock.advance(1)
    assert (await stage.repaired()).updated == 1


async def test_a_change_that_comes_while_we_write_is_not_lost():
    """Read, written by us, changed by hand at once, and only then does the step end."""
    stage = await stood()
    stage.source.files["base.yaml"] = template("base", "new")
    write = stage.store.write

    async def writing(writes, *, atomic=False):
        answers = await write(writes, atomic=atomic)
        for answer in answers:
            stage.loop.noticed(stage.event(answer.body))
        await stage.by_hand(Verb.PATCH, "WorkflowTemplate", "base", OTHER)
        await stage.watch("WorkflowTemplate", "base")
        return answers

    stage.store.write = writing
    assert (await stage.loop.step()).updated == 1
    stage.store.write = write
    assert stage.loop._upkeep.noticed.due(stage.clock.monotonic())
    assert (await stage.repaired()).drifted == 1
    assert await entrypoint(stage) == "main"


async def test_events_that_come_while_a_commit_is_read_are_judged_after_it():
    stage = await stood()
    await stage.by_hand(Verb.PATCH, "WorkflowTemplate", "base", OTHER)
    stage.loop._intake.reading = True
    await stage.watch("WorkflowTemplate", "base")
    assert not stage.loop._upkeep.noticed.due(stage.clock.monotonic())
    stage.source.files["settings.yaml"] = config_map("settings", "new")
    assert (await stage.loop.step()).updated == 2
    assert await entrypoint(stage) == "main"


async def test_an_event_from_before_our_write_is_none():
    stage = await stood()
    old = stage.event(await MemoryStore.get(stage.store, Key("WorkflowTemplate", "default", "base")))
    stage.source.files["base.yaml"] = template("base", "new")
    await stage.loop.step()
    stage.store.accesses.clear()
    stage.loop.noticed(old)
    await stage.repaired()
    assert stage.store.accesses == []
