"""The journal's format: what is written is read again, by this version and by the next."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.base.errors import Defect
from syncd.engine.observations import (
    Admitted,
    Observation,
    Operation,
    TaskFinished,
    TaskProgress,
    TaskStarted,
    Tick,
    decode,
    encode,
)

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
moments = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))
values = st.dictionaries(words, st.one_of(words, st.integers(-9, 9), st.lists(words, max_size=3)), max_size=3)
observations: st.SearchStrategy[Observation] = st.one_of(
    st.builds(Admitted),
    st.builds(Tick),
    st.builds(TaskStarted, words, moments, words, words),
    st.builds(
        TaskFinished,
        words,
        moments,
        words,
        words,
        st.none() | st.integers(0, 255),
        st.none() | moments,
        values,
    ),
    st.builds(TaskProgress, words, words),
    st.builds(Operation, words, words, values),
)


@given(observations)
def test_what_was_written_is_read_again(observation: Observation) -> None:
    assert decode(orjson.loads(orjson.dumps(encode(observation)))) == observation


def test_a_field_of_a_newer_version_is_passed_over() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(microseconds=5)
    written = {**encode(TaskStarted("t", at, "sandbox")), "colour": "blue"}
    assert decode(written) == TaskStarted("t", at, "sandbox")


@pytest.mark.parametrize(
    "written", [{}, {"is": "Unheard"}, {"is": "TaskFinished"}, {"is": "TaskStarted", "at": "2026-01-01T00:00:00Z"}]
)
def test_what_cannot_be_read_is_a_defect(written: dict[str, object]) -> None:
    with pytest.raises(Defect, match="journal holds"):
        decode(written)
