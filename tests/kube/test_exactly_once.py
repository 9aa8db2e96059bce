"""Every slot fires once, though leaders are killed and frozen: three replicas, a real API server, Argo's part played by the stand-in.

A round: kill -9 or SIGSTOP the leader, do the other of the two to one of the rest, wait for the next leader, bring both back.
What was ever created is heard by a watch of the test's own: children come and go (their names are free again), and a
second one of the same name would be seen. `SYNCD_ROUNDS=50` plays fifty rounds.
"""

from __future__ import annotations

import json
import os
import random
import threading
import time
import urllib.request
from collections import Counter, defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support import kubeapi, kubeargo
from tests.support.replicas import LEASE, Replica, config_of, leader, replicas, until

ROUNDS = int(os.environ.get("SYNCD_ROUNDS") or 6)


class Recorder:
    """Hears of every Workflow that is made in a namespace. made: uids by name."""

    def __init__(self, api: kubeapi.ApiServer, namespace: str) -> None:
        self.made: dict[str, set[str]] = defaultdict(set)
        self._api = api
        self._path = f"/apis/argoproj.io/v1alpha1/namespaces/{namespace}/workflows"
        self._version = api.call("GET", self._path)["metadata"]["resourceVersion"]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._over.is_set():
            request = urllib.request.Request(
                f"{self._api.url}{self._path}?watch=true&resourceVersion={self._version}&timeoutSeconds=2",
                headers={"Authorization": f"Bearer {self._api.token}"},
            )
            with urllib.request.urlopen(request, timeout=30, context=self._api.trust()) as lines:
                for line in lines:
                    event = json.loads(line)
                    metadata = event["object"]["metadata"]
                    self._version = metadata["resourceVersion"]
                    if event["type"] == "ADDED":
                        self.made[metadata["name"]].add(metadata["uid"])

    def stop(self) -> None:
        self._over.set()
        self._thread.join(20)


def cron(name: str, namespace: str, seconds: int, policy: str = "Allow") -> dict[str, Any]:
    template = {"name": "main", "container": {"image": "busybox", "command": ["true"]}}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "CronWorkflow",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"workflows.argoproj.io/controller-instanceid": "syncd"},
            "annotations": {"syncd.io/catch-up": "all"},
        },
        "spec": {
            "schedules": [f"@every {seconds}s"],
            "concurrencyPolicy": policy,
            "successfulJobsHistoryLimit": 1,  # the name of the one before is free at once
            "workflowSpec": {"entrypoint": "main", "templates": [template]},
        },
    }


@pytest.mark.timeout(120 + 30 * ROUNDS)
def test_no_slot_is_lost_and_none_is_doubled(
    api: kubeapi.ApiServer, namespace: str, tmp_path: Path, record_property: Any
) -> None:
    chance = random.Random(7)
    recorder = Recorder(api, namespace)
    crons = {"quick": 2, "other": 3, "forbid": 5}
    path = f"/apis/argoproj.io/v1alpha1/namespaces/{namespace}/cronworkflows"
    ending = kubeargo.Ending(seconds=0.3, brief=True)
    config = config_of(api.kubeconfig, namespace)
    takeovers: list[float] = []
    with (
        kubeargo.running(api, namespace=namespace, ends=lambda _: ending),
        replicas(tmp_path, "abc", config) as three,
    ):
        leader(three)
        born: dict[str, datetime] = {}
        for name, seconds in crons.items():
            made = api.call("POST", path, cron(name, namespace, seconds, "Forbid" if name == "forbid" else "Allow"))
            born[name] = datetime.fromisoformat(made["metadata"]["creationTimestamp"])
        takeovers.extend(
            _round(api, namespace, three, chance, kill_the_leader=number % 2 == 0) for number in range(ROUNDS)
        )
        time.sleep(6)  # a queue of Forbid runs empty
        end = datetime.now(UTC).timestamp() - 1
        time.sleep(4)
    recorder.stop()
    expected = {
        f"{name}-{slot}"
        for name, seconds in crons.items()
        for slot in range(int(born[name].timestamp()) + seconds, int(end) + 1, seconds)
    }
    seen = {name: len(uids) for name, uids in recorder.made.items()}
    lost = sorted(expected - seen.keys())
    doubled = sorted(name for name, count in seen.items() if count > 1)
    record_property(
        "said",
        f"exactly once: {ROUNDS} rounds, {len(expected)} slots, {len(lost)} lost, {len(doubled)} doubled; "
        f"takeover {max(takeovers):.1f} s at most (lease 3 s)",
    )
    logs = {replica.name: replica.log[-3000:] for replica in three}
    assert (lost, doubled) == ([], []), f"{Counter(name.rpartition('-')[0] for name in lost)} {logs}"


def _round(
    api: kubeapi.ApiServer, namespace: str, three: list[Replica], chance: random.Random, *, kill_the_leader: bool
) -> float:
    """How long it took until another held the lease."""
    first = leader(three)
    second = chance.choice([replica for replica in three if replica is not first])
    (third,) = (replica for replica in three if replica not in (first, second))
    identity = until(lambda: third.status().get("identity"), 60, "the third answers")
    time.sleep(chance.random())
    killed, frozen = (first, second) if kill_the_leader else (second, first)
    frozen.freeze()
    killed.kill()
    began = time.monotonic()
    until(lambda: holder(api, namespace) == identity, 60, lambda: f"{third.name} leads; log:\n{third.log[-3000:]}")
    took = time.monotonic() - began
    time.sleep(chance.random())
    frozen.thaw()
    killed.start()
    time.sleep(0.5 + chance.random())
    return took


def holder(api: kubeapi.ApiServer, namespace: str) -> str:
    """Who holds the lease, as the object says."""
    lease = api.call("GET", f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/syncd")
    return str(lease["spec"].get("holderIdentity") or "")


def test_a_leader_that_ends_hands_over_within_a_second(
    api: kubeapi.ApiServer, namespace: str, tmp_path: Path, record_property: Any
) -> None:
    """With the lease of real installations: 15 s are not waited for."""
    lease = {**LEASE, "duration": "15s", "renewDeadline": "10s", "retry": "2s"}
    took: list[float] = []
    with replicas(tmp_path, "ab", config_of(api.kubeconfig, namespace, lease=lease)) as both:
        for _ in range(3):
            first = leader(both)
            (second,) = (replica for replica in both if replica is not first)
            until(lambda: second.get("/readyz", token=False)[0] == 200, 20, "the second is ready")  # noqa: B023
            before = holder(api, namespace)
            began = time.monotonic()
            assert first.process is not None
            first.process.terminate()
            until(lambda: holder(api, namespace) not in ("", before), 10, "another holds the lease")  # noqa: B023
            took.append(time.monotonic() - began)
            assert first.process.wait(20) == 0
            first.start()
    record_property("said", f"hand-over on SIGTERM: {', '.join(f'{seconds:.2f}' for seconds in took)} s")
    assert max(took) < 10  # the lease of 15 s was not waited for


def test_every_replica_serves_reads_and_one_leads(api: kubeapi.ApiServer, namespace: str, tmp_path: Path) -> None:
    with replicas(tmp_path, "abc", config_of(api.kubeconfig, namespace)) as three:
        first = leader(three)
        path = f"/apis/argoproj.io/v1alpha1/namespaces/{namespace}/cronworkflows"
        api.call("POST", path, cron("hourly", namespace, 3600))
        for replica in three:
            until(lambda: replica.get("/readyz", token=False)[0] == 200, 20, "ready")  # noqa: B023
            assert replica.get("/livez", token=False)[0] == 200
            assert replica.get("/metrics", token=False)[0] == 200
            assert replica.get("/api/v1/cron-workflows/", token=False)[0] == 401
            code, text = replica.get(f"/api/v1/cron-workflows/{namespace}")
            assert code == 200
            assert [item["metadata"]["name"] for item in json.loads(text)["items"]] == ["hourly"]
            told = replica.status()
            assert told["leader"] == first.status()["identity"]
            assert told["leading"] is (replica is first)
        gauges = [replica.metrics()["syncd_leader"] for replica in three]
        assert sorted(gauges) == [0, 0, 1]
