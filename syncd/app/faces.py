"""What the server sees of the loops, the same in both modes: the judge of one object, and the sources.

Implements protocols of `server.api`. Made by `parts` and `cluster`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from syncd.argo.manifest import Body, Key, Manifest, Origin, key_of
from syncd.base.errors import NotFound
from syncd.base.problems import Problem
from syncd.cluster.api import Objects
from syncd.config.model import Config
from syncd.loops.sync import SyncLoop
from syncd.validate import lint
from syncd.validate.catalog import Catalog, View
from syncd.validate.profile import Profile


class Lints:
    """Judges one object in the light of what is in force."""

    def __init__(self, store: Objects, config: Config) -> None:
        self._store = store
        self._config = config

    async def lint(self, body: Body, submission: bool) -> Sequence[Problem]:
        """submission: arguments must have their values."""
        manifest = Manifest(key_of(body), body, Origin("(submitted)"))
        profile = Profile(
            lint=not submission,
            workflow_defaults=dict(self._config.workflow_defaults) or None,
        )
        live: dict[Key, Body] = {}
        asked: set[Key] = set()
        while True:
            view = View(Catalog([manifest], live))
            problems = sorted(lint.lint_one(manifest, view, profile))
            wanted = {key for key in view.looked_up if key.name != "*"} - asked
            if not wanted:
                return problems
            asked |= wanted
            for key in wanted:
                try:
                    live[key] = await self._store.get(key)
                except NotFound:
                    continue


class SourceBoard:
    """Implements `server.api.Sources` over the sync loops, which come and go with the configuration."""

    def __init__(self) -> None:
        self.loops: dict[str, SyncLoop] = {}

    def _loop(self, name: str) -> SyncLoop:
        found = self.loops.get(name)
        if found is None:
            raise NotFound(f"no source is called {name!r}; known: {', '.join(self.loops) or 'none'}")
        return found

    async def refresh(self) -> None:
        """The loops are always true."""

    def names(self) -> list[str]:
        return list(self.loops)

    def status(self, name: str) -> dict[str, Any]:
        return self._loop(name).status()

    def problems(self, name: str) -> Sequence[Problem]:
        return self._loop(name).problems()

    async def plan(self, name: str) -> dict[str, Any]:
        return await self._loop(name).plan_preview()

    async def sync(self, name: str, wait: bool) -> dict[str, Any]:
        return await self._loop(name).request_sync(wait)

    async def approve(self, name: str, revision: str, by: str) -> dict[str, Any]:
        return await self._loop(name).approve(revision, by)

    def ignored(self, name: str) -> Sequence[tuple[str, str]]:
        return self._loop(name).ignored()

    def revision_of(self, source: str) -> str:
        """The revision in force of a source; "" for one that is not known."""
        loop = self.loops.get(source)
        return str(loop.status().get("applied") or "") if loop is not None else ""
