"""The HTTP driver against a real server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from syncd.artifacts import api, http
from syncd.base.errors import Invalid, NotFound, Refused, Unreachable, Unsupported

SECRETS = {"user": "ann", "password": "pa55word"}
ACCESS = api.Access("ns", lambda namespace, name, key: SECRETS[key], api.Caps(bytes=1000))
AUTH = {
    "basicAuth": {"usernameSecret": {"name": "s", "key": "user"}, "passwordSecret": {"name": "s", "key": "password"}}
}


class Handler(BaseHTTPRequestHandler):
    """Answers by path; keeps what was sent."""

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self.server.seen.append((self.path, dict(self.headers)))  # type: ignore[attr-defined]
        body = {"/file": b"hello", "/large": bytes(5000)}.get(self.path, b"")
        codes = {"/file": 200, "/large": 200, "/private": 403, "/broken": 503}
        code = codes.get(self.path, 404)
        if self.path.startswith("/to?"):
            self.send_response(302)
            self.send_header("Location", self.path.partition("?")[2])
            self.end_headers()
            return
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((self.path, data))  # type: ignore[attr-defined]
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()


class Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[Any] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Server, Server]]:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    pair = (Server(), Server())
    threads = [threading.Thread(target=s.serve_forever, kwargs={"poll_interval": 0.01}) for s in pair]
    for thread in threads:
        thread.start()
    yield pair
    for server, thread in zip(pair, threads, strict=True):
        server.shutdown()
        thread.join()
        server.server_close()


def test_get_with_headers_and_credentials(servers: tuple[Server, Server], tmp_path: Path) -> None:
    header = {"name": "X-Key", "valueFrom": {"secretKeyRef": {"name": "s", "key": "password"}}}
    location = {"url": servers[0].url + "/file", "headers": [header, {"name": "X-A", "value": "1"}], "auth": AUTH}
    http.Http().load(location, tmp_path / "out", ACCESS)
    assert (tmp_path / "out").read_bytes() == b"hello"
    ((_, headers),) = servers[0].seen
    assert (headers["X-Key"], headers["X-A"]) == ("pa55word", "1")
    assert headers["Authorization"] == "Basic YW5uOnBhNTV3b3Jk"


def test_put(servers: tuple[Server, Server], tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"bytes")
    http.Http().save(tmp_path / "in", {"url": servers[0].url + "/up"}, ACCESS)
    assert servers[0].seen == [("/up", b"bytes")]


def test_a_redirect_to_another_server_gets_no_credentials(servers: tuple[Server, Server], tmp_path: Path) -> None:
    location = {
        "url": f"{servers[0].url}/to?{servers[1].url}/file",
        "auth": AUTH,
        "headers": [{"name": "X-Key", "value": "pa55word"}],
    }
    http.Http().load(location, tmp_path / "out", ACCESS)
    ((_, headers),) = servers[1].seen
    assert "pa55word" not in str(headers) and "Authorization" not in headers


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_a_redirect_elsewhere_is_refused(servers: tuple[Server, Server], tmp_path: Path, target: str) -> None:
    with pytest.raises((Refused, Invalid)):
        http.Http().load({"url": f"{servers[0].url}/to?{target}"}, tmp_path / "out", ACCESS)


@pytest.mark.parametrize(
    ("path", "error"),
    [("/none", NotFound), ("/private", Refused), ("/broken", Unreachable), ("/large", Invalid)],
)
def test_answers_are_sorted(servers: tuple[Server, Server], tmp_path: Path, path: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        http.Http().load({"url": servers[0].url + path}, tmp_path / "out", ACCESS)


@pytest.mark.parametrize(
    "url", ["", "file:///etc/passwd", "ftp://h/x", "http://", "http://h/a b", "http://h/\r\nX: y", "//h/x"]
)
def test_other_addresses_are_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(Invalid):
        http.Http().load({"url": url}, tmp_path / "out", ACCESS)


def test_a_header_cannot_smuggle_another(tmp_path: Path) -> None:
    with pytest.raises(Invalid):
        http.Http().load({"url": "http://h/", "headers": [{"name": "A", "value": "1\r\nB: 2"}]}, tmp_path / "o", ACCESS)


def test_nobody_there_is_unreachable(tmp_path: Path) -> None:
    with pytest.raises(Unreachable) as caught:
        http.Http().load({"url": "http://user:pa55word@127.0.0.1:1/x?sig=1"}, tmp_path / "out", ACCESS)
    assert "pa55word" not in str(caught.value) and "sig" not in str(caught.value)


def test_oauth_is_not_supported(tmp_path: Path) -> None:
    with pytest.raises(Unsupported):
        http.Http().load({"url": "http://h/", "auth": {"oauth2": {"x": 1}}}, tmp_path / "out", ACCESS)
