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
from collections.abc import Collection, Mapping
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
from syncd.engine.observations import TaskFinished, TaskStarted
from syncd.execute import capture, etc, leftovers, logfiles, process, staging, verdict, volumes
from syncd.execute.api import Report
from syncd.execute.command import KeyLookup
from syncd.execute.folder import Record, Slot, State, boot_id
from syncd.execute.job import Job, Options
from syncd.execute.runtime import Ended, Launch, Runtime
from syncd.execute.sampling import Sampling
from syncd.execute.secrets import Directory, Mask
from syncd.execute.supervise import Supervisor

_FAMILIAR: Final = 10_000


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
        self._jobs: dict[str, Job] = {}
        self._known_runs: dict[str, None] = {}
        self._closed = False
        self._supervisor = Supervisor(self._options, clock)
        self._sampling = Sampling(self._jobs.values, report, self._options.sample_seconds)
        self._leftovers = leftovers.Leftovers()
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
        job = Job(task, folder, self._default, Slot(folder, staging.MAIN), log)
        self._jobs[task.task_id] = job
        try:
            plain = not self._default.slow and not self._artifacts.archive_logs
            if plain and staging.is_light(task) and not folder.exists():
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
        job.stopped, job.grace_seconds = reason or "stopped", grace_seconds
        with contextlib.suppress(OSError):
            (job.folder / "stopped").write_bytes(orjson.dumps({"reason": job.stopped, "grace": grace_seconds}))
        if job.pid is None and job.started_at is None:
            # a worker that has not looked yet may be about to adopt what runs: it sees by itself that it is to end it
            if job.worker is not None and job.fresh:
                job.worker.cancel()
            return
        await self._supervisor.term(job, grace_seconds)

    async def forget(self, task_id: str) -> None:
        """See `api.Executor.forget`."""
        job = self._jobs.pop(task_id, None)
        if job is not None:
            self._let_go(job)
        if staging.is_safe(task_id):
            await self._clean([self._tasks / task_id])
            self._leftovers.add(self._tasks / task_id)

    async def tidy(self, outstanding: Collection[str]) -> None:
        """After a start: drop the folders of tasks that nobody will ask for again (a crash came before `forget`)."""
        kept = {*outstanding, *self._jobs}
        folders = await asyncio.to_thread(lambda: list(self._tasks.iterdir()))
        gone = [folder for folder in folders if folder.name not in kept]
        await self._clean(gone)
        await asyncio.to_thread(leftovers.remove_all, gone)

    async def forget_run(self, run_uid: str) -> None:
        """The run is deleted: its own volumes go."""
        if staging.is_safe(run_uid):
            await asyncio.to_thread(leftovers.remove_folder, self._shelves[0] / run_uid)

    async def close(self) -> None:
        """See `api.Executor.close`."""
        self._closed = True
        workers = [job.worker for job in self._jobs.values() if job.worker is not None]
        for job in self._jobs.values():
            self._let_go(job)
        await asyncio.gather(*workers, return_exceptions=True)
        await self._sampling.close()
        await self._leftovers.close()

    def running(self) -> int:
        """How many tasks have been started and have not ended."""
        return sum(job.finished is None for job in self._jobs.values())

    async def _clean(self, folders: list[Path]) -> None:
        """Let an engine drop the containers of tasks; a sandbox keeps nothing."""
        slow = {runtime.name: runtime for runtime in self._runtimes.values() if runtime.slow}
        if slow:
            await asyncio.to_thread(_clean_containers, folders, slow)

    # --- the light way ------------------------------------------------------------------------------------------------

    def _start_light(self, job: Job) -> None:
        job.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
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

    def _light_ended(self, job: Job) -> None:
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

    def _conclude(self, job: Job, ended: Ended, at: datetime) -> None:
        """The end of a task that hands over no file."""
        phase, message = verdict.judge(ended, "main", at, job.task.deadline, job.stopped)
        outputs = capture.quick(job.task, ended.code, job.stdout)
        self._finish(job, TaskFinished(job.task.task_id, at, phase, message, ended.code, job.started_at, outputs))

    # --- the long way -------------------------------------------------------------------------------------------------

    async def _work(self, job: Job) -> None:
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

    async def _perform(self, job: Job) -> None:
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
        if found.root is not None or task.archive_logs or self._artifacts.archive_logs:
            own = for_template(await self._artifacts.repository(task.repository, task.namespace), task.template)
        brought = False
        for label, container in found.containers:
            name = staging.MAIN if label == staging.MAIN else str(container.get("name") or label)
            job.slot = Slot(job.folder, label)
            job.log = self._logs / task.run_uid / task.pod_name / f"{name if staging.is_safe(name) else label}.log"
            job.runtime = await asyncio.to_thread(self._runtime_of, job.slot)
            state = await asyncio.to_thread(job.runtime.examine, job.slot, self._boot)
            if state is State.FRESH:
                if job.stopped:
                    self._fail(job, job.stopped, phase="Failed")
                    return
                job.fresh = not brought
                if not brought:
                    await asyncio.to_thread(
                        staging.prepare, task, found, lookup, self._artifacts, own or Repository(), True
                    )
                    brought = True
                launch = self._launch(job, found, lookup)
                if launch is None:
                    return
                job.fresh = False
                self._spawn(job, launch)
                ended, at = await self._supervisor.finish(job)
            else:
                brought = True
                if grace is not None and job.killer is None:
                    self._supervisor.kill_after(job, grace)  # an earlier daemon has sent TERM
                self._adopted(job, state)
                if job.stopped and grace is None:
                    await self._supervisor.term(job, job.grace_seconds)
                ended, at = await self._supervisor.adopt(job, state)
            if label != staging.MAIN and ended.code != 0:
                phase, message = verdict.judge(ended, name, at, job.task.deadline, job.stopped)
                await self._mask(job, lookup)
                finished = TaskFinished(task.task_id, at, phase, message, ended.code, job.started_at)
                self._finish(job, finished)
                return
        await self._mask(job, lookup)
        if own is None:
            self._conclude(job, ended, at)
            return
        if job.runtime.slow and found.root is not None:
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
        phase, message = verdict.judge(ended, "main", at, job.task.deadline, job.stopped)
        if phase == "Succeeded" and captured.fault:
            phase, message = "Error", f"wait: Error (exit code 64): {captured.fault}"
        finished = TaskFinished(task.task_id, at, phase, message, ended.code, job.started_at, captured.outputs)
        self._finish(job, finished)

    def _runtime_of(self, slot: Slot) -> Runtime:
        """The runtime that a container was started by; the default where it was not."""
        record = slot.record()
        name = record.runtime if record is not None else ""
        return next((r for r in self._runtimes.values() if r.name == name), self._default)

    def _adopted(self, job: Job, state: State) -> None:
        """Say of a container of an earlier daemon what was said then."""
        record = job.slot.record()
        if record is not None:
            job.started_at = job.started_at or record.at
        if state is State.ALIVE and job.slot.label == staging.MAIN:
            self._started(job, job.started_at or self._clock.now())
        self._sampling.wake()

    async def _lookup(self, task: StartTask) -> KeyLookup:
        """The ConfigMaps that the task reads, fetched; its Secrets are read when they are asked for."""
        found: dict[str, Mapping[str, str]] = {}
        for name in sorted(staging.config_maps(task)):
            with contextlib.suppress(NotFound):
                body = await self._config_map(task.namespace, name)
                found[name] = {str(k): str(v) for k, v in (body.get("data") or {}).items()}
        return KeyLookup(found, lambda name: self._secrets.read(task.namespace, name))

    async def _mask(self, job: Job, lookup: KeyLookup) -> None:
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

    def _launch(self, job: Job, found: staging.Layout, lookup: KeyLookup) -> Launch | None:
        """The container of job.slot, ready to run; None: its time is over already, and that was reported."""
        now = self._clock.now()
        remaining = staging.deadline_seconds(job.task, now)
        if remaining is not None and remaining <= 0:
            self._finish(job, TaskFinished(job.task.task_id, now, "Failed", verdict.DEADLINE))
            return None
        label, kill_after = job.slot.label, self._options.kill_after_seconds
        return staging.launch(job.task, found, label, lookup, job.runtime, self._path, remaining, kill_after)

    def _spawn(self, job: Job, launch: Launch) -> None:
        """Claim the record, start the process, say so."""
        run_folder, pod_folder = job.log.parent.parent, job.log.parent
        if job.task.run_uid not in self._known_runs:
            run_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            etc.refresh(self._etc)
            if len(self._known_runs) > _FAMILIAR:
                self._known_runs.clear()
            self._known_runs[job.task.run_uid] = None
        try:
            pod_folder.mkdir(mode=0o700)
        except FileExistsError:
            pass
        except FileNotFoundError:  # somebody has tidied the logs away
            pod_folder.mkdir(parents=True, mode=0o700)
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
        self._sampling.wake()

    def _started(self, job: Job, at: datetime) -> None:
        container = job.task.template.get("container") or job.task.template.get("script") or {}
        note = job.runtime.note(str(container.get("image") or ""))
        self._report(TaskStarted(job.task.task_id, at, job.runtime.name, note))

    def _finish(self, job: Job, finished: TaskFinished) -> None:
        self._sampling.progress(job)
        job.let_go()
        job.finished = finished
        self._report(finished)

    def _fail(self, job: Job, message: str, phase: str = "Error") -> None:
        finished = TaskFinished(job.task.task_id, self._clock.now(), phase, message, started_at=job.started_at)
        self._finish(job, finished)

    @staticmethod
    def _let_go(job: Job) -> None:
        job.let_go()
        if job.worker is not None:
            job.worker.cancel()

    def _shelf(self, task: StartTask) -> volumes.Shelf:
        return volumes.Shelf(self._tasks / task.task_id, self._shelves[0] / task.run_uid, self._shelves[1])

    @staticmethod
    def _no_secret(name: str) -> Mapping[str, str]:
        raise Defect(f"a light task asked for secret {name!r}")


def _clean_containers(folders: list[Path], engines: Mapping[str, Runtime]) -> None:
    for folder in folders:
        for path in folder.glob("*.json"):
            slot = Slot(folder, path.stem)
            record = slot.record()
            if record is not None and record.runtime in engines:
                with contextlib.suppress(SyncdError):
                    engines[record.runtime].clean(slot)


def _words(error: OSError) -> str:
    """An error of the machine for people: without our own paths where they say nothing."""
    if error.errno == 7:  # E2BIG
        return "command, args and env are larger than the kernel takes (128 KiB each); pass large values as an artifact"
    return f"the machine says: {error.strerror or error}" + (f" ({error.filename})" if error.filename else "")
