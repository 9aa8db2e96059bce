"""Makes a plan true: inventory, store, inventory. **Save, then act**, so that a kill at any line loses nothing.

    1. `Records.intend`     the inventory holds every key that is about to exist, and every run
    2. writes, in order     in batches, so that crons fire in between; a batch ends with its stage (`plan.order`): what is referred
                            to is there before what refers to it, though a store may make the writes of a call at once. Creates are
                            DECLARE: a name that was taken meanwhile is never adopted silently
    3. runs                 CREATE under a name made of their content: taken by ours = done before a crash
    4. `Records.settle`     what went is forgotten, what is offered is kept. What was deleted and stays until its finalizers are done
                            is not forgotten: a later plan sees it go

Why each cut is harmless stands in `plan.settle`. Called by `loops.sync`; nothing here decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from syncd.argo import labels
from syncd.argo.manifest import Body, Key
from syncd.base.errors import AlreadyExists, Conflict, Defect, NotFound, Refused, SyncdError
from syncd.cluster import api
from syncd.cluster.api import Objects, Write, Written
from syncd.loops.inventory import Records
from syncd.plan import order
from syncd.plan.desired import stamp_of
from syncd.plan.plan import Change, Plan, Verb, finalizers_of, is_going

WRITING = (Verb.CREATE, Verb.UPDATE, Verb.DELETE, Verb.RUN)
"""What a change is that writes an object."""


@dataclass(slots=True)
class Outcome:
    """What became of the changes that needed a write. lingering: what was deleted, and stays until its finalizers are done;
    versions: resource versions of what was written."""

    done: list[Change] = field(default_factory=list)
    failed: list[tuple[Change, SyncdError]] = field(default_factory=list)
    lingering: dict[Key, Change] = field(default_factory=dict)
    versions: dict[Key, str] = field(default_factory=dict)

    def count(self, verb: Verb) -> int:
        """How many of a verb were done."""
        return sum(change.verb is verb for change in self.done)


async def apply(
    objects: Objects,
    records: Records,
    plan: Plan,
    bodies: Mapping[Key, Body],
    *,
    revision: str,
    at: str,
    size: int,
) -> Outcome:
    """Do what the plan says; the changes that could not be made are in the outcome, with why, and stop no other.

    bodies: of the offered Workflows and Jobs, by key; size: of a batch, in writes. Raises Unreachable where the store does not answer; then nothing is
    lost, and planning again goes on where this stopped.
    """
    outcome = Outcome()
    await records.intend(plan.changes, revision=revision, at=at)
    for batch in batches(plan, size):
        await _write(objects, batch, outcome)
    runs = plan.of(Verb.RUN)
    for start in range(0, len(runs), size):
        await _run(objects, runs[start : start + size], outcome)
    outcome.done += plan.of(Verb.KEEP, Verb.FORGET, Verb.OFFER, Verb.WITHDRAW)
    settled = [change for change in outcome.done if change.key not in outcome.lingering]
    await records.settle(settled, bodies, revision=revision)
    return outcome


async def _write(objects: Objects, batch: Sequence[Change], outcome: Outcome) -> None:
    answers = await objects.write([write_of(change) for change in batch])
    for change, written in zip(batch, answers, strict=True):
        gone = change.verb is Verb.DELETE and isinstance(written.error, NotFound)
        if written.error is not None and not gone:
            outcome.failed.append((change, written.error))
            continue
        outcome.done.append(change)
        if change.verb is not Verb.DELETE:
            outcome.versions[change.key] = str(
                ((written.body or {}).get("metadata") or {}).get("resourceVersion") or ""
            )
        elif not gone and (change.finalizers or _lingers(written)):
            outcome.lingering[change.key] = change


def _lingers(written: Written) -> bool:
    """Whether the object that was deleted is there still, as its finalizers want it."""
    body = written.body or {}
    return is_going(body) or bool(finalizers_of(body))


def write_of(change: Change) -> Write:
    """The write that makes a change true. Raises Defect for a change that is none of `WRITING`."""
    match change.verb:
        case Verb.CREATE:
            return Write(api.Verb.DECLARE, change.key, change.body)
        case Verb.UPDATE:
            return Write(api.Verb.APPLY, change.key, change.body, expect=change.expect or None, uid=change.uid or None)
        case Verb.DELETE:
            return Write(api.Verb.DELETE, change.key, uid=change.uid or None)
        case Verb.RUN:
            metadata = (change.body or {})["metadata"]
            return Write(api.Verb.CREATE, Key(labels.WORKFLOW, metadata["namespace"], metadata["name"]), change.body)
        case _:
            raise Defect(f"{change.verb} of {change.key} is no write")


async def _run(objects: Objects, batch: Sequence[Change], outcome: Outcome) -> None:
    for change, written in zip(batch, await objects.write([write_of(change) for change in batch]), strict=True):
        error = await _unless_ours(objects, change, written)
        if error is None:
            outcome.done.append(change)
        else:
            outcome.failed.append((change, error))


async def _unless_ours(objects: Objects, change: Change, written: Written) -> SyncdError | None:
    """The error of creating a run; None also where the name is taken by this very run, made before a crash."""
    if not isinstance(written.error, AlreadyExists):
        return written.error
    try:
        live = await objects.get(written.key)
    except NotFound:
        return Conflict(f"{written.key} went away meanwhile; it is tried again")
    mine = stamp_of(change.body or {})
    theirs = stamp_of(live)
    if mine is not None and theirs is not None and (mine.source, mine.digest) == (theirs.source, theirs.digest):
        return None
    return Refused(f"{written.key} is there already and is no run of this; delete it, or rename the one in git")


def batches(plan: Plan, size: int) -> list[list[Change]]:
    """The writes of a plan but for its runs, in order, at most `size` together, never of two stages.

    Deletes go kind by kind, what refers before what is referred to.
    """
    found: list[list[Change]] = []
    last: tuple[int, int] | None = None
    for change in plan.of(Verb.CREATE, Verb.UPDATE, Verb.DELETE):
        stage = (1, order.rank(change.key)[0]) if change.verb is Verb.DELETE else (0, plan.stages.get(change.key, 0))
        if stage != last or len(found[-1]) >= size:
            found.append([])
        found[-1].append(change)
        last = stage
    return found
