"""Workflows and Jobs in git: offered to `submit --from`, or run once per content (decision 15).

In: the desired ones and what the inventory remembers of each. Out: changes OFFER, RUN, WITHDRAW or KEEP, which
`loops.sync` performs and `plan.settle` records. Nothing here is ever applied to the store as an object of its own name:
a run gets a name made of the manifest's and its content, so that the name is the lock: whoever creates it twice, after a
crash or on two replicas, gets AlreadyExists. TTL may delete the run; the memory of its digest stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from syncd.argo import labels
from syncd.argo.manifest import Body, Key
from syncd.base.errors import Invalid
from syncd.plan import faults
from syncd.plan.desired import Desired, Stamp, marks, short, stamped
from syncd.plan.plan import Change, Plan, Policy, Verb, judge_permission, refuse

NAME_LENGTH = 63
"""Longest name of a run: it becomes a label's value."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """What the inventory says of one Workflow or Job.

    digest, path: of what is offered, "" = no longer offered; ran: digests of the contents that were run.
    """

    digest: str = ""
    path: str = ""
    ran: frozenset[str] = frozenset()


def plan(
    desired: Mapping[Key, Desired],
    remembered: Mapping[Key, Remembered],
    policy: Policy,
    *,
    run_all: bool = False,
    workflow_of: Callable[[Body], Body] = dict,
) -> Plan:
    """One change for every key of desired and remembered.

    run_all: the source says `workflows: run`; workflow_of: makes a Workflow of a Job's body, or raises Invalid. Like `plan.plan`, the
    plan of a subset is the subset of the plan.
    """
    changes = [
        _wanted(desired[key], remembered.get(key, Remembered()), policy, run_all, workflow_of)
        for key in sorted(desired)
    ]
    for key in sorted(remembered.keys() - desired.keys()):
        if remembered[key].digest:
            changes.append(Change(Verb.WITHDRAW, key, "removed from the source", path=remembered[key].path))
        else:
            changes.append(Change(Verb.KEEP, key, "removed from the source; that it ran is remembered"))
    return Plan(tuple(changes))


def _wanted(
    wanted: Desired, known: Remembered, policy: Policy, run_all: bool, workflow_of: Callable[[Body], Body]
) -> Change:
    refused = judge_permission(wanted, policy)
    if refused is not None:
        return refused
    runs = run_all or marks(wanted.body)[1].get(labels.RUN) == "once"
    if runs and wanted.digest not in known.ran:
        try:
            body = run_body(wanted, policy, workflow_of)
        except Invalid as error:
            return refuse(wanted, faults.NOT_WRITTEN, str(error))
        reason = "its content changed: to be run once more" if known.ran else "to be run once"
        return Change(Verb.RUN, wanted.key, reason, body, path=wanted.path, digest=wanted.digest)
    if known.digest != wanted.digest or known.path.rpartition(":")[0] != wanted.file:
        reason = "changed" if known.digest else "new"
        return Change(Verb.OFFER, wanted.key, reason, path=wanted.path, digest=wanted.digest)
    reason = "ran once" if runs else "offered"
    return Change(Verb.KEEP, wanted.key, reason, path=wanted.path, digest=wanted.digest)


def run_name(wanted: Desired) -> str:
    """The name of the one run of this content: `<name>-<8 hex digits of its digest>`."""
    return f"{wanted.key.name.rstrip('-.')[: NAME_LENGTH - 9]}-{wanted.digest[:8]}"


def run_body(wanted: Desired, policy: Policy, workflow_of: Callable[[Body], Body] = dict) -> Body:
    """The Workflow to create, marked with source, revision, path and digest."""
    body = wanted.body if wanted.key.kind == labels.WORKFLOW else workflow_of(wanted.body)
    metadata = {name: value for name, value in (body.get("metadata") or {}).items() if name != "generateName"}
    metadata |= {"name": run_name(wanted), "namespace": wanted.key.namespace}
    named = Desired(wanted.key, {**body, "metadata": metadata}, wanted.digest, wanted.file, wanted.line)
    return stamped(named, Stamp(policy.source, policy.revision, short(policy.commit), wanted.path, wanted.digest))
