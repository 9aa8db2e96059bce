"""An embedded store on disk, and its file as SQLite sees it."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from syncd.cluster.embedded.store import EmbeddedStore, open_store
from tests.support.clocks import CountingRandom, ManualClock


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
async def reopen(state: Path) -> AsyncIterator[Callable[..., EmbeddedStore]]:
    """Opens the store in `state`; whatever was opened is closed in the end."""
    opened: list[EmbeddedStore] = []

    def again(**options: Any) -> EmbeddedStore:
        random = CountingRandom()
        random._count = len(opened) * 1_000_000  # no uid is given twice, as in life
        opened.append(open_store(state, clock=ManualClock(), random=random, **options))
        return opened[-1]

    yield again
    for store in opened:
        await store.close()


@pytest.fixture
def store(reopen: Callable[..., EmbeddedStore]) -> EmbeddedStore:
    return reopen()


@contextmanager
def sql(state: Path) -> Iterator[sqlite3.Connection]:
    """The file behind the store's back."""
    with closing(sqlite3.connect(state / "syncd.db", isolation_level=None)) as connection:
        yield connection
