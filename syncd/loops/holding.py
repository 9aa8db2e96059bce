"""Why a revision does not come into force: errors in its files, objects that are not ours to write, the guard.

In: what was taken in, and the plan. Out: a `guard.Held`, or None; and the problems of what was refused. Used by `loops.sync`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from syncd.argo.manifest import Key, Manifest
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


def by_refusals(taken: Intake, plan: Plan) -> Held | None:
    """An object of this commit that may not be written holds it like an error in a file; one refused before does not."""
    refused = plan.of(Verb.REFUSE)
    if not any(change.key in taken.pending for change in refused):
        return None
    return Held("refused", f"{many(len(refused), 'object')} may not be written: {refused[0].reason}")


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


def many(count: int, noun: str) -> str:
    """
    >>> many(1, "error"), many(2, "error")
    ('1 error', '2 errors')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
