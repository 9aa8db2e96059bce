"""Somebody else fills the disk: what has happened can still be saved, once, so that the room can be found again."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from syncd.base.errors import Unreachable
from syncd.cluster.embedded import reserve
from syncd.cluster.embedded.store import EmbeddedStore, open_store
from syncd.cluster.embedded.writer import Transaction
from tests.support.clocks import CountingRandom, ManualClock
from tests.support.objects import create, workflow

SCRIPT = """
import asyncio, os, sys
from pathlib import Path
from syncd.base.errors import Unreachable
from syncd.cluster.embedded.store import open_store
from tests.support.clocks import CountingRandom, ManualClock
from tests.support.objects import create, workflow

async def main(folder):
    store = open_store(folder / "state", clock=ManualClock(), random=CountingRandom())
    await create(store, workflow("first"))
    assert (folder / "state" / "reserve").is_file()
    with (folder / "hog").open("wb", buffering=0) as hog:
        try:
            while True:
                hog.write(bytes(65536))
        except OSError as error:
            print("full:", error.strerror)
    saved = 0
    try:
        while True:
            await create(store, workflow(f"w{saved}"), {"spec": {"x": "y" * 20000}})
            saved += 1
    except Unreachable as error:
        print("saved on a full disk:", saved > 20, "then:", error)
    assert not (folder / "state" / "reserve").exists()
    (folder / "hog").unlink()
    await create(store, workflow("last"))
    assert (folder / "state" / "reserve").stat().st_size == 4 << 20
    assert len((await store.list("Workflow")).items) == saved + 2
    await store.close()
    print("well")

asyncio.run(main(Path(sys.argv[1])))
"""


def test_a_hog_takes_everything(tmp_path: Path) -> None:
    command = 'mount -t tmpfs -o size=32m tmpfs "$1" && exec "$2" -c "$3" "$1"'
    flags = ["--mount"] if os.geteuid() == 0 else ["--mount", "--map-root-user"]
    if subprocess.run(["unshare", *flags, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine allows no mount namespace")
    ran = subprocess.run(
        ["unshare", *flags, "sh", "-c", command, "sh", str(tmp_path), sys.executable, SCRIPT],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    said = ran.stdout.splitlines()
    assert said[0] == "full: No space left on device"
    assert said[1].startswith("saved on a full disk: True then: disk")
    assert said[2] == "well"


async def test_the_reserve_is_spent_once_and_taken_again(tmp_path: Path) -> None:
    store = open_store(tmp_path, clock=ManualClock(), random=CountingRandom())
    kept = tmp_path / reserve.FILE
    try:
        await create(store, workflow("first"))
        assert (kept.stat().st_size, oct(kept.stat().st_mode)) == (reserve.SIZE_BYTES, "0o100600")
        await _limit(store, 0)
        for _ in range(2):
            with pytest.raises(Unreachable, match="disk full"):
                await create(store, workflow("large"), {"spec": {"x": "y" * 400_000}})
            assert not kept.exists()
        await _limit(store, 1000)
        await create(store, workflow("large"), {"spec": {"x": "y" * 400_000}})
        assert kept.exists()
    finally:
        await store.close()


@pytest.mark.parametrize("there", ["folder", "link", "short"])
async def test_what_stands_in_its_place_harms_nothing(tmp_path: Path, there: str) -> None:
    kept, elsewhere = tmp_path / "state" / reserve.FILE, tmp_path / "elsewhere"
    kept.parent.mkdir(mode=0o700)
    elsewhere.write_text("precious")
    match there:
        case "folder":
            kept.mkdir()
        case "link":
            kept.symlink_to(elsewhere)
        case _:
            kept.write_text("x")
    store = open_store(tmp_path / "state", clock=ManualClock(), random=CountingRandom())
    try:
        await asyncio.gather(*(create(store, workflow(f"w{n}")) for n in range(3)))
        assert len((await store.list("Workflow")).items) == 3
    finally:
        await store.close()
    assert elsewhere.read_text() == "precious"


async def _limit(store: EmbeddedStore, more_pages: int) -> None:
    def job(transaction: Transaction) -> None:
        pages = transaction.execute("PRAGMA page_count").fetchone()[0]
        transaction.execute(f"PRAGMA max_page_count = {pages + more_pages}").fetchone()

    await store._writer.run(job)
