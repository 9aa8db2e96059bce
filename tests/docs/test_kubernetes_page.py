"""docs/kubernetes.md, typed as it is printed: every command is run on a real API server, or stands in NOT_HERE with the reason.

helm installs the chart for real, but nobody runs pods here: a daemon on this machine plays its part, with the page's source read
from a repository beside it. Where the page shows what a command prints, that is held against what comes.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.docs.test_readme import alike
from tests.support import kubeapi, kubetools
from tests.support.replicas import Replica, config_of, leader, replicas, until
from tests.support.repository import Repository

pytestmark = pytest.mark.kube

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "kubernetes.md"
INSTANCE = "workflows.argoproj.io/controller-instanceid"

NOT_HERE = {
    "docker build": "no Docker here: tests/image runs the steps of the Dockerfile",
    "docker push": "nothing leaves this machine",
    "kubectl -n syncd rollout status": "nobody runs pods here",
    "kubectl get --raw /api/v1/namespaces/syncd/services/": "there is no pod behind the Service; tests/observe reads /metrics",
    "argo --instanceid": "Argo's command line is in no registry; it was seen beside Argo's own controller",
    "argocd app delete": "Argo CD is not here: test_an_object_of_argo_cd_is_handed_over plays its writes",
    "flux delete": "Flux is not here; it applies as Argo CD does",
}
"""How a command begins → why it is not run."""

CODES = {"syncd doctor": 1}
"""Exit codes that are not 0: Argo's controller is not here, and doctor says so."""

FILES: dict[str, str | None] = {
    "base.yaml": """\
apiVersion: argoproj.io/v1alpha1
kind: WorkflowTemplate
metadata: {name: base}
spec:
  entrypoint: main
  templates: [{name: main, container: {image: "busybox:1", command: [echo, hi]}}]
""",
    "nightly.yaml": """\
apiVersion: argoproj.io/v1alpha1
kind: CronWorkflow
metadata: {name: nightly}
spec:
  schedules: ["0 3 * * *"]
  workflowSpec: {workflowTemplateRef: {name: base}}
""",
}


@dataclass(frozen=True, slots=True)
class Step:
    """A command of the page, with its here-document, and the lines that are shown below it."""

    command: str
    shown: tuple[str, ...] = field(default=())


def steps(page: str) -> Iterator[Step]:
    """The commands of a page in their order, also those of blocks in lists."""
    for _, block in re.findall(r"^( *)```console\n(.*?)^\1```", page, re.DOTALL | re.MULTILINE):
        command, shown, until_line = "", [], ""
        for line in textwrap.dedent(block).splitlines():
            if until_line:
                command += f"\n{line}"
                until_line = "" if line == until_line else until_line
            elif line.startswith("$ "):
                if command:
                    yield Step(command, tuple(shown))
                command, shown = line[2:], []
                found = re.search(r"<<'(\w+)'", line)
                until_line = found[1] if found else ""
            else:
                shown.append(line)
        yield Step(command, tuple(shown))


def reason_not_to(command: str) -> str:
    return next((why for begin, why in NOT_HERE.items() if command.startswith(begin)), "")


class House:
    """A cluster, a repository beside it, and a shell in which the page's commands are typed."""

    def __init__(self, api: kubeapi.ApiServer, folder: Path) -> None:
        self.api, self.folder = api, folder
        api.call("POST", "/api/v1/namespaces", {"metadata": {"name": "batch"}})
        self.repository = Repository(folder / "jobs")
        self.repository.commit(FILES, "begin")
        (folder / "charts").symlink_to(ROOT / "charts")
        (folder / "token.txt").write_text("a-token")
        kubeconfig = json.loads(api.write_kubeconfig(folder / "kubeconfig").read_text())
        kubeconfig["contexts"][0]["name"] = kubeconfig["current-context"] = "prod"
        (folder / "kubeconfig").write_text(json.dumps(kubeconfig))
        programs = [Path(sys.executable).parent, kubetools.program("helm").parent]
        self.environment = {
            "PATH": ":".join([*map(str, programs), os.environ["PATH"]]),
            "HOME": str(folder),
            "KUBECONFIG": str(folder / "kubeconfig"),
            "KUBECACHEDIR": str(folder / "cache"),
        }
        self.replica: Replica | None = None

    def type(self, command: str) -> list[str]:
        """Run a command as it is printed; what it printed. Fails where it fails."""
        expected = next((code for begin, code in CODES.items() if command.startswith(begin)), 0)
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        log = self.replica.log[-3000:] if self.replica else ""
        assert done.returncode == expected, f"{command}\n{done.stdout}{done.stderr}\n{log}"
        return done.stdout.splitlines()

    def config(self, scheduler: str = "syncd") -> dict[str, Any]:
        source = {"name": "jobs", "path": str(self.repository.path), "namespace": "batch", "interval": "1s"}
        kubernetes = {"namespaces": [], "namespace": "syncd"}
        made = config_of(self.api.kubeconfig, "syncd", sources=[source], schedule={"scheduler": scheduler})
        return {**made, "kubernetes": {**made["kubernetes"], **kubernetes}}

    def source(self) -> dict[str, Any]:
        try:
            found = self.api.call("GET", "/apis/syncd.io/v1alpha1/namespaces/syncd/sources/jobs")
        except kubeapi.Failed:
            return {}
        return dict(found.get("status") or {})

    def cron(self) -> dict[str, Any]:
        return dict(self.api.call("GET", "/apis/argoproj.io/v1alpha1/namespaces/batch/cronworkflows/nightly"))

    def in_force(self) -> None:
        assert self.replica is not None
        replica = self.replica
        until(lambda: self.source().get("appliedRevision"), 90, lambda: f"{self.source()}\n{replica.log[-3000:]}")

    def follow(self, command: str, stack: ExitStack) -> None:
        """What the pods would do after a command of helm."""
        if command.startswith("helm install"):
            (self.replica,) = stack.enter_context(replicas(self.folder, "a", self.config()))
            leader([self.replica])
            self.in_force()
        elif "config.schedule.scheduler=" in command:
            assert self.replica is not None
            scheduler = command.rpartition("=")[2]
            self.replica.file.write_text(json.dumps(self.config(scheduler)))
            self.replica.stop()
            leader([self.replica.start()])
            marked = scheduler == "syncd"
            until(
                lambda: (INSTANCE in self.cron()["metadata"]["labels"]) is marked,
                60,
                lambda: f"{scheduler}: {self.cron()['metadata']}",
            )
        elif command.startswith("helm uninstall"):
            assert self.replica is not None
            assert self.replica.stop() == 0


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A cluster of its own: the page says which namespaces there are."""
    try:
        with kubeapi.running() as api:
            yield House(api, tmp_path)
    except kubetools.Missing as reason:
        pytest.skip(str(reason))


@pytest.mark.timeout(600)
def test_the_page_goes_as_it_is_printed(house: House) -> None:
    ran = 0
    with ExitStack() as stack:
        for step in steps(PAGE.read_text()):
            if reason_not_to(step.command):
                continue
            printed = house.type(step.command)
            house.follow(step.command, stack)
            if step.shown:
                assert [alike(line) for line in printed] == [alike(line) for line in step.shown], step.command
            ran += 1
    assert ran >= 30


def test_every_reason_is_of_a_command_that_is_there() -> None:
    """Else the list would let a new command slip by."""
    commands = [step.command for step in steps(PAGE.read_text())]
    assert [begin for begin in NOT_HERE if not any(one.startswith(begin) for one in commands)] == []
    assert [one for one in commands if not re.match(r"(kubectl|helm|syncd|cat|docker|argo|argocd|flux) ", one)] == []


OTHERS_WORDS = ('is forbidden: User "system:serviceaccount:', '" cannot', "Pending")
"""Of the API server, and of Argo."""


def test_every_symptom_is_said_by_the_code() -> None:
    """The quotes of the table of troubles: what somebody searches the page for."""
    table = PAGE.read_text().partition("## When something is wrong")[2].partition("\n## ")[0]
    symptoms = re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)[2:]
    quoted = [part for symptom in symptoms for text in re.findall(r"`([^`]+)`", symptom) for part in text.split("…")]
    code = "".join(file.read_text() for file in (ROOT / "syncd").rglob("*.py"))
    code = re.sub(r'"\s*\n\s*f?"', "", code)
    kinds = ("WorkflowTemplate", "syncd.io/v1alpha1 Source")
    spoken = {part.strip().removesuffix(kinds[1]) for part in quoted} - {"", *kinds, *OTHERS_WORDS}
    assert sorted(part for part in spoken if part not in code) == []
    assert len(symptoms) >= 15


@pytest.mark.timeout(300)
def test_an_object_of_argo_cd_is_handed_over(house: House) -> None:
    """As the page says: not without the label (V802), not while another declares what git says otherwise (V806), then it is ours."""
    theirs = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "CronWorkflow",
        "metadata": {"name": "nightly", "namespace": "batch"},
        "spec": {
            "schedules": ["0 4 * * *"],
            "suspend": False,
            "workflowSpec": {"workflowTemplateRef": {"name": "base"}},
        },
    }
    flags = ("apply", "--server-side", "--field-manager=argocd-controller", "-f", "-")
    house.api.kubectl(*flags, stdin=json.dumps(theirs))
    house.api.kubectl("create", "namespace", "syncd")
    house.api.kubectl("apply", "--server-side", "-f", str(ROOT / "charts" / "syncd" / "crds"))
    page = {step.command for step in steps(PAGE.read_text())}
    (clear,) = [command for command in page if "managedFields" in command and " patch " in command]
    (look,) = [command for command in page if "--show-managed-fields" in command]
    (label,) = [command for command in page if " label " in command]
    (sync,) = [command for command in page if command.startswith("syncd sync")]

    with replicas(house.folder, "a", house.config()) as (replica,):
        house.replica = replica

        def found(code: str) -> bool:
            return code in json.dumps(house.source().get("findings") or [])

        until(lambda: found("V802"), 90, lambda: f"V802: {house.source()}\n{replica.log[-3000:]}")
        house.type(label)
        until(lambda: found("V806"), 60, lambda: f"V806: {house.source()}\n{replica.log[-3000:]}")
        assert house.cron()["spec"]["schedules"] == ["0 4 * * *"]
        assert "argocd-controller Apply" in house.type(look)
        house.type(clear)
        house.type(sync)
        until(
            lambda: house.cron()["spec"]["schedules"] == ["0 3 * * *"],
            60,
            lambda: f"ours: {house.source()}\n{replica.log[-3000:]}",
        )
        until(lambda: not house.source().get("conflicts"), 60, lambda: f"no conflict: {house.source()}")
        assert "suspend" not in house.cron()["spec"]
        assert "syncd Apply" in house.type(look)
        assert not any("argocd" in line for line in house.type(look))
