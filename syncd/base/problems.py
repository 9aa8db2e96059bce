"""What is wrong with a file: the value that decode, lint and the API pass around.

Made by `base.yamltext`, `source.decode` and `validate`; read by `loops.sync`, `server` and `cli`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

LONGEST: Final = 1000
"""Characters of a message or remedy: they quote files, and what is in a file may be a megabyte of one word."""


class Severity(StrEnum):
    """An error holds the source back; a warning is only said."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A point in a file of the source. file: posix path relative to the source's root; line, column: from 1, 0 = unknown."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        if not self.line:
            return self.file
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One fault, complete in itself.

    code: `V` + three digits, a row of `docs/rules.md`; object: `Kind/namespace/name` or "" where none could be read;
    path: where in the document (`spec.templates[0].container.image`), "" = the whole of it;
    message: what is wrong; remedy: what to do ("" only where the message says it already). Texts are cut at `LONGEST`.
    """

    place: Place
    code: str
    message: str
    severity: Severity = Severity.ERROR
    object: str = ""
    path: str = ""
    remedy: str = ""

    def __post_init__(self) -> None:
        for name in ("message", "object", "path", "remedy"):
            text = getattr(self, name)
            if len(text) > LONGEST:
                object.__setattr__(self, name, f"{text[: LONGEST - 1]}…")

    def __str__(self) -> str:
        text = f"{self.place}: {self.severity} {self.code}: "
        if self.object:
            text += f"{self.object}: "
        text += self.message
        return f"{text}; {self.remedy}" if self.remedy else text

    def to_json(self) -> dict[str, Any]:
        """The shape of `lint -o json` and of the API; keys never vanish, unknown line and column are 0."""
        return {
            "code": self.code,
            "severity": str(self.severity),
            "file": self.place.file,
            "line": self.place.line,
            "column": self.place.column,
            "object": self.object,
            "path": self.path,
            "message": self.message,
            "remedy": self.remedy,
        }


def has_errors(problems: tuple[Problem, ...] | list[Problem]) -> bool:
    """Whether any of them holds the source back."""
    return any(p.severity is Severity.ERROR for p in problems)
