"""A daemon that dies by its own SIGKILL at the n-th moment. Run as `python -m tests.support.mortal STATE SOURCE N`.

Moments are counted just before and just after everything that is durable or acts: each write, ledger row, journal entry and
inventory of the store, each start and forgetting of a task, each report of one. N = 0: never; the number of moments is then
printed at the end. The daemon is the real one, with the real store, sandbox, git and loops; only its sleep is short.
Ends by itself once every expected run has finished (or after a minute).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from syncd.app.daemon import Daemon
from syncd.app.real import SystemClock, SystemRandom
from syncd.cluster.embedded.store import open_store
from syncd.config.model import Config, Listen, Runtime, Source

DURABLE = ("write", "record", "save", "save_inventory", "forget_inventory")
ACTS = ("start", "stop", "forget")


class Moments:
    """Counts, and kills at the one that was asked for."""

    def __init__(self, fatal: int) -> None:
        self.fatal = fatal
        self.names: list[str] = []

    def pass_by(self, name: str) -> None:
        self.names.append(name)
        if len(self.names) == self.fatal:
            sys.stdout.write(f"killed at {len(self.names)}: {name}\n")
            sys.stdout.flush()
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, thing: Any, method: str) -> None:
        """Count before and after each call of a coroutine method."""
        original = getattr(thing, method)

        async def counted(*args: Any, **given: Any) -> Any:
            label = f"{type(thing).__name__}.{method}"
            self.pass_by(f"before {label}")
            answer = await original(*args, **given)
            self.pass_by(f"after {label}")
            return answer

        setattr(thing, method, counted)


async def live(state: Path, source: Path, fatal: int, runs: int) -> Moments:
    moments = Moments(fatal)
    config = Config(
        state=str(state),
        sources=(Source(name="repo", path=str(source), interval=timedelta(seconds=0.1)),),
        listen=Listen(port=0),
        runtime=Runtime.SANDBOX,
    )
    store = open_store(state, clock=SystemClock(), random=SystemRandom())
    for method in DURABLE:
        moments.around(store, method)
    try:
        async with store.exclusive():
            daemon = Daemon(state, config, store, None, None)
            executor = daemon.parts.executor
            assert executor is not None
            for method in ACTS:
                moments.around(executor, method)
            report = daemon.parts.runs.report

            def counted(observation: Any) -> None:
                moments.pass_by(f"before report {type(observation).__name__}")
                report(observation)

            executor._report = counted
            await daemon.start()
            for _ in range(1500):
                await asyncio.sleep(0.02)
                found = [item async for item in finished(store)]
                if len(found) >= runs:
                    break
            await asyncio.sleep(0.1)
            await daemon.stop()
    finally:
        await store.close()
    return moments


async def finished(store: Any) -> Any:
    for run in await store.finished_runs():
        yield run


def main() -> None:
    state, source, fatal, runs = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    moments = asyncio.run(live(state, source, fatal, runs))
    print(f"moments {len(moments.names)}")


if __name__ == "__main__":
    main()
