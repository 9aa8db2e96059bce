"""What a poll that finds nothing new costs, and what it still says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from syncd.argo.manifest import Key
from syncd.base.errors import Unreachable
from tests.loops.sourced import Stage, template


class Unwalked(set[Key]):
    """What a source owns, not to be gone through."""

    def __iter__(self) -> Iterator[Key]:
        raise AssertionError("a poll that finds nothing new went through everything that the source owns")


async def test_it_does_not_go_through_what_is_in_force():
    stage = Stage({"a.yaml": template("a")})
    await stage.loop.step()
    stage.loop._records.owned = Unwalked(stage.loop._records.owned)
    assert (await stage.loop.step()).result == "applied"


async def test_after_a_failure_it_says_that_all_is_as_before():
    stage = Stage({"a.yaml": template("a")})
    await stage.loop.step()
    before = stage.loop.status()
    stage.source.failure = Unreachable("no route")
    with pytest.raises(Unreachable):
        await stage.loop.step()
    assert stage.loop.status()["result"] == "failed"
    stage.source.failure = None
    await stage.loop.step()
    told = stage.loop.status()
    assert (told["result"], told["reason"], told["objects"]) == ("applied", "", before["objects"])
