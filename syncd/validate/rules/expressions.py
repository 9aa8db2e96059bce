"""Expressions: `{{=…}}`, `when`, and the fields that hold one without braces. Argo's linter reads none of them.

Called by `findings` for what the text shows; which variables an expression may use is judged by `traversal`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from syncd.argo.manifest import Path
from syncd.expr import evaluate, when
from syncd.validate import raw
from syncd.validate.template import Call, Template

if TYPE_CHECKING:
    from syncd.validate.findings import Say

MAX_LENGTH: Final = 10_000
"""Characters of an expression that are read; people write some hundred."""


def check(template: Template, say: Say) -> None:
    """Everything in a template outside its steps and tasks."""
    body, name, path = template.body, template.name, template.path
    for tags in (template.tags, template.replaced_tags, template.output_tags):
        check_tags(tags, f"templates.{name}", say)
    retry = raw.mapping(body.get("retryStrategy"))
    check_field(
        retry.get("expression"),
        (*path, "retryStrategy", "expression"),
        f"templates.{name}.retryStrategy.expression",
        say,
    )
    outputs = raw.mapping(body.get("outputs"))
    for index, item in raw.mappings(outputs.get("parameters")):
        expression = raw.mapping(item.get("valueFrom")).get("expression")
        where = (*path, "outputs", "parameters", index, "valueFrom", "expression")
        check_field(
            expression,
            where,
            f"templates.{name}.outputs.parameters.{raw.text(item.get('name'))}.valueFrom.expression",
            say,
        )
    for index, item in raw.mappings(outputs.get("artifacts")):
        where = (*path, "outputs", "artifacts", index, "fromExpression")
        check_field(
            item.get("fromExpression"),
            where,
            f"templates.{name}.outputs.artifacts.{raw.text(item.get('name'))}.fromExpression",
            say,
        )
    for index, item in raw.mappings(raw.mapping(body.get("metrics")).get("prometheus")):
        where = (*path, "metrics", "prometheus", index, "when")
        check_when(item.get("when"), where, f"templates.{name} metric '{raw.text(item.get('name'))}'", say)
    http = raw.mapping(body.get("http"))
    check_field(
        http.get("successCondition"),
        (*path, "http", "successCondition"),
        f"templates.{name}.http.successCondition",
        say,
    )


def check_call(call: Call, prefix: str, say: Say) -> None:
    """Everything in a step or task."""
    body = call.body
    check_when(body.get("when"), (*call.path, "when"), prefix, say)
    check_tags(call.tags, prefix, say)
    depends = raw.text(body.get("depends"))
    if depends and "{{" not in depends:
        _depends(depends, (*call.path, "depends"), prefix, say)
    for name, hook in raw.mapping(body.get("hooks")).items():
        expression = raw.mapping(hook).get("expression")
        check_field(expression, (*call.path, "hooks", name, "expression"), f"{prefix}.hooks.{name}.expression", say)
    for name, (path, artifact) in call.arguments.artifacts.items():
        check_field(
            artifact.get("fromExpression"), (*path, "fromExpression"), f"{prefix}.arguments.{name}.fromExpression", say
        )


def check_tags(tags: list[tuple[Path, str]], prefix: str, say: Say) -> None:
    """Every `{{=…}}` of them."""
    for path, tag in tags:
        if tag[0:1] == "=":
            _compile(tag[1:], path, f"{prefix}: {{{{={tag[1:]}}}}}", say)


def check_field(value: object, path: Path, prefix: str, say: Say) -> None:
    """A field that is an expression as a whole."""
    text = raw.text(value)
    if not text:
        return
    stripped = text.strip()
    if stripped.startswith("{{=") and stripped.endswith("}}") and stripped.count("{{") == 1:
        message = f"{prefix} is an expression by itself, the braces around it are not needed"
        say("V354", path, message, f"write it as {stripped[3:-2].strip()}")
        return
    if "{{" not in text:  # a simple tag is replaced before the expression is read: anything may stand there
        _compile(text, path, prefix, say)


def check_when(value: object, path: Path, prefix: str, say: Say) -> None:
    """A `when`: govaluate's dialect, or a whole that is computed by an expression tag."""
    text = raw.text(value)
    if not text or len(text) > MAX_LENGTH or (text.strip().startswith("{{=") and text.strip().endswith("}}")):
        return
    if complaint := when.check(text):
        say("V352", path, f"{prefix} when '{text}' cannot be read: {complaint}")


def required(source: str) -> tuple[str, ...]:
    """The dotted names that an expression cannot do without, members before their maps left out; () where it cannot be read."""
    if len(source) > MAX_LENGTH:
        return ()
    try:
        program = evaluate.compile(source)
    except evaluate.SyntaxProblem:
        return ()
    names = [name for name in program.required if name not in program.unknown]
    return tuple(name for name in names if not any(other.startswith(f"{name}.") for other in names))


def hyphens(name: str, source: str) -> str:
    """The remedy where a name with hyphens was read as a subtraction."""
    if "-" in source and "." not in name:
        return f"a name with '-' is written in brackets: steps['my-step'], inputs.parameters['my-{name}']"
    return ""


def of_outputs(template: Template) -> list[tuple[Path, str]]:
    """The expressions of outputs that are written without braces."""
    found: list[tuple[Path, str]] = []
    outputs = raw.mapping(template.body.get("outputs"))
    for index, item in raw.mappings(outputs.get("parameters")):
        expression = raw.text(raw.mapping(item.get("valueFrom")).get("expression"))
        found.append(((*template.path, "outputs", "parameters", index, "valueFrom", "expression"), expression))
    for index, item in raw.mappings(outputs.get("artifacts")):
        found.append(
            ((*template.path, "outputs", "artifacts", index, "fromExpression"), raw.text(item.get("fromExpression")))
        )
    return [(path, text) for path, text in found if text and "{{" not in text]


def _compile(text: str, path: Path, prefix: str, say: Say) -> None:
    if len(text) > MAX_LENGTH:
        say("V350", path, f"{prefix} is longer than {MAX_LENGTH} characters")
        return
    try:
        program = evaluate.compile(text)
    except evaluate.SyntaxProblem as problem:
        say("V350", path, f"{prefix}: {problem}")
        return
    for name in sorted(program.unknown):
        say("V351", path, f"{prefix}: there is no function {name}")


def _depends(text: str, path: Path, prefix: str, say: Say) -> None:
    """The names of tasks are judged by `dag`; here only whether it can be read. A name may hold `-`, which stands for `_`."""
    readable = text.replace("-", "_")
    try:
        evaluate.compile(readable[:MAX_LENGTH])
    except evaluate.SyntaxProblem as problem:
        say("V320", path, f"{prefix} depends '{text}' cannot be read: {problem}")
