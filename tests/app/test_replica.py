"""What keeps a replica from beginning is said in words, before anything is asked of a cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncd.app import replica
from syncd.base.errors import ConfigError, Unreachable
from syncd.config.model import Config, Kubernetes, Mode


def config(state: Path, kubeconfig: Path) -> Config:
    return Config(state=str(state), mode=Mode.KUBERNETES, kubernetes=Kubernetes(kubeconfig=str(kubeconfig)))


def test_a_state_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unreachable, match="cannot be used"):
        replica.serve(config(tmp_path / "file", tmp_path / "none"))


def test_a_kubeconfig_that_is_none(tmp_path: Path) -> None:
    broken = tmp_path / "kubeconfig"
    broken.write_text("token: hunter2: hunter3\n  x")
    for path, words in ((tmp_path / "none", "no kubeconfig at"), (broken, "cannot be read")):
        with pytest.raises(ConfigError, match=words) as told:
            replica.serve(config(tmp_path / "state", path))
        assert "hunter" not in str(told.value)
