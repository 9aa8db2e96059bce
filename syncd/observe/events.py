"""What the loops say happened. Frozen values, published on `observe.bus`, turned into metrics, log lines and timelines."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from syncd.argo.manifest import Key
from syncd.cron.ledger import Row


@dataclass(frozen=True, slots=True)
class SourceChecked:
    """A source was compared with its remote. error: "" = it answered; moved: it stands at a new revision."""

    source: str
    at: datetime
    seconds: float
    revision: str = ""
    moved: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True)
class SourceSynced:
    """A sync ended. result: applied | unchanged | held | failed.

    reason: "" or guard, problems, or a message's first line.
    """

    source: str
    at: datetime
    seconds: float
    result: str
    revision: str = ""
    applied_revision: str = ""
    reason: str = ""
    created: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    ignored: int = 0
    errors: int = 0
    warnings: int = 0
    objects: tuple[tuple[str, int], ...] = ()  # kind → how many the source owns now
    offered: int = 0  # Workflows and Jobs that can be submitted from it now
    conflicts: int = 0  # objects with fields that another manager declares: shown, not fought
    drifted: int = 0  # objects that were not as they had been applied, and were put right


@dataclass(frozen=True, slots=True)
class SourceRemoved:
    """A source is no longer configured: its series go."""

    source: str


@dataclass(frozen=True, slots=True)
class DriftCorrected:
    """An object was not as it had been applied, and was put right.

    fields: the paths that differed; by: the manager or person that had changed them, "" = unknown; since: when, None = unknown.
    """

    source: str
    object: Key
    fields: tuple[str, ...]
    by: str
    since: datetime | None
    at: datetime


@dataclass(frozen=True, slots=True)
class SlotDecided:
    """A row of the ledger was closed (or opened as pending). delay_seconds: from the slot to the child's creation."""

    row: Row
    delay_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class CronArmed:
    """When a cron fires next; next_fire None = never (suspended, stopped, impossible). timezone: "" = UTC."""

    cron: Key
    next_fire: datetime | None
    timezone: str = ""


@dataclass(frozen=True, slots=True)
class CronStanding:
    """What is expected of a cron, published when it changes. See `cron.expectation`.

    success_due: by when a run should have succeeded again, None = nothing is expected (it never fires);
    run_due: by when its oldest unfinished run should have ended, None = none runs.
    """

    cron: Key
    success_due: datetime | None
    run_due: datetime | None


@dataclass(frozen=True, slots=True)
class LateSuccess:
    """A run succeeded, but later after its slot than it should have (syncd.io/finish-within)."""

    cron: Key
    run: Key
    slot: datetime
    at: datetime


@dataclass(frozen=True, slots=True)
class CronRemoved:
    """A cron is gone: its series go."""

    cron: Key


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A Workflow was admitted. origin: `cron/NAME`, `template/NAME` or `workflow` (a bounded label)."""

    run: Key
    uid: str
    origin: str
    at: datetime
    revision: str = ""


@dataclass(frozen=True, slots=True)
class RunFinished:
    """A Workflow has ended. phase: Succeeded | Failed | Error."""

    run: Key
    uid: str
    origin: str
    at: datetime
    phase: str
    seconds: float
    message: str = ""


@dataclass(frozen=True, slots=True)
class RunGone:
    """An unfinished Workflow is no longer followed, and how it ended is not known: it was deleted, or begun again unseen."""

    run: Key
    uid: str
    origin: str


@dataclass(frozen=True, slots=True)
class StartsHeld:
    """New starts are held back (disk full) or no longer (reason "")."""

    reason: str


@dataclass(frozen=True, slots=True)
class LoopFailed:
    """A loop ended with an error and will run again. kind: the error's class, `Defect` for one that nobody expected; repeated: with
    the same error as the last time, and it has not been well in between."""

    loop: str
    kind: str
    at: datetime
    message: str
    again_in_seconds: float
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class LeadershipChanged:
    """This replica acts from now on, or no longer does. holder: who leads now, "" = nobody that is known."""

    leading: bool
    at: datetime
    holder: str


@dataclass(frozen=True, slots=True)
class ClockSkew:
    """How far this machine's clock is from the API server's, in seconds; positive = ahead of it."""

    seconds: float


@dataclass(frozen=True, slots=True)
class ApiCalled:
    """A request to the API server was answered. code: the HTTP status, or a word where there was none (e.g. timeout).

    verb: get, list, watch, create, apply, patch, delete, …; resource: plural, as in the URL. Both bounded labels.
    """

    verb: str
    resource: str
    code: str
    seconds: float


@dataclass(frozen=True, slots=True)
class WatchRestarted:
    """A watch had to be begun again. reason: a word: expired | stalled | closed | failed."""

    kind: str
    reason: str


Event = (
    SourceChecked
    | SourceSynced
    | SourceRemoved
    | DriftCorrected
    | SlotDecided
    | CronArmed
    | CronStanding
    | LateSuccess
    | CronRemoved
    | RunStarted
    | RunFinished
    | RunGone
    | StartsHeld
    | LoopFailed
    | LeadershipChanged
    | ClockSkew
    | ApiCalled
    | WatchRestarted
)
