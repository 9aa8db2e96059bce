"""From a task to containers that are ready to run: folders, files, artifacts, environment, command.

In: a `StartTask` and the folder it may use. Out: `Layout` (where things lie: the same after a restart, nothing is
written) and a `Launch` for each container (init containers in order, `main` last; they share volumes, no more). Blocking; called by `perform`, in a thread where
there is something to fetch.

Where a step hands files over (output parameters and artifacts, input artifacts), its whole root is a folder of the task,
`root/`; otherwise the root is in memory and only /tmp is on disk. An input or output below /usr or /etc makes that
folder an overlay: the step may write there, and only it sees what it wrote.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from syncd.artifacts.repository import Repository
from syncd.artifacts.store import Artifacts
from syncd.base.errors import Invalid, SyncdError, Unsupported
from syncd.engine.actions import StartTask
from syncd.execute import command, etc, inside, volumes
from syncd.execute.command import KeyLookup
from syncd.execute.inside import Tree
from syncd.execute.runtime import Bind, Launch, Overlay, Runtime

PROGRESS_FILE: Final = "/tmp/.argo-progress"  # noqa: S108 - inside
MAIN: Final = "main"

_SAFE: Final = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9._]{0,252}[A-Za-z0-9])?")
_ENTRY: Final = re.compile(r"[-A-Za-z0-9_]{1,128}")
_SYSTEM: Final = ("/usr", "/etc")
_CLOSED: Final = ("/proc", "/dev", "/sys")


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the things of a task lie. tree: the step's view of the machine's files, for reading outputs."""

    folder: Path
    containers: tuple[tuple[str, Mapping[str, Any]], ...]  # (label, container), main last
    places: Mapping[str, Path]
    root: Path | None
    overlays: tuple[Overlay, ...]
    etc: Path | None

    @property
    def tmp(self) -> Path:
        """What is /tmp inside."""
        return (self.root or self.folder) / "tmp"

    def real(self, path: str) -> str:
        """A path inside, with the links of the system's own folders followed."""
        return path if self.etc is None else resolve_links(path)

    @property
    def progress(self) -> Path:
        """The step's progress file, seen from outside. It is the step's: open it without following links."""
        return self.tmp / PROGRESS_FILE.rpartition("/")[2]


def check_names(task: StartTask) -> None:
    """Raises Invalid where an id could not be a file's name."""
    for name in (task.task_id, task.run_uid, task.pod_name):
        if not _SAFE.fullmatch(name):
            raise Invalid(f"id {name[:100]!r} is not safe as a file name")


def is_safe(name: str) -> bool:
    """Whether a name can be a file's."""
    return _SAFE.fullmatch(name) is not None


def touch_secrets(task: StartTask, lookup: KeyLookup) -> None:
    """Ask `lookup` for every Secret that the task's containers and volumes name, so that it knows what to mask."""
    names: list[str] = []
    containers = [
        task.template.get("container"),
        task.template.get("script"),
        *(task.template.get("initContainers") or ()),
    ]
    for container in containers:
        references = ((item.get("valueFrom") or {}).get("secretKeyRef") for item in (container or {}).get("env") or ())
        names += [str((reference or {}).get("name", "")) for reference in references]
        names += [
            str((source.get("secretRef") or {}).get("name", "")) for source in (container or {}).get("envFrom") or ()
        ]
    for volume in (*task.volumes, *(task.template.get("volumes") or ())):
        names.append(str((volume.get("secret") or {}).get("secretName", "")))
        sources = (volume.get("projected") or {}).get("sources") or ()
        names += [str((source.get("secret") or {}).get("name", "")) for source in sources]
    for name in filter(None, names):
        with suppress(SyncdError):
            lookup.secret(name)


def main_container(task: StartTask) -> Mapping[str, Any]:
    """The container or script of the template. Raises Unsupported for what has neither."""
    for kind in ("container", "script"):
        if (found := task.template.get(kind)) is not None:
            return dict(found)
    kinds = [k for k in ("containerSet", "resource", "data", "http", "plugin") if k in task.template]
    raise Unsupported(
        f"template {task.template_name!r} ({', '.join(kinds) or 'without a container'}) "
        "is not run by the embedded engine yet; use container or script"
    )


def is_light(task: StartTask) -> bool:
    """Whether the task needs nothing but a process: no artifact, file, volume, secret or container besides."""
    template = task.template
    if any(template.get(name) for name in ("initContainers", "sidecars", "volumes")) or task.archive_logs:
        return False
    inputs, outputs = template.get("inputs") or {}, template.get("outputs") or {}
    if inputs.get("artifacts") or outputs.get("artifacts") or any(_path_of(p) for p in outputs.get("parameters") or ()):
        return False
    container = template.get("container") or template.get("script")
    if container is None or container.get("volumeMounts") or container.get("envFrom"):
        return False
    return not any("valueFrom" in item for item in container.get("env") or ())


def layout(task: StartTask, folder: Path, shelf: volumes.Shelf, etc_folder: Path | None) -> Layout:
    """Where everything of the task lies. Writes nothing. Raises Invalid, Unsupported.

    etc_folder: the made-up /etc; None = the system inside is an image's, not this machine's.
    """
    main = main_container(task)
    if task.template.get("sidecars"):
        names = ", ".join(str(s.get("name")) for s in task.template["sidecars"])
        raise Unsupported(f"sidecars ({names}) are not run by the embedded engine yet; remove them")
    inits: list[dict[str, Any]] = [dict(c) for c in task.template.get("initContainers") or ()]
    for container in inits:
        if container.get("mirrorVolumeMounts"):
            own = container.get("volumeMounts") or []
            container["volumeMounts"] = [*own, *(main.get("volumeMounts") or ())]
    containers: list[tuple[str, Mapping[str, Any]]] = [(f"init-{n}", c) for n, c in enumerate(inits)]
    containers.append((MAIN, main))
    places = volumes.places(task, [c for _, c in containers], shelf)
    mounted = [inside.normal(str(m.get("mountPath", ""))) for m in main.get("volumeMounts") or ()]
    paths = [*_input_paths(task), *_output_paths(task)]
    for path in paths:
        if path == "/" and path in _input_paths(task):
            raise Invalid("an input artifact cannot take the place of /; choose another path")
        if _below(path, _CLOSED):
            raise Invalid(f"path {path} is the kernel's; choose another path")
    overlays: list[Overlay] = []
    for target in _SYSTEM if etc_folder is not None else ():
        if any(_below(resolve_links(path), (target,)) and not _below(path, mounted) for path in paths):
            lower = Path(target) if target != "/etc" else etc_folder or Path(target)
            name = target[1:]
            overlays.append(Overlay(target, lower, folder / f"{name}.upper", folder / f"{name}.work"))
    return Layout(folder, tuple(containers), places, folder / "root" if paths else None, tuple(overlays), etc_folder)


def resolve_links(path: str) -> str:
    """A path inside with the system's own links (/bin -> usr/bin) followed, by text.

    >>> resolve_links("/my/bin")
    '/my/bin'
    """
    first, _, rest = path[1:].partition("/")
    link = Path("/", first)
    if first in ("bin", "sbin", "lib", "lib32", "lib64", "libx32") and link.is_symlink():
        return inside.normal(f"/{link.readlink()}/{rest}")
    return path


def tree(found: Layout, upper: bool = True) -> Tree:
    """The step's files as `main` sees them. upper: of overlays what the step wrote, else what was there before."""
    mounts: dict[str, Path] = {} if found.etc is None else {"/usr": Path("/usr"), "/etc": found.etc}
    for overlay in found.overlays:
        mounts[overlay.target] = overlay.upper if upper else overlay.lower
    for bind in volumes.binds(dict(found.containers)[MAIN], found.places):
        mounts[bind.target] = bind.source
    return Tree(found.root or found.folder, mounts)


def prepare(
    task: StartTask, found: Layout, lookup: KeyLookup, artifacts: Artifacts, own: Repository, bring_artifacts: bool
) -> None:
    """Make folders, fill volumes, load input artifacts. May be repeated after a crash: it begins anew.

    bring_artifacts: False = they are there already (an init container has run).
    """
    found.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if found.root is not None:
        found.root.mkdir(exist_ok=True, mode=0o755)
    found.tmp.mkdir(exist_ok=True)
    found.tmp.chmod(0o1777)
    for overlay in found.overlays:
        overlay.upper.mkdir(exist_ok=True, mode=0o755)
        overlay.work.mkdir(exist_ok=True, mode=0o755)
    volumes.fill(task, found.places, lookup)
    view = tree(found) if found.root is not None else None
    if view is None:
        return
    for path in _output_paths(task):
        real = found.real(path)
        folder = real.rpartition("/")[0]
        if not any(real.startswith(overlay.target + "/") for overlay in found.overlays):
            # only what images have, `/mnt` of `/mnt/out/part.json`: a step makes the rest itself, and may want to
            folder = "/".join(folder.split("/")[:2])
        os.close(inside.make_folder(view, folder or "/"))
    if bring_artifacts:
        for artifact in (task.template.get("inputs") or {}).get("artifacts") or ():
            if artifact.get("path"):
                _bring(task, artifact, found, view, artifacts, own)


def _bring(
    task: StartTask, artifact: Mapping[str, Any], found: Layout, view: Tree, artifacts: Artifacts, own: Repository
) -> None:
    """Load one artifact beside its place, then move it there by descriptor: the place may be in a shared volume."""
    name = str(artifact.get("name", ""))
    if not _ENTRY.fullmatch(name):
        raise Invalid(f"artifact name {name[:100]!r} is not a name")
    arrivals = found.folder / "inputs"
    arrivals.mkdir(exist_ok=True, mode=0o700)
    arrived = arrivals / name
    inside.remove(arrived)
    if not artifacts.load(artifact, arrived, task.namespace, own):
        return
    path = found.real(inside.normal(str(artifact["path"])))
    inside.place(view, path, arrived)


def launch(
    task: StartTask,
    found: Layout,
    label: str,
    lookup: KeyLookup,
    runtime: Runtime,
    path: str,
    remaining_seconds: float | None,
    kill_after_seconds: float,
) -> Launch:
    """The container `label`, ready to run. Writes the script. Raises Invalid, NotFound."""
    container = dict(found.containers)[label]
    image = str(container.get("image") or "")
    base = {
        "PATH": path,
        "HOME": etc.HOME,
        "HOSTNAME": task.pod_name,
        "ARGO_CONTAINER_NAME": MAIN if label == MAIN else str(container.get("name") or label),
        "ARGO_NODE_ID": task.node_id,
        "ARGO_WORKFLOW_NAME": task.run_name,
        "ARGO_PROGRESS_FILE": PROGRESS_FILE,
    }
    if container.get("env") or container.get("envFrom"):
        variables = command.environment(container, base, lookup, volumes.field_values(task))
    else:
        variables = base
    words = command.argv(container, variables, runtime.entrypoint(image))
    binds = tuple(volumes.binds(container, found.places)) if found.places else ()
    if "source" in container:
        script = found.folder / "script"
        script.write_bytes(str(container.get("source") or "").encode(errors="surrogateescape"))
        script.chmod(0o755)
        binds = (*binds, Bind(script, command.SCRIPT_PATH, read_only=True))
    root, overlays, tmp = (found.root, found.overlays, found.tmp) if label == MAIN else (None, (), found.folder / label)
    if label != MAIN:
        tmp.mkdir(exist_ok=True)
        tmp.chmod(0o1777)
    if root is not None:
        for bind in binds:
            _no_link(root, bind.target)
    return Launch(
        task_id=task.task_id,
        label=label,
        image=image,
        argv=tuple(words),
        environment=variables,
        workdir=inside.normal(str(container.get("workingDir") or "/")),
        hostname=task.pod_name[:63],
        tmp=tmp,
        root=root,
        binds=binds,
        overlays=overlays,
        placed=tuple(_input_paths(task)) if label == MAIN else (),
        own_command=bool(container.get("command")),
        own_variables=frozenset(variables) - frozenset(base),
        limit_seconds=remaining_seconds,
        kill_after_seconds=kill_after_seconds,
    )


def _no_link(root: Path, target: str) -> None:
    """A mount point may not lie behind a link of an input artifact: bwrap would follow it while it can see the machine."""
    here = root
    for part in target.split("/")[1:]:
        here = here / part
        if here.is_symlink():
            raise Invalid(f"mountPath {target} leads through a link of an input artifact; mount it elsewhere")


def config_maps(task: StartTask) -> set[str]:
    """Names of the ConfigMaps that the task reads."""
    names = volumes.config_maps(task)
    for container in (
        task.template.get("container"),
        task.template.get("script"),
        *(task.template.get("initContainers") or ()),
    ):
        for item in (container or {}).get("env") or ():
            if reference := (item.get("valueFrom") or {}).get("configMapKeyRef"):
                names.add(str(reference.get("name", "")))
        for source in (container or {}).get("envFrom") or ():
            if reference := source.get("configMapRef"):
                names.add(str(reference.get("name", "")))
    return names


def fetched_paths(task: StartTask, found: Layout) -> list[str]:
    """Output paths that lie in the container's own files, not in a volume or an input artifact."""
    shared = [*(bind.target for bind in volumes.binds(dict(found.containers)[MAIN], found.places)), *_input_paths(task)]
    return [path for path in dict.fromkeys(_output_paths(task)) if not _below(path, shared)]


def key_variables(task: StartTask) -> dict[str, str]:
    """What a repository's key format can name."""
    return {
        "workflow.name": task.run_name,
        "workflow.namespace": task.namespace,
        "workflow.uid": task.run_uid,
        "pod.name": task.pod_name,
        "node.name": task.node_name,
        **{f"workflow.labels.{key}": value for key, value in task.labels.items()},
    }


def deadline_seconds(task: StartTask, now: datetime) -> float | None:
    """What is left of the task's time; None = no limit, negative = over."""
    return None if task.deadline is None else (task.deadline - now).total_seconds()


def _path_of(parameter: Mapping[str, Any]) -> str:
    return str((parameter.get("valueFrom") or {}).get("path") or "")


def _input_paths(task: StartTask) -> list[str]:
    artifacts = (task.template.get("inputs") or {}).get("artifacts") or ()
    return [inside.normal(str(a["path"])) for a in artifacts if a.get("path")]


def _output_paths(task: StartTask) -> list[str]:
    outputs = task.template.get("outputs") or {}
    paths = [_path_of(p) for p in outputs.get("parameters") or ()]
    paths += [str(a.get("path") or "") for a in outputs.get("artifacts") or ()]
    return [inside.normal(path) for path in paths if path]


def _below(path: str, folders: tuple[str, ...] | list[str]) -> bool:
    return any(path == folder or path.startswith(folder.rstrip("/") + "/") for folder in folders)
