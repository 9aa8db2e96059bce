"""The made-up /etc of the sandbox: the dozen files that programs need, copied from the machine's.

In: a folder below the state directory. Out: its files, written. No shadow file, no private key, no machine's accounts.
Called when the executor is made, and again before a start where the machine's resolv.conf has changed since.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

HOME: Final = "/root"
"""$HOME inside, as in most images; empty at first."""

COPIED: Final = (
    "resolv.conf",
    "hosts",
    "nsswitch.conf",
    "localtime",
    "timezone",
    "ld.so.cache",
    "ld.so.conf",
    "mime.types",
    "os-release",
    "protocols",
    "services",
    "debian_version",
    "alpine-release",
    "redhat-release",
)
TREES: Final = (
    "alternatives",
    "ssl/certs",
    "pki/tls/certs",
    "pki/ca-trust/extracted",
    "ld.so.conf.d",
    "ca-certificates",
)
"""Copied with their links as links: most of them lead to /usr."""

MORE: Final = ("ssl/openssl.cnf", "ssl/cert.pem")

_SIZE_CAP: Final = 16 * 1024 * 1024


def write(folder: Path) -> Path:
    """Fill `folder` (made anew) and return it. What the machine does not have is left out."""
    fresh = folder.with_name(folder.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True, mode=0o755)
    for name in (*COPIED, *MORE):
        _copy(Path("/etc", name), fresh / name)
    for name in TREES:
        source = Path("/etc", name)
        if source.is_dir():
            shutil.copytree(source, fresh / name, symlinks=True, ignore=_unreadable, dirs_exist_ok=True)
    uid, gid = os.getuid(), os.getgid()
    users = f"root:x:0:0:root:{HOME}:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    groups = "root:x:0:\nnogroup:x:65534:\n"
    if uid not in (0, 65534):
        users += f"step:x:{uid}:{gid}::{HOME}:/bin/sh\n"
    if gid not in (0, 65534):
        groups += f"step:x:{gid}:\n"
    (fresh / "passwd").write_text(users)
    (fresh / "group").write_text(groups)
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)
    return folder


def refresh(folder: Path) -> None:
    """Copy resolv.conf again where it is newer: laptops change networks. In place: running steps see it, too."""
    source, target = Path("/etc/resolv.conf"), folder / "resolv.conf"
    try:
        if source.stat().st_mtime > target.stat().st_mtime:
            target.write_bytes(source.read_bytes()[:_SIZE_CAP])
    except OSError:
        return


def _copy(source: Path, target: Path) -> None:
    try:
        if not source.is_file() or source.stat().st_size > _SIZE_CAP:
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
        target.chmod(0o644)
    except OSError:
        return


def _unreadable(folder: str, names: list[str]) -> set[str]:
    """What is no plain file, folder or link, or may not be read by everybody: a key does not come along."""
    left_out = set()
    for name in names:
        path = Path(folder, name)
        if path.is_symlink() or path.is_dir():
            continue
        if not path.is_file() or not path.stat().st_mode & 0o004:
            left_out.add(name)
    return left_out
