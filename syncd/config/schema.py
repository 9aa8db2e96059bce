"""The table of knobs as JSON Schema (draft 7): `of(Config)` is `config` in the chart's values. Called by `charts/schema.py`.

What passes the schema is read by `load`, but for what lies between two knobs (a lease longer than the grace, two sources of
one name) and for what only code can judge (a git URL); the tests hold the two against each other. The schema is stricter in
few places, so that its messages can be read and no number is out of range: durations go without µs and ns and with at most
five digits, `ref` names one way to a commit, and an interval begins with a whole second, minute, hour or day.

Nothing is referred to by `$ref`, and no branch is an `anyOf` where a list of types says it: Helm's message then names the
place and the one thing that is wrong.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

from syncd.config import describe
from syncd.config.model import Auth, Config, Kubernetes, Listen, Prune, Ref, Source, camel

_PART: Final = r"[0-9]{1,5}(\.[0-9]{1,3})?(ms|s|m|h)"

DURATION: Final = rf"^([0-9]{{1,4}}(\.[0-9]{{1,3}})?d|({_PART}){{1,6}})$"
"""30s, 1h30m, 7d."""

LONG: Final = rf"^([1-9][0-9]{{0,3}}(\.[0-9]{{1,3}})?d|[1-9][0-9]{{0,4}}(\.[0-9]{{1,3}})?(s|m|h)({_PART}){{0,5}})$"
"""A second at least."""

SIZE: Final = r"^([0-9]{1,18}|([0-9]{1,6}(\.[0-9]{0,3})?|\.[0-9]{1,3})([kMGT]|[KMGT]i))$"
"""3Mi, 1Gi, 1024."""

TEXT: Final = r"^[^\n\x00]*$"
"""One line."""

NAME: Final = r"^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$"
"""Of a source, or of a namespace."""

_NAMES: Final = {"pattern": NAME, "items": {"pattern": NAME}}

MORE: Final[dict[tuple[type, str], Mapping[str, Any]]] = {
    (Source, "name"): {"pattern": NAME},
    (Source, "namespace"): {"pattern": NAME},
    (Source, "interval"): {"pattern": LONG},
    (Source, "timeout"): {"pattern": LONG},
    (Ref, "commit"): {"pattern": "^([0-9a-f]{40}|[0-9a-f]{64})$"},
    (Prune, "max_delete_fraction"): {"exclusiveMinimum": 0, "maximum": 1},
    (Listen, "port"): {"maximum": 65535},
    (Kubernetes, "namespaces"): _NAMES,
    (Kubernetes, "requests_in_flight"): {"minimum": 1},
}
"""What a knob's type does not say, and `load` checks: (table, field) → further keywords."""

WHOLE: Final[dict[type, Mapping[str, Any]]] = {
    Source: {"oneOf": [{"required": ["url"]}, {"required": ["path"]}]},
    Auth: {"dependencies": {"identityFile": ["knownHostsFile"]}},
    Ref: {"maxProperties": 1},
}
"""What holds between the knobs of one table."""

SHORT: Final = (Ref,)
"""Tables that may be written as a text."""


def of(cls: type[Any] = Config) -> dict[str, Any]:
    """The schema of one table of knobs: every knob with its type, meaning and default; no others.

    >>> of(Config)["properties"]["driftInterval"]["default"]
    '10m'
    """
    hints = typing.get_type_hints(cls)
    defaults = cls()
    properties = {}
    for field in dataclasses.fields(cls):
        written = {
            "description": str(field.metadata["meaning"]),
            **_kind(hints[field.name], bool(field.metadata["size"])),
        }
        default = _default(getattr(defaults, field.name), bool(field.metadata["size"]))
        if default is not None:
            written["default"] = default
        properties[camel(field.name)] = _merged(written, MORE.get((cls, field.name), {}))
    return {
        "type": ["object", "string"] if cls in SHORT else "object",
        "additionalProperties": False,
        "properties": properties,
        **WHOLE.get(cls, {}),
    }


def _kind(kind: Any, size: bool) -> dict[str, Any]:
    """What a value of this type looks like."""
    if size:
        return {"type": ["string", "integer"], "pattern": SIZE, "minimum": 0, "maximum": 10**18}
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        assert isinstance(kind, type)
        return of(kind)
    if origin is tuple:
        items = _kind(arguments[0], False)
        if arguments[0] is str:  # one text stands for a list of one, as in the file
            return {"type": ["array", "string"], "pattern": items["pattern"], "items": items}
        return {"type": "array", "items": items}
    if origin is not None and issubclass(origin, Mapping):
        inner = {} if arguments[1] is Any else {"additionalProperties": _kind(arguments[1], False)}
        return {"type": "object", **inner}
    if issubclass(kind, StrEnum):
        return {"type": "string", "enum": [str(member) for member in kind]}
    if kind is timedelta:
        return {"type": "string", "pattern": DURATION}
    if kind is bool:
        return {"type": "boolean"}
    if kind is str:
        return {"type": "string", "pattern": TEXT}
    return {"type": {int: "integer", float: "number"}[kind], "minimum": 0}


def _default(value: Any, size: bool) -> Any:
    """The default as the file writes it; None where a table or an empty value says nothing."""
    if dataclasses.is_dataclass(value) or value in ("", ()) or value == {}:
        return None
    if size or isinstance(value, timedelta):
        return describe.written(value, size)
    if isinstance(value, StrEnum):
        return str(value)
    return value


def _merged(schema: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """`more` put over `schema`, key by key."""
    merged = dict(schema)
    for key, value in more.items():
        merged[key] = _merged(merged[key], value) if isinstance(merged.get(key), dict) else value
    return merged
