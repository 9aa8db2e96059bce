"""What a step hands over when it has ended: parameters, artifacts, result, exit code.

In: the task, where its files lie, its log. Out: Argo's Outputs object, or the first thing that is missing, in words.
Reads the step's files through `inside` only. Blocking; called by `perform` in a thread, and by itself for `result`.
Source: Argo v4.1.2 workflow/executor/executor.go SaveParameters, SaveArtifacts, CaptureScriptResult.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from syncd.artifacts import pack
from syncd.artifacts.api import Caps
from syncd.artifacts.repository import Repository
from syncd.artifacts.store import Artifacts
from syncd.base.errors import NotFound, SyncdError
from syncd.engine.actions import StartTask
from syncd.execute import inside, runtime, staging
from syncd.execute.folder import Slot
from syncd.execute.inside import Tree

T = TypeVar("T")

RESULT_BYTES: Final = 256 * 1024
"""The last of stdout that becomes outputs.result, as in Argo."""


@dataclass(frozen=True, slots=True)
class Captured:
    """Argo's Outputs, and what could not be captured ("" = all is there)."""

    outputs: dict[str, Any]
    fault: str = ""


def result(stdout: Path) -> str:
    """outputs.result: the end of stdout, one trailing newline trimmed."""
    return runtime.tail(stdout, RESULT_BYTES).removesuffix("\n")


def quick(task: StartTask, exit_code: int | None, stdout: Path) -> dict[str, Any]:
    """The outputs of a task that hands over no file."""
    outputs: dict[str, Any] = {}
    parameters = (task.template.get("outputs") or {}).get("parameters")
    if parameters:
        outputs["parameters"] = [dict(p) for p in parameters]
    if task.capture_result:
        outputs["result"] = result(stdout)
    if exit_code is not None:
        outputs["exitCode"] = str(exit_code)
    return outputs


def capture(
    task: StartTask,
    found: staging.Layout,
    exit_code: int | None,
    stdout: Path,
    log: Path,
    artifacts: Artifacts,
    own: Repository,
    started_at: datetime,
    parameter_bytes: int,
) -> Captured:
    """Everything that the template declares. Goes on after a fault: what is there of a failed step is kept.

    parameter_bytes: the most that one output parameter may have.
    """
    outputs = quick(task, exit_code, stdout)
    declared = task.template.get("outputs") or {}
    views = [staging.tree(found, upper=True)]
    if found.overlays:
        views.append(staging.tree(found, upper=False))
    faults: list[str] = []
    if declared.get("parameters"):
        outputs["parameters"] = [_parameter(dict(p), views, parameter_bytes, faults) for p in declared["parameters"]]
    saved = []
    for artifact in declared.get("artifacts") or ():
        kept = _artifact(artifact, task, found, views, artifacts, own, started_at, faults)
        if kept is not None:
            saved.append(kept)
    if (task.archive_logs or own.archive_logs) and log.exists():
        try:
            saved.append(_log(task, log, artifacts, own, started_at))
        except SyncdError as error:
            faults.append(f"logs were not archived: {error}")
    if saved:
        outputs["artifacts"] = saved
    return Captured(outputs, "; ".join(faults))


def fetch(task: StartTask, found: staging.Layout, source: runtime.Runtime, slot: Slot) -> None:
    """Bring output files of an ended container to where a sandbox would have left them, below the task's root.

    What cannot be fetched is missing later, and said then.
    """
    assert found.root is not None
    view = staging.tree(found)
    for number, path in enumerate(staging.fetched_paths(task, found)):
        archive, arrived = found.folder / f"fetched-{number}.tar", found.folder / f"fetched-{number}"
        inside.remove(arrived)
        with suppress(SyncdError):
            if source.export(slot, path, archive):
                pack.unpack(archive, arrived, {"tar": {}}, Caps(), any_link=True)
                inside.place(view, path, arrived)
        archive.unlink(missing_ok=True)


def _parameter(parameter: dict[str, Any], views: list[Tree], cap: int, faults: list[str]) -> dict[str, Any]:
    """The declared parameter with its value; its default where the file is not there."""
    origin = parameter.get("valueFrom") or {}
    path = str(origin.get("path") or "")
    if not path:
        return parameter
    try:
        data = _first(views, lambda view: inside.read_file(view, path, cap))
    except SyncdError as error:
        if origin.get("default") is not None:
            parameter["value"] = str(origin["default"])
        else:
            faults.append(f"output parameter {parameter.get('name')!r}: {error}")
        return parameter
    parameter["value"] = data.decode(errors="replace").removesuffix("\n")
    return parameter


def _artifact(
    artifact: Mapping[str, Any],
    task: StartTask,
    found: staging.Layout,
    views: list[Tree],
    artifacts: Artifacts,
    own: Repository,
    started_at: datetime,
    faults: list[str],
) -> dict[str, Any] | None:
    """The saved artifact; None = optional and not there, or a fault."""
    path = str(artifact.get("path") or "")
    if not path:
        return None
    name = str(artifact.get("name", ""))
    try:
        handle = _first(views, lambda view: _open(view, path))
        try:
            variables = staging.key_variables(task)
            return artifacts.save(artifact, handle, found.folder, task.namespace, own, variables, started_at)
        finally:
            os.close(handle)
    except NotFound as error:
        if not artifact.get("optional"):
            faults.append(f"output artifact {name!r}: {error}")
    except SyncdError as error:
        faults.append(f"output artifact {name!r}: {error}")
    return None


def _open(view: Tree, path: str) -> int:
    handle = inside.open_at(view, path)
    mode = os.fstat(handle).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        os.close(handle)
        raise NotFound(f"open {path}: neither a file nor a folder")
    return handle


def _log(task: StartTask, log: Path, artifacts: Artifacts, own: Repository, started_at: datetime) -> dict[str, Any]:
    """The log as the artifact `main-logs`, as Argo names it."""
    return artifacts.save_file("main-logs", log, task.namespace, own, staging.key_variables(task), started_at)


def _first(views: list[Tree], read: Callable[[Tree], T]) -> T:
    """From what the step wrote, else from what was there before."""
    for view in views[:-1]:
        try:
            return read(view)
        except NotFound:
            continue
    return read(views[-1])
