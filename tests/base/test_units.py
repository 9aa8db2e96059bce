"""Durations and quantities as Go and Kubernetes read and write them; backoff grows and stays within its cap."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.base import backoff, units

_SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", timedelta(0)),
        ("5s", 5 * _SECOND),
        ("-5s", -5 * _SECOND),
        ("+5s", 5 * _SECOND),
        ("1h30m", 5400 * _SECOND),
        ("-1.5h", -5400 * _SECOND),
        ("300ms", timedelta(milliseconds=300)),
        (".5s", timedelta(milliseconds=500)),
        ("1.s", _SECOND),
        ("1us", timedelta(microseconds=1)),
        ("1µs", timedelta(microseconds=1)),
        ("1μs", timedelta(microseconds=1)),
        ("1500ns", timedelta(microseconds=1)),
        ("-1500ns", timedelta(microseconds=-1)),
        ("1h2m3s4ms", timedelta(hours=1, minutes=2, seconds=3, milliseconds=4)),
        ("0.100000000000000000000h", timedelta(minutes=6)),
    ],
)
def test_go_durations(text: str, expected: timedelta) -> None:
    assert units.parse_duration(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'time: invalid duration ""'),
        ("3", 'time: missing unit in duration "3"'),
        ("-", 'time: invalid duration "-"'),
        ("s", 'time: invalid duration "s"'),
        (".", 'time: invalid duration "."'),
        (".s", 'time: invalid duration ".s"'),
        ("1d", 'time: unknown unit "d" in duration "1d"'),
        ("1 s", 'time: unknown unit " s" in duration "1 s"'),
        ("3000000h", 'time: invalid duration "3000000h"'),
        ("٣s", 'time: invalid duration "٣s"'),
    ],
)
def test_bad_durations_are_refused_in_gos_words(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        units.parse_duration(text)
    assert str(caught.value) == message


@given(st.text(max_size=20) | st.text(alphabet="0123456789.hmsuµn+-", max_size=14))
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    """Law: reading raises nothing but ValueError."""
    for read in (units.parse_duration, units.parse_duration_or_seconds, units.parse_quantity):
        try:
            read(text)
        except ValueError:
            continue


@given(st.timedeltas(timedelta(days=-100_000), timedelta(days=100_000)))
def test_a_duration_comes_back_from_its_text(duration: timedelta) -> None:
    """Law: parse_duration(go_duration(d)) == d."""
    assert units.parse_duration(units.go_duration(duration)) == duration


@pytest.mark.parametrize(
    ("text", "seconds"), [("20", 20), ("-3", -3), ("+4", 4), ("2m", 120), ("1.5s", 1.5), ("0", 0), ("007", 7)]
)
def test_a_bare_number_is_seconds(text: str, seconds: float) -> None:
    assert units.parse_duration_or_seconds(text) == timedelta(seconds=seconds)


def test_what_is_neither_is_refused_with_both_readings() -> None:
    with pytest.raises(
        ValueError, match=r'^unable to parse 1d as a duration: time: unknown unit "d" in duration "1d"$'
    ):
        units.parse_duration_or_seconds("1d")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", "1"),
        ("500m", "0.5"),
        ("1.5Gi", "1610612736"),
        ("1e3", "1000"),
        ("1E3", "1000"),
        ("12E", "12000000000000000000"),
        ("-1k", "-1000"),
        ("100n", "1e-7"),
        (".5", "0.5"),
        ("5.", "5"),
    ],
)
def test_quantities(text: str, expected: str) -> None:
    assert units.parse_quantity(text) == Decimal(expected)


@pytest.mark.parametrize("text", ["", "x", "1x", "1KI", "1 Gi", "--1", "1e99999", "٣", "1.2.3", "9" * 200])
def test_bad_quantities(text: str) -> None:
    with pytest.raises(ValueError, match="is not a number with one of the suffixes"):
        units.parse_quantity(text)


@given(st.integers(1, 10_000), st.floats(0.001, 1000), st.floats(0.001, 10_000), st.floats(0, 0.999))
def test_backoff_stays_within_its_bounds(attempt: int, base: float, cap: float, jitter: float) -> None:
    """Law: half the wait at least, the cap at most, and never shorter for a later attempt."""
    wait = backoff.delay(attempt, base, cap, jitter)
    full = backoff.delay(attempt, base, cap)
    assert full / 2 <= wait <= full <= cap
    assert full <= backoff.delay(attempt + 1, base, cap)


def test_backoff_starts_at_its_base() -> None:
    assert [backoff.delay(n, 2, 100, factor=3) for n in (0, 1, 2, 3, 4, 5)] == [2, 2, 6, 18, 54, 100]
