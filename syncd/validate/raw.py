"""Reading a raw body without trusting it: each function answers for a value of any type, and never raises.

The rules run on bodies that may be malformed (`rules.structure` says so); here a wrong type reads as nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from syncd.argo.manifest import Body, Path

_EMPTY: Final[Body] = {}

UNCLOSED: Final = "{{"
"""What `tags` puts before the text behind a `{{` that never ends: no tag can begin like this."""

MAX_NESTED: Final = 300
"""Characters of a tag with others in it."""

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
        found += [(place, tag) for tag in in_text(string)]
        if len(found) > MAX_TAGS:
            break
    return found


def in_text(text: str) -> Iterator[str]:
    """The tags of one string, as `tags` gives them. Linear, whatever the text: no regular expression is.

    >>> list(in_text("{{a}} {{b.{{c}}.d}} {{=e}} {{f"))
    ['a', 'b.{{c}}.d', '=e', '{{f']
    """
    position = text.find("{{")
    while position >= 0:
        end = text.find("}}", position + 2)
        if end < 0:
            yield UNCLOSED + text[position + 2 :]
            return
        if text.find("{{", position + 2, end) >= 0 and (outer := _outer_end(text, position)) > 0:
            end = outer
        yield text[position + 2 : end]
        position = text.find("{{", end + 2)


def _outer_end(text: str, start: int) -> int:
    """Where the tag that begins at `start`, and has others in it, ends; 0 = nowhere near."""
    depth, position, limit = 1, start + 2, start + MAX_NESTED
    while depth:
        opening, closing = text.find("{{", position, limit), text.find("}}", position, limit)
        if closing < 0:
            return 0
        if 0 <= opening < closing:
            depth, position = depth + 1, opening + 2
        else:
            depth, position = depth - 1, closing + 2
    return position - 2


def replaced(text: str, replace: Callable[[str], str]) -> str:
    """`text` with what `replace` makes of each tag, tags taken to the nearest end as Argo's fasttemplate takes them."""
    pieces: list[str] = []
    done = 0
    while (start := text.find("{{", done)) >= 0 and (end := text.find("}}", start + 2)) >= 0:
        pieces += (text[done:start], replace(text[start + 2 : end]))
        done = end + 2
    return "".join(pieces) + text[done:]
