"""A row per slot of every schedule, fired or not, with the reason.

Rows are made by `cron.due`, kept by `cluster.api.Ledger`, read by `cron.explain`, the metrics and people at 2 am.
A long outage is one row: from, to, how many, why.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from syncd.argo.manifest import Key


class Outcome(StrEnum):
    """What became of a slot."""

    PENDING = "pending"  # decided to fire; the child is not known to exist yet
    FIRED = "fired"
    SKIPPED = "skipped"  # a rule said no: see reason
    MISSED = "missed"  # nobody was there, and no policy let it run later
    CAUGHT_UP = "caught-up"  # fired late, by startingDeadlineSeconds, catch-up or grace
    FAILED = "failed"  # the child could not be created, and will not be


class Reason(StrEnum):
    """Why. One word each: a label of metrics, explained in words by `cron.explain`."""

    ON_TIME = "on-time"
    GRACE = "grace"
    STARTING_DEADLINE = "starting-deadline"
    CATCH_UP = "catch-up"
    SUSPENDED = "suspended"
    CONCURRENCY = "concurrency"  # Forbid, and a run is active
    WHEN = "when"  # the condition is false
    STOPPED = "stopped"  # stopStrategy
    TOO_LATE = "too-late"
    DOWN = "down"  # no daemon or leader at the time
    SUBMISSION = "submission"  # the child was refused: see message
    NAME_TAKEN = "name-taken"  # another owner's object has the child's name
    REPLACED_SCHEDULE = "schedule-changed"
    MANUAL = "manual"  # `cron trigger`
    DISK_FULL = "disk-full"


@dataclass(frozen=True, slots=True)
class Row:
    """One slot, or a run of slots with the same fate.

    cron_uid: so that a cron deleted and made anew has a new ledger; slot: the first (or only) slot, aware UTC;
    until, count: the last slot of the run and how many, slot and 1 for one; schedule: the line of the spec it came from;
    decided_at: when; run: name of the child, "" where there is none; message: for people, no secret.
    """

    cron: Key
    cron_uid: str
    slot: datetime
    outcome: Outcome
    reason: Reason
    decided_at: datetime
    until: datetime
    count: int = 1
    schedule: str = ""
    run: str = ""
    message: str = ""
    revision: str = ""
