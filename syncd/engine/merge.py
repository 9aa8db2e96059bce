"""Merging specs and templates as Kubernetes' strategic merge does, for the fields of a Workflow.

Mappings merge key by key; a list whose items have a merge key merges by it; any other list is replaced. The second argument
wins. Source: Argo v4.1.2 workflow/util/merge.go, operator.go mergedTemplateDefaultsInto; patchMergeKey tags of the types.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from syncd.argo import template

_MERGE_KEYS = {
    "templates": "name",
    "parameters": "name",
    "artifacts": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "volumeClaimTemplates": "",
    "initContainers": "name",
    "sidecars": "name",
    "containers": "name",
    "imagePullSecrets": "name",
    "hostAliases": "ip",
    "ports": "containerPort",
}


def deep(below: Any, above: Any, field: str = "") -> Any:
    """`above` over `below`: a new value; neither is changed.

    >>> deep({"a": 1, "env": [{"name": "x", "value": "1"}]}, {"env": [{"name": "y", "value": "2"}]})
    {'a': 1, 'env': [{'name': 'y', 'value': '2'}, {'name': 'x', 'value': '1'}]}
    """
    if above is None:
        return below
    if isinstance(below, Mapping) and isinstance(above, Mapping):
        merged = dict(below)
        for name, value in above.items():
            merged[name] = deep(below.get(name), value, name)
        return merged
    if isinstance(below, list) and isinstance(above, list):
        key = _MERGE_KEYS.get(field, "")
        if key and all(isinstance(item, Mapping) and key in item for item in (*below, *above)):
            old = {item[key]: item for item in below}
            new = [deep(old.pop(item[key], None), item) for item in above]
            return [*new, *old.values()]
        return above
    return above


def workflow_spec(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """One WorkflowSpec over another: defaults below, the WorkflowTemplate's in the middle, the Workflow's own on top.

    Arguments given above take the place of a value or valueFrom below, never both.
    """
    merged: dict[str, Any] = deep(dict(below), dict(above))
    below_parameters = {p.get("name"): p for p in template.parameters(below.get("arguments"))}
    for parameter in template.parameters(above.get("arguments")):
        held = below_parameters.get(parameter.get("name"))
        if held is None:
            continue
        for given, dropped in (("value", "valueFrom"), ("valueFrom", "value")):
            if parameter.get(given) is not None and held.get(dropped) is not None and parameter.get(dropped) is None:
                for one in merged["arguments"]["parameters"]:
                    if one.get("name") == parameter["name"]:
                        one.pop(dropped, None)
    return merged


def template_defaults(defaults: Mapping[str, Any] | None, own: Mapping[str, Any]) -> dict[str, Any]:
    """A template over spec.templateDefaults; the defaults of another type of template do not count."""
    if not defaults:
        return dict(own)
    kind = template.kind(own)
    usable = {name: value for name, value in defaults.items() if name not in template.TYPES or name == kind}
    merged: dict[str, Any] = deep(usable, dict(own))
    return merged
