"""A commit is tried out before anything of it is written: what would be rejected holds it, and nothing has changed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from syncd.argo.manifest import Key
from syncd.base.errors import AlreadyExists, Conflict, Invalid, NotFound, Refused, Unreachable, Unsupported
from syncd.cluster.api import Verb
from syncd.loops.terms import Options
from syncd.observe.events import SourceSynced
from tests.loops.clustered import ClusterStage
from tests.loops.sourced import Stage, config_map, cron, template, workflow

FILES = {
    "base.yaml": template("base"),
    "caller.yaml": template("caller", refers="base"),
    "cron.yaml": cron("nightly"),
    "settings.yaml": config_map("settings"),
}
NEW = {"base.yaml": template("base", "new"), "settings.yaml": config_map("settings", "new")}


def rejecting(error, *names):
    """Objects of these names are rejected."""
    return lambda write: error if write.key.name in names else None


async def stood(files=FILES, **options):
    stage = ClusterStage(files, Options(**options))
    await stage.loop.step()
    stage.store.written.clear()
    stage.store.rehearsed.clear()
    stage.store.accesses.clear()
    return stage


async def test_every_write_is_rehearsed_as_it_will_be_made_before_the_first():
    stage = await stood({**FILES, "gone.yaml": config_map("gone"), "once.yaml": workflow("once", once=True)})
    stage.source.files |= NEW | {"more.yaml": config_map("more"), "once.yaml": workflow("once", "new", once=True)}
    del stage.source.files["gone.yaml"]
    await stage.loop.step()
    made = [entry for entry in stage.store.rehearsed if not entry.startswith("create Workflow/once-")]
    assert made == [
        "declare ConfigMap/more",
        "apply ConfigMap/settings",
        "apply WorkflowTemplate/base",
        "delete ConfigMap/gone",
    ]
    assert len(stage.store.rehearsed) == 5
    first_write = next(n for n, what in enumerate(stage.store.accesses) if what.startswith(("save", "write")))
    assert not any(what.startswith("rehearse") for what in stage.store.accesses[first_write:])


@pytest.mark.parametrize(
    "error",
    [
        Invalid("spec.templates: required"),
        Refused("admission webhook denied the request"),
        NotFound('namespaces "ci" not found'),
        Unsupported("the cluster does not serve argoproj.io/v1alpha1 CronWorkflow"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_would_be_rejected_holds_the_whole_source_and_nothing_has_changed(error):
    stage = await stood()
    before = str(stage.source.revision)
    inventory = {name: await stage.store.inventory(name) for name in await stage.store.inventories()}
    stage.source.files |= NEW
    stage.store.objection = rejecting(error, "base")
    report = await stage.loop.step()
    assert (report.result, report.reason) == ("held", "rejected")
    assert report.message == f"1 object would be rejected: {error}"
    assert stage.store.written == []
    assert {name: await stage.store.inventory(name) for name in await stage.store.inventories()} == inventory
    (problem,) = stage.loop.problems()
    assert (problem.code, str(problem.place), problem.message) == ("V805", "base.yaml:1:1", str(error))
    status = stage.loop.status()
    assert (status["applied"], status["held"]["reason"], status["refused"]) == (before, "rejected", 1)
    (synced,) = stage.of(SourceSynced)[1:]
    assert (synced.result, synced.reason, synced.applied_revision) == ("held", "rejected", before)


async def test_all_that_would_be_rejected_is_told():
    stage = await stood()
    stage.source.files |= NEW
    stage.store.objection = rejecting(Invalid("no"), "base", "settings")
    assert (await stage.loop.step()).message == "2 objects would be rejected: no"
    assert [problem.place.file for problem in stage.loop.problems()] == ["base.yaml", "settings.yaml"]


async def test_a_delete_that_is_forbidden_holds_too():
    stage = await stood()
    del stage.source.files["settings.yaml"]
    stage.store.objection = rejecting(Refused("forbidden"), "settings")
    assert (await stage.loop.step()).reason == "rejected"
    assert [problem.place.file for problem in stage.loop.problems()] == ["settings.yaml"]


async def test_once_it_is_no_longer_rejected_it_is_applied():
    stage = await stood()
    stage.source.files |= NEW
    stage.store.objection = rejecting(Invalid("no"), "base")
    await stage.loop.step()
    stage.source.files["base.yaml"] = template("base", "newer")
    stage.store.objection = rejecting(Invalid("no"))
    report = await stage.loop.step()
    assert (report.result, report.updated, stage.loop.problems()) == ("applied", 2, [])


async def test_it_is_tried_again_ever_more_seldom_and_at_once_when_somebody_asks():
    stage = await stood(interval=timedelta(seconds=30), drift_interval=timedelta(hours=10))
    stage.source.files |= NEW
    stage.store.objection = rejecting(Invalid("no"), "base")
    await stage.loop.step()
    tries = []
    for minute in range(60):
        stage.store.accesses.clear()
        await stage.loop.step()
        if stage.store.accesses:
            tries.append(minute * 60)
        stage.clock.advance(60)
    assert tries == [60, 120, 240, 480, 960, 1920]  # 30 s, 60 s, 120 s … after the one before, at the next poll
    stage.store.accesses.clear()
    await stage.loop.step(full=True)
    assert "rehearse 2" in stage.store.accesses
    stage.store.objection = rejecting(Invalid("no"))
    assert (await stage.loop.step(full=True)).updated == 2


async def test_a_rejection_of_nothing_new_is_not_said_again():
    stage = await stood()
    stage.source.files |= NEW
    stage.store.objection = rejecting(Invalid("no"), "base")
    await stage.loop.step()
    told = len(stage.of(SourceSynced))
    stage.clock.advance(40)
    await stage.loop.step()
    assert len(stage.of(SourceSynced)) == told


async def test_by_object_the_rest_is_applied_but_for_what_refers_to_it():
    stage = await stood(atomic=False)
    stage.source.files |= NEW | {
        "caller.yaml": template("caller", "new", refers="base"),
        "cron.yaml": cron("nightly", template_name="caller"),
        "more.yaml": template("more"),
    }
    stage.store.objection = rejecting(Invalid("no"), "base")
    report = await stage.loop.step()
    assert (report.result, report.reason, report.message) == ("applied", "rejected", "1 object not written: no")
    assert sorted(stage.store.written) == ["apply ConfigMap/settings", "declare WorkflowTemplate/more"]
    stage.store.objection = rejecting(Invalid("no"))
    stage.clock.advance(31)
    report = await stage.loop.step()
    assert (report.updated, report.reason, stage.loop.problems()) == (3, "", [])


async def test_an_object_that_nobody_changed_in_git_holds_no_commit():
    """It drifted, and putting it right is rejected; that is another story than this commit's."""
    stage = await stood()
    await stage.by_hand(Verb.PATCH, "WorkflowTemplate", "base", {"spec": {"entrypoint": "other"}})
    stage.source.files["settings.yaml"] = NEW["settings.yaml"]
    stage.store.objection = rejecting(Refused("frozen"), "base")
    for loop in (stage.loop, stage.start()):
        report = await loop.step(full=True)
        assert (report.result, report.reason) == ("applied" if report.updated else "unchanged", "rejected")
        assert loop.status()["applied"] == str(stage.source.revision)
    assert stage.store.written == ["apply ConfigMap/settings"]
    assert [problem.code for problem in stage.loop.problems()] == ["V805"]


async def test_an_unreachable_store_passes_through_and_all_is_tried_again():
    stage = await stood()
    stage.source.files |= NEW
    stage.store.objection = rejecting(Unreachable("no route"), "base")
    with pytest.raises(Unreachable):
        await stage.loop.step()
    assert (stage.store.written, stage.loop.problems()) == ([], [])
    stage.store.objection = rejecting(Invalid("no"))
    assert (await stage.loop.step()).updated == 2


async def test_what_moved_since_it_was_read_is_planned_again():
    stage = await stood()
    stage.source.files |= NEW | {"more.yaml": config_map("more")}
    times = []

    def once(write):
        if write.key.name in ("base", "more") and len(times) < 2:
            times.append(write.key.name)
            return Conflict("is at version 8, not 7") if write.key.name == "base" else AlreadyExists("taken")
        return None

    stage.store.objection = once
    report = await stage.loop.step()
    assert (report.result, report.created, report.updated) == ("applied", 1, 2)
    assert "get WorkflowTemplate/default/base" in stage.store.accesses


async def test_a_name_that_was_taken_meanwhile_is_refused_and_holds():
    stage = await stood()
    stage.source.files |= NEW | {"more.yaml": config_map("more")}
    body = {"kind": "ConfigMap", "metadata": {"name": "more"}, "data": {}}

    def taken(write):
        if write.key.name == "more":
            stage.store._write_one(stage_write, [])
            return AlreadyExists("taken")
        return None

    from syncd.cluster.api import Write

    stage_write = Write(Verb.CREATE, Key("ConfigMap", "default", "more"), body)
    stage.store.objection = taken
    report = await stage.loop.step()
    assert (report.result, report.reason) == ("held", "refused")
    assert stage.store.written == []
    assert [problem.code for problem in stage.loop.problems()] == ["V802"]


async def test_a_conflict_that_planning_again_does_not_end_is_a_rejection():
    stage = await stood()
    stage.source.files |= NEW
    stage.store.objection = rejecting(Conflict('conflict with "argocd" at .spec'), "base")
    report = await stage.loop.step()
    assert (report.result, report.reason) == ("held", "rejected")
    assert stage.store.written == []


async def test_a_run_that_was_made_before_a_crash_is_no_rejection():
    stage = ClusterStage({"hello.yaml": workflow("hello", once=True)})
    stage.store.objection = lambda write: AlreadyExists("there") if write.key.kind == "Workflow" else None
    assert (await stage.loop.step()).started == 1


async def test_an_object_that_is_gone_already_may_be_deleted():
    stage = await stood()
    del stage.source.files["settings.yaml"]
    stage.store.objection = rejecting(NotFound("gone"), "settings")
    assert (await stage.loop.step()).deleted == 1


async def test_in_embedded_mode_nothing_is_read_or_rejected_for_it():
    stage = Stage(FILES)
    await stage.loop.step()
    stage.store.accesses.clear()
    stage.source.files |= NEW
    await stage.loop.step()
    reads = [what for what in stage.store.accesses if what.startswith(("get", "list"))]
    assert sorted(reads) == ["get ConfigMap/default/settings", "get WorkflowTemplate/default/base"]


# Batches


async def test_what_is_referred_to_is_there_before_what_refers_to_it_though_a_call_has_no_order():
    files = {
        "c.yaml": cron("c", template_name="t1"),
        "t1.yaml": template("t1", refers="t2"),
        "t2.yaml": template("t2", refers="t3"),
        "t3.yaml": template("t3"),
        "t4.yaml": template("t4", refers="t3"),
        "m.yaml": config_map("m"),
        "o.yaml": config_map("o"),
    }
    stage = ClusterStage(files, Options(batch=500))
    await stage.loop.step()
    assert stage.store.calls == [["m", "o"], ["t3"], ["t2", "t4"], ["t1"], ["c"]]
    stage.source.files = {"m.yaml": files["m.yaml"]}
    stage.start(options=Options(batch=500, max_delete_fraction=1))
    stage.store.calls.clear()
    await stage.loop.step()
    assert [sorted(call) for call in stage.store.calls] == [["c"], ["t1", "t2", "t3", "t4"], ["o"]]


async def test_a_call_has_at_most_so_many_writes():
    stage = ClusterStage({f"m{n:02}.yaml": config_map(f"m{n:02}") for n in range(25)}, Options(batch=10))
    await stage.loop.step()
    assert [len(call) for call in stage.store.calls] == [10, 10, 5]
    assert [what for what in stage.store.accesses if what.startswith("rehearse")] == [
        "rehearse 10",
        "rehearse 10",
        "rehearse 5",
    ]
