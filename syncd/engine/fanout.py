"""Loops: the items of withItems, withParam and withSequence, what each is called, and what `{{item}}` reads.

Source: Argo v4.1.2 operator.go expandSequence, processItem, generateNodeName; item.go.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from syncd.argo import template
from syncd.base.errors import Invalid

MAX_ITEMS = 100_000
"""A loop over more is refused: nobody means it, and a commit must not be able to fill the store."""

_VERB = re.compile(r"%(?P<flags>[-+# 0]*)(?P<width>[0-9]*)(?P<precision>\.[0-9]+)?(?P<verb>[a-zA-Z%])")


def items(step: Mapping[str, Any]) -> list[Any]:
    """The items of a loop whose own tags are replaced. Raises Invalid with Argo's message."""
    if step.get("withItems"):
        found = step["withItems"]
        if not isinstance(found, list):
            raise Invalid(f"withItems must be a list, not {template.compact(found)[:100]}")
        return _capped(found)
    if step.get("withParam"):
        text = template.any_string(step["withParam"])
        try:
            found = template.read_json(text)
        except Invalid as error:
            raise Invalid(
                f"withParam value could not be parsed as a JSON list: {text.strip()[:1000]}: {error}"
            ) from None
        if found is None:
            return []
        if not isinstance(found, list):
            raise Invalid(f"withParam value could not be parsed as a JSON list: {text.strip()[:1000]}")
        return _capped(found)
    return list(sequence(step["withSequence"]))


def _capped(found: list[Any]) -> list[Any]:
    if len(found) > MAX_ITEMS:
        raise Invalid(f"the loop has {len(found)} items; at most {MAX_ITEMS} are run")
    return found


def sequence(spec: Mapping[str, Any]) -> list[str]:
    """The items of a withSequence.

    >>> sequence({"start": "3", "end": 1})
    ['3', '2', '1']
    >>> sequence({"count": 2, "format": "n%02X"})
    ['n00', 'n01']
    """
    start = _whole(spec.get("start") or 0, "start")
    if spec.get("end") is not None:
        end = _whole(spec["end"], "end")
    elif spec.get("count") is not None:
        count = _whole(spec["count"], "count")
        if count == 0:
            return []
        end = start + count - 1
    else:
        raise Invalid("neither end nor count was specified in withSequence")
    if abs(end - start) >= MAX_ITEMS:
        raise Invalid(f"the sequence has {abs(end - start) + 1} items; at most {MAX_ITEMS} are run")
    numbers = range(start, end + 1) if start <= end else range(start, end - 1, -1)
    text = str(spec.get("format") or "")
    return [printf(text, n) if text else str(n) for n in numbers]


def _whole(value: Any, name: str) -> int:
    found = template.number(value)
    if found is None:
        raise Invalid(f"withSequence {name} is not a whole number: {template.any_string(value)[:100]!r}")
    return found


def printf(text: str, value: int) -> str:
    """Go's fmt.Sprintf(text, value) for one whole number: the verbs d, x, X, o, b, c, v.

    >>> printf("testuser%02X", 10)
    'testuser0A'
    """
    used = False

    def one(match: re.Match[str]) -> str:
        nonlocal used
        verb = match["verb"]
        if verb == "%":
            return "%"
        if used:
            return f"%!{verb}(BADINDEX)"
        used = True
        width = match["width"]
        if len(width) > 3:
            raise Invalid(f"withSequence format {text[:100]!r} asks for {width[:20]} characters; at most 999")
        flags = match["flags"]
        zero = "0" if "0" in flags and "-" not in flags else ""
        align = "<" if "-" in flags else (">" if not zero else "")
        sign = "+" if "+" in flags else (" " if " " in flags else "")
        if verb in ("d", "v", "x", "X", "o", "b"):
            python = "d" if verb == "v" else verb
            return format(
                value, f"{align}{sign}{'#' if '#' in flags and python in 'xXob' else ''}{zero}{width}{python}"
            )
        if verb == "c" and 0 <= value < 0x110000:
            return format(chr(value), f"{'<' if '-' in flags else '>'}{width}")
        return f"%!{verb}(int={value})"

    result = _VERB.sub(one, text)
    return result if used else f"{result}%!(EXTRA int={value})"


def described(item: Any) -> str:
    """An item as it stands in a node's name, parentheses left out.

    >>> described({"b": 2, "a": "(x)"})
    'a:x,b:2'
    """
    if isinstance(item, Mapping):
        text = ",".join(sorted(f"{key}:{_inner(value)}" for key, value in item.items()))
    else:
        text = _inner(item)
    return text.replace("(", "").replace(")", "")


def _inner(value: Any) -> str:
    if isinstance(value, str):
        # Argo's Item.String: as in JSON, without the quotes
        return template.compact(value)[1:-1]
    if isinstance(value, list):
        # Go prints a list of items with spaces between them
        return "[" + " ".join(_inner(part) for part in value) + "]"
    return template.compact(value)


def name(step_name: str, index: int, item: Any) -> str:
    """What the expanded step is called.

    >>> name("x", 0, "foo")
    'x(0:foo)'
    """
    return f"{step_name}({index}:{described(item)})"


def variables(item: Any) -> dict[str, object]:
    """`item` and `item.KEY` for one item, all texts."""
    if isinstance(item, Mapping):
        found: dict[str, object] = {f"item.{key}": template.any_string(value) for key, value in item.items()}
        found["item"] = template.compact(dict(sorted(item.items())))
        return found
    if isinstance(item, list):
        return {"item": template.compact(item)}
    if item is None:
        raise Invalid("withItems expected string, number, list, or map. received: null")
    return {"item": template.any_string(item)}


def aggregate(outputs: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What a loop reads as from outside. outputs: the Outputs of its succeeded items, in order of their index.

    Source: Argo operator.go processAggregateNodeOutputs. Deviation: a result that is no JSON stands in the list as a
    string, where Argo fails the node.
    """
    rows: list[dict[str, str]] = []
    columns: dict[str, list[str]] = {}
    results: list[Any] = []
    for output in outputs:
        parameters = output.get("parameters") or ()
        if parameters:
            row = {str(p["name"]): template.any_string(p.get("value")) for p in parameters}
            rows.append(row)
            for key, value in row.items():
                columns.setdefault(key, []).append(value)
        if output.get("result") is not None:
            try:
                results.append(template.read_json(output["result"]))
            except Invalid:
                results.append(output["result"])
    found = {"outputs.result": template.compact(results), "outputs.parameters": template.compact(rows)}
    for key, values in columns.items():
        found[f"outputs.parameters.{key}"] = template.compact(_structured(values))
    return found


def _structured(values: list[str]) -> list[Any]:
    """The values as JSON where every one is a list or an object, else as they are. Source: Argo aggregatedJSONValueList."""
    parsed: list[Any] = []
    for value in values:
        try:
            one = template.read_json(value)
        except Invalid:
            return list(values)
        if not isinstance(one, list | dict):
            return list(values)
        parsed.append(one)
    return parsed
