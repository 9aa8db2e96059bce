"""What the fire loop remembers: every cron, its children, and a heap of when to look at which.

In: changes from a watch, and what `loops.fire` did. Out: which crons to ask now, whose status to write, whose history to
cut. Nothing waits and nothing is written here; each change costs the logarithm of the number of crons.
Called by `loops.fire` only.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from syncd.argo import crons, labels
from syncd.argo.crons import CronWorkflow
from syncd.argo.manifest import Key
from syncd.cluster.api import Changed
from syncd.cron import children, expectation
from syncd.cron.children import Child
from syncd.cron.due import History
from syncd.cron.ledger import Row
from syncd.loops.expecting import Expected


@dataclass(slots=True)
class Armed:
    """A cron and where it stands.

    latest: its newest row; since: when its schedules were last seen to change, None = not seen; ticket: of its valid
    entry in the heap; successor: its spec has changed to this, and its slots so far are to be decided first;
    awaiting: version of our newest patch: until the watch shows it, what the watch says of the status is old news;
    starting: names of children whose row is pending; announced: somebody was told of next_fire; expected: of its runs.
    """

    cron: CronWorkflow
    latest: Row | None = None
    since: datetime | None = None
    next_fire: datetime | None = None
    announced: bool = False
    ticket: int = 0
    successor: CronWorkflow | None = None
    awaiting: str = ""
    children: dict[str, Child] = field(default_factory=dict)
    starting: set[str] = field(default_factory=set)
    expected: Expected = field(default_factory=Expected)

    @property
    def history(self) -> History:
        """What `cron.due` wants to know."""
        running = [child.name for child in self.children.values() if not child.ended]
        return History(self.latest, (*running, *sorted(self.starting.difference(self.children))), self.since)


class Crontab:
    """All crons. kinds: those to keep; accepts: False = another scheduler fires it.

    touched: to be asked now, whatever the heap says; dirty: their status is to be written; surplus: their history is to
    be cut; unsure: what is expected of them may have changed; removed: gone since the owner looked last, with the crons
    that they were.

    A cron may come from another scheduler, go back and come again: its children are known before it is ours (a Forbid holds
    for the run that the other one began), and what was decided of it is not forgotten when it goes.
    """

    def __init__(self, kinds: Collection[str], accepts: Callable[[CronWorkflow], bool]) -> None:
        self._kinds = frozenset(kinds)
        self._accepts = accepts
        self._heap: list[tuple[datetime, int, Key]] = []
        self._ticket = 0
        self._by_uid: dict[str, Key] = {}
        self.armed: dict[Key, Armed] = {}
        self.touched: dict[Key, None] = {}
        self.dirty: dict[Key, None] = {}
        self.surplus: dict[Key, None] = {}
        self.unsure: dict[Key, None] = {}
        self.removed: list[Armed] = []
        self.latest: dict[str, Row] = {}  # by uid: where new crons continue
        self._others: dict[
            str, dict[Key, tuple[Child, datetime | None]]
        ] = {}  # children of crons that are not ours, by uid

    # ---- time

    def arm(self, armed: Armed, wake_at: datetime | None) -> None:
        """Look at this cron again at `wake_at`; None = not until something changes."""
        self._ticket += 1
        armed.ticket = self._ticket
        if wake_at is not None:
            heapq.heappush(self._heap, (wake_at, self._ticket, armed.cron.key))

    def take_due(self, now: datetime) -> list[Armed]:
        """The crons to ask now, each once; they are out of the heap until they are armed again."""
        keys = dict(self.touched)
        self.touched.clear()
        while self._heap and self._heap[0][0] <= now:
            _, ticket, key = heapq.heappop(self._heap)
            if key in self.armed and self.armed[key].ticket == ticket:
                keys[key] = None
        return [self.armed[key] for key in keys if key in self.armed]

    def wake_at(self) -> datetime | None:
        """When the next cron is due; None = never."""
        while self._heap:
            moment, ticket, key = self._heap[0]
            if key in self.armed and self.armed[key].ticket == ticket:
                return moment
            heapq.heappop(self._heap)
        return None

    # ---- what the watch brings

    def take(self, change: Changed) -> None:
        """Remember a change of a cron or of a child; others are passed over."""
        if change.key.kind == labels.WORKFLOW:
            armed = self.owner(change.body)
            if armed is None:
                self._take_other(change)
            elif change.kind == "DELETED":
                self.child_gone(armed, change.key.name)
            else:
                slot = expectation.slot_of(change.body, armed.cron.key.name)
                self.child_seen(armed, children.child_of(change.body), slot)
        elif change.key.kind in self._kinds:
            self._take_cron(change)

    def _take_other(self, change: Changed) -> None:
        uid = children.owner_uid(change.body)
        if not uid:
            return
        if change.kind != "DELETED":
            named = str(((change.body.get("metadata") or {}).get("labels") or {}).get(labels.LABEL_CRON_WORKFLOW) or "")
            slot = expectation.slot_of(change.body, named)
            self._others.setdefault(uid, {})[change.key] = (children.child_of(change.body), slot)
        elif (known := self._others.get(uid)) is not None:
            known.pop(change.key, None)
            if not known:
                del self._others[uid]

    def owner(self, body: Mapping[str, Any]) -> Armed | None:
        """The cron that a Workflow belongs to, None = to none that is here."""
        key = self._by_uid.get(children.owner_uid(body))
        return None if key is None else self.armed.get(key)

    def by_uid(self, uid: str) -> Armed | None:
        """The cron with this uid, if it is here."""
        key = self._by_uid.get(uid)
        return None if key is None else self.armed.get(key)

    def child_seen(self, armed: Armed, child: Child, slot: datetime | None = None) -> None:
        """A child exists, and stands so. slot: that it was made for, None = the one in its name."""
        before = armed.children.get(child.name)
        if before is not None and before.uid != child.uid:
            before = None
        was_active = _is_listed(armed.cron, child.uid) if before is None else not before.ended
        armed.children[child.name] = child
        key = armed.cron.key
        slot = slot or expectation.slot_of_name(key.name, child.name)
        if not child.ended and armed.expected.begun(child.name, slot):
            self.unsure[key] = None
        if before is not None and before.ended == child.ended:
            return
        if not child.ended:
            self.dirty[key] = None
            return
        self.surplus[key] = None
        armed.expected.ended(child, slot, first_seen=was_active)
        self.unsure[key] = None
        if was_active:
            armed.cron = replace(armed.cron, status=children.counted(armed.cron.status, child))
            self.dirty[key] = None
            self.touched[key] = None  # the stop strategy may have come true; a queue may go on

    def child_gone(self, armed: Armed, name: str) -> None:
        """A child was deleted."""
        child = armed.children.pop(name, None)
        armed.expected.gone(name)
        self.unsure[armed.cron.key] = None
        if child is not None and not child.ended:
            self.dirty[armed.cron.key] = None
            self.touched[armed.cron.key] = None

    def forget_all_but(self, there: Collection[Key]) -> None:
        """A new list has been made: what is not in it is gone, and versions of patches mean nothing any more."""
        for key, armed in list(self.armed.items()):
            armed.awaiting = ""
            if key not in there:
                self._remove(key)
                continue
            for name in list(armed.children):
                if Key(labels.WORKFLOW, key.namespace, name) not in there:
                    self.child_gone(armed, name)
        self._others.clear()  # the list has them, and brings them again

    def _take_cron(self, change: Changed) -> None:
        cron = crons.parse(change.body)
        armed = self.armed.get(change.key)
        self.unsure[change.key] = None
        welcome = change.kind != "DELETED" and self._accepts(cron)
        if armed is not None and (not welcome or armed.cron.uid != cron.uid):
            if change.kind == "DELETED" and armed.cron.uid != cron.uid:
                return  # late news of an earlier one of this name
            self._remove(change.key)
            armed = None
        if not welcome:
            return
        if armed is None:
            armed = self.armed[change.key] = Armed(cron, latest=self.latest.get(cron.uid))
            self._by_uid[cron.uid] = change.key
            self.touched[change.key] = None
            for child, slot in self._others.pop(cron.uid, {}).values():
                self.child_seen(armed, child, slot)
            return
        if armed.awaiting and armed.awaiting == version_of(change.body):
            armed.awaiting = ""
        current = armed.successor or armed.cron
        renewed = _renewed(armed.cron, cron, stale=bool(armed.awaiting))
        if _plan_of(renewed) == _plan_of(current):
            if armed.successor is None:
                armed.cron = renewed
            else:
                armed.successor = renewed
        else:
            armed.successor = renewed
            self.touched[change.key] = None

    def _remove(self, key: Key) -> None:
        armed = self.armed.pop(key)
        uid = armed.cron.uid
        self._by_uid.pop(uid, None)
        if armed.latest is not None:
            self.latest[uid] = armed.latest
        if armed.children:
            self._others[uid] = {
                Key(labels.WORKFLOW, key.namespace, name): (child, None) for name, child in armed.children.items()
            }
        for table in (self.touched, self.dirty, self.surplus, self.unsure):
            table.pop(key, None)
        self.removed.append(armed)


def version_of(body: Mapping[str, Any] | None) -> str:
    """The resourceVersion of a body; "" = it has none."""
    return str(((body or {}).get("metadata") or {}).get("resourceVersion", ""))


def successor_of(armed: Armed) -> CronWorkflow:
    """What a cron becomes when its successor takes over: the new spec with the status as it stands now."""
    assert armed.successor is not None
    return _with_own(armed.cron, armed.successor, keep_stop=armed.cron.stopped and armed.successor.stopped)


def _renewed(mine: CronWorkflow, live: CronWorkflow, *, stale: bool) -> CronWorkflow:
    """What the watch shows, but with the counters and times that are kept here: there is one writer, and it is us.

    A person may begin a stopped cron anew by taking away label and phase; that is seen once our own patch has come back.
    """
    return _with_own(mine, live, keep_stop=stale or live.stopped)


def _with_own(mine: CronWorkflow, live: CronWorkflow, *, keep_stop: bool) -> CronWorkflow:
    status = replace(mine.status, phase=mine.status.phase if keep_stop else live.status.phase)
    tags = dict(live.labels)
    if keep_stop and mine.labels.get(labels.CRON_COMPLETED):
        tags[labels.CRON_COMPLETED] = mine.labels[labels.CRON_COMPLETED]
    notes = {**live.annotations, labels.LAST_USED_SCHEDULE: mine.last_used_schedule}
    if not mine.last_used_schedule:
        notes.pop(labels.LAST_USED_SCHEDULE)
    return replace(live, status=status, labels=tags, annotations=notes)


def _plan_of(cron: CronWorkflow) -> tuple[object, ...]:
    """The fields that decide when it fires: where they change, slots up to now are decided by the old ones."""
    notes = cron.annotations
    return (
        cron.schedule_text,
        cron.suspend,
        cron.concurrency,
        cron.starting_deadline,
        cron.when,
        cron.stop_expression,
        cron.stopped,
        notes.get(labels.DST),
        notes.get(labels.CATCH_UP),
    )


def _is_listed(cron: CronWorkflow, uid: str) -> bool:
    """Whether status.active, as it was read, has this child: then its end was not counted yet."""
    return any(reference.get("uid") == uid for reference in cron.status.active)
