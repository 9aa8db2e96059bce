"""Reading, judging and planning 10,000 manifests: from nothing, and again with nothing changed. Pure work in one thread.

The baseline of the first is PyYAML's C parser making plain values of the same bytes, which is the least that anybody does.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import yaml

from bench import manifests
from bench.measure import Goal, Measured, say, seconds_of
from syncd.argo.manifest import Body, Key, Manifest
from syncd.base.problems import Severity
from syncd.plan import desired as wanting
from syncd.plan import plan as planning
from syncd.plan.plan import Plan, Policy, Verb
from syncd.source import decode
from syncd.validate.workspace import Workspace

_POLICY: Final = Policy("bench", "main@sha1:" + 40 * "0", 40 * "0")


def measure(folder: Path, quick: bool) -> list[Measured]:
    """Cold, and again."""
    count = 200 if quick else 10_000
    files = {path: text.encode() for path, text in manifests.many(count).items()}
    size = sum(map(len, files.values()))
    plain = seconds_of(lambda: [yaml.load(data, Loader=yaml.CSafeLoader) for data in files.values()])
    load = _Load(files)
    parts = {
        "decode_seconds": seconds_of(load.decode),
        "lint_seconds": seconds_of(load.lint),
        "plan_seconds": seconds_of(load.plan),
    }
    cold = sum(parts.values())
    say(f"load: {count} manifests of {size // count} bytes: " + ", ".join(f"{k} {v:.2f}" for k, v in parts.items()))
    load.apply()
    again = {
        "lint_seconds": seconds_of(load.lint_again),
        "plan_seconds": seconds_of(load.plan_again),
    }
    warm = sum(again.values())
    return [
        Measured(
            "load-cold",
            {"manifests": count, "bytes": size, **parts, "seconds": cold, "manifests_per_second": count / cold},
            {"what": "PyYAML's C parser on the same bytes", "seconds": plain, "manifests_per_second": count / plain},
            cold / plain,
            Goal("manifests_per_second", at_least=850),
        ),
        Measured(
            "load-again",
            {"manifests": count, **again, "seconds": warm},
            {"what": "load-cold", "seconds": cold},
            warm / cold,
            Goal("ratio", at_most=0.1),
        ),
    ]


class _Load:
    """One source in memory, as `loops.sync` keeps it."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files
        self._decoded: dict[str, tuple[Manifest, ...]] = {}
        self._workspace = Workspace()
        self._plan = Plan()
        self._live: dict[Key, Body] = {}

    def decode(self) -> None:
        """Every file into manifests."""
        options = decode.Options(source="bench", revision=_POLICY.revision)
        for path, data in self._files.items():
            found = decode.decode(path, data, options)
            if found.problems:
                raise RuntimeError(f"a manifest of the benchmark is wrong: {found.problems[0]}")
            self._decoded[path] = found.manifests

    def lint(self) -> None:
        """All of them judged. Raises RuntimeError where one has an error: the benchmark's own manifests are right."""
        self._workspace.update(self._decoded)
        self._check()

    def plan(self) -> None:
        """What to create where nothing is."""
        self._plan = self._planned(frozenset())
        if len(self._plan.of(Verb.CREATE)) != len(self._files):
            raise RuntimeError(f"not everything is planned: {self._plan.counts()}")

    def apply(self) -> None:
        """As if the plan had been carried out."""
        self._live = {change.key: change.body for change in self._plan.changes if change.body is not None}

    def lint_again(self) -> None:
        """The same commit: no file has changed."""
        self._workspace.update({})
        self._check()

    def plan_again(self) -> None:
        """Everything compared with what is live, as at every drift interval."""
        again = self._planned(frozenset(self._live))
        if len(again.of(Verb.KEEP)) != len(self._files):
            raise RuntimeError(f"not everything is kept: {again.counts()}")

    def _planned(self, owned: frozenset[Key]) -> Plan:
        wanted = {key: wanting.desired(manifest) for key, manifest in self._workspace.manifests().items()}
        return planning.plan(wanted, self._live, owned, _POLICY)

    def _check(self) -> None:
        wrong = [problem for problem in self._workspace.problems() if problem.severity is Severity.ERROR]
        if wrong:
            raise RuntimeError(f"a manifest of the benchmark is wrong: {wrong[0]}")
