"""Where the rules put what they find about one manifest: a code and a path go in, a `Problem` with its place comes out.

The severity is the code's (`codes.CODES`), softened by the profile. Called by every rule; read by `lint`.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from syncd.argo.manifest import Manifest, Path, path_text
from syncd.base.problems import Problem, Severity
from syncd.validate.codes import CODES
from syncd.validate.profile import Profile

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_PROBLEMS: Final = 200
"""Per manifest: what comes after is not worth anybody's reading, and a hostile file could make millions."""

MAX_TEXT: Final = 400
"""Characters of a message: names in it come from the file."""

MAX_COMPARED: Final = 100
"""Words that a misspelt one is compared with: a comparison costs some 10 µs."""

_LENIENT: Final = frozenset({"V201", "V203", "V209", "V501"})
"""Codes that are warnings where the profile is not strict."""

_WITHIN: Final = frozenset({"V220", "V222", "V303", "V310"})
"""Codes that only follow where something inside of their path is misplaced."""

_CONSEQUENCES: Final = {
    "V205": "",
    "V240": "entrypoint",
    "V283": "template",
    "V400": "schedules",
    "V420": "",
    "V421": "containers",
}
"""Codes that only follow where their path, or this field of it, is misplaced or misspelt."""


class Report:
    """The problems of one manifest, in the order found. disturbed: paths whose content is known to be misplaced."""

    __slots__ = ("disturbed", "manifest", "object", "problems", "profile")

    def __init__(self, manifest: Manifest, profile: Profile) -> None:
        self.manifest = manifest
        self.profile = profile
        self.object = str(manifest.key)
        self.problems: list[Problem] = []
        self.disturbed: list[Path] = []

    @property
    def full(self) -> bool:
        """Whether more would be dropped."""
        return len(self.problems) >= MAX_PROBLEMS

    def add(self, code: str, path: Path, message: str, remedy: str = "", unseen: bool = False) -> None:
        """Say it. remedy: "" = the code's own; unseen: Argo's validator does not look here, whatever the code says.

        Dropped where it only follows from a misplaced field, or past the cap.
        """
        if self.full:
            return
        if self.disturbed and self._follows(code, path):
            return
        if code == "V900" and not self.profile.embedded:
            return
        rule = CODES[code]
        severity = rule.severity
        if severity is Severity.ERROR and (unseen or not rule.argo) and self.profile.as_argo:
            severity = Severity.WARNING
        if code in _LENIENT and not self.profile.strict:
            severity = Severity.WARNING
        if code in ("V280", "V281") and self.profile.ignore_missing:
            severity = Severity.WARNING
        self.problems.append(
            Problem(
                place=self.manifest.place(path),
                code=code,
                message=cut(message),
                severity=severity,
                object=self.object,
                path=path_text(path),
                remedy=cut(remedy or rule.remedy),
            )
        )

    def _follows(self, code: str, path: Path) -> bool:
        """Whether it need not be said, since something misplaced is the cause."""
        if code in _WITHIN:
            return any(place[: len(path)] == path for place in self.disturbed)
        field = _CONSEQUENCES.get(code)
        if field is None:
            return False
        return any(place == path[: len(place)] or (field and place == (*path, field)) for place in self.disturbed)


def cut(text: str) -> str:
    """Bounded and on one line.

    >>> cut("a\\nb")
    'a b'
    """
    if not text.isprintable():
        text = "".join(letter if letter.isprintable() else " " for letter in text)
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def nearest(name: str, known: Iterable[str]) -> str:
    """What people probably meant, or "" for nothing near; the same answer whatever the order of `known`.

    >>> nearest("entrypont", ["templates", "entrypoint"])
    'entrypoint'
    """
    if not name or len(name) > 100:
        return ""
    lowered = name.lower()
    near = sorted(word for word in known if abs(len(word) - len(name)) <= 4)
    for word in near:
        if word.lower() == lowered:
            return word
    likely = [word for word in near if word[:1].lower() == lowered[0] or word[-2:].lower() == lowered[-2:]]
    close = get_close_matches(name, likely[:MAX_COMPARED], n=1, cutoff=0.7)
    return close[0] if close else ""


def listed(names: Iterable[str], limit: int = 8) -> str:
    """Names for a message, sorted, at most `limit` of them.

    >>> listed(["b", "a"])
    'a, b'
    """
    ordered = sorted(names)
    shown = ", ".join(ordered[:limit])
    return f"{shown}, … ({len(ordered)} in all)" if len(ordered) > limit else shown
