"""The server that rendered manifests are tried on. helm and the server come from `make kube-tools`."""

from __future__ import annotations

import pytest

from tests.support import kubeapi, kubetools


@pytest.fixture(scope="session")
def api() -> kubeapi.ApiServer:
    """The API server of this process, with Argo's CRDs."""
    try:
        return kubeapi.shared()
    except kubetools.Missing as reason:
        pytest.skip(str(reason))
