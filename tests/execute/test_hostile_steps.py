"""What a step must not be able to do, tried by real steps in a real sandbox."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from syncd.execute import process
from syncd.execute.folder import Slot
from tests.execute.conftest import House, shell, until

pytestmark = pytest.mark.sandbox

CANNOT = {
    "write to the system": "touch /usr/x || touch /bin/x || touch /etc/x",
    "see the state directory": "test -e {state}",
    "see a home": 'test -n "$(ls -A /root)" || test -e /home',
    "see the machine's accounts": "test -e /etc/shadow || test -e /etc/gshadow || grep -q sshd /etc/passwd",
    "see private keys": "test -e /etc/ssl/private || test -e /etc/ssh",
    "see another process": "test $(ls /proc | grep -c '^[0-9]') -gt 8 || kill -0 {pid}",
    "change the kernel's settings": "echo x > /proc/sys/kernel/core_pattern || echo 1 > /proc/sys/vm/drop_caches",
    "ask for a reboot": "echo b > /proc/sysrq-trigger",
    "mount": "mount -t tmpfs none /tmp",
    "make a user namespace": "unshare -U true",
    "have a capability": "! grep -q '^CapEff:.0000000000000000$' /proc/self/status",
    "gain privileges": "! grep -q '^NoNewPrivs:.1$' /proc/self/status",
    "see disks": "test -e /dev/vda || test -e /dev/sda || test -e /sys/block",
    "read the daemon's environment": "env | grep -q SYNCD_TEST_SECRET",
    "inherit an open file": "test $(ls /proc/self/fd | wc -l) -gt 4",
    "reach files through its first process": "ls -d /proc/1/fd/*/. || cat /proc/1/fd/4 | grep .",
    "have a terminal": "test -t 0 || echo x > /dev/tty",
}


@pytest.mark.parametrize("attempt", CANNOT.values(), ids=CANNOT.keys())
async def test_a_step_cannot(house: House, attempt: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNCD_TEST_SECRET", "x")
    (house.state / "token").write_text("secret")
    text = attempt.format(state=house.state, pid=os.getpid())
    finished = await house.run(shell(f"if {{ {text}; }} 2>/dev/null; then exit 9; fi"))
    assert (finished.phase, finished.message) == ("Succeeded", "")


LINKS = {
    "to a file of the machine": ("ln -s {outside} /tmp/out", "open /tmp/out: no such file or directory"),
    "through a folder of the machine": ("ln -s {folder} /tmp/d; ln -s /tmp/d/outside /tmp/out", "no such file"),
    "up and out": ("ln -s ../../../../../../../../..{outside} /tmp/out", "no such file"),
    "to itself": ("ln -s /tmp/out /tmp/out", "too many levels of symbolic links"),
    "to a process": ("ln -s /proc/self/environ /tmp/out", "no such file"),
    "to the task's record": ("ln -s ../../main.json /tmp/out", "no such file"),
    "a fifo": ("mkfifo /tmp/out", "neither a file nor a folder"),
    "a folder": ("mkdir /tmp/out", "is not a regular file"),
    "no permission": ("ln -s /root/../../../x /tmp/out", "no such file"),
}


@pytest.mark.parametrize("kind", ["parameter", "artifact"])
@pytest.mark.parametrize(("text", "words"), LINKS.values(), ids=LINKS.keys())
async def test_an_output_cannot_reach_out_of_the_step(
    house: House, tmp_path: Path, text: str, words: str, kind: str
) -> None:
    outside = tmp_path / "outside"
    outside.write_text("TOP SECRET")
    if kind == "parameter":
        outputs = {"parameters": [{"name": "p", "valueFrom": {"path": "/tmp/out"}}]}
    else:
        outputs = {"artifacts": [{"name": "p", "path": "/tmp/out"}]}
    if kind == "artifact" and text == "mkdir /tmp/out":
        return
    finished = await house.run(shell(text.format(outside=outside, folder=tmp_path), outputs=outputs))
    assert finished.phase == "Error"
    assert words in finished.message or "neither a file nor" in finished.message
    assert "TOP SECRET" not in str(finished)


async def test_a_link_within_the_step_is_followed(house: House) -> None:
    outputs = {"parameters": [{"name": "p", "valueFrom": {"path": "/tmp/out"}}]}
    text = "mkdir -p /a/b /c; echo v > /a/b/f; ln -s ../a /c/l; ln -s /c/l/b/../b/f /tmp/out"
    assert (await house.run(shell(text, outputs=outputs))).outputs["parameters"][0]["value"] == "v"


async def test_the_steps_own_etc_is_read_not_the_machines(house: House) -> None:
    outputs = {"parameters": [{"name": "p", "valueFrom": {"path": "/tmp/out"}}]}
    finished = await house.run(shell("ln -s /etc/passwd /tmp/out", outputs=outputs))
    assert finished.outputs["parameters"][0]["value"] == (house.etc / "passwd").read_text().removesuffix("\n")


async def test_links_in_an_artifact_folder_are_kept_as_links_and_not_followed(house: House, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("TOP SECRET")
    text = f"mkdir /tmp/out; ln -s {tmp_path}/outside /tmp/out/link; echo ok > /tmp/out/file; mkfifo /tmp/out/fifo"
    for archive in ({"none": {}}, {"zip": {}}, {"tar": {}}):
        finished = await house.run(
            shell(text, outputs={"artifacts": [{"name": "a", "path": "/tmp/out", "archive": archive}]})
        )
        assert finished.message == ""
        saved = finished.outputs["artifacts"][0]["local"]["key"]
        found = house.state / "artifacts" / saved
        data = b"".join(p.read_bytes() for p in ([found] if found.is_file() else sorted(found.rglob("*"))))
        assert b"TOP SECRET" not in data


async def test_a_huge_parameter_is_refused(house: House) -> None:
    outputs = {"parameters": [{"name": "p", "valueFrom": {"path": "/tmp/out"}}]}
    finished = await house.run(shell("truncate -s 1T /tmp/out", outputs=outputs))
    assert "more than the 1048576 allowed" in finished.message


async def test_a_sparse_terabyte_is_no_artifact(house: House) -> None:
    finished = await house.run(
        shell("truncate -s 1T /tmp/out", outputs={"artifacts": [{"name": "a", "path": "/tmp/out"}]})
    )
    assert finished.phase == "Error" and "larger than" in finished.message


async def test_an_input_cannot_be_led_out_through_a_shared_volume(house: House, tmp_path: Path) -> None:
    """A step leaves a link in a claim; the artifact of the next one must not be written through it."""
    victim = tmp_path / "victim"
    victim.mkdir()
    volumes = [{"name": "w", "persistentVolumeClaim": {"claimName": "w"}}]
    mounts = [{"name": "w", "mountPath": "/w"}]
    first = {"name": "a", "container": {"command": ["ln", "-s", str(victim), "/w/d"], "volumeMounts": mounts}}
    assert (await house.run(first, volumes=volumes)).message == ""
    second = {
        "name": "b",
        "container": {"command": ["true"], "volumeMounts": mounts},
        "inputs": {"artifacts": [{"name": "a", "path": "/w/d/x", "raw": {"data": "mine"}}]},
    }
    await house.run(second, volumes=volumes)
    assert list(victim.iterdir()) == []


async def test_a_subpath_cannot_be_led_out_of_its_volume(house: House, tmp_path: Path) -> None:
    volumes = [{"name": "w", "persistentVolumeClaim": {"claimName": "w"}}]
    first = {
        "name": "a",
        "container": {
            "command": ["ln", "-s", str(tmp_path), "/w/d"],
            "volumeMounts": [{"name": "w", "mountPath": "/w"}],
        },
    }
    assert (await house.run(first, volumes=volumes)).message == ""
    mounts = [{"name": "w", "mountPath": "/w", "subPath": "d"}]
    finished = await house.run(
        {"name": "b", "container": {"command": ["ls", "/w"], "volumeMounts": mounts}}, volumes=volumes
    )
    assert "leads through a link" in finished.message


async def test_a_brood_of_processes_dies_with_the_deadline(house: House) -> None:
    """A hundred deaf processes in sessions of their own: the kernel ends them with the first one inside."""
    text = "for i in $(seq 100); do setsid sh -c 'trap \"\" TERM; sleep 600' & done; trap '' TERM; sleep 600; wait"
    task = house.task(shell(text), deadline=datetime.now(UTC) + timedelta(seconds=0.7))
    await house.performer.start(task)
    finished = await house.finished(task)
    assert (finished.phase, finished.message) == ("Failed", "Step exceeded its deadline")
    slot = Slot(house.state / "tasks" / task.task_id, "main")
    await until(lambda: not slot.held())


async def test_what_a_command_leaves_behind_is_ended(house: House) -> None:
    outputs = {"parameters": [{"name": "p", "valueFrom": {"path": "/tmp/p"}}]}
    for template in (shell("setsid sleep 600 & exit 0"), shell("setsid sleep 600 & echo x > /tmp/p", outputs=outputs)):
        task = house.task(template)
        await house.performer.start(task)
        assert (await house.finished(task)).phase == "Succeeded"
        slot = Slot(house.state / "tasks" / task.task_id, "main")
        child = slot.status().child_pid
        assert child is not None
        gone = asyncio.Event()
        try:
            process.when_gone(child, gone.set)
        except ProcessLookupError:
            gone.set()
        async with asyncio.timeout(10):
            await gone.wait()
        assert not slot.held()


async def test_variables_of_the_c_library_are_the_steps_and_not_the_sandboxs(house: House) -> None:
    env = [{"name": "LD_PRELOAD", "value": "/tmp/evil.so"}, {"name": "GLIBC_TUNABLES", "value": "x=y"}]
    container = {"command": ["sh", "-c", "echo $GLIBC_TUNABLES"], "env": env}
    task = house.task({"name": "s", "container": container}, capture_result=True)
    await house.performer.start(task)
    assert (await house.finished(task)).outputs["result"] == "x=y"
    launch_environment = house.sandbox.process_environment
    assert launch_environment is not None


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".", "a" * 300, "-x", "x\0y"])
async def test_ids_that_are_no_file_names_are_refused(house: House, name: str) -> None:
    for fields in ({"task_id": name}, {"run_uid": name}, {"pod_name": name}):
        house.seen.clear()
        await house.performer.start(house.task(shell("true"), **fields))
        assert house.seen[0].phase == "Error"  # type: ignore[union-attr]


async def test_a_log_that_never_ends_a_line_is_cut(house: House) -> None:
    task = house.task(shell("head -c 1000000 /dev/zero | tr '\\0' x"))
    await house.performer.start(task)
    await house.finished(task)
    lines = await house.log(task)
    assert max(map(len, lines)) <= 64 * 1024
    assert len(lines) < 40


async def test_a_progress_file_that_is_a_link_is_not_read(house: House, tmp_path: Path) -> None:
    (tmp_path / "progress").write_text("1/2")
    await house.run(shell(f"ln -s {tmp_path}/progress $ARGO_PROGRESS_FILE"))
    assert not [o for o in house.seen if type(o).__name__ == "TaskProgress"]
