"""Killed between any two accesses of the store, a sync loses nothing and does nothing twice."""

from __future__ import annotations

from syncd.argo import labels
from syncd.cluster.api import Verb
from tests.loops.sourced import SOURCE, Stage, config_map, cron, template, workflow

BEFORE = {
    "base.yaml": template("base"),
    "caller.yaml": template("caller", refers="base"),
    "settings.yaml": config_map("settings"),
    "hello.yaml": workflow("hello", once=True),
    "gone.yaml": config_map("gone"),
}
AFTER = {
    "base.yaml": template("base", "changed"),
    "caller.yaml": template("caller", refers="base"),
    "settings.yaml": config_map("settings"),
    "cron.yaml": cron("nightly"),
    "hello.yaml": workflow("hello", "changed", once=True),
    "offered.yaml": workflow("offered"),
}
LATER = {"base.yaml": template("base", "changed"), "caller.yaml": template("caller", refers="base")}


class Killed(BaseException):
    """The process is gone: nothing catches this."""


def killer(at: int):
    """Dies at the access number `at`, before it happens or right after."""
    left = at

    def guard(what: str) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed(what)

    return guard


async def accesses(first, second) -> int:
    """How many accesses a sync from one set of files to the other takes."""
    stage = Stage(first)
    await stage.loop.step()
    stage.store.accesses.clear()
    stage.source.files = dict(second)
    await stage.start().step()
    return len(stage.store.accesses)


async def crash(stage: Stage, files, at: int) -> None:
    stage.source.files = dict(files)
    stage.store.guard = killer(at)
    try:
        await stage.start().step()
    except BaseExceptionGroup:
        pass
    except Killed:
        pass
    stage.store.guard = None


async def world(stage: Stage):
    """What is live, without what differs between any two histories."""
    names = await stage.names()
    specs = []
    for name in names:
        kind, _, rest = name.partition("/")
        body = await stage.live(kind, rest)
        specs.append({k: v for k, v in body.items() if k not in ("metadata", "status")})
    return names, specs


async def test_a_kill_at_any_access_ends_as_if_nothing_had_happened(capsys):
    total = await accesses(BEFORE, AFTER)
    calm = Stage(BEFORE)
    await calm.loop.step()
    calm.source.files = dict(AFTER)
    await calm.loop.step()
    expected = await world(calm)
    for at in range(total):
        stage = Stage(BEFORE)
        await stage.loop.step()
        await crash(stage, AFTER, at)
        await stage.start().step()
        assert await world(stage) == expected, at
        assert stage.loop.status()["objects"] == calm.loop.status()["objects"], at
        again = await stage.start().step()
        assert (again.result, again.started) == ("unchanged", 0), at
    print(f"killed at {total} places of an apply")


async def test_nothing_is_left_behind_when_the_commit_after_the_crash_takes_it_back():
    """Created, then killed, then no longer wanted: the inventory knows it all the same."""
    total = await accesses(BEFORE, AFTER)
    for at in range(total):
        stage = Stage(BEFORE)
        await stage.loop.step()
        await crash(stage, AFTER, at)
        stage.source.files = dict(LATER)
        stage.start()
        report = await stage.loop.step()
        if report.result == "held":
            await stage.loop.approve(str(stage.source.revision), "ada")
            await stage.loop.step()
        left = [name for name in await stage.names() if not name.startswith("Workflow/")]
        assert left == ["WorkflowTemplate/base", "WorkflowTemplate/caller"], at


async def test_a_run_made_before_the_crash_is_adopted():
    stage = Stage({"hello.yaml": workflow("hello", once=True)})
    await stage.loop.step()
    (name,) = await stage.names("Workflow")
    for shard in [n for n in await stage.store.inventories() if n != SOURCE]:
        await stage.store.forget_inventory(shard)
    report = await stage.start().step()
    assert (report.started, await stage.names("Workflow")) == (1, [name])
    live = await stage.live(*name.split("/"))
    assert live["metadata"]["labels"][labels.OWNER_SOURCE] == SOURCE


async def test_a_strangers_workflow_with_the_name_of_a_run_is_not_adopted():
    stage = Stage({"hello.yaml": workflow("hello", once=True)})
    await stage.loop.step()
    (name,) = await stage.names("Workflow")
    fresh = Stage({"hello.yaml": workflow("hello", once=True)})
    body = {"kind": "Workflow", "metadata": {"name": name.partition("/")[2]}, "spec": {}}
    await fresh.by_hand(Verb.CREATE, *name.split("/"), body)
    report = await fresh.loop.step()
    assert (report.result, report.reason, report.started) == ("failed", "not-written", 0)
    (problem,) = fresh.loop.problems()
    assert (problem.code, problem.place.file) == ("V805", "hello.yaml")
    await fresh.by_hand(Verb.DELETE, *name.split("/"))
    assert (await fresh.loop.step()).started == 1
    assert fresh.loop.problems() == []
