"""The sync loop over a real repository and the real store: what a commit costs and leaves behind on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from syncd.argo import labels
from syncd.argo.manifest import Key
from syncd.cluster.embedded.store import open_store
from syncd.config import model
from syncd.loops.sync import SyncLoop
from syncd.loops.terms import Options
from syncd.observe.bus import Bus
from syncd.observe.metrics import Metrics
from syncd.source import opening
from syncd.validate.workspace import Workspace
from tests.loops.sourced import config_map, cron, template, workflow
from tests.support.clocks import CountingRandom, ManualClock
from tests.support.repository import Repository


class Daemon:
    """What a process has: a store on disk, a source, a loop, metrics."""

    def __init__(self, home: Path, repository: Repository, options: Options | None = None) -> None:
        self.clock = ManualClock()
        self.store = open_store(home / "state", clock=self.clock, random=CountingRandom())
        self.source = opening.opened(
            model.Source(name="examples", path=str(repository.path)), home / "state", model.Limits()
        )
        bus = Bus()
        self.metrics = Metrics(self.clock, version="0", process=False)
        bus.subscribe(self.metrics)
        self.loop = SyncLoop(
            self.source, self.store, self.clock, CountingRandom(), bus.publish, options or Options(), Workspace()
        )

    async def close(self) -> None:
        await self.loop.close()
        await self.store.close()


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path / "work")


async def test_from_commits_to_objects_on_disk_and_over_a_restart(tmp_path, repository):
    first = repository.commit(
        {
            "templates/base.yaml": template("base"),
            "templates/caller.yaml": template("caller", refers="base"),
            "cron.yaml": cron("nightly"),
            "settings.yaml": config_map("settings"),
            "hello.yaml": workflow("hello"),
            ".github/workflows/ci.yml": "on: push\n",
        },
        "first",
    )
    daemon = Daemon(tmp_path, repository)
    try:
        report = await daemon.loop.step()
        assert (report.created, report.offered, report.revision) == (4, 1, first)
        assert daemon.loop.status()["subject"] == "first"

        held = repository.commit({"templates/base.yaml": "apiVersion: argoproj.io/v1alpha1\nkind: [\n"})
        assert (await daemon.loop.step()).result == "held"
        assert (daemon.loop.status()["seen"], daemon.loop.status()["applied"]) == (held, first)

        third = repository.commit({"templates/base.yaml": template("base", "new"), "settings.yaml": None})
        report = await daemon.loop.step()
        assert (report.updated, report.deleted, report.applied_revision) == (1, 1, third)
        base = await daemon.store.get(Key("WorkflowTemplate", "default", "base"))
        assert base["metadata"]["annotations"][labels.REVISION] == third
        exposition = daemon.metrics.render()[0].decode()
        samples = {
            (sample.name, *sorted(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(exposition)
            for sample in family.samples
        }
        told = (("applied", third), ("revision", third), ("source", "examples"))
        assert samples["syncd_source_info", *told] == 1
        assert samples["syncd_source_objects", ("kind", "WorkflowTemplate"), ("source", "examples")] == 2
    finally:
        await daemon.close()

    again = Daemon(tmp_path, repository)
    try:
        before = (await again.store.list("WorkflowTemplate")).version
        report = await again.loop.step()
        assert (report.result, report.unchanged) == ("unchanged", 3)
        assert (await again.store.list("WorkflowTemplate")).version == before
    finally:
        await again.close()


async def test_a_force_push_to_an_empty_tree_is_held(tmp_path, repository):
    repository.commit({"base.yaml": template("base"), "more.yaml": template("more")})
    daemon = Daemon(tmp_path, repository)
    try:
        await daemon.loop.step()
        repository.git("checkout", "--quiet", "--orphan", "fresh")
        repository.commit({"base.yaml": None, "more.yaml": None})
        repository.git("branch", "--quiet", "--force", "main", "fresh")
        repository.git("checkout", "--quiet", "main")
        report = await daemon.loop.step()
        assert (report.result, report.reason) == ("held", "guard")
        assert len((await daemon.store.list("WorkflowTemplate")).items) == 2
        await daemon.loop.approve(report.revision, "ada")
        assert (await daemon.loop.step()).deleted == 2
    finally:
        await daemon.close()
