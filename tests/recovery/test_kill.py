"""kill -9 at any moment loses nothing and does nothing twice.

A daemon syncs a git repository whose commit brings a template, a ConfigMap and a cron, runs a Workflow that is to run once,
fires a slot, and dies at the n-th of the moments that `tests.support.mortal` counts: before and after each write, ledger row,
journal entry and inventory, each start and end of a task, each report. The next daemon must bring everything to its end:
every step ran exactly once, every slot has one row and one run, everything of the commit is in force, nothing is left over.

SYNCD_KILL_MOMENTS=all tries every moment there is; the default takes enough of them, spread over the whole life.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from syncd.app.real import SystemClock, SystemRandom
from syncd.argo import labels, status
from syncd.argo.manifest import Key
from syncd.cluster.embedded.store import open_store
from syncd.cron.ledger import Outcome

LEAST = 44
ROOT = Path(__file__).resolve().parents[2]

MANIFESTS = """
apiVersion: v1
kind: ConfigMap
metadata: {name: words}
data: {word: hello}
---
apiVersion: argoproj.io/v1alpha1
kind: WorkflowTemplate
metadata: {name: base}
spec:
  entrypoint: main
  templates:
    - name: main
      steps:
        - - {name: first, template: mark, arguments: {parameters: [{name: word, value: first}]}}
        - - {name: second, template: slow, arguments: {parameters: [{name: word, value: second}]}}
          - {name: third, template: mark, arguments: {parameters: [{name: word, value: third}]}}
    - name: mark
      inputs: {parameters: [{name: word}]}
      container: {image: busybox, command: [sh, -c], args: ["echo ran {{inputs.parameters.word}}"]}
    - name: slow
      inputs: {parameters: [{name: word}]}
      container: {image: busybox, command: [sh, -c], args: ["echo ran {{inputs.parameters.word}}; sleep 0.4; echo {{inputs.parameters.word}} > /tmp/out"]}
      outputs: {parameters: [{name: out, valueFrom: {path: /tmp/out}}]}
---
apiVersion: argoproj.io/v1alpha1
kind: CronWorkflow
metadata: {name: often, annotations: {syncd.io/catch-up: none}}
spec:
  schedules: ["@every 1s"]
  stopStrategy: {expression: "cronworkflow.succeeded >= 1"}
  concurrencyPolicy: Forbid
  successfulJobsHistoryLimit: 100
  workflowSpec: {workflowTemplateRef: {name: base}}
---
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: once, annotations: {syncd.io/run: once}}
spec: {workflowTemplateRef: {name: base}}
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("repo")
    (path / "all.yaml").write_text(MANIFESTS)
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    for words in (["init", "-q", "-b", "main"], ["add", "."], [*identity, "commit", "-q", "-m", "all"]):
        subprocess.run(["git", *words], cwd=path, check=True)
    return path


def live(state: Path, source: Path, fatal: int) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.mortal", str(state), str(source), str(fatal), "2"],
        cwd=ROOT, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert fatal or done.returncode == 0, done.stderr[-3000:]
    assert "Traceback" not in done.stderr, done.stderr[-3000:]
    return done.stdout


def survives(state: Path, source: Path, fatal: int) -> str:
    """Die at `fatal`, live again, and look at everything. Answers the moment's name."""
    died = live(state, source, fatal)
    killed = re.search(r"killed at \d+: (.*)", died)
    live(state, source, 0)
    asyncio.run(look(state, killed[1] if killed else "not reached"))
    shutil.rmtree(state, ignore_errors=True)
    return killed[1] if killed else "not reached"


async def look(state: Path, moment: str) -> None:
    store = open_store(state, clock=SystemClock(), random=SystemRandom(), readonly=True)
    try:
        for kind, name in (("ConfigMap", "words"), ("WorkflowTemplate", "base"), ("CronWorkflow", "often")):
            await store.get(Key(kind, "default", name))
        page = await store.list(labels.WORKFLOW)
        runs = list(page.items)
        ended = [body for body in runs if (body.get("status") or {}).get("finishedAt")]
        assert len(ended) >= 2, f"{moment}: {[r['metadata']['name'] for r in runs]}"
        for body in ended:
            assert body["status"]["phase"] == status.SUCCEEDED, f"{moment}: {body['status']}"
            _each_step_ran_once(state, body, moment)
        offered = [r for r in runs if r["metadata"]["name"].startswith("once-")]
        assert len(offered) == 1, moment
        fired = [r for r in runs if (r["metadata"].get("labels") or {}).get(labels.LABEL_CRON_WORKFLOW)]
        rows = await store.rows(Key("CronWorkflow", "default", "often"))
        slots = Counter(row.slot for row in rows)
        assert all(count == 1 for count in slots.values()), moment
        with_run = {row.run for row in rows if row.outcome in (Outcome.FIRED, Outcome.CAUGHT_UP, Outcome.PENDING)}
        assert {r["metadata"]["name"] for r in fired} <= with_run, moment
        assert await store.pending() == [] or moment, moment
    finally:
        await store.close()


def _each_step_ran_once(state: Path, body: dict[str, Any], moment: str) -> None:
    said: Counter[str] = Counter()
    for path in (state / "logs" / body["metadata"]["uid"]).rglob("*.log"):
        said.update(line for line in path.read_text().splitlines() if line.startswith("ran "))
    assert said == Counter(["ran first", "ran second", "ran third"]), f"{moment}: {said}"


@pytest.mark.sandbox
@pytest.mark.timeout(900)
@pytest.mark.xdist_group("kill")
def test_a_kill_at_any_moment_loses_nothing(repository: Path, tmp_path: Path, record_property: Any) -> None:
    told = live(tmp_path / "measure", repository, 0)
    asyncio.run(look(tmp_path / "measure", "no kill"))
    count = int(re.search(r"moments (\d+)", told)[1])  # type: ignore[index]
    assert count >= LEAST
    if os.environ.get("SYNCD_KILL_MOMENTS") == "all":
        chosen = list(range(1, count + 1))
    else:
        chosen = sorted({1 + round(i * (count - 1) / (LEAST - 1)) for i in range(LEAST)})
    with ThreadPoolExecutor(4) as pool:
        names = list(pool.map(lambda n: survives(tmp_path / f"at-{n}", repository, n), chosen))
    kinds = Counter(names)
    record_property("said", f"killed at {len(chosen)} of {count} moments: {len(kinds)} different kinds")
    assert len(chosen) >= 40
