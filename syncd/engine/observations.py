"""What the world tells a run. The only input of the machine; what the journal keeps; what `execute` reports.

Each is a plain JSON-able value: `encode` and `decode` are the journal's format, whose version is `FORMAT`.
Repeated, late or reordered observations must be harmless: each names the task or node it is about.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from syncd.base.clock import parse_rfc3339, rfc3339_micro
from syncd.base.errors import Defect

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Admitted:
    """The run begins. The first entry of every journal."""


@dataclass(frozen=True, slots=True)
class TaskStarted:
    """A task's process runs. host: what ran it, for people (`sandbox`, `podman`)."""

    task_id: str
    at: datetime
    host: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class TaskFinished:
    """A task has ended. phase: Succeeded, Failed (its own exit code) or Error (staging, capture, lost).

    message: Argo's form, `Error (exit code 1)`; exit_code: None where nothing ran;
    outputs: Argo's Outputs object: parameters [{name, value}], artifacts [{name, <location>}], result, exitCode.
    """

    task_id: str
    at: datetime
    phase: str
    message: str = ""
    exit_code: int | None = None
    started_at: datetime | None = None  # None: it never started
    outputs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TaskProgress:
    """`N/M` as the step itself writes it to $ARGO_PROGRESS_FILE."""

    task_id: str
    progress: str


@dataclass(frozen=True, slots=True)
class Operation:
    """Something that a person or a policy asks of a run.

    verb: suspend | resume | stop | terminate | retry | set; by: who asked; arguments: as `engine.operations` reads them.
    """

    verb: str
    by: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tick:
    """Nothing happened but time: sent when `wake_at` is due."""


Observation = Admitted | TaskStarted | TaskFinished | TaskProgress | Operation | Tick

_KINDS: dict[str, type[Any]] = {
    c.__name__: c for c in (Admitted, TaskStarted, TaskFinished, TaskProgress, Operation, Tick)
}
_FIELDS: dict[type[Any], tuple[str, ...]] = {kind: tuple(f.name for f in fields(kind)) for kind in _KINDS.values()}
_MOMENTS = ("at", "started_at")


def encode(observation: Observation) -> dict[str, Any]:
    """The JSON value of an observation; `decode` gives it back. What it holds is shared, not copied."""
    kind = type(observation)
    value: dict[str, Any] = {"is": kind.__name__}
    for name in _FIELDS[kind]:
        given = getattr(observation, name)
        value[name] = rfc3339_micro(given) if isinstance(given, datetime) else given
    return value


def decode(value: dict[str, Any]) -> Observation:
    """The observation that `encode` wrote; fields that this version does not know are passed over.

    Raises Defect for a kind that this version does not know, or without what it needs.
    """
    kind = _KINDS.get(value.get("is", ""))
    if kind is None:
        raise Defect(
            f"journal holds an observation of unknown kind {value.get('is')!r}; it was written by a newer syncd"
        )
    given = {name: value[name] for name in _FIELDS[kind] if name in value}
    for name in _MOMENTS:
        if isinstance(given.get(name), str):
            given[name] = parse_rfc3339(given[name])
    try:
        observation: Observation = kind(**given)
    except TypeError as error:
        raise Defect(f"journal holds an observation that cannot be read: {error}") from None
    return observation
