"""JSONPath."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from syncd.expr.values import EvaluationProblem


def query(path: str, root: Any, spend: Callable[[int], None]) -> Any:
    """The value at a path."""
    if path.strip() == "$":
        return root
    raise EvaluationProblem("jsonpath not there yet")
