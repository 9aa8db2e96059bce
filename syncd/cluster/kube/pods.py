"""The pods of a run, and what their containers print, as the API server tells it. Read only.

In: a door, a run. Out: `Pod` values, and lines with their time in front, as the kubelet stamps them (RFC 3339, nanoseconds).
`execute.podlogs` makes the log of a run of them; constructed by `app`.
Source: Kubernetes 1.34 staging/src/k8s.io/api/core/v1/types.go PodLogOptions; Argo v4.1.2 workflow/common/common.go.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from syncd.argo.manifest import Body, Key
from syncd.base.clock import parse_rfc3339, rfc3339
from syncd.cluster.kube import kinds
from syncd.cluster.kube.door import Door

OF_WORKFLOW: Final = "workflows.argoproj.io/workflow"  # label of a pod: the name of its run
NODE_ID: Final = "workflows.argoproj.io/node-id"  # annotation of a pod

_PAGE: Final = 500
_QUIET_SECONDS: Final = 60.0  # of a log that is only read
_FOLLOWED_SECONDS: Final = 4 * 3600.0  # a step may say nothing for hours; the kubelet hangs up after four of them


@dataclass(frozen=True, slots=True)
class Pod:
    """containers: name → since when it runs, None = it has not begun; ended: the pod prints no more."""

    name: str
    node_id: str
    containers: Mapping[str, datetime | None]
    ended: bool


class KubePods:
    """Implements `execute.podlogs.Pods`."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def of_run(self, run: Key, uid: str) -> list[Pod]:
        """The pods of a run that are there now, by name. uid: of the run: another one of the same name is another run."""
        found: list[Pod] = []
        token = ""
        while True:
            query = {"labelSelector": f"{OF_WORKFLOW}={run.name}", "limit": str(_PAGE)}
            if token:
                query["continue"] = token
            reply = await self._door.call(
                "GET",
                kinds.collection(kinds.POD, run.namespace),
                query,
                what=f"list pods in {run.namespace}",
                kind=kinds.POD,
                named=False,
                verb="list",
            )
            found += [pod_of(body) for body in reply.value.get("items") or () if _belongs(body, uid)]
            token = str((reply.value.get("metadata") or {}).get("continue") or "")
            if not token:
                return found

    async def lines(
        self,
        namespace: str,
        pod: str,
        container: str,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: datetime | None = None,
        most_bytes: int | None = None,
    ) -> AsyncGenerator[str, None]:
        """What a container prints, oldest first, each line with its time in front.

        follow: until the container ends; since: to the second; most_bytes: then it is cut. Raises NotFound for a pod that is
        gone, Invalid for a container that has not begun or is not there, Refused, Unreachable where the kubelet does not answer.
        """
        asked: dict[str, Any] = {
            "container": container,
            "timestamps": "true",
            "follow": "true" if follow else None,
            "tailLines": tail,
            "sinceTime": rfc3339(since) if since is not None else None,
            "limitBytes": most_bytes,
        }
        query = {name: str(value) for name, value in asked.items() if value is not None}
        path = f"{kinds.path(Key(kinds.POD, namespace, pod))}/log"
        silence = _FOLLOWED_SECONDS if follow else _QUIET_SECONDS
        what = f"read the log of pod {namespace}/{pod}"
        async with self._door.stream(path, query, what=what, kind=kinds.POD, silence_seconds=silence) as lines:
            async for line in lines:
                yield line.decode(errors="replace")


def pod_of(body: Body) -> Pod:
    """What matters here of a pod's object. Never raises."""
    metadata, spec, status = (_mapping(body.get(name)) for name in ("metadata", "spec", "status"))
    names = [str(each.get("name")) for field in ("initContainers", "containers") for each in _mappings(spec.get(field))]
    began: dict[str, datetime | None] = dict.fromkeys(names)
    for field in ("initContainerStatuses", "containerStatuses"):
        for each in _mappings(status.get(field)):
            if each.get("name") in began:
                began[str(each["name"])] = _began(_mapping(each.get("state")))
    node = str(_mapping(metadata.get("annotations")).get(NODE_ID) or "")
    ended = status.get("phase") in ("Succeeded", "Failed")
    return Pod(str(metadata.get("name") or ""), node, began, ended)


def _began(state: Mapping[str, Any]) -> datetime | None:
    for phase in ("running", "terminated"):
        text = _mapping(state.get(phase)).get("startedAt")
        try:
            if isinstance(text, str):
                return parse_rfc3339(text)
        except ValueError:
            continue
    return None


def _belongs(body: Body, uid: str) -> bool:
    owners = _mappings(_mapping(body.get("metadata")).get("ownerReferences"))
    return not owners or any(owner.get("uid") == uid for owner in owners)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
