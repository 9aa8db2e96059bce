"""The fault table, fourth part: a replica whose clock is an hour off. It would fire everything at the wrong time, so it never leads."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.kube.scene import Files, cron, install_our_crd, said, scene, template
from tests.support import kubeapi
from tests.support.replicas import leader, until

FILES: Files = {"base.yaml": template("base"), "tick.yaml": cron("tick", "@every 2s")}
HOUR = 3600.0

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module", autouse=True)
def crd(api: kubeapi.ApiServer) -> None:
    install_our_crd(api)


@pytest.mark.parametrize("skew", [HOUR, -HOUR], ids=["fast", "slow"])
def test_a_replica_whose_clock_is_wrong_never_leads_and_says_why(
    api: kubeapi.ApiServer, namespace: str, tmp_path: Path, skew: float
) -> None:
    with scene(api, namespace, tmp_path, FILES, proxied=False, names="ab", skews={"a": skew}) as (it, revision):
        wrong, right = it.replicas
        it.in_force(revision)
        assert leader([right, wrong]) is right
        assert wrong.metrics()["syncd_clock_skew_seconds"] == pytest.approx(skew, abs=30)
        assert abs(right.metrics()["syncd_clock_skew_seconds"]) < 5
        assert any("the clock of this machine" in line for line in wrong.status()["complaints"])
        assert wrong.get("/readyz", token=False)[0] == 200  # it serves reads
        it.nothing_lost("tick", 2)
        right.kill()
        time.sleep(8)  # its lease has run out
        fired = it.names("workflows")
        told = api.call("GET", f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/syncd")["spec"]
        time.sleep(5)
        assert it.names("workflows") == fired
        assert told["holderIdentity"] not in ("", wrong.status()["identity"])
        assert wrong.metrics()["syncd_leader"] == 0
        code, text = wrong.get("/readyz", token=False)
        assert code == 503
        assert "nobody leads, and this replica may not: the clock of this machine is" in text
        assert said(wrong, "this replica may not lead") == 1, wrong.log
        assert said(wrong, "this replica leads") == 0, wrong.log
        right.start()
        until(lambda: right.leads(), 60, lambda: it.tell("the right one leads again"))
        it.nothing_lost("tick", 2)
