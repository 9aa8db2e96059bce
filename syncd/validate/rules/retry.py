"""retryStrategy of a template or of the whole workflow.

Source: Argo v4.1.2 workflow/validate/validate.go validateTemplateHolder, workflow/controller/operator.go processNodeRetries.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from syncd.argo.manifest import Path
from syncd.validate import raw
from syncd.validate.rules.templates import is_duration
from syncd.validate.template import Template

if TYPE_CHECKING:
    from syncd.validate.findings import Say

POLICIES: Final = ("Always", "OnError", "OnFailure", "OnTransientError")
_NUMBER: Final = re.compile(r"[+-]?[0-9]+")


def check(template: Template, say: Say) -> None:
    """Of a template."""
    check_strategy(
        template.body.get("retryStrategy"),
        f"templates.{template.name}.retryStrategy",
        (*template.path, "retryStrategy"),
        say,
        "V360",
    )


def check_strategy(value: object, prefix: str, path: Path, say: Say, policy_code: str = "V204") -> None:
    """A retryStrategy, wherever it stands. policy_code: Argo looks at the policy of a template only."""
    if type(value) is not dict:
        return
    policy = raw.text(value.get("retryPolicy"))
    if policy and policy not in POLICIES:
        say(
            policy_code,
            (*path, "retryPolicy"),
            f"{policy} is not a valid RetryPolicy",
            f"choose one of: {', '.join(POLICIES)}",
        )
    limit = value.get("limit")
    if type(limit) is str and "{{" not in limit and not _NUMBER.fullmatch(limit):
        say("V361", (*path, "limit"), f"{prefix}.limit '{limit}' is not a whole number")
    elif (type(limit) is int and limit < 0) or (type(limit) is str and limit.startswith("-")):
        say("V361", (*path, "limit"), f"{prefix}.limit must not be negative", "leave it out to retry without end")
    backoff = value.get("backoff")
    if type(backoff) is not dict:
        return
    where = (*path, "backoff")
    if not raw.text(backoff.get("duration")):
        say("V362", where, f"{prefix}.backoff: no base duration specified for retryStrategy", 'add duration: "10s"')
    for field in ("duration", "maxDuration", "cap"):
        text = raw.text(backoff.get(field))
        if text and "{{" not in text and not is_duration(text, seconds=True):
            say("V363", (*where, field), f"{prefix}.backoff.{field} '{text}' is not a duration")
    factor = backoff.get("factor")
    if type(factor) is str and "{{" not in factor and not _NUMBER.fullmatch(factor):
        say("V361", (*where, "factor"), f"{prefix}.backoff.factor '{factor}' is not a whole number")
