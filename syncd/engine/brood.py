"""What steps and DAG templates have in common: children that read each other's outputs, loops, conditions and exit hooks.

Source: Argo v4.1.2 steps.go resolveReferences, expandStepGroup; dag.go resolveDependencyReferences, expandTask; exit_handler.go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from syncd.argo import status, template
from syncd.argo.manifest import Body
from syncd.base.errors import Invalid
from syncd.engine import arguments, fanout, scope
from syncd.engine.chance import Lots
from syncd.engine.frames import Boundary, Invocation
from syncd.engine.nodes import Node
from syncd.expr import evaluate, tags, when
from syncd.expr.environment import Environment, Variables

STRICT = ("steps.", "tasks.")
_RESULT = re.compile(r"(?:steps|tasks)(?:\.|\[\\?['\"])([^\s.'\"\\\]]+)(?:\\?['\"]\])?\??\.outputs\??\.result")
_LOOP_FIELDS = frozenset({"withItems", "withParam", "withSequence"})
_EMPTY = "Skipped, empty params"


@dataclass(slots=True, eq=False)
class Child:
    """One step or task of a running template. Implements `scope.Sibling`.

    raw: as it stands in the bound template; node: None until decided; items: nodes of a loop by index, None for a single;
    values: what `{{item}}` is for each of them; open: calls and exit hooks that have not ended;
    settled: others may refer to it.
    """

    name: str
    raw: Body
    brood: Brood
    node: Any = None
    items: list[Node | None] | None = None
    values: list[Any] = field(default_factory=list)
    open: int = 0
    settled: bool = False
    _aggregate: dict[str, str] | None = field(default=None)

    def resulting(self) -> Node:
        node: Node = self.node
        if node.type == status.RETRY:
            for identity in reversed(node.children):
                attempt = self.brood.machine.nodes.get(identity)
                # exit hooks hang under the Retry node, too
                if attempt is not None and not (attempt.flag or {}).get("hooked"):
                    return attempt
        return node

    def aggregate(self) -> Mapping[str, str] | None:
        if self.items is None:
            return None
        if self._aggregate is None:
            outputs = [n.outputs for n in self.items if n is not None and n.phase == status.SUCCEEDED and n.outputs]
            self._aggregate = fanout.aggregate(outputs)
        return self._aggregate

    def declared_outputs(self) -> Mapping[str, Any]:
        try:
            found = self.brood.machine.library.resolve(self.raw, self.brood.scope).raw.get("outputs")
        except Invalid:
            return {}
        return found if isinstance(found, Mapping) else {}


class Brood(Boundary):
    """A boundary whose children are steps or tasks. prefix: `steps.` or `tasks.`."""

    prefix = ""
    children: dict[str, Child]
    _results: frozenset[str] | None = None
    _around: Environment | None = None

    def environment(self, child: Child | None = None) -> Environment:
        """What the child's text can refer to, or the template's outputs (None): siblings, input artifacts, the workflow."""
        if self._around is None:
            inputs = self.template.get("inputs") or {}
            held: dict[str, object] = {f"inputs.artifacts.{a['name']}": a for a in template.artifacts(inputs)}
            for parameter in template.parameters(inputs):
                held[f"inputs.parameters.{parameter['name']}"] = parameter.get("value")
            self._around = scope.Chain(Variables(held), self.machine.variables, scope.Live(self.machine.artifacts))
        siblings = scope.Siblings(
            self.prefix, lambda name: self._visible(name, child), lambda: self._visible_names(child)
        )
        return scope.Chain(siblings, self._around)

    def _visible(self, name: str, reader: Child | None) -> Child | None:
        """The sibling of that name where the reader may refer to it, whatever else has ended by chance."""
        child = self.children.get(name)
        return child if child is not None and child.settled and child.node is not None else None

    def _visible_names(self, reader: Child | None) -> Iterable[str]:
        return [name for name, child in self.children.items() if child.settled and child.node is not None]

    def lots(self, child: str, index: int | None = None) -> Lots:
        """Time and chance for one child's text."""
        return self.machine.lots(self.node.name, child, index)

    def reads_result_of(self, invocation: Invocation) -> bool:
        """Whether the template refers to the result of the child that this call is of."""
        if self._results is None:
            self._results = frozenset(_RESULT.findall(template.compact(self.template)))
        name = str(invocation.local.get(f"{self.prefix}name", ""))
        return name.partition("(")[0] in self._results

    # -- starting ------------------------------------------------------------------------------------------------

    def resolve(self, child: Child) -> tuple[Body, bool]:
        """The child's text with references to siblings replaced, and whether its `when` lets it run.

        Raises Invalid. A child that does not run is not resolved any further.
        """
        raw = {name: value for name, value in child.raw.items() if name != "hooks"}
        environment, lots = self.environment(child), self.lots(child.name)
        text = scope.TextOnly(environment)
        condition = raw.get("when")
        if condition:
            replaced = str(tags.substitute(condition, text, allow_unresolved=True, strict=STRICT, impurity=lots))
            try:
                proceeds = when.evaluate(replaced)
            except Invalid:
                # it may need an item, which is known only later
                if not template.expands(raw):
                    raise
                proceeds = True
            if not proceeds:
                return {**raw, "when": replaced}, False
        if raw.get("arguments"):
            raw["arguments"] = arguments.mark_absent(raw["arguments"], environment)
        resolved: Body = tags.substitute(raw, text, allow_unresolved=True, strict=STRICT, impurity=lots)
        if resolved.get("arguments"):
            resolved["arguments"] = arguments.resolve_artifacts(resolved["arguments"], environment, lots)
        return resolved, True

    def start_child(
        self,
        child: Child,
        resolved: Body,
        runs: bool,
        path: Callable[[str], str],
        group: Callable[[], Node],
        parents: Callable[[], list[str]],
    ) -> None:
        """Call a resolved child, or each item of a loop.

        path: the node name of a (possibly expanded) child name; group: makes the node that a loop's items hang under;
        parents: what a single node hangs under. Raises Invalid where a loop cannot be expanded.
        """
        if not template.expands(resolved):
            child.open = 1
            invocation = self._invocation(child, child.name, path, parents(), (child.name, None), resolved)
            reason = "" if runs else f"when '{resolved.get('when')}' evaluated false"
            self.machine.call(invocation, lambda _: reason) if reason else self.machine.call(invocation)
            return
        try:
            items = fanout.items(resolved)
        except Invalid:
            if runs:
                raise
            items = []
        if not items:
            child.open = 1
            self.machine.call(
                self._invocation(child, child.name, path, parents(), (child.name, None), resolved), lambda _: _EMPTY
            )
            return
        child.items = [None] * len(items)
        child.values = items
        child.open = len(items)
        node = group()
        body = {name: value for name, value in resolved.items() if name not in _LOOP_FIELDS and name != "name"}
        compiled = tags.compile(body)
        environment = self.environment(child)
        for index, item in enumerate(items):
            name = fanout.name(child.name, index, item)
            invocation = self._invocation(child, name, path, [node.id], (child.name, index), resolved)
            self.machine.call(
                invocation,
                lambda call, i=item: self._prepare_item(
                    call, compiled, Variables(fanout.variables(i), environment), runs
                ),  # type: ignore[misc]
            )

    def _prepare_item(self, invocation: Invocation, compiled: tags.Compiled, around: Environment, runs: bool) -> str:
        body = compiled.render(around, allow_unresolved=not runs, impurity=self.lots(*invocation.key))
        condition = body.get("when")
        if condition and not when.evaluate(str(condition)):
            return f"when '{condition}' evaluated false"
        invocation.holder = body
        invocation.arguments = body.get("arguments") or {}
        return ""

    def _invocation(
        self, child: Child, name: str, path: Callable[[str], str], parents: list[str], key: Any, holder: Body
    ) -> Invocation:
        return Invocation(
            name=path(name),
            holder=holder,
            scope=self.scope,
            arguments=holder.get("arguments") or {},
            owner=self,
            key=key,
            boundary=self,
            parents=parents,
            depth=self.invocation.depth + 1,
            on_exit=self.invocation.on_exit,
            local={f"{self.prefix}name": name},
        )

    # -- ending --------------------------------------------------------------------------------------------------

    def child_done(self, key: Any, node: Node) -> None:
        name, index = key[0], key[1]
        child = self.children[name]
        if len(key) == 2:
            if index is None:
                child.node = node
            elif child.items is not None:
                child.items[index] = node
            if node.completed and self._run_exit_hook(child, node, index):
                return
        child.open -= 1
        if child.open == 0:
            self.child_settled(child)

    def child_settled(self, child: Child) -> None:
        """Every call of the child has ended, and so have its exit hooks."""
        raise NotImplementedError

    def _run_exit_hook(self, child: Child, node: Node, index: int | None) -> bool:
        """Start the child's exit hook; False where it has none, or none that is to run now."""
        hook = template.exit_hook(child.raw, self.machine.spec.get("arguments"))
        if hook is None or self.machine.shutdown == "Terminate":
            return False
        own: dict[str, object] = {f"{self.prefix}{child.name}.status": node.phase}
        for name, value in scope.output_values(node.outputs or {}).items():
            own[f"{self.prefix}{child.name}.{name}"] = value
        if index is not None and child.values[index] is not None:
            own.update(fanout.variables(child.values[index]))
        environment = Variables(own, self.environment(child))
        lots = self.lots(f"{child.name}.onExit", index)
        invocation = Invocation(
            name=f"{node.name}.onExit",
            holder={k: v for k, v in hook.items() if k in ("template", "templateRef")},
            scope=self.scope,
            arguments={},
            owner=self,
            key=(child.name, index, "exit"),
            boundary=self,
            parents=[node.id],
            depth=self.invocation.depth + 1,
            on_exit=True,
            flag={"hooked": True},
        )
        try:
            if hook.get("expression") and not evaluate.truth(str(hook["expression"]), environment, impurity=lots):
                return False
            invocation.arguments = arguments.exit_arguments(hook, environment, lots)
        except Invalid as error:
            self.machine.broken(invocation, str(error))
            return True
        self.machine.call(invocation)
        return True

    def finish_with_outputs(self, outbound: list[str]) -> None:
        """Everything succeeded: read the template's own outputs from its scope, and end."""
        self.node.outbound = outbound
        try:
            lots = self.machine.lots(self.node.name, "outputs")
            self.node.outputs = arguments.template_outputs(self.template, self.environment(), lots)
        except Invalid as error:
            self.finish(status.ERROR, str(error))
            return
        self.finish(status.SUCCEEDED)
