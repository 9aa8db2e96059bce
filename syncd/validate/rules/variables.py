"""Tags that Argo's validator lets through and that are hardly meant as they stand: `{{step.x.outputs.result}}`.

Such a tag reaches the container as it is written. `{{.Names}}` and the like belong to other languages and are left alone.
Called by `traversal` for every tag that Argo does not look at; names that Argo looks at are judged by `scope`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from syncd.expr import variables
from syncd.validate import raw
from syncd.validate.report import nearest

if TYPE_CHECKING:
    from syncd.argo.manifest import Path
    from syncd.validate.scope import Items
    from syncd.validate.template import Template

_NAME: Final = re.compile(r"[A-Za-z][-\w]*(\.[-\w\[\]']+)*")

_BEGINNING: Final = re.compile(r"\s*([A-Za-z]+)[.}\s]")

_ROOTS: Final = variables.roots() - {"request", "response", "status", "duration", "outputs"}

_MEANT: Final = {
    "step": "steps",
    "task": "tasks",
    "input": "inputs",
    "output": "outputs",
    "workflows": "workflow",
    "wf": "workflow",
    "params": "inputs.parameters",
    "parameters": "inputs.parameters",
    "param": "inputs.parameters",
    "artifacts": "inputs.artifacts",
    "arguments": "inputs",
    "items": "item",
}


class Doubt(NamedTuple):
    """code, message and remedy for a tag."""

    code: str
    message: str
    remedy: str


def doubt(tag: str, path: Path, template: Template, items: Items | None) -> Doubt | None:
    """What is odd about a simple tag whose name Argo does not check; None = nothing. items: of the call it stands in."""
    name = tag.strip()
    if tag.startswith(raw.UNCLOSED):
        remedy = "close it, or Argo takes everything up to the next }} for a name"
        begun = _BEGINNING.match(tag.removeprefix(raw.UNCLOSED))
        code = "V345" if begun and begun[1] in _ROOTS else "V342"
        return Doubt(code, "a {{ is never closed by }}", remedy)
    if len(name) > 300 or not _NAME.fullmatch(name):
        return None
    root, dot, rest = name.partition(".")
    shown = f"{{{{{name}}}}}"
    if root == "item":
        if items is None:
            remedy = "pass it as an argument of the step or task that loops, and use {{inputs.parameters.NAME}} here"
            return Doubt("V343", f"{shown} stays as it is: item is not known inside a template", remedy)
        if not (items.plain or items.anything):
            remedy = "add withItems, withParam or withSequence"
            if items.keys:
                remedy = f"its items are mappings: write {{{{item.{sorted(items.keys)[0]}}}}}"
                return None if not dot else Doubt("V343", f"{shown} is not known here", remedy)
            return Doubt("V343", f"{shown} stays as it is: there is no loop here", remedy)
        return None
    if root in ("retries", "lastRetry"):
        if template.body.get("retryStrategy") is None and "metrics" not in path and items is None:
            return Doubt(
                "V344",
                f"{shown} stays as it is: template {template.name!r} has no retryStrategy",
                "add retryStrategy, or remove it",
            )
        return None
    if root == "cronworkflow":
        return Doubt(
            "V341",
            f"{shown} stays as it is: cronworkflow.* is known only in `when` and `stopStrategy` of the CronWorkflow",
            "",
        )
    if not dot or root in _ROOTS or "metrics" in path:
        return None
    if meant := _MEANT.get(root) or nearest(root, _ROOTS):
        return Doubt(
            "V341", f"{shown} stays as it is: no variable begins with {root!r}", f"did you mean {{{{{meant}.{rest}}}}}?"
        )
    return None
