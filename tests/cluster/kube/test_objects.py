"""Writes beside other managers, admission, limits, and names that want to be something else."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import pytest

from syncd.argo.manifest import Body, Key
from syncd.base.errors import AlreadyExists, Conflict, Expired, Invalid, NotFound, Refused, SyncdError
from syncd.cluster.api import Verb, Write
from syncd.cluster.kube.store import KubeStore
from tests.cluster.kube.conftest import Opened
from tests.support import kubeapi, kubefaults
from tests.support.objects import body, create, delete, do, errors, template

pytestmark = pytest.mark.kube


def path_of(key: Key) -> str:
    return f"/apis/argoproj.io/v1alpha1/namespaces/{key.namespace}/workflowtemplates/{key.name}"


def managers(live: Body) -> set[tuple[str, str]]:
    return {(entry["manager"], entry["operation"]) for entry in live["metadata"]["managedFields"]}


async def test_what_kubectl_made_stays_as_it_is(store: KubeStore, api: kubeapi.ApiServer, namespace: str) -> None:
    """Declared with more, with less, with the same and with other values: not a byte of the object changes."""
    key = template("theirs", namespace)
    made = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "WorkflowTemplate",
        "metadata": {"name": key.name, "namespace": namespace, "labels": {"a": "1"}},
        "spec": {"x": 1},
    }
    api.kubectl("create", "-f", "-", stdin=json.dumps(made))
    before = api.call("GET", path_of(key))
    for given in (
        body(labels={"a": "1"}, spec={"x": 1}),
        body(labels={"b": "1"}, spec={"x": 1}),
        body(annotations={"c": "1"}, spec={"x": 1, "y": 2}),
        body(labels={"a": "2"}, spec={"x": 2}),
    ):
        assert errors(await store.rehearse([Write(Verb.DECLARE, key, given)])) == [AlreadyExists]
        assert errors(await store.write([Write(Verb.DECLARE, key, given)])) == [AlreadyExists]
    assert api.call("GET", path_of(key)) == before


async def test_of_two_that_make_an_object_at_once_one_does(
    store: KubeStore, api: kubeapi.ApiServer, namespace: str
) -> None:
    """Whoever it is: what the loser wanted is nowhere on the object."""
    keys = [template(f"t{number}", namespace) for number in range(30)]

    def theirs(key: Key) -> bool:
        given = {"metadata": {"name": key.name, "labels": {"by": "them"}}, "spec": {"theirs": 1}}
        head = {"apiVersion": "argoproj.io/v1alpha1", "kind": "WorkflowTemplate"}
        try:
            api.call("POST", path_of(key).rpartition("/")[0], head | given)
        except kubeapi.Failed as error:
            assert error.status == 409
            return False
        return True

    async def all_theirs() -> list[bool]:
        return [await asyncio.to_thread(theirs, key) for key in keys]

    async def all_ours() -> list[type[SyncdError] | None]:
        found = []
        for key in keys:
            found += errors(await store.write([Write(Verb.DECLARE, key, body(labels={"by": "us"}, spec={"ours": 1}))]))
        return found

    they, we = await asyncio.gather(all_theirs(), all_ours())
    assert set(we) <= {None, AlreadyExists}
    for key, won, ours in zip(keys, they, we, strict=True):
        assert won is (ours is AlreadyExists)
        live = await store.get(key)
        assert live["metadata"]["labels"] == {"by": "them" if won else "us"}
        assert live["spec"] == ({"theirs": 1} if won else {"ours": 1})
        assert (("syncd", "Apply") in managers(live)) is not won


async def test_a_declare_whose_answer_is_lost_may_be_sent_again(
    opened: Opened, api: kubeapi.ApiServer, namespace: str
) -> None:
    key = template("a", namespace)
    write = Write(Verb.DECLARE, key, body(labels={"a": "1"}, spec={"x": 1}))
    with kubefaults.proxy(api) as proxy:
        store = await opened(proxy.kubeconfig)
        proxy.on(kubefaults.Reset(after=True), verb="apply", times=1)
        (lost,) = await store.write([write])
        assert "cannot be reached" in str(lost.error)
        assert errors(await store.write([write])) == [AlreadyExists]
        live = await store.get(key)
        assert (live["metadata"]["labels"], live["spec"]) == ({"a": "1"}, {"x": 1})
        assert ("syncd", "Apply") in managers(live)
        await store.close()


async def test_apply_of_what_was_deleted_meanwhile(store: KubeStore, namespace: str) -> None:
    key = template("a", namespace)
    made = await do(store, Verb.APPLY, key, {"spec": {"x": 1}})
    uid, version = made["metadata"]["uid"], made["metadata"]["resourceVersion"]
    await delete(store, key)
    writes = [
        Write(Verb.APPLY, key, {"spec": {"x": 2}}, uid=uid),
        Write(Verb.APPLY, key, {"spec": {"x": 2}}, expect=version, uid=uid),
        Write(Verb.PATCH, key, {"spec": {"x": 2}}, uid=uid),
        Write(Verb.DELETE, key, uid=uid),
    ]
    assert errors(await store.rehearse(writes)) == [Conflict, Conflict, NotFound, NotFound]
    assert errors(await store.write(writes)) == [Conflict, Conflict, NotFound, NotFound]
    await do(store, Verb.APPLY, key, {"spec": {"x": 3}})
    assert errors(await store.write(writes)) == [Conflict] * 4
    assert (await store.get(key))["spec"] == {"x": 3}


async def test_an_object_that_is_too_large_says_what_to_do(store: KubeStore, namespace: str) -> None:
    for size in (2 << 20, 5 << 20):
        for verb in (Verb.CREATE, Verb.DECLARE, Verb.APPLY):
            (written,) = await store.write([Write(verb, template("large", namespace), {"spec": {"x": "x" * size}})])
            assert isinstance(written.error, Invalid)
            assert "make it smaller" in str(written.error)
            assert len(str(written.error)) < 1000


async def test_a_namespace_that_is_not_there(store: KubeStore) -> None:
    for verb in (Verb.CREATE, Verb.DECLARE, Verb.APPLY):
        writes = [Write(verb, template("a", "nowhere"), {"spec": {}})]
        for answer in (await store.write(writes), await store.rehearse(writes)):
            assert errors(list(answer)) == [NotFound]
            assert 'namespaces "nowhere" not found' in str(answer[0].error)
    with pytest.raises(NotFound):
        await store.get(template("a", "nowhere"))
    assert (await store.list("WorkflowTemplate", "nowhere")).items == []


POLICY: dict[str, Any] = {
    "matchConstraints": {
        "resourceRules": [
            {
                "apiGroups": ["argoproj.io", ""],
                "apiVersions": ["*"],
                "operations": ["CREATE", "UPDATE"],
                "resources": ["*"],
            }
        ]
    },
    "validations": [
        {
            "expression": "!(has(object.metadata.labels) && 'forbidden' in object.metadata.labels)",
            "messageExpression": "'label forbidden is not allowed here: ' + object.metadata.labels['forbidden']",
        }
    ],
}


async def test_a_policy_says_why_and_a_rehearsal_says_the_same(
    store: KubeStore, api: kubeapi.ApiServer, namespace: str
) -> None:
    admission = "/apis/admissionregistration.k8s.io/v1"
    api.call("POST", f"{admission}/validatingadmissionpolicies", {"metadata": {"name": namespace}, "spec": POLICY})
    within = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    spec = {"policyName": namespace, "validationActions": ["Deny"], "matchResources": within}
    api.call("POST", f"{admission}/validatingadmissionpolicybindings", {"metadata": {"name": namespace}, "spec": spec})
    bad = body(labels={"forbidden": "hunter2"}, spec={})
    async with asyncio.timeout(20):  # until the server has heard of the policy
        while (await store.rehearse([Write(Verb.CREATE, template("probe", namespace), bad)]))[0].error is None:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    await create(store, template("there", namespace))
    writes = [
        Write(Verb.CREATE, template("a", namespace), bad),
        Write(Verb.DECLARE, template("b", namespace), bad),
        Write(Verb.APPLY, template("there", namespace), bad),
        Write(Verb.PATCH, template("there", namespace), {"metadata": bad["metadata"]}),
        Write(Verb.DECLARE, template("there", namespace), body(spec={})),
        Write(Verb.CREATE, template("there", namespace), body(spec={})),
        Write(Verb.APPLY, template("there", namespace), body(spec={}), uid="other"),
        Write(Verb.DELETE, template("gone", namespace)),
        Write(Verb.CREATE, template("x", "nowhere"), body(spec={})),
        Write(Verb.CREATE, template("c", namespace), {"spec": "no mapping"}),
        Write(Verb.APPLY, template("c", namespace), {"spec": "no mapping"}),
        Write(Verb.CREATE, template("c", namespace), {}),
        Write(Verb.CREATE, template("Bad", namespace), body(spec={})),
    ]
    rehearsed = await store.rehearse(writes)
    written = await store.write(writes)
    expected = [*[Refused] * 4, *[AlreadyExists] * 2, Conflict, NotFound, NotFound, *[Invalid] * 4]
    assert errors(list(written)) == expected
    assert [str(one.error) for one in rehearsed] == [str(one.error) for one in written]
    assert "label forbidden is not allowed here: hunter2" in str(written[0].error)
    # of a Secret not even a policy may say what is in it
    secret = {"stringData": {"password": "hunter2"}, **body(labels={"forbidden": "hunter2"})}
    (told,) = await store.write([Write(Verb.CREATE, Key("Secret", namespace, "s"), secret)])
    assert isinstance(told.error, SyncdError)
    assert "hunter2" not in str(told.error)


@pytest.mark.parametrize(
    "given",
    [
        {"data": {"password": "hunter2-hunter2!"}},
        {"data": {"password": 5_318_008}},
        {"stringData": {"password": ["hunter2"]}},
        {"data": {"pass word hunter": "aHVudGVyMg=="}},
        {"type": "kubernetes.io/tls", "stringData": {"tls.crt": "hunter2"}},
        {"type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": "hunter2"}},
        {"immutable": "hunter2"},
        {"metadata": {"labels": {"a": "hunter2 hunter2"}}},
    ],
)
async def test_no_value_of_a_secret_is_in_a_message(store: KubeStore, namespace: str, given: Body) -> None:
    key = Key("Secret", namespace, "s")
    for verb in (Verb.CREATE, Verb.DECLARE, Verb.APPLY):
        (written,) = await store.write([Write(verb, key, given)])
        assert isinstance(written.error, Invalid)
        said = str(written.error)
        assert f"Secret/{namespace}/s" in said
        assert [word for word in ("hunter2", "5318008", "aHVudGVy") if word in said] == []


NAMES = ["", "a/b", "..", ".", "../../secrets/x", "%2F", "a%2Fb", "%2e%2e", "ü", "a\n", "a?x=1", "a#b", "A", "a" * 254]


@pytest.mark.parametrize("name", NAMES)
async def test_a_name_that_is_none_is_asked_for_nowhere(store: KubeStore, asked: Counter[str], name: str) -> None:
    with pytest.raises(Invalid):
        await store.get(template(name))
    with pytest.raises(Invalid):
        await store.get(template("a", name))
    writes = [
        *(Write(verb, template(name), {"spec": {}}) for verb in Verb),
        *(Write(verb, template("a", name), {"spec": {}}) for verb in Verb),
        Write(Verb.CREATE, template("", name), {"metadata": {"generateName": "a-"}, "spec": {}}),
    ]
    assert set(errors(list(await store.write(writes)))) == {Invalid}
    assert set(errors(list(await store.rehearse(writes)))) == {Invalid}
    if name:
        with pytest.raises(Invalid):
            await store.list("WorkflowTemplate", name)
    assert asked == {}


@pytest.mark.parametrize("after", ["²:x", "99:x", "-1:", ":", "0:%00", "0:&limit=1", "1" * 5000])
async def test_a_page_token_cannot_be_forged(store: KubeStore, after: str) -> None:
    with pytest.raises(Expired):
        await store.list("WorkflowTemplate", after=after)


async def test_what_a_cluster_has_no_place_for(store: KubeStore) -> None:
    """Argo's controller keeps the runs: nothing is known of them here, and nothing can be saved."""
    assert await store.unfinished() == []
    assert await store.nodes("any") == {}
    assert await store.spec("any") is None
    assert [entry async for entry in store.load("any")] == []
    assert await store.finished_runs() == []
    await store.trim(["any"])
    for call in (lambda: store.save([]), lambda: store.backup("x")):
        with pytest.raises(SyncdError, match="not in a cluster"):
            await call()
