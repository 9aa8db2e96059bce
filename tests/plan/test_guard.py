"""When a plan is held: the table, and the law that deletes are under the limit or held."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.plan import guard


@pytest.mark.parametrize(
    ("owned", "deletes", "remaining", "held"),
    [
        pytest.param(0, 0, 0, False, id="an empty source that never had anything"),
        pytest.param(10, 0, 0, False, id="nothing is deleted: all survive by annotation"),
        pytest.param(1, 1, 0, True, id="the only object goes: the source turns empty"),
        pytest.param(10, 10, 0, True, id="a wrong branch: everything goes"),
        pytest.param(10, 5, 5, False, id="exactly half"),
        pytest.param(10, 6, 4, True, id="more than half"),
        pytest.param(1, 1, 1, False, id="the only object is renamed"),
        pytest.param(3, 2, 1, True, id="two of three"),
        pytest.param(10, 10, 10, True, id="all are renamed at once"),
    ],
)
def test_held(owned, deletes, remaining, held):
    assert (guard.check(owned=owned, deletes=deletes, remaining=remaining) is not None) == held


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50), st.floats(0, 1))
def test_deletes_are_under_the_limit_or_held(owned, deletes, remaining, fraction):
    """Law: what passes deletes at most the fraction (or a single object), and never the last one."""
    held = guard.check(owned=owned, deletes=deletes, remaining=remaining, max_delete_fraction=fraction)
    if held is None and deletes:
        assert remaining > 0
        assert deletes <= max(guard.ALWAYS_ALLOWED, owned * fraction)


@pytest.mark.parametrize(
    ("approved", "revision", "answer"),
    [
        ("", "main@sha1:3f2c0001", False),
        ("main@sha1:3f2c0001", "main@sha1:3f2c0001", True),
        ("3f2c0001", "main@sha1:3f2c0001", True),
        ("3f2c000", "main@sha1:3f2c0001", True),
        ("3f2c", "main@sha1:3f2c0001", False),
        ("main@sha1:3f2c0001", "main@sha1:3f2c0002", False),
        ("main", "main@sha1:3f2c0001", False),
    ],
)
def test_an_approval_is_for_one_revision(approved, revision, answer):
    assert guard.approves(approved, revision) is answer
