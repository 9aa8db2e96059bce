"""A real Kubernetes API for tests: etcd and kube-apiserver on free ports of the loopback, with Argo's CRDs.

Comes in: a folder, and flags where a test wants its own server. Goes out: `ApiServer`: its URL, its certificate, a
kubeconfig, accounts with few rights, and what tests do to a server (kill it, start it again over the same data, compact its
history). Tests use the fixtures of tests/kube/conftest.py, or `shared()`: one server for a process, a namespace for a test.

There is no controller-manager unless asked for: nothing collects what an owner leaves behind, no namespace ever goes away,
no namespace gets its `default` account. Everything is killed with the process that started it, however that ends.
"""

from __future__ import annotations

import atexit
import contextlib
import http.client
import json
import os
import re
import secrets
import shutil
import ssl
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tests.support import kubeprocess, kubetools
from tests.support.conformance import conformance_dir
from tests.support.kubetokens import SigningKey

READY_SECONDS = 90.0
_LENIENCE_SECONDS = 60
ISSUER = "https://kubernetes.default.svc"
CONTROLLERS = (
    "garbage-collector-controller,namespace-controller,serviceaccount-controller,"
    "serviceaccount-token-controller,job-controller,cronjob-controller"
)


class Failed(Exception):
    """The API server answered with an error. status: HTTP; body: the Status object, or text."""

    def __init__(self, status: int, body: Any, what: str) -> None:
        reason = body.get("message") if isinstance(body, dict) else body
        super().__init__(f"{what}: {status} {reason}")
        self.status = status
        self.body = body


@dataclass(frozen=True, slots=True)
class Account:
    """A service account with the rights it was made with. token: good for an hour."""

    namespace: str
    name: str
    uid: str
    token: str

    @property
    def user(self) -> str:
        """As RBAC and impersonation call it."""
        return f"system:serviceaccount:{self.namespace}:{self.name}"


class ApiServer:
    """One that runs. url: https://127.0.0.1:port; ca: the certificate to trust; token: may do everything."""

    def __init__(self, folder: Path, flags: Sequence[str] = ()) -> None:
        """Makes nothing run yet; see `running`. flags: more of kube-apiserver's."""
        self.folder = folder
        self.token = secrets.token_urlsafe(24)
        self.ca = folder / "certs" / "apiserver.crt"
        self.kubeconfig = folder / "kubeconfig"
        self._flags = tuple(flags)
        self._etcd_port, self._peer_port, self.port = kubeprocess.free_ports(3)
        self.url = f"https://127.0.0.1:{self.port}"
        self._etcd_url = f"http://127.0.0.1:{self._etcd_port}"
        self._key = SigningKey.new()
        self.processes = kubeprocess.Processes(folder)
        (folder / "sa.key").write_text(self._key.pem())
        (folder / "tokens.csv").write_text(f"{self.token},admin,admin,system:masters\n")
        self.write_kubeconfig(self.kubeconfig)

    # ── up and down

    def up(self, ready: bool = True) -> None:
        """Start what does not run. ready: wait until it answers /readyz; raises RuntimeError with its log where it does not."""
        if not self.processes.run("etcd"):
            self.processes.start("etcd", *self._etcd_flags())
        if not self.processes.run("kube-apiserver"):
            self.processes.start("kube-apiserver", *self._apiserver_flags(), *self._flags)
        if ready:
            self.wait_ready()

    def down(self, etcd: bool = False) -> None:
        """kill -9: connections are reset, nothing is said good-bye. What was stored stays. etcd: kill that, too."""
        self.processes.kill("kube-apiserver")
        if etcd:
            self.processes.kill("etcd")

    def restart(self, etcd: bool = False) -> None:
        """kill -9, and start again on the same port over the same data; some 5 s. In a coroutine: `asyncio.to_thread`."""
        self.down(etcd)
        self.up()

    def pause(self, seconds: float) -> None:
        """Stop the server in its tracks (SIGSTOP) for so long: connections stay open, nothing is answered."""
        with self.processes.paused("kube-apiserver"):
            time.sleep(seconds)

    def stop(self) -> None:
        """Kill everything. The folder is left to its owner."""
        self.processes.kill_all()

    def wait_ready(self) -> None:
        """Until /readyz says ok. Raises RuntimeError with the end of the log where the server ended or took too long."""
        limit = time.monotonic() + READY_SECONDS
        while time.monotonic() < limit and self.processes.run("kube-apiserver") and self.processes.run("etcd"):
            with contextlib.suppress(OSError, http.client.HTTPException, Failed):
                if self.call("GET", "/readyz") == "ok":
                    return
            time.sleep(0.1)
        logs = [self.log(name)[-2000:] for name in ("etcd", "kube-apiserver")]
        raise RuntimeError("the API server is not ready:\n" + "\n".join(logs))

    def log(self, name: str = "kube-apiserver") -> str:
        """What a program has written so far, over all its starts."""
        return self.processes.log(name)

    @contextmanager
    def controllers(self) -> Iterator[None]:
        """With kube-controller-manager: garbage collection, namespaces that go away, default accounts, Jobs, CronJobs."""
        key = f"--service-account-private-key-file={self.folder / 'sa.key'}"
        flags = (f"--kubeconfig={self.kubeconfig}", key, "--leader-elect=false", "--secure-port=0")
        self.processes.start("kube-controller-manager", *flags, f"--controllers={CONTROLLERS}")
        try:
            yield
        finally:
            self.processes.kill("kube-controller-manager")

    # ── talking to it

    def call(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json", token: str | None = None
    ) -> Any:
        """One request over a connection of its own; the answer's JSON, or its text. Raises Failed, OSError.

        token: None = the administrator's. A server that has just started says 429 for a while of what CRDs define: waited for.
        """
        for _ in range(100):
            try:
                return self._call(method, path, body, content_type, token)
            except Failed as error:
                if error.status != 429:
                    raise
            time.sleep(0.1)
        return self._call(method, path, body, content_type, token)

    def _call(self, method: str, path: str, body: Any, content_type: str, token: str | None) -> Any:
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=self.trust())
        headers = {"Authorization": f"Bearer {token or self.token}", "Content-Type": content_type}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        is_json = (answer.getheader("Content-Type") or "").startswith("application/json")
        value = json.loads(data) if is_json else data.decode()
        if answer.status >= 400:
            raise Failed(answer.status, value, f"{method} {path}")
        return value

    def trust(self) -> ssl.SSLContext:
        """A client's context that trusts this server only. Raises FileNotFoundError before its first start."""
        return ssl.create_default_context(cafile=str(self.ca))

    def kubectl(
        self, *arguments: str, stdin: str | None = None, code: int | None = 0
    ) -> subprocess.CompletedProcess[str]:
        """kubectl as administrator. code: which it must end with, None = any."""
        done = subprocess.run(
            [kubetools.find("kubectl"), *arguments],
            env={**os.environ, "KUBECONFIG": str(self.kubeconfig), "KUBECACHEDIR": str(self.folder / "kubecache")},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if code is not None and done.returncode != code:
            said = f"{done.stdout}{done.stderr}"
            raise AssertionError(f"kubectl {' '.join(arguments)}: exit code {done.returncode}, expected {code}: {said}")
        return done

    def write_kubeconfig(
        self,
        path: Path,
        *,
        url: str | None = None,
        token: str | None = None,
        token_file: Path | None = None,
        namespace: str = "default",
        ca: Path | None = None,
    ) -> Path:
        """A kubeconfig for this server, or for a proxy before it (url, which may be plain http). Answers its path.

        token: None = the administrator's, unless there is a token_file, which clients read again and again. ca: None = this server's.
        """
        user = {"tokenFile": str(token_file)} if token_file and token is None else {"token": token or self.token}
        cluster = {"server": url or self.url}
        if cluster["server"].startswith("https:"):
            cluster["certificate-authority"] = str(ca or self.ca)
        context = {"cluster": "test", "user": "test", "namespace": namespace}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{"name": "test", "context": context}],
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": user}],
        }
        path.write_text(json.dumps(config))
        path.chmod(0o600)
        return path

    # ── what tests need in it

    def namespace(self, prefix: str = "test") -> str:
        """Make a namespace that nobody else has; its name."""
        name = f"{prefix}-{secrets.token_hex(4)}"
        self.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        return name

    def account(
        self,
        namespace: str,
        name: str,
        rules: Sequence[Mapping[str, Any]] = (),
        *,
        namespaces: Sequence[str] | None = None,
        everywhere: bool = False,
    ) -> Account:
        """Make a service account that may do what the rules (as in a Role) say and nothing else.

        namespaces: where the rules hold, None = in its own; everywhere: in the whole cluster (a ClusterRole).
        """
        accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        made = self.call("POST", accounts, {"metadata": {"name": name}})
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": 3600},
        }
        token = self.call("POST", f"{accounts}/{name}/token", request)["status"]["token"]
        kind = "ClusterRole" if everywhere else "Role"
        subject = {"kind": "ServiceAccount", "namespace": namespace, "name": name}
        metadata = {"name": f"{namespace}-{name}"}
        for place in ("",) if everywhere else (f"/namespaces/{one}" for one in namespaces or [namespace]):
            rbac = f"/apis/rbac.authorization.k8s.io/v1{place}/{kind.lower()}"
            self.call("POST", f"{rbac}s", {"metadata": metadata, "rules": list(rules)})
            reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": metadata["name"]}
            self.call("POST", f"{rbac}bindings", {"metadata": metadata, "roleRef": reference, "subjects": [subject]})
        return Account(namespace, name, made["metadata"]["uid"], token)

    def token_for(self, account: Account, seconds: float) -> str:
        """A token that is refused after so long (to the second), signed with this server's own key.

        The server is lenient by a minute (go-jose's DefaultLeeway), so the time in the token has passed already. And it
        remembers for 10 s what it has accepted (TokenSuccessCacheTTL): a token in use is refused at the latest 10 s later,
        one that is first seen after its time, at once.
        """
        now = time.time()
        of = {"name": account.name, "uid": account.uid}
        times = {"iat": int(now) - 120, "nbf": int(now) - 120, "exp": int(now + seconds) - _LENIENCE_SECONDS}
        kubernetes = {"namespace": account.namespace, "serviceaccount": of}
        claims = {"iss": ISSUER, "aud": [ISSUER], "sub": account.user, **times, "kubernetes.io": kubernetes}
        return self._key.token(claims)

    def install_crds(self, kind: str = "minimal") -> None:
        """Argo's CRDs, and wait until each is served. kind: minimal (no schema, 2 s) or full (half a minute)."""
        folder = conformance_dir() / "crds" / kind
        self.kubectl("apply", "--server-side", "-f", str(folder))
        names = {path.stem.partition("_")[2] for path in folder.glob("*.yaml")}
        limit = time.monotonic() + READY_SECONDS
        for name in sorted(names):
            while not self._is_served(name):
                if time.monotonic() > limit:
                    raise RuntimeError(f"the CRD of {name} is not Established after {READY_SECONDS:.0f} s")
                time.sleep(0.05)

    def _is_served(self, plural: str) -> bool:
        """Established is said a moment before requests are served: both must hold."""
        definition = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{plural}.argoproj.io"
        try:
            conditions = self.call("GET", definition)["status"]["conditions"] or []  # null in the first moment
            self.call("GET", f"/apis/argoproj.io/v1alpha1/{plural}?limit=1")
        except Failed:
            return False
        return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)

    def compact(self) -> None:
        """Forget all history before now, as happens every five minutes anyway.

        The server still answers from its watch cache; after a `restart`, too, a list's `continue` from before is 410 Gone.
        """
        revision = int(_etcd(self._etcd_port, "/v3/kv/range", {"key": "AA=="})["header"]["revision"])
        _etcd(self._etcd_port, "/v3/kv/compaction", {"revision": str(revision), "physical": True})

    def requests_total(self) -> Counter[tuple[str, str, str]]:
        """What all clients have asked since the last start, by (verb, resource, code): APPLY, POST, PUT, PATCH, LIST, WATCH, …

        A dry run's verb begins with "DRY-". Long requests (WATCH) count when they end. Subtract two of these.
        """
        counted: Counter[tuple[str, str, str]] = Counter()
        for labels, value in re.findall(r"^apiserver_request_total\{(.*)\} (\S+)$", self.call("GET", "/metrics"), re.M):
            of = dict(re.findall(r'(\w+)="([^"]*)"', labels))
            verb = f"DRY-{of['verb']}" if of["dry_run"] else of["verb"]
            counted[verb, of["resource"], of["code"]] += int(float(value))
        return counted

    # ── processes

    def _etcd_flags(self) -> list[str]:
        peer = f"http://127.0.0.1:{self._peer_port}"
        flags = ["--name=t", f"--data-dir={self.folder / 'etcd'}", f"--listen-client-urls={self._etcd_url}"]
        flags += [f"--advertise-client-urls={self._etcd_url}", f"--listen-peer-urls={peer}"]
        flags += [f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=t={peer}"]
        return [*flags, "--unsafe-no-fsync", "--log-level=warn"]

    def _apiserver_flags(self) -> list[str]:
        key = self.folder / "sa.key"
        flags = [f"--etcd-servers={self._etcd_url}", f"--secure-port={self.port}", "--bind-address=127.0.0.1"]
        flags += [f"--cert-dir={self.ca.parent}", f"--service-account-key-file={key}"]
        flags += [f"--service-account-signing-key-file={key}", f"--service-account-issuer={ISSUER}"]
        flags += ["--service-cluster-ip-range=10.96.0.0/16", "--authorization-mode=RBAC"]
        return [*flags, f"--token-auth-file={self.folder / 'tokens.csv'}", "--allow-privileged=true"]


@contextmanager
def running(
    folder: Path | None = None, *, flags: Sequence[str] = (), crds: str | None = "minimal", ready: bool = True
) -> Iterator[ApiServer]:
    """A server of one's own, ready and with Argo's CRDs. folder: None = a temporary one. crds: None = without.

    ready: False = nothing runs yet: `up` starts it, on the port that `url` already says.
    Raises kubetools.Missing where the programs are not built. Takes some 8 s.
    """
    for name in ("etcd", "kube-apiserver", "kubectl"):
        kubetools.find(name)
    own = folder or Path(tempfile.mkdtemp(prefix="syncd-kube-"))
    server = ApiServer(own, flags)
    try:
        if ready:
            server.up()
            if crds:
                server.install_crds(crds)
        yield server
    finally:
        server.stop()
        if folder is None:
            shutil.rmtree(own, ignore_errors=True)


@lru_cache(maxsize=1)
def shared() -> ApiServer:
    """The server of this process, started when it is first asked for and killed when the process ends.

    Who kills or pauses it leaves it ready again. Raises kubetools.Missing.
    """
    stack = ExitStack()
    server = stack.enter_context(running())
    atexit.register(stack.close)
    return server


def _etcd(port: int, path: str, body: Mapping[str, Any]) -> Any:
    """etcd's own API, as JSON."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", path, json.dumps(body))
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()
