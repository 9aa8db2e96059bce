"""The same executor as an ordinary user: a daemon under another uid, in a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.sandbox

NOBODY = 65534


@pytest.fixture
def theirs() -> Iterator[Path]:
    """A folder that an ordinary user may write to, outside root's own temporary folders."""
    folder = Path(tempfile.mkdtemp(prefix="syncd-nobody-"))
    (folder / "state").mkdir()
    for path in (folder, folder / "state"):
        os.chown(path, NOBODY, NOBODY)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def everybodys(program: str) -> bool:
    """Whether an ordinary user may reach a program."""
    return all(folder.stat().st_mode & 0o005 == 0o005 for folder in Path(program).resolve().parents)


@pytest.mark.skipif(os.getuid() != 0, reason="not root: the other tests run as an ordinary user already")
async def test_an_ordinary_user_runs_steps(theirs: Path) -> None:
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("setpriv is not installed")
    template = {
        "name": "s",
        "container": {
            "command": ["sh", "-c"],
            "args": [
                "id -u; cat /in; cat /etc/shadow; echo out > /out; echo p > /usr/local/p; mkdir -m 0 /tmp/closed; sleep 0.1"
            ],
        },
        "inputs": {"artifacts": [{"name": "in", "path": "/in", "raw": {"data": "brought\n"}}]},
        "outputs": {
            "artifacts": [{"name": "out", "path": "/out"}],
            "parameters": [{"name": "p", "valueFrom": {"path": "/usr/local/p"}}],
        },
    }
    fields = {"run_uid": "r", "run_name": "wf", "namespace": "default", "node_id": "wf", "node_name": "wf"}
    task = {"task_id": "r.1.0", "pod_name": "wf", "template_name": "s", "template": template, **fields}
    task["capture_result"] = True
    (theirs / "tasks.json").write_text(json.dumps([task]))
    words = [setpriv, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs"]
    if not everybodys(str(Path(__file__))):
        pytest.skip(f"an ordinary user cannot read this checkout: {Path(__file__).parents[2]}")
    python = sys.executable if everybodys(sys.executable) else shutil.which("python3", path="/usr/bin") or ""
    words += [python, "-m", "tests.execute.daemon", str(theirs / "state"), str(theirs / "tasks.json")]
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(theirs),
        "PYTHONPATH": ":".join(sys.path),
    }
    process = await asyncio.create_subprocess_exec(
        *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment
    )
    output, errors = await asyncio.wait_for(process.communicate(), 60)
    if b"the sandbox does not start here" in errors or (not output and b"Permission denied" in errors):
        pytest.skip(f"no ordinary user can run this here: {errors.decode().strip()[-300:]}")
    seen: list[dict[str, Any]] = [json.loads(line) for line in output.splitlines()]
    assert seen, errors.decode()
    finished = seen[-1]
    assert (finished["phase"], finished["message"]) == ("Succeeded", "")
    assert finished["outputs"]["result"] == f"{NOBODY}\nbrought"
    assert finished["outputs"]["parameters"][0]["value"] == "p"
    assert finished["outputs"]["artifacts"][0]["local"]["key"] == "default/wf/wf/out.tgz"
