"""1,000 CronWorkflows of a cluster due in the same second: how long after the second each Workflow is there.

The fire loop is the one of the daemon's leader: urgent requests, the ledger in the cluster, the status of each cron written back. Wall
time is moved on to some seconds before the slot; it runs as fast as ever. A Workflow is there when the API server has answered so.
The baseline is a bare loop of the same creates; it runs before and after ours, and the quicker of both counts.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from unittest import mock

import orjson

from bench import kube
from bench.crons import MovedClock, cron
from bench.measure import Goal, Measured, percentile, say
from syncd.app import cluster
from syncd.argo import crons, labels
from syncd.argo.manifest import Body
from syncd.cluster.kube import kinds
from syncd.cron import firing
from syncd.observe.events import ApiCalled, Event
from tests.support import kubeapi
from tests.support.kubeapi import ApiServer

_PATIENCE_SECONDS: Final = 180.0
_ARMING: Final = 3
"""So many times as long as the bare loop is the time from the start of the loop to the slot: it first notes each cron's schedule
on the cron, as Argo does, which is not what is measured."""


def measure(folder: Path, quick: bool) -> list[Measured]:
    """One entry."""
    count, lead = (20, 2.0) if quick else (1_000, 10.0)
    with kubeapi.running() as server:
        return asyncio.run(_measure(folder, server, count, lead))


async def _measure(folder: Path, server: ApiServer, count: int, lead: float) -> list[Measured]:
    async with kube.bare(server) as bare:
        before = await bare.all(_creates(server, count))
        lead += _ARMING * before[-1]
        fired = await _fired(folder, server, bare, count, lead)
        after = await bare.all(_creates(server, count))
    theirs = min((before, after), key=lambda ends: ends[-1])
    delays: list[float] = fired.pop("delays")
    p50, p99 = percentile(delays, 0.5), percentile(delays, 0.99)
    say(
        f"kube-crons: p50 {p50:.2f} s, p99 {p99:.2f} s, last {delays[-1]:.2f} s; bare loop {before[-1]:.2f} s before and "
        f"{after[-1]:.2f} s after; out of order by at most {fired['most_out_of_order']}; load {kube.load():.1f}"
    )
    if fired["refused_429"]:
        raise RuntimeError(f"the API server refused for rate: {fired['calls']}")
    return [
        Measured(
            "kube-crons",
            {
                "crons": count,
                "p50_seconds": p50,
                "p99_seconds": p99,
                "first_seconds": delays[0],
                "last_seconds": delays[-1],
                **fired,
                "load": kube.load(),
            },
            {
                "what": f"a bare loop of {count} such creates, {kube.IN_FLIGHT} in flight",
                "p50_seconds": percentile(theirs, 0.5),
                "p99_seconds": percentile(theirs, 0.99),
                "last_seconds": theirs[-1],
            },
            delays[-1] / theirs[-1],
            Goal("ratio", at_most=1.5),
        )
    ]


def _creates(server: ApiServer, count: int) -> list[kube.Request]:
    """Creates of the children that our crons have, in a namespace of their own."""
    namespace = server.namespace("bare")
    slot = datetime.now().astimezone().replace(second=0, microsecond=0)
    bodies = [firing.child(crons.parse(_cron(number, slot, namespace)), slot) for number in range(count)]
    path = kinds.collection(labels.WORKFLOW, namespace) + "?fieldManager=syncd"
    return [kube.Request("POST", path, orjson.dumps(body)) for body in bodies]


def _cron(number: int, slot: datetime, namespace: str) -> Body:
    body = cron(number, slot)
    body["metadata"] |= {
        "name": f"cron-{number:05d}",
        "namespace": namespace,
        "labels": {labels.INSTANCE_ID: labels.SYNCD_INSTANCE},
    }
    return body


async def _fired(folder: Path, server: ApiServer, bare: kube.Bare, count: int, lead: float) -> dict[str, Any]:
    """Delays in seconds from the slot, in order, and what was asked. lead: seconds from the start of the loop to the slot."""
    clock = MovedClock()
    namespace = server.namespace("bench")
    slot = (clock.now() + timedelta(minutes=5)).replace(second=0, microsecond=0)
    path = kinds.collection(labels.CRON_WORKFLOW, namespace)
    bodies = [_cron(number, slot, namespace) for number in range(count)]
    await bare.all(kube.Request("POST", path, orjson.dumps(body)) for body in bodies)
    config = kube.config_of(server, folder / "state", namespace)
    with mock.patch.object(cluster, "SystemClock", lambda: clock):
        async with kube.acting(folder / "state", config) as (parts, acting):
            delays: list[float] = []
            done = asyncio.Event()

            def hear(event: Event) -> None:
                if isinstance(event, ApiCalled) and (event.verb, event.resource) == ("create", "workflows"):
                    delays.append((clock.now() - slot).total_seconds())
                    if len(delays) == count:
                        done.set()

            parts.bus.subscribe(hear)
            fire = acting.fire
            assert fire is not None
            clock.shift = slot - timedelta(seconds=lead) - clock.now()
            parts.runner.start("fire", fire.run)
            while sum(moment is not None for _, moment in fire.next_fires()) < count:
                await asyncio.sleep(0.1)
                if clock.now() >= slot:
                    raise RuntimeError("the crons were not armed before their slot")
            counting = kube.Counting(server)
            await asyncio.wait_for(done.wait(), lead + _PATIENCE_SECONDS)
            settled = await _settled(parts, namespace, count, slot, clock)
            calls = counting.calls()
    made = sorted(
        await bare.items(labels.WORKFLOW, namespace), key=lambda body: int(body["metadata"]["resourceVersion"])
    )
    names = [body["metadata"]["name"] for body in made]
    if len(names) != count or delays[0] < 0:
        raise RuntimeError(f"{len(names)} Workflows of {count} crons, the first {delays[0]:.3f} s after the slot")
    places = {name: place for place, name in enumerate(sorted(names))}
    return {
        "delays": delays,
        "settled_seconds": settled,
        "most_out_of_order": max(abs(places[name] - place) for place, name in enumerate(names)),
        "requests": calls.total(),
        "calls": calls.to_json(),
        "refused_429": calls.refused(),
    }


async def _settled(parts: cluster.ClusterParts, namespace: str, count: int, slot: datetime, clock: MovedClock) -> float:
    """Seconds from the slot until every cron shows when it ran last, and no row of the ledger is pending."""
    while True:
        page = await parts.people.list(labels.CRON_WORKFLOW, namespace)
        shown = sum("lastScheduledTime" in (body.get("status") or {}) for body in page.items)
        if shown == count and not await parts.people.pending():
            return (clock.now() - slot).total_seconds()
        await asyncio.sleep(0.5)
