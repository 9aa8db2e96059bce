"""The logs of a run in a cluster: its pods, put in order of time, whole, and once each."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from syncd.app.real import SystemClock
from syncd.argo.manifest import Key
from syncd.base.errors import NotFound, Refused, Unreachable
from syncd.cluster.kube.access import Access
from syncd.cluster.kube.door import open_door
from syncd.cluster.kube.pods import KubePods
from syncd.execute import podlogs
from syncd.execute.podlogs import PodLogs
from tests.cli.conftest import Call
from tests.support import podserver
from tests.support.podserver import PodServer, Printing

RUN = Key("Workflow", "ci", "hello")


def line(second: float, text: str) -> str:
    """As the kubelet writes it: nanoseconds without zeros at their end."""
    whole, _, fraction = f"{second:.9f}".partition(".")
    fraction = fraction.rstrip("0")
    return f"2026-01-01T00:00:{int(whole):02}{f'.{fraction}' if fraction else ''}Z {text}"


@pytest.fixture
async def server() -> AsyncIterator[PodServer]:
    async with podserver.serving() as made:
        yield made


@pytest.fixture
async def logs(server: PodServer, tmp_path: Path) -> AsyncIterator[PodLogs]:
    door = await open_door(Access(str(server.kubeconfig(tmp_path))), SystemClock())
    yield PodLogs(KubePods(door), look_seconds=0.05, last_seconds=1.0)
    await door.close()


async def read(logs: PodLogs, **how: Any) -> list[str]:
    return [f"{told.pod_name}: {told.text}" async for told in logs.read("u1", run=RUN, **how)]


def follow(logs: PodLogs) -> tuple[list[str], asyncio.Task[None]]:
    """Lines as they come, until the run is said to have ended."""
    seen: list[str] = []

    async def run() -> None:
        async for told in logs.read("u1", run=RUN, follow=True):
            seen.append(f"{told.pod_name}: {told.text}")  # noqa: PERF401 - each is looked at as soon as it is there

    return seen, asyncio.create_task(run())


async def test_pods_are_put_in_order_of_time_to_the_nanosecond(server: PodServer, logs: PodLogs) -> None:
    server.add(Printing("a", {"main": [line(1, "one"), line(1.5, "three"), line(4, "five")]}))
    server.add(Printing("b", {"main": [line(1.25, "two"), line(1.500000001, "four"), line(9, "")]}))
    assert await read(logs) == ["a: one", "b: two", "a: three", "b: four", "a: five", "b: "]
    told = [told async for told in logs.read("u1", run=RUN)]
    assert (told[0].at, told[0].node_id, told[0].container) == (datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC), "a", "main")


async def test_a_tail_is_of_all_pods_together(server: PodServer, logs: PodLogs) -> None:
    server.add(Printing("a", {"main": [line(s, str(s)) for s in range(10)]}))
    server.add(Printing("b", {"main": [line(20, "last")]}))
    assert await read(logs, tail=3) == ["a: 8", "a: 9", "b: last"]
    assert {query["tailLines"] for _, query in server.logs_asked} == {"3"}  # no more than that travels
    assert await read(logs, tail=0) == []


async def test_since_is_exact_although_the_server_knows_seconds(server: PodServer, logs: PodLogs) -> None:
    server.add(Printing("a", {"main": [line(1, "before"), line(1.2, "just before"), line(1.7, "after")]}))
    since = datetime(2026, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)
    assert await read(logs, since=since) == ["a: after"]
    assert server.logs_asked[0][1]["sinceTime"] == "2026-01-01T00:00:01Z"


async def test_containers_are_chosen_by_name(server: PodServer, logs: PodLogs) -> None:
    server.add(Printing("a", {"main": [line(1, "work")], "wait": [line(2, "waited")]}))
    assert await read(logs, container="wait") == ["a: waited"]
    with pytest.raises(NotFound, match="has a container 'sidecar'; they have main, wait"):
        await read(logs, container="sidecar")


async def test_pods_of_an_earlier_run_of_the_same_name_are_not_read(server: PodServer, logs: PodLogs) -> None:
    server.add(Printing("old", {"main": [line(1, "of the past")]}, uid="u0"))
    with pytest.raises(NotFound, match="no pod of Workflow/ci/hello is there"):
        await read(logs)


async def test_a_pod_that_has_not_begun_and_one_that_went_hide_nothing(server: PodServer, logs: PodLogs) -> None:
    server.add(Printing("a", {"main": [line(1, "here")]}))
    server.add(Printing("b", {"main": []}, began=None, ended=False))
    server.add(Printing("c", {"main": []}, refusal=(400, "BadRequest", podserver.WAITING)))
    server.add(Printing("d", {"main": []}, refusal=(404, "NotFound", 'pods "d" not found')))
    assert await read(logs) == ["a: here"]


async def test_a_machine_that_does_not_answer_is_told_after_the_others(server: PodServer, logs: PodLogs) -> None:
    gone = (
        500,
        "InternalError",
        'Get "https://10.0.0.9:10250/containerLogs/ci/b/main": dial tcp: connect: no route to host',
    )
    server.add(Printing("a", {"main": [line(1, "here")]}))
    server.add(Printing("b", {"main": []}, refusal=gone))
    seen = []
    with pytest.raises(Unreachable, match=r"read the log of pod ci/b: .*no route to host"):
        async for told in logs.read("u1", run=RUN):
            seen.append(told.text)  # noqa: PERF401 - what came before the error counts
    assert seen == ["here"]


async def test_whoever_may_not_read_hears_the_servers_words(server: PodServer, logs: PodLogs) -> None:
    said = 'pods "a" is forbidden: User "ann" cannot get resource "pods/log" in API group "" in the namespace "ci"'
    server.add(Printing("a", {"main": []}, refusal=(403, "Forbidden", said)))
    with pytest.raises(Refused, match='cannot get resource "pods/log"'):
        await read(logs)


async def test_a_log_is_cut_in_width_and_in_length_and_says_so(
    server: PodServer, logs: PodLogs, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.add(Printing("a", {"main": [line(1, "x" * 70_000)]}))
    assert [len(told.text) async for told in logs.read("u1", run=RUN)] == [65_536]
    monkeypatch.setattr(podlogs, "POD_BYTES", 1 << 20)
    server.add(Printing("a", {"main": [line(1, "y" * 1000) for _ in range(2000)]}))
    lines = await read(logs)
    assert len(lines) < 1100
    assert lines[-1] == "a: (syncd: the log is longer than 1 MiB; `kubectl logs a` has the rest)"


async def test_only_as_many_logs_are_open_as_ran_at_once(server: PodServer, logs: PodLogs) -> None:
    for number in range(20):
        began = f"2026-01-01T00:00:{number * 2:02}Z"
        server.add(Printing(f"p{number:02}", {"main": [line(number * 2 + 0.5, "hi")]}, began=began))
    assert [told.split(":")[0] for told in await read(logs)] == [f"p{number:02}" for number in range(20)]
    assert server.most_open <= 2


async def test_following_shows_new_lines_and_new_pods_and_ends_with_the_run(server: PodServer, logs: PodLogs) -> None:
    first = server.add(Printing("a", {"main": [line(1, "one")]}, ended=False))
    seen, task = follow(logs)
    await _until(lambda: seen == ["a: one"])
    first.add(line(2, "two"))
    await _until(lambda: seen[1:] == ["a: two"])
    server.add(Printing("b", {"main": [line(3, "three")]}))  # it began and ended between two looks
    await _until(lambda: seen[2:] == ["b: three"])
    first.add(line(4, "four"), line(4, "four"))  # the same line at the same moment, twice
    first.end()
    logs.stop_following("u1")
    await asyncio.wait_for(task, 10)
    assert seen[3:] == ["a: four", "a: four"]


async def test_a_follower_that_is_cut_off_goes_on_without_a_gap_or_a_repetition(
    server: PodServer, logs: PodLogs
) -> None:
    pod = server.add(Printing("a", {"main": [line(1, "1"), line(1, "2"), line(2, "3")]}, ended=False))
    seen, task = follow(logs)
    await _until(lambda: seen == ["a: 1", "a: 2", "a: 3"])
    pod.breaks_after = 2  # the first of which is the line that was seen already
    pod.add(line(2, "4"), line(3, "5"), line(3, "6"))
    await _until(lambda: len(seen) >= 6)
    pod.end()
    logs.stop_following("u1")
    await asyncio.wait_for(task, 10)
    assert seen == [f"a: {number}" for number in range(1, 7)]


async def test_following_a_run_without_pods_waits_for_them(server: PodServer, logs: PodLogs) -> None:
    seen, task = follow(logs)
    await asyncio.sleep(0.2)
    assert not task.done()
    server.add(Printing("a", {"main": [line(1, "at last")]}))
    await _until(lambda: seen == ["a: at last"])
    logs.stop_following("u1")
    await asyncio.wait_for(task, 10)


async def _until(holds: Any) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - what a server and a reader have done together
            await asyncio.sleep(0.01)


# The command


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PodServer]:
    """A cluster that has the finished run hello, chosen by $KUBECONFIG; in a thread, as a command blocks."""
    ready: list[Any] = []
    started = threading.Event()

    async def live() -> None:
        async with podserver.serving() as made:
            stopping = asyncio.Event()
            ready.extend((made, asyncio.get_running_loop(), stopping))
            started.set()
            await stopping.wait()

    thread = threading.Thread(target=asyncio.run, args=(live(),), daemon=True)
    thread.start()
    assert started.wait(20)
    made, loop, stopping = ready
    artifact = {"name": "main-logs", "s3": {"bucket": "logs", "key": "hello/hello/main.log"}}
    node = {"id": "hello", "name": "hello", "displayName": "hello", "type": "Pod", "phase": "Succeeded"}
    other = {**node, "id": "n2", "name": "hello.build", "displayName": "build", "outputs": {"artifacts": [artifact]}}
    made.objects["/apis/argoproj.io/v1alpha1/namespaces/ci/workflows/hello"] = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": "hello", "namespace": "ci", "uid": "u1"},
        "spec": {},
        "status": {"phase": "Succeeded", "finishedAt": "2026-01-01T00:01:00Z", "nodes": {"hello": node, "n2": other}},
    }
    made.objects["/apis/coordination.k8s.io/v1/leases"] = {"items": [], "metadata": {}}
    made.objects["/apis/coordination.k8s.io/v1/namespaces/ci/leases/syncd"] = {
        "metadata": {"name": "syncd"},
        "spec": {},
    }
    monkeypatch.setenv("KUBECONFIG", str(made.kubeconfig(tmp_path)))
    yield made
    loop.call_soon_threadsafe(stopping.set)
    thread.join(20)


def test_the_command_prints_pods_and_filters_them(cluster: PodServer, call: Call) -> None:
    cluster.add(Printing("hello-1", {"main": [line(1, "begin"), line(3, "ERROR no")]}, node="hello"))
    cluster.add(Printing("hello-build-2", {"main": [line(2, "compile")]}, node="n2"))
    said = call("logs", "hello", "--context", "fake")
    assert (said.code, said.lines) == (0, ["hello-1: begin", "hello-build-2: compile", "hello-1: ERROR no"]), said.err
    assert call("logs", "hello", "build", "--context", "fake").lines == [
        "hello-build-2: compile"
    ]  # by its display name
    assert call("logs", "hello", "--grep", "ERR", "--no-prefix", "--context", "fake").lines == ["ERROR no"]
    assert call("logs", "hello", "--tail", "1", "--timestamps", "--context", "fake").lines == [
        "hello-1: 2026-01-01T00:00:03.000000Z ERROR no"
    ]


def test_logs_that_are_gone_are_said_to_be_and_where_they_were_archived(cluster: PodServer, call: Call) -> None:
    said = call("logs", "hello", "--context", "fake")
    assert (said.code, said.out) == (1, "")
    assert "the pods of workflow hello are gone (or their nodes), and their logs with them" in said.err
    assert "archived: build: s3://logs/hello/hello/main.log" in said.err
