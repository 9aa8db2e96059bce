"""The state of one walk through a workflow, and how a fault that it meets is said.

Made by `spec`, through `traversal.Traversal`; used by `traversal`, `resolution` and `supply`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from syncd.argo.manifest import Key, Path
from syncd.base.problems import Severity
from syncd.validate.catalog import Entry, View
from syncd.validate.codes import CODES
from syncd.validate.report import Report
from syncd.validate.scope import Globals
from syncd.validate.template import Template


@dataclass(frozen=True, slots=True)
class Base:
    """Where template names are looked up. own: the manifest being judged; site: its call that led here (own: unused)."""

    entry: Entry
    own: bool
    site: Path = ()


@dataclass(slots=True)
class Walk:
    """visited: (object, template) that were judged; told, blamed: what was said of this object and of others;
    stored: templates of other objects by their bare name, which Argo finds as if they were the workflow's."""

    report: Report
    view: View
    own: Entry
    globals: Globals
    visited: set[tuple[Key, str]] = field(default_factory=set)
    blamed: set[tuple[Key, str]] = field(default_factory=set)
    told: set[tuple[str, Path, str]] = field(default_factory=set)
    stored: dict[str, tuple[Template, Base]] = field(default_factory=dict)

    def say(
        self, code: str, base: Base, path: Path, chain: str, message: str, remedy: str = "", shared: bool = False
    ) -> None:
        """One problem. In another object: said once per object at the call that led there, as that object's own fault.

        chain: Argo's words for how one got here; shared: the fault comes from what this workflow gives the other object,
        so it is said as such, once per message.
        """
        rule = CODES[code]
        if base.own:
            if (code, path, message) not in self.told:
                self.told.add((code, path, message))
                self.report.add(code, path, chain + message if rule.argo else message, remedy)
            return
        blame = (base.entry.key, message if shared else "")
        if blame in self.blamed or rule.severity is not Severity.ERROR or not rule.argo:
            return
        self.blamed.add(blame)
        if shared:
            self.report.add(code, base.site, chain + message, remedy)
        else:
            self.report.add("V286", base.site, chain + message, f"the fault is in {base.entry.key}: mend it there")
