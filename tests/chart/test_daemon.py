"""The daemon with what the chart gives it: the rendered configuration, the account and its roles, on a real API server.

No pod runs here: files that the pod would have mounted lie in a folder, and the address is a free port of the loopback.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.chart.rendering import of_kind
from tests.chart.test_permissions import grant
from tests.support.daemon import SYNCD
from tests.support.gitserver import Repository
from tests.support.kubeapi import ApiServer

pytestmark = pytest.mark.kube

MANIFESTS = """\
apiVersion: argoproj.io/v1alpha1
kind: WorkflowTemplate
metadata: {name: hello}
spec:
  entrypoint: main
  templates: [{name: main, container: {image: busybox, command: [echo, hi]}}]
---
apiVersion: argoproj.io/v1alpha1
kind: CronWorkflow
metadata: {name: every-second}
spec:
  schedules: ["@every 1s"]
  workflowSpec: {workflowTemplateRef: {name: hello}}
"""


def until(done: Any, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait; fails with the daemon's log, at once where the daemon has ended."""
    limit = time.monotonic() + 60
    while not done():
        assert process.poll() is None and time.monotonic() < limit, log.read_text()[-6000:]
        time.sleep(0.2)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.HTTPError):
        return False


@pytest.mark.parametrize("scope", ["cluster", "namespaces"])
def test_it_syncs_and_fires_with_the_rights_of_the_chart(scope: str, api: ApiServer, tmp_path: Path) -> None:
    repository = Repository(tmp_path / "jobs")
    repository.commit({"ci/jobs.yaml": MANIFESTS})
    home, target = api.namespace("home"), api.namespace("target")
    chosen = [
        "minimal",
        "--set",
        f"config.sources[0].url=file://{repository.path}",
        "--set",
        "config.sources[0].interval=1s",
    ]
    chosen += ["--set", f"config.sources[0].namespace={target}", "--set", f"rbac.scope={scope}"]
    chosen += ["--set", f"rbac.namespaces={{{target}}}"]
    grant(api, home, *chosen)
    path = f"/api/v1/namespaces/{home}/serviceaccounts/platform-syncd/token"
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    kubeconfig = api.write_kubeconfig(tmp_path / "kubeconfig", token=api.call("POST", path, asked)["status"]["token"])

    (config_map,) = [one for one in of_kind("ConfigMap", *chosen) if "syncd.yaml" in (one["data"] or {})]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    written = config_map["data"]["syncd.yaml"].replace("syncd-system", home)
    for mounted, here in (
        ("0.0.0.0", "127.0.0.1"),
        ("2746", str(port)),
        ("/etc/syncd", str(tmp_path)),
        ("/var/lib/syncd", str(tmp_path)),
    ):
        assert mounted in written
        written = written.replace(mounted, here)
    (tmp_path / "syncd.yaml").write_text(written)
    (tmp_path / "tokens").mkdir()
    (tmp_path / "tokens" / "tokens").write_text("t" * 43)

    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "KUBECONFIG": str(kubeconfig),
        "POD_NAMESPACE": home,
    }
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [SYNCD, "run", "-c", str(tmp_path / "syncd.yaml")], env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        until(lambda: answers(f"http://127.0.0.1:{port}/readyz"), process, log)

        def ready() -> bool:
            body = api.call("GET", f"/apis/syncd.io/v1alpha1/namespaces/{home}/sources")["items"]
            conditions = {
                one["type"]: one["status"] for item in body for one in item.get("status", {}).get("conditions", [])
            }
            return conditions.get("Ready") == "True"

        until(ready, process, log)
        runs = f"/apis/argoproj.io/v1alpha1/namespaces/{target}/workflows"
        until(lambda: len(api.call("GET", runs)["items"]) >= 2, process, log)
        assert answers(f"http://127.0.0.1:{port}/livez")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    bad = [
        line for line in lines if "forbidden" in json.dumps(line).lower() or str(line.get("level")).lower() == "error"
    ]
    assert bad == []
