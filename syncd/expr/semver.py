"""Semantic versions and constraints on them. Called by `sprig` and `methods`. Masterminds/semver v3.3.0."""

from __future__ import annotations

import re
from typing import Final

from syncd.expr.values import EvaluationProblem

_VERSION: Final = re.compile(
    r"v?([0-9]{1,18})(?:\.([0-9]{1,18}))?(?:\.([0-9]{1,18}))?"
    r"(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?",
    re.ASCII,
)
_PART: Final = r"v?(?:[0-9]{1,18}|[xX*])(?:\.(?:[0-9]{1,18}|[xX*])){0,2}(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?"
_CONSTRAINT: Final = re.compile(rf"\s*(=|==|!=|>|<|>=|=>|<=|=<|~|~>|\^)?\s*({_PART})\s*", re.ASCII)
_RANGE: Final = re.compile(rf"\s*({_PART})\s+-\s+({_PART})\s*", re.ASCII)
_LONGEST: Final = 256


class Version(str):
    """A version; as text it is normal (`v1.2` is `1.2.0`)."""

    __slots__ = ("major", "metadata", "minor", "patch", "prerelease")
    major: int
    minor: int
    patch: int
    prerelease: str
    metadata: str

    def __new__(cls, major: int, minor: int, patch: int, prerelease: str = "", metadata: str = "") -> Version:
        """From its parts."""
        tail = (f"-{prerelease}" if prerelease else "") + (f"+{metadata}" if metadata else "")
        self = super().__new__(cls, f"{major}.{minor}.{patch}{tail}")
        self.major, self.minor, self.patch = major, minor, patch
        self.prerelease, self.metadata = prerelease, metadata
        return self

    def key(self) -> tuple[object, ...]:
        """What versions are ordered by."""
        parts = tuple((0, int(p), "") if p.isdecimal() else (1, 0, p) for p in self.prerelease.split("."))
        return self.major, self.minor, self.patch, not self.prerelease, parts if self.prerelease else ()


def version(text: str) -> Version:
    """The version that the text means. Raises EvaluationProblem."""
    found = _VERSION.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None:
        raise EvaluationProblem("Invalid Semantic Version")
    major, minor, patch, prerelease, metadata = found.groups()
    return Version(int(major), int(minor or 0), int(patch or 0), prerelease or "", metadata or "")


def compare(constraint: str, text: str) -> bool:
    """Whether the version meets the constraint (`>=1.2, <2 || ^3.1`). Raises EvaluationProblem.

    >>> compare("^1.2.0", "1.9.3"), compare("~1.2", "1.3.0"), compare(">=1.0 <2.0", "1.0.0-rc1")
    (True, False, False)
    """
    if len(constraint) > _LONGEST:
        raise EvaluationProblem("improper constraint: too long")
    subject_of = [_all_of(part) for part in constraint.split("||")]
    subject = version(text)
    return any(all(_meets(operator, wanted, subject) for operator, wanted in part) for part in subject_of)


def _all_of(text: str) -> list[tuple[str, str]]:
    text = _RANGE.sub(r" >=\1 <=\2 ", text)
    result: list[tuple[str, str]] = []
    for piece in text.split(","):
        at = 0
        while at < len(piece.rstrip()):
            found = _CONSTRAINT.match(piece, at)
            if found is None or found.end() == at:
                raise EvaluationProblem(f"improper constraint: {text.strip()}")
            result.append((found[1] or "", found[2]))
            at = found.end()
    if not result:
        raise EvaluationProblem(f"improper constraint: {text.strip()}")
    return result


def _meets(operator: str, text: str, subject: Version) -> bool:
    core, _, prerelease = text.lstrip("v").partition("+")[0].partition("-")
    steps = core.split(".")
    known = next((i for i, step in enumerate(steps) if step in "xX*"), len(steps))
    wanted = version(".".join([*steps[:known], "0", "0", "0"][:3]) + (f"-{prerelease}" if prerelease else ""))
    if subject.prerelease and not wanted.prerelease and operator != "!=":
        return False
    low, high = wanted.key(), None
    exact = (subject.major, subject.minor, subject.patch)
    bump = [wanted.major, wanted.minor, wanted.patch]
    if operator in ("", "=", "=="):
        if known == 3:
            return subject.key() == low
        operator = "~"
    if operator == "!=":
        return list(exact[:known]) != bump[:known] if known < 3 else subject.key() != low
    if operator == ">":
        return list(exact[:known]) > bump[:known] if known < 3 else subject.key() > low
    if operator in (">=", "=>"):
        return subject.key() >= low
    if operator == "<":
        return subject.key() < low
    if operator in ("<=", "=<"):
        return list(exact[:known]) <= bump[:known] if known < 3 else subject.key() <= low
    if known == 0:
        return True
    if operator in ("~", "~>"):
        high = (wanted.major + 1, 0, 0) if known == 1 else (wanted.major, wanted.minor + 1, 0)
    elif wanted.major > 0 or known == 1:
        high = (wanted.major + 1, 0, 0)
    elif wanted.minor > 0 or known == 2:
        high = (0, wanted.minor + 1, 0)
    else:
        high = (0, 0, wanted.patch + 1)
    return subject.key() >= low and exact < high
