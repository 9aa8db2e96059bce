"""The fault table, second part: watches that end, that are too old, that go silent; and answers that are lost on their way.

Nothing that happened meanwhile is missed: a cron fires, an edit by hand is corrected, a run is counted once.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.kube.scene import ARGO, Files, Scene, cron, install_our_crd, scene, template
from tests.support import kubeapi, kubeargo
from tests.support.kubefaults import Answer, Fault, GoneInBand, Reset, Stall
from tests.support.replicas import until

FILES: Files = {"base.yaml": template("base"), "tick.yaml": cron("tick", "@every 2s")}
pytestmark = [
    pytest.mark.timeout(300),
    # of the stand-in and the proxy, whose connections a killed server resets in the middle of a handshake
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
KINDS = ("cronworkflows", "workflows", "workflowtemplates")


@pytest.fixture(scope="module", autouse=True)
def crd(api: kubeapi.ApiServer) -> None:
    install_our_crd(api)


@contextmanager
def running(api: kubeapi.ApiServer, namespace: str, folder: Path, **more: Any) -> Iterator[Scene]:
    """A daemon that fires and counts, and Argo's part beside it."""
    ending = kubeargo.Ending(seconds=0.3, brief=True)
    with (
        kubeargo.running(api, namespace=namespace, ends=lambda _: ending),
        scene(api, namespace, folder, FILES, driftInterval="10s", **more) as (it, revision),
    ):
        it.in_force(revision)
        until(lambda: ended(it), 30, lambda: it.tell("a run ends"))
        yield it


def add_cron(it: Scene, name: str) -> None:
    """By hand, past syncd."""
    body = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "CronWorkflow",
        "metadata": {"name": name, "labels": {"workflows.argoproj.io/controller-instanceid": "syncd"}},
        "spec": {
            "schedules": ["@every 2s"],
            "successfulJobsHistoryLimit": 100,
            "workflowSpec": {"workflowTemplateRef": {"name": "base"}},
        },
    }
    it.api.call("POST", f"{ARGO}/namespaces/{it.namespace}/cronworkflows", body)


def edit(it: Scene) -> None:
    patch = {"spec": {"templates": [{"name": "main", "container": {"image": "evil"}}]}}
    it.kubectl("patch", "workflowtemplate", "base", "--type=merge", "-p", json.dumps(patch))


def ended(it: Scene) -> int:
    """Runs that the daemon has counted as succeeded, whoever started them."""
    found = it.replica.metrics()
    return int(sum(n for name, n in found.items() if name.startswith("syncd_runs_total{") and "Succeeded" in name))


def catches_up(it: Scene, name: str) -> None:
    """The cron of meanwhile fires, the edit of meanwhile is corrected, and no run is counted twice or never."""
    until(lambda: it.names("workflows", f"{name}-"), 60, lambda: it.tell(f"{name} fires"))
    until(lambda: it.image("base") == "busybox:1", 60, lambda: it.tell("the edit is corrected"))
    it.kubectl("patch", "cronworkflow", name, "--type=merge", "-p", '{"spec":{"suspend":true}}')
    it.repository.commit({"tick.yaml": cron("tick", "0 3 1 1 *")}, "no more runs")
    count, truth = -1, -2

    def same() -> bool:
        nonlocal count, truth
        count, truth = ended(it), all_succeeded(it)
        return count == truth and quiet(it)

    until(same, 60, lambda: it.tell(f"counted {count}, and {truth} have ended"))


def quiet(it: Scene) -> bool:
    return all((item.get("status") or {}).get("phase") == "Succeeded" for item in it.objects("workflows"))


def all_succeeded(it: Scene) -> int:
    return sum((item.get("status") or {}).get("phase") == "Succeeded" for item in it.objects("workflows"))


@pytest.mark.parametrize("fault", [Answer(410), GoneInBand()], ids=["http", "in-band"])
def test_410_on_watches_loses_nothing(api: kubeapi.ApiServer, namespace: str, tmp_path: Path, fault: Fault) -> None:
    with running(api, namespace, tmp_path) as it:
        away = [it.proxy.on(Answer(503), verb="list", resource=kind) for kind in KINDS]
        gone = [it.proxy.on(fault, verb="watch", resource=kind) for kind in KINDS]
        assert it.proxy.cut(verb="watch") >= 3
        add_cron(it, "meanwhile")
        edit(it)
        until(lambda: sum(rule.applied for rule in gone) >= 2, 30, lambda: it.tell("watches are refused"))
        for rule in (*away, *gone):
            it.proxy.remove(rule)
        catches_up(it, "meanwhile")
        found = it.replica.metrics()
        assert any("watch_restarts" in name and 'reason="expired"' in name for name in found)


def test_a_history_that_was_compacted_and_a_restart_lose_nothing(
    api: kubeapi.ApiServer, namespace: str, tmp_path: Path
) -> None:
    """The daemon sleeps meanwhile, as on a machine that is suspended: it loses the lease, and takes it again. Counters begin anew
    with that term, as they do at a restart; so what is looked at is that each end is told, and once."""
    with running(api, namespace, tmp_path) as it:
        it.replica.freeze()
        add_cron(it, "meanwhile")
        edit(it)
        api.compact()
        api.restart()
        it.replica.thaw()
        until(lambda: it.names("workflows", "meanwhile-"), 60, lambda: it.tell("the new cron fires"))
        until(lambda: it.image("base") == "busybox:1", 60, lambda: it.tell("the edit is corrected"))
        it.nothing_lost("tick", 2)
        it.kubectl("patch", "cronworkflow", "meanwhile", "--type=merge", "-p", '{"spec":{"suspend":true}}')
        it.in_force(it.repository.commit({"tick.yaml": cron("tick", "0 3 1 1 *")}, "no more runs"))
        until(lambda: quiet(it), 60, "all have ended")
        wanted = dict.fromkeys(it.names("workflows"), 1)
        until(lambda: told_ends(it) == wanted, 30, lambda: it.tell(f"each end once: {told_ends(it)}"))


def told_ends(it: Scene) -> dict[str, int]:
    """How often the daemon has said that a run succeeded, by its name."""
    return dict(Counter(re.findall(rf"run {it.namespace}/(\S+): Succeeded", it.replica.log)))


def test_a_watch_that_goes_silent_is_noticed_and_begun_again(
    api: kubeapi.ApiServer, namespace: str, tmp_path: Path
) -> None:
    with running(api, namespace, tmp_path, silence_seconds=4) as it:
        stalled = [it.proxy.on(Stall(), verb="watch", resource=kind) for kind in KINDS]
        add_cron(it, "meanwhile")
        edit(it)

        def noticed() -> bool:
            """Each stream has been begun again: none of those is left that have lost events."""
            return all(rule.applied for rule in stalled)

        until(noticed, 40, lambda: it.tell("the silence is noticed"))
        for rule in stalled:
            it.proxy.remove(rule)
        catches_up(it, "meanwhile")
        found = it.replica.metrics()
        assert any("watch_restarts" in name and 'reason="stalled"' in name for name in found)


def test_answers_that_are_lost_double_nothing(api: kubeapi.ApiServer, namespace: str, tmp_path: Path) -> None:
    """The server has done it: the child is there, the row is written, the lease is renewed; only nobody was told."""
    lost = Reset(after=True)
    with running(api, namespace, tmp_path) as it:
        holder = it.holder()
        rules = [
            it.proxy.on(lost, verb="create", resource="workflows", times=3),
            it.proxy.on(lost, verb="patch", resource="configmaps", path="ledger", nth=2, times=3),
            it.proxy.on(lost, verb="update", resource="leases", times=3),
            it.proxy.on(lost, verb="patch", resource="cronworkflows", times=2),
            it.proxy.on(lost, verb="apply", resource="workflowtemplates", dry_run=False, times=2),
            it.proxy.on(lost, verb="patch", resource="configmaps", path="inventory", times=1),
        ]
        it.in_force(it.repository.commit({"base.yaml": template("base", "busybox:2"), "new.yaml": template("new")}))
        until(lambda: all(rule.applied for rule in rules), 60, lambda: it.tell(f"{[r.applied for r in rules]}"))
        time.sleep(2)
        it.nothing_lost("tick", 2)
        assert it.holder() == holder
        assert it.names("workflowtemplates") == ["base", "new"]
        assert it.image("base") == "busybox:2"


def test_409_is_read_again_and_loses_nothing(api: kubeapi.ApiServer, namespace: str, tmp_path: Path) -> None:
    conflict = Answer(409)
    with running(api, namespace, tmp_path) as it:
        holder = it.holder()
        rules = [
            it.proxy.on(conflict, verb="patch", resource="configmaps", path="ledger", times=3),
            it.proxy.on(conflict, verb="patch", resource="configmaps", path="inventory", times=1),
            it.proxy.on(conflict, verb="update", resource="leases", times=2),
            it.proxy.on(conflict, verb="apply", resource="workflowtemplates", dry_run=False, times=1),
            it.proxy.on(conflict, verb="apply", resource="workflowtemplates", dry_run=True, times=1),
            it.proxy.on(conflict, verb="patch", resource="cronworkflows", times=2),
        ]
        it.in_force(it.repository.commit({"base.yaml": template("base", "busybox:2")}))
        until(lambda: all(rule.applied for rule in rules), 60, lambda: it.tell(f"{[r.applied for r in rules]}"))
        it.nothing_lost("tick", 2)
        assert it.holder() == holder
        assert it.image("base") == "busybox:2"


def test_a_server_that_stands_still_for_a_while_loses_nothing(
    api: kubeapi.ApiServer, namespace: str, tmp_path: Path
) -> None:
    """As while etcd elects a leader, or a disk is slow: connections stay open, nothing is answered. The lease is lost and taken again."""
    with running(api, namespace, tmp_path) as it:
        api.pause(4)
        add_cron(it, "after")
        until(lambda: it.names("workflows", "after-"), 60, lambda: it.tell("it goes on"))
        it.nothing_lost("tick", 2)
