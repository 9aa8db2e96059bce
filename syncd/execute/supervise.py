"""One container of a task: wait for it, adopt it, end it. Called by `perform`, which has started it.

In: a `Job` whose slot names the container. Out: (how it ended, when). A container of our own is a child and is waited
for by pidfd; one of an earlier daemon is no child: its first process is watched the same way where there is one, and its
lock and status file (or the engine) are asked now and then.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from datetime import datetime

from syncd.base.clock import Clock
from syncd.execute import process, verdict
from syncd.execute.folder import State
from syncd.execute.job import Job, Options
from syncd.execute.runtime import Ended

_PATIENCE_SECONDS = 5.0


class Supervisor:
    """The waiting and the signals, with their times."""

    def __init__(self, options: Options, clock: Clock) -> None:
        self._options = options
        self._clock = clock

    async def finish(self, job: Job) -> tuple[Ended, datetime]:
        """Wait for the process that was just started."""
        assert job.pid is not None
        await self._gone(job, job.pid)
        code = process.reap(job.pid)
        job.pid = None
        ended = await self._ended(job, code)
        if ended is None:
            if await asyncio.to_thread(job.runtime.alive, job.slot):
                return await self.adopt(job, State.ALIVE)
            ended = Ended(None, verdict.LOST)
        at = self._clock.now()
        await self._swept(job)
        return ended, at

    async def adopt(self, job: Job, state: State) -> tuple[Ended, datetime]:
        """Go on with a container that an earlier daemon started: wait for it, or learn how it ended."""
        if state is State.ALIVE:
            await (self._engine(job) if job.runtime.slow else self._watched(job))
        ended = await self._last_words(job)
        if ended is None:
            return Ended(None, verdict.LOST), self._clock.now()
        await self._swept(job)
        at = ended.at
        if at is None and not job.runtime.slow:
            with contextlib.suppress(OSError):
                at = job.slot.ended_at()
        return ended, at or self._clock.now()

    async def term(self, job: Job, grace_seconds: float) -> None:
        """TERM now, KILL after the grace. A TERM that comes before the command was let go waits for it."""
        self.kill_after(job, grace_seconds)
        if job.runtime.slow:
            await asyncio.to_thread(self._signal_engine, job, signal.SIGTERM)
            return
        waited = 0.0
        while not job.runtime.listens(job.slot) and job.finished is None and waited < _PATIENCE_SECONDS:
            await asyncio.sleep(self._options.poll_seconds)
            waited += self._options.poll_seconds
        job.runtime.signal(job.slot, signal.SIGTERM)

    def kill_after(self, job: Job, seconds: float) -> None:
        """KILL, unless it has ended by then."""
        job.killer = asyncio.get_running_loop().call_later(max(0.0, seconds), self._kill, job)

    def _kill(self, job: Job) -> None:
        if job.finished is not None:
            return
        if job.runtime.slow:
            asyncio.get_running_loop().run_in_executor(None, self._signal_engine, job, signal.SIGKILL)
        else:
            job.runtime.signal(job.slot, signal.SIGKILL)

    @staticmethod
    def _signal_engine(job: Job, number: signal.Signals) -> None:
        """To the container, or to the client that is still pulling its image."""
        if job.runtime.listens(job.slot):
            job.runtime.signal(job.slot, number)
        elif job.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(job.pid, number)

    async def _watched(self, job: Job) -> None:
        """Until the exit code is written, or nothing of it is alive any more."""
        while job.runtime.alive(job.slot):
            pid = job.runtime.watched(job.slot)
            try:
                async with asyncio.timeout(self._options.sample_seconds):
                    if pid is None:
                        await asyncio.sleep(self._options.poll_seconds)
                    else:
                        await self._gone(job, pid)
            except ProcessLookupError:
                continue
            except TimeoutError:
                pass
            if not job.runtime.listens(job.slot):
                await asyncio.to_thread(job.runtime.release, job.slot)

    async def _engine(self, job: Job) -> None:
        """Until the engine says that it has ended. A deadline that the client did not live to enforce is enforced here."""
        while await asyncio.to_thread(job.runtime.alive, job.slot):
            await asyncio.sleep(self._options.sample_seconds)
            if job.task.deadline is None:
                continue
            over = (self._clock.now() - job.task.deadline).total_seconds()
            if over > self._options.kill_after_seconds:
                await asyncio.to_thread(job.runtime.signal, job.slot, signal.SIGKILL)

    async def _last_words(self, job: Job) -> Ended | None:
        """How an adopted container ended; a moment is given to bwrap, which writes when what was inside is gone."""
        waited = 0.0
        while (ended := await self._ended(job, None)) is None and waited < self._options.last_words_seconds:
            await asyncio.sleep(self._options.poll_seconds)
            waited += self._options.poll_seconds
        return ended

    async def _ended(self, job: Job, code: int | None) -> Ended | None:
        if job.runtime.slow:
            return await asyncio.to_thread(job.runtime.ended, job.slot, code, job.stderr)
        return job.runtime.ended(job.slot, code, job.stderr)

    async def _swept(self, job: Job) -> None:
        """End what the command left behind, and see it gone: outputs are read only when nobody writes any more."""
        if job.runtime.slow or not job.slot.held():
            return
        job.runtime.sweep(job.slot)
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while job.slot.held():  # noqa: ASYNC110 - the kernel has no event for a lock
                await asyncio.sleep(self._options.poll_seconds)

    async def _gone(self, job: Job, pid: int) -> None:
        """Until process `pid` has ended; may be cancelled."""
        gone = asyncio.Event()
        job.cancel = cancel = process.when_gone(pid, gone.set)
        try:
            await gone.wait()
        finally:
            cancel()
            job.cancel = None
