"""From Argo's cron to syncd and back, as docs/kubernetes.md says it: no slot is lost and none is doubled.

Argo's part is played by `kubecron` (which fires what has no label of syncd's, by Argo's rule) and `kubeargo` (which runs the
Workflows). What was ever created is heard by a watch: children come and go, and a second one of the same name would be seen. The
switches are begun just before the minute is full, so that the slot falls into them.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.kube.test_exactly_once import Recorder
from tests.support import kubeapi, kubeargo, kubecron, kuberecordings
from tests.support.replicas import Replica, config_of, leader, replicas, until
from tests.support.repository import Repository

INSTANCE = kubeargo.INSTANCE
LEASE = {"duration": "15s", "renewDeadline": "10s", "retry": "2s"}
"""As installations have it: replicas end here, and do not die."""
LEADS = (0.9, 0.5, 0.7, 0.3, 0.6)[: 5 if os.environ.get("SYNCD_SLOW") else 3]
"""Seconds before a full minute at which half of the crons change hands."""
MINUTELY = [f"minute-{number:02}" for number in range(12)]
EVERY = ("every-a", "every-b")
CRONS = (*MINUTELY, *EVERY, "brief", "forbid")


def text(name: str, *, ours: bool) -> str:
    """A file of git. ours: with the label that keeps Argo away."""
    metadata: dict[str, Any] = {"name": name}
    if ours:
        metadata["labels"] = {INSTANCE: "syncd"}
    spec: dict[str, Any] = {
        "schedules": ["@every 2s" if name in EVERY else "* * * * *"],
        "startingDeadlineSeconds": 50,  # for the way back: Argo makes up for a slot only within it
        "workflowSpec": {
            "entrypoint": "main",
            "templates": [{"name": "main", "container": {"image": "busybox", "command": ["true"]}}],
        },
    }
    if name == "forbid":
        spec["concurrencyPolicy"] = "Forbid"  # its first run never ends
    if name == "brief":
        spec["successfulJobsHistoryLimit"] = 0  # the names of its runs are free again at once
    return json.dumps(
        {"apiVersion": "argoproj.io/v1alpha1", "kind": "CronWorkflow", "metadata": metadata, "spec": spec}
    )


def ends(workflow: Mapping[str, Any]) -> kubeargo.Ending:
    if workflow["metadata"]["name"].startswith("forbid-"):
        return kubeargo.Ending(kuberecordings.HANGS, brief=True)
    return kubeargo.Ending(seconds=0.3, brief=True)


class World:
    """A namespace where both schedulers are at work."""

    def __init__(self, api: kubeapi.ApiServer, namespace: str, folder: Path) -> None:
        self.api, self.namespace = api, namespace
        self.repository = Repository(folder / "jobs")
        self.commit(dict.fromkeys(CRONS, False))
        self.recorder = Recorder(api, namespace)

    def commit(self, ours: Mapping[str, bool]) -> None:
        self.repository.commit({f"{name}.yaml": text(name, ours=mine) for name, mine in ours.items()})

    def config(self, scheduler: str) -> dict[str, Any]:
        source = {"name": "jobs", "path": str(self.repository.path), "namespace": self.namespace, "interval": "1s"}
        schedule = {"scheduler": scheduler}
        return config_of(self.api.kubeconfig, self.namespace, lease=LEASE, sources=[source], schedule=schedule)

    def labelled(self) -> set[str]:
        path = f"/apis/argoproj.io/v1alpha1/namespaces/{self.namespace}/cronworkflows"
        items = self.api.call("GET", path)["items"]
        return {one["metadata"]["name"] for one in items if INSTANCE in one["metadata"].get("labels", {})}

    def wait_for_label_on(self, names: set[str], of: list[Replica]) -> None:
        until(lambda: self.labelled() == names, 120, lambda: f"{self.labelled()} != {names}\n{of[0].log[-3000:]}")


@contextmanager
def world(api: kubeapi.ApiServer, namespace: str, folder: Path) -> Iterator[tuple[World, kubecron.CronController]]:
    api.kubectl("apply", "--server-side", "-f", str(Path(__file__).parents[2] / "charts" / "syncd" / "crds"))
    made = World(api, namespace, folder)
    with kubeargo.running(api, namespace=namespace, ends=ends), kubecron.running(api, namespace) as argo:
        try:
            yield made, argo
        finally:
            made.recorder.stop()


def before_the_minute(seconds: float) -> None:
    """Wait until so long before the next full minute; less than that is not enough: then the one after."""
    time.sleep((-time.time() - seconds) % 60)


def judge(made: World, since: float, end: float, logs: Mapping[str, str]) -> str:
    """No minute is missing and none was twice; what fires every two seconds did not pause. What was seen, for the report."""
    seen = {name: len(uids) for name, uids in made.recorder.made.items()}
    slots = range((int(since) // 60 + 1) * 60, int(end) - 2, 60)
    expected = {f"{name}-{slot}" for name in (*MINUTELY, "brief") for slot in slots}
    lost = sorted(expected - seen.keys())
    doubled = sorted(name for name, count in seen.items() if count > 1)
    pauses = []
    for name in EVERY:
        times = sorted(int(run.rpartition("-")[2]) for run in seen if run.startswith(f"{name}-"))
        pauses += [later - earlier for earlier, later in itertools.pairwise(times)]
    forbidden = [name for name in seen if name.startswith("forbid-")]
    assert (lost, doubled) == ([], []), logs
    assert len(forbidden) == 1, f"Forbid holds for the run of the other scheduler: {forbidden}"
    assert max(pauses) <= 6, f"@every 2s paused: {sorted(pauses)[-5:]}"
    return f"{len(expected)} slots in {len(slots)} minutes, 0 lost, 0 doubled; @every 2s: longest pause {max(pauses)} s"


@pytest.mark.timeout(900)
def test_by_the_setting_there_and_back(
    api: kubeapi.ApiServer, namespace: str, tmp_path: Path, record_property: Any
) -> None:
    """`schedule.scheduler` for all crons at once; replicas are replaced one after the other, as `helm upgrade` does."""
    with world(api, namespace, tmp_path) as (made, argo), replicas(tmp_path, "ab", made.config("argo")) as both:
        leader(both)
        path = f"/apis/argoproj.io/v1alpha1/namespaces/{namespace}/cronworkflows"
        until(lambda: len(api.call("GET", path)["items"]) == len(CRONS), 60, lambda: both[0].log[-3000:])
        since = time.time()
        before_the_minute(-3)  # one minute of Argo's
        assert made.labelled() == set()
        for scheduler, labelled in (("syncd", set(CRONS)), ("argo", set())):
            before_the_minute(2)
            for replica in both:
                replica.file.write_text(json.dumps(made.config(scheduler)))
                replica.stop()
                replica.start()
            leader(both)
            made.wait_for_label_on(labelled, both)
            before_the_minute(-3)
        end = time.time()
        said = judge(made, since, end, {replica.name: replica.log[-4000:] for replica in both})
        by_argo = set(argo.fired)
        ours = made.recorder.made.keys() - by_argo
        assert by_argo and ours
        record_property("said", f"moved by the setting, and back: {said}; {len(by_argo)} by Argo, {len(ours)} by syncd")


@pytest.mark.timeout(900)
def test_one_by_one_by_the_label_in_git(
    api: kubeapi.ApiServer, namespace: str, tmp_path: Path, record_property: Any
) -> None:
    """With `scheduler: argo` a cron that carries the label in git is syncd's: half of them change hands at each full minute."""
    halves = [set(CRONS[0::2]), set(CRONS[1::2])]
    with world(api, namespace, tmp_path) as (made, argo), replicas(tmp_path, "a", made.config("argo")) as one:
        leader(one)
        path = f"/apis/argoproj.io/v1alpha1/namespaces/{namespace}/cronworkflows"
        until(lambda: len(api.call("GET", path)["items"]) == len(CRONS), 60, lambda: one[0].log[-3000:])
        since = time.time()
        before_the_minute(-3)
        ours: set[str] = set()
        for number, lead in enumerate(LEADS):
            half = halves[number % 2]
            before_the_minute(lead)
            wanted = ours - half if half <= ours else ours | half
            made.commit({name: name in wanted for name in half})
            made.wait_for_label_on(wanted, one)
            ours = wanted
        before_the_minute(-3)
        end = time.time()
        said = judge(made, since, end, {"a": one[0].log[-6000:]})
        by_argo = set(argo.fired)
        ours_fired = made.recorder.made.keys() - by_argo
        assert by_argo and ours_fired
        record_property(
            "said",
            f"moved by the label in git, {len(LEADS)} times: {said}; {len(by_argo)} by Argo, {len(ours_fired)} by syncd; "
            f"{len(argo.met)} met by Argo",
        )
