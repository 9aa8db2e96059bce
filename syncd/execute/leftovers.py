"""Folders of ended tasks: removed a little later, or used again by a later task. Called by `perform`.

Not at once: while the kernel takes a sandbox's mounts down, rmdir of a folder that was mounted waits for it.

Used again, because ext4 gives an inode that was just deleted to nobody for one to five minutes, and looks through all of those at
each file that is made (fs/ext4/ialloc.c recently_deleted): with five made and deleted for each step that was a third of
the daemon's time. What a step can reach (its /tmp, the lock) is new for each; the folder and the two files that only we and bwrap
write to are kept, emptied, in a place of their own, so that nothing there can be taken for a task.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from pathlib import Path
from typing import Final

from syncd.execute.folder import Slot

_DELAY_SECONDS: Final = 0.25
_SPARES: Final = 256
_KEPT: Final = ("main.json", "main.status")
_LIGHT: Final = frozenset({*_KEPT, "main.lock", "tmp"})


class Leftovers:
    """What is to be removed. Lives on an event loop; the work is done in a thread. place: for what can be used again."""

    def __init__(self, place: Path) -> None:
        self._folders: list[Path] = []
        self._timer: asyncio.TimerHandle | None = None
        self._place = place
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._spares = list(place.iterdir())

    def again(self, folder: Path) -> bool:
        """Make `folder` out of one that has served: with an empty record and status, and nothing else. False: there is none."""
        while self._spares:
            with contextlib.suppress(OSError):
                self._spares.pop().rename(folder)
                return True
        return False

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
        await asyncio.to_thread(self._put_away, folders)

    def _sweep(self) -> None:
        folders, self._folders, self._timer = self._folders, [], None
        asyncio.get_running_loop().run_in_executor(None, self._put_away, folders)

    def _put_away(self, folders: list[Path]) -> None:
        """Keep what can be used again, remove the rest; blocking."""
        remove_all([folder for folder in folders if not self._keep(folder)])

    def _keep(self, folder: Path) -> bool:
        """Empty the folder of a light task and keep it; False: there is more in it, or there are enough."""
        try:
            if len(self._spares) >= _SPARES or set(os.listdir(folder)) != _LIGHT or Slot(folder, "main").held():  # noqa: PTH208 - names, and many
                return False
            (folder / "tmp").rmdir()
            (folder / "main.lock").unlink()
            for name in _KEPT:
                os.truncate(folder / name, 0)
            spare = folder.rename(self._place / folder.name)
        except OSError:
            return False
        self._spares.append(spare)
        return True


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
