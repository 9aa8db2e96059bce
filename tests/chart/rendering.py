"""The chart, rendered by helm as an installation would be. Used by the tests of this folder; needs `make kube-tools`."""

from __future__ import annotations

import os
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.support import kubetools

HERE = Path(__file__).resolve().parent
CHART = HERE.parents[1] / "charts" / "syncd"
RELEASE, NAMESPACE = "platform", "syncd-system"
GOOD = ("minimal", "namespaced", "everything")

Object = dict[str, Any]


class Refused(Exception):
    """helm said no. The text is what it said."""


def helm(*arguments: str) -> str:
    """What helm says on stdout. Raises Refused with what it says on stderr."""
    with tempfile.TemporaryDirectory() as home:  # helm keeps caches, and must not find the configuration of a person
        env = {"PATH": os.environ["PATH"], "HOME": home}
        done = subprocess.run(
            [kubetools.program("helm"), *arguments], capture_output=True, text=True, env=env, timeout=120, check=False
        )
    if done.returncode:
        raise Refused(done.stdout + done.stderr)
    return done.stdout


@cache
def text(values: str = "minimal", *options: str, release: str = RELEASE, namespace: str = NAMESPACE) -> str:
    """All manifests as helm writes them. values: a file of values/."""
    chosen = ("--values", str(HERE / "values" / f"{values}.yaml"))
    version = ("--kube-version", kubetools.kubernetes_version())
    return helm("template", release, str(CHART), "--namespace", namespace, *version, *chosen, *options)


def objects(values: str = "minimal", *options: str, release: str = RELEASE, namespace: str = NAMESPACE) -> list[Object]:
    """All manifests, read."""
    written = text(values, *options, release=release, namespace=namespace)
    return [found for found in yaml.safe_load_all(written) if found]


def only(kind: str, values: str = "minimal", *options: str) -> Object:
    """The one manifest of a kind."""
    (found,) = of_kind(kind, values, *options)
    return found


def of_kind(kind: str, values: str = "minimal", *options: str) -> list[Object]:
    """All manifests of a kind, in the order of their namespaces and names."""
    found = [one for one in objects(values, *options) if one["kind"] == kind]
    return sorted(found, key=lambda one: (one["metadata"].get("namespace", ""), one["metadata"]["name"]))
