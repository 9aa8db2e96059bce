"""The plan: what to create, update, delete and keep, each with its reason and difference.

In: desired objects, live ones, the keys that the source's inventory holds, a policy. Out: `Plan`. Called by `loops.sync`
with all keys at the start and with the few that a commit touched afterwards: **the plan of a subset is the subset of the
plan**, since an object's fate depends on nothing but itself. What depends on the whole is `plan.guard`.

Laws, each a property test: a plan applied and planned again gives only Keep; nothing is ever written or deleted that
the source does not own; an object is deleted only if the inventory AND its live label say that it is ours.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from syncd.argo import labels
from syncd.argo.manifest import Body, Key, Path
from syncd.base.clock import rfc3339
from syncd.plan import compare, drift, faults, normalise, order, sparing
from syncd.plan.compare import Difference
from syncd.plan.desired import Desired, Stamp, for_scheduler, marks, short, stamp_of, stamped
from syncd.plan.drift import Drift


class Verb(StrEnum):
    """What becomes of an object."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    KEEP = "keep"
    REFUSE = "refuse"  # not ours to write: a problem, see code
    FORGET = "forget"  # gone or no longer ours: only the inventory drops it
    OFFER = "offer"  # a Workflow or Job, kept for `submit --from` (plan.offers)
    WITHDRAW = "withdraw"  # no longer offered
    RUN = "run"  # a Workflow or Job with `syncd.io/run: once`, to be created now


@dataclass(frozen=True, slots=True)
class Change:
    """The fate of one object.

    reason: for people; body: to write, None where nothing is written; diff: from live to desired; for Keep it is what
    was changed by hand and stays; uid: of the live object that was judged, "" where there was none; code: of
    `plan.faults` for Refuse; path: `file:line` of the manifest, "" where there is none any more; digest: of the content.

    drift: what became of the object although this content was applied, None = a commit asks for the change; of a Create that the
    inventory held it: deleted by hand, or never made (a crash). expect: resource version that the body was made for, since it
    holds values of the live object, "" = any; finalizers: of a Delete, what may keep the object for a while; waits: a Keep of an
    object that is being deleted, to be looked at again.
    """

    verb: Verb
    key: Key
    reason: str
    body: Body | None = None
    diff: tuple[Difference, ...] = ()
    uid: str = ""
    code: str = ""
    path: str = ""
    digest: str = ""
    drift: Drift | None = None
    expect: str = ""
    finalizers: tuple[str, ...] = ()
    waits: bool = False

    def to_json(self) -> dict[str, Any]:
        """The shape of `syncd plan -o json` and the API."""
        return {
            "verb": str(self.verb),
            "kind": self.key.kind,
            "namespace": self.key.namespace,
            "name": self.key.name,
            "reason": self.reason,
            "path": self.path,
            "code": self.code,
            "by": self.drift.by if self.drift is not None else "",
            "since": rfc3339(self.drift.since) if self.drift is not None and self.drift.since is not None else None,
            "diff": [difference.to_json() for difference in self.diff],
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """Changes in the order in which they are to be made: writes, then deletes, then what only the record sees.

    stages: of a write, which of the stages it belongs to: those of one stage do not refer to each other and may be made in any
    order, or at once, when all of the stages before are done.
    """

    changes: tuple[Change, ...] = ()
    stages: Mapping[Key, int] = field(default_factory=dict)

    def of(self, *verbs: Verb) -> tuple[Change, ...]:
        """The changes with one of these verbs, in order."""
        return tuple(change for change in self.changes if change.verb in verbs)

    def counts(self) -> dict[str, int]:
        """Verb → how many; every verb is there."""
        counted = Counter(change.verb for change in self.changes)
        return {str(verb): counted[verb] for verb in Verb}

    def to_json(self, limit: int = 1000) -> dict[str, Any]:
        """counts of all, and the first `limit` changes that are more than an untouched Keep."""
        telling = [c for c in self.changes if c.verb is not Verb.KEEP or c.diff or c.waits]
        return {
            "counts": self.counts(),
            "changes": [change.to_json() for change in telling[:limit]],
            "more": max(0, len(telling) - limit),
        }


@dataclass(frozen=True, slots=True)
class Policy:
    """What a source may do.

    source: its name; revision, commit: what the objects that change now are stamped with;
    kinds, namespaces: None = all (of kinds: all but Secret); retired: sources that are no longer configured, whose
    objects may be taken over; no_deletes: why nothing is deleted now, "" = deletes are allowed;
    ignore: kind → fields that are others' to write once the object is there; instance: `desired.for_scheduler`;
    reserved: beginnings of keys that no source may write, since syncd's own records are called so.
    """

    source: str
    revision: str
    commit: str
    kinds: frozenset[str] | None = None
    namespaces: frozenset[str] | None = None
    retired: frozenset[str] = field(default=frozenset())
    no_deletes: str = ""
    ignore: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    instance: str = ""
    reserved: frozenset[Key] = field(default=frozenset())

    def is_reserved(self, key: Key) -> bool:
        """Whether a key begins as one of syncd's own records."""
        return any(
            (key.kind, key.namespace) == (own.kind, own.namespace) and key.name.startswith(own.name)
            for own in self.reserved
        )

    def allows_kind(self, kind: str) -> bool:
        """A Secret is allowed only by name."""
        return kind != labels.SECRET if self.kinds is None else kind in self.kinds


def plan(desired: Mapping[Key, Desired], live: Mapping[Key, Body], owned: Collection[Key], policy: Policy) -> Plan:
    """What makes `live` as `desired`, as far as it is the source's.

    desired: what the source wants; owned: what its inventory holds; live: what is there of both (other keys are not
    looked at). Every key of desired and owned has exactly one change. Never raises.
    """
    changes = [_wanted(wanted, live.get(key), key in owned, policy) for key, wanted in desired.items()]
    changes += [_unwanted(key, live.get(key), policy) for key in owned if key not in desired]
    return joined(changes)


def joined(changes: Iterable[Change]) -> Plan:
    """One plan of changes to different keys, put in order: how plans of subsets become the plan of all."""
    by_key = {change.key: change for change in changes}
    bodies = {key: change.body for key, change in by_key.items() if change.body is not None}
    stages = order.stages(bodies)
    writes = [by_key[key] for stage in stages for key in stage]
    deletes = sorted(
        (change for change in by_key.values() if change.verb is Verb.DELETE),
        key=lambda change: order.rank(change.key),
        reverse=True,
    )
    done = {change.key for change in (*writes, *deletes)}
    rest = [by_key[key] for key in sorted(by_key.keys() - done)]
    return Plan((*writes, *deletes, *rest), {key: number for number, stage in enumerate(stages) for key in stage})


def _wanted(wanted: Desired, body: Body | None, in_inventory: bool, policy: Policy) -> Change:
    refused = judge_permission(wanted, policy)
    if refused is None and body is not None:
        if is_going(body):
            return _waiting(wanted, body)
        refused = _judge_owner(wanted, body, policy)
    if refused is not None:
        return refused
    wanted, instance = for_scheduler(wanted, policy.instance)
    fresh = Stamp(policy.source, policy.revision, short(policy.commit), wanted.path, wanted.digest, instance)
    if body is None:
        reason = "missing: made again" if in_inventory else "new"
        lost = Drift() if in_inventory else None
        made = stamped(wanted, fresh)
        return Change(Verb.CREATE, wanted.key, reason, made, path=wanted.path, digest=wanted.digest, drift=lost)
    return _compared(wanted, body, fresh, policy)


def _compared(wanted: Desired, body: Body, fresh: Stamp, policy: Policy) -> Change:
    """Update or Keep of an object that is there and ours (or a retired source's, which the stamp tells)."""
    key = wanted.key
    present = stamp_of(body)
    hand = by_hand(body)
    applied = present is not None and present.digest == wanted.digest and present.source == fresh.source
    if present is not None and applied and _file(present.path) == wanted.file:
        fresh = replace(present, instance=fresh.instance)
    target = sparing.spared(wanted.body, body, policy.ignore.get(key.kind, ()))
    carries = target is not wanted.body
    held = sparing.spared(target, body, normalise.BY_HAND_FIELDS.get(key.kind, ())) if hand else target
    fields = drift.told(body, held, list(compare.found(held, body)), applied=applied)
    if present == fresh and not fields:
        by_a_person = drift.told(body, target, list(compare.found(target, body)), applied=applied) if hand else []
        reason = f"kept as it is: changed by hand{hand}" if by_a_person else "unchanged"
        diff = compare.shown(key.kind, by_a_person)
        return Change(Verb.KEEP, key, reason, diff=diff, uid=_uid(body), path=wanted.path, digest=wanted.digest)
    paths = [path for path, _, _ in fields]
    moved = (
        present is not None and present.instance != fresh.instance
    )  # who fires it: `stamped` marks that, no body wants it
    changed = [path for path in paths if not (moved and path == _INSTANCE_LABEL)]
    drifted = drift.of(body, held, changed) if applied and changed else None
    diff = (*_scheduler(present, fresh, body), *compare.shown(key.kind, fields))
    conflict = drift.conflict(body, held, [*paths, *((_INSTANCE_LABEL,) if moved else ())])
    if conflict:
        refused = refuse(wanted, faults.DECLARED_BY_OTHERS, f"{conflict}; git says otherwise", _uid(body))
        return replace(refused, diff=diff, drift=drifted)
    return Change(
        Verb.UPDATE,
        key,
        str(drifted) if drifted is not None else _reason(present, fresh, wanted, applied, diff),
        stamped(replace(wanted, body=held), fresh),
        diff,
        _uid(body),
        path=wanted.path,
        digest=wanted.digest,
        drift=drifted,
        expect=_version(body) if carries else "",
    )


_INSTANCE_LABEL: Path = ("metadata", "labels", labels.INSTANCE_ID)


def _scheduler(present: Stamp | None, fresh: Stamp, body: Body) -> tuple[Difference, ...]:
    """The difference in who fires a cron, which no body wants: `stamped` adds it."""
    was = present.instance if present is not None else None
    if was == fresh.instance:
        return ()
    before, after = marks(body)[0].get(labels.INSTANCE_ID), labels.SYNCD_INSTANCE
    if fresh.instance is not None and before != after:
        return (compare.difference(labels.CRON_WORKFLOW, _INSTANCE_LABEL, before, after),)
    if fresh.instance is None:
        return (compare.difference(labels.CRON_WORKFLOW, _INSTANCE_LABEL, before, None),)
    path: Path = ("metadata", "annotations", labels.CHILD_INSTANCE_ID)
    return (compare.difference(labels.CRON_WORKFLOW, path, was, fresh.instance),)


def _reason(
    present: Stamp | None,
    fresh: Stamp,
    wanted: Desired,
    applied: bool,
    diff: tuple[Difference, ...],
) -> str:
    """Why an object is written that did not drift. applied: this very content was."""
    if present is None or present.source != fresh.source:
        return f"taken over from source {present.source if present else ''}, which is no longer configured"
    if not present.digest:
        return "handed over to this source by its label"
    if applied and _file(present.path) != wanted.file:
        return f"moved from {_file(present.path)}"
    if applied and present.instance != fresh.instance:
        return "fired by syncd from now on" if fresh.instance is not None else "no longer fired by syncd"
    if applied:
        return "its marks were changed by hand"
    if any(not difference.path.startswith("metadata") for difference in diff):
        return "spec changed" if any(d.path.startswith("spec") for d in diff) else "content changed"
    return "labels or annotations changed" if diff else "changed only where nothing is compared"


def is_going(body: Mapping[str, Any]) -> bool:
    """Whether a live object is being deleted, and stays only until its finalizers are done. It is never written again."""
    metadata = body.get("metadata")
    return isinstance(metadata, Mapping) and bool(metadata.get("deletionTimestamp"))


def finalizers_of(body: Mapping[str, Any]) -> tuple[str, ...]:
    """What a deleted object has to wait for."""
    metadata = body.get("metadata")
    found = metadata.get("finalizers") if isinstance(metadata, Mapping) else None
    return tuple(str(one)[:_LONGEST_NAME] for one in found[:_FINALIZERS_TOLD]) if isinstance(found, list) else ()


_LONGEST_NAME, _FINALIZERS_TOLD = 320, 10


def _waiting(wanted: Desired, body: Body) -> Change:
    reason = f"being deleted, made again once it is gone{_for(body)}"
    return Change(Verb.KEEP, wanted.key, reason, uid=_uid(body), path=wanted.path, digest=wanted.digest, waits=True)


def _for(body: Body) -> str:
    finalizers = finalizers_of(body)
    return f"; waits for finalizers: {', '.join(finalizers)}" if finalizers else ""


def judge_permission(wanted: Desired, policy: Policy) -> Change | None:
    """The Refuse of an object that this source may not write at all; None where it may."""
    key = wanted.key
    if not policy.allows_kind(key.kind):
        return refuse(wanted, faults.KIND_NOT_ALLOWED, f"source {policy.source} may not write a {key.kind}")
    if policy.namespaces is not None and key.namespace and key.namespace not in policy.namespaces:
        reason = f"source {policy.source} may not write to namespace {key.namespace}"
        return refuse(wanted, faults.NAMESPACE_NOT_ALLOWED, reason)
    if policy.is_reserved(key):
        return refuse(wanted, faults.RESERVED, f"{key} has the name of a record of syncd's own")
    return None


def _judge_owner(wanted: Desired, body: Body, policy: Policy) -> Change | None:
    """The Refuse of a live object that belongs to somebody else; None where it is ours to write."""
    owner = owner_of(body)
    if owner == policy.source or (owner and owner in policy.retired):
        return None
    if owner:
        return refuse(wanted, faults.OWNED_BY_SOURCE, f"{wanted.key} is owned by source {owner}", _uid(body))
    return refuse(wanted, faults.NOT_OURS, f"{wanted.key} exists and was not made by syncd", _uid(body))


def refuse(wanted: Desired, code: str, reason: str, uid: str = "") -> Change:
    """The change that leaves an object alone and says why. code: of `plan.faults`."""
    return Change(Verb.REFUSE, wanted.key, reason, uid=uid, code=code, path=wanted.path, digest=wanted.digest)


def _unwanted(key: Key, body: Body | None, policy: Policy) -> Change:
    """Of an object that the inventory holds and the source no longer has."""
    if body is None:
        return Change(Verb.FORGET, key, "removed from the source, and gone already")
    owner = owner_of(body)
    if owner != policy.source:
        return Change(Verb.FORGET, key, f"now owned by {f'source {owner}' if owner else 'nobody'}", uid=_uid(body))
    path = str(marks(body)[1].get(labels.PATH, ""))
    if is_going(body):
        return Change(Verb.KEEP, key, f"being deleted{_for(body)}", uid=_uid(body), path=path, waits=True)
    if marks(body)[1].get(labels.PRUNE) == "disabled":
        return Change(
            Verb.KEEP, key, "removed from the source; stays: syncd.io/prune is disabled", uid=_uid(body), path=path
        )
    if policy.no_deletes:
        return Change(Verb.KEEP, key, f"not deleted: {policy.no_deletes}", uid=_uid(body), path=path)
    return Change(
        Verb.DELETE, key, "removed from the source", uid=_uid(body), path=path, finalizers=finalizers_of(body)
    )


def owner_of(body: Mapping[str, Any]) -> str:
    """The source that a live object's label names, "" = none."""
    owner = marks(body)[0].get(labels.OWNER_SOURCE)
    return owner if isinstance(owner, str) else ""


def by_hand(body: Mapping[str, Any]) -> str:
    """ " by WHO since WHEN" as the live object's by-hand annotation says; "" where there is none.

    The annotation is JSON {field, who, since}; whatever else it holds, it still says that a hand was there.

    >>> by_hand({"metadata": {"annotations": {labels.BY_HAND: '{"who": "ada", "since": "2026-01-02T03:04:05Z"}'}}})
    ' by ada since 2026-01-02T03:04:05Z'
    """
    text = marks(body)[1].get(labels.BY_HAND)
    if not isinstance(text, str) or not text:
        return ""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        said = {}
    if not isinstance(said, dict):
        said = {}
    who, since = str(said.get("who") or "somebody")[:100], str(said.get("since") or "")[:40]
    return f" by {who} since {since}" if since else f" by {who}"


def _file(path: str) -> str:
    """The file of a `file:line`."""
    return path.rpartition(":")[0]


def _uid(body: Mapping[str, Any]) -> str:
    return _set_by_server(body, "uid")


def _version(body: Mapping[str, Any]) -> str:
    return _set_by_server(body, "resourceVersion")


def _set_by_server(body: Mapping[str, Any], name: str) -> str:
    metadata = body.get("metadata")
    return str(metadata.get(name) or "") if isinstance(metadata, Mapping) else ""
