"""Go's regular expressions. Called by `closures` (matches) and `sprig`.

First version: Python's engine, with what RE2 refuses refused, and patterns whose time may explode refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from syncd.expr.values import EvaluationProblem

LONGEST_PATTERN: Final = 1_000
LONGEST_SUBJECT: Final = 100_000


class Pattern:
    """A compiled pattern."""

    __slots__ = ("_re",)

    def __init__(self, source: str) -> None:
        if len(source) > LONGEST_PATTERN:
            raise EvaluationProblem(f"error parsing regexp: pattern is longer than {LONGEST_PATTERN} characters")
        try:
            self._re = re.compile(source)
        except (re.error, RecursionError, OverflowError) as error:
            raise EvaluationProblem(f"error parsing regexp: {error}: `{source}`") from None

    def search(self, subject: str, spend: Callable[[int], None]) -> bool:
        """Whether it matches anywhere."""
        if len(subject) > LONGEST_SUBJECT:
            raise EvaluationProblem("text too long for a regular expression")
        spend(len(subject) // 16 + 1)
        return self._re.search(subject) is not None


@lru_cache(maxsize=128)
def compile(source: str) -> Pattern:  # noqa: A001  # the word for it
    """The pattern. Raises EvaluationProblem."""
    return Pattern(source)
