"""The bus reaches everybody, whatever one of them does."""

from __future__ import annotations

from syncd.observe.bus import Bus
from syncd.observe.events import SourceRemoved, StartsHeld

EVENT = SourceRemoved("examples")


def test_everybody_hears_in_order():
    bus, heard = Bus(), []
    bus.subscribe(lambda event: heard.append(("first", event)))
    bus.subscribe(lambda event: heard.append(("second", event)))
    bus.publish(EVENT)
    assert heard == [("first", EVENT), ("second", EVENT)]


def test_one_that_fails_is_logged_and_breaks_nobody(caplog):
    bus, heard = Bus(), []

    def fails(event):
        raise RuntimeError("deaf")

    bus.subscribe(fails)
    bus.subscribe(heard.append)
    bus.publish(EVENT)
    assert heard == [EVENT]
    assert "a subscriber failed on SourceRemoved" in caplog.text


def test_unsubscribing_ends_only_ones_own_subscription():
    bus, heard = Bus(), []
    end = bus.subscribe(heard.append)
    bus.subscribe(heard.append)
    end()
    end()
    bus.publish(EVENT)
    assert heard == [EVENT]


def test_subscribing_while_an_event_is_published_begins_with_the_next():
    bus, heard = Bus(), []
    bus.subscribe(lambda event: bus.subscribe(heard.append) if event is EVENT else None)
    bus.publish(EVENT)
    assert heard == []
    later = StartsHeld("")
    bus.publish(later)
    assert heard == [later]
