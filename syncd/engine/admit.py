"""From a Workflow to a run: everything a run needs, resolved once and pinned.

`admit(workflow, lookup, …)` merges the template that the workflow refers to, collects every template it can reach and the
ConfigMap values it reads. What comes out is plain JSON, saved with the first journal entry: a template changed mid-run never
changes the run (architecture, decision 5). Called by `loops.run`; `lookup` answers from the store.
Source: Argo v4.1.2 operator.go setExecWorkflow, workflow/util/merge.go JoinWorkflowSpec.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from syncd.argo import labels, template
from syncd.argo.manifest import Body, Key
from syncd.base.errors import Invalid, NotFound
from syncd.engine import merge
from syncd.expr import tags
from syncd.expr.environment import Variables

FORMAT = 1
MAX_TEMPLATES = 5000
_PINNED = ("name", "namespace", "uid", "creationTimestamp")
"""Of the metadata, with labels and annotations what variables show: people and the run itself change labels while it runs, and a replay must agree."""

Lookup = Callable[[Key], Body]
"""The live object of a key; raises NotFound."""


def admit(workflow: Body, lookup: Lookup, defaults: Mapping[str, Any] | None = None) -> Body:
    """The run of `workflow`: {format, metadata, spec, templates: {scope: {name: template}}, configMaps: {name: data}}.

    defaults: the configuration's workflowDefaults (a Workflow without a name), merged below everything else.
    Raises Invalid with all that cannot be resolved.
    """
    namespace = str(workflow["metadata"].get("namespace") or "default")
    own_spec = dict(workflow.get("spec") or {})
    faults: list[str] = []
    spec = dict((defaults or {}).get("spec") or {})
    reference = own_spec.get("workflowTemplateRef")
    scope = f"local/{workflow['metadata']['name']}"
    if reference:
        try:
            referred = lookup(template_key(reference, namespace))
        except NotFound:
            raise Invalid(f"{_kind(reference)} {str(reference.get('name'))!r} not found") from None
        spec = merge.workflow_spec(spec, dict(referred.get("spec") or {}))
        scope = "local/"
    spec = merge.workflow_spec(spec, own_spec)
    if spec.get("synchronization"):
        raise Invalid("mutexes and semaphores are not run by the embedded engine yet; run this workflow in a cluster")
    templates: dict[str, dict[str, Body]] = {"local": by_name(spec.get("templates"))}
    agenda = [*templates["local"].values()]
    if isinstance(spec.get("hooks"), Mapping):
        agenda.append({"hooks": spec["hooks"]})
    while agenda:
        for ref in _references(agenda.pop()):
            name = str(ref.get("name") or "")
            if not name or tags.has_tags(name):
                if name:
                    faults.append(f"templateRef {name!r} cannot be chosen at run time; name the template itself")
                continue
            into = scope_of(ref)
            if into in templates:
                continue
            try:
                referred = lookup(template_key(ref, namespace))
            except NotFound:
                faults.append(f"{_kind(ref)} {name!r} not found")
                templates[into] = {}
                continue
            templates[into] = by_name((referred.get("spec") or {}).get("templates"))
            agenda.extend(templates[into].values())
        if sum(len(found) for found in templates.values()) > MAX_TEMPLATES:
            raise Invalid(f"the workflow reaches more than {MAX_TEMPLATES} templates")
    if faults:
        raise Invalid("; ".join(dict.fromkeys(faults)))
    config_maps: dict[str, Any] = {}
    for name in sorted(
        set(_config_maps(spec)) | {n for of in templates.values() for t in of.values() for n in _config_maps(t)}
    ):
        for real in _resolved(name, workflow["metadata"], spec):
            try:
                config_maps[real] = dict(lookup(Key(labels.CONFIG_MAP, namespace, real)).get("data") or {})
            except NotFound:
                continue
    return {
        "format": FORMAT,
        "metadata": {name: workflow["metadata"][name] for name in _PINNED if name in workflow["metadata"]}
        | {name: dict(workflow["metadata"].get(name) or {}) for name in ("labels", "annotations")},
        "spec": spec,
        "scope": scope,
        "templates": templates,
        "configMaps": config_maps,
    }


def template_key(reference: Mapping[str, Any], namespace: str) -> Key:
    """Where a templateRef or workflowTemplateRef points."""
    if reference.get("clusterScope"):
        return Key(labels.CLUSTER_WORKFLOW_TEMPLATE, "", str(reference.get("name")))
    return Key(labels.WORKFLOW_TEMPLATE, namespace, str(reference.get("name")))


def scope_of(reference: Mapping[str, Any]) -> str:
    """Argo's name of the scope that a templateRef leads into."""
    return f"{'cluster' if reference.get('clusterScope') else 'namespaced'}/{reference.get('name')}"


def by_name(templates: Any) -> dict[str, Body]:
    """A spec's templates by name; the first of a name wins."""
    found: dict[str, Body] = {}
    for one in templates or ():
        if isinstance(one, Mapping) and one.get("name"):
            found.setdefault(str(one["name"]), dict(one))
    return found


def _kind(reference: Mapping[str, Any]) -> str:
    return labels.CLUSTER_WORKFLOW_TEMPLATE if reference.get("clusterScope") else labels.WORKFLOW_TEMPLATE


def _references(holder: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every templateRef within a template: steps, tasks, their hooks and inline templates."""
    hooks = holder.get("hooks")
    if isinstance(hooks, Mapping):
        for hook in hooks.values():
            if isinstance(hook, Mapping) and isinstance(hook.get("templateRef"), Mapping):
                yield hook["templateRef"]
    for child in template.children(holder):
        if isinstance(child.get("templateRef"), Mapping):
            yield child["templateRef"]
        yield from _references({"hooks": child.get("hooks")})
        if isinstance(child.get("inline"), Mapping):
            yield from _references(child["inline"])


def _config_maps(value: Any) -> Iterator[str]:
    """Names of ConfigMaps that parameters take values from (`valueFrom.configMapKeyRef`; not env, which steps read)."""
    if isinstance(value, Mapping):
        source = value.get("valueFrom")
        if isinstance(source, Mapping) and isinstance(source.get("configMapKeyRef"), Mapping):
            yield str(source["configMapKeyRef"].get("name") or "")
        for inner in value.values():
            if isinstance(inner, Mapping | list):
                yield from _config_maps(inner)
    elif isinstance(value, list):
        for inner in value:
            if isinstance(inner, Mapping | list):
                yield from _config_maps(inner)


def _resolved(name: str, metadata: Mapping[str, Any], spec: Mapping[str, Any]) -> Iterator[str]:
    """The name with what is known of the workflow beforehand replaced, as Argo allows in a configMapKeyRef."""
    if not tags.has_tags(name):
        yield name
        return
    values: dict[str, object] = {
        f"workflow.parameters.{p['name']}": template.any_string(
            p["value"] if p.get("value") is not None else p["default"]
        )
        for p in template.parameters(spec.get("arguments"))
        if p.get("value") is not None or p.get("default") is not None
    }
    values["workflow.name"] = metadata["name"]
    values["workflow.namespace"] = metadata.get("namespace") or "default"
    values["workflow.uid"] = metadata.get("uid") or ""
    try:
        yield str(tags.substitute(name, Variables(values), allow_unresolved=False))
    except Invalid:
        return
