"""What is wrong with a template by itself, whoever calls it: found once per template and kept with it.

In: a template and the entry that it belongs to. Out: findings with paths of its manifest. Called by `traversal`, which
says them with the chain of the first caller; the rules are in `rules/`.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from syncd.argo.manifest import Path
from syncd.validate.catalog import Entry
from syncd.validate.rules import (
    arguments,
    artifacts,
    containers,
    dag,
    embedded,
    expressions,
    hooks,
    inputs,
    loops,
    metrics,
    outputs,
    retry,
    steps,
    templates,
)
from syncd.validate.template import Call, Template


class Finding(NamedTuple):
    """A problem without its place. remedy: "" = the code's own."""

    code: str
    path: Path
    message: str
    remedy: str = ""


class Say(Protocol):
    """How a rule tells what it found."""

    def __call__(self, code: str, path: Path, message: str, remedy: str = "") -> None: ...


def findings(template: Template, entry: Entry) -> list[Finding]:
    """Every fault of the template that does not depend on its caller, in the order in which Argo looks."""
    kept: list[Finding] | None = template.__dict__.get("findings")
    if kept is not None:
        return kept
    found: list[Finding] = []

    def say(code: str, path: Path, message: str, remedy: str = "") -> None:
        found.append(Finding(code, path, message, remedy))

    templates.check(template, say)
    inputs.check(template, say)
    containers.check(template, entry.default_images, say)
    if template.kind == "steps":
        steps.check(template, say)
    elif template.kind == "dag":
        dag.check(template, say)
    for call, prefix in calls(template):
        arguments.check(call.arguments, f"{prefix}.arguments.", False, say)
        loops.check(call, prefix, say)
        hooks.check(call, prefix, entry, say)
        expressions.check_call(call, prefix, say)
    outputs.check(template, say)
    artifacts.check(template, say)
    metrics.check(template, say)
    retry.check(template, say)
    expressions.check(template, say)
    embedded.check(template, say)
    template.__dict__["findings"] = found
    return found


def calls(template: Template) -> list[tuple[Call, str]]:
    """The steps or tasks with the prefix of their messages."""
    if template.kind == "steps":
        return [(call, f"templates.{template.name}.steps[{call.group}].{call.name}") for call in template.calls]
    return [(call, f"templates.{template.name}.tasks.{call.name}") for call in template.calls]
