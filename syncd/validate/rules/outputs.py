"""`outputs` of a template; their variables are judged by `traversal`.

Source: Argo v4.1.2 workflow/validate/validate.go validateOutputs, validateOutputParameter.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from syncd.argo.manifest import Body, Path
from syncd.validate import raw
from syncd.validate.rules import artifacts, names
from syncd.validate.template import NAMES, Template

if TYPE_CHECKING:
    from syncd.validate.findings import Say

_SOURCES: Final = ("path", "jqFilter", "jsonPath", "parameter", "expression")
_PARAMETER: Final = re.compile(r"\{\{[-a-zA-Z0-9]+(\.[-a-zA-Z0-9_]+)*\}\}")


def check(template: Template, say: Say) -> None:
    """Names, where values come from, names as global outputs."""
    body = raw.mapping(template.body.get("outputs"))
    if not body:
        return
    path = (*template.path, "outputs")
    for kind in ("parameters", "artifacts"):
        prefix = f"templates.{template.name}.outputs.{kind}"
        names.check_list(body.get(kind), prefix, (*path, kind), say, names.parameter_fault, gap=" ", computed=True)
    for index, artifact in raw.mappings(body.get("artifacts")):
        where = (*path, "artifacts", index)
        ref = f"outputs.artifacts.{raw.text(artifact.get('name'))}"
        if template.is_leaf:
            if words := artifacts.path_fault(artifact):
                say("V262", where, f"error in templates.{template.name}.{ref}: {words}")
        elif raw.text(artifact.get("path")) and template.kind:
            say(
                "V260",
                (*where, "path"),
                f"templates.{template.name}.{ref}.path only valid in container/script templates",
            )
        elif template.kind in ("steps", "dag") and not _has_source(artifact):
            message = f"templates.{template.name}.{ref} has neither from nor fromExpression"
            say("V271", where, message, f'add from: "{{{{{_kin(template)}.NAME.outputs.artifacts.NAME}}}}"')
        _global(artifact, f"templates.{template.name}.{ref}", where, say)
    for index, parameter in raw.mappings(body.get("parameters")):
        where = (*path, "parameters", index)
        ref = f"templates.{template.name}.outputs.parameters.{raw.text(parameter.get('name'))}"
        _parameter(parameter, ref, where, template, say)
        _global(parameter, ref, where, say)


def _has_source(artifact: Body) -> bool:
    return any(
        artifact.get(key) is not None
        for key in ("from", "fromExpression", "raw", "s3", "http", "git", "gcs", "oss", "azure")
    )


def _kin(template: Template) -> str:
    return "tasks" if template.kind == "dag" else "steps"


def _global(body: Body, ref: str, path: Path, say: Say) -> None:
    name = raw.text(body.get("globalName"))
    if name and not _PARAMETER.search(name) and (words := names.parameter_fault(name)):
        say("V267", (*path, "globalName"), f"{ref}.globalName: {words}")


def _parameter(body: Body, ref: str, path: Path, template: Template, say: Say) -> None:
    source = body.get("valueFrom")
    value = raw.scalar(body.get("value"))
    if source is not None and value is not None:
        say("V263", path, f"{ref} has both valueFrom and value specified, choose one")
        return
    if source is None:
        if value is None:
            say("V264", path, f"{ref} does not have valueFrom or value specified")
        return
    source = raw.mapping(source)
    given = [key for key in _SOURCES if raw.text(source.get(key))]
    supplied = source.get("supplied") is not None
    where = (*path, "valueFrom")
    if len(given) + supplied == 0:
        message = "valueFrom type unspecified. choose one of: path, jqFilter, jsonPath, parameter, raw, expression"
        say("V265", where, f"{message} ({ref})")
        return
    if len(given) + supplied > 1:
        message = "multiple valueFrom types specified. choose one of: path, jqFilter, jsonPath, parameter, raw"
        if template.kind in ("steps", "dag") and given == ["parameter", "expression"]:
            message = f"{ref} shouldn't have both `from` and `expression` specified in `ValueFrom` for {NAMES[template.kind]} templates; {message}"
        say("V265", where, f"{message} ({ref})", f"given: {', '.join(given + ['supplied'] * supplied)}")
        return
    kind = NAMES.get(template.kind, "")
    if template.kind in ("container", "containerSet", "script") and "path" not in given:
        say("V266", where, f"{ref}.path must be specified for {kind} templates")
    elif template.kind == "resource" and not {"jqFilter", "jsonPath"} & set(given):
        say("V266", where, f"{ref} .jqFilter or jsonPath must be specified for {kind} templates")
    elif template.kind in ("dag", "steps") and not {"parameter", "expression"} & set(given):
        say("V266", where, f"{ref}.parameter or expression must be specified for {kind} templates")
