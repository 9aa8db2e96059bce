"""What holds for every test.

Hypothesis: at a desk each run tries other cases; in CI (CI is set) the same ones, so that a verdict is of the change and not
of luck. What a random run finds becomes a case of its own.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

settings.register_profile("desk", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("desk"), derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") else "desk")
