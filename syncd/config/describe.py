"""The table of knobs as people read it: `markdown()` is docs/config.md. Called by the generator of the docs."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any

from syncd.base import units
from syncd.config.model import Config, camel


def rows(cls: Any = Config, prefix: str = "") -> Iterator[tuple[str, str, str, str]]:
    """(name, type, default, meaning) of every knob, in the order of the table; `sources[].url` for those of a list."""
    hints = typing.get_type_hints(cls)
    defaults = cls()
    for field in dataclasses.fields(cls):
        name = prefix + camel(field.name)
        kind = hints[field.name]
        default = getattr(defaults, field.name)
        size = bool(field.metadata["size"])
        yield name, _type(kind, size), written(default, size), str(field.metadata["meaning"])
        inner = typing.get_args(kind)[0] if typing.get_origin(kind) is tuple else kind
        if dataclasses.is_dataclass(inner):
            yield from rows(inner, f"{name}[]." if inner is not kind else f"{name}.")


def markdown() -> str:
    """The page: one table, one row per knob."""
    lines = [
        "# Configuration",
        "",
        "Generated from `syncd/config/model.py`. The file is YAML; every knob outside `sources` that is a single value can",
        "be set in the environment as well, which wins: `SYNCD_LISTEN_PORT=8080` is `listen.port`.",
        "",
        "| knob | type | default | meaning |",
        "|---|---|---|---|",
    ]
    for name, kind, default, meaning in rows():
        cells = (f"`{name}`", kind, f"`{default}`" if default else "", meaning)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _type(kind: Any, size: bool) -> str:
    if size:
        return "size"
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple:
        return f"list of {_type(arguments[0], False)}"
    if (origin is not None and issubclass(origin, Mapping)) or dataclasses.is_dataclass(kind):
        return "mapping"
    if issubclass(kind, StrEnum):
        return " or ".join(kind)
    return {timedelta: "duration", bool: "true or false", int: "whole number", float: "number", str: "text"}[kind]


def written(value: Any, size: bool) -> str:
    """A default as the file writes it; "" where it says nothing. size: bytes.

    >>> written(timedelta(hours=1, minutes=30), False), written(3 * 2**20, True)
    ('1h30m', '3Mi')
    """
    if dataclasses.is_dataclass(value) or value in ("", ()) or value == {}:
        return ""
    if size:
        for unit, scale in (("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10)):
            if value % scale == 0:
                return f"{value // scale}{unit}"
    if isinstance(value, timedelta):
        if value >= timedelta(days=1) and value % timedelta(days=1) == timedelta(0):
            return f"{value.days}d"
        text = units.go_duration(value)
        return text.removesuffix("0s") if text.endswith("m0s") else text
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
