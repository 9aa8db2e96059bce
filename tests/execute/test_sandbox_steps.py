"""Steps in a real sandbox: what they can do, what they hand over, how their ends are told."""

from __future__ import annotations

import pytest

from tests.execute.conftest import House, shell

pytestmark = pytest.mark.sandbox


async def test_a_step_succeeds_and_its_output_is_the_log(house: House) -> None:
    task = house.task(shell("echo hello; echo careful >&2"))
    await house.performer.start(task)
    finished = await house.finished(task)
    assert (finished.phase, finished.message, finished.exit_code) == ("Succeeded", "", 0)
    assert finished.outputs == {"exitCode": "0"}
    assert await house.log(task) == ["hello", "careful"]


async def test_a_failing_step_is_failed_in_argos_words(house: House) -> None:
    finished = await house.run(shell("exit 3"))
    assert (finished.phase, finished.message, finished.exit_code) == ("Failed", "main: Error (exit code 3)", 3)
