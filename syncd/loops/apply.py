"""Makes a plan true: inventory, store, inventory. **Save, then act**, so that a kill at any line loses nothing.

    1. `Records.intend`     the inventory holds every key that is about to exist, and every run
    2. writes, in order     in batches, so that crons fire in between; creates are DECLARE: a name that was taken meanwhile is
                            never adopted silently
    3. runs                 CREATE under a name made of their content: taken by ours = done before a crash
    4. `Records.settle`     what went is forgotten, what is offered is kept

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
from syncd.plan.desired import stamp_of
from syncd.plan.plan import Change, Plan, Verb

BATCH = 100
"""Writes in one call of the store: some milliseconds during which no cron can write."""


@dataclass(slots=True)
class Outcome:
    """What became of the changes that needed a write."""

    done: list[Change] = field(default_factory=list)
    failed: list[tuple[Change, SyncdError]] = field(default_factory=list)

    def count(self, verb: Verb) -> int:
        """How many of a verb were done."""
        return sum(change.verb is verb for change in self.done)


async def apply(
    objects: Objects, records: Records, plan: Plan, bodies: Mapping[Key, Body], *, revision: str, at: str
) -> Outcome:
    """Do what the plan says; the changes that could not be made are in the outcome, with why, and stop no other.

    bodies: of the offered Workflows and Jobs, by key. Raises Unreachable where the store does not answer; then nothing is
    lost, and planning again goes on where this stopped.
    """
    outcome = Outcome()
    await records.intend(plan.changes, revision=revision, at=at)
    for batch in _batches(plan.of(Verb.CREATE, Verb.UPDATE, Verb.DELETE)):
        await _write(objects, batch, outcome)
    for batch in _batches(plan.of(Verb.RUN)):
        await _run(objects, batch, outcome)
    outcome.done += plan.of(Verb.KEEP, Verb.FORGET, Verb.OFFER, Verb.WITHDRAW)
    await records.settle(outcome.done, bodies, revision=revision)
    return outcome


async def _write(objects: Objects, batch: Sequence[Change], outcome: Outcome) -> None:
    answers = await objects.write([_write_of(change) for change in batch])
    for change, written in zip(batch, answers, strict=True):
        gone = change.verb is Verb.DELETE and isinstance(written.error, NotFound)
        if written.error is not None and not gone:
            outcome.failed.append((change, written.error))
            continue
        outcome.done.append(change)


def _write_of(change: Change) -> Write:
    match change.verb:
        case Verb.CREATE:
            return Write(api.Verb.DECLARE, change.key, change.body)
        case Verb.UPDATE:
            return Write(api.Verb.APPLY, change.key, change.body, uid=change.uid or None)
        case Verb.DELETE:
            return Write(api.Verb.DELETE, change.key, uid=change.uid or None)
        case _:
            raise Defect(f"{change.verb} of {change.key} is no write")


async def _run(objects: Objects, batch: Sequence[Change], outcome: Outcome) -> None:
    bodies = [change.body or {} for change in batch]
    keys = [Key(labels.WORKFLOW, body["metadata"]["namespace"], body["metadata"]["name"]) for body in bodies]
    writes = [Write(api.Verb.CREATE, key, body) for key, body in zip(keys, bodies, strict=True)]
    for change, written in zip(batch, await objects.write(writes), strict=True):
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


def _batches(changes: Sequence[Change]) -> list[Sequence[Change]]:
    return [changes[start : start + BATCH] for start in range(0, len(changes), BATCH)]
