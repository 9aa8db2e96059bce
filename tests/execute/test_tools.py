"""Folders of programs that the configuration adds to what steps see."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import pytest

from syncd.execute import etc, sandbox


@pytest.mark.sandbox
def test_tools_that_lie_under_tmp_are_seen(tmp_path: Path) -> None:
    """A step's /tmp is its own; what the configuration adds is bound after it."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        tool = Path(folder) / "greet"
        tool.write_text("#!/bin/sh\necho hello\n")
        tool.chmod(0o755)
        Path(folder).chmod(0o755)
        made = sandbox.prove(sandbox.View(etc=etc.write(tmp_path / "etc"), tools=(Path(folder),)))
        (tmp_path / "tmp").mkdir()
        words = [*made._head, "--tmpfs", "/", *made._system, "--bind", str(tmp_path / "tmp"), "/tmp", *made._more]
        done = subprocess.run([*words, "--", "greet"], env={"PATH": made.path}, capture_output=True, check=False)
        assert done.stdout == b"hello\n", done.stderr
