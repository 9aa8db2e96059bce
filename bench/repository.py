"""A git repository of many manifests, made in one stroke. Called by the benchmarks of sources and of memory."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

_QUIET = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "PATH": os.environ.get("PATH", os.defpath),
}


def git(*words: str, given: bytes | None = None) -> bytes:
    """Run git with nobody's configuration; what it says on stdout."""
    done = subprocess.run(["git", *words], input=given, capture_output=True, check=True, env=_QUIET)
    return done.stdout


class Repository:
    """A bare repository with one branch, `main`. It takes commits without a work tree."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"file://{path}"
        self._commits = 0
        git("init", "--quiet", "--bare", "--initial-branch=main", str(path))

    def commit(self, files: Mapping[str, str]) -> None:
        """Commit these contents on top of what there is, and wait until it is there."""
        self._commits += 1
        message = f"change {len(files)} files"
        lines: list[bytes] = [
            b"commit refs/heads/main\n",
            f"committer Ada <ada@example.com> {1_700_000_000 + self._commits} +0000\n".encode(),
            f"data {len(message)}\n{message}\n".encode(),
        ]
        if self._commits > 1:
            lines.append(b"from refs/heads/main^0\n")
        for path, text in files.items():
            data = text.encode()
            lines.append(f"M 644 inline {path}\ndata {len(data)}\n".encode() + data + b"\n")
        git("-C", str(self.path), "fast-import", "--quiet", "--force", given=b"".join(lines))
