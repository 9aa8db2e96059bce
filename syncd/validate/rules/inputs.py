"""`inputs` of a template.

Source: Argo v4.1.2 workflow/validate/validate.go validateInputs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncd.argo.manifest import Body, Path
from syncd.validate import raw
from syncd.validate.rules import artifacts, names
from syncd.validate.template import Template

if TYPE_CHECKING:
    from syncd.validate.findings import Say


def check(template: Template, say: Say) -> None:
    """Names, paths of artifacts, and where these may come from."""
    body = raw.mapping(template.body.get("inputs"))
    if not body:
        return
    path = (*template.path, "inputs")
    for kind in ("parameters", "artifacts"):
        prefix = f"templates.{template.name}.inputs.{kind}"
        names.check_list(body.get(kind), prefix, (*path, kind), say, names.parameter_fault)
    for index, parameter in raw.mappings(body.get("parameters")):
        _enum(parameter, template, (*path, "parameters", index), say)
    for index, artifact in raw.mappings(body.get("artifacts")):
        where = (*path, "artifacts", index)
        ref = f"inputs.artifacts.{raw.text(artifact.get('name'))}"
        prefix = f"templates.{template.name}.{ref}"
        if template.is_leaf:
            if words := artifacts.path_fault(artifact):
                say("V262", where, f"error in templates.{template.name}.{ref}: {words}")
        elif raw.text(artifact.get("path")) and template.kind:
            say("V260", (*where, "path"), f"{prefix}.path only valid in container/script templates")
        if raw.text(artifact.get("from")):
            say(
                "V261",
                (*where, "from"),
                f"{prefix}.from not valid in inputs",
                "the caller's arguments say where it comes from",
            )
        artifacts.check_location(artifact, prefix, where, say)


def _enum(parameter: Body, template: Template, path: Path, say: Say) -> None:
    """A default that is not among the choices can never be meant."""
    choices = [raw.scalar(choice) for choice in raw.items(parameter.get("enum"))]
    default = raw.scalar(parameter.get("default"))
    if choices and default is not None and default not in choices and "{{" not in default:
        name = raw.text(parameter.get("name"))
        message = f"templates.{template.name}.inputs.parameters.{name}.default is not in its enum list"
        say("V259", (*path, "default"), message, f"choose one of: {', '.join(str(choice) for choice in choices[:8])}")
