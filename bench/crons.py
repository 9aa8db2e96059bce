"""1,000 CronWorkflows due in the same second: how long after the second each Workflow is there, durable.

Measured twice: with nothing but the fire loop, and with all of the daemon's loops, where the run loop takes up the new Workflows and
starts their steps meanwhile. Wall time is moved on to some seconds before the slot, so that nobody waits for a minute to end;
it runs as fast as ever. A Workflow is there when the store's watch says so, which is after the commit.
The baseline is the store alone: as many such Workflows, written in one batch.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from unittest import mock
from zoneinfo import ZoneInfo

from bench.measure import Goal, Measured, median, percentile, say
from bench.parts import made
from syncd.app import parts as making
from syncd.app.parts import Parts
from syncd.app.real import SystemClock
from syncd.argo import crons, labels
from syncd.argo.manifest import Body, Key, key_of
from syncd.cluster.api import Verb, Write
from syncd.config.model import Config, Runtime
from syncd.cron import firing

_ZONE: Final = ZoneInfo("Europe/Paris")
_BATCH: Final = 250


class MovedClock(SystemClock):
    """The real clock, moved on."""

    shift = timedelta()

    def now(self) -> datetime:
        return super().now() + self.shift


def measure(folder: Path, quick: bool) -> list[Measured]:
    """Both of them."""
    count, lead = (20, 0.5) if quick else (1_000, 6.0)
    plain = asyncio.run(_batch(folder / "plain", count))
    busy = asyncio.run(_fired(folder / "busy", count, lead, busy=True))
    alone = asyncio.run(_fired(folder / "alone", count, lead, busy=False))
    return [_measured("crons", busy, plain), _measured("crons-alone", alone, plain)]


def _measured(name: str, delays: Sequence[float], plain: float) -> Measured:
    p50, p99 = percentile(delays, 0.5), percentile(delays, 0.99)
    say(f"{name}: p50 {p50:.3f} s, p99 {p99:.3f} s, worst {max(delays):.3f} s")
    return Measured(
        name,
        {"crons": len(delays), "p50_seconds": p50, "p99_seconds": p99, "worst_seconds": max(delays)},
        {"what": f"{len(delays)} such Workflows written to the store in one batch", "seconds": plain},
        p99 / plain,
        Goal("p99_seconds", at_most=1.0),
    )


async def _batch(state: Path, count: int) -> float:
    """Seconds to write as many children at once: the median of three."""
    slot = datetime.now(UTC).replace(microsecond=0)
    async with made(state, Config(state=str(state), runtime=Runtime.SANDBOX), act=False) as parts:
        seconds: list[float] = []
        for turn in range(3):
            bodies = [cron(number, slot) for number in range(count)]
            children = [firing.child(crons.parse(body), slot + timedelta(minutes=turn)) for body in bodies]
            begun = time.perf_counter()
            await _create(parts, children)
            seconds.append(time.perf_counter() - begun)
    return median(seconds)


async def _fired(state: Path, count: int, lead_seconds: float, *, busy: bool) -> list[float]:
    """Seconds from the slot to each Workflow. lead_seconds: from the start of the loops to the slot."""
    clock = MovedClock()
    config = Config(state=str(state), runtime=Runtime.SANDBOX)
    slot = (clock.now() + timedelta(minutes=3)).replace(second=0, microsecond=0)
    with mock.patch.object(making, "SystemClock", lambda: clock):
        async with made(state, config, act=busy) as parts:
            bodies = [cron(number, slot) for number in range(count)]
            for start in range(0, count, _BATCH):
                await _create(parts, bodies[start : start + _BATCH])
            version = (await parts.store.list(labels.WORKFLOW, limit=1)).version
            clock.shift = slot - timedelta(seconds=lead_seconds) - clock.now()
            if busy:
                parts.runner.start("runs", parts.runs.run)
                parts.runner.start("collect", parts.collect.run)
            parts.runner.start("fire", parts.fire.run)
            return await asyncio.wait_for(_delays(parts, slot, version, count), lead_seconds + 120)


async def _delays(parts: Parts, slot: datetime, version: str, count: int) -> list[float]:
    delays: dict[Key, float] = {}
    async for change in parts.store.watch([labels.WORKFLOW], version):
        if change.kind == "ADDED":
            delays[change.key] = (parts.clock.now() - slot).total_seconds()
            if len(delays) == count:
                break
    if min(delays.values()) < 0:
        raise RuntimeError("a cron fired before its time")
    return list(delays.values())


async def _create(parts: Parts, bodies: Sequence[Body]) -> None:
    for written in await parts.store.write([Write(Verb.CREATE, key_of(body), body) for body in bodies]):
        if written.error is not None:
            raise written.error


def cron(number: int, slot: datetime) -> Body:
    """A CronWorkflow that is due at `slot` and once a day from then on."""
    local = slot.astimezone(_ZONE)
    step: dict[str, Any] = {"name": "main", "container": {"image": "busybox", "command": ["true"]}}
    return {
        "apiVersion": labels.ARGO_API,
        "kind": labels.CRON_WORKFLOW,
        "metadata": {"name": f"cron-{number}", "namespace": "default", "uid": f"cron-{number}"},
        "spec": {
            "schedules": [f"{local.minute} {local.hour} * * *"],
            "timezone": str(_ZONE),
            "concurrencyPolicy": "Forbid",
            "workflowSpec": {"entrypoint": "main", "templates": [step]},
        },
    }
