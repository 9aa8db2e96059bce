"""Steps in a real sandbox: what they can do, what they hand over, how their ends are told."""

from __future__ import annotations

import pytest

from tests.execute.conftest import House, shell

pytestmark = pytest.mark.sandbox


async def test_a_step_succeeds_and_its_output_is_the_log(house: House) -> None:
    task = house.task(shell("echo hello; echo careful >&2"))
    await house.performer.start(task)
    finished = await house.finished(task)
    assert (finished.phase, finished.message, finished.exit_code) == ("Succeeded", "", 0)
    assert finished.outputs == {"exitCode": "0"}
    assert await house.log(task) == ["hello", "careful"]


async def test_a_failing_step_is_failed_in_argos_words(house: House) -> None:
    finished = await house.run(shell("exit 3"))
    assert (finished.phase, finished.message, finished.exit_code) == ("Failed", "main: Error (exit code 3)", 3)


async def test_a_script_is_the_last_argument_of_its_command(house: House) -> None:
    script = {"image": "python", "command": ["sh"], "source": "echo from $0\nexit 0\n"}
    task = house.task({"name": "step", "script": script}, capture_result=True)
    await house.performer.start(task)
    finished = await house.finished(task)
    assert finished.outputs == {"result": "from /argo/staging/script", "exitCode": "0"}


async def test_the_result_is_stdout_only_and_loses_one_newline(house: House) -> None:
    task = house.task(shell("echo noise >&2; printf 'a\\n\\n'"), capture_result=True)
    await house.performer.start(task)
    assert (await house.finished(task)).outputs["result"] == "a\n"
    assert sorted(await house.log(task)) == ["", "a", "noise"]


async def test_a_large_result_keeps_its_end(house: House) -> None:
    finished = await house.run(shell("head -c 300000 /dev/zero | tr '\\0' x; echo end"), capture_result=True)
    assert len(finished.outputs["result"]) == 256 * 1024 - 1
    assert finished.outputs["result"].endswith("xend")


@pytest.mark.parametrize(
    "path",
    [
        "/tmp/message",
        "/message",
        "/mnt/out/deep/message",
        "/root/.cache/message",
        "/usr/local/share/message",
        "/etc/message",
    ],
)
async def test_an_output_parameter_is_read_from_any_path(house: House, path: str) -> None:
    outputs = {"parameters": [{"name": "message", "valueFrom": {"path": path}}]}
    finished = await house.run(shell(f"mkdir -p $(dirname {path}); echo hi > {path}", outputs=outputs))
    assert (finished.phase, finished.message) == ("Succeeded", "")
    assert finished.outputs["parameters"] == [{"name": "message", "valueFrom": {"path": path}, "value": "hi"}]


async def test_a_missing_output_parameter_takes_its_default(house: House) -> None:
    outputs = {"parameters": [{"name": "p", "valueFrom": {"path": "/tmp/none", "default": "d"}}]}
    assert (await house.run(shell("true", outputs=outputs))).outputs["parameters"][0]["value"] == "d"


async def test_a_missing_output_parameter_is_an_error(house: House) -> None:
    outputs = {"parameters": [{"name": "p", "valueFrom": {"path": "/tmp/none"}}]}
    finished = await house.run(shell("true", outputs=outputs))
    assert finished.phase == "Error"
    assert finished.message == (
        "wait: Error (exit code 64): output parameter 'p': open /tmp/none: no such file or directory"
    )


async def test_a_failed_step_keeps_its_own_message_and_the_outputs_it_has(house: House) -> None:
    declared = [{"name": "p", "valueFrom": {"path": "/tmp/p"}}, {"name": "q", "valueFrom": {"path": "/tmp/q"}}]
    finished = await house.run(shell("echo 1 > /tmp/p; exit 2", outputs={"parameters": declared}))
    assert (finished.phase, finished.message) == ("Failed", "main: Error (exit code 2)")
    assert finished.outputs["parameters"][0]["value"] == "1"
    assert "value" not in finished.outputs["parameters"][1]


@pytest.mark.parametrize(
    "archive", [None, {"none": {}}, {"zip": {}}, {"tar": {"compressionLevel": 0}}], ids=["tgz", "none", "zip", "tar0"]
)
@pytest.mark.parametrize("kind", ["file", "folder"])
async def test_an_artifact_passes_from_step_to_step(house: House, archive: dict[str, object] | None, kind: str) -> None:
    make = "echo hello > /tmp/out" if kind == "file" else "mkdir -p /tmp/out/a; echo hello > /tmp/out/a/b"
    artifact: dict[str, object] = {"name": "art", "path": "/tmp/out"}
    if archive is not None:
        artifact["archive"] = archive
    finished = await house.run(shell(make, outputs={"artifacts": [artifact]}))
    assert (finished.phase, finished.message) == ("Succeeded", "")
    (saved,) = finished.outputs["artifacts"]
    name = {None: "art.tgz", "zip": "art.zip", "tar": "art.tgz", "none": "out"}[
        next(iter(archive), None) if archive else None
    ]
    assert saved["local"] == {"key": f"default/wf/wf-step-1/{name}"}
    given = {**saved, "path": "/my-artifact"}
    task = house.task(shell("find /my-artifact -type f | xargs cat", inputs={"artifacts": [given]}))
    await house.performer.start(task)
    assert (await house.finished(task)).message == ""
    assert await house.log(task) == ["hello"]


async def test_an_optional_artifact_may_be_missing_on_both_sides(house: House) -> None:
    artifact = {"name": "art", "path": "/tmp/none", "optional": True}
    finished = await house.run(
        shell("test ! -e /tmp/none", inputs={"artifacts": [artifact]}, outputs={"artifacts": [artifact]})
    )
    assert (finished.phase, finished.message) == ("Succeeded", "")
    assert "artifacts" not in finished.outputs


async def test_a_required_artifact_must_be_supplied(house: House) -> None:
    finished = await house.run(shell("true", inputs={"artifacts": [{"name": "art", "path": "/tmp/x"}]}))
    assert (finished.phase, finished.message) == ("Error", "required artifact 'art' not supplied")


async def test_a_missing_output_artifact_is_an_error(house: House) -> None:
    finished = await house.run(shell("true", outputs={"artifacts": [{"name": "art", "path": "/tmp/x"}]}))
    assert finished.phase == "Error"
    assert "output artifact 'art': open /tmp/x: no such file or directory" in finished.message


async def test_an_artifact_can_be_a_program_of_the_system(house: House) -> None:
    """The path of Argo's input-artifact-http example: /bin leads to /usr, which is not ours to write to."""
    raw = {"name": "kubectl", "path": "/bin/kubectl", "mode": 0o755, "raw": {"data": "#!/bin/sh\necho it runs\n"}}
    task = house.task(shell("kubectl && ls /usr/bin/env", inputs={"artifacts": [raw]}))
    await house.performer.start(task)
    assert (await house.finished(task)).message == ""
    assert await house.log(task) == ["it runs", "/usr/bin/env"]


async def test_command_and_args_see_the_variables_of_the_container(house: House) -> None:
    container = {
        "image": "alpine",
        "command": ["echo"],
        "args": ["$(A)", "$$(A)", "$(NONE)", "$(B)"],
        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "b$(A)"}],
    }
    task = house.task({"name": "step", "container": container})
    await house.performer.start(task)
    await house.finished(task)
    assert await house.log(task) == ["1 $(A) $(NONE) b1"]


async def test_config_maps_and_secrets_reach_the_step_and_secrets_leave_the_log(house: House) -> None:
    house.config_maps["default", "conf"] = {"data": {"colour": "green", "size": "9"}}
    secret = house.state / "secrets" / "default" / "login"
    secret.mkdir(parents=True)
    (secret / "password").write_text("hunter2-hunter2\n")
    container = {
        "image": "alpine",
        "command": ["sh", "-c", "echo $COLOUR $C_size $PASSWORD; cat /conf/colour /login/password; ls /conf"],
        "env": [
            {"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "conf", "key": "colour"}}},
            {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "login", "key": "password"}}},
            {"name": "NOT", "valueFrom": {"secretKeyRef": {"name": "none", "key": "x", "optional": True}}},
        ],
        "envFrom": [{"prefix": "C_", "configMapRef": {"name": "conf"}}],
        "volumeMounts": [{"name": "conf", "mountPath": "/conf"}, {"name": "login", "mountPath": "/login"}],
    }
    volumes = [
        {"name": "conf", "configMap": {"name": "conf", "items": [{"key": "colour", "path": "colour"}]}},
        {"name": "login", "secret": {"secretName": "login"}},
    ]
    task = house.task({"name": "step", "container": container}, volumes=volumes)
    await house.performer.start(task)
    assert (await house.finished(task)).message == ""
    assert await house.log(task) == ["green 9 ******", "green******colour"]
    kept = (house.state / "logs" / "run-1" / task.pod_name / "main.log").read_text()
    assert "hunter2" not in kept


async def test_a_secret_that_is_not_there_says_where_to_put_it(house: House) -> None:
    env = [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "login", "key": "password"}}}]
    finished = await house.run({"name": "s", "container": {"command": ["true"], "env": env}})
    assert finished.phase == "Error"
    assert "secret 'login' not found in namespace 'default'" in finished.message


async def test_init_containers_run_first_and_share_volumes(house: House) -> None:
    mounts = [{"name": "shared", "mountPath": "/shared"}]
    template = {
        "name": "step",
        "volumes": [{"name": "shared", "emptyDir": {}}],
        "initContainers": [
            {"name": "one", "command": ["sh", "-c", "echo 1 >> /shared/x; echo init"], "volumeMounts": mounts},
            {"name": "two", "command": ["sh", "-c", "echo 2 >> /shared/x"], "mirrorVolumeMounts": True},
        ],
        "container": {"command": ["sh", "-c", "echo 3 >> /shared/x"], "volumeMounts": mounts},
        "outputs": {"parameters": [{"name": "x", "valueFrom": {"path": "/shared/x"}}]},
    }
    task = house.task(template)
    await house.performer.start(task)
    finished = await house.finished(task)
    assert (finished.message, finished.outputs["parameters"][0]["value"]) == ("", "1\n2\n3")
    assert await house.log(task, "one") == ["init"]


async def test_a_failing_init_container_is_an_error_and_main_does_not_run(house: House) -> None:
    template = {
        "name": "step",
        "initContainers": [{"name": "one", "command": ["sh", "-c", "exit 7"]}],
        "container": {"command": ["sh", "-c", "echo ran"]},
    }
    task = house.task(template)
    await house.performer.start(task)
    finished = await house.finished(task)
    assert (finished.phase, finished.message) == ("Error", "one: Error (exit code 7)")
    assert await house.log(task) == []


async def test_a_claim_is_kept_from_task_to_task(house: House) -> None:
    volumes = [{"name": "work", "persistentVolumeClaim": {"claimName": "wf-work"}}]
    mounts = [{"name": "work", "mountPath": "/work", "subPath": "part"}]
    first = {"name": "a", "container": {"command": ["sh", "-c", "echo kept > /work/x"], "volumeMounts": mounts}}
    assert (await house.run(first, volumes=volumes)).message == ""
    second = {"name": "b", "container": {"command": ["cat", "/work/x"], "volumeMounts": mounts}}
    finished = await house.run(second, volumes=volumes, capture_result=True)
    assert finished.outputs["result"] == "kept"
    await house.performer.forget_run("run-1")
    assert not (house.state / "runs" / "run-1").exists()


async def test_the_deadline_ends_the_step_in_argos_words(house: House) -> None:
    from datetime import UTC, datetime, timedelta

    finished = await house.run(shell("sleep 60"), deadline=datetime.now(UTC) + timedelta(milliseconds=200))
    assert (finished.phase, finished.message, finished.exit_code) == ("Failed", "Step exceeded its deadline", 124)


async def test_a_deadline_that_is_over_starts_nothing(house: House) -> None:
    from datetime import UTC, datetime

    task = house.task(shell("echo ran"), deadline=datetime(2020, 1, 1, tzinfo=UTC))
    await house.performer.start(task)
    finished = await house.finished(task)
    assert (finished.phase, finished.message, finished.started_at) == ("Failed", "Step exceeded its deadline", None)
    assert await house.log(task) == []


async def test_stop_is_term_first(house: House) -> None:
    task = house.task(shell("trap 'echo bye; exit 5' TERM; echo up; sleep 60 & wait"))
    await house.performer.start(task)
    async for line in house.logs.read("run-1", follow=True):
        assert line.text == "up"
        break
    await house.performer.stop(task.task_id, 30, "workflow shutdown with strategy:  Stop")
    finished = await house.finished(task)
    assert (finished.phase, finished.exit_code) == ("Failed", 5)
    assert finished.message == "main: Error (exit code 5): workflow shutdown with strategy:  Stop"
    assert await house.log(task) == ["up", "bye"]


async def test_stop_is_kill_after_the_grace(house: House) -> None:
    task = house.task(shell("trap '' TERM; echo up; while true; do sleep 1; done"))
    await house.performer.start(task)
    async for _ in house.logs.read("run-1", follow=True):
        break
    await house.performer.stop(task.task_id, 0.1, "")
    assert (await house.finished(task)).exit_code == 137


async def test_progress_is_reported_as_the_step_writes_it(house: House) -> None:
    task = house.task(shell("echo 1/4 > $ARGO_PROGRESS_FILE; read x < /tmp/wait"))
    await house.performer.start(task)
    assert (await house.progressed(task)).progress == "1/4"
    await house.performer.stop(task.task_id, 0, "")
    await house.finished(task)


async def test_forget_leaves_the_log_and_nothing_else(house: House) -> None:
    outputs = {"parameters": [{"name": "p", "valueFrom": {"path": "/tmp/d/p", "default": ""}}]}
    for template in (shell("echo x"), shell("mkdir -p /tmp/d/e; chmod 0 /tmp/d/e", outputs=outputs)):
        task = house.task(template)
        await house.performer.start(task)
        await house.finished(task)
        await house.performer.forget(task.task_id)
    await house.performer.close()
    assert list((house.state / "tasks").iterdir()) == []
    assert await house.log(house.task({}, pod_name="wf-step-1")) == ["x"]


async def test_started_tells_what_ran_it(house: House) -> None:
    task = house.task(shell("true"))
    await house.performer.start(task)
    started = await house.started(task)
    assert (started.host, started.note) == ("sandbox", "sandbox: this machine's own programs stand for image alpine")


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ({"container": {"image": "x", "command": ["nosuch"]}}, "main: Error (exit code 127): cannot run 'nosuch'"),
        (
            {"container": {"image": "docker/whalesay"}},
            "the entrypoint of image docker/whalesay is known to a container",
        ),
        ({"container": {"command": ["true"]}, "sidecars": [{"name": "db"}]}, "sidecars (db) are not run"),
        ({"resource": {}}, "is not run by the embedded engine yet"),
        ({"container": {"command": ["true"], "volumeMounts": [{"name": "v", "mountPath": "/v"}]}}, "'v' has no volume"),
        ({"container": {"command": ["true"], "args": ["x" * 300_000]}}, "larger than the kernel takes"),
        ({"container": {"command": ["true"], "env": [{"name": "A\0", "value": ""}]}}, "env name"),
        (
            {
                "container": {"command": ["true"], "volumeMounts": [{"name": "v", "mountPath": "/v"}]},
                "volumes": [{"name": "v", "hostPath": {"path": "/etc"}}],
            },
            "hostPath is not for embedded mode",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_what_cannot_run_says_why(house: House, template: dict[str, object], words: str) -> None:
    finished = await house.run({"name": "step", **template})
    assert finished.phase in ("Error", "Failed")
    assert words in finished.message


async def test_logs_are_archived_where_the_task_or_the_repository_says_so(house: House) -> None:
    task = house.task(shell("echo kept"), archive_logs=True)
    await house.performer.start(task)
    (log,) = (await house.finished(task)).outputs["artifacts"]
    assert log == {"name": "main-logs", "local": {"key": f"default/wf/{task.pod_name}/main.log"}}
    assert (house.state / "artifacts" / log["local"]["key"]).read_text() == "kept\n"
    house.repository = {"archiveLogs": True}
    house.performer = house.again()
    assert (await house.run(shell("true"))).outputs["artifacts"][0]["name"] == "main-logs"
