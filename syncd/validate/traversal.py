"""Follows a workflow from its entrypoint through every step and task, as Argo's validator does, and says what is amiss.

In: an entry (a workflow or template of the manifest being judged), the catalog, the profile. Out: problems in the report,
each message with Argo's chain in front (`templates.main.steps[0].a templates.b …`). Templates of other objects are walked
as well, for what this workflow gives them (arguments, `workflow.*`); what is wrong in them by themselves is said once per
object here, and in full where they are declared. Called by `lint`.

Unlike Argo the walk goes on after a fault. Order matters: a template is judged at its first visit, with the global outputs
known by then; then all templates that nobody reached, in the order of the body.
Source: Argo v4.1.2 workflow/validate/validate.go (Workflow, validateTemplateHolder, validateTemplate, validateSteps).
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from syncd.argo import labels
from syncd.argo.manifest import Body, Key, Path
from syncd.base.problems import Severity
from syncd.validate import raw
from syncd.validate.catalog import Entry, View, key_of_ref
from syncd.validate.codes import CODES
from syncd.validate.findings import findings
from syncd.validate.report import Report, listed, nearest
from syncd.validate.rules import dag, expressions, loops, names, templates, variables
from syncd.validate.scope import CHECKED_PREFIXES, Globals, Items, Node, Scope
from syncd.validate.settled import UNKNOWN, Values, settle
from syncd.validate.template import Argument, Arguments, Call, Template, has_location_or_key

MAX_CHAIN: Final = 60
"""Calls within calls that are followed: deeper ones are judged when their own turn comes."""


@dataclass(frozen=True, slots=True)
class Base:
    """Where template names are looked up. own: the manifest being judged; site: its call that led here (own: unused)."""

    entry: Entry
    own: bool
    site: Path = ()


@dataclass(slots=True)
class Traversal:
    """The state of one walk; see the module."""

    report: Report
    view: View
    own: Entry
    globals: Globals
    is_template: bool
    visited: set[tuple[Key, str]] = field(default_factory=set)
    blamed: set[tuple[Key, str]] = field(default_factory=set)
    told: set[tuple[str, Path, str]] = field(default_factory=set)

    def say(
        self, code: str, base: Base, path: Path, chain: str, message: str, remedy: str = "", shared: bool = False
    ) -> None:
        """One problem. In another object: said once per object at the call that led there, as that object's own fault.

        shared: it comes from what this workflow gives the other object, so it is said as such, once per message.
        """
        rule = CODES[code]
        if base.own:
            if (code, path, message) in self.told:
                return
            self.told.add((code, path, message))
            self.report.add(code, path, chain + message if rule.argo else message, remedy)
            return
        blame = (base.entry.key, message if shared else "")
        if blame in self.blamed or rule.severity is not Severity.ERROR or not rule.argo:
            return
        self.blamed.add(blame)
        if shared:
            self.report.add(code, base.site, chain + message, remedy)
        else:
            self.report.add("V286", base.site, chain + message, f"the fault is in {base.entry.key}: mend it there")

    # -- calls ---------------------------------------------------------------------------------------------------------

    def holder(self, call: Call, base: Base, values: Values, chain: str) -> tuple[Template, Base] | None:
        """The template that a call means and where it lives; None where it is not known (said, unless it is computed)."""
        if call.inline is not None:
            return call.inline, base
        if call.ref is not None:
            if call.template:
                self.say(
                    "V282", base, (*call.path, "template"), chain, "template name cannot be specified with templateRef"
                )
            return self.referred(call.ref, (*call.path, "templateRef"), base, values, chain)
        if call.template:
            return self.local(call.template, (*call.path, "template"), base, values, chain)
        if raw.present(call.body.get("inline")):
            return None
        self.say(
            "V283",
            base,
            call.path,
            chain,
            "failed to get a template: neither template, templateRef nor inline is given",
        )
        return None

    def local(
        self, name: str, path: Path, base: Base, values: Values | None, chain: str
    ) -> tuple[Template, Base] | None:
        """A template of the same object, by name."""
        wanted = settle(name, values) if values is not None and "{{" in name else name
        template = base.entry.by_name.get(wanted)
        if template is not None:
            return template, base
        if "{{=" not in wanted:
            known = [key for key in base.entry.by_name if key]
            near = nearest(name, known)
            remedy = f"did you mean {near!r}?" if near else f"known: {listed(known) or 'none'}"
            self.say("V241", base, path, chain, f"template name '{name}' undefined", remedy)
        return None

    def referred(self, ref: Body, path: Path, base: Base, values: Values, chain: str) -> tuple[Template, Base] | None:
        """A template of another object, by templateRef."""
        name, wanted = raw.text(ref.get("name")), raw.text(ref.get("template"))
        if not name or not wanted:
            missing = "resource name is required" if not name else "template name is required"
            self.say("V282", base, path, chain, missing)
            return None
        key = key_of_ref(ref, self.report.manifest.key.namespace)
        if "{{" in name or "{{" in wanted:
            shown, name, wanted = f"{name}.{wanted}", settle(name, values), settle(wanted, values)
            if "{{" in name or "{{" in wanted or UNKNOWN in wanted:
                return None
            if UNKNOWN in name:
                self.say(
                    "V280",
                    base,
                    path,
                    chain,
                    f"template reference {shown} not found",
                    "the name must be known before it runs",
                )
                return None
            key = Key(key.kind, key.namespace, name)
        entry = self.view.get(key)
        if entry is None:
            remedy = self.missing(key)
            self.say(
                "V280", base, path, chain, f"template reference {name}.{wanted} not found: there is no {key}", remedy
            )
            return None
        template = entry.by_name.get(wanted)
        if template is None:
            known = [known for known in entry.by_name if known]
            near = nearest(wanted, known)
            remedy = f"did you mean {near!r}?" if near else f"{key} has: {listed(known) or 'none'}"
            message = f"template reference {name}.{wanted} not found: {key} has no such template"
            self.say("V280", base, path, chain, message, remedy)
            return None
        if entry.key == self.own.key and base.own:
            return template, base
        return template, Base(entry, own=False, site=path if base.own else base.site)

    def missing(self, key: Key) -> str:
        """What to do about an object that is not there."""
        known = self.view.names(key.kind, key.namespace)
        if near := nearest(key.name, known):
            return f"did you mean {near!r}?"
        for kind, namespace in ((labels.CLUSTER_WORKFLOW_TEMPLATE, ""), (labels.WORKFLOW_TEMPLATE, key.namespace)):
            if kind != key.kind and key.name in self.view.names(kind, namespace):
                return (
                    f"there is a {kind} of that name: " + ("set" if not namespace else "remove") + " clusterScope: true"
                )
        return "add it to the source, or correct the name"

    # -- templates -----------------------------------------------------------------------------------------------------

    def visit(self, template: Template, base: Base, inputs: dict[str, str | None] | None, chain: str) -> None:
        """Judge a template at its first visit. inputs: what is known of its values (the entrypoint's); None = nothing."""
        inline = "inline" in template.path
        values = Values(self.globals, template, inputs)

        def say(code: str, path: Path, message: str, remedy: str = "") -> None:
            self.say(code, base, path, _named(chain, template, message), message, remedy)

        templates.settled_timeouts(template, values, say)
        place = (base.entry.key, "" if inline else template.name)
        first = place not in self.visited
        self.visited.add(place)
        if first or (inline and base.own):
            for code, path, message, remedy in findings(template, base.entry):
                say(code, path, message, remedy)
        if not first or chain.count(" ") > MAX_CHAIN:
            return
        scope = Scope(self.globals, template)
        if template.kind == "steps":
            self.steps(scope, template, base, values, chain)
        elif template.kind == "dag":
            self.dag(scope, template, base, values, chain)
        else:
            here = f"{chain}templates.{template.name}: "
            self.unresolved(template.tags, scope, base, here)
            if inputs is not None:
                self.unresolved(template.replaced_tags, scope, base, here)
            templates.settled_leaf(template, values, say)
        self.unresolved(template.output_tags, scope, base, f"{chain}templates.{template.name}.outputs ")
        if base.own:
            self.unknown_names(
                expressions.of_outputs(template), scope, f"templates.{template.name}.outputs ", Items({})
            )

    def unresolved(
        self,
        tags: list[tuple[Path, str]],
        scope: Scope,
        base: Base,
        chain: str,
        items: Items | None = None,
        call: Call | None = None,
        graph: dag.Graph | None = None,
        said: Container[tuple[Path, str]] = (),
    ) -> None:
        """Say which of the tags resolve to nothing. call: the step or task that they stand in, None = a template's body;
        graph, said: of a task, who waits for whom, and the missing dependencies that were said already."""
        inline = call.inline if call is not None else None

        def ancestor(name: str) -> bool:
            return graph is not None and call is not None and graph.is_ancestor(name, call.name)

        for path, tag in tags:
            if self.report.full:
                return
            if tag[0:1] == "=":
                if base.own:
                    self.unknown_names([(path, tag[1:])], scope, chain, items)
                continue
            name = tag.strip()
            if "{{" in name and tag != raw.UNCLOSED:
                # a tag within a tag: the inner one first, as SubstituteParams has done by now
                name = settle(name, Values(self.globals, scope.template, None))
            if not name.startswith(CHECKED_PREFIXES):
                if base.own and (doubt := variables.doubt(tag, path, scope.template, items)):
                    self.report.add(doubt.code, path, chain + doubt.message, doubt.remedy)
            elif not scope.knows(name, items, inline, ancestor):
                message = f"failed to resolve {{{{{tag}}}}}"
                self.say("V340", base, path, chain, message, scope.remedy(name), shared=name.startswith("workflow."))
            elif graph is not None and call is not None and base.own:
                self.not_awaited(name, path, call, graph, chain, said)

    def not_awaited(
        self, name: str, path: Path, call: Call, graph: dag.Graph, chain: str, said: Container[tuple[Path, str]]
    ) -> None:
        """Say that a task uses another without waiting for it, unless that is said already. Hooks run later anyhow."""
        task = dag.not_awaited(name, call, graph)
        if task and (path, task) not in said and "hooks" not in path:
            remedy = f"add {task!r} to the dependencies of {call.name!r}"
            self.report.add("V321", path, f"{chain}{{{{{name}}}}} may not exist yet when the task starts", remedy)

    def unknown_names(self, sources: Iterable[tuple[Path, str]], scope: Scope, chain: str, items: Items | None) -> None:
        """Say which names in expressions nothing has. What an expression guards by `??` or `?.` may be missing."""
        for path, source in sources:
            for name in expressions.required(source):
                if not scope.knows_path(name, items):
                    remedy = scope.remedy(name) or expressions.hyphens(name, source)
                    self.report.add("V355", path, f"{chain}the expression uses {name}, which is not known here", remedy)
                    break

    # -- steps and tasks -----------------------------------------------------------------------------------------------

    def steps(self, scope: Scope, template: Template, base: Base, values: Values, chain: str) -> None:
        """Group by group; a step sees the steps before it (and, as Argo has it, those before it in its own group)."""
        seen: set[str] = set()
        for call in template.calls:
            name = settle(call.name, values) if "{{" in call.name else call.name
            prefix = f"templates.{template.name}.steps[{call.group}]"
            fault = names.step_fault(name.replace(UNKNOWN, "x"), name in seen)
            if fault:
                code, text = fault
                shown = f"{prefix}.name {text}" if not call.name else f"{prefix}.name '{call.name}' {text}"
                self.say(code, base, (*call.path, "name"), chain, shown)
            seen.add(name)
            node = scope.nodes.setdefault(name, Node(None, call.aggregates))
            node.status = True
            here = f"{chain}{prefix}.{call.name} "
            items = scope.items = loops.merged(scope.items, Items(call.body))
            target = self.call(call, base, values, here)
            node.template = target[0] if target else None
            if target and call.has_exit_hook:
                node.outputs = True
            self.unresolved(call.tags, scope, base, f"{chain}templates.{template.name}.steps ", items, call)
            node.outputs = True
            if target:
                self.globals.add_outputs(target[0])
                self.supply(target[0], call.arguments, base, call.path, here)

    def dag(self, scope: Scope, template: Template, base: Base, values: Values, chain: str) -> None:
        """All tasks first, in the order of their dependencies; then their arguments, seen from each."""
        graph = dag.graph(template)
        targets: dict[str, tuple[Template, Base] | None] = {}
        calls = [template.calls[index] for index in graph.order]
        for call in calls:
            here = f"{chain}templates.{template.name}.tasks.{call.name} "
            target = targets[call.name] = self.call(call, base, values, here)
            node = scope.nodes.setdefault(call.name, Node(target[0] if target else None, call.aggregates))
            node.outputs = True
            if target:
                self.globals.add_outputs(target[0])
        wanted = raw.text(raw.mapping(template.body.get("dag")).get("target"))
        if wanted:
            path = (*template.path, "dag", "target")
            self.unresolved(
                [(path, tag) for tag in raw.TAG.findall(wanted)],
                scope,
                base,
                f"{chain}templates.{template.name}.targets ",
            )
            for missing in dag.missing_targets(settle(wanted, values), graph):
                message = (
                    f"templates.{template.name}.targets: target '{missing.replace(UNKNOWN, wanted)}' is not defined"
                )
                self.say("V318", base, path, chain, message, f"tasks: {listed(graph.index)}")
        for call in calls:
            here = f"{chain}templates.{template.name}.tasks.{call.name} "
            if raw.present(call.body.get("hooks")):
                scope.nodes[call.name].status = True
            absent = list(dag.missing_dependencies(call, graph))
            said = {(at, task) for at, task, _, _ in absent}
            self.unresolved(call.tags, scope, base, here, Items(call.body), call, graph, said)
            for at, task, kind, name in absent:
                remedy = f"add {task!r} to the dependencies of {call.name!r}"
                self.say("V319", base, at, here, f"missing dependency '{task}' for {kind} '{name}'", remedy)
            if (target := targets[call.name]) is not None:
                self.supply(target[0], call.arguments, base, call.path, here)

    def call(self, call: Call, base: Base, values: Values, chain: str) -> tuple[Template, Base] | None:
        """Find whom a call means and judge it there."""
        target = self.holder(call, base, values, chain)
        if target is not None:
            self.visit(*target, None, chain)
        return target

    def supply(
        self, template: Template, arguments: Arguments, base: Base, path: Path, chain: str, extra: bool = True
    ) -> None:
        """Whether the arguments of a call give the template what it asks for. extra: say what it did not ask for, too."""
        prefix = f"templates.{template.name} " if template.name else ""
        for name, body in template.inputs.items():
            argument = arguments.parameters.get(name)
            if not supplied(body, argument):
                remedy = _misspelt(name, arguments.parameters, template.inputs)
                message = f"{prefix}inputs.parameters.{name} was not supplied"
                self.say("V257", base, argument.path if argument and extra else path, chain, message, remedy)
        for name, body in template.input_artifacts.items():
            if name not in arguments.artifacts and body.get("optional") is not True and not has_location_or_key(body):
                remedy = _misspelt(name, arguments.artifacts, template.input_artifacts)
                self.say("V257", base, path, chain, f"{prefix}inputs.artifacts.{name} was not supplied", remedy)
        if not base.own or not extra:
            return
        for name, argument in arguments.parameters.items():
            if name and name not in template.inputs:
                remedy = f"template {template.name!r} has: {listed(template.inputs) or 'no input parameters'}"
                self.report.add(
                    "V258", argument.path, f"{chain}argument '{name}' is not an input of the template", remedy
                )


def _named(chain: str, template: Template, message: str) -> str:
    """The chain for a message; with the template's name where neither says it."""
    if chain or message.startswith((f"templates.{template.name}", "error in ", "either templates.")):
        return chain
    return f"templates.{template.name} "


def supplied(body: Body, argument: Argument | None) -> bool:
    """Whether an input parameter has a value. Source: Argo v4.1.2 workflow/common/util.go ProcessArgs.

    An argument without a value takes the default away, too: so says overwriteWithArguments.
    """
    if argument is not None:
        return argument.value is not None or argument.from_config_map
    if raw.scalar(body.get("value")) is not None or raw.scalar(body.get("default")) is not None:
        return True
    return raw.present(raw.mapping(body.get("valueFrom")).get("configMapKeyRef"))


def _misspelt(name: str, given: Mapping[str, object], inputs: Mapping[str, object]) -> str:
    """A hint where something with nearly that name is given."""
    near = nearest(name, [key for key in given if key not in inputs])
    return f"{near!r} is given: did you mean {name!r}?" if near else ""
