"""The real clock, the real randomness, and where state lies. Tests bring their own instead."""

from __future__ import annotations

import os
import secrets
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""What Kubernetes' generateName draws from: no vowels, so no words. Source: k8s.io/apimachinery/pkg/util/rand."""


class SystemClock:
    """Implements `base.clock.Clock`."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


class SystemRandom:
    """Implements `base.clock.Random`."""

    def suffix(self, length: int = 5) -> str:
        return "".join(secrets.choice(_ALPHABET) for _ in range(length))

    def uid(self) -> str:
        return str(uuid.uuid4())

    def jitter(self) -> float:
        return secrets.randbelow(2**32) / 2**32


def state_directory(given: str, environment: Mapping[str, str] | None = None) -> Path:
    """The state directory: as given, else $SYNCD_STATE, $XDG_STATE_HOME/syncd, ~/.local/state/syncd."""
    env = os.environ if environment is None else environment
    if given or env.get("SYNCD_STATE"):
        return Path(given or env["SYNCD_STATE"]).expanduser().absolute()
    base = env.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base).expanduser() / "syncd"
