"""What each source owns, as ConfigMaps: implements `cluster.api.Inventory`. Used by `store`.

A record is one ConfigMap; a large one (offered Workflows carry their bodies) is compressed. The leader remembers what it read:
it is the only one that writes, and a write on a stale reading is refused by its version.
"""

from __future__ import annotations

import base64
import builtins
import gzip
import hashlib
import re
from typing import Final

import orjson

from syncd.argo.manifest import Body
from syncd.base.errors import Unsupported
from syncd.cluster.kube.maps import MOST_BYTES, Maps

_PLAIN: Final = 200_000  # bytes of a record that people can still read
_PLAIN_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(/[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_LONGEST_NAME: Final = 120  # a ConfigMap's may have 253, with the installation's


class KubeInventory:
    """acting: as `ledger.KubeLedger` has it."""

    def __init__(self, maps: Maps, installation: str) -> None:
        self._maps = maps
        self._installation = installation
        self._known: dict[str, tuple[Body | None, str]] = {}  # record and version, by name of the record
        self._complete = False
        self.acting = False

    def forget(self) -> None:
        """What was read may not be true any more."""
        self._known.clear()
        self._complete = False

    async def inventory(self, source: str) -> Body | None:
        if not self.acting:
            return self._read(await self._maps.get(self._name(source)))[0]
        if source not in self._known:
            self._known[source] = (None, "") if self._complete else self._read(await self._maps.get(self._name(source)))
        return self._known[source][0]

    async def save_inventory(self, source: str, record: Body) -> None:
        text = orjson.dumps(record)
        data: dict[str, str | None] = {"name": source, "record": text.decode()}
        more: dict[str, str | None] = {"record.gz": None}
        if len(text) > _PLAIN:
            packed = base64.b64encode(gzip.compress(text, 6, mtime=0)).decode()
            if len(packed) > MOST_BYTES:
                raise Unsupported(
                    f"what source {source.partition('/')[0]} owns does not fit into a ConfigMap ({len(packed)} bytes); "
                    "split the source, or leave large Workflows out of it"
                )
            data, more = {"name": source, "record": None}, {"record.gz": packed}
        known = self._known.get(source)
        if known is None or not self.acting:
            known = self._read(await self._maps.get(self._name(source)))
        try:
            changed = {"data": _kept(data, known[1]), "binaryData": _kept(more, known[1])}
            version = await self._maps.save(self._name(source), changed, known[1])
        except BaseException:
            self._known.pop(source, None)
            self._complete = False  # whether it was written is not known
            raise
        self._known[source] = (orjson.loads(text), version)

    async def inventories(self) -> builtins.list[str]:
        found = await self._maps.list()
        self._known = {str((body.get("data") or {}).get("name")): self._read(body) for body in found.values()}
        self._complete = True
        return sorted(self._known)

    async def forget_inventory(self, source: str) -> None:
        await self._maps.delete(self._name(source))
        self._known.pop(source, None)

    def _read(self, body: Body | None) -> tuple[Body | None, str]:
        if body is None:
            return None, ""
        name = body["metadata"]["name"]
        packed = (body.get("binaryData") or {}).get("record.gz")
        text = (body.get("data") or {}).get("record")
        try:
            if packed is not None:
                record = orjson.loads(gzip.decompress(base64.b64decode(packed)))
            else:
                record = orjson.loads(text or "null")
        except (ValueError, OSError, EOFError) as error:
            raise Unsupported(
                f"ConfigMap {name} is no inventory of syncd any more ({error}); restore it, or delete it: "
                "then nothing that the source owned is pruned"
            ) from None
        return (record if isinstance(record, dict) else None), str(body["metadata"]["resourceVersion"])

    def _name(self, source: str) -> str:
        """Of the ConfigMap: `examples/objects/1d` is `examples.objects.1d`; what would be no name, or could be another's, is
        told apart by a hash."""
        plain = source.replace("/", ".")
        if _PLAIN_NAME.fullmatch(source) is None or len(plain) > _LONGEST_NAME:
            slug = re.sub(r"[^a-z0-9]+", "-", source.lower()).strip("-")[:_LONGEST_NAME]
            plain = f"{slug or 'source'}.x-{hashlib.sha256(source.encode()).hexdigest()[:12]}"
        return f"{self._installation}-inventory-{plain}"


def _kept(data: dict[str, str | None], version: str) -> dict[str, str | None]:
    """A patch removes by null; a new map must have none."""
    return data if version else {name: value for name, value in data.items() if value is not None}
