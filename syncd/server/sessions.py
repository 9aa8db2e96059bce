"""How a browser gets in: a one-time code in a printed link becomes a session cookie. Kept in memory, gone with the daemon.

Monotonic seconds come in as `now`; codes and session texts go out. Held by `auth.Doors`; `app` prints the first link.
Only hashes are kept, and looked up by hash, so that timing tells nothing about a text that was not right.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from typing import Final

CODE_SECONDS: Final = 600.0
SESSION_SECONDS: Final = 12 * 3600.0
_MOST_CODES: Final = 16
_MOST_SESSIONS: Final = 64


class Sessions:
    """Codes and sessions, each with its end; the oldest go when there are too many."""

    def __init__(self) -> None:
        self._codes: OrderedDict[bytes, float] = OrderedDict()
        self._sessions: OrderedDict[bytes, float] = OrderedDict()

    def new_code(self, now: float) -> str:
        """A code for one login within `CODE_SECONDS`."""
        return _issue(self._codes, now + CODE_SECONDS, _MOST_CODES)

    def redeem(self, code: str, now: float) -> str | None:
        """The session that `code` opens; None for a code that is wrong, used or too old. A code works once."""
        ends = self._codes.pop(_digest(code), None)
        if ends is None or ends < now:
            return None
        return _issue(self._sessions, now + SESSION_SECONDS, _MOST_SESSIONS)

    def holds(self, session: str, now: float) -> bool:
        """Whether the session is open."""
        ends = self._sessions.get(_digest(session))
        return ends is not None and now <= ends

    def end(self, session: str) -> None:
        """Log out. Unknown: nothing happens."""
        self._sessions.pop(_digest(session), None)


def _issue(table: OrderedDict[bytes, float], ends: float, most: int) -> str:
    text = secrets.token_urlsafe(32)
    table[_digest(text)] = ends
    while len(table) > most:
        table.popitem(last=False)
    return text


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
