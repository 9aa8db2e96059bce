"""What people see with the cluster's own tools: a Source object per source, and Events on objects. Implements `cluster.api.Board`.

Source objects are written by server-side apply to their status; where the CRD is not installed that is said once, and tried again.
Events are made once each, and counted up for a while when the same is told again. Used by `store`.
"""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final

import orjson

from syncd.argo import labels
from syncd.argo.manifest import Body, Key
from syncd.base.clock import Clock, rfc3339, rfc3339_micro
from syncd.base.errors import NotFound, SyncdError, Unsupported
from syncd.cluster.api import Notice
from syncd.cluster.kube import kinds
from syncd.cluster.kube.door import APPLY, MERGE, Door
from syncd.cluster.kube.maps import INSTALLATION
from syncd.cluster.kube.objects import MANAGER, PAGE, Guard

log = logging.getLogger(__name__)

_REMEMBERED: Final = 2000  # events that are counted up rather than made anew
_MESSAGE: Final = 1000


class KubeBoard:
    """namespace, installation: whose sources these are; identity: of this replica, for the events."""

    def __init__(
        self, door: Door, namespace: str, installation: str, identity: str, clock: Clock, guard: Guard
    ) -> None:
        self._door = door
        self._namespace = namespace
        self._installation = installation
        self._identity = identity
        self._clock = clock
        self._guard = guard
        self._told: OrderedDict[str, int] = OrderedDict()  # name of an event → how often
        self._made: set[str] = set()  # sources whose object was applied by this process
        self._without_crd = False

    async def show(self, source: str, about: Body, status: Body) -> None:
        key = Key(kinds.SOURCE, self._namespace, source)
        head: Body = {
            "apiVersion": kinds.SOURCE_API,
            "kind": kinds.SOURCE,
            "metadata": {"name": source, "namespace": self._namespace},
        }
        try:
            if source not in self._made:
                marks = {"labels": {"app.kubernetes.io/managed-by": "syncd", INSTALLATION: self._installation}}
                whole = {**head, "metadata": {**head["metadata"], **marks}, "spec": about}
                await self._applied(key, kinds.path(key), whole)
                self._made.add(source)
            await self._applied(key, f"{kinds.path(key)}/status", {**head, "status": status})
        except NotFound:
            self._made.discard(source)  # somebody deleted it: made again next time
            raise
        except Unsupported as error:
            if not self._without_crd:
                log.warning("the state of sources is not shown in the cluster: %s", error)
            self._without_crd = True
            self._made.clear()
            raise
        if self._without_crd:
            log.info("the state of sources is shown in the cluster now")
        self._without_crd = False

    async def remove(self, source: str) -> None:
        key = Key(kinds.SOURCE, self._namespace, source)
        self._made.discard(source)
        try:
            await self._door.call(
                "DELETE", kinds.path(key), what=f"delete {key}", kind=kinds.SOURCE, before=self._guard
            )
        except (NotFound, Unsupported):
            return

    async def shown(self) -> Mapping[str, Body]:
        reply = await self._door.call(
            "GET",
            kinds.collection(kinds.SOURCE, self._namespace),
            {"limit": str(PAGE)},
            what=f"list sources in {self._namespace}",
            kind=kinds.SOURCE,
            named=False,
            verb="list",
        )
        found = (body for body in reply.value.get("items") or () if self._is_ours(body))
        return {body["metadata"]["name"]: body for body in found}

    def _is_ours(self, body: Body) -> bool:
        """Another installation of the same namespace shows its own. One without a label was made by hand, or by a restore."""
        marks = (body.get("metadata") or {}).get("labels") or {}
        return bool(marks.get(INSTALLATION, self._installation) == self._installation)

    async def ask(self, source: str, annotations: Mapping[str, str]) -> None:
        key = Key(kinds.SOURCE, self._namespace, source)
        await self._door.call(
            "PATCH",
            kinds.path(key),
            {
                "fieldManager": f"{MANAGER}-ask"
            },  # of its own, so that showing the source does not take the question away
            {"metadata": {"annotations": dict(annotations)}},
            MERGE,
            what=f"patch {key}",
            kind=kinds.SOURCE,
        )

    async def asked(self) -> AsyncIterator[tuple[str, Body]]:
        query = {"watch": "true", "timeoutSeconds": "240", "allowWatchBookmarks": "true"}
        path = kinds.collection(kinds.SOURCE, self._namespace)
        while True:
            what = f"watch sources in {self._namespace}"
            async with self._door.stream(path, query, what=what, kind=kinds.SOURCE, silence_seconds=80.0) as lines:
                async for line in lines:
                    event = orjson.loads(line)
                    if event.get("type") in ("ADDED", "MODIFIED") and self._is_ours(event["object"]):
                        yield str(event["object"]["metadata"]["name"]), event["object"]

    async def tell(self, notices: Sequence[Notice]) -> None:
        for notice in notices:
            try:
                await self._event(notice)
            except SyncdError as error:
                log.debug("an event is not shown: %s", error)

    async def _event(self, notice: Notice) -> None:
        """One core/v1 Event, as `kubectl describe` shows it. Its name is made of what it says: the same is one event."""
        namespace = notice.about.namespace or "default"
        said = f"{notice.about}\0{notice.uid}\0{notice.kind}\0{notice.reason}\0{notice.message}"
        name = f"{notice.about.name[:200]}.{hashlib.sha256(said.encode()).hexdigest()[:16]}"
        now = self._clock.now()
        key = Key(kinds.EVENT, namespace, name)
        count = self._told.get(name, 0)
        if count:
            patch = {"count": count + 1, "lastTimestamp": rfc3339(now)}
            try:
                await self._door.call(
                    "PATCH",
                    kinds.path(key),
                    {"fieldManager": MANAGER},
                    patch,
                    MERGE,
                    what=f"patch {key}",
                    kind=kinds.EVENT,
                    before=self._guard,
                )
                self._note(name, count + 1)
                return
            except NotFound:
                pass  # events go after an hour
        resource = kinds.RESOURCES.get(notice.about.kind)
        involved: Body = {
            "apiVersion": resource.api_version if resource else labels.API_VERSION_OF.get(notice.about.kind, "v1"),
            "kind": notice.about.kind,
            "name": notice.about.name,
            **({"namespace": notice.about.namespace} if notice.about.namespace else {}),
            **({"uid": notice.uid} if notice.uid else {}),
        }
        body = {
            "apiVersion": "v1",
            "kind": kinds.EVENT,
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": involved,
            "type": notice.kind,
            "reason": notice.reason,
            "message": notice.message[:_MESSAGE],
            "source": {"component": "syncd"},
            "reportingComponent": "syncd.io/syncd",
            "reportingInstance": self._identity,
            "action": notice.reason,
            "firstTimestamp": rfc3339(now),
            "lastTimestamp": rfc3339(now),
            "eventTime": rfc3339_micro(now),
            "count": 1,
        }
        # apply, not create: after a restart the event of before is still there
        await self._applied(key, kinds.path(key), body)
        self._note(name, 1)

    async def _applied(self, key: Key, path: str, body: Body) -> None:
        await self._door.call(
            "PATCH",
            path,
            {"fieldManager": MANAGER, "force": "true"},
            body,
            APPLY,
            what=f"apply {key}",
            kind=key.kind,
            verb="apply",
            before=self._guard,
        )

    def _note(self, name: str, count: int) -> None:
        self._told[name] = count
        self._told.move_to_end(name)
        while len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
