"""A stand-in for Argo's workflow-controller, which is in no registry: it takes Workflows up and writes them as recorded.

Comes in: an API server, which namespaces, an instance id, and how each Workflow ends: an `Ending`, by default as its
annotations say (`stand-in/case`, `stand-in/seconds`; or, as in the recordings, `demo/fail` and `demo/hang` on its pods).
Goes out: Workflows that go from nothing over Running to their end, with labels, nodes and times as kuberecordings tells them;
spec.shutdown is obeyed and ttlStrategy deletes. It writes whole objects with their resourceVersion, as Argo does.

Like Argo it sees only Workflows without an instance id label (or with its own), and goes on after a restart. It fires no
CronWorkflow; `would_fire` says which ones Argo's cron controller would. It runs as a thread beside tests (`running`) or as a
process (`python -m tests.support.kubeargo --kubeconfig FILE`). What it does not do: resolve templates, run expressions,
deadlines, `spec.suspend`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from tests.support import kuberecordings
from tests.support.kubeapi import ApiServer

API = "/apis/argoproj.io/v1alpha1"
INSTANCE = "workflows.argoproj.io/controller-instanceid"
_JSON = {"Content-Type": "application/json"}
_AT_ONCE = 16
_AGAIN_SECONDS = 0.2
_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Ending:
    """How a Workflow goes: as a recorded case, within so many seconds, taken up so many seconds after it was seen.

    brief: only the first and the last of its writes.
    """

    case: str = kuberecordings.SUCCEEDS
    seconds: float = _SECONDS
    taken_after_seconds: float = 0.0
    brief: bool = False


Ends = Callable[[Mapping[str, Any]], Ending]


def annotated(workflow: Mapping[str, Any]) -> Ending:
    """What the annotations of a Workflow ask for."""
    annotations = workflow["metadata"].get("annotations", {})
    pods = workflow["spec"].get("podMetadata", {}).get("annotations", {})
    usual = kuberecordings.SUCCEEDS
    usual = kuberecordings.FAILS if "demo/fail" in pods else kuberecordings.HANGS if "demo/hang" in pods else usual
    return Ending(annotations.get("stand-in/case", usual), float(annotations.get("stand-in/seconds", _SECONDS)))


class Controller:
    """One that runs. finished: how many it has brought to an end, by phase; writes: how many it has made."""

    def __init__(self, url: str, token: str, trust: ssl.SSLContext, namespace: str, instance: str, ends: Ends) -> None:
        """namespace: "" = all; instance: "" = Workflows without an instance id."""
        self.finished: Counter[str] = Counter()
        self.writes = 0
        self._url, self._token, self._trust = url, token, trust
        self._path = f"{API}/namespaces/{namespace}/workflows" if namespace else f"{API}/workflows"
        self._selector = f"{_instance(instance)},{kuberecordings.COMPLETED}!=true"
        self._ends = ends
        self._runs: dict[str, _Run] = {}
        self._done: dict[str, int] = {}  # uid → the resourceVersion with which we were done with it
        self._at_once = asyncio.Semaphore(_AT_ONCE)

    def taken(self) -> int:
        """How many it has in its hands now."""
        return len(self._runs)

    async def run(self) -> None:
        """For ever, whatever the server does: a list and a watch, again and again."""
        connector = aiohttp.TCPConnector(ssl=self._trust, limit=_AT_ONCE + 4)
        headers = {"Authorization": f"Bearer {self._token}", "User-Agent": "workflow-controller/stand-in"}
        self._session = aiohttp.ClientSession(self._url, connector=connector, headers=headers)
        try:
            while True:
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    await self._follow()
                await asyncio.sleep(_AGAIN_SECONDS)
        finally:
            tasks = [run.task for run in self._runs.values() if run.task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._session.close()
            await asyncio.sleep(0.05)  # aiohttp aborts its TLS connections a turn of the loop later

    async def _follow(self) -> None:
        parameters = {"labelSelector": self._selector}
        async with self._session.get(self._path, params=parameters) as answer:
            answer.raise_for_status()
            listed = await answer.json()
        for item in listed["items"]:
            self._see({"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", **item})
        parameters |= {"watch": "true", "resourceVersion": listed["metadata"]["resourceVersion"]}
        endless = aiohttp.ClientTimeout(total=None, sock_read=None)
        async with self._session.get(self._path, params=parameters, timeout=endless, read_bufsize=4 << 20) as answer:
            answer.raise_for_status()
            async for line in answer.content:
                event = orjson.loads(line)
                if event["type"] == "ERROR":
                    return
                if event["type"] == "DELETED":
                    self._lose(event["object"])
                else:
                    self._see(event["object"])

    def _see(self, workflow: dict[str, Any]) -> None:
        uid, version = workflow["metadata"]["uid"], _version(workflow)
        if version <= self._done.get(uid, 0):
            return  # an event of our own that came late
        if (run := self._runs.get(uid)) is None:
            run = self._runs[uid] = _Run(workflow)
            run.task = asyncio.create_task(self._play(run))
        if version >= _version(run.latest):
            run.latest = workflow
        if workflow["spec"].get("shutdown"):
            run.shutdown.set()

    def _lose(self, workflow: Mapping[str, Any]) -> None:
        """It was deleted, or its labels no longer match: by our own hand (completed), or by another's."""
        run = self._runs.get(workflow["metadata"]["uid"])
        if run is not None and not run.ended and run.task is not None:
            run.task.cancel()

    async def _play(self, run: _Run) -> None:
        try:
            if await self._bring_to_its_end(run, self._ends(run.latest)):
                self.finished[run.latest["status"]["phase"]] += 1
                await self._expire(run)
        finally:
            self._done[run.uid] = _version(run.latest)
            del self._runs[run.uid]

    async def _bring_to_its_end(self, run: _Run, ending: Ending) -> bool:
        """False = somebody deleted it."""
        await asyncio.sleep(ending.taken_after_seconds)
        began, now = time.monotonic(), datetime.now(UTC)
        if taken_up := (run.latest.get("status") or {}).get("startedAt"):  # before a restart
            started_at = datetime.fromisoformat(taken_up)
            writes = kuberecordings.writes(
                run.latest, ending.case, started_at, (now - started_at).total_seconds() + ending.seconds
            )
        else:
            writes = kuberecordings.writes(run.latest, ending.case, now, ending.seconds)
        steps = [(index / max(1, len(writes) - 1), written) for index, written in enumerate(writes)]
        if taken_up and len(steps) > 1:
            del steps[0]
        if ending.brief:
            del steps[1:-1]
        for share, written in steps:
            if await run.stopped_within(began + share * ending.seconds - time.monotonic()):
                break
            if not await self._write(run, partial(_merged, to=written)):
                return False
        if not _is_ended(run.latest):
            await run.shutdown.wait()
            return await self._write(run, _stopped)
        return True

    async def _write(self, run: _Run, change: Callable[[dict[str, Any]], dict[str, Any]]) -> bool:
        """Put the changed object, on whatever is its latest state; whether it is still there."""
        while True:
            body = change(run.latest)
            run.ended = _is_ended(body)
            try:
                async with (
                    self._at_once,
                    self._session.put(_path(body), data=orjson.dumps(body), headers=_JSON) as answer,
                ):
                    if answer.status == 200:
                        run.latest = orjson.loads(await answer.read())
                        self.writes += 1
                        return True
                    if answer.status == 404:
                        return False
                async with self._at_once, self._session.get(_path(body)) as answer:
                    if answer.status == 404:
                        return False
                    answer.raise_for_status()
                    run.latest = orjson.loads(await answer.read())
                    if run.latest["metadata"]["uid"] != run.uid:
                        return False  # another one of the same name
            except (aiohttp.ClientError, TimeoutError):
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _expire(self, run: _Run) -> None:
        ttl = run.latest["spec"].get("ttlStrategy", {})
        by_phase = "secondsAfterSuccess" if run.latest["status"]["phase"] == "Succeeded" else "secondsAfterFailure"
        seconds = ttl.get(by_phase, ttl.get("secondsAfterCompletion"))
        if seconds is not None:
            await asyncio.sleep(seconds)
            preconditions = {"preconditions": {"uid": run.uid}}
            async with self._session.delete(_path(run.latest), json=preconditions) as answer:
                await answer.read()


class _Run:
    """A Workflow in our hands. latest: as it was last seen or written."""

    def __init__(self, workflow: dict[str, Any]) -> None:
        self.uid: str = workflow["metadata"]["uid"]
        self.latest = workflow
        self.ended = False
        self.shutdown = asyncio.Event()
        self.task: asyncio.Task[None] | None = None  # None only until it is made

    async def stopped_within(self, seconds: float) -> bool:
        if self.shutdown.is_set() or seconds <= 0:
            return self.shutdown.is_set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.shutdown.wait(), seconds)
        return self.shutdown.is_set()


def _merged(now: dict[str, Any], to: Mapping[str, Any]) -> dict[str, Any]:
    """Of what is to be written, what Argo answers for: labels, annotations, the status; the spec but for orders in it."""
    metadata = dict(now["metadata"])
    for name in ("labels", "annotations"):
        if merged := {**metadata.get(name, {}), **to["metadata"].get(name, {})}:
            metadata[name] = merged
    return {**now, "metadata": metadata, "status": to["status"], "spec": kuberecordings.as_argo_writes(now["spec"])}


def _stopped(now: dict[str, Any]) -> dict[str, Any]:
    return kuberecordings.stopped(now, datetime.now(UTC))


def _version(workflow: Mapping[str, Any]) -> int:
    """Grows with every write: it is a revision of etcd."""
    return int(workflow["metadata"]["resourceVersion"])


def _is_ended(workflow: Mapping[str, Any]) -> bool:
    labels: Mapping[str, str] = workflow["metadata"].get("labels", {})
    return labels.get(kuberecordings.COMPLETED) == "true"


def _path(workflow: Mapping[str, Any]) -> str:
    metadata = workflow["metadata"]
    return f"{API}/namespaces/{metadata['namespace']}/workflows/{metadata['name']}?fieldManager=workflow-controller"


def _instance(instance: str) -> str:
    """A selector, as Argo v4.1.2 util/util.go InstanceIDRequirement."""
    return f"{INSTANCE}={instance}" if instance else f"!{INSTANCE}"


def would_fire(api: ApiServer, namespace: str = "", instance: str = "") -> set[tuple[str, str]]:
    """(namespace, name) of the CronWorkflows that Argo's cron controller sees and would fire. namespace: "" = all.

    Source: Argo v4.1.2 workflow/cron/controller.go: its informer's label selector; a suspended one is seen but not fired.
    """
    place = f"{API}/namespaces/{namespace}" if namespace else API
    found = api.call("GET", f"{place}/cronworkflows?labelSelector={_instance(instance).replace('=', '%3D')}")
    crons = [each for each in found["items"] if not each["spec"].get("suspend")]
    return {(each["metadata"]["namespace"], each["metadata"]["name"]) for each in crons}


@contextmanager
def running(
    api: ApiServer, *, namespace: str = "", instance: str = "", ends: Ends = annotated, url: str = ""
) -> Iterator[Controller]:
    """A stand-in in a thread of its own. url: "" = the server itself, else a proxy before it."""
    kuberecordings.cases()  # skips here, not there
    loop = asyncio.new_event_loop()
    controller = Controller(url or api.url, api.token, api.trust(), namespace, instance, ends)
    task: asyncio.Task[None] = loop.create_task(controller.run())

    def work() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(task)

    thread = threading.Thread(target=work, name="kubeargo", daemon=True)
    thread.start()
    try:
        yield controller
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(30)
        loop.close()
    if not task.cancelled():
        task.result()


def main() -> None:
    """For a process: reads a kubeconfig as kubeapi writes it, runs until it is killed."""
    parser = argparse.ArgumentParser(
        prog="kubeargo", description="A stand-in for Argo's workflow-controller, for tests."
    )
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--namespace", default="")
    parser.add_argument("--instance", default="")
    given = parser.parse_args()
    config = json.loads(given.kubeconfig.read_text())
    cluster = config["clusters"][0]["cluster"]
    trust = ssl.create_default_context(cafile=cluster["certificate-authority"])
    token = config["users"][0]["user"]["token"]

    async def run() -> None:
        await Controller(cluster["server"], token, trust, given.namespace, given.instance, annotated).run()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run())


if __name__ == "__main__":
    main()
