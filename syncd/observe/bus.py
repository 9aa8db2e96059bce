"""The bus: what a loop publishes, everybody who subscribed hears, at once and in order.

In: `events.Event` values from `loops`. Out: calls of the subscribers (`metrics`, `journal`, streams of the server). Made by
`app`; loops get nothing but `bus.publish`. It is synchronous on purpose: no queue that can fill, no event seen late; so
subscribers must be quick and never block. One that fails is logged and the others hear the event all the same.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from syncd.observe.events import Event

log = logging.getLogger(__name__)

Subscriber = Callable[[Event], None]


class Bus:
    """A list of subscribers. Use from one thread: that of the event loop."""

    def __init__(self) -> None:
        self._subscribers: tuple[Subscriber, ...] = ()

    def publish(self, event: Event) -> None:
        """Call every subscriber, in the order of subscription. Never raises (but for KeyboardInterrupt and its like)."""
        for subscriber in self._subscribers:
            try:
                subscriber(event)
            except Exception:
                log.exception("a subscriber failed on %s", type(event).__name__)

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Hear every event from now on. Answers the function that ends it; calling that twice is harmless.

        Subscribing and unsubscribing while an event is being published takes effect with the next event.
        """
        token: Subscriber = lambda event: subscriber(event)  # noqa: E731 - a new identity, so that one callable may subscribe twice
        self._subscribers = (*self._subscribers, token)

        def unsubscribe() -> None:
            self._subscribers = tuple(known for known in self._subscribers if known is not token)

        return unsubscribe
