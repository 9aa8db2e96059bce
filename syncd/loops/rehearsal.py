"""A plan tried out before anything of it is written: every write as the very body and verb that would be sent (`Objects.rehearse`).

In: the store and a plan. Out: the plan as it stands, since what moved meanwhile is planned again, and what the store would reject of
it. Called by `loops.sync` between the guard and `apply`: a commit of which one object would be refused changes nothing at all.

A store whose rules are all syncd's own answers no errors, and reads nothing for that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection

from syncd.argo.manifest import Key
from syncd.base.errors import AlreadyExists, Conflict, Defect, Expired, NotFound, SyncdError, Unreachable
from syncd.cluster.api import Objects
from syncd.loops import apply
from syncd.plan import plan as planning
from syncd.plan.plan import Change, Plan, Verb

Rejected = tuple[Change, SyncdError]

PlanAgain = Callable[[Collection[Key]], Awaitable[Plan]]

_PASSES_THROUGH = (Unreachable, Expired, Defect)
"""Errors that say nothing about the object."""


async def rehearsed(objects: Objects, plan: Plan, again: PlanAgain, *, batch: int) -> tuple[Plan, list[Rejected]]:
    """The plan and what of it would be rejected. again: plans some keys anew; batch: writes in one call.

    An object that is no longer as it was read (its name was taken, another version) is planned again, once: what then still
    collides is rejected, such as a conflict over a field. Raises Unreachable, Expired and Defect.
    """
    found = await _rehearse(objects, plan, batch)
    moved = {change.key for change, error in found if isinstance(error, AlreadyExists | Conflict)}
    if not moved:
        return plan, found
    fresh = await again(moved)
    found = [one for one in found if one[0].key not in moved] + await _rehearse(objects, fresh, batch)
    return planning.joined([*(c for c in plan.changes if c.key not in moved), *fresh.changes]), found


async def _rehearse(objects: Objects, plan: Plan, batch: int) -> list[Rejected]:
    rejected: list[Rejected] = []
    changes = plan.of(*apply.WRITING)
    for start in range(0, len(changes), batch):
        part = changes[start : start + batch]
        answers = await objects.rehearse([apply.write_of(change) for change in part])
        for change, answer in zip(part, answers, strict=True):
            if isinstance(answer.error, _PASSES_THROUGH):
                raise answer.error
            if answer.error is not None and not _is_done(change, answer.error):
                rejected.append((change, answer.error))
    return rejected


def _is_done(change: Change, error: SyncdError) -> bool:
    """Whether an error says that it has been done already: deleted, or run before a crash (`apply` looks whose run it is)."""
    if change.verb is Verb.DELETE:
        return isinstance(error, NotFound)
    return change.verb is Verb.RUN and isinstance(error, AlreadyExists)
