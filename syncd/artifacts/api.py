"""The contract of an artifact driver: bytes of a location to a path, and back.

A location is the object under the driver's name in Argo's artifact (`{"key": …}` of `s3: {"key": …}`), complete:
bucket, endpoint and references to secrets are in it, secrets are not. Drivers block and run in threads; they do not
retry (`store` does), and their errors say who must act: NotFound, Refused, Unreachable (retry), Invalid, Unsupported.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

Location = Mapping[str, Any]

ReadSecret = Callable[[str, str, str], str]
"""(namespace, secret, key) → value. Raises NotFound."""

ReadConfigMap = Callable[[str, str], Awaitable[Mapping[str, Any]]]
"""(namespace, name) → the ConfigMap's body. Raises NotFound."""


@dataclass(frozen=True, slots=True)
class Caps:
    """How much an artifact may be. bytes: unpacked, and of a download; files: entries of an archive or folder."""

    bytes: int = 10 * 1024**3
    files: int = 200_000


@dataclass(frozen=True, slots=True)
class Access:
    """On whose behalf a driver works: the namespace whose secrets it may read, and how much it may bring."""

    namespace: str
    secret: ReadSecret
    caps: Caps = Caps()

    def value(self, reference: Mapping[str, Any] | None) -> str | None:
        """The value of a `SecretKeySelector`; None = the location names none, or an optional one is absent."""
        if not reference or not reference.get("name"):
            return None
        return self.secret(self.namespace, str(reference["name"]), str(reference.get("key", "")))


class Driver(Protocol):
    """One kind of location."""

    def load(self, location: Location, target: Path, access: Access) -> None:
        """Write the object as file `target`, or, where the location is a folder of objects, as folder `target`.

        `target` does not exist before. NotFound: there is no such object. What was written of a failed load is left
        for the caller to remove.
        """

    def save(self, source: Path, location: Location, access: Access) -> None:
        """Put file or folder `source` (ours: no link in it leads anywhere) at the location, over what was there."""

    def open(self, location: Location, access: Access) -> Iterator[bytes]:
        """The object's bytes in pieces. NotFound before the first piece; a folder is Invalid."""

    def delete(self, location: Location, access: Access) -> None:
        """Drop the object or folder. Absent: nothing happens."""
