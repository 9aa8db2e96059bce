"""`arguments`: of the workflow, of steps and tasks.

Source: Argo v4.1.2 workflow/validate/validate.go validateArguments, validateArgumentsValues.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncd.argo.manifest import Body, Path
from syncd.validate import raw
from syncd.validate.rules import names
from syncd.validate.template import Arguments, has_location_or_key

if TYPE_CHECKING:
    from syncd.validate.findings import Say


def check(arguments: Arguments, prefix: str, allow_empty: bool, say: Say, unique: bool = True) -> None:
    """Names and values. prefix: as Argo writes it (`spec.arguments.`); allow_empty: values may come at submission;
    unique: False where they are merged with a template's, which takes the first of each name."""
    if not arguments.body:
        return
    for kind in ("parameters", "artifacts"):
        names.check_list(
            arguments.body.get(kind),
            f"{prefix}{kind}",
            (*arguments.path, kind),
            say,
            names.parameter_fault,
            unique=unique,
        )
    first = {argument.path for argument in arguments.parameters.values()}
    for index, body in raw.mappings(arguments.body.get("parameters")):
        if not unique and (*arguments.path, "parameters", index) not in first:
            continue
        _parameter(body, (*arguments.path, "parameters", index), prefix, allow_empty, say)
    for index, body in raw.mappings(arguments.body.get("artifacts")):
        name = raw.text(body.get("name"))
        path = (*arguments.path, "artifacts", index)
        source = raw.text(body.get("from"))
        if not source and not has_location_or_key(body):
            computed = raw.text(body.get("fromExpression"))
            remedy = (
                "an argument cannot use fromExpression: compute it in outputs of the template before"
                if computed
                else ""
            )
            say("V255", path, f"{prefix}{name}.from, artifact location, or key is required", remedy)
        if source and raw.text(body.get("fromExpression")):
            say("V256", path, f"{prefix}{name} shouldn't have both `from` and `fromExpression` in Artifact")


def _parameter(body: Body, path: Path, prefix: str, allow_empty: bool, say: Say) -> None:
    name = raw.text(body.get("name"))
    value, source, enum = raw.scalar(body.get("value")), body.get("valueFrom"), body.get("enum")
    if source is None and value is None and not allow_empty:
        say("V250", path, f"{prefix}{name}.value or {prefix}{name}.valueFrom is required")
    if type(source) is dict:
        allowed = (
            source.get("configMapKeyRef") is not None
            or source.get("supplied") is not None
            or raw.text(source.get("event"))
        )
        foreign = any(raw.text(source.get(key)) for key in ("path", "jsonPath", "parameter", "expression"))
        if not allowed or foreign:
            say(
                "V251",
                (*path, "valueFrom"),
                f"{prefix}{name}.valueFrom only allows: default, configMapKeyRef and supplied",
            )
    if type(enum) is list:
        choices = [raw.scalar(choice) for choice in enum]
        if not choices:
            say("V252", (*path, "enum"), f"{prefix}{name}.enum should contain at least one value")
        elif value is None:
            if not allow_empty and source is not None:
                say("V253", path, f"{prefix}{name}.value is required")
        elif value not in choices:
            shown = ", ".join(str(choice) for choice in choices[:8])
            say(
                "V254",
                (*path, "value"),
                f"{prefix}{name}.value should be present in {prefix}{name}.enum list",
                f"choose one of: {shown}",
            )
