"""Inventory, the lock, the backup: what a store has besides objects."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncd.base.errors import AlreadyExists, Conflict
from syncd.cluster.api import Store
from tests.support.objects import create, workflow


async def test_inventory(store: Store) -> None:
    assert await store.inventory("app") is None
    assert await store.inventories() == []
    await store.save_inventory("app", {"owned": ["a"]})
    await store.save_inventory("app", {"owned": ["b"]})
    await store.save_inventory("Zoo/ü", {})
    assert await store.inventory("app") == {"owned": ["b"]}
    assert await store.inventories() == ["Zoo/ü", "app"]
    await store.forget_inventory("app")
    await store.forget_inventory("app")
    assert await store.inventories() == ["Zoo/ü"]


@pytest.mark.ours("there is the lease")
async def test_the_store_has_one_holder(store: Store) -> None:
    async with store.exclusive():
        with pytest.raises(Conflict):
            async with store.exclusive():
                pass
        await create(store, workflow("a"))
    async with store.exclusive():
        pass


def files(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.is_file()]


@pytest.mark.ours("a cluster has its own")
async def test_a_backup_takes_no_name_that_is_taken(store: Store, tmp_path: Path) -> None:
    await create(store, workflow("a"))
    target = tmp_path / "copy"
    await store.backup(str(target))
    size = target.stat().st_size
    assert size > 0
    with pytest.raises(AlreadyExists, match="copy"):
        await store.backup(str(target))
    assert target.stat().st_size == size
    assert files(tmp_path) == ["copy"]
