"""What the end of a container means, in Argo's words. Pure; called by `perform`.

Source: Argo v4.1.2 workflow/controller/operator.go inferFailedReason (`main: Error (exit code 1)`), executionDeadline.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from syncd.execute.runtime import Ended

DEADLINE: Final = "Step exceeded its deadline"
LOST: Final = "task was lost: the machine or its supervisor went away while it ran; it is not run again, because it may have had effects"

_BY_TIMEOUT: Final = frozenset({124, 137, 143})
_SLACK: Final = timedelta(milliseconds=100)


def judge(ended: Ended, container: str, at: datetime, deadline: datetime | None, stopped: str = "") -> tuple[str, str]:
    """(phase, message). stopped: why somebody ended it, "" = nobody did. Success is ("Succeeded", "").

    An init container that fails is an Error, as in Argo; only `main` can make a step Failed.
    """
    code = ended.code
    if code is None and ended.fault == LOST and stopped:
        return "Failed", f"{container}: {stopped}"
    if code is None:
        return "Error", f"{container}: {ended.fault}"
    if code == 0:
        return "Succeeded", ""
    if deadline is not None and code in _BY_TIMEOUT and at + _SLACK >= deadline:
        return "Failed", DEADLINE
    message = f"{container}: Error (exit code {code})"
    detail = ended.fault or stopped
    if detail:
        message += f": {detail}"
    return ("Failed" if container == "main" else "Error"), message
