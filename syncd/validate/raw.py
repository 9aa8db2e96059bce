"""Reading a raw body without trusting it: each function answers for a value of any type, and never raises.

The rules run on bodies that may be malformed (`rules.structure` says so); here a wrong type reads as nothing.
"""

from __future__ import annotations

import re
from typing import Any, Final

from syncd.argo.manifest import Body, Path

_EMPTY: Final[Body] = {}

TAG: Final = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
"""A tag as Argo's fasttemplate finds it: to the nearest end, whatever is inside."""

_NESTED: Final = re.compile(r"\{\{((?:[^{}]*\{\{[^{}]*\}\})+[^{}]*)\}\}")
"""A tag with tags in it: Argo replaces the inner ones first."""

UNCLOSED: Final = "{{"
"""What `tags` puts before the text behind a `{{` that never ends: no tag can begin like this."""

MAX_TAGS: Final = 5000
"""Tags looked at in one template: more are not written by people."""


def mapping(value: object) -> Body:
    """The mapping, or an empty one."""
    return value if type(value) is dict else _EMPTY


def mappings(value: object) -> list[tuple[int, Body]]:
    """The mappings in a list, with their index."""
    if type(value) is not list:
        return []
    return [(index, item) for index, item in enumerate(value) if type(item) is dict]


def items(value: object) -> list[Any]:
    """The list, or an empty one."""
    return value if type(value) is list else []


def text(value: object) -> str:
    """The string, or "" (as Go reads an absent one)."""
    return value if type(value) is str else ""


def scalar(value: object) -> str | None:
    """A scalar as Argo's AnyString turns it into text; None = absent or no scalar.

    >>> scalar(True), scalar(1.50), scalar(3), scalar("x"), scalar([])
    ('true', '1.5', '3', 'x', None)
    """
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value) if abs(value) < 10**300 else ""
        case float():
            return str(int(value)) if value.is_integer() and abs(value) < 1e21 else repr(value)
        case _:
            return None


def strings(value: object) -> list[str]:
    """The strings of a list of strings."""
    return [item for item in value if type(item) is str] if type(value) is list else []


def present(value: object) -> bool:
    """Whether Go's decoder would have set a pointer: anything but null."""
    return value is not None


def tagged(value: object, path: Path, found: list[tuple[Path, str]]) -> None:
    """Append every string in `value` that holds `{{`, keys of mappings included, with its path."""
    if type(value) is str:
        if "{{" in value:
            found.append((path, value))
    elif type(value) is dict:
        for key, item in value.items():
            if type(item) is str:
                if "{{" in item:
                    found.append(((*path, key), item))
            elif type(item) is dict or type(item) is list:
                tagged(item, (*path, key), found)
            if "{{" in key:
                found.append(((*path, key), key))
    elif type(value) is list:
        for index, item in enumerate(value):
            if type(item) is str:
                if "{{" in item:
                    found.append(((*path, index), item))
            elif type(item) is dict or type(item) is list:
                tagged(item, (*path, index), found)


def tags(value: object, path: Path) -> list[tuple[Path, str]]:
    """Every tag in `value`, verbatim without its braces, `{{=…}}` ones with their `=`, in the order of the body.

    A tag with others in it comes as a whole; these others are known to be names, and are not given again.
    """
    places: list[tuple[Path, str]] = []
    tagged(value, path, places)
    found: list[tuple[Path, str]] = []
    for place, string in places:
        if string.count("{{") > 1 and (nested := _NESTED.findall(string)):
            found += [(place, tag) for tag in nested]
            string = _NESTED.sub("", string)
        found += [(place, tag) for tag in TAG.findall(string)]
        if string.rfind("{{") > string.rfind("}}"):
            found.append((place, UNCLOSED + string[string.rfind("{{") + 2 :]))
        if len(found) > MAX_TAGS:
            break
    return found
