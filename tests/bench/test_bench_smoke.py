"""Every benchmark at a tiny size: that it measures something, and says it in the promised shape. No time is judged here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench import __main__ as bench
from bench import measure
from bench.measure import Goal, Measured

ROOT = Path(__file__).parents[2]

PROMISED = {
    "steps": ["steps-40", "steps-120", "steps-growth"],
    "crons": ["crons", "crons-alone"],
    "sync": ["poll", "change"],
    "load": ["load-cold", "load-again"],
    "memory": ["memory"],
    "help": ["help"],
    "scrape": ["scrape"],
}


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """`python -m bench` as `make bench` calls it."""
    return subprocess.run(
        [sys.executable, "-m", "bench", *words], cwd=ROOT, capture_output=True, text=True, timeout=110, check=False
    )


def test_every_group_is_promised():
    assert list(PROMISED) == list(bench.GROUPS)


@pytest.mark.parametrize(
    "group", [pytest.param("steps", marks=pytest.mark.sandbox), *(g for g in PROMISED if g != "steps")]
)
def test_a_group_measures_what_it_promises(group, tmp_path):
    done = run("--only", group, "--quick", "--json", str(tmp_path / "out.json"))
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told == json.loads((tmp_path / "out.json").read_text())
    assert told["quick"] is True
    assert told["failed"] == {}
    assert told["machine"]["cores"] >= 1
    assert list(told["benchmarks"]) == PROMISED[group]
    for entry in told["benchmarks"].values():
        assert set(entry) == {"figures", "baseline", "ratio", "goal", "within_goal"}
        assert entry["ratio"] > 0
        assert entry["baseline"]["what"]
        assert entry["goal"]["of"] == "ratio" or entry["goal"]["of"] in entry["figures"]
        assert isinstance(entry["within_goal"], bool)
    assert told["within_goals"] is all(entry["within_goal"] for entry in told["benchmarks"].values())


def test_an_unknown_benchmark_is_refused():
    done = run("--only", "nothing")
    assert done.returncode == 2
    assert "invalid choice: 'nothing'" in done.stderr


def test_a_group_that_breaks_is_named_and_the_exit_code_says_so(monkeypatch, capsys):
    monkeypatch.setattr(bench, "GROUPS", {"help": "bench.start"})
    monkeypatch.setattr(bench.sys, "executable", "/bin/false")
    assert bench.main(["--only", "help", "--quick"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert list(told["failed"]) == ["help"]
    assert told["within_goals"] is False


@pytest.mark.parametrize(
    ("goal", "ratio", "within"),
    [
        (Goal("ratio", at_most=1.5), 1.5, True),
        (Goal("ratio", at_most=1.5), 1.51, False),
        (Goal("per_second", at_least=850), 0.1, True),
        (Goal("per_second", at_least=851), 0.1, False),
    ],
)
def test_a_goal_is_about_the_figure_that_it_names(goal, ratio, within):
    measured = Measured("x", {"per_second": 850}, {"what": "y"}, ratio, goal)
    assert measured.to_json()["within_goal"] is within


def test_percentiles_are_values_that_were_measured():
    values = [float(n) for n in range(1, 1001)]
    assert [measure.percentile(values, share) for share in (0.5, 0.99, 1.0)] == [500.0, 990.0, 1000.0]
