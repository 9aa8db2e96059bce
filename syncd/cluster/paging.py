"""The token between two pages of a list: opaque to callers, the place (namespace, name) of the last item to us.

Because it names a place and not a snapshot it never goes stale: objects made or deleted between two pages show or
not, none of the others is listed twice or left out. Used by `cluster.memory` and `cluster.embedded`.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from syncd.argo.manifest import Body
from syncd.base.errors import Expired


def encode(last: Body) -> str:
    """The token of the page behind `last`."""
    metadata: dict[str, Any] = last["metadata"]
    place = f"{metadata.get('namespace') or ''}/{metadata['name']}"
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def decode(token: str) -> tuple[str, str]:
    """(namespace, name) behind which to go on. Raises Expired for a token that is not ours.

    >>> decode(encode({"metadata": {"namespace": "ci", "name": "base"}}))
    ('ci', 'base')
    """
    try:
        text = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        text = ""
    namespace, slash, name = text.partition("/")
    if not slash:
        raise Expired(f"page token {token[:40]!r} is not one of this store; list again")
    return namespace, name
