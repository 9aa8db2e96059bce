"""Whether a failed attempt is followed by another: retryStrategy, decided purely.

Source: Argo v4.1.2 operator.go processNodeRetries. Deviation on purpose: the backoff is waited for without a `limit` too
(Argo waits only where one is set).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from syncd.argo import status, template
from syncd.base import units
from syncd.base.errors import Invalid
from syncd.engine.nodes import Node
from syncd.expr import evaluate
from syncd.expr.environment import Impurity, Variables

POLICIES = frozenset({"Always", "OnFailure", "OnError", "OnTransientError"})
_LONGEST = timedelta(days=3650)
_TRANSIENT = re.compile(
    r"exceeded quota|timeout|timed out|connection reset|connection refused|TLS handshake|too many requests|"
    r"i/o timeout|no such host|server is currently unable|etcdserver: leader changed|unexpected EOF",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Again:
    """Start the next attempt now. deadline: backoff.maxDuration's end for it, None = none."""

    deadline: datetime | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """Ask again at `until`; message: for the node meanwhile."""

    until: datetime
    message: str


@dataclass(frozen=True, slots=True)
class Enough:
    """No more attempts: the retried node ends so."""

    phase: str
    message: str


def policy(strategy: Mapping[str, Any]) -> str:
    """The policy in force: Always where an expression decides, else OnFailure. Source: Argo RetryPolicyActual."""
    given = str(strategy.get("retryPolicy") or "")
    if given:
        return given
    return "Always" if strategy.get("expression") else "OnFailure"


def decide(
    strategy: Mapping[str, Any], attempts: Sequence[Node], now: datetime, impurity: Impurity | None = None
) -> Again | Wait | Enough:
    """What follows the last of `attempts`, which is fulfilled. attempts: oldest first, at least one.

    Raises Invalid for a strategy that cannot be read.
    """
    last = attempts[-1]
    if not last.unsuccessful:
        return Enough(status.SUCCEEDED, "")
    backoff = strategy.get("backoff") or {}
    execution_deadline: datetime | None = None
    wait: Wait | None = None
    if backoff:
        if backoff.get("maxDuration"):
            execution_deadline = attempts[0].started_at + _duration(backoff["maxDuration"], "maxDuration")
            if now > execution_deadline:
                return Enough(last.phase, "Max duration limit exceeded")
        if not backoff.get("duration"):
            raise Invalid("no base duration specified for retryStrategy")
        pause = pause_before(backoff, len(attempts))
        until = (last.finished_at or now) + pause
        if execution_deadline is not None and until > execution_deadline:
            return Enough(last.phase, "Backoff would exceed max duration limit")
        if now < until:
            wait = Wait(until, f"Backoff for {units.human_duration(pause)}")
    rule = policy(strategy)
    if rule not in POLICIES:
        raise Invalid(f"{rule} is not a valid RetryPolicy")
    transient = rule == "OnTransientError" and bool(_TRANSIENT.search(last.message))
    on_failed = rule in ("Always", "OnFailure") or transient
    on_error = rule in ("Always", "OnError") or transient
    if (last.phase == status.FAILED and not on_failed) or (last.phase == status.ERROR and not on_error):
        return Enough(last.phase, last.message)
    limit = template.number(strategy.get("limit"))
    if strategy.get("limit") is not None and limit is None:
        raise Invalid(f"retryStrategy.limit is not a whole number: {template.any_string(strategy['limit'])[:100]!r}")
    if limit is not None and len(attempts) > limit:
        return Enough(last.phase, "No more retries left")
    if strategy.get("expression"):
        values = {**last_retry(attempts, first_exit_code="-1"), "retries": str(len(attempts) - 1)}
        if not evaluate.truth(str(strategy["expression"]), Variables(values), impurity=impurity):
            return Enough(last.phase, "retryStrategy.expression evaluated to false")
    return wait or _breath(attempts, now) or Again(execution_deadline)


_AT_ONCE = 10


def _breath(attempts: Sequence[Node], now: datetime) -> Wait | None:
    """A pause after many attempts that took no time at all: what cannot start must not be tried without end at once."""
    last = attempts[-1]
    if len(attempts) < _AT_ONCE or last.started_at != last.finished_at or now > last.started_at:
        return None
    pause = timedelta(seconds=min(2 ** min(len(attempts) - _AT_ONCE, 6), 60))
    return Wait(now + pause, f"Backoff for {units.human_duration(pause)}")


def pause_before(backoff: Mapping[str, Any], attempts: int) -> timedelta:
    """How long to wait after `attempts` attempts: duration * factor^(attempts-1), at most cap."""
    pause = _duration(backoff["duration"], "duration")
    factor = template.number(backoff.get("factor"))
    if factor is not None and factor > 0:
        exponent = attempts - 1
        seconds = pause.total_seconds()
        grown = min(min(float(factor), 1e4) ** min(exponent, 64), 1e30) * seconds
        pause = _LONGEST if grown >= _LONGEST.total_seconds() else timedelta(seconds=grown)
    if backoff.get("cap"):
        pause = min(pause, _duration(backoff["cap"], "cap"))
    return pause


def _duration(value: Any, name: str) -> timedelta:
    try:
        return units.parse_duration_or_seconds(template.any_string(value))
    except ValueError as error:
        raise Invalid(f"retryStrategy.backoff.{name}: {error}") from None
    except Invalid as error:
        raise Invalid(f"retryStrategy.backoff.{name}: {error}") from None


def last_retry(attempts: Sequence[Node], *, first_exit_code: str = "0") -> dict[str, object]:
    """`lastRetry.*` for the attempt that follows `attempts`; the first sees "0" and empty texts, as in Argo."""
    if not attempts:
        return {
            "lastRetry.exitCode": "0",
            "lastRetry.status": "",
            "lastRetry.duration": "0",
            "lastRetry.message": "",
        }
    last = attempts[-1]
    seconds = ((last.finished_at or last.started_at) - last.started_at).total_seconds()
    return {
        "lastRetry.exitCode": str((last.outputs or {}).get("exitCode", first_exit_code)),
        "lastRetry.status": last.phase,
        "lastRetry.duration": f"{seconds:g}",
        "lastRetry.message": last.message,
    }
