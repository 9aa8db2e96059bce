"""Steps that hand artifacts on through S3, configured as Argo does it."""

from __future__ import annotations

import pytest

from tests.execute.conftest import House, house, proved, shell
from tests.support import seaweed

__all__ = ["house", "proved"]

pytestmark = [pytest.mark.s3, pytest.mark.sandbox]


def configure(house: House, server: seaweed.Server) -> None:
    folder = house.state / "secrets" / "default" / "s3"
    folder.mkdir(parents=True)
    (folder / "access").write_text(server.access_key)
    (folder / "secret").write_text(server.secret_key)
    house.repository = {
        "archiveLogs": True,
        "s3": {
            "bucket": server.bucket,
            "endpoint": server.endpoint,
            "insecure": True,
            "createBucketIfNotPresent": {},
            "keyFormat": "runs/{{workflow.name}}/{{pod.name}}",
            "accessKeySecret": {"name": "s3", "key": "access"},
            "secretKeySecret": {"name": "s3", "key": "secret"},
        },
    }
    house.performer = house.again()


async def test_an_artifact_goes_to_s3_and_comes_back(house: House, server: seaweed.Server) -> None:
    configure(house, server)
    artifacts = [
        {"name": "a", "path": "/out"},
        {"name": "mine", "path": "/out/f", "s3": {"key": "my/key"}, "archive": {"none": {}}},
    ]
    finished = await house.run(shell("mkdir /out; echo hello > /out/f", outputs={"artifacts": artifacts}))
    assert finished.message == ""
    saved, mine, log = finished.outputs["artifacts"]
    assert saved["s3"]["key"] == "runs/wf/wf-step-1/a.tgz"
    assert (mine["s3"]["key"], mine["s3"]["bucket"]) == ("my/key", server.bucket)
    assert (log["name"], log["s3"]["key"]) == ("main-logs", "runs/wf/wf-step-1/main.log")
    assert server.secret_key not in str(finished)
    inputs = [
        {"name": "a", "path": "/in", "s3": saved["s3"]},
        {"name": "b", "path": "/key-only", "s3": {"key": "my/key"}},
        {"name": "c", "path": "/folder", "s3": {"key": "my"}},
    ]
    text = "cat /in/f /key-only /folder/key"
    assert (await house.run(shell(text, inputs={"artifacts": inputs}), capture_result=True)).outputs[
        "result"
    ] == "hello\nhello\nhello"


async def test_a_store_that_refuses_is_an_error_of_the_step(house: House, server: seaweed.Server) -> None:
    configure(house, server)
    (house.state / "secrets" / "default" / "s3" / "secret").write_text("wrong")
    finished = await house.run(shell("true"))
    assert finished.phase == "Error"
    assert "the server refuses" in finished.message
