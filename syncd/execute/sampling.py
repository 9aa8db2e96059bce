"""Looks at running tasks once a second: progress that they wrote, and how long their logs are. Called by `perform`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from syncd.engine.observations import TaskProgress
from syncd.execute import logfiles
from syncd.execute.api import Report
from syncd.execute.job import Job

_PROGRESS: Final = re.compile(rb"\s*(\d{1,9})/(\d{1,9})\s*")


class Sampling:
    """Runs only while tasks do. jobs: all that are known now."""

    def __init__(self, jobs: Callable[[], Iterable[Job]], report: Report, seconds: float) -> None:
        self._jobs = jobs
        self._report = report
        self._seconds = seconds
        self._running: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """A task has started."""
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run(), name="sample tasks")

    async def close(self) -> None:
        """Look no more."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    def progress(self, job: Job) -> None:
        """Report progress that has changed."""
        if job.progress_path is None:
            return
        found = read_progress(job.progress_path)
        if found and found != job.progress:
            job.progress = found
            self._report(TaskProgress(job.task.task_id, found))

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._seconds)
            running = [job for job in self._jobs() if job.finished is None and job.started_at is not None]
            if not running:
                return
            for job in running:
                self.progress(job)
                _mark(job)


def _mark(job: Job) -> None:
    """Note how long the log is, so that its lines have times."""
    with contextlib.suppress(OSError):
        found = job.log.stat()
        if found.st_size != job.log_size:
            job.log_size = found.st_size
            logfiles.add_mark(job.log.parent, job.log.stem, found.st_size, found.st_mtime)


def read_progress(path: Path) -> str:
    """`N/M` of a progress file, "" where there is none; the file is the step's, so it may be anything."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return ""
        found = _PROGRESS.fullmatch(os.read(fd, 64))
    finally:
        os.close(fd)
    if found is None or int(found[1]) > int(found[2]):
        return ""
    return f"{int(found[1])}/{int(found[2])}"
