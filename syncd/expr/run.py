"""One evaluation of an expression: its environment, the work that is left, the scopes of its loops. Made by `evaluate`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from syncd.expr.environment import Environment, Impurity
from syncd.expr.values import EvaluationProblem


class Run:
    """One evaluation: the environment, the work that is left, and the scopes of loops and `let`."""

    __slots__ = ("acc", "draws", "env", "impurity", "index", "item", "left", "variables")

    def __init__(self, env: Environment, steps: int, impurity: Impurity | None, slots: int) -> None:
        self.env = env
        self.left = steps
        self.impurity = impurity
        self.draws = 0
        self.variables: list[Any] = [None] * slots
        self.item: Any = None
        self.index = 0
        self.acc: Any = None

    def spend(self, steps: int) -> None:
        """Take work off what is left; raises EvaluationProblem when there is none."""
        self.left -= steps
        if self.left < 0:
            raise EvaluationProblem("expression takes too many steps; make its lists smaller")

    def now(self) -> datetime:
        """The time, where the caller gave one."""
        if self.impurity is None or self.impurity.now is None:
            raise EvaluationProblem(
                "now() has no value here: a replay would see another time; pass the time as a parameter"
            )
        return self.impurity.now

    def random(self, size: int) -> bytes:
        """Random bytes, where the caller gave a seed."""
        if self.impurity is None or self.impurity.seed is None:
            raise EvaluationProblem("random functions have no value here: a replay would see another one")
        self.spend(size // 16 + 1)
        self.draws += 1
        return self.impurity.draw(self.draws, size)
