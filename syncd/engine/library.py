"""The templates of a run, by the scope they are named in. Answers what a step's `template`, `templateRef` or `inline` means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from syncd.argo.manifest import Body
from syncd.base.errors import Invalid
from syncd.engine import admit, merge
from syncd.expr import tags


@dataclass(frozen=True, slots=True)
class Resolved:
    """A template as found: raw with the defaults merged; scope: where names inside it are looked up."""

    raw: Body
    scope: str
    compiled: tags.Compiled


class Library:
    """Looks templates up; each is merged and compiled once per run."""

    def __init__(self, run: Mapping[str, Any], spec: Mapping[str, Any]) -> None:
        self._templates: dict[str, dict[str, Body]] = {
            **run["templates"],
            "local": admit.by_name(spec.get("templates")),
        }
        self._defaults = spec.get("templateDefaults")
        self.local_scope: str = run["scope"]
        self._found: dict[tuple[str, str], Resolved] = {}

    def resolve(self, holder: Mapping[str, Any], scope: str) -> Resolved:
        """The template that a step, task or hook names, seen from `scope`. Raises Invalid with Argo's message."""
        if isinstance(holder.get("inline"), Mapping):
            return self._prepare(dict(holder["inline"]), scope)
        reference = holder.get("templateRef")
        if isinstance(reference, Mapping):
            into = admit.scope_of(reference)
            name = str(reference.get("template") or "")
            missing = f"template reference {reference.get('name')}.{name} not found"
        else:
            into, name = scope, str(holder.get("template") or "")
            missing = f"template {name} not found in the workflow"
        key = (into, name)
        if key not in self._found:
            raw = self._templates.get("local" if into == self.local_scope else into, {}).get(name)
            if raw is None:
                raise Invalid(missing)
            self._found[key] = self._prepare(raw, into)
        return self._found[key]

    def _prepare(self, raw: Body, scope: str) -> Resolved:
        merged = merge.template_defaults(self._defaults, raw)
        return Resolved(merged, scope, tags.compile(merged))
