"""The steps of the Dockerfile outside of Docker: the script that fills the image, and the daemon that comes out.

It downloads every dependency, so it runs where SYNCD_SLOW is set: `make image-test`, which `.ci/run` calls.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.image.test_dockerfile import ROOT, read

pytestmark = [
    pytest.mark.skipif("SYNCD_SLOW" not in os.environ, reason="downloads 200 MB of wheels: run `make image-test`"),
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The virtual environment that the build stage makes, from the files that it copies and no others."""
    folder = tmp_path_factory.mktemp("image")
    context, target = folder / "build", folder / "opt"
    context.mkdir()
    for instruction in read((ROOT / "Dockerfile").read_text()):
        if instruction.word == "COPY" and instruction.stage == 0:
            *sources, to = instruction.text.split()
            for name in sources:
                if (ROOT / name).is_dir():
                    shutil.copytree(ROOT / name, context / to, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy(ROOT / name, context / to)
    done = subprocess.run(
        ["sh", "image.sh", str(context), str(target)],
        cwd=context,
        env={"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^syncd\S* ", done.stdout, re.MULTILINE), done.stdout
    return target


def test_nothing_that_builds_is_left(image: Path) -> None:
    """Neither pip nor setuptools: an image installs nothing."""
    packages = {path.name.partition("-")[0].lower() for path in image.glob("lib/python*/site-packages/*.dist-info")}
    assert "syncd" in packages
    assert not packages & {"pip", "setuptools", "wheel", "pytest", "mypy"}


def test_it_runs_a_workflow(image: Path, tmp_path: Path) -> None:
    """What was installed is whole: the tables, the schema of the store, bubblewrap."""
    done = subprocess.run(
        [image / "bin" / "syncd", "submit", "--log", str(ROOT / "examples" / "hello-world.yaml")],
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "SYNCD_STATE": str(tmp_path / "state"), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "hello world" in done.stdout
