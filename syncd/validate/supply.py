"""Whether a caller gives a template what it asks for.

Called by `traversal` for every step and task, by `spec` for the entrypoint.
Source: Argo v4.1.2 workflow/common/util.go ProcessArgs.
"""

from __future__ import annotations

from collections.abc import Mapping

from syncd.argo.manifest import Body, Path
from syncd.validate import raw
from syncd.validate.report import listed, nearest
from syncd.validate.rules import templates
from syncd.validate.settled import Values, settle
from syncd.validate.template import Argument, Arguments, Template, has_location_or_key
from syncd.validate.walk import Base, Walk


def check(
    walk: Walk, template: Template, arguments: Arguments, base: Base, path: Path, chain: str, extra: bool = True
) -> None:
    """Say which inputs lack a value. base: the caller's; extra: say which arguments nobody asked for, too."""
    prefix = f"templates.{template.name} " if template.name else ""
    for name, body in template.inputs.items():
        argument = arguments.parameters.get(name)
        if not supplied(body, argument):
            remedy = _misspelt(name, arguments.parameters, template.inputs)
            message = f"{prefix}inputs.parameters.{name} was not supplied"
            walk.say("V257", base, argument.path if argument and extra else path, chain, message, remedy)
    for name, body in template.input_artifacts.items():
        if name not in arguments.artifacts and body.get("optional") is not True and not has_location_or_key(body):
            remedy = _misspelt(name, arguments.artifacts, template.input_artifacts)
            walk.say("V257", base, path, chain, f"{prefix}inputs.artifacts.{name} was not supplied", remedy)
    if not base.own or not extra:
        return
    for name, argument in arguments.parameters.items():
        if name and name not in template.inputs:
            remedy = f"template {template.name!r} has: {listed(template.inputs) or 'no input parameters'}"
            message = f"{chain}argument '{name}' is not an input of the template"
            walk.report.add("V258", argument.path, message, remedy)


def supplied(body: Body, argument: Argument | None) -> bool:
    """Whether an input parameter has a value.

    An argument without a value takes the default away, too: so says Argo's overwriteWithArguments.
    """
    if argument is not None:
        return argument.value is not None or argument.from_config_map
    if raw.scalar(body.get("value")) is not None or raw.scalar(body.get("default")) is not None:
        return True
    return raw.present(raw.mapping(body.get("valueFrom")).get("configMapKeyRef"))


def timeouts(walk: Walk, template: Template, base: Base, arguments: Arguments, values: Values, chain: str) -> None:
    """Say where a timeout that is an argument is none: Argo looks at every call. base: the template's; values: the caller's."""
    if "{{" not in raw.text(template.body.get("timeout")):
        return
    inputs = {
        name: settle(argument.value, values) if argument.value is not None else None
        for name, argument in arguments.parameters.items()
    }

    def say(code: str, path: Path, message: str, remedy: str = "") -> None:
        walk.say(code, base, path, chain, message, remedy)

    templates.settled_timeouts(template, Values(walk.globals, template, inputs), say)


def _misspelt(name: str, given: Mapping[str, object], inputs: Mapping[str, object]) -> str:
    """A hint where something with nearly that name is given."""
    near = nearest(name, [key for key in given if key not in inputs])
    return f"{near!r} is given: did you mean {name!r}?" if near else ""
