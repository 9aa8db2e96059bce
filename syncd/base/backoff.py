"""How long to wait before the next attempt: pure exponential backoff.

In: the attempt, a base, a cap and a jitter that the caller drew. Out: seconds. Called by `loops`, `source` and `cluster`.
"""

from __future__ import annotations


def delay(attempt: int, base: float, cap: float, jitter: float = 0.0, factor: float = 2.0) -> float:
    """Seconds to wait after failure number `attempt` (from 1): base·factor^(attempt-1), at most `cap`, less some jitter.

    jitter: in [0, 1), drawn by the caller (`Random.jitter`); it takes up to half of the wait away, so that many callers
    do not come back together. Never negative; never raises for large attempts.

    >>> [delay(n, 1, 30) for n in (1, 2, 3, 10, 100000)]
    [1.0, 2.0, 4.0, 30.0, 30.0]
    >>> delay(3, 1, 30, jitter=0.5)
    3.0
    """
    if base <= 0 or cap <= 0:
        return 0.0
    try:
        whole = float(base) * float(factor) ** max(attempt - 1, 0)
    except OverflowError:
        whole = float(cap)
    return max(0.0, min(whole, float(cap)) * (1.0 - 0.5 * jitter))
