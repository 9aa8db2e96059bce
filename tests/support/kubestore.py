"""The store of a cluster for tests: on the API server of this process, or any other, as empty as a new one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from syncd.app.real import SystemClock, SystemRandom
from syncd.cluster.kube.access import Access
from syncd.cluster.kube.channel import Pulse, Restarted
from syncd.cluster.kube.door import Told, open_door
from syncd.cluster.kube.store import Home, KubeStore
from tests.support import kubeapi, kubetools

SPACES = ("ci", "other", "x", "y")
"""The namespaces that the contract suite writes to."""

_KINDS = ("workflows", "workflowtemplates", "cronworkflows")


def server() -> kubeapi.ApiServer:
    """The API server of this process; skips the test where the programs for it are not built."""
    try:
        return kubeapi.shared()
    except kubetools.Missing as reason:
        pytest.skip(str(reason))


async def opened(
    kubeconfig: Path,
    namespace: str,
    *,
    namespaces: Sequence[str] = (),
    guard: Callable[[], None] = lambda: None,
    name: str = "syncd",
    pulse: Pulse | None = None,
    in_flight: int = 16,
    told: Told = lambda *_: None,
    restarted: Restarted = lambda *_: None,
) -> KubeStore:
    """A store whose own records live in `namespace`. told, restarted: hear of each request, and of watches."""
    clock = SystemClock()
    door = await open_door(Access(str(kubeconfig), in_flight=in_flight), clock, told)
    home = Home(namespace, name)
    return KubeStore(
        door,
        home,
        clock,
        SystemRandom(),
        namespaces=namespaces,
        guard=guard,
        pulse=pulse,
        restarted=restarted,
    )


async def empty(tmp_path: Path) -> KubeStore:
    """A store on the shared server, with none of Argo's objects in `SPACES` and records of its own."""
    api = server()
    for space in SPACES:
        try:
            api.call("POST", "/api/v1/namespaces", {"metadata": {"name": space}})
        except kubeapi.Failed as error:
            if error.status != 409:
                raise
    root = "/apis/argoproj.io/v1alpha1"
    for kind in _KINDS:
        for space in {item["metadata"]["namespace"] for item in api.call("GET", f"{root}/{kind}")["items"]}:
            api.call("DELETE", f"{root}/namespaces/{space}/{kind}")
    api.call("DELETE", f"{root}/clusterworkflowtemplates")
    return await opened(api.kubeconfig, api.namespace())
