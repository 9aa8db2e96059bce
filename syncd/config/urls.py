"""URLs of git repositories: what is allowed, and one spelling for each. Text in, text out; `load` and `vcs.door` call it.

Everything that git would read as a program, an option or another transport is refused before git sees it
(`ext::`, `--upload-pack=`, `-oProxyCommand`, control characters: see CVE-2017-1000117, -2020-5260, -2022-24439).
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

_SCP: Final = re.compile(
    r"(?:(?P<user>[A-Za-z0-9._][A-Za-z0-9._-]*)@)?(?P<host>[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9a-fA-F:.]+\]):(?P<path>[^:].*)\Z"
)
_HOST: Final = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9.])?|\[[0-9a-fA-F:.]+\])\Z")
_USER: Final = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._@+-]*\Z")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


def normalise(url: str, *, allow_file: bool = False, allow_http: bool = False) -> str:
    """The one spelling of a git URL. Raises ValueError saying what is wrong, never quoting a password.

    allow_file: also file:// and absolute paths, for what the operator named; allow_http: also http://.

    >>> normalise("git@Example.org:team/repo.git")
    'ssh://git@example.org/team/repo.git'
    >>> normalise("HTTPS://example.org/a.git")
    'https://example.org/a.git'
    """
    if not url or len(url) > 2048:
        raise ValueError("url is empty" if not url else "url is longer than 2048 characters")
    if any(
        ord(c) < 0x21 or ord(c) == 0x7F or 0x80 <= ord(c) < 0xA0
        for c in (url if not url.startswith("/") else url.replace(" ", "_"))
    ):
        raise ValueError("url holds a space or control character")
    if not url.isprintable():
        raise ValueError("url holds a character that cannot be shown")
    if url.startswith("-"):
        raise ValueError("url begins with `-`")
    if "::" in url and "[" not in url:
        raise ValueError("url names a helper program (`::`), which is not allowed")
    if url.startswith("/"):
        if not allow_file:
            raise ValueError("a local path is not allowed here; write an https:// or ssh:// url")
        return url
    if "://" not in url:
        return _from_scp(url)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("url cannot be read; write https://host/path or ssh://user@host/path") from None
    scheme = parts.scheme.lower()
    if scheme == "file":
        return _file(parts.netloc, parts.path, allow_file)
    if scheme == "http" and not allow_http:
        raise ValueError(
            "http:// is not allowed: anybody on the way can change what is fetched; write https://, or set allowHttp"
        )
    if scheme not in ("https", "ssh", "http"):
        raise ValueError(f"scheme {scheme[:20]}: is not allowed; known: https, ssh, file")
    if parts.query or parts.fragment:
        raise ValueError("url holds a query or fragment; write the ref as `ref`")
    if parts.password is not None:
        raise ValueError("url holds a password; put it into a file and name that as auth.passwordFile")
    host = parts.hostname or ""
    shown = f"[{host}]" if ":" in host else host
    if not _HOST.match(shown):
        raise ValueError("url has no valid host")
    if parts.username and not _USER.match(parts.username):
        raise ValueError("url has no valid user name")
    path = parts.path
    if not path.strip("/"):
        raise ValueError("url has no path")
    if path.startswith("/-") or "/../" in f"{path}/":
        raise ValueError("url has a path that begins with `-` or climbs with `..`")
    return f"{scheme}://{parts.username + '@' if parts.username else ''}{shown}{f':{port}' if port is not None else ''}{path}"


def _from_scp(url: str) -> str:
    match = _SCP.match(url)
    if match is None or (_SCHEME.match(url) and match["user"] is None and "/" not in url):
        raise ValueError("not a git url; write https://host/path, ssh://user@host/path or user@host:path")
    path = match["path"]
    if path.startswith("-") or "/../" in f"/{path}/":
        raise ValueError("url has a path that begins with `-` or climbs with `..`")
    user = match["user"] + "@" if match["user"] else ""
    # what holds for the long form holds for the short one
    return normalise(f"ssh://{user}{match['host'].lower()}/{path.lstrip('/')}")


def _file(host: str, path: str, allow_file: bool) -> str:
    if not allow_file:
        raise ValueError("file:// is not allowed here; write an https:// or ssh:// url")
    if host not in ("", "localhost") or not path.startswith("/"):
        raise ValueError("file:// takes an absolute path: file:///srv/repo.git")
    return f"file://{path}"


def name_of(place: str) -> str:
    """A source's name from its url or path: the last word of it, as a label may be.

    >>> name_of("https://example.org/team/Batch_Jobs.git"), name_of("/"), name_of("git@h:repo")
    ('batch-jobs', 'source', 'repo')
    """
    last = re.split(r"[/:]", place.rstrip("/"))[-1].removesuffix(".git")
    return re.sub(r"[^a-z0-9.]+", "-", last.lower())[:63].strip("-.") or "source"
