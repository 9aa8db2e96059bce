"""A stand-in for Argo's cron controller, beside `kubeargo`, which plays its workflow-controller: it fires CronWorkflows by Argo's rule.

Comes in: an API server, a namespace, an instance id. Goes out: Workflows named `<cron>-<unix seconds of the slot>`, the status and the
annotation that Argo keeps, histories cut. Like Argo it sees only CronWorkflows without an instance id label (or with its own);
it counts `@every` from when it sees the cron, and again after each change of it; it makes up for the latest slot only within
startingDeadlineSeconds, and says nothing where the child is there already.

Source: Argo v4.1.2 workflow/cron/controller.go processNextCronItem, syncAll; workflow/cron/operator.go run,
shouldOutstandingWorkflowsBeRun, reconcileActiveWfs, enforceHistoryLimit; and ../shared/kube/recorded/cronworkflows.jsonl. What it
does not do: schedules but `* * * * *` and `@every Ns`, time zones, Replace, `when`, stopStrategy.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp
import orjson

from tests.support.kubeapi import ApiServer
from tests.support.kubeargo import API, INSTANCE

LAST_USED: Final = "cronworkflows.argoproj.io/last-used-schedule"
PARENT: Final = "workflows.argoproj.io/cron-workflow"
_ENDED: Final = ("Succeeded", "Failed", "Error")
_RECONCILE_SECONDS: Final = 2.0  # Argo: CRON_SYNC_PERIOD, 10 s
_AGAIN_SECONDS: Final = 0.2


class CronController:
    """One that runs. fired: names of the children it has made; met: those that were there already."""

    def __init__(self, url: str, token: str, trust: ssl.SSLContext, namespace: str, instance: str = "") -> None:
        self.fired: list[str] = []
        self.met: list[str] = []
        self._url, self._token, self._trust = url, token, trust
        self._space = f"{API}/namespaces/{namespace}"
        self._selector = f"{INSTANCE}={instance}" if instance else f"!{INSTANCE}"
        self._crons: dict[str, dict[str, Any]] = {}
        self._next: dict[str, int] = {}  # by name: Unix seconds of the slot that comes
        self._news = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._locks: dict[str, asyncio.Lock] = {}

    async def run(self) -> None:
        """For ever, whatever the server does."""
        headers = {"Authorization": f"Bearer {self._token}", "User-Agent": "workflow-controller/stand-in-cron"}
        connector = aiohttp.TCPConnector(ssl=self._trust, limit=20)
        self._session = aiohttp.ClientSession(self._url, connector=connector, headers=headers)
        loops = [asyncio.create_task(each()) for each in (self._watching, self._firing, self._reconciling)]
        try:
            await asyncio.gather(*loops)
        finally:
            for task in (*loops, *self._tasks):
                task.cancel()
            await asyncio.gather(*loops, *self._tasks, return_exceptions=True)
            await self._session.close()
            await asyncio.sleep(0.05)

    async def _watching(self) -> None:
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                await self._follow()
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _follow(self) -> None:
        path, parameters = f"{self._space}/cronworkflows", {"labelSelector": self._selector}
        async with self._session.get(path, params=parameters) as answer:
            answer.raise_for_status()
            listed = await answer.json()
        there = {item["metadata"]["name"] for item in listed["items"]}
        for name in self._crons.keys() - there:
            self._lose(name)
        for item in listed["items"]:
            self._see(item)
        parameters |= {"watch": "true", "resourceVersion": listed["metadata"]["resourceVersion"]}
        endless = aiohttp.ClientTimeout(total=None)
        async with self._session.get(path, params=parameters, timeout=endless, read_bufsize=4 << 20) as answer:
            answer.raise_for_status()
            async for line in answer.content:
                event = orjson.loads(line)
                if event["type"] == "ERROR":
                    return
                if event["type"] == "DELETED":  # or it got a label that is another's
                    self._lose(event["object"]["metadata"]["name"])
                else:
                    self._see(event["object"])

    def _see(self, cron: dict[str, Any]) -> None:
        self._crons[cron["metadata"]["name"]] = cron
        self._start(self._process(cron["metadata"]["name"]))

    def _lose(self, name: str) -> None:
        self._crons.pop(name, None)
        self._next.pop(name, None)

    def _start(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _process(self, name: str) -> None:
        """As Argo's worker: make up for what is outstanding, else schedule it anew."""
        async with self._locks.setdefault(name, asyncio.Lock()):
            cron = self._crons.get(name)
            if cron is None:
                return
            missed = outstanding(cron, time.time())
            if missed is not None:
                await self._run(cron, missed)  # the change of its status brings it here again
                return
            self._next[name] = following(schedule_of(cron), time.time())
            self._news.set()

    async def _firing(self) -> None:
        while True:
            self._news.clear()
            soonest = min(self._next.values(), default=math.inf)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(1.0, max(0.0, soonest - time.time()))):
                    await self._news.wait()
            for name, slot in list(self._next.items()):
                if slot <= time.time():
                    cron = self._crons[name]
                    self._next[name] = following(schedule_of(cron), time.time())
                    self._start(self._run(cron, slot))

    async def _run(self, cron: Mapping[str, Any], slot: int) -> None:
        """Once it has begun it goes on, though the cron is another's meanwhile: so does Argo's."""
        metadata, spec, status = cron["metadata"], cron["spec"], cron.get("status") or {}
        active = list(status.get("active") or ())
        shown: dict[str, Any] = {}
        if not spec.get("suspend") and not (spec.get("concurrencyPolicy") == "Forbid" and active):
            body = child(cron, slot)
            async with self._session.post(f"{self._space}/workflows", json=body) as answer:
                if answer.status == 409:
                    self.met.append(body["metadata"]["name"])
                    return
                answer.raise_for_status()
                made = await answer.json()
            self.fired.append(made["metadata"]["name"])
            reference = {"apiVersion": made["apiVersion"], "kind": made["kind"]}
            reference |= {key: made["metadata"][key] for key in ("name", "namespace", "uid", "resourceVersion")}
            moment = datetime.fromtimestamp(slot, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            shown = {"active": [*active, reference], "lastScheduledTime": moment, "phase": "Active"}
        counts = {key: status.get(key, 0) for key in ("failed", "succeeded")}
        await self._patch(metadata["name"], {**counts, **shown}, {LAST_USED: schedule_of(cron)})

    async def _patch(self, name: str, status: Mapping[str, Any], notes: Mapping[str, str]) -> None:
        body = {"metadata": {"annotations": dict(notes)}, "status": dict(status)}
        headers = {"Content-Type": "application/merge-patch+json"}
        path = f"{self._space}/cronworkflows/{name}?fieldManager=workflow-controller"
        async with self._session.patch(path, data=orjson.dumps(body), headers=headers) as answer:
            if answer.status != 404:
                answer.raise_for_status()

    async def _reconciling(self) -> None:
        while True:
            await asyncio.sleep(_RECONCILE_SECONDS)
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with self._session.get(f"{self._space}/workflows", params={"labelSelector": PARENT}) as answer:
                    answer.raise_for_status()
                    runs = (await answer.json())["items"]
                for cron in list(self._crons.values()):
                    mine = [run for run in runs if _owner(run) == cron["metadata"]["uid"]]
                    await self._reconcile(cron, mine)

    async def _reconcile(self, cron: Mapping[str, Any], runs: list[dict[str, Any]]) -> None:
        ended = {run["metadata"]["uid"] for run in runs if (run.get("status") or {}).get("phase") in _ENDED}
        active = (cron.get("status") or {}).get("active") or []
        left = [reference for reference in active if reference["uid"] not in ended]
        if len(left) != len(active):
            await self._patch(cron["metadata"]["name"], {"active": left}, {})
        done = [run for run in runs if run["metadata"]["uid"] in ended]
        done.sort(key=lambda run: str(run["status"].get("finishedAt")), reverse=True)
        for run in done[cron["spec"].get("successfulJobsHistoryLimit", 3) :]:
            async with self._session.delete(f"{self._space}/workflows/{run['metadata']['name']}") as answer:
                await answer.read()


def schedule_of(cron: Mapping[str, Any]) -> str:
    """The one schedule of a cron."""
    (schedule,) = cron["spec"]["schedules"]
    return str(schedule)


def following(schedule: str, after: float) -> int:
    """The slot after a moment, both Unix seconds, as robfig/cron has it.

    >>> following("* * * * *", 119.9), following("* * * * *", 120), following("@every 2s", 7.9)
    (120, 180, 9)
    """
    if schedule == "* * * * *":
        return int(after // 60 + 1) * 60
    span = schedule.removeprefix("@every ").removesuffix("s")
    if not span.isdigit():
        raise ValueError(f"this stand-in does not know the schedule {schedule!r}")
    return int(after) + int(span)


def outstanding(cron: Mapping[str, Any], now: float) -> int | None:
    """The latest slot that was missed and may still run; None = there is none."""
    schedule, spec = schedule_of(cron), cron["spec"]
    last = (cron.get("status") or {}).get("lastScheduledTime")
    used = (cron["metadata"].get("annotations") or {}).get(LAST_USED)
    deadline = spec.get("startingDeadlineSeconds")
    if last is None or used != schedule or deadline is None:
        return None
    slot, missed = following(schedule, datetime.fromisoformat(last).timestamp()), None
    while slot < now:
        slot, missed = following(schedule, slot), slot
    return missed if missed is not None and now < missed + deadline else None


def child(cron: Mapping[str, Any], slot: int) -> dict[str, Any]:
    """The Workflow of a slot, as recorded in cron-children.jsonl."""
    metadata = cron["metadata"]
    owner = {"apiVersion": "argoproj.io/v1alpha1", "kind": "CronWorkflow", "name": metadata["name"]}
    owner |= {"uid": metadata["uid"], "controller": True, "blockOwnerDeletion": True}
    moment = datetime.fromtimestamp(slot, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {
            "name": f"{metadata['name']}-{slot}",
            "namespace": metadata["namespace"],
            "labels": {PARENT: metadata["name"]},
            "annotations": {"workflows.argoproj.io/scheduled-time": moment},
            "ownerReferences": [owner],
        },
        "spec": cron["spec"]["workflowSpec"],
    }


def _owner(run: Mapping[str, Any]) -> str:
    return next((one["uid"] for one in run["metadata"].get("ownerReferences", ()) if one.get("controller")), "")


@contextmanager
def running(api: ApiServer, namespace: str) -> Iterator[CronController]:
    """A stand-in without an instance id, in a thread of its own."""
    loop = asyncio.new_event_loop()
    made: list[CronController] = []

    async def live() -> None:
        made.append(CronController(api.url, api.token, api.trust(), namespace))
        await made[0].run()

    task: asyncio.Task[None] = loop.create_task(live())

    def work() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(task)

    thread = threading.Thread(target=work, name="kubecron", daemon=True)
    thread.start()
    while not made:
        time.sleep(0.01)
    try:
        yield made[0]
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(30)
        loop.close()
    if task.done() and not task.cancelled():
        task.result()
