"""Desired against live: reads from the store what a plan needs, no more, and plans in slices.

In: the store, what a source owns, its manifests, the keys to look at. Out: one plan of them all. Used by `loops.sync`.

A few keys are read one by one; many, kind by kind in pages, each planned and forgotten before the next (the plan of a subset
is the subset of the plan), so that 10,000 objects are never in memory together and the event loop gets its turn between.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping

from syncd.argo import jobs
from syncd.argo.manifest import Body, Key, Manifest, key_of
from syncd.base.errors import Expired, NotFound, Refused
from syncd.cluster.api import Objects
from syncd.loops.inventory import Records
from syncd.plan import desired as wanting
from syncd.plan import offers
from syncd.plan import plan as planning
from syncd.plan.desired import RUNNABLE, Desired
from syncd.plan.plan import Change, Plan, Policy, Verb

FEW = 64
"""Up to so many keys are read from the store one by one."""

PAGE = 200


async def compare(
    objects: Objects,
    records: Records,
    manifests: Mapping[Key, Manifest],
    keys: Collection[Key],
    policy: Policy,
    *,
    namespace: str,
    run_all: bool = False,
) -> Plan:
    """The plan for `keys`, without the changes that are none: an object that stays as it is and is known.

    namespace: of manifests that name none; run_all: Workflows and Jobs are run once, not only offered.
    """
    changes: list[Change] = []

    def wanted(some: Iterable[Key]) -> dict[Key, Desired]:
        return {key: wanting.desired(manifests[key], namespace) for key in some if key in manifests}

    static = [key for key in keys if key.kind not in RUNNABLE]
    async for some, live in _live(objects, static, {key for key in records.owned if key not in manifests}):
        judged = planning.plan(wanted(some), live, records.owned & some, policy)
        changes += (change for change in judged.changes if _is_telling(change, records))
    runnable = [key for key in keys if key.kind in RUNNABLE]
    for start in range(0, len(runnable), PAGE):
        part = runnable[start : start + PAGE]
        known = {key: records.remembered[key] for key in part if key in records.remembered}
        judged = offers.plan(wanted(part), known, policy, run_all=run_all, workflow_of=jobs.workflow_from_job)
        changes += (change for change in judged.changes if change.verb is not Verb.KEEP)
        await asyncio.sleep(0)
    if len(changes) <= PAGE:
        return planning.joined(changes)
    return await asyncio.to_thread(planning.joined, changes)  # to put 10,000 in order takes half a second


def _is_telling(change: Change, records: Records) -> bool:
    """Whether a change is more than an object that stays and is known."""
    return change.verb is not Verb.KEEP or bool(change.diff) or change.waits or change.key not in records.owned


async def _live(
    objects: Objects, keys: Collection[Key], leaving: Collection[Key]
) -> AsyncIterator[tuple[set[Key], Mapping[Key, Body]]]:
    """The live objects of `keys`, in parts: (the keys of the part, those that are live). Every key is in one part.

    leaving: those that are wanted no more. What is not seen of them would be forgotten: it is surely not there.
    """
    if len(keys) <= FEW:
        yield set(keys), await _found(objects, keys, leaving)
        return
    left = set(keys)
    for kind in sorted({key.kind for key in keys}):
        after = ""
        while True:
            try:
                page = await objects.list(kind, limit=PAGE, after=after)
            except Expired:
                after = ""  # from the start; what was seen is no longer among `left`
                continue
            live = {key: body for body in page.items if (key := key_of(body)) in left}
            left -= live.keys()
            yield set(live), live
            after = page.after
            if not after:
                break
    going = sorted(left.intersection(leaving))  # a list may not reach their namespaces
    for start in range(0, len(going), FEW):
        part = going[start : start + FEW]
        yield set(part), await found(objects, part)
    rest = sorted(left.difference(going))
    for start in range(0, len(rest), PAGE):
        yield set(rest[start : start + PAGE]), {}
        await asyncio.sleep(0)


async def found(objects: Objects, keys: Collection[Key]) -> dict[Key, Body]:
    """Those of `keys` that are live, read one by one."""
    bodies = await asyncio.gather(*(_get(objects, key) for key in keys))
    return {key: body for key, body in zip(keys, bodies, strict=True) if body is not None}


async def _found(objects: Objects, keys: Collection[Key], leaving: Collection[Key]) -> dict[Key, Body]:
    """As `found`. One that may not be read counts as not there: the rehearsal of its write says in the server's words, and for this
    object alone, what is not permitted. Raises Refused for one that is leaving."""
    bodies = await asyncio.gather(*(_get(objects, key) if key in leaving else _permitted(objects, key) for key in keys))
    return {key: body for key, body in zip(keys, bodies, strict=True) if body is not None}


async def _permitted(objects: Objects, key: Key) -> Body | None:
    try:
        return await _get(objects, key)
    except Refused:
        return None


async def _get(objects: Objects, key: Key) -> Body | None:
    try:
        return await objects.get(key)
    except NotFound:
        return None
