"""kill -9 at any moment: whatever was acknowledged is there, and nothing is there by half."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.conftest import sql
from tests.cluster.test_opening import Reopen
from tests.support.objects import workflow

WRITER = """
import asyncio, sys
from datetime import UTC, datetime
from syncd.cluster.api import Entry, Verb, Write
from syncd.cluster.embedded.store import open_store
from tests.support.clocks import CountingRandom, ManualClock
from tests.support.objects import workflow

state, lap = sys.argv[1], int(sys.argv[2])
random = CountingRandom()
random._count = lap * 1_000_000

async def run(store, worker):
    name = f"w{lap}-{worker}"
    (written,) = await store.write([Write(Verb.CREATE, workflow(name), {"spec": {"x": "y" * 3000}})])
    uid, seq = written.body["metadata"]["uid"], 0
    print(name, uid, 0, flush=True)
    while True:
        seq += 1
        nodes = {f"n{seq}": {"id": seq}, "root": {"seq": seq}}
        await store.save([Entry(uid, seq, datetime.now(UTC), [{"n": seq}], nodes, {"seq": seq}, {"seq": str(seq)})])
        print(name, uid, seq, flush=True)

async def main():
    store = open_store(state, clock=ManualClock(), random=random)
    async with store.exclusive(), asyncio.TaskGroup() as group:
        for worker in range(4):
            group.create_task(run(store, worker))

asyncio.run(main())
"""


@pytest.mark.parametrize("lines", [[1, 60, 300], [5, 1000, 17]])
async def test_whatever_was_acknowledged_survives_kill_9(reopen: Reopen, state: Path, lines: list[int]) -> None:
    """The same file through several lives, each ended after so many acknowledgements."""
    acknowledged: dict[str, tuple[str, int]] = {}
    for lap, count in enumerate(lines):
        with subprocess.Popen(  # noqa: ASYNC220 - the test has nothing else to do
            [sys.executable, "-c", WRITER, str(state), str(lap)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        ) as writer:
            assert writer.stdout is not None
            for _ in range(count):
                name, uid, seq = writer.stdout.readline().split()
                acknowledged[name] = uid, int(seq)
            writer.kill()
            for line in writer.stdout:  # what it still said before it died counts as well
                if line.endswith("\n"):
                    name, uid, seq = line.split()
                    acknowledged[name] = uid, int(seq)

        store = reopen()
        assert acknowledged
        for name, (uid, least) in acknowledged.items():
            live = await store.get(workflow(name))
            assert live["metadata"]["uid"] == uid
            journal = [entry.seq async for entry in store.load(uid)]
            reached = len(journal)
            assert reached >= least
            assert journal == list(range(1, reached + 1))
            if reached:  # nodes, status and labels are of the very same entry
                status = live["status"]
                assert status["seq"] == reached
                assert status["nodes"].pop("root") == {"seq": reached}
                assert status["nodes"] == {f"n{seq}": {"id": seq} for seq in journal}
                assert live["metadata"]["labels"] == {"seq": str(reached)}
        await store.close()
        with sql(state) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
