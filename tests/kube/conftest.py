"""One real API server for the whole session, one namespace for each test. See tests/support/kubeapi.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import kubeapi

_HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder is `kube`: `make test` leaves it out. What waits for full minutes begins first, beside all else."""
    items.sort(key=lambda item: "test_migration" not in item.nodeid)
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.kube)


@pytest.fixture(scope="session")
def api() -> kubeapi.ApiServer:
    """The server of this process. A test that kills or pauses it leaves it ready again. Skips where it is not built."""
    return kubeapi.shared()


@pytest.fixture
def namespace(api: kubeapi.ApiServer) -> str:
    """A namespace that is this test's alone."""
    return api.namespace()
