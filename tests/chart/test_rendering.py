"""What helm makes of the chart, looked at as manifests: lint, refusals, the pod and its security, what it mounts."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest
import yaml

from syncd.config.load import load
from syncd.config.model import Config, Mode
from tests.chart.rendering import CHART, GOOD, HERE, NAMESPACE, RELEASE, Refused, helm, of_kind, only, text
from tests.support import kubetools

pytestmark = pytest.mark.kube

NAME = f"{RELEASE}-syncd"


def pod(values: str, *options: str) -> Any:
    """The pod's spec."""
    return only("Deployment", values, *options)["spec"]["template"]["spec"]


def configuration(values: str, *options: str) -> str:
    """syncd.yaml."""
    (found,) = [one for one in of_kind("ConfigMap", values, *options) if one["metadata"]["name"] == NAME]
    return str(found["data"]["syncd.yaml"])


def loaded(values: str, *options: str) -> Config:
    """The configuration as the daemon in the pod reads it. Raises ConfigError with all faults."""
    env = {one["name"]: one["value"] for one in pod(values, *options)["containers"][0]["env"] if "value" in one}
    return load(configuration(values, *options), env)


@pytest.mark.parametrize("values", GOOD)
def test_helm_lint_has_no_warning(values: str) -> None:
    file = str(HERE / "values" / f"{values}.yaml")
    said = helm("lint", "--strict", str(CHART), "--values", file, "--kube-version", kubetools.kubernetes_version())
    assert "0 chart(s) failed" in said
    assert re.findall(r"\[(WARNING|ERROR)\]", said) == []


def test_helm_lint_passes_with_nothing_chosen() -> None:
    helm("lint", "--strict", str(CHART), "--kube-version", kubetools.kubernetes_version())


def test_wrong_values_are_refused_all_at_once_and_by_their_place() -> None:
    with pytest.raises(Refused) as refused:
        text("bad-names")
    said = str(refused.value)
    for line in (
        "at '': additional properties 'replica' not allowed",
        "at '/image/pullPolicy': value must be one of 'Always', 'IfNotPresent', 'Never'",
        "at '/rbac/scope': value must be one of 'cluster', 'namespaces'",
        "at '/config/mode': value must be 'kubernetes'",
        "at '/config/retention/runsAge': got number, want string",
        "at '/config/sources/0': additional properties 'intervall' not allowed",
        "at '/config/sources/0/interval': 'soon' does not match pattern",
        "at '/config/sources/1/name': 'Upper' does not match pattern",
        "at '/config/sources/2': 'oneOf' failed",
        "at '/config/sources/3/auth': properties 'knownHostsFile' required, if 'identityFile' exists",
        "at '/gitCredentials/jobs': got string, want object",
    ):
        assert line in said, said


def test_values_that_do_not_go_together_are_refused_all_at_once() -> None:
    with pytest.raises(Refused) as refused:
        text("bad-together")
    said = str(refused.value)
    for line in (
        'config.kubernetes.namespace is "elsewhere": leave it out',
        "config.kubernetes.namespaces: nightly is not one of rbac.namespaces",
        "config.sources[0].namespaces: prod is not one of rbac.namespaces",
        "config.sources[0].kinds has ConfigMap: set rbac.configMaps: true",
        "config.sources[0].kinds has CronJob: set rbac.cronJobs: true",
        "config.sources[0].kinds has ClusterWorkflowTemplate: that takes rbac.scope: cluster",
        'config.sources[0].auth.passwordFile is /etc/syncd/git/jobs/password: gitCredentials has no "jobs"',
    ):
        assert line in said, said


def test_namespaces_without_a_name_are_refused() -> None:
    with pytest.raises(Refused, match=r"rbac\.namespaces is empty"):
        text("minimal", "--set", "rbac.scope=namespaces")


@pytest.mark.parametrize("values", GOOD)
def test_the_daemon_reads_its_configuration(values: str) -> None:
    config = loaded(values)
    assert config.mode is Mode.KUBERNETES
    assert config.kubernetes.namespace == NAMESPACE
    assert config.state == "/var/lib/syncd/state"
    assert config.listen.host == "0.0.0.0"
    assert f"{NAME}.{NAMESPACE}.svc" in config.listen.allowed_hosts
    assert config.sources[0].name == "jobs"


def test_what_is_chosen_reaches_the_configuration() -> None:
    config = loaded("everything")
    assert config.listen.port == 8746
    assert config.listen.allowed_hosts[-1] == "syncd.example.org"
    assert config.limits.file_bytes == 3145728
    assert config.kubernetes.lease.name == "chosen"
    assert config.sources[0].prune.max_delete_fraction == 0.25
    assert config.sources[0].ignore == {"CronWorkflow": ("spec.suspend",)}
    assert config.log.level == "debug"  # by extraEnv


def test_a_release_has_a_lease_and_namespaces_of_its_own() -> None:
    assert loaded("minimal").kubernetes.lease.name == NAME
    assert loaded("minimal").kubernetes.namespaces == ()
    assert loaded("namespaced").kubernetes.namespaces == ("ci", "nightly")


@pytest.mark.parametrize("values", GOOD)
def test_every_file_that_is_named_is_mounted(values: str) -> None:
    mounts = {mount["name"]: mount["mountPath"] for mount in pod(values)["containers"][0]["volumeMounts"]}
    assert set(mounts) == {volume["name"] for volume in pod(values)["volumes"]}
    paths = re.findall(r"(?:File|state): (/\S+)", configuration(values))
    assert len(paths) >= 2
    for path in paths:
        assert any(path.startswith(f"{place}/") for place in mounts.values()), path


def test_the_credentials_of_a_source_are_the_secret_that_was_named() -> None:
    volumes = {volume["name"]: volume for volume in pod("everything")["volumes"]}
    assert volumes["git-jobs"]["secret"] == {"secretName": "jobs-token", "defaultMode": 0o440}
    assert volumes["git-keys"]["secret"]["secretName"] == "jobs-deploy-key"


def test_a_mounted_file_that_changes_is_seen() -> None:
    """kubelet never replaces what is mounted by subPath."""
    for values in GOOD:
        assert not any("subPath" in mount for mount in pod(values)["containers"][0]["volumeMounts"])


@pytest.mark.parametrize("values", GOOD)
def test_the_pod_may_do_as_little_as_possible(values: str) -> None:
    spec = pod(values)
    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "fsGroup": 65532,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    (container,) = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
    writable = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
    assert writable == {"/var/lib/syncd": "state", "/tmp": "tmp"}
    empty = {volume["name"] for volume in spec["volumes"] if volume.get("emptyDir", {}).get("sizeLimit")}
    assert {"state", "tmp"} == empty


def test_no_service_becomes_a_knob_by_its_name() -> None:
    """Kubernetes would set SYNCD_LISTEN_PORT=tcp://… for a Service called syncd-listen."""
    assert pod("minimal")["enableServiceLinks"] is False


@pytest.mark.parametrize("values", GOOD)
def test_the_probes_ask_the_port_of_the_api(values: str) -> None:
    (container,) = pod(values)["containers"]
    assert container["ports"] == [
        {"name": "http", "containerPort": loaded(values).listen.port, "protocol": "TCP"},
    ]
    asked = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
    assert {kind: get["path"] for kind, get in asked.items()} == {
        "startup": "/livez",
        "liveness": "/livez",
        "readiness": "/readyz",
    }
    assert all(get["port"] == "http" and get["scheme"] == "HTTP" for get in asked.values())
    assert only("Service", values)["spec"]["ports"][0]["targetPort"] == "http"


def test_the_command_is_that_of_the_image() -> None:
    lines = (CHART.parents[1] / "Dockerfile").read_text()
    command = re.search(r"^CMD \[(.*)\]$", lines, re.MULTILINE)
    assert command is not None
    assert pod("minimal")["containers"][0]["args"] == re.findall(r'"([^"]*)"', command[1])
    assert "command" not in pod("minimal")["containers"][0]
    user = re.search(r"^USER (\d+):(\d+)$", lines, re.MULTILINE)
    assert user is not None
    assert user.groups() == ("65532", "65532")


def test_the_chart_is_of_the_version_of_the_program() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = (CHART.parents[1] / "pyproject.toml").read_text()
    assert f'\nversion = "{chart["appVersion"]}"\n' in project


def test_pods_are_replaced_for_a_change_that_the_daemon_cannot_take_over() -> None:
    """A changed list of sources is followed while it runs: no pod is replaced for it. Every other knob wants a restart."""

    def checksum(*options: str) -> str:
        template = only("Deployment", "minimal", *options)["spec"]["template"]
        return str(template["metadata"]["annotations"]["checksum/config"])

    assert checksum() == checksum("--set", "config.sources[0].url=https://git.example.org/other.git")
    assert checksum() != checksum("--set", "config.driftInterval=5m")
    assert "driftInterval: 5m" in configuration("minimal", "--set", "config.driftInterval=5m")


def test_two_replicas_one_of_which_is_always_there() -> None:
    spec = only("Deployment")["spec"]
    assert spec["replicas"] == 2
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    assert only("PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


def test_every_selector_picks_the_pods() -> None:
    for values in GOOD:
        deployment = only("Deployment", values)
        labels = deployment["metadata"]["labels"] | deployment["spec"]["template"]["metadata"]["labels"]
        selectors = [deployment["spec"]["selector"]["matchLabels"], only("Service", values)["spec"]["selector"]]
        selectors += [only("PodDisruptionBudget", values)["spec"]["selector"]["matchLabels"]]
        selectors += [one["labelSelector"]["matchLabels"] for one in pod(values)["topologySpreadConstraints"]]
        selectors += [one["spec"]["podSelector"]["matchLabels"] for one in of_kind("NetworkPolicy", values)]
        for selector in selectors:
            assert selector
            assert selector.items() <= labels.items()


def test_a_token_is_made_unless_there_is_one() -> None:
    (secret,) = of_kind("Secret", "minimal")
    token = base64.b64decode(secret["data"]["tokens"]).decode()
    assert re.fullmatch("[A-Za-z0-9]{43}", token)
    assert of_kind("Secret", "namespaced") == []
    (volume,) = [volume for volume in pod("namespaced")["volumes"] if volume["name"] == "tokens"]
    assert volume["secret"]["secretName"] == "my-tokens"
    assert volume["secret"]["items"] == [{"key": "all", "path": "tokens"}]


def test_what_is_off_is_not_there() -> None:
    kinds = set(re.findall(r"^kind: (\S+)$", text("minimal"), re.MULTILINE))
    assert kinds == {
        "ClusterRole",
        "ClusterRoleBinding",
        "ConfigMap",
        "Deployment",
        "PodDisruptionBudget",
        "Role",
        "RoleBinding",
        "Secret",
        "Service",
        "ServiceAccount",
    }


def test_the_network_policy_lets_through_what_syncd_needs() -> None:
    spec = only("NetworkPolicy", "everything")["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    (inward,) = spec["ingress"]
    assert inward["ports"] == [{"port": 8746, "protocol": "TCP"}]
    outward = {tuple(port["port"] for port in rule["ports"]): rule.get("to") for rule in spec["egress"]}
    assert outward[53, 53] is None
    assert outward[(6443,)] == [{"ipBlock": {"cidr": "10.0.0.1/32"}}]
    assert [to["ipBlock"]["cidr"] for to in outward[443, 22]] == ["192.0.2.0/24", "2001:db8::/32"]
    assert (3128,) in outward
    (default,) = of_kind("NetworkPolicy", "minimal", "--set", "networkPolicy.enabled=true")
    assert default["spec"]["ingress"][0]["from"] == [{"podSelector": {}}]
