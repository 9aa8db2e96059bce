"""Keeps the loops running: starts them by name, sorts what ends them, starts them again. One of the three places that catch.

In: coroutines that are meant to run for ever (`SyncLoop.run`, `FireLoop.run`, …). Out: tasks, events `LoopFailed`, and the
answer to "is every loop well?". Made and fed by `app`; `server` asks `complaints` for /readyz.

    what ended it        what happens                                                    said
    Unreachable          again after a backoff with jitter, or what the other side asked  warning, once while it stays so
    Conflict, Expired    again at once, then with a backoff                               debug, then warning
    ConfigError, Refused,
    Invalid, Unsupported,
    NotFound, …          a person must act: again after a longer backoff, at most a minute warning
    Defect, any other    our bug: traceback in the log, again after a backoff             error
    it returned          it has nothing more to do                                        debug
    cancelled            it ends                                                          -

A loop that lasted longer than its last pause has recovered: the backoff starts anew, and nothing is complained of any more.
A loop that may take long to fail (a remote that hangs) tells by `well_at` when it last got through. A loop may bring a `rest` of
its own, in place of a plain sleep, so that a person who says `sync` does not have to wait for the backoff.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from syncd.base import backoff
from syncd.base.clock import Clock, Random
from syncd.base.errors import Conflict, Defect, Expired, SyncdError, Unreachable
from syncd.observe.events import Event, LoopFailed

log = logging.getLogger(__name__)

BASE_SECONDS = 1.0
CAP_SECONDS = 60.0
PERSON_SECONDS = 5.0
"""The first pause after what a person must mend: a repository that was only moved aside is back by then."""
LONGEST_ASKED_SECONDS = 300.0
"""The longest pause that another side may ask for."""

Run = Callable[[], Awaitable[None]]
Rest = Callable[[float], Awaitable[None]]
WellAt = Callable[[], float | None]
"""When a loop last did its work without an error, in monotonic seconds."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do about an error. kind: a label of metrics; defect: log the traceback; seconds: until the next try."""

    kind: str
    defect: bool
    seconds: float


def verdict(error: BaseException, attempt: int, jitter: float) -> Verdict:
    """Sort an error by the table above. attempt: failures in a row, this one included; jitter: in [0, 1).

    >>> verdict(Unreachable("no route"), 3, 0.0)
    Verdict(kind='Unreachable', defect=False, seconds=4.0)
    """
    growing = backoff.delay(attempt, BASE_SECONDS, CAP_SECONDS, jitter)
    kind = type(error).__name__
    if isinstance(error, Unreachable):
        return Verdict(kind, False, max(growing, min(error.retry_after_seconds or 0.0, LONGEST_ASKED_SECONDS)))
    if isinstance(error, Conflict | Expired):
        return Verdict(kind, False, 0.0 if attempt == 1 else growing)
    if isinstance(error, SyncdError) and not isinstance(error, Defect):
        return Verdict(kind, False, backoff.delay(attempt, PERSON_SECONDS, CAP_SECONDS, jitter))
    return Verdict("Defect", True, growing)


@dataclass(slots=True)
class State:
    """How a loop is. attempt: failures in a row, 0 = well; message: of the last one; running: its task goes on;
    started: when it was last started, in monotonic seconds, None while it rests; pause: seconds of its last rest."""

    attempt: int = 0
    message: str = ""
    running: bool = True
    restarts: int = 0
    started: float | None = None
    pause: float = 0.0
    well_at: WellAt | None = None

    def has_recovered(self, now: float) -> bool:
        """Whether it got through since it was last started."""
        if self.started is None:
            return False
        if self.well_at is not None:
            last = self.well_at()
            return last is not None and last >= self.started
        return now - self.started > self.pause


class Runner:
    """The loops of one process, by name. Use from one event loop."""

    def __init__(
        self,
        clock: Clock,
        random: Random,
        publish: Callable[[Event], None],
        *,
        sleep: Rest = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._random = random
        self._publish = publish
        self._sleep = sleep
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._states: dict[str, State] = {}

    def start(self, name: str, run: Run, rest: Rest | None = None, *, well_at: WellAt | None = None) -> None:
        """Run a loop until `stop` or `close`. rest: what to wait with after a failure, instead of sleeping.

        Raises ValueError when a loop of this name is running.
        """
        if name in self._tasks and not self._tasks[name].done():
            raise ValueError(f"loop {name} is running already")
        state = self._states[name] = State(well_at=well_at)
        self._tasks[name] = asyncio.create_task(self._supervise(name, run, rest or self._sleep, state), name=name)

    async def stop(self, name: str) -> None:
        """End a loop and wait for its end. Unknown: nothing happens."""
        task = self._tasks.pop(name, None)
        self._states.pop(name, None)
        if task is not None:
            await _ended([task])

    async def close(self) -> None:
        """End all loops at once and wait for them."""
        tasks, self._tasks = list(self._tasks.values()), {}
        self._states.clear()
        await _ended(tasks)

    def states(self) -> dict[str, State]:
        """How each loop is, by name."""
        return dict(self._states)

    def complaints(self) -> list[str]:
        """A line for each loop that is not well; [] = all are."""
        return [
            f"loop {name}: {state.message} ({state.attempt} times in a row)"
            for name, state in sorted(self._states.items())
            if state.attempt and not state.has_recovered(self._clock.monotonic())
        ]

    async def _supervise(self, name: str, run: Run, rest: Rest, state: State) -> None:
        while True:
            state.started = self._clock.monotonic()
            try:
                await run()
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001 - sorted in `_failed`; a loop that dies unnoticed is worse
                if state.has_recovered(self._clock.monotonic()):
                    state.attempt = 0
                state.started = None
                state.pause = self._failed(name, error, state)
            else:
                log.debug("loop %s has nothing more to do", name)
                state.running = False
                state.attempt = 0
                return
            await self._paused(name, rest, state.pause)

    def _failed(self, name: str, error: Exception, state: State) -> float:
        """Say it, count it; answers the seconds to wait."""
        state.attempt += 1
        state.restarts += 1
        said = verdict(error, state.attempt, self._random.jitter())
        before, state.message = state.message, _first_line(error)
        if said.defect:
            log.error("loop %s: a defect of syncd; please report it", name, exc_info=error)
        repeated = state.attempt > 1 and state.message == before
        event = LoopFailed(name, said.kind, self._clock.now(), state.message, said.seconds, repeated)
        if not isinstance(error, Conflict | Expired) or state.attempt > 1:
            self._publish(event)
        else:
            log.debug("loop %s: %s", name, state.message)
        return said.seconds

    async def _paused(self, name: str, rest: Rest, seconds: float) -> None:
        """Wait; a `rest` that fails is a defect of its own and must not end the loop."""
        try:
            await rest(seconds)
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("loop %s: a defect of syncd in its rest; please report it", name)
            await self._sleep(max(seconds, BASE_SECONDS))


async def _ended(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _first_line(error: BaseException) -> str:
    """The message without what follows its first line; the name of the class where there is none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:500]
