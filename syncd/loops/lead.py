"""Which of several replicas acts: takes the lease, renews it, lets go of it, and says at every moment whether it may act.

In: a `cluster.api.Lease`, a clock, the terms. Out: `begin` and `end` called when this replica starts and stops to lead, `guard`
for everybody who writes, `LeadershipChanged`. Constructed by `app`, run by `loops.runner` in every replica.

Why two never act at once, as far as that can be had:

    - Whether somebody else's lease has run out is judged by how long *we* have seen it unchanged, on our monotonic clock; the times
      in the object are of another machine's clock, and are only shown (client-go does the same).
    - A leader may act until `renew_deadline` after the *beginning* of its last successful renewal; others wait `duration`, which is
      longer, from when they first saw that renewal, which is later. `guard` is asked before every write leaves, so a process
      that slept (SIGSTOP) acts no more when it wakes. The wall clock is looked at as well: while a machine is suspended
      the monotonic clock stands still, and the wall clock does not.
    - What slips through all the same meets the child's name, which is the lock, and the ledger's versions.

A replica whose wall clock is wrong may not lead: it would fire everything at the wrong time, exactly once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from syncd.base.clock import Clock, Random
from syncd.base.errors import Conflict, SyncdError, Unreachable
from syncd.cluster.api import Hold, Lease
from syncd.observe.events import Event, LeadershipChanged, LoopFailed

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Terms:
    """identity: of this process, like no other's ever; duration > renew_deadline > retry, as `config.model.Lease` has them."""

    identity: str
    duration: timedelta = timedelta(seconds=15)
    renew_deadline: timedelta = timedelta(seconds=10)
    retry: timedelta = timedelta(seconds=2)


class Move(StrEnum):
    """What to do about the lease."""

    TAKE = "take"
    RENEW = "renew"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Seen:
    """The lease as it was seen. since: monotonic seconds when it was first seen so."""

    hold: Hold
    since: float


def move(terms: Terms, seen: Seen | None, now: float) -> Move:
    """What a replica does. seen: None = nobody ever held it; now: monotonic seconds.

    A lease in our name is ours, though the answer to the request that took it was lost: no other process has this name.
    """
    if seen is None or not seen.hold.holder:
        return Move.TAKE
    if seen.hold.holder == terms.identity:
        return Move.RENEW
    wait = max(terms.duration, seen.hold.duration).total_seconds()
    return Move.TAKE if now - seen.since >= wait else Move.WAIT


class NotLeading(Unreachable):
    """This replica may not act now. Whoever gets this tries again, and by then has been stopped or leads again."""


class LeadLoop:
    """See the module. begin, end: start and stop what acts; end returns once nothing of it goes on; fit: why this replica may not
    lead now, "" = it may."""

    def __init__(
        self,
        lease: Lease,
        clock: Clock,
        random: Random,
        publish: Callable[[Event], None],
        terms: Terms,
        *,
        begin: Callable[[], Awaitable[None]],
        end: Callable[[], Awaitable[None]],
        fit: Callable[[], str] = str,
    ) -> None:
        self._lease = lease
        self._clock = clock
        self._random = random
        self._publish = publish
        self._terms = terms
        self._begin = begin
        self._end = end
        self._fit = fit
        self._seen: Seen | None = None
        self._leading = False
        self._until = float("-inf")  # monotonic: how long we may act
        self._until_wall: datetime | None = None
        self._wake = asyncio.Event()
        self._lock = asyncio.Lock()
        self._resigned = False
        self._failure = ""  # of the last step
        self._ending_since: float | None = None  # monotonic: when the term that is ending began to end
        self.unfit = ""
        """Why this replica may not lead; "" = it may."""
        self.last_alive: datetime | None = None
        """When the leader before us last renewed: what it had not done by then is ours to do. None = there was none."""

    # What others ask

    @property
    def leading(self) -> bool:
        """Whether this replica acts."""
        return self._leading and self._may_act()

    @property
    def holder(self) -> str:
        """Who holds the lease, as far as we have seen; "" = nobody."""
        return "" if self._seen is None else self._seen.hold.holder

    @property
    def ending_seconds(self) -> float:
        """How long what acted has been ending by now; 0 = nothing is. It takes no time, unless something of it hangs."""
        return 0.0 if self._ending_since is None else self._clock.monotonic() - self._ending_since

    @property
    def vacant(self) -> bool:
        """Whether nobody else leads, as far as we have seen."""
        return move(self._terms, self._seen, self._clock.monotonic()) is not Move.WAIT

    def guard(self) -> None:
        """Raises NotLeading where this replica may not write now. Cheap: it is asked before every write."""
        if not (self._leading and self._may_act()):
            raise NotLeading("this replica does not lead, and may not write")

    def _may_act(self) -> bool:
        if self._clock.monotonic() >= self._until:
            return False
        return self._until_wall is None or self._clock.now() < self._until_wall

    # The loop

    async def run(self) -> None:
        """Take part until cancelled. Errors of the API are waited out: a leader that cannot renew stops acting in time."""
        watcher = asyncio.create_task(self._watch(), name="watch of the lease")
        try:
            while True:
                await self.step()
                await self._rest()
        finally:
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)

    async def step(self) -> None:
        """One look at the lease, and what follows from it."""
        async with self._lock:
            if self._resigned:
                return
            try:
                if not self._leading:
                    await self._stand()
                elif self._is_fit():
                    await self._renew()
                else:
                    await self._stand_down(self.unfit, release=True)
            except Conflict as error:
                log.debug("lease: %s", error)
                await self._read()
            except SyncdError as error:
                self._failed(error)
            else:
                self._failure = ""
            if self._leading and not self._may_act():
                await self._stand_down("the lease could not be renewed in time", release=False)

    async def resign(self) -> None:
        """Stop acting and let the next one have it: the end of this process. Waits for what acts to end."""
        async with self._lock:
            self._resigned = True
            if self._leading:
                await self._stand_down("this replica ends", release=True)

    def _failed(self, error: SyncdError) -> None:
        message, before = str(error), self._failure
        self._failure = message
        seconds = self._terms.retry.total_seconds()
        kind = type(error).__name__
        self._publish(LoopFailed("lease", kind, self._clock.now(), message, seconds, message == before))

    def _is_fit(self) -> bool:
        before, self.unfit = self.unfit, self._fit()
        if self.unfit and not before:
            log.error("this replica may not lead: %s", self.unfit)
        elif before and not self.unfit:
            log.info("this replica may lead again")
        return not self.unfit

    async def _stand(self) -> None:
        await self._read()  # first: the answer tells what time it is
        if not self._is_fit():
            return
        now = self._clock.monotonic()
        if move(self._terms, self._seen, now) is Move.WAIT:
            return
        before = self._seen.hold if self._seen is not None else None
        wall = self._clock.now()
        fresh = Hold(
            self._terms.identity,
            self._terms.duration,
            wall,
            wall,
            transitions=0 if before is None else before.transitions + 1,
            version="" if before is None else before.version,
        )
        await self._write(fresh, now, wall)
        self._leading = True
        self.last_alive = None if before is None else before.renewed_at
        log.info("this replica leads now%s", f", after {before.holder}" if before is not None and before.holder else "")
        self._publish(LeadershipChanged(True, self._clock.now(), self._terms.identity))
        await self._begin()

    async def _renew(self) -> None:
        assert self._seen is not None
        now, wall = self._clock.monotonic(), self._clock.now()
        left = self._until - now
        if left <= 0:
            return
        try:
            async with asyncio.timeout(left):
                await self._write(replace(self._seen.hold, renewed_at=wall), now, wall)
        except TimeoutError:
            raise Unreachable("the lease was not renewed in time") from None
        except Conflict:
            await self._read()
            if self.holder != self._terms.identity:
                await self._stand_down(f"{self.holder or 'nobody'} holds the lease", release=False)

    async def _write(self, hold: Hold, now: float, wall: datetime) -> None:
        self._note(await self._lease.write(hold))
        self._until = now + self._terms.renew_deadline.total_seconds()
        self._until_wall = wall + self._terms.renew_deadline

    async def _read(self) -> None:
        found = await self._lease.read()
        if found is None:
            self._seen = None
        else:
            self._note(found)

    def _note(self, hold: Hold) -> None:
        if self._seen is None or self._seen.hold != hold:
            self._seen = Seen(hold, self._clock.monotonic())

    async def _stand_down(self, why: str, *, release: bool) -> None:
        self._until = float("-inf")
        self._leading = False
        log.info("this replica leads no more: %s", why)
        self._ending_since = self._clock.monotonic()
        await self._end()
        self._ending_since = None
        if release and self._seen is not None and self._seen.hold.holder == self._terms.identity:
            free = replace(self._seen.hold, holder="", duration=timedelta(seconds=1), renewed_at=self._clock.now())
            with suppress(SyncdError):
                self._note(await self._lease.write(free))
        self._publish(LeadershipChanged(False, self._clock.now(), self.holder))

    async def _rest(self) -> None:
        self._wake.clear()
        seconds = self._terms.retry.total_seconds() * (1.0 if self._leading else 0.8 + 0.4 * self._random.jitter())
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    async def _watch(self) -> None:
        """Hear at once of a lease that is let go: a hand-over takes no poll. Without a watch the polls do."""
        while True:
            try:
                async for hold in self._lease.changes():
                    if not self._leading:
                        self._note(hold)
                        if not hold.holder:
                            self._wake.set()
            except SyncdError as error:
                log.debug("watch of the lease: %s", error)
            await asyncio.sleep(self._terms.retry.total_seconds())
