"""Artifacts as a step sees them: loaded to a path, saved from one, wherever their bytes live.

In: Argo's artifact object, the run's `artifactRepositoryRef`. Out: files for the step; the artifact with its location.
Chooses the driver, retries what may pass, packs and unpacks. Called by `execute.perform` and, to hand artifacts out,
by `server`. Blocking work runs in threads.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from syncd.artifacts import api, drivers, local, pack
from syncd.artifacts import repository as repositories
from syncd.artifacts.repository import Repository
from syncd.base import backoff, yamltext
from syncd.base.errors import Invalid, NotFound, Unreachable

DEFAULT_CONFIG_MAP: Final = "artifact-repositories"
DEFAULT_ANNOTATION: Final = "workflows.argoproj.io/default-artifact-repository"

_ATTEMPTS: Final = 4
T = TypeVar("T")


class Artifacts:
    """All artifacts of an installation.

    root: directory of the local repository; default: Argo's `artifactRepository` object, None = the local directory.
    """

    def __init__(
        self,
        *,
        root: Path,
        default: Mapping[str, Any] | None,
        config_map: api.ReadConfigMap,
        secret: api.ReadSecret,
        caps: api.Caps | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._root = root
        self._default = repositories.repository(default)
        self._config_map = config_map
        self._secret = secret
        self._caps = caps or api.Caps()
        self._sleep = sleep
        self._drivers = drivers.table(root)

    @property
    def archive_logs(self) -> bool:
        """Whether the configured repository wants every step's log."""
        return self._default.archive_logs

    async def repository(self, reference: Mapping[str, Any] | None, namespace: str) -> Repository:
        """The repository of a run. reference: its `artifactRepositoryRef`, empty = the namespace's default, else ours.

        Raises NotFound where it is named and does not exist, Invalid, Unsupported.
        """
        named = bool(reference)
        name = str((reference or {}).get("configMap") or DEFAULT_CONFIG_MAP)
        try:
            body = await self._config_map(namespace, name)
        except NotFound:
            if named:
                raise
            return self._default
        annotations = (body.get("metadata") or {}).get("annotations") or {}
        key = str((reference or {}).get("key") or annotations.get(DEFAULT_ANNOTATION) or "")
        text = (body.get("data") or {}).get(key)
        if text is None:
            if named:
                raise NotFound(f'config map missing key "{key}" for artifact repository ref {name!r} in {namespace!r}')
            return self._default
        found = list(yamltext.documents(str(text)))
        if len(found) != 1 or not isinstance(found[0], yamltext.Document) or not isinstance(found[0].value, dict):
            raise Invalid(f"key {key!r} of ConfigMap {namespace}/{name} is not an artifact repository in YAML")
        return repositories.repository(found[0].value)

    def load(self, artifact: Mapping[str, Any], target: Path, namespace: str, own: Repository) -> bool:
        """Make `target` of the artifact, unpacked; blocking. False: it is optional and not there.

        Raises NotFound (`required artifact 'x' not supplied`, or its object is gone), and the drivers' errors.
        """
        name = str(artifact.get("name", ""))
        found = repositories.locate(artifact, own)
        if found is None:
            if artifact.get("optional"):
                return False
            raise NotFound(f"required artifact '{name}' not supplied")
        kind, location = found
        driver = self._driver(kind)
        access = self._access(namespace)
        arriving = target.with_name(target.name + ".arriving")

        def attempt() -> None:
            _remove(arriving)
            driver.load(location, arriving, access)

        try:
            self._retried(attempt)
            pack.unpack(arriving, target, artifact.get("archive"), self._caps)
        except NotFound:
            if artifact.get("optional"):
                return False
            raise
        finally:
            _remove(arriving)
        if sub_path := str(artifact.get("subPath") or ""):
            _narrow(target, sub_path, name)
        if (mode := artifact.get("mode")) is not None:
            _chmod(target, int(mode), bool(artifact.get("recurseMode")))
        return True

    def save(
        self,
        artifact: Mapping[str, Any],
        handle: int,
        staging: Path,
        namespace: str,
        own: Repository,
        variables: Mapping[str, str],
        started_at: datetime,
    ) -> dict[str, Any]:
        """Archive and upload what the O_PATH descriptor `handle` stands for; blocking.

        staging: a folder for the archive on its way; variables: for the repository's key format.
        Returns the artifact as a node's outputs hold it, with its location complete.
        """
        name = str(artifact.get("name", ""))
        base_name = str(artifact.get("path", "")).rstrip("/").rpartition("/")[2] or name
        packed = staging / f"{name}.packed"
        _remove(packed)
        try:
            suffix = pack.pack(handle, base_name, packed, artifact.get("archive"), self._caps)
            found = repositories.locate(artifact, own)
            if found is None:
                file_name = name + suffix if suffix else base_name
                key = repositories.new_key(own, variables, started_at, file_name)
                kind, location = own.kind, {**own.base, "key": key}
            else:
                kind, location = found
            self._put(kind, location, packed, namespace)
        finally:
            _remove(packed)
        kept = {k: v for k, v in artifact.items() if k not in drivers.KINDS}
        return {**kept, kind: location}

    def save_file(
        self, name: str, source: Path, namespace: str, own: Repository, variables: Mapping[str, str], at: datetime
    ) -> dict[str, Any]:
        """Upload a file of ours as it is (a log), under its own file name; returns the artifact."""
        location = {**own.base, "key": repositories.new_key(own, variables, at, source.name)}
        self._put(own.kind, location, source, namespace)
        return {"name": name, own.kind: location}

    async def open(
        self, artifact: Mapping[str, Any], namespace: str, own: Repository | None = None
    ) -> AsyncIterator[bytes]:
        """The bytes of an artifact as they are stored, in pieces. Raises as the drivers do, before the first piece."""
        found = repositories.locate(artifact, own or self._default)
        if found is None:
            raise NotFound(f"artifact {artifact.get('name', '')!r} has no location")
        kind, location = found
        driver, access = self._driver(kind), self._access(namespace)
        pieces = iter(await asyncio.to_thread(lambda: driver.open(location, access)))
        while (piece := await asyncio.to_thread(_next, pieces)) is not None:
            yield piece

    async def delete(self, artifact: Mapping[str, Any], namespace: str, own: Repository | None = None) -> None:
        """Drop the artifact's object; absent or nowhere: nothing happens."""
        found = repositories.locate(artifact, own or self._default)
        if found is not None and found[0] in drivers.KEYED:
            kind, location = found
            await asyncio.to_thread(self._driver(kind).delete, location, self._access(namespace))

    async def prune_local(self, before: datetime) -> int:
        """Drop objects of the local repository last written before `before`; answers how many."""
        return await asyncio.to_thread(local.Local(self._root).prune, before)

    def _put(self, kind: str, location: Mapping[str, Any], source: Path, namespace: str) -> None:
        driver, access = self._driver(kind), self._access(namespace)
        self._retried(lambda: driver.save(source, location, access))

    def _driver(self, kind: str) -> api.Driver:
        return self._drivers[kind]

    def _access(self, namespace: str) -> api.Access:
        return api.Access(namespace, self._secret, self._caps)

    def _retried(self, attempt: Callable[[], T]) -> T:
        """`attempt` again while the other side does not answer: some seconds in all."""
        for number in range(1, _ATTEMPTS):
            try:
                return attempt()
            except Unreachable as error:
                self._sleep(max(error.retry_after_seconds or 0.0, backoff.delay(number, 0.5, 4.0)))
        return attempt()


def _next(pieces: Iterator[bytes]) -> bytes | None:
    return next(pieces, None)


def _narrow(target: Path, sub_path: str, name: str) -> None:
    """Replace the unpacked artifact by a part of it, reached without walking through links."""
    parts = [part for part in sub_path.split("/") if part not in ("", ".")]
    if ".." in parts or not parts:
        raise Invalid(f"artifact {name!r}: subPath {sub_path!r} must be a relative path within it")
    here = target
    for part in parts:
        here = here / part
        if here.is_symlink() or not here.exists():
            raise NotFound(f"artifact {name!r} has no {sub_path!r}")
    aside = target.with_name(target.name + ".part")
    here.rename(aside)
    _remove(target)
    aside.rename(target)


def _chmod(target: Path, mode: int, recurse: bool) -> None:
    """Set the mode as Argo does, on files and folders alike; setuid and setgid are not handed out."""
    paths = [target]
    if recurse and target.is_dir():
        paths += [Path(folder, name) for folder, names, files in os.walk(target) for name in (*names, *files)]
    for path in paths:
        if not path.is_symlink():
            path.chmod(mode & 0o1777)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
