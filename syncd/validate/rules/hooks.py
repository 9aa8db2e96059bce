"""Lifecycle hooks and onExit: of steps, tasks and the workflow.

Source: Argo v4.1.2 workflow/validate/validate.go validateHooks; that their templates exist is not asked by Argo's linter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncd.argo.manifest import Body, Path
from syncd.validate import raw
from syncd.validate.report import listed, nearest
from syncd.validate.template import Call

if TYPE_CHECKING:
    from syncd.validate.catalog import Entry
    from syncd.validate.findings import Say


def check(call: Call, prefix: str, entry: Entry, say: Say) -> None:
    """Of a step or task."""
    body = call.body
    code = "V287" if "tasks" in call.path else "V284"
    check_hooks(raw.mapping(body.get("hooks")), (*call.path, "hooks"), prefix, entry, say, code=code)
    if name := raw.text(body.get("onExit")):
        _known(name, (*call.path, "onExit"), f"{prefix}.onExit", entry, say)


def check_hooks(
    hooks: Body, path: Path, prefix: str, entry: Entry, say: Say, lookup: bool = True, code: str = "V284"
) -> None:
    """`hooks` of anything. lookup: their templates are those of `entry`; code: Argo forgets to ask tasks for expressions."""
    for name, value in hooks.items():
        hook = raw.mapping(value)
        where = (*path, name)
        if name != "exit" and not raw.text(hook.get("expression")):
            say(code, where, f"{prefix}.{name} Expression required")
        template, ref = raw.text(hook.get("template")), raw.mapping(hook.get("templateRef"))
        if template and lookup:
            _known(template, (*where, "template"), f"{prefix}.{name}", entry, say)
        elif not template and not ref:
            say("V285", where, f"{prefix}.{name} names no template", "add template: NAME")


def _known(name: str, path: Path, prefix: str, entry: Entry, say: Say) -> None:
    if name in entry.by_name or "{{" in name:
        return
    known = [key for key in entry.by_name if key]
    near = nearest(name, known)
    remedy = f"did you mean {near!r}?" if near else f"known: {listed(known) or 'none'}"
    say("V285", path, f"{prefix} template name '{name}' undefined", remedy)
