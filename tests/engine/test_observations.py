"""The journal's format of what a run is told."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

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

texts = st.text(max_size=5)
moments = st.datetimes(
    min_value=datetime(1970, 1, 2), max_value=datetime(2100, 1, 1), timezones=st.just(timezone(timedelta(hours=2)))
).map(lambda moment: moment.astimezone(UTC))
bodies = st.dictionaries(
    texts,
    st.recursive(
        st.none() | st.booleans() | st.integers() | texts, lambda inner: st.lists(inner) | st.dictionaries(texts, inner)
    ),
    max_size=3,
)
observations: st.SearchStrategy[Observation] = st.one_of(
    st.just(Admitted()),
    st.just(Tick()),
    st.builds(TaskStarted, texts, moments, texts, texts),
    st.builds(TaskFinished, texts, moments, texts, texts, st.none() | st.integers(), st.none() | moments, bodies),
    st.builds(TaskProgress, texts, texts),
    st.builds(Operation, texts, texts, bodies),
)


@given(observations)
def test_what_is_written_is_read_again(observation):
    """Law: decode(json(encode(o))) == o."""
    assert decode(json.loads(json.dumps(encode(observation)))) == observation


def test_the_written_form():
    at = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    finished = TaskFinished("t", at, "Failed", "Error (exit code 1)", 1, None, {"exitCode": "1"})
    assert encode(finished) == {
        "is": "TaskFinished",
        "task_id": "t",
        "at": "2026-01-02T03:04:05.000006Z",
        "phase": "Failed",
        "message": "Error (exit code 1)",
        "exit_code": 1,
        "started_at": None,
        "outputs": {"exitCode": "1"},
    }


def test_what_is_written_does_not_change_with_the_observation():
    outputs = {"parameters": [{"name": "a", "value": "1"}]}
    written = encode(TaskFinished("t", datetime(2026, 1, 1, tzinfo=UTC), "Succeeded", outputs=outputs))
    outputs["parameters"][0]["value"] = "2"
    outputs["parameters"].append({"name": "b"})
    assert written["outputs"] == {"parameters": [{"name": "a", "value": "1"}]}


def test_a_kind_of_a_newer_version_is_refused():
    with pytest.raises(Defect, match="'TaskDreamt'; it was written by a newer syncd"):
        decode({"is": "TaskDreamt"})
