"""What two bodies may differ in without differing: what is not compared, and which absent fields mean what.

Literal tables, read by `plan.compare`. A field is here because a server, a controller or a person is entitled to
write it, not because it was inconvenient. Source of the defaults: Kubernetes 1.34 pkg/apis/batch/v1/defaults.go,
pkg/apis/core/v1/defaults.go.

These are for every store. A server that says who owns which field (`plan.owners`) needs no table: what it filled in is told by having no
owner (`plan.drift.told`). So are the defaults of Argo's full CRDs, such as `protocol: TCP` of a port.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from syncd.argo import labels
from syncd.argo.manifest import Path

NOT_COMPARED: Final = frozenset({"apiVersion", "kind", "metadata", "status"})
"""Top-level fields. Of metadata only labels and annotations that the source wants are compared:
others belong to people and controllers."""

_POD: Final[dict[str, Any]] = {
    "dnsPolicy": "ClusterFirst",
    "schedulerName": "default-scheduler",
    "securityContext": {},
    "terminationGracePeriodSeconds": 30,
}
_CONTAINER: Final[dict[str, Any]] = {
    "resources": {},
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}
_POD_OF_CRON_JOB: Final = ("spec", "jobTemplate", "spec", "template", "spec")

DEFAULTS: Final[dict[str, dict[Path, Mapping[str, Any]]]] = {
    labels.SECRET: {(): {"type": "Opaque"}},
    labels.CRON_JOB: {
        ("spec", "jobTemplate"): {"metadata": {}},
        ("spec", "jobTemplate", "spec", "template"): {"metadata": {}},
        ("spec",): {
            "concurrencyPolicy": "Allow",
            "suspend": False,
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 1,
        },
        _POD_OF_CRON_JOB: _POD,
        (*_POD_OF_CRON_JOB, "containers", "*"): _CONTAINER,
        (*_POD_OF_CRON_JOB, "initContainers", "*"): _CONTAINER,
    },
}
"""kind → path of a mapping → fields that a server adds with these values. "*" stands for every item of a list."""

IMAGE_PULL_POLICY: Final = frozenset({"Always", "IfNotPresent"})
"""A server derives imagePullPolicy from the tag: added, either of the two is no difference."""

BY_HAND_FIELDS: Final[dict[str, tuple[Path, ...]]] = {
    labels.CRON_WORKFLOW: (("spec", "suspend"),),
    labels.CRON_JOB: (("spec", "suspend"),),
}
"""What a person may change by hand so that it survives a sync (decision 18)."""


DROPPED: Final[dict[str, frozenset[str]]] = {
    labels.CRON_JOB: frozenset({"stdin", "stdinOnce", "tty", "hostNetwork", "hostPID", "hostIPC", "readOnly"}),
}
"""Built-in kind → fields that a server does not keep when they are false, as it keeps no empty text: `json:",omitempty"` of a value that is
no pointer. Source: Kubernetes 1.34 staging/src/k8s.io/api/core/v1/types.go."""


def is_dropped(kind: str, path: Path, value: Any) -> bool:
    """Whether `value`, which only git has at `path`, is one that a server drops.

    >>> is_dropped("CronJob", ("spec", "x", "value"), ""), is_dropped("WorkflowTemplate", ("spec", "x", "value"), "")
    (True, False)
    """
    names = DROPPED.get(kind)
    return names is not None and (value == "" or (value is False and path[-1] in names))


def is_defaulted(kind: str, path: Path, value: Any) -> bool:
    """Whether `value`, which only the live object has at `path`, is what a server fills in.

    >>> is_defaulted("CronJob", ("spec", "suspend"), False)
    True
    >>> is_defaulted("WorkflowTemplate", ("spec", "suspend"), False)
    False
    """
    table = DEFAULTS.get(kind)
    if table is None or not path:
        return False
    field = path[-1]
    parent = tuple("*" if isinstance(step, int) else step for step in path[:-1])
    known = table.get(parent)
    if known is None:
        return False
    if field == "imagePullPolicy" and known is _CONTAINER:
        return value in IMAGE_PULL_POLICY
    return field in known and bool(known[str(field)] == value)
