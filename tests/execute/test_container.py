"""Containers: the argument list as a table, and real ones where an engine proves itself."""

from __future__ import annotations

import platform
import shutil
import subprocess
import tarfile
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from syncd.base.errors import Invalid, Unsupported
from syncd.execute import container
from syncd.execute.folder import Slot
from syncd.execute.runtime import Bind, Launch
from tests.execute.conftest import House, shell, until

IMAGE = "localhost/syncd-test:1"
PROGRAMS = ("sh", "cat", "sleep", "ls", "mkdir", "touch", "head", "env", "true")


def launch(tmp_path: Path, **fields: Any) -> Launch:
    values: dict[str, Any] = {
        "task_id": "t.1",
        "label": "main",
        "image": "alpine",
        "argv": ("echo", "hi"),
        "environment": {"PATH": "/x", "HOME": "/root", "A": "1", "TOKEN": "hunter2", "a.b": "2"},
        "own_variables": frozenset({"A", "TOKEN", "a.b"}),
        "workdir": "",
        "hostname": "pod",
        "tmp": tmp_path / "tmp",
    }
    return Launch(**{**values, **fields})


def words(tmp_path: Path, program: str = "podman", **fields: Any) -> list[str]:
    return container.Container(program).command(Slot(tmp_path / "t.1", "main"), launch(tmp_path, **fields))


def test_the_command_line(tmp_path: Path) -> None:
    assert words(tmp_path) == [
        *("podman", "run", "--name", "syncd-t.1-main", "--label", "syncd.io/task=t.1", "--hostname", "pod"),
        *("--pull", "missing", "--log-driver", "none"),
        *("--security-opt", "no-new-privileges", "--security-opt", "label=disable"),
        *("--volume", f"{tmp_path}/tmp:/var/run/argo", "--env", "A", "--env", "TOKEN", "--env", "a.b=2"),
        *("--env", "ARGO_PROGRESS_FILE", "--entrypoint", "echo", "alpine", "hi"),
    ]


def test_arguments_alone_go_to_the_images_entrypoint(tmp_path: Path) -> None:
    assert words(tmp_path, own_command=False)[-3:] == ["alpine", "echo", "hi"]
    assert "--entrypoint" not in words(tmp_path, own_command=False)


def test_a_secret_is_not_in_the_argument_list(tmp_path: Path) -> None:
    assert "hunter2" not in " ".join(words(tmp_path))
    assert container.Container("podman").process_environment(launch(tmp_path))["TOKEN"] == "hunter2"


def test_a_deadline_stands_in_front(tmp_path: Path) -> None:
    found = words(tmp_path, limit_seconds=5.0, kill_after_seconds=3.0)
    assert found[1:4] == ["-k", "3", "5.000"]
    assert found[found.index("--timeout") + 1] == "10"
    assert "--timeout" not in words(tmp_path, program="docker", limit_seconds=5.0)


@pytest.mark.parametrize(
    "fields", [{"image": "--privileged"}, {"image": ""}, {"binds": (Bind(Path("/x"), "/a:/b"),)}], ids=str
)
def test_what_the_engine_would_misread(tmp_path: Path, fields: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        words(tmp_path, **fields)


def test_no_engine_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unsupported, match="podman is not installed; docker is not installed"):
        container.prove()


def test_an_engine_that_answers_and_starts_nothing_is_no_engine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`info` that answers proves nothing: neither does a `run` that ends with 0."""
    fake = tmp_path / "podman"
    fake.write_text("#!/bin/sh\nexit 0\n")
    fake.chmod(0o755)
    with pytest.raises(Unsupported, match="ended with 0"):
        container.prove(str(fake))


@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="the proof is for x86_64 and aarch64")
def test_the_proof_program_runs(tmp_path: Path) -> None:
    program = tmp_path / "proof"
    program.write_bytes(container.proof_program())
    program.chmod(0o755)
    assert subprocess.run([program], check=False).returncode == 42


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[container.Container]:
    """podman or docker with an image of this machine's sh; with the settings of a nested machine where it needs them."""
    folder = tmp_path_factory.mktemp("engine")
    settings = folder / "containers.conf"
    limits = 'default_ulimits=["nofile=20000:20000","nproc=20000:20000"]'
    settings.write_text(
        f'[containers]\n{limits}\n[engine]\ncgroup_manager="cgroupfs"\nevents_logger="file"\nruntime="runc"\n'
    )
    patch = pytest.MonkeyPatch()
    try:
        found = container.prove()
    except Unsupported as first:
        patch.setenv("CONTAINERS_CONF", str(settings))
        try:
            found = container.prove()
        except Unsupported:
            patch.undo()
            pytest.skip(f"no container engine works on this machine: {first}")
    files = {Path(shutil.which(name) or "/bin/sh") for name in PROGRAMS}
    for program in list(files):
        listed = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False).stdout
        files |= {Path(word) for word in listed.split() if word.startswith("/")}
    archive = folder / "image.tar"
    with tarfile.open(archive, "w", dereference=True) as tar:
        for path in sorted(files):
            tar.add(path, str(path)[1:])
    assert found._run("import", str(archive), IMAGE).returncode == 0
    yield found
    found._run("rmi", "--force", IMAGE)
    patch.undo()


@pytest.fixture
async def ship(house: House, engine: container.Container) -> AsyncIterator[House]:
    """A house whose steps run in containers."""
    house.runtimes["container"] = engine
    house.default = "container"
    house.performer = house.again()
    yield house
    for entry in (house.state / "tasks").iterdir():
        engine.clean(Slot(entry, "main"))


def step(text: str, **fields: Any) -> dict[str, Any]:
    template = shell(text, **fields)
    template["container"]["image"] = IMAGE
    return template


async def test_a_container_runs_and_its_output_is_the_log(ship: House) -> None:
    env = [{"name": "A", "value": "x y"}]
    template = step("echo hello $A $ARGO_NODE_ID; echo bad >&2; exit 3")
    template["container"]["env"] = env
    task = ship.task(template)
    await ship.performer.start(task)
    finished = await ship.finished(task)
    assert (finished.phase, finished.message, finished.exit_code) == ("Failed", "main: Error (exit code 3)", 3)
    assert sorted(await ship.log(task)) == ["bad", "hello x y wf-1"]
    assert (await ship.started(task)).host == ship.runtimes["container"].name
    await ship.performer.forget(task.task_id)
    assert ship.runtimes["container"]._state(Slot(ship.state / "tasks" / task.task_id, "main")) is None  # type: ignore[attr-defined]


async def test_files_go_in_and_come_out(ship: House) -> None:
    raw = {"name": "in", "path": "/data/in", "raw": {"data": "brought"}}
    outputs = {
        "parameters": [
            {"name": "p", "valueFrom": {"path": "/out/p"}},
            {"name": "v", "valueFrom": {"path": "/vol/v"}},
            {"name": "none", "valueFrom": {"path": "/none", "default": "d"}},
        ],
        "artifacts": [{"name": "a", "path": "/out"}],
    }
    text = "mkdir /out; cat /data/in > /out/p; echo vol > /vol/v"
    template = step(text, inputs={"artifacts": [raw]}, outputs=outputs, volumes=[{"name": "v", "emptyDir": {}}])
    template["container"]["volumeMounts"] = [{"name": "v", "mountPath": "/vol"}]
    finished = await ship.run(template)
    assert finished.message == ""
    assert [p["value"] for p in finished.outputs["parameters"]] == ["brought", "vol", "d"]
    given = {**finished.outputs["artifacts"][0], "path": "/given"}
    template = step("cat /given/p", inputs={"artifacts": [given]})
    assert (await ship.run(template, capture_result=True)).outputs["result"] == "brought"


async def test_an_output_link_reaches_nothing_of_the_machine(ship: House, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("TOP SECRET")
    outputs = {"parameters": [{"name": "p", "valueFrom": {"path": "/p"}}]}
    ship.config_maps["default", "c"] = {"data": {"x": "ln"}}
    finished = await ship.run(
        step(f"cd /; sh -c 'true'; ls /proc/self/root{tmp_path} > /p 2>&1; true", outputs=outputs)
    )
    assert "TOP SECRET" not in str(finished)


async def test_a_deadline_ends_a_container(ship: House) -> None:
    finished = await ship.run(step("sleep 60"), deadline=datetime.now(UTC) + timedelta(seconds=1))
    assert (finished.phase, finished.message) == ("Failed", "Step exceeded its deadline")


async def test_a_container_is_stopped(ship: House) -> None:
    task = ship.task(step("trap 'exit 7' TERM; echo up; while true; do sleep 0.05; done"))
    await ship.performer.start(task)
    async for _ in ship.logs.read("run-1", follow=True):
        break
    await ship.performer.stop(task.task_id, 30, "enough")
    assert (await ship.finished(task)).message == "main: Error (exit code 7): enough"


async def test_a_container_is_adopted_and_its_end_is_asked_for(ship: House) -> None:
    task = ship.task(step("while ! ls /vol/go; do sleep 0.05; done 2>/dev/null; exit 5"))
    task.template["container"]["volumeMounts"] = [{"name": "v", "mountPath": "/vol"}]
    task.template["volumes"] = [{"name": "v", "persistentVolumeClaim": {"claimName": "v"}}]
    await ship.performer.start(task)
    await ship.started(task)
    slot = Slot(ship.state / "tasks" / task.task_id, "main")
    await until(lambda: ship.runtimes["container"].listens(slot))
    await ship.performer.close()
    ship.seen.clear()
    ship.performer = ship.again()
    await ship.performer.start(task)
    await ship.started(task)
    (ship.state / "volumes" / "default" / "v" / "go").touch()
    finished = await ship.finished(task)
    assert (finished.phase, finished.exit_code) == ("Failed", 5)


async def test_an_image_that_is_not_there_is_an_error(ship: House) -> None:
    template = shell("true")
    template["container"]["image"] = "localhost/none:1"
    finished = await ship.run(template)
    assert finished.phase == "Error"
    assert "did not make the container" in finished.message


async def test_a_command_that_is_not_in_the_image_is_said(ship: House) -> None:
    template = {"name": "s", "container": {"image": IMAGE, "command": ["nosuch"]}}
    finished = await ship.run(template)
    assert (finished.phase, finished.exit_code) == ("Error", None)
    assert "nosuch" in finished.message
