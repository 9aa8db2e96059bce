"""croniter walks where the clocks do not change: there it must say what robfig's search says, and elsewhere nothing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.cron import civil, dst, grammar, schedule, search
from syncd.cron.dst import Policy
from syncd.cron.grammar import Fields
from tests.cron.crons_for_tests import texts

DAY = 86400

# an hour, half an hour, two hours; gaps at midnight and on the first of a month; a month without summer time, a date
# that was skipped; offsets of odd minutes and, long ago, seconds; none at all
ZONES = (
    "",
    "Africa/Casablanca",
    "Africa/Monrovia",
    "America/Asuncion",
    "America/New_York",
    "America/Sao_Paulo",
    "Antarctica/Troll",
    "Asia/Gaza",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Europe/Amsterdam",
    "Europe/Paris",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Pacific/Kwajalein",
)
rules = texts.map(lambda text: parsed(text))


def parsed(text: str) -> Fields:
    rule = grammar.parse(text)
    assert isinstance(rule, Fields)
    return rule


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@st.composite
def places(draw: st.DrawFn) -> tuple[civil.Zone, int]:
    """A zone and a moment, mostly within some weeks of a change of its clocks."""
    zone = civil.zone(draw(st.sampled_from(ZONES)))
    moment = draw(st.integers(-2_500_000_000, 5_000_000_000))
    changes = zone.changes(moment, moment + 400 * DAY)
    if changes and draw(st.booleans()):
        moment = draw(st.sampled_from(changes)).at + draw(st.integers(-40 * DAY, 40 * DAY))
    return zone, moment


@settings(deadline=None, max_examples=400)
@given(rules, places(), st.sampled_from(Policy))
def test_croniters_next_is_the_searchs(rule: Fields, place: tuple[civil.Zone, int], policy: Policy) -> None:
    """Law: what croniter is believed is what the exact search finds, whatever the policy."""
    zone, after = place
    found = schedule.calm_next(rule, zone, after)
    if found is not None:
        assert found == dst.following(rule, zone, after, policy)


@settings(deadline=None, max_examples=300)
@given(rules, places(), st.sampled_from(Policy))
def test_croniters_latest_is_the_searchs(rule: Fields, place: tuple[civil.Zone, int], policy: Policy) -> None:
    """Law: the last slot that croniter is believed is a slot of the exact search, and its next one is later."""
    zone, until = place
    found = schedule.calm_latest(rule, zone, until)
    if found is not None:
        assert found <= until
        assert dst.following(rule, zone, found - 1, policy) == found
        after_it = dst.following(rule, zone, found, policy)
        assert after_it is None or after_it > until


@settings(deadline=None, max_examples=150)
@given(rules, st.sampled_from(["", "Asia/Kolkata"]), st.integers(at("1971-01-01"), at("2200-01-01")))
def test_where_clocks_never_change_croniter_finds_all_there_is(rule: Fields, name: str, after: int) -> None:
    """Law: without changes nothing is left to the search but to give up."""
    zone = civil.zone(name)
    assert schedule.calm_next(rule, zone, after) == search.following(rule, zone, after)


@settings(deadline=None, max_examples=150)
@given(rules)
def test_explicit_fields_mean_the_same(rule: Fields) -> None:
    """Law: spelled out, the fields name the same minutes, and the same days whatever becomes of the stars."""
    again = parsed(rule.explicit)
    assert (again.minutes, again.hours, again.months) == (rule.minutes, rule.hours, rule.months)
    for day in range(1, 32):
        for weekday in range(7):
            assert again.day_matches(day, weekday) == rule.day_matches(day, weekday)


@pytest.mark.parametrize("zone", ["Europe/Paris", "Australia/Lord_Howe", "Africa/Casablanca", "Pacific/Apia"])
def test_every_change_of_the_clocks_is_known(zone: str) -> None:
    """Against a look at every hour of fifteen years."""
    place = civil.zone(zone)
    start, end = at("2005-06-01"), at("2020-06-01")
    hours = range(start, end, 3600)
    seen = [(h, place.offset(h), place.offset(h + 3600)) for h in hours if place.offset(h) != place.offset(h + 3600)]
    found = place.changes(start, end)
    assert [(c.old, c.new) for c in found] == [(old, new) for _, old, new in seen]
    assert all(h < c.at <= h + 3600 for c, (h, _, _) in zip(found, seen, strict=True))
    assert all((place.offset(c.at - 1), place.offset(c.at)) == (c.old, c.new) for c in found)


ORDINARY = (
    ("*/5 * * * *", "Europe/Paris", "2026-06-10 10:15"),
    ("30 2 * * *", "Europe/Paris", "2026-06-10 10:15"),
    ("0 9 * * 1-5", "America/New_York", "2026-01-16 23:00"),
    ("0 0 1 * *", "Europe/Paris", "2026-05-10 10:15"),
    ("0 0 29 2 *", "Asia/Kolkata", "2024-03-01 00:00"),
    ("0 0 13 * 5", "", "2026-01-01 00:00"),
)


@pytest.mark.parametrize(("text", "zone", "after"), ORDINARY)
def test_on_an_ordinary_day_croniter_is_asked_and_believed(text: str, zone: str, after: str) -> None:
    assert schedule.calm_next(parsed(text), civil.zone(zone), at(after)) is not None
    assert schedule.calm_latest(parsed(text), civil.zone(zone), at(after) + DAY) is not None


LEFT_TO_THE_SEARCH = (
    ("30 2 * * *", "Europe/Paris", "2026-03-28 12:00"),  # has no 02:30
    ("30 2 * * *", "Europe/Paris", "2026-10-24 12:00"),  # has two
    ("45 1 * * *", "Australia/Lord_Howe", "2026-10-03 12:00"),  # 01:45 and 02:45
    ("0 5 15 10 *", "America/Asuncion", "2017-01-01 00:00"),  # robfig misses all of October
    ("0 5 15 11 *", "America/Asuncion", "2017-10-10 00:00"),  # and, as it goes back to the 1st, of November
    ("30 * * * *", "Africa/Monrovia", "1971-06-01 00:00"),  # 44 minutes and 30 seconds behind
    ("0 0 31 2 *", "", "2026-01-01 00:00"),  # never
    ("0 0 29 2 *", "", "2098-12-31 23:59:30"),  # 2104 is more than five years after 2098, if not after the next minute
)


@pytest.mark.parametrize(("text", "zone", "after"), LEFT_TO_THE_SEARCH)
def test_the_odd_ones_are_left_to_the_search(text: str, zone: str, after: str) -> None:
    assert schedule.calm_next(parsed(text), civil.zone(zone), at(after)) is None


def test_a_question_does_not_move_the_croniter_that_is_kept() -> None:
    """It remembers where it stands, and another thread may be asking it."""
    rule = parsed("0 6 * * *")
    kept = schedule._understood(rule)
    before = kept.get_current(float)
    assert schedule.calm_next(rule, civil.zone(""), at("2026-06-10 12:00")) == at("2026-06-11 06:00")
    assert schedule.calm_latest(rule, civil.zone(""), at("2026-06-10 12:00")) == at("2026-06-10 06:00")
    assert schedule._understood(rule) is kept
    assert kept.get_current(float) == before
