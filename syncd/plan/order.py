"""In which order objects are written: what is referred to comes first; deletes go the other way, kind by kind.

In: keys and bodies. Out: the same keys in stages. Called by `plan.plan` for creates and updates (`stages`) and deletes
(`rank`, backwards). A reader of the store that looks in the middle of an apply (a cron that fires between two batches)
then never finds a reference to something not there yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from syncd.argo import labels
from syncd.argo.manifest import Body, Key

RANK: Final[dict[str, int]] = {
    labels.CONFIG_MAP: 0,
    labels.SECRET: 0,
    labels.CLUSTER_WORKFLOW_TEMPLATE: 1,
    labels.WORKFLOW_TEMPLATE: 2,
    labels.CRON_WORKFLOW: 3,
    labels.CRON_JOB: 3,
    labels.WORKFLOW: 4,
    labels.JOB: 4,
}
"""Kinds in the order in which they are applied."""

DEPTH_LIMIT = 60
"""Levels of a body searched for references; deeper there are none that Argo would read."""


def stages(bodies: Mapping[Key, Body]) -> list[list[Key]]:
    """The keys in groups, to be written one group after the other: by kind (`RANK`), then by how long the chain of references is
    that begins there. Within a group nothing refers to anything, so that its writes may go in any order or at once; its keys
    are sorted by namespace and name.

    A cycle of references, which lint refuses, is broken at its first name. Same input, same groups, whatever the order of `bodies`.
    """
    depths: dict[Key, int] = {}
    begun: set[Key] = set()
    for first in sorted(bodies, key=rank):
        if first in begun:
            continue
        stack = [(first, needs := _needs(first, bodies), iter(needs))]
        begun.add(first)
        while stack:
            key, needs, left = stack[-1]
            needed = next((other for other in left if other not in begun), None)
            if needed is None:
                depths[key] = 1 + max((depths.get(other, -1) for other in needs), default=-1)
                stack.pop()
            else:
                begun.add(needed)
                stack.append((needed, below := _needs(needed, bodies), iter(below)))
    groups: dict[tuple[int, int], list[Key]] = {}
    for key in sorted(depths, key=rank):
        groups.setdefault((rank(key)[0], depths[key]), []).append(key)
    return [groups[place] for place in sorted(groups)]


def sort(bodies: Mapping[Key, Body]) -> list[Key]:
    """The keys of all `stages`: what is referred to comes before what refers to it."""
    return [key for stage in stages(bodies) for key in stage]


def rank(key: Key) -> tuple[int, str, str, str]:
    """Sorts keys by kind, then namespace and name."""
    return RANK.get(key.kind, len(RANK)), key.namespace, key.name, key.kind


def _needs(key: Key, bodies: Mapping[Key, Body]) -> list[Key]:
    """What `key` refers to among `bodies`, in order. Kinds of a lower rank are there already."""
    own = RANK.get(key.kind, len(RANK))
    found = {other for other in references(bodies[key], key.namespace) if other in bodies}
    return sorted((other for other in found if RANK.get(other.kind, len(RANK)) == own), key=rank)


def references(body: Mapping[str, Any], namespace: str) -> frozenset[Key]:
    """The templates that a body refers to by templateRef or workflowTemplateRef, wherever they stand.

    namespace: of the object; "" for a ClusterWorkflowTemplate, whose namespaced references cannot be known.
    """
    found: set[Key] = set()
    stack: list[tuple[Any, int]] = [(body.get("spec"), 0)]
    while stack:
        value, depth = stack.pop()
        if depth > DEPTH_LIMIT:
            continue
        if isinstance(value, dict):
            for field, item in value.items():
                if field in ("templateRef", "workflowTemplateRef") and isinstance(item, dict):
                    if isinstance(name := item.get("name"), str):
                        found.add(_referred(name, item.get("clusterScope") is True, namespace))
                elif isinstance(item, dict | list):
                    stack.append((item, depth + 1))
        elif isinstance(value, list):
            stack.extend((item, depth + 1) for item in value if isinstance(item, dict | list))
    return frozenset(found)


def _referred(name: str, cluster_scope: bool, namespace: str) -> Key:
    if cluster_scope:
        return Key(labels.CLUSTER_WORKFLOW_TEMPLATE, "", name)
    return Key(labels.WORKFLOW_TEMPLATE, namespace, name)


def closure(broken: frozenset[Key], bodies: Mapping[Key, Body]) -> frozenset[Key]:
    """`broken`, and those of `bodies` that refer to one of them, directly or through each other.

    What `atomic: object` leaves as it is.
    """
    referring: dict[Key, list[Key]] = {}
    for key, body in bodies.items():
        for other in references(body, key.namespace):
            referring.setdefault(other, []).append(key)
    found, stack = set(broken), list(broken)
    while stack:
        for key in referring.get(stack.pop(), ()):
            if key not in found:
                found.add(key)
                stack.append(key)
    return frozenset(found)
