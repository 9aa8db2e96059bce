"""What bringing a directory or a repository into force would change, computed here: against the store, read only.

Comes in: a source as for `syncd up`. Goes out: the same JSON as the daemon's plan, problems, and the coming times of crons
that change. Called by `commands.plan`. It stands on the loops' own reading and comparing, so that both say the same.
"""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from syncd.app.real import SystemClock, SystemRandom
from syncd.argo import crons, labels
from syncd.base.clock import rfc3339
from syncd.base.errors import Invalid, NotFound
from syncd.base.problems import Problem
from syncd.cli import output
from syncd.cluster.api import Store
from syncd.cluster.embedded.store import open_store
from syncd.cluster.memory import MemoryStore
from syncd.config import model
from syncd.cron import explain
from syncd.loops import comparison, intake, terms
from syncd.loops.inventory import Records
from syncd.plan.plan import Plan, Verb
from syncd.source import opening
from syncd.source.directory import DirectorySource
from syncd.validate.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Preview:
    """told: as `GET /sources/{name}/plan`, with `fires`: cron → its coming times; problems: what holds it back, or warns."""

    told: dict[str, Any]
    problems: list[Problem]


async def preview(source: model.Source, state: Path, config: model.Config) -> Preview:
    """The plan of a source. A directory is read as its files are. Raises what reading the source and the store raises."""
    with tempfile.TemporaryDirectory(prefix="syncd-plan-") as scratch:
        if source.path and not source.ref.text and Path(source.path).is_dir():  # noqa: ASYNC240 - one look
            opened: Any = DirectorySource(dataclasses.replace(source, worktree=True), config.limits)
        else:
            opened = opening.opened(source, scratch, config.limits)
        options = terms.options(source, config)
        try:
            async with _store(state) as store:
                taken = intake.Intake(opened, store, Workspace(), options.decode)
                revision = await opened.poll()
                await taken.take(revision)
                records = Records(store, source.name)
                await records.load()
                keys = {*taken.manifests, *records.owned, *records.remembered} - taken.broken()
                policy = terms.policy(options, source.name, str(revision), revision.commit, "", taken.unreadable())
                plan = await comparison.compare(
                    store,
                    records,
                    taken.manifests,
                    keys,
                    policy,
                    namespace=options.decode.namespace,
                    run_all=options.run_all,
                )
        finally:
            await opened.close()
    told = {"source": source.name, "revision": taken.revision, "held": None, **plan.to_json(), "fires": _fires(plan)}
    return Preview(told, taken.problems)


@contextlib.asynccontextmanager
async def _store(state: Path) -> AsyncIterator[Store]:
    """The store, read only; an empty one where there is none."""
    clock, random = SystemClock(), SystemRandom()
    try:
        store = open_store(state, clock=clock, random=random, readonly=True)
    except NotFound:
        yield MemoryStore(clock, random)
        return
    try:
        yield store
    finally:
        await store.close()


def _fires(plan: Plan) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for change in plan.of(Verb.CREATE, Verb.UPDATE):
        if change.key.kind not in (labels.CRON_WORKFLOW, labels.CRON_JOB) or change.body is None:
            continue
        cron = crons.parse(change.body)
        with contextlib.suppress(Invalid):
            coming = () if cron.suspend else explain.upcoming(cron, output.now(), 3)
            found[str(change.key)] = [rfc3339(one.at) for one in coming]
    return found
