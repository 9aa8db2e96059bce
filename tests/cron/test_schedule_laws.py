"""The laws of schedules: on any text and zone the cheap answers agree with the walk from slot to slot."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.base.errors import Invalid
from syncd.cron import dst, schedule
from syncd.cron.dst import Policy
from syncd.cron.schedule import Schedule
from tests.cron.crons_for_tests import moments, texts

ZONES = (
    "",
    "Europe/Paris",
    "America/New_York",
    "Asia/Kolkata",
    "America/Sao_Paulo",
    "Africa/Cairo",
    "Antarctica/Troll",
)


def walk(line: Schedule, after: datetime, until: datetime, most: int = 400) -> list[datetime]:
    found: list[datetime] = []
    slot = line.next(after)
    while slot is not None and slot <= until and len(found) < most:
        found.append(slot)
        slot = line.next(slot)
    return found


@settings(deadline=None, max_examples=150)
@given(texts, st.sampled_from(ZONES), moments)
def test_next_is_later_and_nothing_lies_between(text: str, zone: str, after: datetime) -> None:
    """Law: next(t) > t, and from any moment between the two the answer is the same."""
    line = schedule.parse(text, zone)
    slot = line.next(after)
    if slot is None:
        return
    assert slot > after
    assert line.next(slot - timedelta(seconds=1)) == slot


@settings(deadline=None, max_examples=150)
@given(texts, st.sampled_from(ZONES), moments, st.integers(1, 40 * 86400), st.sampled_from(Policy))
def test_latest_and_count_agree_with_the_walk(
    text: str, zone: str, after: datetime, length: int, policy: Policy
) -> None:
    """Law: what is answered without walking is what walking finds."""
    line = schedule.parse(text, zone, policy)
    until = after + timedelta(seconds=length)
    slots = walk(line, after, until)
    if len(slots) == 400:  # too many to walk: take the interval that ends there
        until = slots[-1]
    assert line.latest(after, until) == (slots[-1] if slots else None)
    assert line.count(after, until) == len(slots)
    assert line.previous(until + timedelta(seconds=1), after + timedelta(seconds=1)) == (slots[-1] if slots else None)


numbers = st.sets(st.integers(0, 200), min_size=1, max_size=4)


@settings(deadline=None, max_examples=100)
@given(numbers, numbers, st.none() | numbers, st.none() | numbers, st.sampled_from(["", "Asia/Kolkata"]), moments)
def test_where_clocks_never_change_a_minute_by_minute_look_finds_the_same(
    minutes: set[int], hours: set[int], days: set[int] | None, weekdays: set[int] | None, zone: str, after: datetime
) -> None:
    """Law: the search agrees with the definition: minute and hour, and both days if one is a star, else either."""
    in_use = [{n % size + low for n in given} if given else None for given, size, low in
              ((minutes, 60, 0), (hours, 24, 0), (days, 31, 1), (weekdays, 7, 0))]  # fmt: skip
    text = "{} {} {} * {}".format(*(",".join(map(str, sorted(f))) if f else "*" for f in in_use))
    slot = schedule.parse(text, zone).next(after)
    local = after.astimezone(ZoneInfo(zone or "UTC")).replace(second=0, microsecond=0)
    for _ in range(3 * 1440):
        local += timedelta(minutes=1)
        by_day = in_use[2] is None or local.day in in_use[2]
        by_weekday = in_use[3] is None or local.isoweekday() % 7 in in_use[3]
        day = by_day or by_weekday if in_use[2] and in_use[3] else by_day and by_weekday
        if day and local.minute in (in_use[0] or ()) and local.hour in (in_use[1] or ()):
            break
    else:
        assert slot is None or slot > local
        return
    assert slot == local


@settings(deadline=None, max_examples=300)
@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Law: hostile text gives Invalid and nothing else, and what is read also answers."""
    for zone in ("", text):
        try:
            line = schedule.parse(text, zone)
        except Invalid as refused:
            assert str(refused)
            continue
        line.next(datetime(2026, 1, 1, tzinfo=UTC))


@settings(deadline=None, max_examples=100)
@given(st.text(alphabet="0123456789*,-/? @every1hmsjanfri", max_size=30))
def test_nearly_right_text_is_read_or_refused(text: str) -> None:
    """Law: the same, where the text looks like a schedule."""
    try:
        schedule.parse(text).next(datetime(2026, 1, 1, tzinfo=UTC))
    except Invalid as refused:
        assert str(refused)


@settings(deadline=None, max_examples=100)
@given(
    st.integers(0, 59),
    st.integers(0, 23),
    st.sampled_from(["Europe/Paris", "America/New_York", "America/Sao_Paulo"]),
    st.integers(1990, 2040),
)
def test_once_fires_once_a_day(minute: int, hour: int, zone: str, year: int) -> None:
    """Law: with dst policy `once` a daily schedule fires exactly once on every local date; with `skip` at most once."""
    start, end = datetime(year, 1, 1, 12, tzinfo=UTC), datetime(year, 12, 31, 12, tzinfo=UTC)
    place = ZoneInfo(zone)
    dates = {}
    for policy in (Policy.ONCE, Policy.SKIP):
        slots = walk(schedule.parse(f"{minute} {hour} * * *", zone, policy), start, end, 500)
        dates[policy] = [slot.astimezone(place).date() for slot in slots]
        assert len(set(dates[policy])) == len(slots)
    first, last = dates[Policy.ONCE][0], dates[Policy.ONCE][-1]
    assert len(dates[Policy.ONCE]) == (last - first).days + 1


def test_policies_on_the_days_when_the_clocks_change() -> None:
    """30 2 in Paris: 2026-03-29 has no 02:30, 2026-10-25 has two."""
    spring, autumn = datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 10, 24, 12, tzinfo=UTC)
    day = timedelta(days=1)

    def hours(policy: Policy, after: datetime) -> list[str]:
        return [
            f"{slot:%H:%M}" for slot in walk(schedule.parse("30 2 * * *", "Europe/Paris", policy), after, after + day)
        ]

    assert {p: (hours(p, spring), hours(p, autumn)) for p in Policy} == {
        Policy.BOTH: ([], ["00:30", "01:30"]),
        Policy.SKIP: ([], ["00:30"]),
        Policy.ONCE: (["01:00"], ["00:30"]),
    }


def test_schedules_of_every_hour_go_by_elapsed_time() -> None:
    after = datetime(2026, 10, 24, 23, tzinfo=UTC)
    for policy in Policy:
        line = schedule.parse("*/30 * * * *", "Europe/Paris", policy)
        assert len(walk(line, after, after + timedelta(hours=4))) == 8


def test_a_change_of_clocks_is_found() -> None:
    line = schedule.parse("30 2 * * *", "Europe/Paris")
    assert not isinstance(line.rule, schedule.Every)
    start = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
    found = dst.effects(line.rule, line.zone, start, start + 366 * 86400)
    assert [(datetime.fromtimestamp(c.at, UTC).isoformat(), c.new - c.old) for c in found] == [
        ("2026-03-29T01:00:00+00:00", 3600),
        ("2026-10-25T01:00:00+00:00", -3600),
    ]


def test_every_counts_from_its_anchor() -> None:
    anchor = datetime(2026, 1, 1, 0, 0, 10, tzinfo=UTC)
    line = schedule.parse("@every 90s", anchor=anchor)
    assert line.next(anchor) == anchor + timedelta(seconds=90)
    assert line.next(anchor - timedelta(days=1)) == anchor + timedelta(seconds=90)
    assert line.next(anchor + timedelta(seconds=91)) == anchor + timedelta(seconds=180)
    assert line.count(anchor, anchor + timedelta(days=36500)) == 36500 * 960
    assert line.latest(anchor, anchor + timedelta(seconds=89)) is None


@pytest.mark.parametrize("text", ["* * * * *", "30 2 * * *", "0 0 29 2 *", "0 0 31 12 sun"])
def test_a_century_is_no_longer_than_a_day(text: str) -> None:
    """Not timed: the walk would be fifty million steps."""
    line = schedule.parse(text, "Europe/Paris")
    after, until = datetime(1990, 1, 1, tzinfo=UTC), datetime(2090, 1, 1, tzinfo=UTC)
    latest = line.latest(after, until)
    assert latest is not None
    assert line.count(after, until) > 20


def test_too_long_text_is_refused_unread() -> None:
    with pytest.raises(Invalid, match="at most 1000 are read"):
        schedule.parse("0," * 100_000 + " * * * *")
