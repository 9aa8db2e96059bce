"""Time and chance for expressions: `now()` is the journal's, lots are drawn from the run and the node, so a replay agrees.

In: the moment of the machine and words that name the reader. Out: an `Impurity` for one reading. Called by this room.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count

from syncd.expr.environment import Impurity


@dataclass(frozen=True, slots=True)
class Lots(Impurity):
    """An Impurity that goes on drawing: two expressions of one template do not get the same lot."""

    drawn: Iterator[int] = field(default_factory=count)

    def draw(self, counter: int, size: int) -> bytes:
        """`size` bytes; the counter of the single expression does not matter."""
        return Impurity.draw(self, next(self.drawn), size)


def lots(now: datetime, *words: object) -> Lots:
    """Time and chance for one reader. now: aware; words: what makes it another than every other reader."""
    return Lots(now, "\0".join(map(str, words)).encode("utf-8", "replace"))
