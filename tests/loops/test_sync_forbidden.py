"""What may not be read or written is told for the object that it concerns, and never forgotten as if it were gone."""

from __future__ import annotations

import pytest

from syncd.base.errors import Refused
from syncd.cluster.api import Write
from syncd.loops import comparison
from syncd.loops.terms import Options
from tests.loops.clustered import ClusterStage
from tests.loops.sourced import config_map

FORBIDDEN = Refused("configmaps is forbidden: User ada cannot patch it in the namespace other")
THEIRS = config_map("theirs").replace("name: theirs", "name: theirs, namespace: other")


def forbid(stage: ClusterStage) -> None:
    """The namespace `other` may be neither read nor written."""

    def guard(what: str) -> None:
        if what.startswith("get") and "/other/" in what:
            raise FORBIDDEN

    def objection(write: Write) -> Refused | None:
        return FORBIDDEN if write.key.namespace == "other" else None

    stage.store.guard, stage.store.objection = guard, objection


async def test_one_that_may_not_be_read_is_refused_by_itself_with_its_file() -> None:
    stage = ClusterStage({"a.yaml": config_map("a"), "theirs.yaml": THEIRS})
    forbid(stage)
    report = await stage.loop.step()
    assert (report.result, report.reason) == ("held", "rejected")
    (problem,) = stage.loop.problems()
    assert problem.place.file == "theirs.yaml"
    assert "User ada cannot patch it" in problem.message


async def test_with_atomic_object_the_others_come_into_force() -> None:
    stage = ClusterStage({"a.yaml": config_map("a"), "theirs.yaml": THEIRS}, Options(atomic=False))
    forbid(stage)
    report = await stage.loop.step()
    assert (report.result, report.reason) == ("applied", "rejected")
    assert (await stage.live("ConfigMap", "a"))["data"]


async def test_one_that_left_git_and_may_not_be_read_any_more_is_not_forgotten() -> None:
    stage = ClusterStage({"a.yaml": config_map("a"), "b.yaml": config_map("b"), "theirs.yaml": THEIRS})
    await stage.loop.step()
    forbid(stage)
    del stage.source.files["theirs.yaml"]
    with pytest.raises(Refused, match="User ada"):
        await stage.loop.step()
    stage.store.guard = None
    stage.store.objection = lambda _: None
    report = await stage.loop.step()
    assert report.deleted == 1


async def test_one_that_a_list_does_not_reach_is_deleted_and_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many keys are listed, in the namespaces that are looked at: others are asked for before they count as gone."""
    monkeypatch.setattr(comparison, "FEW", 1)
    stage = ClusterStage({"a.yaml": config_map("a"), "b.yaml": config_map("b"), "theirs.yaml": THEIRS})
    await stage.loop.step()
    reach = stage.store.list

    async def near(kind: str, namespace: str | None = None, **more: object) -> object:
        return await reach(kind, namespace or "default", **more)

    stage.store.list = near  # type: ignore[method-assign]
    del stage.source.files["theirs.yaml"]
    report = await stage.loop.step(full=True)
    assert report.deleted == 1
