"""What bringing a directory or a repository into force would change, computed here: against the store or a cluster, read only.

Comes in: a source as for `syncd up`. Goes out: the same JSON as the daemon's plan, problems, and the coming times of crons
that change; of a cluster, if asked, what it would refuse. Called by `commands.plan`. It stands on the loops' own reading and comparing, so that both say the same.
"""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import AsyncIterator, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from syncd.app.real import SystemClock, SystemRandom
from syncd.argo import crons, labels
from syncd.argo.manifest import Key
from syncd.base.clock import rfc3339
from syncd.base.errors import Invalid, NotFound
from syncd.base.problems import Problem
from syncd.cli import output
from syncd.cluster.api import Store
from syncd.cluster.embedded.store import open_store
from syncd.cluster.memory import MemoryStore
from syncd.config import model
from syncd.cron import explain
from syncd.loops import comparison, intake, inventory, terms
from syncd.loops.inventory import Records
from syncd.plan.plan import Plan, Verb
from syncd.source import opening
from syncd.source.directory import DirectorySource
from syncd.validate.profile import Profile
from syncd.validate.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Asked:
    """What to plan, and against what. config: of a cluster where its mode is kubernetes; state: else, of the store;
    namespace_given: somebody said the namespace of the source; rehearse: ask the cluster about each write."""

    source: model.Source
    config: model.Config
    state: Path
    namespace_given: bool = False
    rehearse: bool = False


@dataclass(frozen=True, slots=True)
class Ground:
    """What is compared with. config: the terms; retired, reserved: as `terms.options` has them; notes: for people."""

    store: Store
    config: model.Config
    retired: Collection[str] = ()
    notes: tuple[str, ...] = ()
    reserved: frozenset[Key] = frozenset()


@dataclass(frozen=True, slots=True)
class Preview:
    """told: as `GET /sources/{name}/plan`, with `fires`: cron → its coming times; problems: what holds it back, or warns."""

    told: dict[str, Any]
    problems: list[Problem]


async def preview(asked: Asked) -> Preview:
    """The plan of a source. A directory is read as its files are. Raises what reading the source and the store raises."""
    with tempfile.TemporaryDirectory(prefix="syncd-plan-") as scratch:
        async with _ground(asked, Path(scratch)) as ground:
            source = _on_terms(asked.source, ground.config, keep_namespace=asked.namespace_given)
            if source.path and not source.ref.text and Path(source.path).is_dir():  # noqa: ASYNC240 - one look
                opened: Any = DirectorySource(dataclasses.replace(source, worktree=True), ground.config.limits)
            else:
                opened = opening.opened(source, scratch, ground.config.limits)
            try:
                return await _planned(asked, source, opened, ground)
            finally:
                await opened.close()


async def _planned(asked: Asked, source: model.Source, opened: Any, ground: Ground) -> Preview:
    config, store = ground.config, ground.store
    options = terms.options(source, config, ground.retired, ground.reserved)
    embedded = config.mode is model.Mode.EMBEDDED
    profile = Profile(embedded=embedded, workflow_defaults=dict(config.workflow_defaults) or None)
    taken = intake.Intake(opened, store, Workspace(profile), options.decode)
    revision = await opened.poll()
    await taken.take(revision)
    records = Records(store, source.name)
    await records.load()
    policy = terms.policy(options, source.name, str(revision), revision.commit, "", taken.unreadable())

    async def compared(keys: Iterable[Key]) -> Plan:
        return await comparison.compare(
            store,
            records,
            taken.manifests,
            set(keys),
            policy,
            namespace=options.decode.namespace,
            run_all=options.run_all,
        )

    plan = await compared({*taken.manifests, *records.owned, *records.remembered} - taken.broken())
    told: dict[str, Any] = {"source": source.name, "revision": taken.revision, "held": None}
    if asked.rehearse:
        from syncd.loops import rehearsal

        plan, rejected = await rehearsal.rehearsed(store, plan, compared, batch=options.batch)
        told |= {"rehearsed": True, "rejected": {str(change.key): str(error) for change, error in rejected}}
    told |= {**plan.to_json(), "fires": _fires(plan), "notes": list(ground.notes)}
    return Preview(told, taken.problems)


def _on_terms(source: model.Source, config: model.Config, *, keep_namespace: bool) -> model.Source:
    """A source of the configuration, read from another place: what it may bring and delete is as configured."""
    known = next((one for one in config.sources if one.name == source.name), None)
    if known is None:
        return source
    where = {name: getattr(source, name) for name in ("url", "path", "ref", "worktree", "allow_http")}
    where["folder"] = source.folder or ("" if source.path else known.folder)
    if keep_namespace:
        where["namespace"] = source.namespace
    return dataclasses.replace(known, **where)


@contextlib.asynccontextmanager
async def _ground(asked: Asked, scratch: Path) -> AsyncIterator[Ground]:
    """The store, read only, an empty one where there is none; or a cluster."""
    config = asked.config
    if config.mode is model.Mode.KUBERNETES:
        async with _cluster(config, asked.source.name, scratch) as ground:
            yield ground
        return
    clock, random = SystemClock(), SystemRandom()
    try:
        store = open_store(asked.state, clock=clock, random=random, readonly=True)
    except NotFound:
        yield Ground(MemoryStore(clock, random), config)
        return
    try:
        yield Ground(store, config)
    finally:
        await store.close()


@contextlib.asynccontextmanager
async def _cluster(config: model.Config, source: str, scratch: Path) -> AsyncIterator[Ground]:
    """A cluster, on the terms of the installation in it, as far as they can be read."""
    from syncd.app import beside

    async with beside.reached(config, scratch) as found:
        notes = []
        on_terms = await beside.described(found)
        retired: frozenset[str] = frozenset()
        if not found.place.found:
            notes.append(f"planned as for a new installation: {found.place.why}")
        else:
            if not on_terms.sources:
                notes.append("the installation's configuration cannot be read: default terms; --config FILE gives them")
            elif source not in [one.name for one in on_terms.sources]:
                names = ", ".join(one.name for one in on_terms.sources)
                notes.append(
                    f"the installation has no source {source!r}, so this is one more; it has {names}; see --source-name"
                )
            if on_terms.sources:
                configured = {one.name for one in on_terms.sources}
                retired = frozenset(await inventory.sources(found.store)) - configured
        yield Ground(found.store, on_terms, retired, tuple(notes), found.store.reserved)


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
