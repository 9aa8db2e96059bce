"""The ledger's documents: what is kept, what goes, and that they never outgrow a ConfigMap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.argo.manifest import Key
from syncd.cluster.kube import shards
from syncd.cluster.kube.shards import BYTES, ROWS, Shard
from syncd.cluster.memory import MemoryStore
from syncd.cron.ledger import Outcome, Reason, Row
from tests.support.clocks import CountingRandom, ManualClock

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
CRON = Key("CronWorkflow", "ci", "nightly")

moments = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
texts = st.text(st.characters(codec="utf-8"), max_size=40)
rows = st.builds(
    Row,
    st.builds(Key, st.just("CronWorkflow"), st.sampled_from(["ci", "x"]), st.sampled_from(["a", "b"])),
    st.sampled_from(["u1", "u2"]),
    moments,
    st.sampled_from(Outcome),
    st.sampled_from(Reason),
    moments,
    moments,
    st.integers(1, 10_000),
    texts,
    texts,
    texts,
    texts,
)


def row(hour: int, outcome: Outcome = Outcome.FIRED, uid: str = "u1", **more: object) -> Row:
    slot = NOON + timedelta(hours=hour)
    return replace(Row(CRON, uid, slot, outcome, Reason.ON_TIME, slot, slot), **more)  # type: ignore[arg-type]


def data_of(shard: Shard) -> dict[str, str]:
    return {uid: shards.encode(found) for uid, found in shard.rows.items()}


@given(st.lists(rows, min_size=1, max_size=5, unique_by=lambda one: one.slot))
def test_law_rows_survive_the_way_through_text(given_: list[Row]) -> None:
    ours = [replace(one, cron=CRON, cron_uid="u") for one in given_]
    assert shards.decode(shards.encode(ours)) == sorted(ours, key=lambda one: one.slot)


@given(st.lists(rows, max_size=12))
def test_law_what_was_written_is_what_is_known(added: list[Row]) -> None:
    """The entries that `put` answers, laid over each other, are the document."""
    shard = Shard()
    document: dict[str, str] = {}
    for one in added:
        for uid, text in shard.put([replace(one, cron=CRON)]).items():
            if text is None:
                del document[uid]
            else:
                document[uid] = text
    read, faults = shards.shard_from(document)
    assert (read, faults) == (shard, [])
    assert shard.sizes == {uid: len(text.encode()) for uid, text in document.items()}


def test_a_row_that_is_known_is_not_written_again() -> None:
    shard = Shard()
    assert set(shard.put([row(0), row(0, uid="u2")])) == {"u1", "u2"}
    assert shard.put([row(0)]) == {}
    assert set(shard.put([row(1), row(0, uid="u2")])) == {"u1"}
    assert shard.at("u1", NOON) == row(0)
    assert shard.at("u1", NOON + timedelta(hours=9)) is None
    assert shard.at("u9", NOON) is None


steps = st.lists(
    st.one_of(
        st.lists(
            st.builds(row, st.integers(-8, 8), st.sampled_from(Outcome), st.sampled_from(["u1", "u2"])), max_size=4
        ),
        st.tuples(st.integers(-9, 9), st.integers(-1, 5)),
    ),
    max_size=12,
)


@given(steps)
async def test_law_a_document_answers_as_the_store_in_memory(
    given_: Sequence[list[Row] | tuple[int, int]],
) -> None:
    """As long as no cron has more than `ROWS` rows; through text after each step."""
    model = MemoryStore(ManualClock(), CountingRandom())
    shard = Shard()
    for step in given_:
        if isinstance(step, tuple):
            before = NOON + timedelta(hours=step[0])
            count, _ = shard.prune(before, step[1])
            assert count == await model.prune(before, step[1])
        else:
            shard.put(step)
            await model.record(step)
        shard, faults = shards.shard_from(data_of(shard))
        assert faults == []
        ours = [one for found in shard.rows.values() for one in found]
        assert sorted(ours, key=lambda one: (one.slot, one.cron_uid), reverse=True) == await model.rows(CRON)
        assert {uid: found[-1] for uid, found in shard.rows.items()} == await model.latest()


@given(st.permutations(range(2 * ROWS)), st.sets(st.integers(0, 2 * ROWS - 1), max_size=5))
def test_law_the_newest_rows_and_the_pending_ones_stay(hours: list[int], pending: set[int]) -> None:
    shard = Shard()
    for hour in hours:
        shard.put([row(hour, Outcome.PENDING if hour in pending else Outcome.SKIPPED)])
    newest = set(range(ROWS, 2 * ROWS))
    assert {int((one.slot - NOON) / timedelta(hours=1)) for one in shard.rows["u1"]} == newest | pending


@pytest.mark.parametrize("message", ["x" * 5000, "ü" * 5000, "\N{SNOWMAN}" * 5000, '"\\\n' * 2000])
def test_a_document_stays_within_its_bound(message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the messages are written in: bytes are counted, not characters."""
    monkeypatch.setattr(shards, "BYTES", BYTES // 10)
    shard = Shard()
    document: dict[str, str] = {}
    for number in range(400):
        uid = f"{number % 50:036}"
        one = row(number, uid=uid, message=message, schedule="* * * * *", run="nightly-1767268800")
        written = shard.put([shards.kept(one)])
        for name, text in written.items():
            if text is None:
                document.pop(name, None)
            else:
                document[name] = text
        assert sum(len(text.encode()) for text in document.values()) <= BYTES // 10
        assert shard.rows[uid][-1].slot == NOON + timedelta(hours=number)
    assert len(shard.rows) == 50
    assert shards.shard_from(document)[0] == shard


def test_what_is_pending_outlives_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Histories go first, the longest of them; then crons that are gone; never what is pending."""
    monkeypatch.setattr(shards, "BYTES", BYTES // 10)
    shard = Shard()
    message = "x" * 300
    shard.put(row(hour, Outcome.PENDING, uid="waiting", message=message) for hour in range(30))
    shard.put(row(hour, Outcome.PENDING if hour == 0 else Outcome.FIRED, uid="mixed") for hour in range(5))
    for number in range(250):
        shard.put([row(number, uid=f"u{number}", message=message)])
    assert sum(shard.sizes.values()) <= BYTES // 10
    assert len(shard.rows["waiting"]) == 30
    assert [one.outcome for one in shard.rows["mixed"]] == [Outcome.PENDING, Outcome.FIRED]
    assert "u0" not in shard.rows
    assert "u249" in shard.rows


def test_a_bound_that_only_pending_rows_exceed_is_exceeded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "BYTES", BYTES // 10)
    shard = Shard()
    many = [row(hour, Outcome.PENDING, uid=f"u{hour}", message="x" * 300) for hour in range(250)]
    shard.put(many)
    assert len(shard.rows) == 250


@pytest.mark.parametrize("text", ["", "{}", "[1]\n[2]", '["a","b","c","d"]\n[1,2,3]', 7, None])
def test_an_entry_that_cannot_be_read_is_named_and_counted(text: object) -> None:
    shard, faults = shards.shard_from({"u1": text, "u2": shards.encode([row(0, uid="u2")])})
    assert faults == ["u1"]
    assert list(shard.rows) == ["u2"]
    assert shard.sizes["u1"] == len(str(text))


def test_crons_spread_over_all_documents() -> None:
    found = {shards.shard_of(Key("CronWorkflow", "ci", f"cron-{number}")) for number in range(2000)}
    assert found == set(range(shards.SHARDS))
