"""The Lease of an installation as an object of coordination.k8s.io: implements `cluster.api.Lease`. Who may take it: `loops.lead`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from syncd.argo.manifest import Body, Key
from syncd.base.clock import parse_rfc3339, rfc3339_micro
from syncd.base.errors import AlreadyExists, Conflict, NotFound
from syncd.cluster.api import Hold
from syncd.cluster.kube import kinds
from syncd.cluster.kube.door import Door
from syncd.cluster.kube.objects import MANAGER

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class KubeLease:
    """timeout_seconds: of one request: well below the deadline for renewing."""

    def __init__(self, door: Door, namespace: str, name: str, timeout_seconds: float) -> None:
        self._door = door
        self._key = Key(kinds.LEASE, namespace, name)
        self._timeout_seconds = timeout_seconds

    async def read(self) -> Hold | None:
        try:
            reply = await self._door.call(
                "GET",
                kinds.path(self._key),
                what=f"get {self._key}",
                kind=kinds.LEASE,
                urgent=True,
                timeout_seconds=self._timeout_seconds,
            )
        except NotFound:
            return None
        return hold_of(reply.value)

    async def write(self, hold: Hold) -> Hold:
        metadata: Body = {"name": self._key.name, "namespace": self._key.namespace}
        if hold.version:
            metadata["resourceVersion"] = hold.version
        body = {
            "apiVersion": kinds.resource_of(kinds.LEASE).api_version,
            "kind": kinds.LEASE,
            "metadata": metadata,
            "spec": {
                "holderIdentity": hold.holder,
                "leaseDurationSeconds": max(1, round(hold.duration.total_seconds())),
                "acquireTime": rfc3339_micro(hold.acquired_at),
                "renewTime": rfc3339_micro(hold.renewed_at),
                "leaseTransitions": hold.transitions,
            },
        }
        path = kinds.path(self._key) if hold.version else kinds.collection(kinds.LEASE, self._key.namespace)
        try:
            reply = await self._door.call(
                "PUT" if hold.version else "POST",
                path,
                {"fieldManager": MANAGER},
                body,
                what=f"write {self._key}",
                kind=kinds.LEASE,
                named=bool(hold.version),
                verb="update" if hold.version else "create",
                urgent=True,
                timeout_seconds=self._timeout_seconds,
            )
        except (AlreadyExists, NotFound) as error:
            raise Conflict(f"{self._key}: another replica was faster: {error}") from None
        return hold_of(reply.value)

    async def changes(self) -> AsyncIterator[Hold]:
        query = {
            "watch": "true",
            "fieldSelector": f"metadata.name={self._key.name}",
            "timeoutSeconds": "240",
            "allowWatchBookmarks": "true",
        }
        path = kinds.collection(kinds.LEASE, self._key.namespace)
        while True:
            async with self._door.stream(
                path, query, what=f"watch {self._key}", kind=kinds.LEASE, silence_seconds=80.0
            ) as lines:
                async for line in lines:
                    event: Any = orjson.loads(line)
                    if event.get("type") in ("ADDED", "MODIFIED"):
                        yield hold_of(event["object"])
            await asyncio.sleep(0)


def hold_of(body: Body) -> Hold:
    """The value of a Lease. Never raises: what a stranger wrote into it counts as absent."""
    spec = body.get("spec") if isinstance(body.get("spec"), dict) else {}
    assert isinstance(spec, dict)
    seconds = spec.get("leaseDurationSeconds")
    transitions = spec.get("leaseTransitions")
    return Hold(
        str(spec.get("holderIdentity") or ""),
        timedelta(seconds=seconds if isinstance(seconds, int) and 0 < seconds < 86_400 else 15),
        _moment(spec.get("acquireTime")),
        _moment(spec.get("renewTime")),
        transitions if isinstance(transitions, int) else 0,
        str((body.get("metadata") or {}).get("resourceVersion") or ""),
    )


def _moment(text: Any) -> datetime:
    try:
        return parse_rfc3339(text) if isinstance(text, str) else _EPOCH
    except ValueError:
        return _EPOCH
