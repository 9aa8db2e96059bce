"""Who may start now: parallelism of the workflow and of a template, suspension, shutdown.

A `Call` is something that wants to start. The gate starts it, holds it, or ends it unstarted; whoever ends makes room.
Work per call and per end is constant, however many wait.
Source: Argo v4.1.2 operator.go checkParallelism.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Room:
    """How many may run inside one steps or DAG node. limit: None = any number."""

    limit: int | None = None
    active: int = 0
    waiting: deque[Call] = field(default_factory=deque)
    closed: str = ""  # why nothing starts here any more; "" = open


@dataclass(slots=True, eq=False)
class Call:
    """Something that wants to start.

    start: begins it; refuse: ends it unstarted, with the reason; room: the boundary it runs in, None at the top;
    on_exit: part of an exit handler: started although the workflow is being stopped; holds: it occupies a place in `room`.
    """

    start: Callable[[], None]
    refuse: Callable[[str], None]
    room: Room | None
    on_exit: bool
    holds: bool = False


class Gate:
    """The gate of one run. post: puts a call's start on the machine's agenda, so that nothing recurses."""

    def __init__(self, limit: int | None, post: Callable[[Callable[[], None]], None]) -> None:
        self.limit = limit
        self.pods = 0  # pods that are pending or running
        self.suspended = False
        self.refusal: Callable[[Call], str] = lambda call: ""
        self._post = post
        self._waiting: deque[Call] = deque()
        self._held: deque[Call] = deque()

    def ask(self, call: Call) -> None:
        """Start the call as soon as it may."""
        self._post(lambda: self._consider(call))

    def _consider(self, call: Call) -> None:
        reason = self.refusal(call)
        room = call.room
        if reason:
            call.refuse(reason)
            if room is not None and room.waiting:
                self.ask(room.waiting.popleft())
            return
        if room is not None and room.closed:
            call.refuse("")
            return
        if self.suspended and not call.on_exit:
            self._held.append(call)
        elif self.limit is not None and self.pods >= self.limit:
            self._waiting.append(call)
        elif room is not None and room.limit is not None and room.active >= room.limit:
            room.waiting.append(call)
        else:
            if room is not None:
                room.active += 1
                call.holds = True
            call.start()

    def leave(self, call: Call) -> None:
        """The call has ended, or turned out to need no place: the next of its room may be considered."""
        room = call.room
        if room is None or not call.holds:
            return
        call.holds = False
        room.active -= 1
        if room.waiting:
            self.ask(room.waiting.popleft())

    def pod_started(self) -> None:
        self.pods += 1

    def pod_ended(self) -> None:
        self.pods -= 1
        if self._waiting:
            self._post(self._admit)

    def _admit(self) -> None:
        """Let in what waits for a pod's place until the places are taken; what turns out to need none takes none."""
        while self._waiting and (self.limit is None or self.pods < self.limit):
            self._consider(self._waiting.popleft())

    def resume(self) -> None:
        """The workflow is no longer suspended."""
        self.suspended = False
        self._all(self._held)

    def reconsider(self) -> None:
        """Shutdown or deadline: everything that waits is asked again, and now refused."""
        self._all(self._held)
        self._all(self._waiting)

    def close(self, room: Room, reason: str) -> None:
        """Nothing starts in the room any more; what waits for it, here or in the room, is refused.

        Costs what all that waits in the run costs, once for each room that fails.
        """
        room.closed = reason
        self._all(room.waiting)
        for queue in (self._waiting, self._held):
            refused = [call for call in queue if call.room is room]
            if refused:
                kept = [call for call in queue if call.room is not room]
                queue.clear()
                queue.extend(kept)
                for call in refused:
                    self.ask(call)

    def _all(self, queue: deque[Call]) -> None:
        calls = list(queue)
        queue.clear()
        for call in calls:
            self.ask(call)
