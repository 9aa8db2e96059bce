"""From a template and the arguments of its caller to a template with everything replaced that can be.

Source: Argo v4.1.2 workflow/common/util.go ProcessArgs and SubstituteParams; steps.go resolveReferences.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from syncd.argo import template
from syncd.argo.manifest import Body
from syncd.base.errors import Invalid
from syncd.engine import scope
from syncd.engine.library import Resolved
from syncd.expr import evaluate, tags
from syncd.expr.environment import MISSING, Environment, Impurity, Variables

ABSENT = "__argo-internal.absent-optional-output__"
"""Stands for an argument that referred to a skipped step's output without a default: as if it were not given."""


def bind(
    resolved: Resolved,
    arguments: Mapping[str, Any],
    variables: Environment,
    local: Mapping[str, object],
    config_maps: Mapping[str, Mapping[str, str]],
    impurity: Impurity,
) -> Body:
    """The template with its inputs bound and `workflow.*`, `inputs.*` and `local` tags replaced.

    variables: the workflow's; local: `pod.name`, `node.name`, `steps.name`, `tasks.name`. Tags that nobody knows yet stay.
    Raises Invalid with Argo's message.
    """
    raw = resolved.raw
    inputs = raw.get("inputs")
    if not inputs:
        return substitute(raw, variables, local, resolved.compiled, impurity)
    given = {p.get("name"): p for p in template.parameters(arguments)}
    bound_parameters = [
        _bound(p, given.get(p.get("name")), variables, config_maps) for p in template.parameters(inputs)
    ]
    given_artifacts = {a.get("name"): a for a in template.artifacts(arguments)}
    bound_artifacts = [_bound_artifact(a, given_artifacts.get(a.get("name"))) for a in template.artifacts(inputs)]
    bound_inputs: dict[str, Any] = {}
    if bound_parameters:
        bound_inputs["parameters"] = bound_parameters
    if bound_artifacts:
        bound_inputs["artifacts"] = bound_artifacts
    return substitute({**raw, "inputs": bound_inputs}, variables, local, None, impurity)


def _bound(
    declared: Body,
    given: Mapping[str, Any] | None,
    variables: Environment,
    config_maps: Mapping[str, Mapping[str, str]],
) -> Body:
    parameter = dict(declared)
    name = parameter.get("name")
    if parameter.get("value") is None and parameter.get("default") is not None:
        parameter["value"] = parameter["default"]
    if given is not None and given.get("value") == ABSENT:
        if parameter.get("value") is None and parameter.get("valueFrom") is None:
            raise Invalid(
                f"inputs.parameters.{name}: argument references an absent optional "
                "(skipped/omitted node output with no default)"
            )
    elif given is not None:
        if given.get("value") is not None:
            parameter["value"] = given["value"]
            parameter.pop("valueFrom", None)
        elif given.get("valueFrom") is not None:
            parameter["valueFrom"] = given["valueFrom"]
            parameter.pop("value", None)
    source = parameter.get("valueFrom") or {}
    if source.get("configMapKeyRef"):
        parameter["value"] = config_map_value(f"inputs.parameters.{name}", source, variables, config_maps)
        parameter.pop("valueFrom", None)
    elif parameter.get("value") is None:
        raise Invalid(f"inputs.parameters.{name} was not supplied")
    parameter["value"] = template.any_string(parameter["value"])
    allowed = parameter.get("enum")
    if (
        allowed
        and not tags.has_tags(parameter["value"])
        and parameter["value"] not in map(template.any_string, allowed)
    ):
        raise Invalid(
            f"inputs.parameters.{name}: {parameter['value'][:200]!r} is not one of its enum: "
            + ", ".join(map(template.any_string, allowed))
        )
    return parameter


def config_map_value(
    what: str, source: Mapping[str, Any], variables: Environment, config_maps: Mapping[str, Mapping[str, str]]
) -> str:
    """The value that a configMapKeyRef points at, or its default. Raises Invalid with Argo's message."""
    reference = source["configMapKeyRef"]
    name, key = (
        str(tags.substitute(str(reference.get(part) or ""), variables, allow_unresolved=False))
        for part in ("name", "key")
    )
    data = config_maps.get(name)
    if data is not None and key in data:
        return template.any_string(data[key])
    if source.get("default") is not None:
        return template.any_string(source["default"])
    missing = f"config map {name!r} not found" if data is None else f"config map {name!r} does not have the key {key!r}"
    raise Invalid(f"unable to retrieve {what} from ConfigMap: {missing}")


def _bound_artifact(declared: Body, given: Mapping[str, Any] | None) -> Body:
    located = bool(template.location(declared))
    if given is None:
        if not declared.get("optional") and not located:
            raise Invalid(f"inputs.artifacts.{declared.get('name')} was not supplied")
        return dict(declared)
    if not template.location(given) and not declared.get("optional") and not located:
        raise Invalid(f"inputs.artifacts.{declared.get('name')} missing location information")
    bound = {name: value for name, value in given.items() if name not in ("from", "fromExpression")}
    for name in ("path", "mode", "recurseMode", "optional"):
        bound.pop(name, None)
        if declared.get(name) is not None:
            bound[name] = declared[name]
    return bound


def substitute(
    raw: Body,
    variables: Environment,
    local: Mapping[str, object],
    compiled: tags.Compiled | None,
    impurity: Impurity,
) -> Body:
    """Two passes, as Argo: the workflow's and local variables first (inputs may be written with them), then inputs and paths."""
    around = Variables(local, variables)
    first: Body
    if compiled is not None:
        first = compiled.render(around, allow_unresolved=True, impurity=impurity)
    else:
        first = tags.substitute(raw, around, allow_unresolved=True, impurity=impurity)
    own = _own(first, local)
    if not own and (first is raw or not tags.has_tags(template.compact(first))):
        return first
    second: Body = tags.substitute(first, Variables(own, around), allow_unresolved=True, impurity=impurity)
    return second


def _own(raw: Mapping[str, Any], local: Mapping[str, object]) -> dict[str, object]:
    """`inputs.*` and the paths that a template's own tags may read."""
    inputs, outputs = raw.get("inputs") or {}, raw.get("outputs") or {}
    values: dict[str, object] = {}
    parameters = inputs.get("parameters") or ()
    for parameter in parameters:
        if parameter.get("value") is not None:
            values[f"inputs.parameters.{parameter['name']}"] = template.any_string(parameter["value"])
        elif parameter.get("valueFrom") is None:
            raise Invalid(f"inputs.parameters.{parameter.get('name')} had no value")
    if parameters:
        values["inputs.parameters"] = template.compact(list(parameters))
    for artifact in inputs.get("artifacts") or ():
        if artifact.get("path"):
            values[f"inputs.artifacts.{artifact['name']}.path"] = artifact["path"]
    for artifact in outputs.get("artifacts") or ():
        if artifact.get("path"):
            values[f"outputs.artifacts.{artifact['name']}.path"] = artifact["path"]
    for parameter in outputs.get("parameters") or ():
        path = (parameter.get("valueFrom") or {}).get("path")
        if path:
            values[f"outputs.parameters.{parameter['name']}.path"] = path
    if values or "retries" in local:
        values.update(local)
    return values


def mark_absent(arguments: Any, environment: Environment) -> Any:
    """Arguments whose value is nothing but a reference to an absent optional, marked as not given."""
    if not isinstance(arguments, Mapping):
        return arguments
    parameters = arguments.get("parameters") or ()
    marked = []
    changed = False
    for parameter in parameters:
        value = parameter.get("value") if isinstance(parameter, Mapping) else None
        if isinstance(value, str) and value.startswith("{{") and value.endswith("}}") and not value.startswith("{{="):
            name = value[2:-2].strip()
            if "{{" not in name and environment.lookup(name) is None:
                marked.append({**parameter, "value": ABSENT})
                changed = True
                continue
        marked.append(parameter)
    return {**arguments, "parameters": marked} if changed else arguments


def resolve_artifacts(arguments: Mapping[str, Any], environment: Environment, impurity: Impurity) -> dict[str, Any]:
    """Arguments with `from` and `fromExpression` of their artifacts followed to locations.

    environment: reads `inputs.artifacts.A`, `steps.X.outputs.artifacts.A`, … as artifact objects. Optional ones that
    cannot be found are left out. Raises Invalid.
    """
    artifacts = template.artifacts(arguments)
    if not artifacts:
        return dict(arguments)
    found = []
    for artifact in artifacts:
        if not artifact.get("from") and not artifact.get("fromExpression"):
            found.append(artifact)
            continue
        resolved = resolve_artifact(artifact, environment, impurity)
        if resolved:
            found.append({**resolved, "name": artifact["name"]})
        elif resolved is not None:
            # known to be absent: whoever takes it says whether it can do without
            found.append({"name": artifact["name"]})
        elif not artifact.get("optional"):
            raise Invalid(f"unable to resolve references: {artifact.get('from') or artifact.get('fromExpression')}")
    return {**arguments, "artifacts": found}


def resolve_artifact(artifact: Mapping[str, Any], environment: Environment, impurity: Impurity) -> Body | None:
    """The artifact that `from` or `fromExpression` names, `subPath` appended to its key.

    None where nothing is known of it; {} where it is known that there is none (an optional one that was not put out).

    Raises Invalid where it names something that is no artifact. Source: Argo scope.go resolveArtifact.
    """
    value: object
    if artifact.get("fromExpression"):
        value = evaluate.evaluate(str(artifact["fromExpression"]), environment, impurity=impurity)
    else:
        text = str(artifact["from"]).strip()
        if text.startswith("{{") and text.endswith("}}"):
            text = text[2:-2].strip()
        value = environment.lookup(text)
    if value is MISSING or value is None:
        return None
    if not isinstance(value, Mapping):
        raise Invalid(f"variable {{{{{artifact.get('from') or artifact.get('fromExpression')}}}}} is not an artifact")
    resolved = dict(value)
    sub_path = artifact.get("subPath")
    if sub_path and resolved:
        below = tags.substitute(sub_path, environment, allow_unresolved=True, impurity=impurity)
        resolved = _below(resolved, str(below))
    return resolved


def _below(artifact: Body, sub_path: str) -> Body:
    """The artifact at a path inside another. Source: Argo ArtifactLocation.AppendToKey."""
    kind = template.location(artifact)
    held = artifact.get(kind)
    if not isinstance(held, Mapping) or "key" not in held:
        raise Invalid(f"artifact {artifact.get('name')!r} has no key; subPath needs one")
    return {**artifact, kind: {**held, "key": f"{str(held['key']).rstrip('/')}/{sub_path.lstrip('/')}"}}


def template_outputs(raw: Mapping[str, Any], environment: Environment, impurity: Impurity) -> dict[str, Any] | None:
    """The outputs of a steps or DAG template from what is in its scope; None where it declares none.

    Raises Invalid. Source: Argo operator.go getTemplateOutputsFromScope.
    """
    declared = raw.get("outputs") or {}
    if not declared.get("parameters") and not declared.get("artifacts"):
        return None
    outputs: dict[str, Any] = {}
    parameters = []
    for parameter in template.parameters(declared):
        source = parameter.pop("valueFrom", None)
        if source is None:
            raise Invalid("output parameters must have a valueFrom specified")
        parameters.append({**parameter, "value": _output_value(parameter, source, environment, impurity)})
    if parameters:
        outputs["parameters"] = parameters
    artifacts = []
    for artifact in template.artifacts(declared):
        if not artifact.get("from") and not artifact.get("fromExpression"):
            continue
        resolved = resolve_artifact(artifact, environment, impurity)
        if not resolved:
            if artifact.get("optional") or resolved is not None:
                continue
            raise Invalid(
                f"unable to resolve outputs from scope: {artifact.get('from') or artifact.get('fromExpression')}"
            )
        kept = {k: artifact[k] for k in ("name", "globalName") if artifact.get(k)}
        resolved.pop("globalName", None)
        artifacts.append({**resolved, **kept})
    if artifacts:
        outputs["artifacts"] = artifacts
    return outputs


def _output_value(
    parameter: Mapping[str, Any], source: Mapping[str, Any], environment: Environment, impurity: Impurity
) -> str:
    default = source.get("default")
    value: object = MISSING
    problem = ""
    try:
        if source.get("expression"):
            value = evaluate.evaluate(str(source["expression"]), environment, impurity=impurity)
            if value is None:
                problem = f"failed to evaluate expression {source['expression']!r}"
        elif source.get("parameter"):
            text = str(source["parameter"]).strip()
            if text.startswith("{{") and text.endswith("}}"):
                text = text[2:-2].strip()
            value = environment.lookup(text)
            if value is MISSING:
                problem = f"unable to resolve: {{{{{text}}}}}"
            elif value is None:
                problem = (
                    f"output parameter {parameter.get('name')!r}: {source['parameter']!r} is an absent optional "
                    "(skipped/omitted node output with no default)"
                )
        else:
            return ""
    except Invalid as error:
        problem = str(error)
    if not problem:
        return template.any_string(value)
    if default is not None:
        return template.any_string(default)
    raise Invalid(problem)


def exit_arguments(hook: Mapping[str, Any], environment: Environment, impurity: Impurity) -> dict[str, Any]:
    """The arguments of an exit hook, resolved. Tags that nobody knows stay, as in Argo. Raises Invalid."""
    given = mark_absent(hook.get("arguments") or {}, environment)
    text = scope.TextOnly(environment)
    replaced = tags.substitute(given, text, allow_unresolved=True, impurity=impurity)
    return resolve_artifacts(replaced, environment, impurity)
