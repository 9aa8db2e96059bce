"""The protocols of a place where objects live. `loops` know only these; `app` chooses the implementation.

Every method is a coroutine; every error is of `base.errors`. Bodies handed out must not be changed by the caller.
The contract suite `tests/contracts/` runs on every implementation.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from syncd.argo.manifest import Body, Key
from syncd.argo.selectors import Selector
from syncd.base.errors import SyncdError
from syncd.cron.ledger import Row


class Verb(StrEnum):
    """What a write does."""

    CREATE = "create"  # AlreadyExists where the name is taken: the name is the lock
    DECLARE = "declare"  # create and own the fields, as APPLY does; AlreadyExists where the name is taken, by whomever
    APPLY = "apply"  # create, or make the owned fields so; fields of others (status, by-hand changes) stay
    PATCH = "patch"  # JSON merge patch (RFC 7386) of an existing object, status included; NotFound else
    DELETE = "delete"  # NotFound where there is none


@dataclass(frozen=True, slots=True)
class Write:
    """One change. body: None for DELETE; the patch for PATCH.

    expect: resource version that the live object must have (Conflict else), None = any;
    uid: uid that it must have (Conflict else), None = any.
    """

    verb: Verb
    key: Key
    body: Body | None = None
    expect: str | None = None
    uid: str | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a Write: the live body after it (for DELETE: before it, None where the store does not tell), or the error."""

    key: Key
    body: Body | None = None
    error: SyncdError | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list. after: hand it to the next call; "" = this was the last page. version: of the store, for watch."""

    items: list[Body]
    after: str
    version: str


@dataclass(frozen=True, slots=True)
class Changed:
    """One event of a watch. kind: ADDED, MODIFIED or DELETED, as Kubernetes'. body: as it is now, or was last."""

    kind: str
    key: Key
    body: Body
    version: str


class Objects(Protocol):
    """Objects by key. The server side sets uid, resourceVersion, generation and creationTimestamp."""

    async def get(self, key: Key) -> Body:
        """The live object (a Workflow with all of its status). Raises NotFound."""

    async def list(
        self,
        kind: str,
        namespace: str | None = None,
        *,
        selector: Selector | None = None,
        limit: int | None = None,
        after: str = "",
    ) -> Page:
        """Objects of one kind, in order of (namespace, name). namespace: None = all.

        Workflows come without status.nodes. Raises Expired when `after` is too old.
        """

    async def write(self, writes: Sequence[Write], *, atomic: bool = False) -> Sequence[Written]:
        """Apply the writes, those of one key in order; the answers are in the order of all, one each; an error stops only its
        own write.

        atomic: all or none where the implementation can (embedded: one transaction; the first error is on its write,
        the others get Conflict("not tried")). Durable when this returns. Empty: [].
        """

    async def rehearse(self, writes: Sequence[Write]) -> Sequence[Written]:
        """What `write` would answer, with nothing written: admission, schema, permissions (a dry run).

        A store all of whose rules are syncd's own, already asked by lint and plan, answers no errors. Empty: [].
        """

    def watch(self, kinds: Collection[str], since: str) -> AsyncIterator[Changed]:
        """Changes after version `since`, in order, for ever. Raises Expired: list again. Workflows without nodes."""


class Ledger(Protocol):
    """The rows of `cron.ledger`, unique by (cron_uid, slot)."""

    async def record(self, rows: Sequence[Row]) -> None:
        """Write or replace rows, all in one durable step. A closed row (not PENDING) is never replaced by a PENDING one."""

    async def rows(self, cron: Key, *, since: datetime | None = None, limit: int = 100) -> list[Row]:
        """Rows of one cron, newest slot first."""

    async def recent(self, since: datetime, *, namespace: str | None = None, limit: int = 10_000) -> list[Row]:
        """Rows of all crons (of a namespace, None = all) that end at `since` or later, newest slot first."""

    async def latest(self) -> Mapping[str, Row]:
        """For every cron uid, the row with the newest slot. What `due` continues from after a restart."""

    async def pending(self) -> list[Row]:
        """Rows still PENDING, oldest first: what to finish after a crash."""

    async def prune(self, before: datetime, keep_per_cron: int) -> int:
        """Drop closed rows older than `before`, but keep the newest `keep_per_cron` of each cron. Answers how many."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One durable step of one run: what it saw and what changed by it.

    seq: from 1, gapless per run; now: the machine's time of the step; observations: `engine.observations.encode` values;
    nodes: Argo NodeStatus objects that are new or changed, by node id;
    status: the run's WorkflowStatus without nodes; None = unchanged; labels: to merge into the Workflow's labels.
    spec: the executed spec with resolved templates, on the first entry only.
    """

    run_uid: str
    seq: int
    now: datetime
    observations: Sequence[dict[str, Any]]
    nodes: Mapping[str, Body] = field(default_factory=dict)
    status: Body | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    spec: Body | None = None


class Journal(Protocol):
    """Runs: their journal, their nodes as rows. Only where syncd's own engine runs workflows."""

    async def save(self, entries: Sequence[Entry]) -> None:
        """All entries in one durable step; then watchers of Workflows see the change. Conflict when a seq is taken.

        Cost grows with the entries, not with the runs. NotFound for a run whose Workflow was deleted.
        """

    def load(self, run_uid: str) -> AsyncIterator[Entry]:
        """The journal in order (nodes, status and labels of the entries are left empty). Empty: unknown run."""

    async def spec(self, run_uid: str) -> Body | None:
        """What the first entry saved; None before admission."""

    async def nodes(self, run_uid: str) -> dict[str, Body]:
        """All NodeStatus objects by id; {} for an unknown run."""

    async def unfinished(self) -> list[Key]:
        """Workflows whose status has no finishedAt, oldest first."""

    async def trim(self, run_uids: Sequence[str]) -> None:
        """Drop the journals (not the nodes) of finished runs."""


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """One ended Workflow, as retention sees it. size_bytes: about what its rows take."""

    key: Key
    uid: str
    finished_at: datetime
    phase: str
    size_bytes: int


class Archive(Protocol):
    """Ended Workflows, for `loops.collect`. Deleting is `Objects.write` with the uid as precondition."""

    async def finished_runs(
        self,
        *,
        before: datetime | None = None,
        beyond: int = 0,
        namespace: str | None = None,
        selector: Selector | None = None,
        limit: int = 500,
    ) -> list[FinishedRun]:
        """Workflows that ended, oldest end first, at most `limit`: those that ended before `before` (None = any time),
        without the newest `beyond` of all that `namespace` (None = all) and `selector` pick."""


class Inventory(Protocol):
    """What each source owns, and what was last applied of it. Survives restarts."""

    async def inventory(self, source: str) -> Body | None:
        """The record as saved, None = the source was never applied."""

    async def save_inventory(self, source: str, record: Body) -> None:
        """Replace the record, durably."""

    async def inventories(self) -> list[str]:
        """All sources that have a record, by name."""

    async def forget_inventory(self, source: str) -> None:
        """Drop the record. Unknown: nothing happens."""


@dataclass(frozen=True, slots=True)
class Hold:
    """The one lease of an installation, as it is. holder: "" = free; times: of the holder's clock, to be shown and never compared
    with ours; transitions: how often it changed hands; version: of the object, "" = there is none yet."""

    holder: str
    duration: timedelta
    acquired_at: datetime
    renewed_at: datetime
    transitions: int = 0
    version: str = ""


class Lease(Protocol):
    """Which of several replicas acts. Only where there can be several."""

    async def read(self) -> Hold | None:
        """The lease now; None = nobody ever held it."""

    async def write(self, hold: Hold) -> Hold:
        """Replace the lease whose version `hold` has ("" = create it). Conflict where somebody was faster."""

    def changes(self) -> AsyncIterator[Hold]:
        """The lease each time that it changes, for ever; may miss some. Raises what a watch raises."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that somebody who looks at an object shall read there. kind: Normal | Warning; reason: one CamelCase word."""

    about: Key
    kind: str
    reason: str
    message: str
    uid: str = ""  # of the object, "" = not known


class Board(Protocol):
    """Where people look who use the cluster's own tools. Best effort: what cannot be shown stops nothing."""

    async def show(self, source: str, about: Body, status: Body) -> None:
        """How a source is. about: where it comes from (the object's spec); status: with Kubernetes conditions."""

    async def remove(self, source: str) -> None:
        """A source is no longer configured. Unknown: nothing happens."""

    async def shown(self) -> Mapping[str, Body]:
        """Every source that is shown, by name: its object."""

    async def ask(self, source: str, annotations: Mapping[str, str]) -> None:
        """Ask whoever leads for something, by annotations on what is shown of the source. NotFound where nothing is."""

    def asked(self) -> AsyncIterator[tuple[str, Body]]:
        """What is shown of each source, now and each time that it changes: (name, object), for ever. Raises as a watch."""

    async def tell(self, notices: Sequence[Notice]) -> None:
        """Note it on the objects."""


class Store(Objects, Ledger, Journal, Archive, Inventory, Protocol):
    """Everything that embedded mode keeps, in one place."""

    def exclusive(self) -> AbstractAsyncContextManager[None]:
        """Hold the one writer's lock. Raises Conflict naming the holder when another process has it."""

    async def backup(self, target: str) -> None:
        """A consistent copy of the running store into a new file `target`. AlreadyExists if it is there."""

    async def close(self) -> None:
        """Flush and let go."""
