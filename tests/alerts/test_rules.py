"""The alert rules: each is tested by promtool, firing and not; each names what exists; each looks past a takeover."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from syncd.cli import main as cli
from syncd.observe.catalogue import METRICS
from tests.support import kubetools

HERE = Path(__file__).parent
RULES = HERE.parents[1] / "charts" / "syncd" / "rules" / "syncd.yaml"
TESTS = sorted(HERE.glob("*.yaml"))


def alerts() -> dict[str, dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


@pytest.mark.kube
@pytest.mark.parametrize("tests", TESTS, ids=lambda path: path.stem)
def test_promtool(tests: Path, tmp_path: Path) -> None:
    for path in (tests, RULES):
        shutil.copy(path, tmp_path)
    command = [kubetools.program("promtool"), "test", "rules", tests.name]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_tested_firing_and_not_firing() -> None:
    cases = [
        case for path in TESTS for test in yaml.safe_load(path.read_text())["tests"] for case in test["alert_rule_test"]
    ]
    firing = {case["alertname"] for case in cases if case.get("exp_alerts")}
    silent = {case["alertname"] for case in cases if not case.get("exp_alerts")}
    assert firing == silent == alerts().keys()


@pytest.mark.parametrize("name", alerts())
def test_an_alert_looks_at_metrics_that_exist(name: str) -> None:
    used = set(re.findall(r"\bsyncd_\w+", alerts()[name]["expr"]))
    assert used
    assert used <= METRICS.keys()


@pytest.mark.parametrize("name", alerts())
def test_an_alert_says_how_bad_what_and_what_to_type(name: str) -> None:
    rule = alerts()[name]
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert {"summary", "description"} == rule["annotations"].keys()
    said = rule["annotations"]["description"]
    typed = re.findall(r": (syncd|kubectl|timedatectl) ([a-z]+(?: [a-z]+)?)", said)
    assert typed, "the next command"
    for program, words in typed:
        if program == "syncd":
            first = words.split()[0]
            assert words in cli.COMMANDS or first in cli.COMMANDS, words


@pytest.mark.parametrize("name", alerts())
def test_an_alert_on_what_the_leader_decides_leaves_the_replica_out(name: str) -> None:
    """After a takeover another pod has the series: the alert must neither end nor be told twice."""
    expression = alerts()[name]["expr"]
    for metric in re.findall(r"\bsyncd_\w+", expression):
        if {"namespace", "source"} & set(METRICS[metric].labels):
            kept = re.search(r"\bby \(([^)]*)\)", expression)
            assert kept is not None
            assert set(kept[1].split(", ")) <= set(METRICS[metric].labels)
