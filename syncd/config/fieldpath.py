"""Where in an object a field stands, as the configuration writes it: `spec.templates[0].name`, `spec.a["b.c/d"]`.

In: text. Out: the path, as `argo.manifest.Path`. `load` reports what is wrong with it, `loops.terms` makes a policy of it.
"""

from __future__ import annotations

import json
import re
from typing import Final

LONGEST: Final = 60
"""Steps of a path: deeper, two bodies are compared whole."""

_STEP = re.compile(r'(?:\.?(?P<name>[^.\[\]"\s]+)|\[(?P<index>[0-9]{1,6})\]|\[(?P<quoted>"(?:[^"\\]|\\.)*")\])')
_OWN_PREFIX: Final = "syncd.io/"


def parse(text: str) -> tuple[str | int, ...]:
    """The path that `text` writes. Raises ValueError saying what is wrong with it.

    A name with a dot, a bracket or a space is written in brackets and quotes, as JSON does. Of metadata, only single labels and
    annotations are compared at all, hence only these may be named.

    >>> parse('metadata.labels["app.kubernetes.io/name"]')
    ('metadata', 'labels', 'app.kubernetes.io/name')
    >>> parse("spec.templates[0].name")
    ('spec', 'templates', 0, 'name')
    """
    path: list[str | int] = []
    at = 0
    while at < len(text):
        found = _STEP.match(text, at)
        if found is None or (found["name"] is not None and (found[0][0] == ".") != bool(path)):
            raise ValueError(f"cannot be read from character {at + 1} on")
        if found["quoted"] is not None:
            try:
                path.append(json.loads(found["quoted"]))
            except ValueError:
                raise ValueError(f"cannot be read from character {at + 1} on") from None
        else:
            path.append(int(found["index"]) if found["index"] is not None else found["name"])
        at = found.end()
    _check(path)
    return tuple(path)


def _check(path: list[str | int]) -> None:
    """Raises ValueError where ignoring the field would mean nothing, or too much."""
    if not path or not isinstance(path[0], str):
        raise ValueError("does not begin with the name of a field")
    if len(path) > LONGEST:
        raise ValueError(f"has more than {LONGEST} steps")
    if path[0] in ("apiVersion", "kind", "status"):
        raise ValueError(f"{path[0]} is never compared")
    if path[0] == "metadata":
        if len(path) != 3 or path[1] not in ("labels", "annotations") or not isinstance(path[2], str):
            raise ValueError("of metadata only single labels and annotations are compared")
        if path[2].startswith(_OWN_PREFIX):
            raise ValueError(f"what begins with {_OWN_PREFIX} is syncd's own")
