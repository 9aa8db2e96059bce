"""Semantic versions and ranges of them, for refs such as `>=1.2 <2`. Text in, verdicts out; `vcs.refs` calls it.

The ranges of Masterminds/semver, which Flux takes as well: comparators with `,` or a space for and, `||` for or,
`^1.2`, `~1.2`, `1.x`, `*`, and `1.2 - 1.4`. A version before its release (`-rc.1`) fits only where the range names one.
"""

from __future__ import annotations

import re
from typing import Final

Version = tuple[int, int, int, tuple[tuple[int, int, str], ...]]
"""major, minor, patch, and a key that sorts what comes before a release below the release."""

_VERSION: Final = re.compile(
    r"v?(0|[1-9][0-9]{0,9})(?:\.(0|[1-9][0-9]{0,9}))?(?:\.(0|[1-9][0-9]{0,9}))?"
    r"(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z.-]+)?\Z"
)
_PART: Final = re.compile(
    r"(?P<sign>\^|~>?|>=|<=|!=|>|<|=)?\s*v?(?P<major>[0-9]{1,10}|[xX*])(?:\.(?P<minor>[0-9]{1,10}|[xX*]))?"
    r"(?:\.(?P<patch>[0-9]{1,10}|[xX*]))?(?P<before>-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?"
)
_RELEASE: Final = ((1, 0, ""),)


def parse(text: str) -> Version | None:
    """The version that a tag names; None where it is none.

    >>> parse("v1.2.3") > parse("1.2.3-rc.1"), parse("main")
    (True, None)
    """
    match = _VERSION.match(text)
    if match is None:
        return None
    major, minor, patch, before = match.groups()
    return int(major), int(minor or 0), int(patch or 0), _before(before)


def _before(text: str | None) -> tuple[tuple[int, int, str], ...]:
    if not text:
        return _RELEASE
    return tuple((0, int(p), "") if p.isdigit() else (0, 2**63, p) for p in text.split("."))


def highest(text: str, tags: list[str]) -> str | None:
    """The tag with the highest version in the range; None where none fits. Raises ValueError for what is no range.

    >>> highest(">=1.0 <2", ["v0.9.0", "v1.4.0", "v1.10.0", "v2.0.0", "v1.11.0-rc.1", "x"])
    'v1.10.0'
    """
    alternatives = [_conjunction(part) for part in text.split("||")]
    fitting = []
    for tag in tags:
        version = parse(tag)
        if version is None:
            continue
        before = version[3] != _RELEASE
        for spans, names_before in alternatives:
            if (names_before or not before) and all(low <= version < high for low, high in spans):
                fitting.append((version, tag))
                break
    return max(fitting)[1] if fitting else None


_LOWEST: Final[Version] = (0, 0, 0, ())
_ENDLESS: Final[Version] = (10**12, 0, 0, ())


def _conjunction(text: str) -> tuple[list[tuple[Version, Version]], bool]:
    """The half-open spans that all have to hold, and whether one of them names a version before its release."""
    text = re.sub(r"(\S+)\s+-\s+(\S+)", r">=\1 <=\2", text.strip()) or "*"
    spans = []
    names_before = False
    index = 0
    while index < len(text):
        match = _PART.match(text, index)
        if match is None or match["sign"] == "!=":
            raise ValueError(f"{text[:60]!r} is not a range of versions; write it as >=1.2 <2, ^1.2, ~1.2 or 1.x")
        spans.append(_span(match))
        names_before = names_before or bool(match["before"])
        index = match.end()
        following = re.compile(r"\s*,\s*|\s+|\Z").match(text, index)
        if following is None:
            raise ValueError(f"{text[:60]!r} is not a range of versions; write it as >=1.2 <2, ^1.2, ~1.2 or 1.x")
        index = following.end()
    return spans, names_before


def _span(match: re.Match[str]) -> tuple[Version, Version]:
    numbers = []
    for name in ("major", "minor", "patch"):
        if match[name] is None or match[name] in ("x", "X", "*"):
            break
        numbers.append(int(match[name]))
    if not numbers:
        return _LOWEST, _ENDLESS
    given = len(numbers)
    filled = [*numbers, 0, 0][:3]
    low: Version = (filled[0], filled[1], filled[2], _before((match["before"] or "")[1:]))
    if given < 3 and not match["before"]:
        low = (*low[:3], ())
    sign = match["sign"] or "="
    if sign == ">=":
        return low, _ENDLESS
    if sign == "<":
        return _LOWEST, low
    after = _next(filled, given) if not match["before"] else (*low[:3], (*low[3], (0, -1, "")))
    if sign == ">":
        return after, _ENDLESS
    if sign == "<=":
        return _LOWEST, after
    if sign == "^":
        significant = next((i for i, n in enumerate(filled[:given]) if n), given - 1)
        return low, _next(filled, significant + 1)
    if sign.startswith("~"):
        return low, _next(filled, min(given, 2))
    return low, after


def _next(numbers: list[int], given: int) -> Version:
    """The first version after all that begin with the first `given` numbers."""
    if given == 1:
        return numbers[0] + 1, 0, 0, ()
    if given == 2:
        return numbers[0], numbers[1] + 1, 0, ()
    return numbers[0], numbers[1], numbers[2] + 1, ()
