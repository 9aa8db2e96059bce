"""Artifacts of HTTP servers: GET to load, PUT to save, DELETE to delete, as Argo's http artifact.

Only http and https, redirects included; credentials are not sent on to another server; no proxy password, no URL with
user info gets into a message. Blocking, by the standard library: one request an artifact needs no connection pool.
"""

from __future__ import annotations

import base64
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, Any, Final

from syncd.artifacts.api import Access, Location
from syncd.base.errors import Invalid, NotFound, Refused, SyncdError, Unreachable, Unsupported

_TIMEOUT: Final = 60.0
_PIECE: Final = 1 << 18
_SCHEMES: Final = ("http", "https")


class _SameServer(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https only, and leaves every header of ours behind when the server changes."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        if urllib.parse.urlsplit(newurl).scheme not in _SCHEMES:
            raise Refused(f"{shown(req.full_url)} redirects to something that is neither http nor https")
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        if request is not None and _server(newurl) != _server(req.full_url):
            request.headers.clear()
        return request


class Http:
    """Implements `api.Driver`."""

    def __init__(self) -> None:
        self._opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.ProxyHandler(),
            urllib.request.HTTPHandler(),
            urllib.request.HTTPSHandler(),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPErrorProcessor(),
            _SameServer(),
        ):
            self._opener.add_handler(handler)

    def load(self, location: Location, target: Path, access: Access) -> None:
        """Download to `target`."""
        size = 0
        with target.open("xb") as file:
            for piece in self.open(location, access):
                size += len(piece)
                if size > access.caps.bytes:
                    raise Invalid(f"{shown(str(location.get('url')))} is larger than {access.caps.bytes} bytes")
                file.write(piece)

    def save(self, source: Path, location: Location, access: Access) -> None:
        """Upload by PUT."""
        if source.is_dir():
            raise Unsupported("an http artifact cannot be a folder; leave out `archive: none`")
        with source.open("rb") as file:
            request = self._request("PUT", location, access)
            request.data = file
            request.add_header("Content-Length", str(os.fstat(file.fileno()).st_size))
            request.add_header("Content-Type", "application/octet-stream")
            self._send(request).close()

    def open(self, location: Location, access: Access) -> Iterator[bytes]:
        """The body in pieces."""
        response = self._send(self._request("GET", location, access))

        def pieces() -> Iterator[bytes]:
            with closing(response):
                try:
                    while piece := response.read(_PIECE):
                        yield piece
                except (OSError, HTTPException) as error:
                    raise Unreachable(f"{shown(str(location.get('url')))}: {error}") from error

        return pieces()

    def delete(self, location: Location, access: Access) -> None:
        """DELETE; a 404 is as good."""
        try:
            self._send(self._request("DELETE", location, access)).close()
        except NotFound:
            return

    def _request(self, method: str, location: Location, access: Access) -> urllib.request.Request:
        url = str(location.get("url", ""))
        try:
            parts = urllib.parse.urlsplit(url)
            host = parts.hostname
        except ValueError:
            host, parts = None, urllib.parse.urlsplit("")
        if parts.scheme not in _SCHEMES or not host or not url.isprintable() or " " in url:
            raise Invalid(f"http artifact: url {shown(url)!r} must be an http or https address")
        request = urllib.request.Request(url, method=method)  # noqa: S310 - the scheme was looked at
        request.add_header("User-Agent", "syncd")
        for header in location.get("headers") or ():
            name, value = str(header.get("name", "")), header.get("value")
            if value is None:
                value = access.value((header.get("valueFrom") or {}).get("secretKeyRef"))
            if not name.isprintable() or not str(value or "").isprintable():
                raise Invalid(f"http artifact: header {name!r} holds control characters")
            request.add_header(name, str(value or ""))
        auth = location.get("auth") or {}
        if basic := auth.get("basicAuth"):
            pair = (
                f"{access.value(basic.get('usernameSecret')) or ''}:{access.value(basic.get('passwordSecret')) or ''}"
            )
            request.add_unredirected_header("Authorization", "Basic " + base64.b64encode(pair.encode()).decode())
        for other in ("oauth2", "clientCert"):
            if auth.get(other):
                raise Unsupported(f"http artifact: auth.{other} is not supported; use basicAuth or headers")
        return request

    def _send(self, request: urllib.request.Request) -> Any:
        try:
            return self._opener.open(request, timeout=_TIMEOUT)
        except urllib.error.HTTPError as error:
            with closing(error):
                raise _answer(request, error.code) from None
        except SyncdError:
            raise
        except (OSError, HTTPException, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise Unreachable(f"{shown(request.full_url)}: {reason}") from error


def shown(url: str) -> str:
    """A URL for people: no user info, no query, which may hold a signature.

    >>> shown("https://me:secret@example.com/a?sig=1")
    'https://example.com/a'
    """
    try:
        parts = urllib.parse.urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "(not a url)"
    return f"{parts.scheme}://{host}{port}{parts.path}"[:300]


def _server(url: str) -> tuple[str, str | None, int | None]:
    parts = urllib.parse.urlsplit(url)
    return parts.scheme, parts.hostname, parts.port


def _answer(request: urllib.request.Request, code: int) -> SyncdError:
    text = f"{request.get_method()} {shown(request.full_url)}: status {code}"
    if code in (404, 410):
        return NotFound(text)
    if code in (401, 403, 407):
        return Refused(text + "; check auth and headers of the artifact")
    if code in (408, 425, 429) or code >= 500:
        return Unreachable(text)
    return Invalid(text)
