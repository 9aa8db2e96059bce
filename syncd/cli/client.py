"""The API from the command line: one request at a time, over TCP or a Unix socket, with the standard library alone.

Comes in: where the daemon listens, a token, a route. Goes out: JSON values, or a stream of them; errors of `base.errors`, put
together again from the answer. `reach` makes clients, the commands use them.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from syncd import __version__
from syncd.base import errors
from syncd.base.problems import Place, Problem, Severity

API: Final = "/api/v1"
OWN: Final = "/api/syncd/v1"

_SECONDS: Final = 60.0
"""For an answer, and between two signs of life of a stream (the daemon gives one every 15 s)."""

_MOST_BYTES: Final = 1 << 30
_LONGEST_LINE: Final = 256 << 20

_OF_REASON: Final[dict[str, type[errors.SyncdError]]] = {
    kind.__name__: kind
    for kind in (
        errors.ConfigError,
        errors.Unsupported,
        errors.NotFound,
        errors.AlreadyExists,
        errors.Conflict,
        errors.Expired,
        errors.Refused,
        errors.Defect,
    )
}
_OF_STATUS: Final[dict[int, type[errors.SyncdError]]] = {
    401: errors.Refused,
    403: errors.Refused,
    404: errors.NotFound,
    409: errors.Conflict,
    410: errors.Expired,
    429: errors.Refused,
    501: errors.Unsupported,
}


@dataclass(frozen=True, slots=True)
class Address:
    """Where an API listens: a Unix socket, or a host and port behind an optional base path."""

    host: str = ""
    port: int = 0
    secure: bool = False
    base: str = ""
    socket: Path | None = None
    insecure: bool = False

    def __str__(self) -> str:
        if self.socket is not None:
            return f"unix:{self.socket}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http{'s' if self.secure else ''}://{host}:{self.port}{self.base}"


def address(url: str) -> Address:
    """The address that `http://host:port`, `https://…`, `unix:/path` or a bare `host:port` names. Raises ConfigError."""
    if url.startswith("unix:"):
        return Address(socket=Path(url.removeprefix("unix:").removeprefix("//")))
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise errors.ConfigError(f"server {url[:200]!r} is no address; write http://HOST:PORT, https://… or unix:/PATH")
    secure = parts.scheme == "https"
    return Address(parts.hostname, port or (443 if secure else 2746), secure, parts.path.rstrip("/"))


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Client:
    """One API. offline: it is this process's own, without a daemon; acts: runs go on while one looks; cluster: it is this
    process's own, over a cluster; remedy: what to say when it does not answer."""

    def __init__(
        self,
        where: Address,
        token: str,
        *,
        offline: bool = False,
        acts: bool = True,
        cluster: bool = False,
        remedy: str = "",
    ) -> None:
        self.where = where
        self.offline = offline
        self.cluster = cluster
        self.acts = acts
        self._token = token
        self._remedy = remedy

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> Any:
        """The JSON that a GET answers."""
        return self.call("GET", path, query=query)

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        sent: Any = None,
        seconds: float = _SECONDS,
    ) -> Any:
        """One request and its JSON. query: empty values are left out. Raises the errors of `base.errors`."""
        with self._answer(method, path, query, sent, "application/json", seconds) as response:
            data = self._read(response)
        return json.loads(data) if data.strip() else {}

    def text(self, path: str) -> str:
        """The text that a GET answers (health)."""
        with self._answer("GET", path, None, None, "text/plain", _SECONDS, all_good=True) as response:
            return self._read(response).decode("utf-8", "replace").strip()

    def stream(self, path: str, query: Mapping[str, Any] | None = None) -> Iterator[Any]:
        """The results of a stream, as they come; ends when the daemon ends it. Raises Unreachable when it breaks off."""
        with self._answer("GET", path, query, None, "application/json", _SECONDS) as response:
            while True:
                try:
                    line = response.readline(_LONGEST_LINE)
                except (OSError, http.client.HTTPException) as error:
                    raise self._silent(error) from None
                if not line:
                    return
                if not line.strip():
                    continue
                if not line.endswith(b"\n"):
                    raise errors.Unreachable(f"{self.where} broke off in the middle of an answer{self._remedy}")
                value = json.loads(line)
                if "error" in value:
                    said = value["error"]
                    raise _error(int(said.get("http_code") or 500), {"message": said.get("message")})
                yield value["result"]

    @contextlib.contextmanager
    def _answer(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None,
        sent: Any,
        accept: str,
        seconds: float,
        all_good: bool = False,
    ) -> Iterator[http.client.HTTPResponse]:
        connection = self._connection(seconds)
        target = self.where.base + path
        if asked := {name: value for name, value in (query or {}).items() if value not in ("", None, False)}:
            target += "?" + urlencode({name: "true" if value is True else value for name, value in asked.items()})
        headers = {
            "Authorization": f"Bearer {self._token}",
            "Accept": accept,
            "User-Agent": f"syncd/{__version__}",
        }
        if user := _user():
            headers["X-Syncd-By"] = user
        body = None
        if method != "GET":
            body = json.dumps(sent if sent is not None else {}).encode()
            headers["Content-Type"] = "application/json"
        try:
            try:
                connection.request(method, target, body=body, headers=headers)
                response = connection.getresponse()
            except (OSError, http.client.HTTPException) as error:
                raise self._silent(error) from None
            if response.status != 200 and not all_good:
                raise _error(response.status, _parsed(self._read(response)), response.getheader("Retry-After"))
            yield response
        finally:
            connection.close()

    def _connection(self, seconds: float) -> http.client.HTTPConnection:
        where = self.where
        if where.socket is not None:
            return _UnixConnection(where.socket, seconds)
        if where.secure:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(where.host, where.port, timeout=seconds, context=context)
        return http.client.HTTPConnection(where.host, where.port, timeout=seconds)

    def _read(self, response: http.client.HTTPResponse) -> bytes:
        try:
            data = response.read(_MOST_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise self._silent(error) from None
        return data

    def _silent(self, error: Exception) -> errors.Unreachable:
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return errors.Unreachable(f"{self.where} does not answer ({said}){self._remedy}")


def segment(text: str) -> str:
    """A name as a segment of a path."""
    return quote(text, safe="@:")


def _user() -> str:
    name = os.environ.get("USER") or os.environ.get("LOGNAME") or ""
    return name if name.isascii() and name.isprintable() and " " not in name and len(name) <= 64 else ""


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {}


def _error(status: int, said: Mapping[str, Any], retry_after: str | None = None) -> errors.SyncdError:
    """The error that the daemon meant."""
    message = str(said.get("message") or f"the server answers {status} without a word; is this a syncd?")
    reason = str(said.get("reason") or "")
    if reason == "Invalid":
        return errors.Invalid(message, [problem_of(item) for item in said.get("problems") or ()])
    if reason == "Unreachable" or status in (502, 503, 504):
        seconds = float(retry_after) if retry_after and retry_after.isdigit() else None
        return errors.Unreachable(message, seconds)
    kind = _OF_REASON.get(reason) or _OF_STATUS.get(status) or (errors.Defect if status >= 500 else errors.Invalid)
    return kind(message)


def problem_of(item: Mapping[str, Any]) -> Problem:
    """A Problem out of its JSON."""
    return Problem(
        Place(str(item.get("file") or ""), int(item.get("line") or 0), int(item.get("column") or 0)),
        str(item.get("code") or ""),
        str(item.get("message") or ""),
        Severity.WARNING if item.get("severity") == Severity.WARNING else Severity.ERROR,
        str(item.get("object") or ""),
        str(item.get("path") or ""),
        str(item.get("remedy") or ""),
    )
