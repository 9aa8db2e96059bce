"""Volumes: what a pod's `volumes` and `volumeMounts` are on one machine.

In: a task and its containers. Out: where each volume lies, and the binds of a container. Called by `staging`.

- emptyDir: a folder of the task (a pod's, as in Kubernetes).
- persistentVolumeClaim: a folder of the state directory. A claim named `<run>-…` (from volumeClaimTemplates) is the
  run's own and goes with it; any other is kept for ever.
- configMap, secret, projected, downwardAPI: files of the task, written before it starts.
- anything else (hostPath, NFS, …) reaches out of the sandbox, or needs a cluster: Unsupported.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from syncd.base.errors import Invalid, NotFound, Unsupported
from syncd.engine.actions import StartTask
from syncd.execute import inside
from syncd.execute.command import KeyLookup
from syncd.execute.runtime import Bind

_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_FILLED: Final = ("configMap", "secret", "projected", "downwardAPI")


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where volumes lie. task: folder of the task; run: of its run; kept: of all runs."""

    task: Path
    run: Path
    kept: Path


def places(task: StartTask, containers: list[Mapping[str, Any]], shelf: Shelf) -> dict[str, Path]:
    """Volume name → folder on the machine, for the volumes that the containers mount. Nothing is made.

    Raises Invalid for a mount whose volume nobody declares, Unsupported for a kind that is not for one machine.
    """
    declared = _declared(task)
    found: dict[str, Path] = {}
    for mount in mounts(containers):
        name = str(mount.get("name", ""))
        if name in found:
            continue
        if name not in declared:
            raise Invalid(f"volumeMount {name!r} has no volume; declare it under spec.volumes, or in the template")
        if not _NAME.fullmatch(name):
            raise Invalid(f"volume name {name!r} is not a name")
        found[name] = _place(task, name, declared[name], shelf)
    return found


def fill(task: StartTask, places: Mapping[str, Path], lookup: KeyLookup) -> None:
    """Make the folders and write the files of configMap, secret, projected and downwardAPI volumes. May be repeated."""
    declared = _declared(task)
    for name, folder in places.items():
        volume = declared[name]
        kind = next((k for k in _FILLED if volume.get(k) is not None), None)
        if kind is None:
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o777)
            continue
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        _write(folder, kind, volume[kind], task, lookup)


def binds(container: Mapping[str, Any], places: Mapping[str, Path]) -> list[Bind]:
    """The mounts of one container, in its order; a subPath is looked up (and made) within its volume only."""
    found = []
    for mount in container.get("volumeMounts") or ():
        folder = places[str(mount["name"])]
        source = folder
        if sub_path := str(mount.get("subPath") or ""):
            source = _sub_folder(folder, sub_path)
        found.append(Bind(source, inside.normal(str(mount.get("mountPath", ""))), bool(mount.get("readOnly"))))
    return found


def mounts(containers: list[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """All volumeMounts of all containers."""
    for container in containers:
        yield from container.get("volumeMounts") or ()


def config_maps(task: StartTask) -> set[str]:
    """Names of the ConfigMaps that the task's volumes are made from."""
    names: set[str] = set()
    for volume in _declared(task).values():
        sources = [volume, *((volume.get("projected") or {}).get("sources") or ())]
        names.update(str(s["configMap"].get("name", "")) for s in sources if s.get("configMap"))
    return names


def _declared(task: StartTask) -> dict[str, Mapping[str, Any]]:
    return {str(v.get("name", "")): v for v in (*task.volumes, *(task.template.get("volumes") or ()))}


def _place(task: StartTask, name: str, volume: Mapping[str, Any], shelf: Shelf) -> Path:
    if volume.get("emptyDir") is not None or any(volume.get(kind) is not None for kind in _FILLED):
        return shelf.task / "volumes" / name
    if (claim := volume.get("persistentVolumeClaim")) is not None:
        claim_name = str(claim.get("claimName", ""))
        if not _NAME.fullmatch(claim_name) or not _NAME.fullmatch(task.namespace):
            raise Invalid(f"volume {name!r}: claimName {claim_name!r} is not a name")
        if claim_name.startswith(task.run_name + "-"):
            return shelf.run / "volumes" / claim_name
        return shelf.kept / task.namespace / claim_name
    kinds = ", ".join(sorted(set(volume) - {"name"})) or "none"
    raise Unsupported(
        f"volume {name!r} of kind {kinds} is not for embedded mode; "
        "use emptyDir, persistentVolumeClaim, configMap, secret, projected or downwardAPI"
    )


def _write(folder: Path, kind: str, source: Mapping[str, Any], task: StartTask, lookup: KeyLookup) -> None:
    if kind == "projected":
        for part in source.get("sources") or ():
            inner = next((k for k in ("configMap", "secret", "downwardAPI") if part.get(k) is not None), None)
            if inner is None:
                raise Unsupported(f"projected volume source {', '.join(part)} is not for embedded mode")
            _write(folder, inner, part[inner], task, lookup)
        return
    if kind == "downwardAPI":
        for item in source.get("items") or ():
            field = str((item.get("fieldRef") or {}).get("fieldPath", ""))
            _file(folder, str(item.get("path", "")), field_values(task).get(field, ""), 0o644)
        return
    name = str(source.get("secretName") or source.get("name") or "")
    try:
        data = lookup.secret(name) if kind == "secret" else lookup.config_map(name)
    except NotFound:
        if source.get("optional"):
            return
        raise
    mode = int(source.get("defaultMode") or 0o644)
    if source.get("items") is None:
        wanted = [(key, key, mode) for key in data]
    else:
        wanted = [(str(i.get("key")), str(i.get("path")), int(i.get("mode") or mode)) for i in source["items"]]
    for key, path, file_mode in wanted:
        if key not in data:
            if source.get("optional"):
                continue
            raise NotFound(f"{kind} {name!r} has no key {key!r}; known: {', '.join(data) or 'none'}")
        _file(folder, path, data[key], file_mode)


def _file(folder: Path, path: str, text: str, mode: int) -> None:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not parts or ".." in parts or path.startswith("/") or "\0" in path:
        raise Invalid(f"path {path!r} in a volume must be relative and stay within it")
    target = folder.joinpath(*parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(text.encode(errors="surrogateescape"))
    target.chmod(mode & 0o777)


def _sub_folder(volume: Path, sub_path: str) -> Path:
    """A folder or file within a volume, for bwrap to bind by its path: reached without links, so it must have none."""
    parts = [part for part in sub_path.split("/") if part not in ("", ".")]
    if ".." in parts or sub_path.startswith("/") or "\0" in sub_path:
        raise Invalid(f"subPath {sub_path!r} must be relative and stay within the volume")
    here = volume
    for part in parts:
        here = here / part
        if here.is_symlink():
            raise Invalid(f"subPath {sub_path!r} leads through a link")
        if not here.exists():
            here.mkdir()
    return here


def field_values(task: StartTask) -> dict[str, str]:
    """What `fieldRef.fieldPath` can name, with its value here."""
    values = {
        "metadata.name": task.pod_name,
        "metadata.namespace": task.namespace,
        "metadata.uid": task.task_id,
        "spec.nodeName": "localhost",
        "spec.serviceAccountName": "default",
        "status.hostIP": "127.0.0.1",
        "status.podIP": "127.0.0.1",
        "status.podIPs": "127.0.0.1",
    }
    metadata = task.template.get("metadata") or {}
    for kind, own in (("labels", task.labels), ("annotations", {})):
        pairs = {**own, **(metadata.get(kind) or {})}
        values[f"metadata.{kind}"] = "\n".join(f'{key}="{value}"' for key, value in sorted(pairs.items()))
        values.update({f"metadata.{kind}['{key}']": str(value) for key, value in pairs.items()})
    return values
