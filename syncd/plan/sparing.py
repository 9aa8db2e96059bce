"""Fields of ours that are others' to write: what the configuration ignores, and what a person holds by hand.

In: a desired body, the live one, paths. Out: the desired body with the live values in these places. `plan.plan` compares this one
and writes it: so such a field never differs, and no write changes it, drops it, or takes it away from a manager that set it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from syncd.argo.manifest import Body, Path


def spared(wanted: Body, live: Mapping[str, Any], paths: Iterable[Path]) -> Body:
    """`wanted` with the values of `live` at `paths`, without those that `live` has not; `wanted` itself where that changes nothing.

    An index is that of `wanted`; the item it means is found in `live` by its name, where both lists are of named items. What `live`
    has no parent for keeps what `wanted` says: it is made anew.

    >>> spared({"spec": {"suspend": False, "a": 1}}, {"spec": {"suspend": True}}, [("spec", "suspend")])
    {'spec': {'suspend': True, 'a': 1}}
    """
    for path in paths:
        if path:
            wanted = _spared(wanted, live, path)
    return wanted


def _spared(wanted: Any, live: Any, path: Path) -> Any:
    """`wanted` with the value of `live` at `path`, both None where there is nothing."""
    step, rest = path[0], path[1:]
    if isinstance(step, int):
        return _spared_item(wanted, live, step, rest)
    if wanted is not None and not isinstance(wanted, Mapping):
        return wanted
    own = wanted.get(step) if wanted is not None else None
    theirs = live.get(step) if isinstance(live, Mapping) else None
    new = _spared(own, theirs, rest) if rest else theirs
    if new is own or new == own:
        return wanted
    kept = dict(wanted or {})
    if new is None or (new == {} and theirs is None):  # nothing is left of a mapping that live does not have
        kept.pop(step, None)
        return kept
    kept[step] = new
    return kept


def _spared_item(wanted: Any, live: Any, index: int, rest: Path) -> Any:
    if not isinstance(wanted, list) or index >= len(wanted) or not isinstance(live, list):
        return wanted
    name = _name(wanted[index])
    if name is not None and all(_name(item) is not None for item in (*wanted, *live)):
        theirs = next((item for item in live if _name(item) == name), None)
    else:
        theirs = live[index] if index < len(live) else None
    if theirs is None:
        return wanted
    new = _spared(wanted[index], theirs, rest) if rest else theirs
    if new is wanted[index] or new == wanted[index]:
        return wanted
    return [*wanted[:index], new, *wanted[index + 1 :]]


def _name(item: Any) -> str | None:
    name = item.get("name") if isinstance(item, Mapping) else None
    return name if isinstance(name, str) else None
