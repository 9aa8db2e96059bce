"""The Dockerfile, read as instructions and held against rules: a table, as no Docker is needed to read it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMPILERS = ("gcc", "g++", "clang", "build-essential", "make", "cargo", "rustc", "golang", "python3-dev", "cmake")


@dataclass(frozen=True, slots=True)
class Instruction:
    """word: FROM, RUN, …; text: the rest, lines joined; stage: the stage it belongs to, from 0."""

    word: str
    text: str
    stage: int


def read(text: str) -> list[Instruction]:
    """The instructions of a Dockerfile, without comments."""
    joined = re.sub(r"\\\n(?:[ \t]*#[^\n]*\n)*", " ", text)
    found: list[Instruction] = []
    stage = -1
    for line in joined.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            word, _, rest = line.strip().partition(" ")
            stage += word.upper() == "FROM"
            found.append(Instruction(word.upper(), " ".join(rest.split()), stage))
    return found


def faults(text: str, context: Path) -> list[str]:
    """What is wrong with a Dockerfile; [] = nothing. context: the directory that it is built from."""
    instructions = read(text)
    last = max((i.stage for i in instructions), default=-1)
    final = [i for i in instructions if i.stage == last]
    found = []
    if last < 1:
        found.append("one stage only: what builds stays in the image")
    for image in (i.text.split()[0] for i in instructions if i.word == "FROM"):
        tag = image.partition("@")[0].rpartition(":")[2] if ":" in image else ""
        if "@sha256:" not in image and not re.fullmatch(r"\d+\.\d+[\w.]*-[\w.-]+", tag):
            found.append(f"FROM {image}: not pinned to a version of the program and of the system")
    users = [i.text for i in final if i.word == "USER"]
    if not users or not re.fullmatch(r"[1-9]\d*(:[1-9]\d*)?", users[-1]):
        found.append("USER is not a number above 0: Kubernetes' runAsNonRoot cannot judge a name")
    for run in (i.text for i in instructions if i.word == "RUN"):
        packages = set(re.split(r"[\s=]+", run))
        found += [f"RUN installs {name}" for name in COMPILERS if name in packages]
        if "apt-get install" in run and "--no-install-recommends" not in run:
            found.append("apt-get install without --no-install-recommends")
        if "apt-get install" in run and "rm -rf /var/lib/apt/lists" not in run:
            found.append("apt-get install leaves its lists in the layer")
        if re.search(r"\b(curl|wget)\b.*\|\s*(ba)?sh", run) or "sudo" in packages:
            found.append("RUN runs what the network gives, or sudo")
    for word in ("ENTRYPOINT", "CMD"):
        for text_of in (i.text for i in final if i.word == word):
            try:
                is_list = isinstance(json.loads(text_of), list)
            except json.JSONDecodeError:
                is_list = False
            if not is_list:
                found.append(f"{word} goes through a shell, which does not pass signals on")
    for copy in (i.text.split() for i in instructions if i.word in ("COPY", "ADD")):
        if any(word.startswith("--from=") for word in copy):
            continue
        found += [f"COPY {path}: not there" for path in copy[:-1] if not (context / path).exists()]
        found += [f"COPY {path}: the whole context" for path in copy[:-1] if path in (".", "./", "*")]
    if any(i.word == "ADD" for i in instructions):
        found.append("ADD unpacks and downloads; use COPY")
    return found


GOOD = """
FROM python:3.12-slim-bookworm AS build
COPY pyproject.toml ./
RUN true
FROM python:3.12-slim-bookworm
COPY --from=build /opt /opt
USER 65532:65532
ENTRYPOINT ["syncd"]
"""


def test_ours_has_no_fault() -> None:
    assert faults((ROOT / "Dockerfile").read_text(), ROOT) == []


def test_what_is_good_has_no_fault() -> None:
    assert faults(GOOD, ROOT) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("FROM python:3.12-slim-bookworm\n", "FROM python\n", "not pinned"),
        ("FROM python:3.12-slim-bookworm\n", "FROM python:latest\n", "not pinned"),
        ("FROM python:3.12-slim-bookworm\n", "FROM python:3.12\n", "not pinned"),
        ("USER 65532:65532\n", "", "USER"),
        ("USER 65532:65532\n", "USER syncd\n", "USER"),
        ("USER 65532:65532\n", "USER 0\n", "USER"),
        ("USER 65532:65532\n", "USER 65532\nUSER root\n", "USER"),
        ("RUN true", "RUN apt-get update && \\\n  # why\n  apt-get install --yes gcc", "installs gcc"),
        ("RUN true", "RUN apt-get install --yes git", "--no-install-recommends"),
        ("RUN true", "RUN apt-get install --no-install-recommends git", "lists"),
        ("RUN true", "RUN curl https://x | sh", "network"),
        ('ENTRYPOINT ["syncd"]', "ENTRYPOINT syncd", "shell"),
        ('ENTRYPOINT ["syncd"]', 'ENTRYPOINT ["syncd"]\nCMD up .', "shell"),
        ("COPY pyproject.toml ./", "COPY nothing.toml ./", "not there"),
        ("COPY pyproject.toml ./", "COPY . ./", "whole context"),
        ("COPY pyproject.toml ./", "ADD pyproject.toml ./", "ADD"),
        ("FROM python:3.12-slim-bookworm\nCOPY --from=build /opt /opt\n", "", "one stage"),
    ],
)
def test_each_fault_is_found(old: str, new: str, fault: str) -> None:
    assert old in GOOD
    assert any(fault in found for found in faults(GOOD.replace(old, new), ROOT))


def test_signals_and_health_are_the_daemons() -> None:
    """`docker stop` drains, and a daemon that does not answer is unhealthy."""
    words = {i.word: i.text for i in read((ROOT / "Dockerfile").read_text())}
    assert words["STOPSIGNAL"] == "SIGTERM"
    assert "/livez" in words["HEALTHCHECK"]
