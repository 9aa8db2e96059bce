"""Records of our own as ConfigMaps: read, list, and replace only what was read. Used by `ledger` and `inventory`.

Every write carries the version that it is based on: two replicas that both believe they lead cannot overwrite each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from syncd.argo import labels
from syncd.argo.manifest import Body, Key
from syncd.base.errors import AlreadyExists, Conflict, NotFound
from syncd.cluster.kube import kinds
from syncd.cluster.kube.door import MERGE, Door
from syncd.cluster.kube.objects import MANAGER, PAGE, Guard

LEDGER: Final = "ledger"
INVENTORY: Final = "inventory"
SORTS: Final = (LEDGER, INVENTORY)
"""What the records are; a map is called INSTALLATION-SORT-…"""
RECORD: Final = "syncd.io/record"  # label: ledger | inventory
INSTALLATION: Final = "syncd.io/installation"  # label: the name of the lease
MOST_BYTES: Final = 900_000
"""Of the data of one ConfigMap: Kubernetes takes 1 MiB, metadata included."""


class Maps:
    """The ConfigMaps of one installation, all of one sort."""

    def __init__(self, door: Door, namespace: str, installation: str, sort: str, guard: Guard) -> None:
        self._door = door
        self._namespace = namespace
        self._labels = {
            RECORD: sort,
            INSTALLATION: installation,
            "app.kubernetes.io/managed-by": "syncd",
        }
        self._guard = guard

    async def list(self) -> dict[str, Body]:
        """All of them, by name."""
        found: dict[str, Body] = {}
        selector = ",".join(f"{label}={self._labels[label]}" for label in (RECORD, INSTALLATION))
        query = {"labelSelector": selector, "limit": str(PAGE)}
        while True:
            reply = await self._door.call(
                "GET",
                kinds.collection(labels.CONFIG_MAP, self._namespace),
                query,
                what=f"list the {self._labels[RECORD]} in {self._namespace}",
                kind=labels.CONFIG_MAP,
                named=False,
                verb="list",
                urgent=True,
            )
            found |= {body["metadata"]["name"]: body for body in reply.value.get("items") or ()}
            further = (reply.value.get("metadata") or {}).get("continue")
            if not further:
                return found
            query = {**query, "continue": further}

    async def get(self, name: str) -> Body | None:
        """One of them; None = there is none."""
        key = Key(labels.CONFIG_MAP, self._namespace, name)
        try:
            reply = await self._door.call(
                "GET", kinds.path(key), what=f"get {key}", kind=labels.CONFIG_MAP, urgent=True
            )
        except NotFound:
            return None
        body: Body = reply.value
        return body

    async def save(self, name: str, changed: Mapping[str, object], version: str) -> str:
        """Merge `changed` (data and binaryData, a null removes a key) into the map of this version, "" = make it.

        Answers the new version. Raises Conflict where it is another, or there is one already.
        """
        key = Key(labels.CONFIG_MAP, self._namespace, name)
        try:
            if version:
                body = {"metadata": {"resourceVersion": version}, **changed}
                reply = await self._door.call(
                    "PATCH",
                    kinds.path(key),
                    {"fieldManager": MANAGER},
                    body,
                    MERGE,
                    what=f"save {key}",
                    kind=labels.CONFIG_MAP,
                    urgent=True,
                    before=self._guard,
                )
            else:
                metadata = {"name": name, "namespace": self._namespace, "labels": self._labels}
                reply = await self._door.call(
                    "POST",
                    kinds.collection(labels.CONFIG_MAP, self._namespace),
                    {"fieldManager": MANAGER},
                    {"apiVersion": "v1", "kind": labels.CONFIG_MAP, "metadata": metadata, **changed},
                    what=f"save {key}",
                    kind=labels.CONFIG_MAP,
                    named=False,
                    verb="create",
                    urgent=True,
                    before=self._guard,
                )
        except (AlreadyExists, NotFound) as error:
            raise Conflict(f"{key} was changed by another replica: {error}") from None
        return str(reply.value["metadata"]["resourceVersion"])

    async def delete(self, name: str) -> None:
        """Remove it. Unknown: nothing happens."""
        key = Key(labels.CONFIG_MAP, self._namespace, name)
        try:
            await self._door.call(
                "DELETE", kinds.path(key), what=f"delete {key}", kind=labels.CONFIG_MAP, before=self._guard
            )
        except NotFound:
            return
