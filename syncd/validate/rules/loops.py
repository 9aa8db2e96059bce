"""withItems, withParam and withSequence of a step or task.

Source: Argo v4.1.2 workflow/validate/validate.go (addItemsToScope), workflow/controller/operator.go (expandSequence).
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from syncd.argo.manifest import Body
from syncd.validate import raw
from syncd.validate.scope import Items
from syncd.validate.template import Call

if TYPE_CHECKING:
    from syncd.validate.findings import Say

_NUMBER: Final = re.compile(r"[+-]?[0-9]+")
_FORMAT: Final = re.compile(r"%[-+# 0]*[0-9]*(?:\.[0-9]+)?[bcdoOqxXUvs]")


def merged(before: Items | None, now: Items) -> Items:
    """What `item` may be once `now` is in scope as well: in Argo's validator steps see the items of earlier steps."""
    if before is None:
        return now
    now.plain |= before.plain
    now.anything |= before.anything
    now.keys |= before.keys
    return now


def check(call: Call, prefix: str, say: Say) -> None:
    """That only one is used, and that what is written can be expanded."""
    body = call.body
    items, param, sequence = body.get("withItems"), raw.text(body.get("withParam")), body.get("withSequence")
    given = [
        name
        for name, used in (
            ("withItems", bool(raw.items(items))),
            ("withParam", bool(param)),
            ("withSequence", sequence is not None),
        )
        if used
    ]
    if len(given) > 1:
        message = f"{prefix} only one of withItems, withParam, withSequence can be specified"
        say("V330", (*call.path, given[1]), message, f"{' and '.join(given)} are given")
    if param and "{{" not in param:
        _literal(param, call, prefix, say)
    if type(sequence) is dict:
        _sequence(sequence, call, prefix, say)


def _literal(text: str, call: Call, prefix: str, say: Say) -> None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, list):
        path = (*call.path, "withParam")
        say(
            "V334",
            path,
            f"{prefix} withParam is neither a JSON list nor a variable",
            "write a JSON list, or use withItems",
        )


def _sequence(body: Body, call: Call, prefix: str, say: Say) -> None:
    path = (*call.path, "withSequence")
    count, end = body.get("count"), body.get("end")
    if count is not None and end is not None:
        say("V331", path, f"{prefix} only one of count or end can be defined in withSequence")
    elif count is None and end is None:
        say("V332", path, f"{prefix} withSequence must have count or end", "add count: or end:")
    for field in ("count", "start", "end"):
        value = body.get(field)
        if type(value) is str and "{{" not in value and not _NUMBER.fullmatch(value):
            say("V332", (*path, field), f"{prefix} withSequence.{field} '{value}' is not a whole number")
    form = raw.text(body.get("format"))
    if form and "{{" not in form and not _FORMAT.search(form.replace("%%", "")):
        message = f"{prefix} withSequence.format '{form}' has no place for the number"
        say("V332", (*path, "format"), message, "write it as in printf, for example testuser%02X")
