"""The dashboard: it is what its script writes, and each of its queries is understood, and answered by a Prometheus that scrapes a syncd."""

from __future__ import annotations

import importlib.util
import json
import re
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from syncd.observe.catalogue import METRICS
from tests.support import daemon, kubetools

CHARTS = Path(__file__).parents[2] / "charts"
PAGE = CHARTS / "syncd" / "dashboards" / "syncd.json"
VARIABLES = {"$namespace": ".*", "$source": ".*", "$__rate_interval": "10s", "$__range": "1h"}
PATIENCE_SECONDS = 60.0

NOTHING_TO_SAY = {
    "Held at the last good revision",  # nothing is held
    "Drift put right",
    "Late successes",
    "Overdue: no success in time",
    "Overdue: a run takes long",
    "Slots that did not run",
    "Loops that failed",
    "Requests to the API server",  # embedded: there is none
    "Answers of the API server, p95",
    "Watches begun again",
    "From slot to Workflow",  # its first slot is in a minute, perhaps
    "Slots by decision",
}
"""Panels that a healthy embedded daemon of some seconds leaves empty."""

FILES = """
apiVersion: argoproj.io/v1alpha1
kind: CronWorkflow
metadata: {name: tick}
spec:
  schedules: ["* * * * *"]
  workflowSpec:
    entrypoint: main
    templates: [{name: main, container: {image: none, command: [%s]}}]
"""


def panels() -> list[dict[str, Any]]:
    """Every panel that has queries, of all rows."""
    page = json.loads(PAGE.read_text())
    every = [inner for panel in page["panels"] for inner in (panel, *panel.get("panels", ()))]
    return [panel for panel in every if panel.get("targets")]


def queries() -> list[tuple[str, str]]:
    """(title of the panel, expression with the variables put in) of each query."""
    found = []
    for panel in panels():
        for target in panel["targets"]:
            text = target["expr"]
            for name, value in VARIABLES.items():
                text = text.replace(name, value)
            assert "$" not in text, text
            found.append((panel["title"], text))
    return found


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("dashboard_script", CHARTS / "dashboard.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_script_writes() -> None:
    """When this fails: `make docs`."""
    assert PAGE.read_text() == script().page()


def test_rows_and_variables() -> None:
    page = json.loads(PAGE.read_text())
    assert [variable["name"] for variable in page["templating"]["list"]] == ["datasource", "namespace", "source"]
    rows = [panel["title"] for panel in page["panels"] if panel["type"] == "row"]
    assert rows == ["Sync", "Schedules", "Runs", "Replicas and the API server"]
    for panel in panels():
        assert panel["datasource"]["uid"] == "${datasource}", panel["title"]


def test_every_metric_exists_and_nearly_every_one_is_shown() -> None:
    shown = {re.sub(r"_bucket$", "", name) for _, text in queries() for name in re.findall(r"\bsyncd_\w+", text)}
    assert shown <= METRICS.keys()
    unseen = METRICS.keys() - shown
    assert unseen == {
        "syncd_starts_held",  # by alert rules and `syncd status`
        "syncd_metrics_overflow_total",
        "syncd_source_checks_total",
        "syncd_source_last_contact_timestamp_seconds",  # its age is shown
        "syncd_source_ignored_files",
        "syncd_cron_last_missed_timestamp_seconds",  # those three are for alerts; the counters are shown
        "syncd_cron_last_late_success_timestamp_seconds",
        "syncd_sync_last_drift_timestamp_seconds",
    }


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(PAGE.read_text())["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.kube
def test_promtool_understands_every_query(tmp_path: Path) -> None:
    rules = [{"record": f"query:{number}", "expr": text} for number, (_, text) in enumerate(queries())]
    path = tmp_path / "queries.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    command = [kubetools.program("promtool"), "check", "rules", path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules)} rules found" in done.stdout


@contextmanager
def prometheus(folder: Path, target: str) -> Iterator[str]:
    """A Prometheus that scrapes `target` each second, with the alert rules loaded; its address."""
    folder.mkdir()
    port = _free_port()
    settings = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(CHARTS / "syncd" / "rules" / "syncd.yaml")],
        "scrape_configs": [{"job_name": "syncd", "honor_labels": True, "static_configs": [{"targets": [target]}]}],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(settings))
    command = [
        str(kubetools.program("prometheus")),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def ask(url: str, query: str) -> list[dict[str, Any]]:
    """What Prometheus answers now. Raises AssertionError where it refuses the query."""
    address = f"{url}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:
            told = json.load(answer)
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{query}: {error.read().decode()}") from None
    assert told["status"] == "success", told
    return list(told["data"]["result"])


def _eventually(question: Any) -> None:
    """Wait until it is true; a server that is not up yet is not."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            if question():
                return
        except OSError:
            pass
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.2)


@pytest.mark.kube
@pytest.mark.sandbox
def test_a_real_prometheus_answers_every_query(tmp_path: Path) -> None:
    """One run succeeds and one fails, by hand, so that nobody waits for a slot."""
    files = tmp_path / "files"
    files.mkdir()
    (files / "tick.yaml").write_text(FILES % '"true"')
    (files / "fails.yaml").write_text((FILES % '"false"').replace("tick", "fails"))
    with daemon.running(tmp_path / "state", files, ready=["2 created"]) as syncd:
        target = syncd.url.removeprefix("http://")
        with prometheus(tmp_path / "prometheus", target) as url:
            _eventually(lambda: ask(url, "syncd_leader"))
            for cron in ("tick", "fails"):
                syncd.syncd("cron", "trigger", cron)
            _eventually(lambda: len(ask(url, "count(syncd_runs_total) == 2")) == 1)
            _eventually(lambda: ask(url, "count_over_time(syncd_runs_total[10s]) > 3"))
            answers = {}
            for title, text in queries():
                answers[title] = answers.get(title, []) + ask(url, text)
            empty = {title for title, found in answers.items() if not found}
            assert empty <= NOTHING_TO_SAY
            for name in ("namespace", "source"):
                with urllib.request.urlopen(f"{url}/api/v1/label/{name}/values", timeout=10) as answer:
                    assert json.load(answer)["data"], name
            # the first failure of its life alerts, though its counter was 1 when it was first seen
            _eventually(lambda: ask(url, 'ALERTS{alertname="SyncdRunFailed", name="fails", alertstate="firing"}'))
            assert not ask(url, 'ALERTS{alertname="SyncdRunFailed", name="tick"}')
            assert not ask(url, 'ALERTS{alertname="SyncdNoLeader"}')
