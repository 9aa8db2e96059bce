"""Artifacts written in the manifest itself: `raw: {data: …}`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from syncd.artifacts.api import Access, Location
from syncd.base.errors import Unsupported


class Raw:
    """Implements `api.Driver`; read only."""

    def load(self, location: Location, target: Path, access: Access) -> None:
        """The text, as UTF-8."""
        target.write_bytes(str(location.get("data", "")).encode())

    def save(self, source: Path, location: Location, access: Access) -> None:
        """Never: there is nowhere to write to."""
        raise Unsupported("a raw artifact cannot be an output; give it a key or another location")

    def open(self, location: Location, access: Access) -> Iterator[bytes]:
        """The text in one piece."""
        yield str(location.get("data", "")).encode()

    def delete(self, location: Location, access: Access) -> None:
        """Nothing to drop."""
