"""Folders of ended tasks, removed a little later and all at once. Called by `perform`.

Not at once: while the kernel takes a sandbox's mounts down, rmdir of a folder that was mounted waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from pathlib import Path
from typing import Final

_DELAY_SECONDS: Final = 0.25


class Leftovers:
    """What is to be removed. Lives on an event loop; the work is done in a thread."""

    def __init__(self) -> None:
        self._folders: list[Path] = []
        self._timer: asyncio.TimerHandle | None = None

    def add(self, folder: Path) -> None:
        """Remove it soon. What is not there is passed over."""
        self._folders.append(folder)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_DELAY_SECONDS, self._sweep)

    async def close(self) -> None:
        """Remove what is left now."""
        if self._timer is not None:
            self._timer.cancel()
        folders, self._folders, self._timer = self._folders, [], None
        await asyncio.to_thread(remove_all, folders)

    def _sweep(self) -> None:
        folders, self._folders, self._timer = self._folders, [], None
        asyncio.get_running_loop().run_in_executor(None, remove_all, folders)


def remove_all(folders: list[Path]) -> None:
    """Remove folders; blocking."""
    for folder in folders:
        if not _remove_light(folder):
            remove_folder(folder)


def _remove_light(folder: Path) -> bool:
    """Remove the folder of a light task by the names that it has; False: there is more in it."""
    try:
        for name in ("main.json", "main.lock", "main.status"):
            (folder / name).unlink(missing_ok=True)
        (folder / "tmp").rmdir()
        folder.rmdir()
    except OSError:
        return False
    return True


def remove_folder(folder: Path) -> None:
    """Remove a folder that a step has written to: one without permissions of its own is given some first."""
    for here, names, _ in os.walk(folder):
        for name in names:
            path = Path(here, name)
            if not path.is_symlink() and not os.access(path, os.R_OK | os.W_OK | os.X_OK):
                with contextlib.suppress(OSError):
                    path.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)
