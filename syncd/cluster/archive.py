"""What a store reads out of a Workflow's status: whether the run has ended, when, and which journal entry may come next.

Shared by `cluster.memory` and `cluster.embedded`, so that both answer alike. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from syncd.argo.manifest import Key
from syncd.base.clock import parse_rfc3339
from syncd.base.errors import Conflict


def finished_at(status: Mapping[str, Any] | None) -> datetime | None:
    """When the run ended; None while it has not (a time that cannot be read counts as none)."""
    text = status.get("finishedAt") if isinstance(status, Mapping) else None
    if not isinstance(text, str) or not text:
        return None
    try:
        return parse_rfc3339(text)
    except ValueError:
        return None


def phase(status: Mapping[str, Any] | None) -> str:
    """Argo's phase, "" where there is none yet."""
    found = status.get("phase") if isinstance(status, Mapping) else None
    return found if isinstance(found, str) else ""


def check_seq(run: Key, last: int | None, seq: int) -> None:
    """Whether entry `seq` may follow entry `last` (0 = none yet; None = trimmed: any). Raises Conflict."""
    if last is None or seq == last + 1:
        return
    if seq <= last:
        raise Conflict(f"{run}: journal entry {seq} is taken, the last is {last}; another process runs this workflow")
    raise Conflict(f"{run}: journal entry {seq} would leave a gap after {last}")
