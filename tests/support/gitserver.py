"""Real git for tests: repositories made with git itself, and git's own HTTP back end behind a tiny server."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
    "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z",
}


class Repository:
    """A work tree with a `.git`."""

    def __init__(self, path: Path, *, object_format: str = "sha1") -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet", "--initial-branch=main", f"--object-format={object_format}", ".")

    def git(self, *arguments: str, stdin: bytes = b"") -> str:
        """Run git here; answers its stdout without the last line break."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            env=ENVIRONMENT,
            input=stdin,
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().rstrip("\n")

    def write(self, files: Mapping[str, str | bytes | None]) -> None:
        """Write files; None removes one."""
        for name, content in files.items():
            path = self.path / name
            if content is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(self, files: Mapping[str, str | bytes | None] | None = None, message: str = "change") -> str:
        """Write the files and commit everything; answers the commit."""
        self.write(files or {})
        self.git("add", "--all", ".")
        self.git("commit", "--quiet", "--allow-empty", "--no-gpg-sign", "-m", message)
        return self.git("rev-parse", "HEAD")


class GitServer:
    """Serves the repositories below `root` over HTTP. What it does can be changed while it runs.

    user, password: wanted by Basic authentication, "" = anybody; status: answered instead, 0 = serve;
    redirect: answered as 302 to this prefix; requests: all so far, `METHOD path` and whether credentials came along.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.user = ""
        self.password = ""
        self.status = 0
        self.redirect = ""
        self.requests: list[tuple[str, bool]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.serve(self)

            def do_POST(self) -> None:
                server.serve(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def host(self) -> str:
        """`127.0.0.1:port`."""
        return f"127.0.0.1:{self._http.server_address[1]}"

    def url(self, name: str) -> str:
        """Of a repository below the root."""
        return f"http://{self.host}/{name}"

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request, by `git http-backend` if nothing else was asked for."""
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        given = handler.headers.get("Authorization", "")
        self.requests.append((f"{handler.command} {handler.path}", bool(given)))
        if self.redirect:
            self._answer(handler, 302, {"Location": self.redirect + handler.path})
        elif self.status:
            self._answer(handler, self.status, {})
        elif self.user and given != "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode():
            self._answer(handler, 401, {"WWW-Authenticate": 'Basic realm="git"'})
        else:
            self._backend(handler, body)

    def _answer(self, handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def _backend(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        path, _, query = handler.path.partition("?")
        environment = ENVIRONMENT | {
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": handler.command,
            "CONTENT_TYPE": handler.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "GIT_PROTOCOL": handler.headers.get("Git-Protocol", ""),
            "HTTP_CONTENT_ENCODING": handler.headers.get("Content-Encoding", ""),
        }
        done = subprocess.run(
            ["git", "http-backend"], env=environment, input=body, capture_output=True, check=False, timeout=60
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        status = int(headers.pop("Status", "200").split(" ")[0])
        self._answer(handler, status, headers, content)

    def close(self) -> None:
        """Stop serving."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@contextmanager
def serving(root: Path) -> Iterator[GitServer]:
    """A server for the length of a block."""
    server = GitServer(root)
    try:
        yield server
    finally:
        server.close()
