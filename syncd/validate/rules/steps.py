"""What a steps template says by itself; names and variables of its steps are judged by `traversal`.

Source: Argo v4.1.2 workflow/validate/validate.go validateSteps, CRD minItems.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncd.validate import raw
from syncd.validate.template import Template

if TYPE_CHECKING:
    from syncd.validate.findings import Say


def check(template: Template, say: Say) -> None:
    """That there is something to do, and that no step waits for one that runs beside it."""
    groups = raw.items(template.body.get("steps"))
    path = (*template.path, "steps")
    if not any(group for group in groups if type(group) is list):
        say("V303", path, f"templates.{template.name}.steps must have at least one step")
    members: dict[str, int] = {}
    for call in template.calls:
        if call.name:
            members.setdefault(call.name, call.group)
    for call in template.calls:
        for place, tag in call.tags:
            root, _, rest = tag.strip().partition(".")
            other = rest.partition(".")[0]
            if root == "steps" and other != call.name and members.get(other) == call.group and "outputs" in rest:
                message = f"templates.{template.name}.steps[{call.group}].{call.name} needs the outputs of '{other}', which runs at the same time"
                say("V304", place, message, f"put {other!r} into an earlier group (`- - name: {other}`)")
