"""Where the kinds live in the API: one literal table, and the paths that follow from it. Pure; used by every file of this room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from syncd.argo import labels
from syncd.argo.manifest import Key
from syncd.base.errors import Unsupported

LEASE: Final = "Lease"
EVENT: Final = "Event"
SOURCE: Final = "Source"
POD: Final = "Pod"
SOURCE_API: Final = "syncd.io/v1alpha1"


@dataclass(frozen=True, slots=True)
class Resource:
    """How the API calls a kind. namespaced: False = one for the whole cluster; mend: what to do where it is not served."""

    api_version: str
    plural: str
    namespaced: bool = True
    mend: str = ""

    @property
    def root(self) -> str:
        """`/api/v1` or `/apis/GROUP/VERSION`."""
        return f"/api/{self.api_version}" if "/" not in self.api_version else f"/apis/{self.api_version}"


_ARGO: Final = "install Argo Workflows' CRDs (its install.yaml, or its chart), v3.7 or newer"
_OURS: Final = "install the CRDs of syncd's chart (charts/syncd/crds)"

RESOURCES: Final[dict[str, Resource]] = {
    labels.WORKFLOW: Resource(labels.ARGO_API, "workflows", mend=_ARGO),
    labels.WORKFLOW_TEMPLATE: Resource(labels.ARGO_API, "workflowtemplates", mend=_ARGO),
    labels.CLUSTER_WORKFLOW_TEMPLATE: Resource(labels.ARGO_API, "clusterworkflowtemplates", False, _ARGO),
    labels.CRON_WORKFLOW: Resource(labels.ARGO_API, "cronworkflows", mend=_ARGO),
    labels.CONFIG_MAP: Resource("v1", "configmaps"),
    labels.SECRET: Resource("v1", "secrets"),
    labels.JOB: Resource("batch/v1", "jobs"),
    labels.CRON_JOB: Resource("batch/v1", "cronjobs"),
    LEASE: Resource("coordination.k8s.io/v1", "leases"),
    EVENT: Resource("v1", "events"),
    POD: Resource("v1", "pods"),
    SOURCE: Resource(SOURCE_API, "sources", mend=_OURS),
}
"""Every kind that syncd reads or writes: what the chart's roles have to name."""


def resource_of(kind: str) -> Resource:
    """Raises Unsupported for a kind that is not in the table."""
    found = RESOURCES.get(kind)
    if found is None:
        raise Unsupported(f"kind {kind[:60]!r} is none that syncd writes to a cluster")
    return found


def collection(kind: str, namespace: str | None) -> str:
    """The path of a list. namespace: None or "" = all of them.

    >>> collection("Workflow", "ci")
    '/apis/argoproj.io/v1alpha1/namespaces/ci/workflows'
    """
    resource = resource_of(kind)
    if not resource.namespaced or not namespace:
        return f"{resource.root}/{resource.plural}"
    return f"{resource.root}/namespaces/{_segment(namespace)}/{resource.plural}"


def path(key: Key) -> str:
    """The path of one object. Names are quoted: a name cannot lead to another object.

    >>> path(Key("ConfigMap", "ci", "../x"))
    '/api/v1/namespaces/ci/configmaps/..%2Fx'
    """
    return f"{collection(key.kind, key.namespace)}/{_segment(key.name)}"


def _segment(name: str) -> str:
    """A name as one step of a path. `quote` leaves dots alone, and `..` would be a step up.

    >>> _segment(".."), _segment("a.b"), _segment("%2F")
    ('%2E%2E', 'a.b', '%252F')
    """
    return quote(name, safe="") if name.strip(".") else "%2E" * len(name)
