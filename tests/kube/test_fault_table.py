"""The fault table, first part: an API server that is away, dies, is busy, slow, or loses its answers.

Each test is a promise to whoever runs syncd: what was asked for comes into force, each slot fires once, and the log says what is the
matter once, and not at every try. See also test_fault_table_watches, _rights, _clocks.
"""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import pytest

from tests.kube.scene import Files, cron, install_our_crd, said, scene, template
from tests.support import kubeapi
from tests.support.kubefaults import Answer, Delay, Proxy
from tests.support.kuberequests import Request
from tests.support.replicas import until

FILES: Files = {"base.yaml": template("base"), "tick.yaml": cron("tick", "@every 2s")}
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module", autouse=True)
def crd(api: kubeapi.ApiServer) -> None:
    install_our_crd(api)


def test_a_server_that_is_down_at_the_start_is_waited_for(
    api: kubeapi.ApiServer, namespace: str, tmp_path: Path
) -> None:
    api.down()
    try:
        with scene(api, namespace, tmp_path, FILES, proxied=False) as (it, revision):
            replica = it.replica
            assert replica.get("/livez", token=False)[0] == 200
            until(lambda: said(replica, "cannot be reached"), 30, lambda: it.tell("it says so"))
            time.sleep(5)  # several tries
            code, text = replica.get("/readyz", token=False)
            assert code == 503
            assert "the API server" in text
            assert "cannot be reached" in text
            assert said(replica, "cannot be reached") == 1, replica.log
            api.up()
            it.in_force(revision)
            until(lambda: replica.get("/readyz", token=False)[0] == 200, 30, lambda: it.tell("ready"))
            assert said(replica, "cannot be reached") == 1, replica.log
            assert said(replica, "answers again") == 1, replica.log
            it.nothing_lost("tick", 2)
    finally:
        api.up()


def test_a_server_that_is_killed_while_300_objects_are_applied_gets_all_of_them_once(
    api: kubeapi.ApiServer, namespace: str, tmp_path: Path
) -> None:
    files: Files = {f"t{n}.yaml": template(f"t{n}") for n in range(300)}
    with scene(api, namespace, tmp_path, {"base.yaml": template("base")}) as (it, revision):
        it.in_force(revision)
        slow = it.proxy.on(Delay(0.3), verb="apply", resource="workflowtemplates", dry_run=False)
        revision = it.repository.commit(files)
        until(lambda: len(it.names("workflowtemplates")) > 60, 60, lambda: it.tell("some are applied"))
        api.restart()
        before = len(it.names("workflowtemplates"))
        assert 60 < before < 301
        it.proxy.remove(slow)
        it.in_force(revision)
        assert len(it.names("workflowtemplates")) == 301
        assert {item["metadata"]["generation"] for item in it.objects("workflowtemplates")} == {1}
        it.in_force(it.repository.commit({f"t{n}.yaml": None for n in range(120)}))
        assert len(it.names("workflowtemplates")) == 181
        until(lambda: it.condition() == "True Applied", 20, lambda: it.tell("and is shown"))


def test_429_is_obeyed_and_costs_no_slot(api: kubeapi.ApiServer, namespace: str, tmp_path: Path) -> None:
    files: Files = {"base.yaml": template("base"), "seldom.yaml": cron("seldom", "@every 10s")}
    with scene(api, namespace, tmp_path, files) as (it, revision):
        it.in_force(revision)
        it.proxy.clear()
        it.proxy.on(Answer(429, retry_after=3), verb="create", resource="workflows", times=2)
        it.proxy.on(Answer(429, retry_after=1), verb="apply", resource="workflowtemplates", times=2)
        it.proxy.on(Answer(429, retry_after=4), verb="apply", resource="workflowtemplates", times=1)
        it.in_force(it.repository.commit({"base.yaml": template("base", "busybox:2")}), 30)
        applied = asked(it.proxy, "apply", "workflowtemplates")
        assert [request.status for request in applied[:4]] == [429, 429, 429, 200]
        pauses = [after.at - before.at for before, after in itertools.pairwise(applied)]
        assert [pause >= wanted for pause, wanted in zip(pauses, (1, 1, 4), strict=False)] == [True] * 3, pauses
        until(lambda: it.names("workflows"), 60, lambda: it.tell("it fires"))
        created = asked(it.proxy, "create", "workflows")
        assert [request.status for request in created[:3]] == [429, 429, 201]
        assert created[1].at - created[0].at >= 3
        assert created[2].at - created[1].at >= 3
        it.nothing_lost("seldom", 10)
        until(lambda: it.condition() == "True Applied", 20, lambda: it.tell("well"))


def asked(proxy: Proxy, verb: str, resource: str) -> list[Request]:
    """Requests since the record was cleared, in order."""
    return [each for each in proxy.requests if (each.verb, each.resource) == (verb, resource)]
