"""The stage of the fault table: a repository, a proxy before the API server, and daemons that reach the server over it only.

Comes in: an API server, a namespace, the files of a first commit. Goes out: `Scene`, with what people look at: objects as the server
has them (asked directly, not over the proxy), the Source object, Events, the ledger, lines of the log. Used by test_fault_table*.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from syncd.cluster.kube import shards
from syncd.cron.ledger import Row
from tests.support import kubeapi, kubefaults
from tests.support.replicas import Replica, config_of, replicas, until
from tests.support.repository import Repository

CRD = Path(__file__).parents[2] / "charts" / "syncd" / "crds"
ARGO = "/apis/argoproj.io/v1alpha1"

Files = dict[str, str | None]


def template(name: str, image: str = "busybox:1", namespace: str = "") -> str:
    place = f"\n  namespace: {namespace}" if namespace else ""
    return f"""
apiVersion: argoproj.io/v1alpha1
kind: WorkflowTemplate
metadata:
  name: {name}{place}
spec:
  entrypoint: main
  templates:
    - name: main
      container:
        image: {image}
        command: [echo, hello]
"""


def cron(name: str, schedule: str, of: str = "base") -> str:
    """One that catches up whatever it has missed."""
    return f"""
apiVersion: argoproj.io/v1alpha1
kind: CronWorkflow
metadata:
  name: {name}
  annotations: {{syncd.io/catch-up: all}}
spec:
  schedules: ["{schedule}"]
  successfulJobsHistoryLimit: 100
  workflowSpec:
    workflowTemplateRef:
      name: {of}
"""


class Scene:
    """One installation with one source, `jobs`. replica: the first of the replicas."""

    def __init__(
        self, api: kubeapi.ApiServer, namespace: str, repository: Repository, proxy: kubefaults.Proxy | None
    ) -> None:
        self.api, self.namespace, self.repository = api, namespace, repository
        self._proxy = proxy
        self.replicas: list[Replica] = []

    @property
    def replica(self) -> Replica:
        return self.replicas[0]

    @property
    def proxy(self) -> kubefaults.Proxy:
        assert self._proxy is not None
        return self._proxy

    # what is there

    def object(self, plural: str, name: str) -> dict[str, Any]:
        return self.api.call("GET", f"{ARGO}/namespaces/{self.namespace}/{plural}/{name}")

    def objects(self, plural: str) -> list[dict[str, Any]]:
        return self.api.call("GET", f"{ARGO}/namespaces/{self.namespace}/{plural}")["items"]

    def names(self, plural: str, prefix: str = "") -> list[str]:
        found = (item["metadata"]["name"] for item in self.objects(plural))
        return sorted(name for name in found if name.startswith(prefix))

    def image(self, name: str) -> str:
        return self.object("workflowtemplates", name)["spec"]["templates"][0]["container"]["image"]

    def status(self) -> dict[str, Any]:
        """Of the Source object; {} = not shown yet."""
        try:
            path = f"/apis/syncd.io/v1alpha1/namespaces/{self.namespace}/sources/jobs"
            return self.api.call("GET", path).get("status") or {}
        except kubeapi.Failed:
            return {}

    def condition(self, kind: str = "Ready") -> str:
        found = [each for each in self.status().get("conditions", []) if each["type"] == kind]
        return f"{found[0]['status']} {found[0]['reason']}" if found else ""

    def findings(self) -> list[tuple[str, int, str]]:
        """(file, line, what is said) of the source."""
        found = self.status().get("findings", [])
        return [(item["file"], item.get("line", 0), item["message"]) for item in found]

    def events(self) -> list[tuple[str, str, str]]:
        items = self.api.call("GET", f"/api/v1/namespaces/{self.namespace}/events")["items"]
        return [(item["involvedObject"]["name"], item["reason"], item["message"]) for item in items]

    def rows(self, cron_name: str) -> list[Row]:
        """The ledger of a cron, oldest first."""
        path = f"/api/v1/namespaces/{self.namespace}/configmaps?labelSelector=syncd.io%2Frecord%3Dledger"
        found: list[Row] = []
        for item in self.api.call("GET", path)["items"]:
            shard, faults = shards.shard_from(item.get("data") or {})
            assert not faults
            found += [row for rows in shard.rows.values() for row in rows if row.cron.name == cron_name]
        return sorted(found, key=lambda row: row.slot)

    def holder(self) -> str:
        """Who holds the lease; "" = nobody."""
        try:
            lease = self.api.call("GET", f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases/syncd")
        except kubeapi.Failed:
            return ""
        return str(lease["spec"].get("holderIdentity") or "")

    # what happens

    def in_force(self, revision: str, seconds: float = 60) -> None:
        """Wait until a revision is, as the daemon itself says (the Source object may not be there)."""

        def check() -> bool:
            sources = self.replica.status().get("sources") or [{}]
            return bool(sources[0].get("applied") == revision)

        until(check, seconds, lambda: self.tell(f"{revision} is in force"))

    def kubectl(self, *arguments: str, code: int | None = 0) -> str:
        return self.api.kubectl("-n", self.namespace, *arguments, code=code).stdout

    def lost(self, name: str, seconds: int, end: datetime) -> list[str]:
        """Names of the children of `@every SECONDSs` that are not there, of its slots until `end`."""
        made = datetime.fromisoformat(self.object("cronworkflows", name)["metadata"]["creationTimestamp"])
        first = int(made.timestamp()) + seconds
        expected = {f"{name}-{slot}" for slot in range(first, int(end.timestamp()) + 1, seconds)}
        return sorted(expected - set(self.names("workflows", f"{name}-")))

    def nothing_lost(self, name: str, seconds: int, wait_seconds: float = 40) -> None:
        """Every slot of a cron until now has its child, or gets it soon, and one row, which says so."""
        end = datetime.now(UTC)
        until(
            lambda: not self.lost(name, seconds, end),
            wait_seconds,
            lambda: self.tell(f"all of {name}: {self.lost(name, seconds, end)} {self.rows(name)}"),
        )

        def closed() -> bool:
            return all(row.outcome in ("fired", "caught-up") for row in self.rows(name) if row.slot <= end)

        until(closed, wait_seconds, lambda: self.tell(f"all rows closed: {self.rows(name)}"))
        slots = [row.slot for row in self.rows(name)]
        assert len(slots) == len(set(slots))

    def tell(self, wanted: str) -> str:
        logs = "\n".join(f"--- {each.name}\n{each.log[-4000:]}" for each in self.replicas)
        return f"{wanted}: {json.dumps(self.replica.status(), indent=1)[:3000]}\n{logs}"


def said(replica: Replica, words: str) -> int:
    """How many lines of the log that people read (debug lines are not among them) have these words."""
    lines = (line.partition(" ")[2] for line in replica.log.splitlines())
    return sum(words in line for line in lines if not line.startswith("debug:"))


@contextmanager
def scene(
    api: kubeapi.ApiServer,
    namespace: str,
    folder: Path,
    files: Files,
    *,
    proxied: bool = True,
    kubeconfig: Path | None = None,
    names: str = "a",
    source: Mapping[str, Any] | None = None,
    silence_seconds: float = 0.0,
    skews: Mapping[str, float] | None = None,
    **config: Any,
) -> Iterator[tuple[Scene, str]]:
    """Started daemons and the first revision. kubeconfig: for them, None = the administrator's over the proxy."""
    repository = Repository(folder / "jobs")
    revision = repository.commit(files, "begin")
    one = {"name": "jobs", "path": str(repository.path), "namespace": namespace, "interval": "1s", **(source or {})}

    def started(proxy: kubefaults.Proxy | None) -> Iterator[tuple[Scene, str]]:
        made = Scene(api, namespace, repository, proxy)
        access = kubeconfig or (proxy.kubeconfig if proxy is not None else api.kubeconfig)
        described = config_of(access, namespace, sources=[one], schedule={"catchUpCap": 100}, **config)
        with replicas(folder, names, described, silence_seconds=silence_seconds, **(skews or {})) as running:
            made.replicas = running
            yield made, revision
            for each in running:
                assert "Traceback" not in each.log, each.log

    if not proxied:
        yield from started(None)
        return
    with kubefaults.proxy(api) as proxy:
        yield from started(proxy)


def install_our_crd(api: kubeapi.ApiServer) -> None:
    """That of Source objects, and wait until it is served."""
    api.kubectl("apply", "--server-side", "-f", str(CRD))
    until(lambda: api.kubectl("get", "sources.syncd.io", code=None).returncode == 0, 30, "sources are served")
