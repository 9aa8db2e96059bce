"""Why a revision does not come into force: errors in its files, objects not ours to write, the guard, what the store rejects.

In: what was taken in, and the plan. Out: a `guard.Held`, or None; and the problems of what was refused. Used by `loops.sync`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from syncd.argo.manifest import Key, Manifest
from syncd.base.errors import SyncdError
from syncd.base.problems import Place, Problem
from syncd.loops.intake import Intake
from syncd.plan import faults, guard
from syncd.plan.guard import Held
from syncd.plan.plan import Change, Plan, Verb


def by_problems(taken: Intake) -> Held | None:
    """A commit is judged as a whole (`atomic: source`): one error holds it."""
    errors = taken.errors()
    if not errors:
        return None
    files = len({problem.place.file for problem in errors})
    return Held("problems", f"{many(len(errors), 'error')} in {many(files, 'file')}")


def is_of_commit(change: Change, taken: Intake, *, in_force: bool) -> bool:
    """Whether the revision that was taken in asks for a change, and not something that happened to an object since it was applied.

    in_force: all of that revision was in force before. At the start of a process everything is pending, so that the object itself
    must tell. One that the inventory holds and that is not there was deleted by hand, or, as long as not all of the revision has been
    in force, never made.
    """
    if change.key not in taken.pending:
        return False
    return change.drift is None or (change.verb is Verb.CREATE and not in_force)


def by_refusals(taken: Intake, plan: Plan, *, in_force: bool) -> Held | None:
    """An object of this commit that may not be written holds it like an error in a file; one refused before, or one that another
    tool changed since, does not."""
    refused = plan.of(Verb.REFUSE)
    asked = [change for change in refused if is_of_commit(change, taken, in_force=in_force)]
    if not asked:
        return None
    return Held("refused", f"{many(len(refused), 'object')} may not be written: {asked[0].reason}")


def by_rejections(taken: Intake, rejected: Sequence[tuple[Change, SyncdError]], *, in_force: bool) -> Held | None:
    """So does one that the store would reject. What is only to be put right is left as it is, and holds nothing."""
    asked = [error for change, error in rejected if is_of_commit(change, taken, in_force=in_force)]
    if not asked:
        return None
    return Held("rejected", f"{many(len(rejected), 'object')} would be rejected: {first_line(asked[0])}")


def by_guard(
    taken: Intake, plan: Plan, *, owned: int, revision: str, approved: str, max_fraction: float
) -> Held | None:
    """Too many deletes, and nobody approved this revision."""
    deletes = len(plan.of(Verb.DELETE))
    if not deletes or guard.approves(approved, revision):
        return None
    return guard.check(owned=owned, deletes=deletes, remaining=taken.objects(), max_delete_fraction=max_fraction)


def refusals(
    source: str, manifests: Mapping[Key, Manifest], refused: Sequence[tuple[Change, str, str]]
) -> list[Problem]:
    """Problems of objects that are not written. refused: (change, code of `plan.faults`, why)."""
    found = []
    for change, code, why in refused:
        manifest = manifests.get(change.key)
        place = manifest.place() if manifest is not None else Place(change.path.rpartition(":")[0])
        remedy = faults.CODES[code][2].replace("SOURCE", source)
        found.append(Problem(place, code, why, object=str(change.key), remedy=remedy))
    return found


def first_line(error: BaseException) -> str:
    """The message without what follows its first line; the name of the class where there is none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:500]


def many(count: int, noun: str) -> str:
    """
    >>> many(1, "error"), many(2, "error")
    ('1 error', '2 errors')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
