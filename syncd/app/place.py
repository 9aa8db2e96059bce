"""Where in a cluster an installation of syncd is: by its Lease, for commands that are told only which cluster.

In: a Config, a door. Out: a `Place`. Called by `beside`, and by the command line for the namespace of a context.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from syncd.base.errors import ConfigError, Refused, SyncdError, Unsupported
from syncd.cluster.kube import kinds
from syncd.cluster.kube.access import Access, home_namespace
from syncd.cluster.kube.door import Door
from syncd.cluster.kube.lease import KubeLease
from syncd.config.model import Config

USUAL: Final = "syncd"
"""The namespace of docs/kubernetes.md: looked into where Leases cannot be listed."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the installation is. found: False = `namespace` is only the context's; why: what was tried, for people."""

    namespace: str
    found: bool
    why: str = ""


def access_of(config: Config) -> Access:
    """Which cluster, and as whom."""
    chosen = config.kubernetes
    return Access(chosen.kubeconfig, chosen.context, chosen.requests_in_flight, chosen.requests_per_second)


def context_namespace(access: Access) -> str:
    """The namespace of the pod or of the context, else `default`. Raises ConfigError, whatever is wrong with the kubeconfig."""
    try:
        return home_namespace(access)
    except SyncdError:
        raise
    except Exception as error:  # noqa: BLE001 - the client's reader lets errors of its YAML parser through
        said = " ".join(str(error).split())[:200]
        raise ConfigError(f"the kubeconfig cannot be read: {said}; `kubectl config view` has to work with it") from None


async def find(door: Door, name: str, here: str, given: str) -> Place:
    """Where the Lease `name` is: in the namespace that is given, in the context's, or the only one in the cluster.

    Raises ConfigError where several have one, Unreachable.
    """
    if given:
        return Place(given, True)
    tried = [f"namespace {here}"]
    try:
        if await KubeLease(door, here, name, 5.0).read() is not None:
            return Place(here, True)
    except Refused:
        tried = [f"namespace {here} (you may not read Leases there)"]
    try:
        spaces = await _spaces(door, kinds.LEASE, {"fieldSelector": f"metadata.name={name}"})
        tried.append("all Leases of the cluster")
    except Refused:
        tried.append("the cluster (you may not list its Leases)")
        spaces = await _guessed(door, name, tried)
    if len(spaces) > 1:
        raise ConfigError(
            f"the cluster has {len(spaces)} installations called {name}, in {', '.join(spaces)}; say which one with "
            "--system-namespace NAME"
        )
    if spaces:
        return Place(spaces[0], True)
    why = (
        f"no Lease {name!r} was found in {', nor in '.join(tried)}; where syncd is installed, say so with "
        "--system-namespace NAME, or --installation NAME where its lease is called otherwise"
    )
    return Place(here, False, why)


async def _guessed(door: Door, name: str, tried: list[str]) -> list[str]:
    """The namespaces that show Sources, or the usual one, for who may not list Leases."""
    with contextlib.suppress(Refused, Unsupported):
        if spaces := await _spaces(door, kinds.SOURCE, {"limit": "500"}):
            return spaces
    with contextlib.suppress(Refused):
        tried.append(f"namespace {USUAL}")
        if await KubeLease(door, USUAL, name, 5.0).read() is not None:
            return [USUAL]
    return []


async def _spaces(door: Door, kind: str, query: Mapping[str, str]) -> list[str]:
    what = f"list {kind}s of the cluster"
    reply = await door.call("GET", kinds.collection(kind, None), query, what=what, kind=kind, named=False, verb="list")
    return sorted({str(body["metadata"]["namespace"]) for body in reply.value.get("items") or ()})
