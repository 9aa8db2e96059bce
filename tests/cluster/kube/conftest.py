"""Stores on the API server of this process, each with a namespace of its own; what they ask is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from syncd.cluster.kube.store import KubeStore
from tests.support import kubeapi, kubestore


@pytest.fixture(scope="session")
def api() -> kubeapi.ApiServer:
    return kubestore.server()


@pytest.fixture
def namespace(api: kubeapi.ApiServer) -> str:
    return api.namespace()


@pytest.fixture
def asked() -> Counter[str]:
    """How many requests the stores of this test have sent, by verb."""
    return Counter()


Opened = Callable[..., Awaitable[KubeStore]]


@pytest.fixture
async def opened(api: kubeapi.ApiServer, namespace: str, asked: Counter[str]) -> AsyncIterator[Opened]:
    """Opens a store; closed in the end. kubeconfig: None = the administrator's."""
    stores: list[KubeStore] = []

    async def again(kubeconfig: Path | None = None, **options: Any) -> KubeStore:
        def told(verb: str, plural: str, status: int, seconds: float) -> None:
            asked[verb] += 1

        stores.append(await kubestore.opened(kubeconfig or api.kubeconfig, namespace, told=told, **options))
        return stores[-1]

    yield again
    for store in stores:
        await store.close()


@pytest.fixture
async def store(opened: Opened) -> KubeStore:
    return await opened()
