"""On which terms a source is synced: its options, and the policy of a plan that follows from them.

Made of the configuration by `app` (`options`), read by `loops.sync`. Pure.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Final

from syncd.argo import labels
from syncd.argo.manifest import Key, Path
from syncd.base.errors import ConfigError
from syncd.config import fieldpath, model
from syncd.plan import guard
from syncd.plan.plan import Policy
from syncd.source import decode, snapshot

BATCH: Final = 100
"""Embedded: some milliseconds during which no cron can write."""

BATCH_OF_A_CLUSTER: Final = 500
"""Requests run beside each other there, and the end of each batch waits for the slowest."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a source is synced; `app` makes it of the configuration.

    decode: what the source may bring; atomic: whether one error holds the whole source (else only its object and those
    that refer to it); run_all: Workflows and Jobs in git are run once, not only offered; prune: whether what goes from
    the source is deleted; retired: sources no longer configured, whose objects may be taken over; suspended: neither
    polled nor applied.
    """

    decode: decode.Options = field(default_factory=decode.Options)
    interval: timedelta = timedelta(seconds=30)
    drift_interval: timedelta = timedelta(minutes=10)
    atomic: bool = True
    run_all: bool = False
    prune: bool = True
    max_delete_fraction: float = guard.MAX_DELETE_FRACTION
    retired: frozenset[str] = frozenset()
    suspended: bool = False
    ignore: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    instance: str = ""
    reserved: frozenset[Key] = frozenset()
    batch: int = BATCH


def options(
    source: model.Source,
    config: model.Config,
    retired: Iterable[str] = (),
    reserved: frozenset[Key] = frozenset(),
) -> Options:
    """What the configuration says of a source. retired: sources that have an inventory and are configured no more; reserved: as
    `plan.plan.Policy` has it.

    Raises ConfigError where `ignore` names a kind that is none of ours.
    """
    in_cluster = config.mode is model.Mode.KUBERNETES
    fires = in_cluster and config.schedule.scheduler is model.Scheduler.SYNCD
    return Options(
        decode=decode.Options(
            namespace=source.namespace,
            secrets=source.secrets,
            kinds=frozenset(source.kinds) or None,
            namespaces=frozenset(source.namespaces) or None,
            source=source.name,
            limits=snapshot.yaml_limits(config.limits),
        ),
        interval=source.interval,
        drift_interval=config.drift_interval,
        atomic=source.atomic is model.Atomic.SOURCE,
        run_all=source.workflows is model.Workflows.RUN,
        prune=source.prune.enabled,
        max_delete_fraction=source.prune.max_delete_fraction,
        retired=frozenset(retired) - {source.name},
        suspended=source.suspend,
        ignore=ignored_fields(source),
        instance=labels.SYNCD_INSTANCE if fires else "",
        reserved=reserved,
        batch=BATCH_OF_A_CLUSTER if in_cluster else BATCH,
    )


def ignored_fields(source: model.Source) -> Mapping[str, tuple[Path, ...]]:
    """`ignore` of a source, as paths. Raises ConfigError, naming every fault: `config.load` has found the others already."""
    faults: list[str] = []
    found: dict[str, tuple[Path, ...]] = {}
    for kind, fields in source.ignore.items():
        if kind not in labels.API_VERSION_OF:
            near = difflib.get_close_matches(kind, labels.API_VERSION_OF, n=1)
            remedy = f"did you mean {near[0]}" if near else f"known: {', '.join(sorted(labels.API_VERSION_OF))}"
            faults.append(f'source {source.name}: ignore: no such kind "{kind[:100]}"; {remedy}')
        paths: list[Path] = []
        for text in fields:
            try:
                paths.append(fieldpath.parse(text))
            except ValueError as wrong:
                faults.append(f'source {source.name}: ignore.{kind[:100]}: "{text[:200]}": {wrong}')
        found[kind] = tuple(paths)
    if faults:
        raise ConfigError("\n".join(faults))
    return MappingProxyType(found)


def policy(
    terms: Options, source: str, revision: str, commit: str, no_deletes: str, unreadable: Sequence[str]
) -> Policy:
    """What a plan may do. no_deletes: why nothing is deleted now, "" = no such reason; unreadable: files that may hold
    what seems to be gone: while there are any, nothing is deleted either."""
    read = terms.decode
    kinds = read.kinds if read.kinds is not None else frozenset(labels.API_VERSION_OF)
    if not no_deletes and not terms.prune:
        no_deletes = "prune is off for this source"
    if not no_deletes and unreadable:
        no_deletes = f"{unreadable[0]} cannot be read, and may hold it"
    return Policy(
        source,
        revision,
        commit,
        kinds=kinds if read.secrets else kinds - {labels.SECRET},
        namespaces=read.namespaces,
        retired=terms.retired,
        no_deletes=no_deletes,
        ignore=terms.ignore,
        instance=terms.instance,
        reserved=terms.reserved,
    )
