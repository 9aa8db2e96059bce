"""A WorkflowSpec as a whole: its arguments and globals, then the walk from its entrypoint.

In: the entry of a Workflow, WorkflowTemplate, ClusterWorkflowTemplate or CronWorkflow. Out: problems in the report.
Called by `lint.lint_one`. Source: Argo v4.1.2 workflow/validate/validate.go Workflow, WorkflowTemplate, CronWorkflow.
"""

from __future__ import annotations

from syncd.argo import labels
from syncd.argo.manifest import Body, Path
from syncd.validate import raw, supply
from syncd.validate.catalog import TEMPLATE_KINDS, Entry, View, key_of_ref
from syncd.validate.report import Report
from syncd.validate.rules import arguments, workflow
from syncd.validate.scope import Globals
from syncd.validate.template import Arguments, Template
from syncd.validate.traversal import Traversal
from syncd.validate.walk import Base

MAX_PARAMETERS = 10_000


def check(entry: Entry, view: View, report: Report) -> None:
    """Everything in a WorkflowSpec."""
    is_template = entry.key.kind in TEMPLATE_KINDS
    profile = report.profile
    spec, path = entry.spec, entry.spec_path
    workflow.check(entry, report)
    walk = Traversal(report, view, entry, Globals(is_template))
    own = Base(entry, own=True)
    chain = "cannot validate Workflow: " if profile.as_argo and entry.key.kind == labels.CRON_WORKFLOW else ""

    base: Base | None = own
    given = entry.arguments
    ref = spec.get("workflowTemplateRef")
    if type(ref) is dict:
        base = _referred(ref, entry, view, walk, chain)
        if base is not None:
            given = given.merged(base.entry.arguments)
    lint = profile.lint and entry.key.kind != labels.CRON_WORKFLOW
    allow_empty = lint or (is_template and not profile.submit)
    own_prefix = f"{chain}spec.arguments."
    arguments.check(entry.arguments, own_prefix, allow_empty or base is None, report.add, unique=base is own)
    if base is not None and base is not own and not allow_empty:
        _inherited(entry.arguments, base.entry.arguments, (*path, "workflowTemplateRef"), own_prefix, report)
    _globals(walk.globals, entry, base, given, report)
    if base is None:
        return
    _entrypoint(walk, entry, base, given, is_template, chain, report)
    _exit(walk, entry, base, is_template, chain)
    for template in base.entry.templates:
        walk.visit(template, base, None, chain)


def _referred(ref: Body, entry: Entry, view: View, walk: Traversal, chain: str) -> Base | None:
    """The object that workflowTemplateRef means; None where there is none (said)."""
    path = (*entry.spec_path, "workflowTemplateRef")
    key = key_of_ref(ref, entry.key.namespace)
    if not key.name:
        message = f'{chain}{key.kind.lower()}s.argoproj.io "" not found: workflowTemplateRef has no name'
        walk.report.add("V281", path, message, "add name:")
        return None
    found = view.get(key)
    if found is None:
        plural = f"{key.kind.lower()}s.argoproj.io"
        walk.report.add("V281", path, f'{chain}{plural} "{key.name}" not found', walk.missing(key))
        return None
    return Base(found, own=False, site=path)


def _inherited(own: Arguments, other: Arguments, path: Path, prefix: str, report: Report) -> None:
    """Arguments that the template declares without a value, and the workflow does not give."""
    for name, argument in other.parameters.items():
        if name and name not in own.parameters and argument.value is None and argument.value_from is None:
            message = f"{prefix}{name}.value or {prefix}{name}.valueFrom is required"
            report.add("V250", path, message, f"give it under spec.arguments.parameters: - name: {name}")


def _globals(globals_: Globals, entry: Entry, base: Base | None, given: Arguments, report: Report) -> None:
    """What `workflow.*` holds before anything ran."""
    values = globals_.values
    if given.parameters:
        values["workflow.parameters"] = values["workflow.parameters.json"] = None
    for name, argument in list(given.parameters.items())[:MAX_PARAMETERS]:
        values[f"workflow.parameters.{name}"] = argument.value
    metadata = [_metadata(entry)]
    metadata.append(raw.mapping(entry.spec.get("workflowMetadata")))
    if report.profile.workflow_defaults is not None:
        defaults = raw.mapping(report.profile.workflow_defaults.get("spec"))
        metadata.append(raw.mapping(defaults.get("workflowMetadata")))
    if base is not None and not base.own:
        metadata.append(raw.mapping(base.entry.spec.get("workflowMetadata")))
    for block in metadata:
        for field, kind in (("labels", "labels"), ("labelsFrom", "labels"), ("annotations", "annotations")):
            for key in raw.mapping(block.get(field)):
                values[f"workflow.{kind}.{key}"] = None
    priority = entry.spec.get("priority")
    if priority is not None:
        values["workflow.priority"] = raw.scalar(priority)


def _metadata(entry: Entry) -> Body:
    """The labels and annotations that the Workflow itself will have (Argo v4.1.2 ConvertCronWorkflowToWorkflow)."""
    body = entry.body
    if entry.key.kind != labels.CRON_WORKFLOW:
        return raw.mapping(body.get("metadata"))
    block = raw.mapping(raw.mapping(body.get("spec")).get("workflowMetadata"))
    return {
        "labels": {**raw.mapping(block.get("labels")), labels.LABEL_CRON_WORKFLOW: ""},
        "annotations": {**raw.mapping(block.get("annotations")), labels.SCHEDULED_TIME: ""},
    }


def _entrypoint(
    walk: Traversal, entry: Entry, base: Base, given: Arguments, is_template: bool, chain: str, report: Report
) -> None:
    name = raw.text(entry.spec.get("entrypoint"))
    path: Path = (*entry.spec_path, "entrypoint")
    if not name and not base.own:
        name = raw.text(base.entry.spec.get("entrypoint"))
        path = base.site
    if not name:
        if not is_template:
            report.add("V240", entry.spec_path, f"{chain}spec.entrypoint is required", _first(base))
        return
    template = _named(walk, name, path, base, chain)
    if template is None:
        return
    if is_template:
        walk.visit(template, base, None, chain)
        return
    walk.visit(template, base, inputs_of(template, given), chain, given)
    own = Base(entry, own=True)
    supply.check(walk, template, given, own, path, chain, extra=False)


def inputs_of(template: Template, given: Arguments) -> dict[str, str | None]:
    """What is known of the inputs of the entrypoint: arguments by name, else its own defaults."""
    known: dict[str, str | None] = {}
    for name, body in template.inputs.items():
        argument = given.parameters.get(name)
        default = raw.scalar(body.get("value"))
        default = raw.scalar(body.get("default")) if default is None else default
        known[name] = argument.value if argument is not None else default
    return known


def _first(base: Base) -> str:
    known = [template.name for template in base.entry.templates if template.name]
    return f"add entrypoint: {known[0]}" if len(known) == 1 else "add entrypoint: NAME"


def _exit(walk: Traversal, entry: Entry, base: Base, is_template: bool, chain: str) -> None:
    """The exit handler, which sees more than the others."""
    name, path = raw.text(entry.spec.get("onExit")), (*entry.spec_path, "onExit")
    if not name and not base.own:
        name, path = raw.text(base.entry.spec.get("onExit")), base.site
    if not name:
        return
    walk.globals.values["workflow.failures"] = None
    holders = (entry, base.entry)
    if any(
        "{{" in glob
        for holder in holders
        for t in holder.templates
        for kind, glob in t.global_outputs
        if kind == "artifacts"
    ):
        walk.globals.any_artifact = True
    template = _named(walk, name, path, base, chain)
    if template is None:
        return
    if is_template:
        walk.visit(template, base, None, chain)
        return
    walk.visit(template, base, inputs_of(template, entry.arguments), chain, entry.arguments)
    supply.check(walk, template, entry.arguments, Base(entry, own=True), path, chain, extra=False)


def _named(walk: Traversal, name: str, path: Path, base: Base, chain: str) -> Template | None:
    """A template that the spec names; through workflowTemplateRef it is a reference to another object."""
    if base.own:
        found = walk.local(name, path, base, None, chain)
        return found[0] if found else None
    template = base.entry.by_name.get(name)
    if template is None and "{{" not in name:
        message = f"template reference {base.entry.key.name}.{name} not found: {base.entry.key} has no such template"
        walk.report.add("V280", path, chain + message)
    return template
