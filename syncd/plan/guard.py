"""The guard: a plan that would delete too much is held until a person approves that very revision.

Born from others' outages: an empty render or a wrong branch pruned everything (argo-cd#3473, #3484). Called by
`loops.sync` between planning and applying. Held means: nothing of the plan is applied, not even its creates.
"""

from __future__ import annotations

from dataclasses import dataclass

MAX_DELETE_FRACTION = 0.5

ALWAYS_ALLOWED = 1
"""Deletes that never trip the fraction: to rename one of two objects is daily work. Emptiness is judged before it."""


@dataclass(frozen=True, slots=True)
class Held:
    """Why nothing is applied. reason: guard | problems | refused | rejected, a label of metrics; message: for people."""

    reason: str
    message: str


def check(*, owned: int, deletes: int, remaining: int, max_delete_fraction: float = MAX_DELETE_FRACTION) -> Held | None:
    """None where the plan may be applied.

    owned: objects in the inventory before; deletes: of them, how many the plan deletes; remaining: objects that the
    source wants. Two rules: a source that turns empty is held if it owned anything and something would be deleted; and
    so is one that would lose more than `max_delete_fraction` of its objects (exactly that fraction passes), two at least.

    >>> check(owned=10, deletes=5, remaining=5) is None
    True
    >>> check(owned=10, deletes=6, remaining=4).message
    'would delete 6 of 10 objects, more than 50 %; approve the revision if this is meant'
    """
    if not deletes:
        return None
    if not remaining:
        return Held(
            "guard",
            f"the source has no objects any more, all {owned} that it owns would go; approve the revision if this is meant",
        )
    if deletes > ALWAYS_ALLOWED and deletes > owned * max_delete_fraction:
        return Held(
            "guard",
            f"would delete {deletes} of {owned} objects, more than {max_delete_fraction * 100:g} %; "
            "approve the revision if this is meant",
        )
    return None


def approves(approved: str, revision: str) -> bool:
    """Whether an approval given for `approved` (a revision, its commit, or at least 7 digits of it) means `revision`.

    >>> approves("3f2c000", "main@sha1:3f2c0001")
    True
    >>> approves("main@sha1:3f2c0001", "main@sha1:3f2c0002")
    False
    """
    if not approved or approved == revision:
        return bool(approved)
    commit = revision.rpartition(":")[2]
    return len(approved) >= 7 and commit.startswith(approved)
