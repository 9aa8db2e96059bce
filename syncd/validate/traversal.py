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

from typing import Final

from syncd.argo import labels
from syncd.argo.manifest import Body, Key, Path
from syncd.validate import raw, resolution, supply
from syncd.validate.catalog import key_of_ref
from syncd.validate.findings import findings
from syncd.validate.report import listed, nearest
from syncd.validate.rules import dag, expressions, loops, names, templates
from syncd.validate.scope import Items, Node, Scope
from syncd.validate.settled import UNKNOWN, Values, settle
from syncd.validate.template import Arguments, Call, Template
from syncd.validate.walk import Base, Walk

MAX_CHAIN: Final = 60
"""Calls within calls that are followed: deeper ones are judged when their own turn comes."""


class Traversal(Walk):
    """One walk; see the module."""

    __slots__ = ()

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
        if base.own and (stored := self.stored.get(wanted)) is not None:
            message = f"template '{name}' is not in this object: it is one of {stored[1].entry.key}"
            self.say("V288", base, path, chain, message)
            return stored
        if "{{=" not in wanted and not self.report.full:
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
        found = template, Base(entry, own=False, site=path if base.own else base.site)
        self.stored.setdefault(template.name, found)
        return found

    def missing(self, key: Key) -> str:
        """What to do about an object that is not there."""
        if self.report.full:
            return ""
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

    def visit(
        self,
        template: Template,
        base: Base,
        inputs: dict[str, str | None] | None,
        chain: str,
        given: Arguments | None = None,
    ) -> None:
        """Judge a template at its first visit.

        inputs: what is known of its values (the entrypoint's); given: the workflow's own arguments; None = nothing is known.
        """
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
            resolution.unresolved(self, template.tags + template.output_tags, scope, base, here, values)
            if not inline:
                resolution.unresolved(self, base.entry.pod_tags, scope, base, here, values)
            if given is not None:
                resolution.unresolved(self, given.tags_for(template), scope, Base(self.own, own=True), here, values)
                resolution.unresolved(self, template.unreplaced_tags(given), scope, base, here, values)
            templates.settled_leaf(template, values, say)
        if template.kind in ("steps", "dag"):
            here = f"{chain}templates.{template.name}.outputs "
            resolution.unresolved(self, template.output_tags, scope, base, here, values)
        if base.own:
            resolution.unknown_names(
                self, expressions.of_outputs(template), scope, f"templates.{template.name}.outputs ", Items({})
            )

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
            within = f"{chain}templates.{template.name}.steps "
            resolution.unresolved(self, call.tags, scope, base, within, values, resolution.Around(call, items))
            node.outputs = True
            if target:
                self.globals.add_outputs(target[0])
                supply.check(self, target[0], call.arguments, base, call.path, here)
                supply.timeouts(self, *target, call.arguments, values, here)

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
            found = [(path, tag) for tag in raw.in_text(wanted)]
            resolution.unresolved(self, found, scope, base, f"{chain}templates.{template.name}.targets ", values)
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
            around = resolution.Around(call, Items(call.body), graph, said)
            resolution.unresolved(self, call.tags, scope, base, here, values, around)
            for at, task, kind, name in absent:
                remedy = f"add {task!r} to the dependencies of {call.name!r}"
                self.say("V319", base, at, here, f"missing dependency '{task}' for {kind} '{name}'", remedy)
            if (target := targets[call.name]) is not None:
                supply.check(self, target[0], call.arguments, base, call.path, here)
                supply.timeouts(self, *target, call.arguments, values, here)

    def call(self, call: Call, base: Base, values: Values, chain: str) -> tuple[Template, Base] | None:
        """Find whom a call means and judge it there."""
        target = self.holder(call, base, values, chain)
        if target is not None:
            self.visit(*target, None, chain)
        return target


def _named(chain: str, template: Template, message: str) -> str:
    """The chain for a message; with the template's name where neither says it."""
    if chain or message.startswith((f"templates.{template.name}", "template '", "error in ", "either templates.")):
        return chain
    return f"templates.{template.name} "
