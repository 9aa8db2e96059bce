"""With Argo's full CRDs a spec is many fields with an owner each; with the minimal ones it is one. An apply must end alike.

One server of its own for the whole file: its CRDs take half a minute.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from syncd.argo.manifest import Body, Key
from syncd.base.errors import AlreadyExists
from syncd.cluster.api import Verb, Write
from syncd.cluster.kube.store import KubeStore
from tests.support import kubeapi, kubestore
from tests.support.objects import body, create, do, errors, template

pytestmark = [pytest.mark.kube, pytest.mark.timeout(240)]

KEY = template("main", "default")
MAIN = {"name": "main", "container": {"image": "a", "env": [{"name": "A", "value": "1"}]}}
DEFAULTS = {"container": {"image": "a", "env": [{"name": "A", "value": "1"}]}}


@pytest.fixture(scope="module")
def full() -> Iterator[kubeapi.ApiServer]:
    kubestore.server()  # skips where there are no programs
    with kubeapi.running(crds="full") as api:
        yield api


@pytest.fixture
async def store(full: kubeapi.ApiServer) -> AsyncIterator[KubeStore]:
    full.kubectl("delete", "workflowtemplates,cronworkflows", "--all", "-n", "default")
    made = await kubestore.opened(full.kubeconfig, "default")
    yield made
    await made.close()


async def test_apply_undoes_what_others_did_to_the_spec(store: KubeStore) -> None:
    spec = {"entrypoint": "main", "templates": [MAIN], "arguments": {"parameters": [{"name": "p", "value": "1"}]}}
    await do(store, Verb.APPLY, KEY, {"spec": {**spec, "priority": 5}})
    theirs = {
        "entrypoint": "other",
        "activeDeadlineSeconds": 60,
        "nodeSelector": {"disk": "fast"},
        "arguments": {"artifacts": [{"name": "z"}]},
        "templates": [{**MAIN, "container": {"image": "b"}}, {"name": "more", "suspend": {}}],
    }
    await do(store, Verb.PATCH, KEY, {"spec": theirs})
    after = await do(store, Verb.APPLY, KEY, {"spec": spec})
    assert after["spec"] == spec
    assert await do(store, Verb.APPLY, KEY, {"spec": spec}) == after


async def test_lists_with_keys_keep_nothing_of_others(store: KubeStore) -> None:
    """env is merged by name: an item, or a field of one, that a person added is no apply's to remove; so it is patched away."""
    spec = {"templates": [MAIN], "templateDefaults": DEFAULTS}
    await do(store, Verb.APPLY, KEY, {"spec": spec})
    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
    await do(store, Verb.PATCH, KEY, {"spec": {"templateDefaults": {"container": {"env": env, "tty": True}}}})
    after = await do(store, Verb.APPLY, KEY, {"spec": spec})
    assert after["spec"] == spec
    fewer = {"templates": [MAIN], "templateDefaults": {"container": {"image": "a"}}}
    after = await do(store, Verb.APPLY, KEY, {"spec": fewer})
    assert after["spec"] == fewer
    assert (await do(store, Verb.APPLY, KEY, {"spec": fewer}))["metadata"]["resourceVersion"] == (
        after["metadata"]["resourceVersion"]
    )


async def test_what_another_manager_applied_is_taken_over(full: kubeapi.ApiServer, store: KubeStore) -> None:
    theirs = """
apiVersion: argoproj.io/v1alpha1
kind: WorkflowTemplate
metadata: {name: main, namespace: default, labels: {theirs: "1"}}
spec: {entrypoint: other, priority: 5, templates: [{name: other, suspend: {}}]}
"""
    full.kubectl("apply", "--server-side", "--field-manager=argocd", "-f", "-", stdin=theirs)
    spec = {"entrypoint": "main", "templates": [MAIN]}
    after = await do(store, Verb.APPLY, KEY, body(labels={"ours": "1"}, spec=spec))
    assert after["spec"] == spec
    assert after["metadata"]["labels"] == {"theirs": "1", "ours": "1"}


async def test_declare_takes_and_leaves_nothing(full: kubeapi.ApiServer, store: KubeStore) -> None:
    made = await create(store, KEY, body(labels={"a": "1"}, spec={"entrypoint": "main", "templates": [MAIN]}))
    path = "/apis/argoproj.io/v1alpha1/namespaces/default/workflowtemplates/main"
    before = full.call("GET", path)
    wanted: Body = body(labels={"b": "1"}, spec={"entrypoint": "main", "priority": 3, "templates": [MAIN]})
    assert errors(list(await store.write([Write(Verb.DECLARE, KEY, wanted)]))) == [AlreadyExists]
    assert full.call("GET", path) == before
    assert before["metadata"]["uid"] == made["metadata"]["uid"]
    other = template("other", "default")
    await do(store, Verb.DECLARE, other, wanted)
    smaller = body(spec={"entrypoint": "main", "templates": [MAIN]})
    after = await do(store, Verb.APPLY, other, smaller)
    assert after["spec"] == smaller["spec"]
    assert "labels" not in after["metadata"]


async def test_a_suspension_by_hand_survives_until_it_is_taken_back(store: KubeStore) -> None:
    cron = Key("CronWorkflow", "default", "nightly")
    work = {"entrypoint": "main", "templates": [MAIN]}
    declared = {"spec": {"schedules": ["0 0 * * *"], "workflowSpec": work}}
    await do(store, Verb.APPLY, cron, declared)
    by_hand = {"metadata": {"annotations": {"syncd.io/by-hand": "ann since today"}}, "spec": {"suspend": True}}
    await do(store, Verb.PATCH, cron, by_hand)
    changed = {"spec": {"schedules": ["1 0 * * *"], "workflowSpec": work, "suspend": False}}
    assert (await do(store, Verb.APPLY, cron, changed))["spec"] == {**changed["spec"], "suspend": True}
    await do(store, Verb.PATCH, cron, {"metadata": {"annotations": {"syncd.io/by-hand": None}}})
    assert (await do(store, Verb.APPLY, cron, declared))["spec"] == declared["spec"]
