"""Label selectors as Kubernetes writes them: `a=b,c!=d,e in (x,y),f notin (z),g,!h`. Made by `server` and `cli`, used by `cluster`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from syncd.base.errors import Invalid

_TERM = re.compile(
    r"\s*(?:(?P<not>!)\s*(?P<absent>[\w./-]+)"
    r"|(?P<key>[\w./-]+)\s*(?:(?P<op>==|=|!=)\s*(?P<value>[\w.-]*)"
    r"|\s(?P<set>in|notin)\s*\((?P<values>[^()]*)\))?)\s*(?:,|$)"
)


@dataclass(frozen=True, slots=True)
class Requirement:
    """One term. operator: in | notin | exists | absent."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """As Kubernetes: `notin` and `!=` also match where the label is absent."""
        if self.operator == "exists":
            return self.key in labels
        if self.operator == "absent":
            return self.key not in labels
        return (labels.get(self.key) in self.values) is (self.operator == "in")

    def __str__(self) -> str:
        """As Kubernetes reads it.

        >>> str(Requirement("app", "in", frozenset({"web"}))), str(Requirement("old", "absent"))
        ('app in (web)', '!old')
        """
        if self.operator in ("exists", "absent"):
            return self.key if self.operator == "exists" else f"!{self.key}"
        return f"{self.key} {self.operator} ({','.join(sorted(self.values))})"


@dataclass(frozen=True, slots=True)
class Selector:
    """All requirements must hold; none = everything."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(r.matches(labels) for r in self.requirements)

    def __str__(self) -> str:
        """As Kubernetes reads it; "" selects everything."""
        return ",".join(str(requirement) for requirement in self.requirements)


def parse(text: str) -> Selector:
    """The selector that `text` writes; empty text selects everything. Raises Invalid.

    >>> parse("app=web,tier notin (a, b),!old").matches({"app": "web", "tier": "c"})
    True
    >>> parse("app!=web").matches({})
    True
    """
    requirements: list[Requirement] = []
    position = 0
    while position < len(text) and text[position:].strip():
        term = _TERM.match(text, position)
        if term is None or term.end() == position:
            raise Invalid(
                f"label selector {text!r} is malformed at character {position + 1}; write key=value, key!=value, key in (a,b), key or !key"
            )
        if term["absent"]:
            requirements.append(Requirement(term["absent"], "absent"))
        elif term["op"]:
            operator = "notin" if term["op"] == "!=" else "in"
            requirements.append(Requirement(term["key"], operator, frozenset([term["value"]])))
        elif term["set"]:
            values = frozenset(value.strip() for value in term["values"].split(","))
            requirements.append(Requirement(term["key"], term["set"], values))
        else:
            requirements.append(Requirement(term["key"], "exists"))
        position = term.end()
    return Selector(tuple(requirements))
