"""The S3 server that the tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import seaweed


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[seaweed.Server]:
    """SeaweedFS with an empty bucket."""
    with seaweed.running(tmp_path_factory.mktemp("s3")) as found:
        yield found
