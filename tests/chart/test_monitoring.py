"""ServiceMonitor, PrometheusRule and the dashboard: their CRDs are not on the test server, so a schema by hand and promtool judge them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.chart.rendering import CHART, HERE, Object, of_kind, only
from tests.support import kubetools

pytestmark = pytest.mark.kube

SCHEMA = json.loads((HERE / "monitoring.schema.json").read_text())
RULES = sorted((CHART / "rules").glob("*.yaml"))
DASHBOARDS = sorted((CHART / "dashboards").glob("*.json"))


def faults(one: Object) -> list[str]:
    """What the documented schema says of a manifest."""
    whole = {**SCHEMA, "$ref": f"#/definitions/{one['kind']}"}
    return [error.message for error in jsonschema.Draft7Validator(whole).iter_errors(one["spec"])]


def test_the_monitor_asks_the_service() -> None:
    monitor = only("ServiceMonitor", "everything")
    assert monitor["apiVersion"] == "monitoring.coreos.com/v1"
    assert faults(monitor) == []
    service = only("Service", "everything")
    spec = monitor["spec"]
    assert spec["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert spec["namespaceSelector"] == {"matchNames": [service["metadata"]["namespace"]]}
    (endpoint,) = spec["endpoints"]
    assert (endpoint["port"], endpoint["path"]) == (service["spec"]["ports"][0]["name"], "/metrics")
    assert endpoint["honorLabels"] is True  # or `namespace` would be that of the pod
    assert monitor["metadata"]["labels"]["release"] == "prometheus"


@pytest.mark.parametrize(
    "wrong",
    [
        {"endpoints": []},
        {"endpoints": [{"port": 2746}], "selector": {}},
        {"endpoints": [{"port": "http", "intervall": "30s"}], "selector": {}},
        {"endpoints": [{"port": "http", "interval": "30 s"}], "selector": {}},
    ],
    ids=json.dumps,
)
def test_the_schema_refuses_what_the_operator_would(wrong: dict[str, Any]) -> None:
    assert faults({"kind": "ServiceMonitor", "spec": wrong}) != []


def test_the_rules_are_the_files_word_for_word() -> None:
    """Their own {{ $labels }} is not for helm."""
    found = {one["metadata"]["name"]: one for one in of_kind("PrometheusRule", "everything")}
    assert set(found) == {f"platform-syncd-{path.stem}" for path in RULES}
    for path in RULES:
        one = found[f"platform-syncd-{path.stem}"]
        assert one["spec"] == yaml.safe_load(path.read_text())
        assert one["metadata"]["labels"]["release"] == "prometheus"
        assert faults(one) == []


def test_there_are_rules_and_a_dashboard() -> None:
    assert RULES
    assert DASHBOARDS


def test_promtool_takes_the_rules(tmp_path: Path) -> None:
    for one in of_kind("PrometheusRule", "everything"):
        path = tmp_path / f"{one['metadata']['name']}.yaml"
        path.write_text(yaml.safe_dump(one["spec"]))
        command = [kubetools.program("promtool"), "check", "rules", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "SUCCESS" in done.stdout


def test_the_dashboard_is_found_by_its_label() -> None:
    (found,) = [one for one in of_kind("ConfigMap", "everything") if one["metadata"]["name"].endswith("-dashboard")]
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert found["metadata"]["annotations"] == {"folder": "Workflows"}
    assert {name: json.loads(text) for name, text in (found["data"] or {}).items()} == {
        path.name: json.loads(path.read_text()) for path in DASHBOARDS
    }


def test_the_monitoring_fits_into_etcd() -> None:
    """1 MiB for a ConfigMap, 1.5 MiB for any object; the rules stay far below."""
    for one in (*of_kind("ConfigMap", "everything"), *of_kind("PrometheusRule", "everything")):
        assert len(json.dumps(one)) < 900_000
