"""Objects through the API: get, list in pages, and what each Write is as requests.

In: `Write` values. Out: `Written`. Used by `store`. How the verbs become requests:

    CREATE    POST: the name is the lock
    DECLARE   server-side apply that asks for `NO_VERSION`: a version that no object has, and that is not looked at where there
              is none. So it creates or does nothing, whoever was faster, and may be sent again when its answer was lost
    APPLY     server-side apply with force (what may be taken over was decided by `plan`), uid and version as preconditions;
              then what others added beside it is removed (`surplus`)
    PATCH     merge patch, uid and version inside it
    DELETE    with uid and version as preconditions; in the background, so finalizers hold only what they guard

Writes of one call run beside each other; those of one key one after the other, in order.
Source: Kubernetes 1.34 staging/src/k8s.io/apiserver/pkg/endpoints/handlers/patch.go.
"""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import orjson

from syncd.argo import labels, manifest
from syncd.argo.manifest import Body, Key
from syncd.argo.selectors import Selector
from syncd.base.errors import AlreadyExists, Conflict, Defect, Expired, Invalid, NotFound, SyncdError
from syncd.cluster import verbs
from syncd.cluster.api import Page, Verb, Write, Written
from syncd.cluster.kube import kinds, surplus
from syncd.cluster.kube.door import APPLY, JSON, MERGE, Door
from syncd.plan.normalise import BY_HAND_FIELDS

MANAGER: Final = "syncd"
"""The field manager of everything that this room writes."""

PAGE: Final = 500
NO_VERSION: Final = "1"
"""etcd's version before anything was written. An apply with another version than the object's is a 409; one that creates is not
asked for it (Kubernetes 1.34 staging/src/k8s.io/apiserver/pkg/registry/generic/registry/store.go Update)."""

_LARGE_BYTES: Final = 1 << 18  # what is sent may be kept at three times its size, with the list of its fields
_KEPT_BYTES: Final = 1_560_000
"""Of an object, its list of fields included: etcd takes 1.5 MiB (--max-request-bytes). A dry run does not ask etcd."""
_TOGETHER: Final = 128  # writes of one call that are tasks at once; `pace` lets fewer through

Guard = Callable[[], None]
"""Raises Unreachable where this process may not write now."""


class KubeObjects:
    """Implements `cluster.api.Objects` but for the watch. user: to impersonate; urgent: goes before what is not;
    namespaces: what "all of them" means, () = really all; guard: asked before each write leaves."""

    def __init__(
        self,
        door: Door,
        *,
        namespaces: Sequence[str] = (),
        user: str = "",
        urgent: bool = False,
        guard: Guard = lambda: None,
    ) -> None:
        self._door = door
        self._namespaces = sorted(namespaces)
        self._user = user
        self._urgent = urgent
        self._guard = guard

    async def get(self, key: Key) -> Body:
        """The live object, managedFields and all. Raises NotFound."""
        verbs.check_key(key)
        reply = await self._door.call(
            "GET", kinds.path(key), what=f"get {key}", kind=key.kind, user=self._user, urgent=self._urgent
        )
        return as_kind(reply.value, key.kind)

    async def list(
        self,
        kind: str,
        namespace: str | None = None,
        *,
        selector: Selector | None = None,
        limit: int | None = None,
        after: str = "",
    ) -> Page:
        """As `Objects.list`. A place in several namespaces is written `NUMBER:TOKEN`."""
        if namespace:
            verbs.check_key(Key(labels.CONFIG_MAP, namespace, "x"))
        spaces: builtins.list[str] = [namespace] if namespace else self._namespaces or [""]
        if not kinds.resource_of(kind).namespaced:
            spaces = [""]
        number, _, token = after.partition(":") if after else ("0", "", "")
        if not (number.isascii() and number.isdigit() and len(number) < 6) or int(number) >= len(spaces):
            raise Expired(f"page token {after[:40]!r} is not one of this store; list again")
        items: builtins.list[Body] = []
        version = ""
        place = int(number)
        while place < len(spaces):
            room = PAGE if limit is None else max(limit, 1) - len(items)
            found, token, seen = await self._page(kind, spaces[place], selector, min(room, PAGE), token)
            version = version or seen
            items += found
            if not token:
                place += 1
            if limit is not None and len(items) >= max(limit, 1):
                break
        further = f"{place}:{token}" if place < len(spaces) else ""
        return Page(items, further, version)

    async def _page(
        self, kind: str, namespace: str, selector: Selector | None, limit: int, token: str
    ) -> tuple[builtins.list[Body], str, str]:
        query = {"limit": str(limit)}
        if token:
            query["continue"] = token
        if selector is not None and (text := str(selector)):
            query["labelSelector"] = text
        what = f"list {kind}{f' in {namespace}' if namespace else ''}"
        try:
            reply = await self._door.call(
                "GET",
                kinds.collection(kind, namespace),
                query,
                what=what,
                kind=kind,
                named=False,
                verb="list",
                user=self._user,
                urgent=self._urgent,
            )
        except Invalid:
            if token:
                raise Expired(f"page token {token[:40]!r} is not one of this store; list again") from None
            raise
        metadata = reply.value.get("metadata") or {}
        items = [lighter(as_kind(body, kind), kind) for body in reply.value.get("items") or ()]
        return items, str(metadata.get("continue") or ""), str(metadata.get("resourceVersion") or "")

    async def write(self, writes: Sequence[Write], *, atomic: bool = False) -> Sequence[Written]:
        """As `Objects.write`. atomic cannot be had here: each write stands for itself."""
        return await self._all(writes, dry=False)

    async def rehearse(self, writes: Sequence[Write]) -> Sequence[Written]:
        """As `Objects.rehearse`, by the server's dry run."""
        return await self._all(writes, dry=True)

    async def _all(self, writes: Sequence[Write], *, dry: bool) -> Sequence[Written]:
        self._door.check_open()
        answers_: builtins.list[Written | None] = [None] * len(writes)
        of_key: dict[Any, builtins.list[int]] = {}
        for position, write in enumerate(writes):
            generated = write.verb is Verb.CREATE and bool(
                ((write.body or {}).get("metadata") or {}).get("generateName")
            )
            of_key.setdefault((write.key, position) if generated else write.key, []).append(position)
        lanes = iter(of_key.values())

        async def lane() -> None:
            for positions in lanes:
                for position in positions:
                    answers_[position] = await self._written(writes[position], dry)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(_TOGETHER, len(of_key))):
                group.create_task(lane())
        return [written for written in answers_ if written is not None]

    async def _written(self, write: Write, dry: bool) -> Written:
        try:
            return await self._one(write, dry)
        except SyncdError as error:
            return Written(write.key, error=error)

    async def _one(self, write: Write, dry: bool) -> Written:
        match write.verb:
            case Verb.CREATE:
                return await self._create(write, dry)
            case Verb.DECLARE:
                return await self._declare(write, dry)
            case Verb.APPLY:
                return await self._apply(write, dry)
            case Verb.PATCH:
                return await self._patch(write, dry)
            case Verb.DELETE:
                return await self._delete(write, dry)
        raise Defect(f"{write.verb} is no verb")

    async def _create(self, write: Write, dry: bool) -> Written:
        key = write.key
        body = verbs.sent(key, write.body)
        metadata = body["metadata"]
        if metadata.get("generateName") and key.name in ("", metadata["generateName"]):
            metadata.pop("name", None)
            verbs.check_key(Key(key.kind, key.namespace, "x"))
        else:
            verbs.check_key(key)
        path = kinds.collection(key.kind, key.namespace)
        live = await self._send("POST", path, f"create {key}", key, {"fieldManager": MANAGER}, body, JSON, dry)
        return Written(manifest.key_of(live.value, key.namespace), lighter(as_kind(live.value, key.kind), key.kind))

    async def _declare(self, write: Write, dry: bool) -> Written:
        key = write.key
        verbs.check_key(key)
        body = declared(key, write.body)
        body["metadata"]["resourceVersion"] = NO_VERSION
        try:
            return Written(key, await self._applied(key, body, force=False, dry=dry, what="create"))
        except Conflict:
            raise AlreadyExists(f"{key} already exists") from None

    async def _apply(self, write: Write, dry: bool) -> Written:
        key = write.key
        verbs.check_key(key)
        body = declared(key, write.body)
        if write.uid is not None:
            body["metadata"]["uid"] = write.uid
        if write.expect is not None:
            body["metadata"]["resourceVersion"] = write.expect
        spec = body.get("spec")
        if (
            key.kind in BY_HAND_FIELDS
            and isinstance(spec, dict)
            and (held := await self._held_by_hand(key)) is not None
        ):
            body["spec"] = {name: value for name, value in spec.items() if name != "suspend"} | held
        try:
            live = await self._applied(key, body, force=True, dry=dry, what="apply")
        except NotFound:
            if (write.uid, write.expect) == (None, None):
                raise
            raise Conflict(f"{key} was deleted; read again") from None
        if dry or (extra := surplus.patch(key.kind, body, live)) is None:
            return Written(key, live)
        extra["metadata"] = {"uid": live["metadata"]["uid"]}
        return await self._patch(Write(Verb.PATCH, key, extra), dry)

    async def _held_by_hand(self, key: Key) -> Body | None:
        """spec.suspend of a cron that a person holds by hand; None = nobody does. Crons are updated seldom: one more read."""
        try:
            live = await self.get(key)
        except NotFound:
            return None
        if labels.BY_HAND not in ((live.get("metadata") or {}).get("annotations") or {}):
            return None
        suspend = (live.get("spec") or {}).get("suspend")
        return {} if suspend is None else {"suspend": suspend}

    async def _applied(self, key: Key, body: Body, *, force: bool, dry: bool, what: str) -> Body:
        query = {"fieldManager": MANAGER, "force": "true" if force else "false"}
        reply = await self._send("PATCH", kinds.path(key), f"{what} {key}", key, query, body, APPLY, dry, verb="apply")
        if dry:
            _check_size(f"{what} {key}", body, reply.value)
        return lighter(as_kind(reply.value, key.kind), key.kind)

    async def _patch(self, write: Write, dry: bool) -> Written:
        key = write.key
        verbs.check_key(key)
        body = patched(key, write.body)
        conditions = {"uid": write.uid, "resourceVersion": write.expect}
        if wanted := {field: value for field, value in conditions.items() if value is not None}:
            body = {**body, "metadata": {**(body.get("metadata") or {}), **wanted}}
        reply = await self._send(
            "PATCH", kinds.path(key), f"patch {key}", key, {"fieldManager": MANAGER}, body, MERGE, dry
        )
        return Written(key, lighter(as_kind(reply.value, key.kind), key.kind))

    async def _delete(self, write: Write, dry: bool) -> Written:
        key = write.key
        verbs.check_key(key)
        conditions = {"uid": write.uid, "resourceVersion": write.expect}
        body: Body = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if preconditions := {field: value for field, value in conditions.items() if value is not None}:
            body["preconditions"] = preconditions
        if dry:
            body["dryRun"] = ["All"]
        reply = await self._send("DELETE", kinds.path(key), f"delete {key}", key, {}, body, JSON, False)
        gone = reply.value if isinstance(reply.value, dict) and reply.value.get("kind") == key.kind else None
        return Written(key, None if gone is None else lighter(gone, key.kind))

    async def _send(
        self,
        method: str,
        path: str,
        what: str,
        key: Key,
        query: Mapping[str, str],
        body: Body,
        content_type: str,
        dry: bool,
        verb: str = "",
    ) -> Any:
        try:
            return await self._door.call(
                method,
                path,
                {**query, **({"dryRun": "All"} if dry else {})},
                body,
                content_type,
                what=what,
                kind=key.kind,
                named=method != "POST",
                verb=("dry-" if dry else "") + (verb or {"POST": "create"}.get(method, method)),
                user=self._user,
                urgent=self._urgent,
                before=self._guard,
            )
        except Invalid as error:
            if method == "PATCH" and "metadata.uid" in str(error):
                raise Conflict(f"{key} is another object than it was; read again") from None
            raise


def _check_size(what: str, sent: Body, live: Any) -> None:
    """Raises Invalid for an object that passes a dry run and would then be too large to keep. live: as the server would store it."""
    if len(orjson.dumps(sent)) > _LARGE_BYTES and (size := len(orjson.dumps(live))) > _KEPT_BYTES:
        raise Invalid(
            f"{what}: the object is larger than the API server keeps (some 1.5 MiB): {size} bytes with its list of fields; "
            "make it smaller, or split it"
        )


def declared(key: Key, body: Body | None) -> Body:
    """What an apply sends: no status, nothing that only a server sets. Raises Invalid."""
    given = verbs.sent(key, body)
    given.pop("status", None)
    metadata = given["metadata"]
    for field in ("managedFields", "generateName", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"):
        metadata.pop(field, None)
    return given


def patched(key: Key, body: Body | None) -> Body:
    """The merge patch as it goes out: it may not make another object of this one. Raises Invalid."""
    given = verbs.checked(key, body)
    asked = given.get("metadata")
    own = dict(asked) if isinstance(asked, dict) else {}
    same = {"uid": own.get("uid"), "resourceVersion": own.get("resourceVersion")}
    identity = {"name": key.name, "namespace": key.namespace, **same}
    verbs.patched(key, {"apiVersion": "", "kind": key.kind, "metadata": identity}, given)
    rest = {name: value for name, value in given.items() if name not in ("apiVersion", "kind", "metadata")}
    kept = {name: value for name, value in own.items() if name not in _FIXED}
    kept |= {name: value for name, value in same.items() if value is not None}
    return {**rest, **({"metadata": kept} if kept else {})}


_FIXED: Final = frozenset(
    {"name", "namespace", "uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"}
)
"""Metadata that no patch changes; uid and resourceVersion come back as preconditions."""


def as_kind(body: Any, kind: str) -> Body:
    """Items of a list come without kind and apiVersion where the kind is built in."""
    if not isinstance(body, dict):
        raise Defect(f"the API server answered a {kind} that is no object")
    if "kind" not in body:
        body["kind"] = kind
        body["apiVersion"] = kinds.resource_of(kind).api_version
    return body


def lighter(body: Body, kind: str) -> Body:
    """A Workflow without its nodes: lists, watches and answers to writes carry none. Other kinds as they are."""
    if kind == labels.WORKFLOW:
        status = body.get("status")
        if isinstance(status, dict):
            for field in ("nodes", "compressedNodes", "storedTemplates"):
                status.pop(field, None)
    return body
