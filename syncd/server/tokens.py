"""The token of a state directory: made at the first start, read by the CLI of the same user, 0600.

A path comes in, the token's text goes out. Called by `app` at start and by `cli` to talk to a running daemon.
The file is refused when others could have read it: whoever holds the token runs programs as the daemon's user.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path

from syncd.base.errors import ConfigError, NotFound

SHORTEST = 20
"""Characters that a token must have; the ones made here have 43."""

_LONGEST = 4096


def load_or_create(path: Path) -> str:
    """The token in `path`, made there if it is not. Safe when two daemons start at once: both get the same one.

    Raises ConfigError where the file is another's, readable by others, or holds no token.
    """
    with contextlib.suppress(NotFound):
        return load(path)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        # A link fails where the name is taken, so that the file is whole from its first moment and never replaced.
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    return load(path)


def load(path: Path) -> str:
    """The token in `path`. Raises NotFound where there is no file, ConfigError where it cannot be trusted."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFound(f"no token at {path}; the daemon makes one when it starts") from None
    except OSError as error:
        raise ConfigError(f"token file {path} cannot be read: {error.strerror}; run as its owner") from None
    with os.fdopen(handle, "rb") as file:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode):
            raise ConfigError(
                f"token file {path} is not a regular file; remove it, a new one is made at the next start"
            )
        if facts.st_uid != os.geteuid() and os.geteuid() != 0:
            raise ConfigError(f"token file {path} belongs to user {facts.st_uid}; use a state directory of your own")
        if facts.st_mode & 0o077:
            raise ConfigError(
                f"token file {path} can be read by other users (mode {stat.S_IMODE(facts.st_mode):04o}); "
                "remove it, a new one is made at the next start"
            )
        text = file.read(_LONGEST).decode("ascii", "replace").strip()
    if len(text) < SHORTEST or not text.isprintable() or " " in text:
        raise ConfigError(f"token file {path} holds no token; remove it, a new one is made at the next start")
    return text
