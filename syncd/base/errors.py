"""The one tree of errors, sorted by what the caller does next.

    SyncdError
    ├── ConfigError      fix the configuration            (CLI exit 2)
    ├── Invalid          fix a file; carries Problems     (CLI exit 1)
    ├── Unsupported      syncd cannot do this here        (CLI exit 2)
    ├── NotFound         a normal answer                  (HTTP 404)
    ├── AlreadyExists    a normal answer                  (HTTP 409)
    ├── Conflict         read again, decide again         (HTTP 409)
    ├── Expired          list again                       (HTTP 410)
    ├── Refused          permission; do not retry         (HTTP 403)
    ├── Unreachable      retry with backoff               (HTTP 503)
    └── Defect           our bug; report it               (HTTP 500)

Three places turn an error into behaviour: `loops/runner.py`, `server/faults.py`, `cli/main.py`.
A message says what, where and what to do, in lower case, without a full stop, and never holds a secret.
A failing container is data (`engine.observations.TaskFinished`), not an exception.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from syncd.base.problems import Problem


class SyncdError(Exception):
    """The root of the tree; never raised itself."""


class ConfigError(SyncdError):
    """The configuration or the call is wrong; the message lists every fault found, a line each."""


class Invalid(SyncdError):
    """A manifest is wrong. `problems` holds all of them, in file order; may be empty for a single plain fault."""

    def __init__(self, message: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.problems: tuple[Problem, ...] = tuple(problems)


class Unsupported(SyncdError):
    """Right, but not something that syncd can do in this mode or on this machine."""


class NotFound(SyncdError):
    """No such object."""


class AlreadyExists(SyncdError):
    """The name is taken. Whether by us is for the caller to find out before it believes so."""


class Conflict(SyncdError):
    """The object changed since it was read, or its state forbids the operation."""


class Expired(SyncdError):
    """A watch or a page token is too old: list again."""


class Refused(SyncdError):
    """The other side says no: permission, policy, admission."""


class Unreachable(SyncdError):
    """A network, a disk or a process did not answer. Retrying may help.

    retry_after_seconds: what the other side asked for; None means it did not say.
    """

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class Defect(SyncdError):
    """An invariant of syncd's own does not hold."""
