"""Artifacts in S3 and what speaks its language, by obstore, configured as Argo's `s3` location.

A location holds bucket, key, endpoint (`host[:port]`, no scheme), insecure, region, accessKeySecret, secretKeySecret,
sessionTokenSecret, addressingStyle, createBucketIfNotPresent. Without endpoint it is AWS; without secrets the
machine's own credentials (`useSDKCreds`, environment, instance) are used. A key without an object of that name is
looked for as a folder of objects.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import obstore
from obstore import exceptions
from obstore.store import S3Store

from syncd.artifacts.api import Access, Location
from syncd.base.errors import Invalid, NotFound, Refused, SyncdError, Unreachable, Unsupported

_PIECE: Final = 8 * 1024 * 1024
_LIST: Final = 1000
_ABSENT: Final = (FileNotFoundError, exceptions.NotFoundError)


class S3:
    """Implements `api.Driver`. A client is made per call: obstore's pool lives in its runtime."""

    def load(self, location: Location, target: Path, access: Access) -> None:
        """The object, or the folder of objects, of the key."""
        store, key = _store(location, access), _key(location)
        with _errors(location):
            try:
                found = obstore.get(store, key)
            except _ABSENT:
                self._load_folder(store, key, target, access)
                return
            if found.meta["size"] > access.caps.bytes:
                raise Invalid(f"s3 object {key!r} has {found.meta['size']} bytes, more than {access.caps.bytes}")
            with target.open("xb") as file:
                for piece in found.stream(min_chunk_size=_PIECE):
                    file.write(piece)

    def _load_folder(self, store: S3Store, key: str, target: Path, access: Access) -> None:
        prefix = key.rstrip("/") + "/"
        names: list[tuple[str, int]] = []
        for batch in obstore.list(store, prefix=prefix, chunk_size=_LIST):
            names += [(str(item["path"]), int(item["size"])) for item in batch]
            if len(names) > access.caps.files:
                raise Invalid(f"s3 folder {key!r} has more than {access.caps.files} objects")
        if not names:
            raise NotFound(f"s3 object {key!r} not found in the bucket")
        if sum(size for _, size in names) > access.caps.bytes:
            raise Invalid(f"s3 folder {key!r} is larger than {access.caps.bytes} bytes")
        target.mkdir()
        for name, _ in names:
            parts = name.removeprefix(prefix).split("/")
            if any(part in ("", ".", "..") or "\0" in part for part in parts):
                raise Invalid(f"s3 object {name!r} cannot be a file of a folder")
            path = target.joinpath(*parts)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                for piece in obstore.get(store, name).stream(min_chunk_size=_PIECE):
                    file.write(piece)

    def save(self, source: Path, location: Location, access: Access) -> None:
        """Put the file, or each file of the folder below the key."""
        store, key = _store(location, access), _key(location)
        with _errors(location):
            if location.get("createBucketIfNotPresent") is not None:
                _make_bucket(store)
            if not source.is_dir():
                obstore.put(store, key, source)
                return
            for path in sorted(p for p in source.rglob("*") if p.is_file() and not p.is_symlink()):
                obstore.put(store, f"{key.rstrip('/')}/{path.relative_to(source).as_posix()}", path)

    def open(self, location: Location, access: Access) -> Iterator[bytes]:
        """The object in pieces."""
        store, key = _store(location, access), _key(location)
        with _errors(location):
            found = obstore.get(store, key)

        def pieces() -> Iterator[bytes]:
            with _errors(location):
                for piece in found.stream(min_chunk_size=_PIECE):
                    yield bytes(piece)

        return pieces()

    def delete(self, location: Location, access: Access) -> None:
        """Delete the object and what lies below the key."""
        store, key = _store(location, access), _key(location)
        with _errors(location):
            names = [key]
            for batch in obstore.list(store, prefix=key.rstrip("/") + "/", chunk_size=_LIST):
                names += [str(item["path"]) for item in batch]
            try:
                obstore.delete(store, names)
            except _ABSENT:
                return


def _key(location: Location) -> str:
    key = str(location.get("key") or "")
    if not key or len(key.encode()) > 1024 or "\0" in key:
        raise Invalid("s3 artifact has no usable key; set s3.key")
    return key.lstrip("/")


def _store(location: Location, access: Access) -> S3Store:
    bucket = str(location.get("bucket") or "")
    if not bucket:
        raise Invalid("s3 artifact has no bucket; set s3.bucket, or configure an artifact repository")
    for name in ("roleARN", "encryptionOptions", "caSecret"):
        if location.get(name):
            raise Unsupported(f"s3.{name} is not supported in embedded mode; remove it")
    options: dict[str, Any] = {"region": str(location.get("region") or "us-east-1")}
    client: dict[str, Any] = {"timeout": timedelta(minutes=30), "connect_timeout": timedelta(seconds=10)}
    if endpoint := str(location.get("endpoint") or ""):
        if "://" not in endpoint and endpoint not in ("s3.amazonaws.com", ""):
            endpoint = ("http://" if location.get("insecure") else "https://") + endpoint
        if "://" in endpoint:
            if not endpoint.startswith(("http://", "https://")) or "@" in endpoint or not endpoint.isprintable():
                raise Invalid("s3.endpoint must be host[:port]")
            options["endpoint"] = endpoint
            client["allow_http"] = endpoint.startswith("http://")
    options["virtual_hosted_style_request"] = location.get("addressingStyle") == "virtual-hosted"
    pairs = (
        ("access_key_id", "accessKeySecret"),
        ("secret_access_key", "secretKeySecret"),
        ("session_token", "sessionTokenSecret"),
    )
    for option, name in pairs:
        if (value := access.value(location.get(name))) is not None:
            options[option] = value
    retry: Any = {"max_retries": 2, "retry_timeout": timedelta(seconds=20)}
    return S3Store(bucket, client_options=client, retry_config=retry, **options)  # type: ignore[arg-type]


def _make_bucket(store: S3Store) -> None:
    """PUT the bucket itself: the one call that obstore has no word for, so it signs and we send."""
    url = obstore.sign(store, "PUT", "", timedelta(minutes=5))
    request = urllib.request.Request(url, method="PUT", data=b"")  # noqa: S310 - made from our own endpoint
    try:
        urllib.request.urlopen(request, timeout=30).close()  # noqa: S310
    except urllib.error.HTTPError as error:
        with error:
            if error.code != 409:
                raise Refused(
                    f"the server refuses to make the bucket (status {error.code}); make it by hand and leave out "
                    "createBucketIfNotPresent, or check accessKeySecret and secretKeySecret"
                ) from None
    except OSError as error:
        raise Unreachable(f"bucket cannot be created: {getattr(error, 'reason', 'no answer')}") from None


@contextmanager
def _errors(location: Location) -> Iterator[None]:
    """obstore's errors as ours. Its texts are cut at the first line: the rest may quote requests."""
    where = f"s3 {location.get('bucket')}/{location.get('key')}"
    try:
        yield
    except SyncdError:
        raise
    except _ABSENT as error:
        raise NotFound(f"{where}: not found") from error
    except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
        raise Refused(
            f"{where}: the server refuses the credentials; check accessKeySecret and secretKeySecret"
        ) from error
    except (exceptions.InvalidPathError, exceptions.NotSupportedError) as error:
        raise Invalid(f"{where}: {_first_line(error)}") from error
    except (exceptions.BaseError, OSError) as error:
        raise Unreachable(f"{where}: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    text = str(error).strip().partition("\n")[0]
    return text.partition("X-Amz-")[0][:300]
