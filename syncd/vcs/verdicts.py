"""What git meant: its exit and last words in, one of our errors out, without user info. `vcs.door` raises, callers sort.

git says most things only in prose; the table is that prose (LC_ALL=C), first match wins.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from syncd.base.errors import ConfigError, Refused, SyncdError, Unreachable


class Kind(StrEnum):
    """Why git failed, by what the caller does next."""

    REFUSED = "refused"  # credentials, host keys, protocols: a person must act
    NO_REPOSITORY = "no-repository"  # nothing there, or nothing that we may see
    MOVED = "moved"  # the remote no longer offers what was asked for: ask again
    NOT_SHALLOW = "not-shallow"  # the remote cannot cut history
    NETWORK = "network"  # nobody answers
    TIMEOUT = "timeout"  # nobody answers in time; git was killed
    TOO_MUCH = "too-much"  # more output than was agreed; git was killed
    LOCAL = "local"  # anything else: the repository of ours may be broken


_WORDS: Final[tuple[tuple[str, Kind, str], ...]] = (
    ("host key verification failed", Kind.REFUSED, "put the host's key into auth.knownHostsFile"),
    ("no ecdsa host key is known", Kind.REFUSED, "put the host's key into auth.knownHostsFile"),
    ("permission denied (publickey", Kind.REFUSED, "check auth.identityFile and the key's rights on the repository"),
    ("load key", Kind.REFUSED, "check auth.identityFile: it cannot be read as a key"),
    ("authentication failed", Kind.REFUSED, "check auth.username and auth.passwordFile"),
    ("could not read username", Kind.REFUSED, "the remote wants credentials: set auth.username and auth.passwordFile"),
    ("could not read password", Kind.REFUSED, "the remote wants credentials: set auth.passwordFile"),
    ("error: 401", Kind.REFUSED, "check auth.username and auth.passwordFile"),
    ("error: 403", Kind.REFUSED, "the credentials have no right to read the repository"),
    ("access denied", Kind.REFUSED, "the credentials have no right to read the repository"),
    ("certificate", Kind.REFUSED, "check the host's certificate, or set auth.caFile"),
    ("not allowed", Kind.REFUSED, "the transport is not allowed"),
    ("dubious ownership", Kind.REFUSED, "the repository belongs to another user; run syncd as that user"),
    ("remote error: upload-pack: not our ref", Kind.MOVED, ""),
    ("does not allow request for unadvertised object", Kind.MOVED, ""),
    ("couldn't find remote ref", Kind.MOVED, ""),
    ("does not support shallow", Kind.NOT_SHALLOW, ""),
    ("' not found", Kind.NO_REPOSITORY, "check the url and the credentials' rights"),
    ("repository not found", Kind.NO_REPOSITORY, "check the url and the credentials' rights"),
    ("error: 404", Kind.NO_REPOSITORY, "check the url and the credentials' rights"),
    ("does not appear to be a git repository", Kind.NO_REPOSITORY, "check the url or path"),
    ("does not exist", Kind.NO_REPOSITORY, "check the url or path"),
    ("could not resolve host", Kind.NETWORK, ""),
    ("failed to connect", Kind.NETWORK, ""),
    ("connection refused", Kind.NETWORK, ""),
    ("connection timed out", Kind.NETWORK, ""),
    ("connection reset", Kind.NETWORK, ""),
    ("connection closed", Kind.NETWORK, ""),
    ("connection to ", Kind.NETWORK, ""),
    ("operation timed out", Kind.NETWORK, ""),
    ("operation too slow", Kind.NETWORK, ""),
    ("network is unreachable", Kind.NETWORK, ""),
    ("no route to host", Kind.NETWORK, ""),
    ("temporary failure in name resolution", Kind.NETWORK, ""),
    ("the requested url returned error: 5", Kind.NETWORK, ""),
    ("the requested url returned error: 4", Kind.NETWORK, ""),
    ("rpc failed", Kind.NETWORK, ""),
    ("unable to access", Kind.NETWORK, ""),
    ("could not read from remote repository", Kind.NETWORK, ""),
    ("the remote end hung up", Kind.NETWORK, ""),
    ("early eof", Kind.NETWORK, ""),
    ("unexpected disconnect", Kind.NETWORK, ""),
    ("no space left on device", Kind.NETWORK, "free some disk"),
)
"""A piece of git's words, in lower case → what it means → what to do. Source: git 2.39 and libcurl's own messages."""

_USER_INFO: Final = re.compile(r"(://)[^/\s@]*@")
_LONGEST: Final = 300


def redacted(text: str) -> str:
    """Text for people: no user info in URLs, no control characters, one line, at most 300 characters.

    >>> redacted("fatal: https://u:p@h/a: \\x1b[31mno")
    'fatal: https://h/a: ?[31mno'
    """
    text = _USER_INFO.sub(r"\1", " ".join(text.split()))
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


class GitFailed(Exception):
    """git ended badly. words: its own, redacted; remedy: "" where none is known."""

    def __init__(self, subcommand: str, kind: Kind, words: str, remedy: str = "") -> None:
        super().__init__(f"git {subcommand}: {words}")
        self.subcommand = subcommand
        self.kind = kind
        self.words = words
        self.remedy = remedy

    def as_error(self, what: str) -> SyncdError:
        """The error of the tree that it is to whoever asked for `what` (already redacted)."""
        text = f"{what}: {self.words or 'git failed without a word'}"
        if self.remedy:
            text += f"; {self.remedy}"
        if self.kind is Kind.REFUSED:
            return Refused(text)
        if self.kind is Kind.NO_REPOSITORY:
            return ConfigError(text)
        return Unreachable(text)


def sorted_out(subcommand: str, stderr: bytes) -> GitFailed:
    """What git's stderr means: its kind, the lines that say why, and what to do ("" = nothing but to try again)."""
    text = stderr.decode("utf-8", "replace").replace("\r", "\n")
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    telling = [line for line in lines if line.lower().startswith(("fatal:", "error:", "remote:", "ssh:"))]
    chosen = telling[-3:] or lines[-2:]
    kind, remedy = Kind.LOCAL, ""
    for piece, meant, advice in _WORDS:
        match = next((line for line in lines if piece in line.lower()), None)
        if match is not None:
            kind, remedy = meant, advice
            chosen = [match, *(line for line in chosen if line != match)]
            break
    words = "; ".join(line.removeprefix("fatal: ").removeprefix("error: ") for line in chosen)
    return GitFailed(subcommand, kind, redacted(words), remedy)
