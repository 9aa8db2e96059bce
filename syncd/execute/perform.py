"""Performs tasks: stages, starts, adopts, ends, captures, reports. Implements `api.Executor` over a runtime.

In: `StartTask` from `loops.run`. Out: TaskStarted, TaskProgress, TaskFinished through `report`.
Every end is reported, whatever happened; errors of the tree become TaskFinished(phase="Error") with their words.

Two ways lead through here. A light task (a process, and nothing to bring or take away) is started within `start`, on
the event loop, and its end is one callback: half a millisecond of Python a step. Anything else gets an asyncio task of
its own (`_work`), whose blocking parts run in threads, and which is also the way in after a restart: it looks at what
the folder tells (`folder.Slot.examine`) and goes on from there. `_ran` is where both meet.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import stat
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import orjson

from syncd.artifacts.api import ReadConfigMap
from syncd.artifacts.repository import Repository, for_template
from syncd.artifacts.store import Artifacts
from syncd.base.clock import Clock
from syncd.base.errors import Defect, NotFound, SyncdError
from syncd.engine.actions import StartTask
from syncd.engine.observations import TaskFinished, TaskProgress, TaskStarted
from syncd.execute import capture, etc, logfiles, process, staging, verdict, volumes
from syncd.execute.api import Report
from syncd.execute.command import KeyLookup
from syncd.execute.folder import Record, Slot, State, boot_id
from syncd.execute.runtime import Ended, Launch, Runtime
from syncd.execute.secrets import Directory, Mask

_PROGRESS: Final = re.compile(rb"\s*(\d{1,9})/(\d{1,9})\s*")
_STATUS_WAIT_SECONDS: Final = 5.0
_BROOM_SECONDS: Final = 0.25
_FAMILIAR: Final = 10_000


@dataclass(frozen=True, slots=True)
class Options:
    """Knobs. kill_after_seconds: from a deadline's TERM to KILL; sample_seconds: between looks at progress and logs;
    poll_seconds: between looks at a task that cannot be waited for; last_words_seconds: how long an exit code may come
    after its process; parameter_bytes: of one output parameter."""

    kill_after_seconds: float = 10.0
    sample_seconds: float = 1.0
    poll_seconds: float = 0.05
    last_words_seconds: float = 1.0
    parameter_bytes: int = 1024 * 1024


@dataclass(slots=True)
class _Job:
    """A task that was started here and has not been forgotten."""

    task: StartTask
    folder: Path
    runtime: Runtime
    slot: Slot
    log: Path
    pid: int | None = None
    started_at: datetime | None = None
    deadline: datetime | None = None
    stopped: str = ""
    finished: TaskFinished | None = None
    worker: asyncio.Task[None] | None = None
    cancel: Callable[[], None] | None = None
    killer: asyncio.TimerHandle | None = None
    progress: str = ""
    progress_path: Path | None = None
    log_size: int = 0

    @property
    def stdout(self) -> Path:
        """Where stdout goes: the log, as a rule together with stderr."""
        return self.log

    @property
    def stderr(self) -> Path:
        """A file of its own only where stdout is an output."""
        return (
            self.log.with_suffix(".err") if self.task.capture_result and self.slot.label == staging.MAIN else self.log
        )


class Performer:
    """See the module. runtimes: by name; default: of new tasks; state: the state directory, ours alone (mode 0700)."""

    def __init__(
        self,
        *,
        state: Path,
        runtimes: Mapping[str, Runtime],
        default: str,
        artifacts: Artifacts,
        secrets: Directory,
        config_map: ReadConfigMap,
        report: Report,
        clock: Clock,
        path: str,
        etc_folder: Path,
        options: Options | None = None,
    ) -> None:
        self._tasks = state / "tasks"
        self._logs = state / "logs"
        self._shelves = (state / "runs", state / "volumes")
        self._runtimes = dict(runtimes)
        self._default = self._runtimes[default]
        self._artifacts = artifacts
        self._secrets = secrets
        self._config_map = config_map
        self._report = report
        self._clock = clock
        self._path = path
        self._etc = etc_folder
        self._options = options or Options()
        self._boot = boot_id()
        self._jobs: dict[str, _Job] = {}
        self._known_runs: dict[str, None] = {}
        self._sampler: asyncio.Task[None] | None = None
        self._closed = False
        self._rubbish: list[Path] = []
        self._broom: asyncio.TimerHandle | None = None
        process.seal()
        for folder in (self._tasks, self._logs):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    # --- the contract -------------------------------------------------------------------------------------------------

    async def start(self, task: StartTask) -> None:
        """See `api.Executor.start`."""
        known = self._jobs.get(task.task_id)
        if known is not None:
            if known.finished is not None:
                self._report(known.finished)
            return
        try:
            staging.check_names(task)
        except SyncdError as error:
            self._report(TaskFinished(task.task_id, self._clock.now(), "Error", str(error)))
            return
        folder = self._tasks / task.task_id
        log = self._logs / task.run_uid / task.pod_name / "main.log"
        job = _Job(task, folder, self._default, Slot(folder, staging.MAIN), log, deadline=task.deadline)
        self._jobs[task.task_id] = job
        try:
            if staging.is_light(task) and not self._default.slow and not folder.exists():
                self._start_light(job)
            else:
                job.worker = asyncio.create_task(self._work(job), name=f"task {task.task_id}")
        except SyncdError as error:
            self._fail(job, str(error))
        except OSError as error:
            self._fail(job, _words(error))

    async def stop(self, task_id: str, grace_seconds: float, reason: str) -> None:
        """See `api.Executor.stop`."""
        job = self._jobs.get(task_id)
        if job is None or job.finished is not None or job.killer is not None:
            return
        job.stopped = reason or "stopped"
        with contextlib.suppress(OSError):
            (job.folder / "stopped").write_bytes(orjson.dumps({"reason": job.stopped, "grace": grace_seconds}))
        if job.pid is None and job.started_at is None:
            if job.worker is not None:
                job.worker.cancel()
            return
        self._kill_after(job, grace_seconds)
        await self._signal(job, signal.SIGTERM)

    async def forget(self, task_id: str) -> None:
        """See `api.Executor.forget`."""
        job = self._jobs.pop(task_id, None)
        if job is not None:
            self._let_go(job)
            if job.runtime.slow:
                await asyncio.to_thread(job.runtime.clean, job.slot)
        if staging.is_safe(task_id):
            self._rubbish.append(self._tasks / task_id)
            if self._broom is None:
                self._broom = asyncio.get_running_loop().call_later(_BROOM_SECONDS, self._sweep_out)

    async def tidy(self, outstanding: Collection[str]) -> None:
        """After a start: drop the folders of tasks that nobody will ask for again (a crash came before `forget`)."""
        kept = {*outstanding, *self._jobs}
        gone = [folder for folder in await asyncio.to_thread(_entries, self._tasks) if folder.name not in kept]
        await asyncio.to_thread(_remove_all, gone)

    async def forget_run(self, run_uid: str) -> None:
        """The run is deleted: its own volumes go."""
        if staging.is_safe(run_uid):
            await asyncio.to_thread(remove_folder, self._shelves[0] / run_uid)

    async def close(self) -> None:
        """See `api.Executor.close`."""
        self._closed = True
        if self._broom is not None:
            self._broom.cancel()
            await asyncio.to_thread(_remove_all, self._rubbish)
        workers = [job.worker for job in self._jobs.values() if job.worker is not None]
        if self._sampler is not None:
            workers.append(self._sampler)
        for job in self._jobs.values():
            self._let_go(job)
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)

    def running(self) -> int:
        """How many tasks have been started and have not ended."""
        return sum(job.finished is None for job in self._jobs.values())

    def _sweep_out(self) -> None:
        """Remove what was forgotten. Not at once: while the sandbox's mounts are being taken down, rmdir waits for them."""
        folders, self._rubbish, self._broom = self._rubbish, [], None
        asyncio.get_running_loop().run_in_executor(None, _remove_all, folders)

    # --- the light way ------------------------------------------------------------------------------------------------

    def _start_light(self, job: _Job) -> None:
        job.folder.mkdir(mode=0o700)
        shelf = self._shelf(job.task)
        found = staging.layout(job.task, job.folder, shelf, self._etc)
        found.tmp.mkdir()
        found.tmp.chmod(0o1777)
        launch = self._launch(job, found, KeyLookup({}, self._no_secret))
        if launch is None:
            return
        job.progress_path = found.progress
        self._spawn(job, launch)
        assert job.pid is not None
        job.cancel = process.when_gone(job.pid, lambda: self._light_ended(job))

    def _light_ended(self, job: _Job) -> None:
        assert job.pid is not None
        job.cancel = None
        code = process.reap(job.pid)
        ended = job.runtime.ended(job.slot, code, job.stderr)
        if job.slot.held():
            if ended is None:  # bwrap itself was killed, what is inside runs on
                job.worker = asyncio.create_task(self._work(job))
                return
            job.runtime.sweep(job.slot)
        self._conclude(job, ended or Ended(None, verdict.LOST), self._clock.now())

    def _conclude(self, job: _Job, ended: Ended, at: datetime) -> None:
        """The end of a task that hands over no file."""
        phase, message = verdict.judge(ended, "main", at, job.deadline, job.stopped)
        outputs = capture.quick(job.task, ended.code, job.stdout)
        self._finish(job, TaskFinished(job.task.task_id, at, phase, message, ended.code, job.started_at, outputs))

    # --- the long way -------------------------------------------------------------------------------------------------

    async def _work(self, job: _Job) -> None:
        """From whatever the folder tells to the end."""
        try:
            await self._perform(job)
        except asyncio.CancelledError:
            if self._closed or not job.stopped:
                raise
            self._fail(job, job.stopped, phase="Failed")
        except SyncdError as error:
            self._fail(job, str(error))
        except OSError as error:
            self._fail(job, _words(error))
        except Exception as error:  # noqa: BLE001 - a task must end; the words go to the node, not to a traceback
            self._fail(job, str(Defect(f"{type(error).__name__}: {error}")))

    async def _perform(self, job: _Job) -> None:
        task = job.task
        grace = None
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            saved = orjson.loads((job.folder / "stopped").read_bytes())
            job.stopped, grace = job.stopped or str(saved["reason"]), float(saved["grace"])
        job.runtime = await asyncio.to_thread(self._runtime_of, Slot(job.folder, staging.MAIN))
        found = staging.layout(task, job.folder, self._shelf(task), None if job.runtime.slow else self._etc)
        job.progress_path = found.progress
        lookup = await self._lookup(task)
        own: Repository | None = None
        if found.root is not None or task.archive_logs:
            own = for_template(await self._artifacts.repository(task.repository, task.namespace), task.template)
        brought = False
        for label, container in found.containers:
            name = staging.MAIN if label == staging.MAIN else str(container.get("name") or label)
            job.slot = Slot(job.folder, label)
            job.log = self._logs / task.run_uid / task.pod_name / f"{name if staging.is_safe(name) else label}.log"
            job.runtime = await asyncio.to_thread(self._runtime_of, job.slot)
            state = await asyncio.to_thread(job.runtime.examine, job.slot, self._boot)
            if state is State.FRESH:
                if not brought:
                    await asyncio.to_thread(
                        staging.prepare, task, found, lookup, self._artifacts, own or Repository(), True
                    )
                    brought = True
                launch = self._launch(job, found, lookup)
                if launch is None:
                    return
                ended, at = await self._run(job, launch)
            else:
                brought = True
                if grace is not None and job.killer is None:
                    self._kill_after(job, grace)  # an earlier daemon has sent TERM
                ended, at = await self._adopt(job, state)
            if label != staging.MAIN and ended.code != 0:
                phase, message = verdict.judge(ended, name, at, job.deadline, job.stopped)
                await self._mask(job, lookup)
                finished = TaskFinished(task.task_id, at, phase, message, ended.code, job.started_at)
                self._finish(job, finished)
                return
        await self._mask(job, lookup)
        if own is None:
            self._conclude(job, ended, at)
            return
        if job.runtime.slow:
            await asyncio.to_thread(capture.fetch, task, found, job.runtime, job.slot)
        captured = await asyncio.to_thread(
            capture.capture,
            task,
            found,
            ended.code,
            job.stdout,
            job.log,
            self._artifacts,
            own,
            job.started_at or at,
            self._options.parameter_bytes,
        )
        phase, message = verdict.judge(ended, "main", at, job.deadline, job.stopped)
        if phase == "Succeeded" and captured.fault:
            phase, message = "Error", f"wait: Error (exit code 64): {captured.fault}"
        finished = TaskFinished(task.task_id, at, phase, message, ended.code, job.started_at, captured.outputs)
        self._finish(job, finished)

    def _runtime_of(self, slot: Slot) -> Runtime:
        """The runtime that a container was started by; the default where it was not."""
        record = slot.record()
        name = record.runtime if record is not None else ""
        return next((r for r in self._runtimes.values() if r.name == name), self._default)

    async def _run(self, job: _Job, launch: Launch) -> tuple[Ended, datetime]:
        """Start a container and wait for its end."""
        self._spawn(job, launch)
        assert job.pid is not None
        await self._gone(job, job.pid)
        code = process.reap(job.pid)
        job.pid = None
        ended = await self._ended(job, code)
        if ended is None:
            if await asyncio.to_thread(job.runtime.alive, job.slot):
                return await self._adopt(job, State.ALIVE)
            ended = Ended(None, verdict.LOST)
        at = self._clock.now()
        await self._swept(job)
        return ended, at

    async def _adopt(self, job: _Job, state: State) -> tuple[Ended, datetime]:
        """Go on with a container that an earlier daemon started: wait for it, or learn how it ended."""
        record = await asyncio.to_thread(job.slot.record)
        if record is not None:
            job.started_at = job.started_at or record.at
        if state is State.ALIVE:
            if job.slot.label == staging.MAIN:
                self._started(job, job.started_at or self._clock.now())
            self._sample_on()
            await self._wait_adopted(job)
        ended = await self._last_words(job)
        if ended is None:
            return Ended(None, verdict.LOST), self._clock.now()
        await self._swept(job)
        at = ended.at
        if at is None and not job.runtime.slow:
            with contextlib.suppress(OSError):
                at = job.slot.ended_at()
        return ended, at or self._clock.now()

    async def _wait_adopted(self, job: _Job) -> None:
        """Until its exit code is written, or nothing of it is alive any more."""
        if job.runtime.slow:
            while await asyncio.to_thread(job.runtime.alive, job.slot):
                await asyncio.sleep(self._options.sample_seconds)
                over = -(staging.deadline_seconds(job.task, self._clock.now()) or 0.0)
                if over > self._options.kill_after_seconds:
                    await asyncio.to_thread(job.runtime.signal, job.slot, signal.SIGKILL)
            return
        while job.runtime.alive(job.slot):
            pid = job.runtime.watched(job.slot)
            if pid is None:
                await asyncio.sleep(self._options.poll_seconds)
                continue
            with contextlib.suppress(ProcessLookupError, TimeoutError):
                async with asyncio.timeout(self._options.sample_seconds):
                    await self._gone(job, pid)

    async def _last_words(self, job: _Job) -> Ended | None:
        """How an adopted container ended; a moment is given to bwrap, which writes when what was inside is gone."""
        waited = 0.0
        while (ended := await self._ended(job, None)) is None and waited < self._options.last_words_seconds:
            await asyncio.sleep(self._options.poll_seconds)
            waited += self._options.poll_seconds
        return ended

    async def _ended(self, job: _Job, code: int | None) -> Ended | None:
        log = job.stderr
        if job.runtime.slow:
            return await asyncio.to_thread(job.runtime.ended, job.slot, code, log)
        return job.runtime.ended(job.slot, code, log)

    async def _swept(self, job: _Job) -> None:
        """End what the command left behind, and see it gone: outputs are read only when nobody writes any more."""
        if job.runtime.slow or not job.slot.held():
            return
        job.runtime.sweep(job.slot)
        async with asyncio.timeout(_STATUS_WAIT_SECONDS):
            while job.slot.held():  # noqa: ASYNC110 - the kernel has no event for a lock
                await asyncio.sleep(self._options.poll_seconds)

    async def _gone(self, job: _Job, pid: int) -> None:
        """Until process `pid` has ended; may be cancelled."""
        gone = asyncio.Event()
        cancel = process.when_gone(pid, gone.set)
        job.cancel = cancel
        try:
            await gone.wait()
        finally:
            cancel()
            job.cancel = None

    async def _lookup(self, task: StartTask) -> KeyLookup:
        """The ConfigMaps that the task reads, fetched; its Secrets are read when they are asked for."""
        found: dict[str, Mapping[str, str]] = {}
        for name in sorted(staging.config_maps(task)):
            with contextlib.suppress(NotFound):
                body = await self._config_map(task.namespace, name)
                found[name] = {str(k): str(v) for k, v in (body.get("data") or {}).items()}
        return KeyLookup(found, lambda name: self._secrets.read(task.namespace, name))

    async def _mask(self, job: _Job, lookup: KeyLookup) -> None:
        """Take secrets out of the logs of a task that got some, for good."""
        if not lookup.used:
            # after a restart nobody has asked yet: ask as the launch did
            with contextlib.suppress(SyncdError):
                await asyncio.to_thread(staging.touch_secrets, job.task, lookup)
        if lookup.used:
            mask = Mask(lookup.used)
            for path in {job.log, job.stderr}:
                await asyncio.to_thread(logfiles.mask_file, path, mask)

    # --- both ways ----------------------------------------------------------------------------------------------------

    def _launch(self, job: _Job, found: staging.Layout, lookup: KeyLookup) -> Launch | None:
        """The container of job.slot, ready to run; None: its time is over already, and that was reported."""
        now = self._clock.now()
        remaining = staging.deadline_seconds(job.task, now)
        if remaining is not None and remaining <= 0:
            self._finish(job, TaskFinished(job.task.task_id, now, "Failed", verdict.DEADLINE))
            return None
        label, kill_after = job.slot.label, self._options.kill_after_seconds
        return staging.launch(job.task, found, label, lookup, job.runtime, self._path, remaining, kill_after)

    def _spawn(self, job: _Job, launch: Launch) -> None:
        """Claim the record, start the process, say so."""
        run_folder, pod_folder = job.log.parent.parent, job.log.parent
        if job.task.run_uid not in self._known_runs:
            run_folder.mkdir(exist_ok=True, mode=0o700)
            etc.refresh(self._etc)
            if len(self._known_runs) > _FAMILIAR:
                self._known_runs.clear()
            self._known_runs[job.task.run_uid] = None
        with contextlib.suppress(FileExistsError):
            pod_folder.mkdir(mode=0o700)
        words = job.runtime.command(job.slot, launch)
        now = self._clock.now()
        if job.slot.label == staging.MAIN:
            logfiles.add_to_index(run_folder, job.task.pod_name, job.task.node_id, now.timestamp())
        lock = job.slot.claim(Record(self._boot, job.runtime.name, now))
        if lock is None:
            raise Defect(f"task {job.task.task_id} is alive, and was to be started again")
        try:
            files = process.Files(job.stdout, job.stderr, job.slot.status_path)
            job.pid = process.spawn(words, job.runtime.process_environment(launch), files, lock)
        finally:
            os.close(lock)
        job.started_at = job.started_at or now
        if job.slot.label == staging.MAIN:
            self._started(job, now)
        self._sample_on()

    def _started(self, job: _Job, at: datetime) -> None:
        container = job.task.template.get("container") or job.task.template.get("script") or {}
        note = job.runtime.note(str(container.get("image") or ""))
        self._report(TaskStarted(job.task.task_id, at, job.runtime.name, note))

    def _finish(self, job: _Job, finished: TaskFinished) -> None:
        self._look(job, finished.at)
        self._let_go(job, worker=False)
        job.finished = finished
        self._report(finished)

    def _fail(self, job: _Job, message: str, phase: str = "Error") -> None:
        finished = TaskFinished(job.task.task_id, self._clock.now(), phase, message, started_at=job.started_at)
        self._finish(job, finished)

    def _let_go(self, job: _Job, worker: bool = True) -> None:
        if job.cancel is not None:
            job.cancel()
            job.cancel = None
        if job.killer is not None:
            job.killer.cancel()
        if worker and job.worker is not None:
            job.worker.cancel()

    async def _signal(self, job: _Job, number: int) -> None:
        """Send a signal; one that comes before the command was let go waits for it."""
        if job.runtime.slow:
            await asyncio.to_thread(job.runtime.signal, job.slot, number)
            return
        waited = 0.0
        while not job.runtime.listens(job.slot) and job.finished is None and waited < _STATUS_WAIT_SECONDS:
            await asyncio.sleep(self._options.poll_seconds)
            waited += self._options.poll_seconds
        job.runtime.signal(job.slot, number)

    def _kill_after(self, job: _Job, seconds: float) -> None:
        job.killer = asyncio.get_running_loop().call_later(max(0.0, seconds), self._kill, job)

    def _kill(self, job: _Job) -> None:
        if job.finished is None:
            if job.runtime.slow:
                asyncio.get_running_loop().run_in_executor(None, job.runtime.signal, job.slot, signal.SIGKILL)
            else:
                job.runtime.signal(job.slot, signal.SIGKILL)

    def _shelf(self, task: StartTask) -> volumes.Shelf:
        return volumes.Shelf(self._tasks / task.task_id, self._shelves[0] / task.run_uid, self._shelves[1])

    @staticmethod
    def _no_secret(name: str) -> Mapping[str, str]:
        raise Defect(f"a light task asked for secret {name!r}")

    # --- progress and times of log lines ------------------------------------------------------------------------------

    def _sample_on(self) -> None:
        if self._sampler is None or self._sampler.done():
            self._sampler = asyncio.create_task(self._sample(), name="sample tasks")

    async def _sample(self) -> None:
        """While tasks run, look at each of them now and then."""
        while True:
            await asyncio.sleep(self._options.sample_seconds)
            running = [job for job in self._jobs.values() if job.finished is None and job.started_at is not None]
            if not running:
                return
            now = self._clock.now()
            for job in running:
                self._look(job, now, running=True)

    def _look(self, job: _Job, now: datetime, running: bool = False) -> None:
        """Report progress that has changed; mark how long the log is."""
        if job.progress_path is not None and (progress := _read_progress(job.progress_path)) not in ("", job.progress):
            job.progress = progress
            self._report(TaskProgress(job.task.task_id, progress))
        if running:
            with contextlib.suppress(OSError):
                found = job.log.stat()
                if found.st_size != job.log_size:
                    job.log_size = found.st_size
                    logfiles.add_mark(job.log.parent, job.log.stem, found.st_size, found.st_mtime)


def _read_progress(path: Path) -> str:
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


def _remove_light(folder: Path) -> bool:
    """Remove the folder of a light task by the names that it has; False: there is more in it."""
    try:
        (folder / "main.json").unlink(missing_ok=True)
        (folder / "main.lock").unlink(missing_ok=True)
        (folder / "main.status").unlink(missing_ok=True)
        (folder / "tmp").rmdir()
        folder.rmdir()
    except OSError:
        return False
    return True


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def _remove_all(folders: list[Path]) -> None:
    for folder in folders:
        if not _remove_light(folder):
            remove_folder(folder)


def remove_folder(folder: Path) -> None:
    """Remove a folder that a step has written to: one without permissions of its own is given some first."""
    for here, names, _ in os.walk(folder):
        for name in names:
            path = Path(here, name)
            if not path.is_symlink() and not os.access(path, os.R_OK | os.W_OK | os.X_OK):
                with contextlib.suppress(OSError):
                    path.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


def _words(error: OSError) -> str:
    """An error of the machine for people: without our own paths where they say nothing."""
    if error.errno == 7:  # E2BIG
        return "command, args and env are larger than the kernel takes (128 KiB each); pass large values as an artifact"
    return f"the machine says: {error.strerror or error}" + (f" ({error.filename})" if error.filename else "")
