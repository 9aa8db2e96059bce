"""The inventory: what a source owns, as records that survive a restart. Pure; `loops.inventory` loads and saves them.

A source has one small **head** record (`NAME`) and up to `SHARDS` **shards** (`NAME/objects/00` …), so that one changed
object in 10,000 rewrites one record of some 150 lines at most, and mostly none at all:

    head   {format, source, revision, commit, appliedAt, approved: {revision, by, at} | null}
    shard  {format, source, objects: {KEY: 1},
            workflows: {KEY: {digest, path, revision, body, runs: [{digest, name, at, revision, done}]}}}

The record of objects is only a set of keys. Everything else that is worth knowing (revision, path, digest) stands on the
object itself, and nothing is deleted unless inventory and live label agree. So the record may hold too much, never too
little, and saving follows from it:

    1. before the store is written: the keys to be created are added, runs are noted as not done  (`intended`)
    2. the store is written
    3. after: keys deleted or forgotten go, offers change, runs are done                             (`settled`)
    4. the head says which revision is in force                                                      (`head_after`)

A crash after 1 leaves keys without objects (the next plan creates or forgets them); after 2, keys of deleted objects
(forgotten by the next plan) and runs not noted as done (created again: the name is taken, hence adopted); after 3, an
old revision in the head (the next sync finds nothing to do and writes it). In no case is an object left behind that no
inventory knows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from syncd.argo.manifest import Body, Key
from syncd.base import ids
from syncd.plan.desired import RUNNABLE
from syncd.plan.offers import Remembered
from syncd.plan.plan import Change, Verb

FORMAT = 1
SHARDS = 64
RUNS_REMEMBERED = 20
"""Contents of one Workflow whose runs are remembered, the newest."""

_INFIX = "/objects/"


def shard_name(source: str, key: Key) -> str:
    """The record that holds `key`.

    >>> shard_name("examples", Key("ConfigMap", "default", "a"))
    'examples/objects/1d'
    """
    return f"{source}{_INFIX}{ids.fnv32a(str(key)) % SHARDS:02x}"


def source_of(record_name: str) -> str:
    """The source of a record, head or shard."""
    return record_name.partition(_INFIX)[0]


def is_head(record_name: str) -> bool:
    """Whether a record is a source's head: how to list sources from `Inventory.inventories`."""
    return _INFIX not in record_name


def key_text(key: Key) -> str:
    """A key as records write it: `Kind/namespace/name`, `Kind//name` for a cluster-scoped kind."""
    return f"{key.kind}/{key.namespace}/{key.name}"


def key_from(text: str) -> Key | None:
    """The key that `key_text` wrote; None for anything else (a record spoiled by hand)."""
    parts = text.split("/")
    return Key(*parts) if len(parts) == 3 and parts[0] and parts[2] else None


def owned_in(shard: Mapping[str, Any]) -> set[Key]:
    """The keys of the objects that a shard holds."""
    objects = shard.get("objects")
    found = (key_from(text) for text in objects) if isinstance(objects, Mapping) else ()
    return {key for key in found if key is not None}


def remembered_in(shard: Mapping[str, Any]) -> dict[Key, Remembered]:
    """The Workflows and Jobs that a shard holds, without their bodies."""
    found: dict[Key, Remembered] = {}
    for text, entry in _workflows(shard).items():
        key = key_from(text)
        if key is not None and isinstance(entry, Mapping):
            ran = frozenset(str(run.get("digest")) for run in _runs(entry) if run.get("done"))
            offered = "body" in entry
            found[key] = Remembered(
                str(entry.get("digest", "")) if offered else "", str(entry.get("path", "")) if offered else "", ran
            )
    return found


def offer_in(shard: Mapping[str, Any], key: Key) -> Body | None:
    """The body of an offered Workflow or Job; None where it is not offered."""
    entry = _workflows(shard).get(key_text(key))
    body = entry.get("body") if isinstance(entry, Mapping) else None
    return body if isinstance(body, dict) else None


def needs_intention(change: Change, owned: Collection[Key]) -> bool:
    """Whether a change adds to the inventory before it is made."""
    if change.verb in (Verb.CREATE, Verb.UPDATE, Verb.KEEP):
        return change.key.kind not in RUNNABLE and change.key not in owned and not change.waits
    return change.verb is Verb.RUN


def needs_settling(change: Change) -> bool:
    """Whether a change alters the inventory once it is made."""
    return change.verb in (Verb.DELETE, Verb.FORGET, Verb.OFFER, Verb.WITHDRAW, Verb.RUN)


def intended(
    shard: Mapping[str, Any] | None, source: str, changes: Iterable[Change], *, revision: str, at: str
) -> Body | None:
    """The shard to save before its changes are made; None where the one that is there will do.

    shard: as saved, None = never; changes: those whose keys it holds; at: RFC 3339.
    """
    after = _copy(shard, source)
    changed = False
    for change in changes:
        text = key_text(change.key)
        if change.verb is not Verb.RUN and needs_intention(change, ()) and text not in after["objects"]:
            after["objects"][text] = 1
            changed = True
        elif change.verb is Verb.RUN and change.body is not None:
            entry = dict(after["workflows"].get(text) or {})
            if not any(run.get("digest") == change.digest for run in _runs(entry)):
                run = {
                    "digest": change.digest,
                    "name": change.body["metadata"]["name"],
                    "at": at,
                    "revision": revision,
                    "done": False,
                }
                entry["runs"] = [*_runs(entry), run][-RUNS_REMEMBERED:]
                after["workflows"][text] = entry
                changed = True
    return after if changed else None


def settled(
    shard: Mapping[str, Any] | None,
    source: str,
    changes: Iterable[Change],
    bodies: Mapping[Key, Body],
    *,
    revision: str,
) -> Body | None:
    """The shard to save after its changes were made; None where the one that is there will do.

    changes: only those that succeeded; bodies: of the Workflows and Jobs to offer, by key.
    """
    after = _copy(shard, source)
    before = _copy(shard, source)
    for change in changes:
        text = key_text(change.key)
        if change.verb in (Verb.DELETE, Verb.FORGET):
            after["objects"].pop(text, None)
        elif change.verb is Verb.WITHDRAW:
            runs = _runs(after["workflows"].pop(text, {}))
            if runs:
                after["workflows"][text] = {"runs": runs}
        elif change.verb in (Verb.OFFER, Verb.RUN):
            runs = _runs(after["workflows"].get(text) or {})
            entry: Body = {
                "digest": change.digest,
                "path": change.path,
                "revision": revision,
                "body": bodies[change.key],
            }
            if runs:
                ran_now = change.digest if change.verb is Verb.RUN else None
                entry["runs"] = [{**run, "done": True} if run.get("digest") == ran_now else run for run in runs]
            after["workflows"][text] = entry
    return after if after != before else None


def head_after(head: Mapping[str, Any] | None, source: str, *, revision: str, commit: str, at: str) -> Body | None:
    """The head once everything of `revision` is in force; None where it says so already. An approval is used up."""
    if head is not None and head.get("revision") == revision and not head.get("approved"):
        return None
    return {
        "format": FORMAT,
        "source": source,
        "revision": revision,
        "commit": commit,
        "appliedAt": at,
        "approved": None,
    }


def head_approved(head: Mapping[str, Any] | None, source: str, *, revision: str, by: str, at: str) -> Body:
    """The head with an approval of `revision`."""
    base = {"format": FORMAT, "source": source, "revision": "", "commit": "", "appliedAt": ""}
    return {**base, **(head or {}), "approved": {"revision": revision, "by": by, "at": at}}


def approved_in(head: Mapping[str, Any] | None) -> str:
    """The revision that a person approved, "" = none."""
    approved = (head or {}).get("approved")
    return str(approved.get("revision") or "") if isinstance(approved, Mapping) else ""


def _copy(shard: Mapping[str, Any] | None, source: str) -> Body:
    shard = shard or {}
    objects = shard.get("objects")
    return {
        "format": FORMAT,
        "source": source,
        "objects": dict(objects) if isinstance(objects, Mapping) else {},
        "workflows": dict(_workflows(shard)),
    }


def _workflows(shard: Mapping[str, Any]) -> Mapping[str, Any]:
    workflows = shard.get("workflows")
    return workflows if isinstance(workflows, Mapping) else {}


def _runs(entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    runs = entry.get("runs")
    return [run for run in runs if isinstance(run, dict)] if isinstance(runs, list) else []
