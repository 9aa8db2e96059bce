"""Every benchmark of a cluster at a tiny size: that it measures something, and counts what was asked. No time is judged here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench import __main__ as bench
from bench import kube
from tests.support import kubetools

pytestmark = [pytest.mark.kube, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]

PROMISED = {
    "kube-sync": ["kube-first", "kube-first-kubectl", "kube-unchanged", "kube-change", "kube-restart"],
    "kube-crons": ["kube-crons"],
    "kube-memory": ["kube-memory", "kube-restart-daemon"],
}


def measured(group: str) -> dict:
    """The entries of a group."""
    for name in ("etcd", "kube-apiserver", "kubectl"):
        kubetools.program(name)
    words = [sys.executable, "-m", "bench", "--only", group, "--quick"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["failed"] == {}
    assert list(told["benchmarks"]) == PROMISED[group]
    for entry in told["benchmarks"].values():
        assert set(entry) == {"figures", "baseline", "ratio", "goal", "within_goal"}
        assert entry["ratio"] > 0
        assert entry["baseline"]["what"]
        assert entry["goal"]["of"] == "ratio" or entry["goal"]["of"] in entry["figures"]
        assert entry["figures"]["load"] >= 0
    return told["benchmarks"]


def test_every_group_of_a_cluster_is_promised():
    assert set(PROMISED) <= set(bench.KUBE_GROUPS)
    assert not bench.KUBE_GROUPS.keys() & bench.GROUPS.keys()


def test_a_source_is_rehearsed_then_applied_then_left_alone():
    entries = measured("kube-sync")
    objects = entries["kube-first"]["figures"]["objects"]
    calls = entries["kube-first"]["figures"]["calls"]
    for verb in ("DRY-APPLY", "APPLY"):
        assert sum(n for call, n in calls.items() if call.startswith(f"{verb} ")) == objects
    assert entries["kube-unchanged"]["figures"]["writes"] == 0
    assert entries["kube-unchanged"]["figures"]["poll_requests"] == 0
    assert entries["kube-restart"]["figures"]["writes"] == 0
    changed = entries["kube-change"]["figures"]["calls"]
    assert changed["DRY-APPLY workflowtemplates 200"] == changed["APPLY workflowtemplates 200"] == 1


def test_crons_that_are_due_together_are_fired_once_each():
    figures = measured("kube-crons")["kube-crons"]["figures"]
    assert figures["calls"]["POST workflows 201"] == figures["crons"]
    assert figures["refused_429"] == 0
    assert (
        0 <= figures["first_seconds"] <= figures["p50_seconds"] <= figures["last_seconds"] <= figures["settled_seconds"]
    )


def test_a_daemon_is_ready_leads_and_has_applied_in_this_order():
    entries = measured("kube-memory")
    figures = entries["kube-restart-daemon"]["figures"]
    assert 0 < figures["ready_seconds"] <= figures["applied_seconds"]
    assert figures["leads_seconds"] <= figures["applied_seconds"]
    assert "DELETE workflows 200" not in figures["calls"]
    assert entries["kube-memory"]["figures"]["resident_mb"] <= entries["kube-memory"]["figures"]["peak_mb"]


def test_what_changes_something_is_told_from_what_does_not():
    calls = kube.Calls(
        {
            ("LIST", "workflows", "200"): 3,
            ("DRY-APPLY", "workflows", "201"): 5,
            ("APPLY", "workflows", "201"): 7,
            ("POST", "configmaps", "429"): 2,
        }
    )
    assert calls.writes == 9
    assert calls.refused() == 2


def test_the_pair_with_the_middle_ratio_is_told():
    assert kube.median_pair([(3.0, 1.0), (1.0, 1.0), (4.0, 2.0)]) == (4.0, 2.0)
