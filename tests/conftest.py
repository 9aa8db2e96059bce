"""What holds for every test.

Hypothesis: at a desk each run tries other cases; in CI (CI is set) the same ones, so that a verdict is of the change and not
of luck. What a random run finds becomes a case of its own.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("desk", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("desk"), derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") else "desk")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests want to be read, also when they ran in another process: `record_property("said", text)`."""
    for report in terminalreporter.stats.get("passed", ()):
        for name, value in report.user_properties:
            if name == "said":
                terminalreporter.write_line(str(value))
