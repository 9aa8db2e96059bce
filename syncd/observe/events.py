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


@dataclass(frozen=True, slots=True)
class SourceRemoved:
    """A source is no longer configured: its series go."""

    source: str


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
class StartsHeld:
    """New starts are held back (disk full) or no longer (reason "")."""

    reason: str


@dataclass(frozen=True, slots=True)
class LoopFailed:
    """A loop ended with an error and will run again. kind: the error's class, `Defect` for one that nobody expected."""

    loop: str
    kind: str
    at: datetime
    message: str
    again_in_seconds: float


Event = (
    SourceChecked
    | SourceSynced
    | SourceRemoved
    | SlotDecided
    | CronArmed
    | CronRemoved
    | RunStarted
    | RunFinished
    | StartsHeld
    | LoopFailed
)
